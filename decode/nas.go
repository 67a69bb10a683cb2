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
	dir, known := eps.Direction(as == "nas-down"), true
	if as == "nas" {
		dir, known = x.direction(b)
	}
	h := x.track.hear(&x.track.alone, dir, b)
	around, inner := x.heard(m, h, b)
	m.err, m.name, m.aside = h.Err, inner.Name, directionName(dir, known)
	m.head = []tree.Node{tree.Leaf("direction", strings.TrimSuffix(m.aside, " direction"))}
	if x.o.Format == JSON {
		m.head, m.body = append(m.head, around...), inner.Nodes
	} else {
		m.body = append(around, inner.Nodes...)
	}
	if cause := causes(inner); cause != "" {
		m.detail = []string{cause}
	}
	m.detail = append(m.detail, verdict(h)...)
}

func directionName(d eps.Direction, known bool) string {
	switch {
	case !known:
		return "unknown direction"
	case d == eps.Downlink:
		return "downlink"
	}
	return "uplink"
}

// direction is the one in which a message can be read; under a cipher, the one
// under which its code is right. It is not known when that is none or both.
func (x *run) direction(b []byte) (dir eps.Direction, known bool) {
	plain := b
	if p, err := eps.ParseProtected(b); err == nil {
		plain = p.Payload
		for _, d := range []eps.Direction{eps.Downlink, eps.Uplink} {
			if x.track.watch.Fits(x.track.alone, d, b) {
				return d, true
			}
		}
	}
	_, up := eps.Parse(eps.Uplink, plain)
	_, down := eps.Parse(eps.Downlink, plain)
	return eps.Direction(up != nil && down == nil), (up == nil) != (down == nil)
}

// heard is a NAS message as nodes: what protects it, or why it cannot be read,
// and the message itself, without a name if it stays hidden.
func (x *run) heard(m *message, h observer.Heard, b []byte) (around []tree.Node, inner tree.Node) {
	if len(h.MAC) > 0 {
		around = append(around, x.security(h))
	}
	switch {
	case h.Err != nil:
		if h.Plain == nil {
			h.Plain = b
		}
		around = append(around, tree.Leaf("error", h.Err.Error()), octetsNode("octets", h.Plain))
	case h.Plain == nil:
		around = append(around, octetsNode("ciphered", b[eps.ProtectedOverhead:]))
	default:
		inner = eps.Tree(h.Message)
		m.sms = shortMessage(h.Message, &inner) || m.sms
	}
	return around, inner
}

// inPDU is a NAS message inside an S1AP IE.
func (x *run) inPDU(around []tree.Node, inner tree.Node) []tree.Node {
	switch {
	case inner.Name == "":
		return around
	case x.o.Format != JSON:
		return append(around, inner)
	}
	return append(around, tree.Leaf("message", inner.Name), tree.Branch("ies", inner.Nodes...))
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

// nasDetail is what a summary says of a NAS message: its name and those of the
// messages in it, causes, and a code that is wrong.
func nasDetail(h observer.Heard, inner tree.Node) []string {
	if h.Err != nil {
		return nil
	}
	name := inner.Name
	if name == "" {
		name = "ciphered NAS"
	}
	if cause := causes(inner); cause != "" {
		name += ", " + cause
	}
	return append([]string{name}, verdict(h)...)
}

// causes are the messages in a NAS message and its causes.
func causes(inner tree.Node) string {
	var all []string
	for _, n := range inner.Nodes {
		if strings.HasSuffix(n.Name, "message container") && len(n.Nodes) == 1 {
			all = append(append(all, n.Nodes[0].Name), carriedSMS(n.Nodes[0])...)
		}
		if strings.HasSuffix(n.Name, " cause") && n.Value != nil {
			all = append(all, tree.View{}.Text(n))
		}
	}
	return strings.Join(all, ", ")
}

func verdict(h observer.Heard) []string {
	if h.Verdict == observer.Wrong {
		return []string{"MAC wrong"}
	}
	return nil
}
