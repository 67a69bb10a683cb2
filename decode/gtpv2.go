package decode

import (
	"encoding/binary"
	"fmt"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/tree"
)

const (
	maxGroups   = 4   // elements in elements in elements
	maxElements = 512 // of a message, inner ones included
)

// gtpHeader is the header of a GTPv2-C message (TS 29.274 §5.1).
type gtpHeader struct {
	typ      uint8
	hasTEID  bool
	teid     id.TEID
	sequence uint32
	body     []byte // the elements
	rest     []byte // a piggybacked message
}

// parseGTPv2 reads a header and checks that the elements fill the message.
func parseGTPv2(b []byte) (h gtpHeader, err error) {
	if len(b) < 8 {
		return h, fmt.Errorf("%d octets, a GTPv2-C header has 8", len(b))
	}
	if b[0]>>5 != 2 {
		return h, fmt.Errorf("GTP version %d, not 2", b[0]>>5)
	}
	h.typ, h.hasTEID = b[1], b[0]&8 != 0
	head, end := 8, 4+int(binary.BigEndian.Uint16(b[2:]))
	if h.hasTEID {
		head = 12
	}
	switch {
	case end < head || len(b) < head:
		return h, fmt.Errorf("a length of %d octets is less than the header's", end)
	case end > len(b):
		return h, fmt.Errorf("the length field says %d octets of %d", end, len(b))
	case end < len(b) && b[0]&0x10 == 0:
		return h, fmt.Errorf("%d octets behind the message", len(b)-end)
	}
	if h.hasTEID {
		h.teid = id.TEID(binary.BigEndian.Uint32(b[4:]))
	}
	h.sequence = binary.BigEndian.Uint32(b[head-4:]) >> 8
	h.body, h.rest = b[head:end], b[end:]
	return h, nil
}

// gtpv2 decodes a datagram of GTPv2-C: a message, and perhaps one piggybacked
// on it (TS 29.274 §5.5.1).
func (x *run) gtpv2(m *message, b []byte) {
	h, err := parseGTPv2(b)
	m.protocol = "GTPv2-C"
	if h.typ != 0 || err == nil {
		if m.name = messageTypes[h.typ]; m.name == "" {
			m.name = fmt.Sprintf("message type %d", h.typ)
		}
	}
	if err != nil {
		m.err = err
		m.body = []tree.Node{octetsNode("octets", b)}
		x.show(m)
		return
	}
	m.head = []tree.Node{tree.Leaf("messageType", h.typ)}
	if h.hasTEID {
		m.head = append(m.head, tree.Leaf("teid", h.teid.String()))
	}
	m.head = append(m.head, tree.Leaf("sequence", h.sequence))
	m.aside = fmt.Sprintf("type %d, TEID %v, sequence %d", h.typ, h.teid, h.sequence)
	e := elements{left: maxElements, up: fromPhone[h.typ]}
	m.body = e.read(h.body, 0)
	m.err = e.err
	for _, n := range m.body {
		if n.Name == "Cause" && len(n.Nodes) > 0 {
			m.detail = append(m.detail, fmt.Sprint(n.Nodes[0].Value))
		}
	}
	x.show(m)
	if len(h.rest) > 0 {
		x.gtpv2(&message{from: m.from, line: m.line, took: m.took}, h.rest)
	}
}

// elements reads information elements and keeps the first fault.
type elements struct {
	left int
	up   bool // options come from the phone
	err  error
}

func (e *elements) fault(format string, args ...any) {
	if e.err == nil {
		e.err = fmt.Errorf(format, args...)
	}
}

// read gives the elements in b (TS 29.274 §8.2): type, length, instance.
func (e *elements) read(b []byte, depth int) (nodes []tree.Node) {
	for len(b) > 0 {
		if len(b) < 4 || e.left == 0 {
			e.fault("%d octets left over behind the elements", len(b))
			return append(nodes, octetsNode("octets left over", b))
		}
		e.left--
		typ, size, instance := b[0], int(binary.BigEndian.Uint16(b[1:])), b[3]&15
		name := elementNames[typ]
		if name == "" {
			name = fmt.Sprintf("IE type %d", typ)
		}
		if size > len(b)-4 {
			e.fault("%s claims %d octets of %d", name, size, len(b)-4)
			return append(nodes, octetsNode("octets left over", b))
		}
		v := b[4 : 4+size]
		b = b[4+size:]
		n, ok := tree.Node{}, true
		switch read := elementReaders[typ]; {
		case groupedElements[typ] && depth < maxGroups:
			n = tree.Branch(name, e.read(v, depth+1)...)
		case phoneOptions[typ]:
			n, ok = optionsOf(v, e.up)
		case read != nil:
			n, ok = read(v)
		default:
			n = octetsNode(name, v)
		}
		if !ok {
			e.fault("%s of %d octets cannot be read", name, size)
			n = octetsNode(name, v)
		}
		n.Name = name
		if instance > 0 {
			n.Name = fmt.Sprintf("%s (instance %d)", name, instance)
		}
		nodes = append(nodes, n)
	}
	return nodes
}
