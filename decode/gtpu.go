package decode

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/tree"
)

// gtpu decodes a GTP-U message. Of a user's packet in it, it says whose it is:
// what was left out of it by the capture, or is said in it, is not looked at.
func (x *run) gtpu(m *message, b []byte, cut int) {
	m.protocol = "GTP-U"
	if cut > 0 && len(b) >= gtpu.HeaderLen { // parse what there is, with the length corrected
		b = append([]byte(nil), b...)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)-gtpu.HeaderLen))
	}
	g, err := gtpu.Parse(b)
	if err != nil {
		m.err, m.body = err, []tree.Node{octetsNode("octets", b)}
		x.show(m)
		return
	}
	m.name = g.Type.String()
	m.head = []tree.Node{tree.Leaf("messageType", uint8(g.Type)), tree.Leaf("teid", g.TEID.String())}
	m.aside = "TEID " + g.TEID.String()
	switch g.Type {
	case gtpu.GPDU:
		packet := userPacket(g.Payload)
		m.body = append(besides(gtpu.Tree(g).Nodes), packet)
		m.detail = []string{m.aside, strings.TrimPrefix(x.p.view.Text(packet), "T-PDU: ")}
	default:
		m.body = besides(gtpu.Tree(g).Nodes)
		if cut > 0 {
			m.err = fmt.Errorf("the capture left %d of %d octets out", cut, len(b)+cut)
		}
	}
	x.show(m)
}

// besides leaves away what is shown otherwise: type, TEID, the user's packet.
func besides(nodes []tree.Node) []tree.Node {
	return slices.DeleteFunc(nodes, func(n tree.Node) bool {
		return n.Name == "Message Type" || n.Name == "Tunnel Endpoint Identifier" || n.Name == "T-PDU"
	})
}

func userPacket(b []byte) tree.Node {
	return tree.Node{Name: "T-PDU", Value: inner(b), Masked: fmt.Sprintf("%d octets", len(b))}
}

// inner says in a line what an IP packet is.
func inner(b []byte) string {
	var src, dst netip.Addr
	var protocol uint8
	var size int
	switch {
	case len(b) >= 20 && b[0]>>4 == 4:
		src, dst = netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
		protocol, size = b[9], int(binary.BigEndian.Uint16(b[2:]))
		fragment := binary.BigEndian.Uint16(b[6:]) & 0x1fff
		b = b[min(int(b[0]&15)*4, len(b)):]
		if fragment != 0 {
			b = nil
		}
	case len(b) >= 40 && b[0]>>4 == 6:
		src, dst = netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
		protocol, size = b[6], 40+int(binary.BigEndian.Uint16(b[4:]))
		b = b[40:]
	default:
		return fmt.Sprintf("%d octets that are no IP packet", len(b))
	}
	name, from, to := fmt.Sprintf("protocol %d", protocol), src.String(), dst.String()
	switch protocol {
	case 1:
		name = "ICMP"
	case 58:
		name = "ICMPv6"
	case 6, 17, 132:
		name = map[uint8]string{6: "TCP", 17: "UDP", 132: "SCTP"}[protocol]
		if len(b) >= 4 {
			from = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b)).String()
			to = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:])).String()
		}
	}
	return fmt.Sprintf("%s %s > %s, %d octets", name, from, to, size)
}
