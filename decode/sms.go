package decode

import (
	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/sms"
	"campanile.network/3gpp/tree"
)

// sms decodes a short message as SIMs, phones and NAS carry it: a CP message,
// or below it an RP message or a TPDU when the direction is given.
func (x *run) sms(m *message, as string, b []byte) {
	m.protocol = "SMS"
	dir := sms.Direction(sms.Downlink)
	if as == "sms-up" {
		dir = sms.Uplink
	}
	parsed, err := parseSMS(dir, as != "sms", b)
	if err != nil {
		m.err, m.body = err, []tree.Node{octetsNode("octets", b)}
		return
	}
	n := sms.Tree(parsed)
	m.name, m.body = n.Name, n.Nodes
}

// parseSMS reads a CP message; or, with a direction, an RP message or TPDU.
func parseSMS(dir sms.Direction, known bool, b []byte) (sms.Message, error) {
	cp, err := sms.ParseCP(b)
	if err == nil || !known {
		return cp, err
	}
	if rp, e := sms.ParseRP(dir, b); e == nil {
		return rp, nil
	}
	return sms.Parse(dir, b)
}

// shortMessage shows the short message in a NAS transport message.
func shortMessage(m eps.Message, n *tree.Node) {
	var b []byte
	switch m := m.(type) {
	case *eps.UplinkNASTransport:
		b = m.Container
	case *eps.DownlinkNASTransport:
		b = m.Container
	default:
		return
	}
	cp, err := sms.ParseCP(b)
	if err != nil {
		return // its octets are shown
	}
	for i := range n.Nodes {
		if n.Nodes[i].Name == "NAS message container" {
			n.Nodes[i] = tree.Branch("NAS message container", sms.Tree(cp))
		}
	}
}
