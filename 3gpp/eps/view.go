package eps

import (
	"fmt"
	"strings"

	"campanile.network/3gpp/tree"
)

// A noder is an element with parts, or with something to hide.
type noder interface {
	node(name string) tree.Node
}

// masked hides identities, numbers, keys and what users say.
var masked = tree.View{Mask: true}

// Tree is m by the spec's names, messages in its containers included. Its name
// is the message's. IMSIs, IMEIs, telephone numbers, passwords, keys, users'
// data and elements that were not understood have a Masked text.
func Tree(m Message) tree.Node { return show(m, 0) }

// nesting bounds how many messages inside messages are shown: a NAS message
// container in a NAS message container means nothing.
const nesting = 3

func show(m Message, depth int) tree.Node {
	t := m.table()
	n := tree.Branch(t.name)
	if e, ok := m.(ESM); ok {
		ebi, pti := e.Header()
		n.Nodes = append(n.Nodes, tree.Leaf("EPS bearer identity", uint8(ebi)), tree.Leaf("Procedure transaction identity", uint8(pti)))
	}
	for i := range t.rows {
		row := &t.rows[i]
		if row.get == nil {
			continue
		}
		if el, has := row.get(m); has == nil || *has {
			n.Nodes = append(n.Nodes, t.show(row.name, el, depth))
		}
	}
	if u := m.rest(); len(u.Octets) > 0 {
		n.Nodes = append(n.Nodes, t.unparsed(u))
	}
	return n
}

func (t *table) show(name string, el element, depth int) tree.Node {
	dir := Direction(t.downlink)
	switch e := el.(type) {
	case *ESMContainer:
		return contained(name, dir, *e, depth)
	case *EMMContainer:
		return contained(name, dir, *e, depth)
	case *PCO:
		return e.Tree(name, dir)
	case noder:
		return e.node(name)
	}
	return tree.Leaf(name, el)
}

// contained is the message in b, or octets if it is none.
func contained(name string, dir Direction, b []byte, depth int) tree.Node {
	if depth < nesting {
		if m, err := Parse(dir, b); err == nil {
			return tree.Branch(name, show(m, depth+1))
		}
	}
	return hidden(name, b)
}

// hidden are octets that may hold an identity, or what users say.
func hidden(name string, b []byte) tree.Node {
	return tree.Node{Name: name, Value: b, Masked: fmt.Sprintf("%d octets", len(b))}
}

// maxUnparsed is how many elements are shown one by one.
const maxUnparsed = 64

// unparsed are the elements Parse put aside, each with its IEI.
func (t *table) unparsed(u *Unparsed) tree.Node {
	n := tree.Branch(fmt.Sprintf("Not understood: %d unknown, %d repeated, %d out of sequence, %d malformed",
		u.Unknown, u.Repeated, u.OutOfSequence, u.Malformed))
	first := t.mandatory()
	r := reader{b: u.Octets}
	for r.pos < len(r.b) {
		at := r.pos
		name := fmt.Sprintf("IEI 0x%02x", r.b[at])
		if i := find(t.rows, first, first, r.b[at]); len(n.Nodes) == maxUnparsed {
			name, r.pos = "More", len(r.b)
		} else if i < 0 {
			r.skip()
		} else {
			name += " " + t.rows[i].name
			if _, ok := r.tagged(&t.rows[i]); !ok {
				r.pos = len(r.b)
			}
		}
		n.Nodes = append(n.Nodes, hidden(name, r.b[at:r.pos]))
	}
	return n
}

// Tree is the envelope with content in it: what Tree or TreePDU show of the
// payload, or a node with its octets while it is ciphered.
func (p Protected) Tree(content tree.Node) tree.Node {
	return tree.Branch("SECURITY PROTECTED NAS MESSAGE",
		tree.Leaf("Security header type", p.Header),
		tree.Leaf("Message authentication code", p.MAC[:]),
		tree.Leaf("Sequence number", p.Sequence),
		tree.Branch("NAS message", content))
}

// TreePDU shows any NAS PDU sent in direction dir, with or without envelope. A
// payload that is ciphered is shown as a message if all of it reads as one, as
// it does with EEA0, else as octets. What cannot be read is shown with the
// reason.
func TreePDU(dir Direction, b []byte) tree.Node {
	if p, err := ParseProtected(b); err == nil {
		m, err := Parse(dir, p.Payload)
		if p.Header.Ciphered() && (err != nil || m.rest().Count() > 0) {
			return p.Tree(hidden("Ciphered", p.Payload))
		}
		return p.Tree(treePlain(m, err, p.Payload))
	}
	m, err := Parse(dir, b)
	return treePlain(m, err, b)
}

// treePlain shows what Parse made of b.
func treePlain(m Message, err error, b []byte) tree.Node {
	if err != nil {
		return tree.Branch("NAS message that cannot be read", tree.Leaf("Reason", err.Error()), hidden("Octets", b))
	}
	return Tree(m)
}

// inline is what n holds, on one line.
func inline(n tree.Node) string {
	n.Name = ""
	lines := strings.Split(masked.Text(n), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	if lines[0] == "" {
		lines = lines[1:]
	}
	return strings.TrimPrefix(strings.Join(lines, ", "), ": ")
}
