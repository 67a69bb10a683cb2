package gtpu

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/tree"
)

// Tree gives m with the names of TS 29.281: the message's own, the fields of its
// header, its extension headers, and its information elements or the T-PDU.
//
// What a subscriber sends and receives is masked by its length.
func Tree(m Message) tree.Node {
	n := tree.Branch(m.Type.String(),
		tree.Leaf("Message Type", uint8(m.Type)),
		tree.Leaf("Tunnel Endpoint Identifier", m.TEID))
	if m.HasSequence {
		n.Nodes = append(n.Nodes, tree.Leaf("Sequence Number", m.Sequence))
	}
	if m.HasNPDU {
		n.Nodes = append(n.Nodes, tree.Leaf("N-PDU Number", m.NPDU))
	}
	headers := tree.Branch("Extension Headers")
	for t, content := range m.Extensions {
		headers.Nodes = append(headers.Nodes, extensionNode(t, content))
	}
	if len(headers.Nodes) > 0 {
		n.Nodes = append(n.Nodes, headers)
	}
	if m.Type == GPDU {
		packet := tree.Leaf("T-PDU", m.Payload)
		packet.Masked = fmt.Sprintf("%d octets", len(m.Payload))
		n.Nodes = append(n.Nodes, packet)
		return n
	}
	left := m.Payload
	for t, value := range m.Elements {
		n.Nodes = append(n.Nodes, elementNode(t, value))
		_, _, left, _ = element(left)
	}
	if len(left) > 0 {
		n.Nodes = append(n.Nodes, tree.Leaf("malformed", left))
	}
	return n
}

func extensionNode(t ExtensionType, content []byte) tree.Node {
	if v, ok := t.Number(content); ok {
		return tree.Leaf(t.String(), v)
	}
	if t != PDUSessionContainer || len(content) < 2 {
		return tree.Leaf(t.String(), content)
	}
	// TS 38.415 §5.5.2; what follows stands as octets
	n := tree.Branch(t.String(), tree.Leaf("PDU Type", content[0]>>4))
	if content[0]>>4 == 0 {
		n.Nodes = append(n.Nodes,
			tree.Leaf("Paging Policy Presence (PPP)", content[1]&0x80 != 0),
			tree.Leaf("Reflective QoS Indicator (RQI)", content[1]&0x40 != 0))
	}
	n.Nodes = append(n.Nodes, tree.Leaf("QoS Flow Identifier (QFI)", content[1]&0x3f), tree.Leaf("content", content))
	return n
}

// elementNode shows a malformed element as its octets.
func elementNode(t ElementType, v []byte) tree.Node {
	n := tree.Leaf(t.String(), v)
	if !t.valid(v) {
		return n
	}
	switch t {
	case ElementRecovery:
		n.Value = v[0]
	case ElementTEID:
		n.Value = id.TEID(binary.BigEndian.Uint32(v))
	case ElementPeer:
		n.Value, _ = netip.AddrFromSlice(v)
	case ElementHeaders:
		n.Value, n.List = nil, true
		for _, h := range v {
			n.Nodes = append(n.Nodes, tree.Leaf("", ExtensionType(h)))
		}
	case ElementTunnelStatus:
		return tree.Branch(t.String(), tree.Leaf("SPOC (Start Pause Of Charging)", pausesCharging(v)))
	case ElementRecoveryTime:
		n.Value = recoveryTime(v).Format(time.RFC3339)
	case ElementPrivate:
		return tree.Branch(t.String(), tree.Leaf("Extension Identifier", binary.BigEndian.Uint16(v)), tree.Leaf("Extension Value", v[2:]))
	}
	return n
}
