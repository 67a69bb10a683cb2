package decode

import (
	"fmt"
	"strings"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/tree"
	"campanile.network/decode/observer"
)

// nas decodes a NAS message without S1AP around it. Without a direction, the
// one is taken in which it can be read.
func (x *run) nas(m *message, as string, b []byte) {
	m.protocol = "NAS"
	dir := eps.Direction(as == "nas-down")
	if as == "nas" {
		dir = x.direction(b)
	}
	h := x.track.hear(&x.track.alone, dir, b)
	m.err = h.Err
	m.aside = directionName(dir)
	m.head = []tree.Node{tree.Leaf("direction", m.aside)}
	m.body = x.heard(h, dir, b)
	if h.Message != nil {
		m.name = eps.Tree(h.Message).Name
	}
	m.detail = heardDetail(h)
	if len(m.detail) > 0 {
		m.detail = m.detail[1:]
	}
	m.body = unwrapped(m.body, m.name)
}

// unwrapped takes the message's name away from around its elements, where the
// header tells it.
func unwrapped(body []tree.Node, name string) (out []tree.Node) {
	for _, n := range body {
		switch {
		case n.Name == name && n.Value == nil, n.Name == "ies":
			out = append(out, n.Nodes...)
		case n.Name == "message":
		default:
			out = append(out, n)
		}
	}
	return out
}

func directionName(d eps.Direction) string {
	if d == eps.Downlink {
		return "downlink"
	}
	return "uplink"
}

// direction is the one in which a message can be read; under a cipher, the one
// under which its code is right.
func (x *run) direction(b []byte) eps.Direction {
	plain := b
	if p, err := eps.ParseProtected(b); err == nil {
		plain = p.Payload
		if x.track.watch.Fits(x.track.alone, eps.Downlink, b) {
			return eps.Downlink
		}
		if x.track.watch.Fits(x.track.alone, eps.Uplink, b) {
			return eps.Uplink
		}
	}
	_, up := eps.Parse(eps.Uplink, plain)
	_, down := eps.Parse(eps.Downlink, plain)
	return eps.Direction(up != nil && down == nil)
}

// heard is a NAS message as nodes: what protects it, then the message.
func (x *run) heard(h observer.Heard, dir eps.Direction, b []byte) (n []tree.Node) {
	if len(h.MAC) > 0 {
		n = append(n, x.security(h))
	}
	switch {
	case h.Err != nil:
		n = append(n, tree.Leaf("error", h.Err.Error()))
		if h.Plain == nil {
			h.Plain = b
		}
		return append(n, octetsNode("octets", h.Plain))
	case h.Plain == nil:
		return append(n, octetsNode("ciphered", b[eps.ProtectedOverhead:]))
	}
	t := eps.Tree(h.Message)
	x.containers(h.Message, &t)
	if x.o.Format != JSON {
		return append(n, t)
	}
	return append(n, tree.Leaf("message", t.Name), tree.Branch("ies", t.Nodes...))
}

// security is what is known of a message's protection.
func (x *run) security(h observer.Heard) tree.Node {
	proven := h.Verdict == observer.Verified || h.Verdict == observer.Repeated
	if x.o.Format != JSON {
		return tree.Leaf("security", securityText(h, proven))
	}
	n := tree.Branch("security",
		tree.Leaf("Security header type", h.Header.String()),
		tree.Leaf("Message authentication code", h.MAC),
		tree.Leaf("Sequence number", h.Seq),
		tree.Leaf("MAC", h.Verdict.String()))
	if proven {
		n.Nodes = append(n.Nodes, tree.Leaf("NAS COUNT", uint32(h.Count)), tree.Leaf("integrity", h.EIA.String()))
	}
	if h.HasEEA {
		n.Nodes = append(n.Nodes, tree.Leaf("ciphering", h.EEA.String()))
	}
	return n
}

func securityText(h observer.Heard, proven bool) string {
	s := fmt.Sprintf("%v, sequence number %d, MAC %x %v", h.Header, h.Seq, h.MAC, h.Verdict)
	if proven {
		s += fmt.Sprintf(" (%v, NAS COUNT %d)", h.EIA, h.Count)
	}
	switch {
	case h.Ciphered && h.HasEEA && h.Plain != nil:
		s += fmt.Sprintf(", deciphered (%v)", h.EEA)
	case h.Ciphered && h.HasEEA:
		s += fmt.Sprintf(", ciphered (%v)", h.EEA)
	}
	return s
}

// heardDetail is what a summary says of a NAS message: its name, those of the
// messages in it, its cause, and its code if that is wrong.
func heardDetail(h observer.Heard) (d []string) {
	switch {
	case h.Err != nil:
		return nil
	case h.Message == nil:
		d = []string{"ciphered NAS"}
	default:
		t := eps.Tree(h.Message)
		names := []string{t.Name}
		for _, n := range t.Nodes {
			if strings.HasSuffix(n.Name, "message container") && len(n.Nodes) == 1 {
				names = append(names, n.Nodes[0].Name)
			}
			if strings.HasSuffix(n.Name, " cause") && n.Value != nil {
				names = append(names, tree.View{}.Text(n))
			}
		}
		d = []string{strings.Join(names, ", ")}
	}
	if h.Verdict == observer.Wrong {
		d = append(d, "MAC wrong")
	}
	return d
}
