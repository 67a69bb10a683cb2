package trace

import (
	"fmt"
	"strings"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/tree"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// Transcript says events in lines for people.
type Transcript struct {
	Detail bool // every element, indented under its line
	Mask   bool // hide identities
}

// Text is an event's line, and with Detail what is in it, each line ended.
func (t Transcript) Text(e Event) string {
	arrow := map[bool]string{true: "←", false: "→"}[e.Up]
	line := e.At.Local().Format("15:04:05.000 ")
	var n *tree.Node
	switch e.Kind {
	case S1AP:
		name, detail, node := t.s1ap(e.Data)
		line += fmt.Sprintf("MME %s eNB   S1AP  %s", arrow, words(name, detail, e.Text))
		n = node
	case NAS:
		name, detail, node := t.nas(e)
		line += fmt.Sprintf("MME %s UE    NAS   %s", arrow, words(name, detail, e.Text))
		n = node
	case S11:
		line += fmt.Sprintf("MME %s SGW   S11   %s", arrow, s11(e.Data))
	case Procedure:
		line += "            = " + e.Text
	default:
		line += "            ! " + e.Text
	}
	line += "\n"
	if t.Detail && n != nil {
		for l := range strings.Lines(tree.View{Mask: t.Mask}.Text(*n) + "\n") {
			line += "                  " + l
		}
	}
	return line
}

func words(all ...string) string {
	var out []string
	for _, w := range all {
		if w != "" {
			out = append(out, w)
		}
	}
	return strings.Join(out, ", ")
}

func (t Transcript) s1ap(b []byte) (name, detail string, n *tree.Node) {
	pdu, err := s1ap.Parse(b)
	if pdu.Message == nil {
		return fmt.Sprintf("%d octets not understood: %v", len(b), err), "", nil
	}
	node := s1ap.Tree(&pdu, func(typ string, _ []byte) []tree.Node { return nil })
	if err != nil {
		detail = err.Error()
	} else {
		detail = cause(node)
	}
	return pdu.Message.Header().Name, detail, &node
}

// nas shows a message inside; its direction says how it is read.
func (t Transcript) nas(e Event) (name, detail string, n *tree.Node) {
	dir := eps.Downlink
	if e.Up {
		dir = eps.Uplink
	}
	m, err := eps.Parse(dir, e.Data)
	if err != nil {
		return fmt.Sprintf("%d octets", len(e.Data)), err.Error(), nil
	}
	node := eps.Tree(m)
	return m.MessageType().String(), cause(node), &node
}

// cause finds a message's cause.
func cause(n tree.Node) string {
	for _, c := range n.Nodes {
		name := strings.ToLower(c.Name)
		switch {
		case strings.HasSuffix(name, "cause") && len(c.Nodes) == 1:
			return fmt.Sprintf("cause %v", c.Nodes[0].Value)
		case strings.HasSuffix(name, "cause") && c.Value != nil:
			return fmt.Sprintf("cause %v", c.Value)
		case c.Name == "protocolIEs":
			if found := cause(c); found != "" {
				return found
			}
		}
	}
	return ""
}

func s11(b []byte) string {
	m, err := gtpc.Parse(b)
	if err != nil {
		return err.Error()
	}
	out := m.Type.String()
	if c := m.IE(ie.Cause, 0); c != nil && len(c.Payload) > 0 {
		out += fmt.Sprintf(", cause %v", gtpc.Cause(c.Payload[0]))
	}
	return out
}
