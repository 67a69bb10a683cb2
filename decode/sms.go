package decode

import (
	"strings"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/sms"
	"campanile.network/3gpp/tree"
)

// sms decodes a short message as phones, modems, SIMs and NAS carry it.
func (x *run) sms(m *message, as string, b []byte) {
	m.protocol = "SMS"
	r := readSMS(as, b)
	if r.err != nil {
		m.err, m.body = r.err, []tree.Node{octetsNode("octets", b)}
		return
	}
	n := sms.Tree(r.message)
	m.name, m.body, m.detail = n.Name, n.Nodes, carriedSMS(n)
	if r.centre != nil {
		m.body = append([]tree.Node{{Name: "Service centre address", Value: r.centre.Number(), Masked: r.centre.String()}}, m.body...)
	}
}

// shortText is a way to read the octets of a short message.
type shortText struct {
	message sms.Message
	centre  *sms.Address // before a TPDU; nil: there is none
	err     error
}

// whole reports whether nothing was left over and no value is absurd.
func (s shortText) whole() bool { return s.err == nil && plausible(s.message) }

// readSMS reads a CP message, an RP message, what a modem has in PDU mode (TS
// 27.005 §3.1: the service centre's address, then a TPDU), or a TPDU: the first
// of them that octets are whole, else the first that they are at all. as is sms,
// sms-up or sms-down.
func readSMS(as string, b []byte) shortText {
	cp, err := sms.ParseCP(b)
	all := []shortText{{message: cp, err: err}}
	if dir, ok := sms.RPDirection(b); ok && as != "sms-up" && as != "sms-down" || as == smsKind(dir) {
		rp, err := sms.ParseRP(dir, b)
		all = append(all, shortText{message: rp, err: err})
	}
	if sc, rest, err := sms.ParseCentre(b); err == nil && len(rest) > 0 {
		s := readTPDU(as, rest)
		s.centre = &sc
		all = append(all, s)
	}
	all = append(all, readTPDU(as, b))
	for _, s := range all {
		if s.whole() {
			return s
		}
	}
	for _, s := range all {
		if s.err == nil {
			return s
		}
	}
	if len(b) > 0 && b[0]&15 == 9 { // the protocol discriminator of CP
		return all[0]
	}
	return all[len(all)-1]
}

func smsKind(d sms.Direction) string {
	if d == sms.Uplink {
		return "sms-up"
	}
	return "sms-down"
}

// readTPDU reads a TPDU. Its type depends on its direction (TS 23.040
// §9.2.3.1); where that is not said, it is of a message and not of the answer
// to one.
func readTPDU(as string, b []byte) shortText {
	dir := sms.Direction(sms.Downlink)
	if as == "sms-up" || as != "sms-down" && len(b) > 0 && b[0]&3 == 1 {
		dir = sms.Uplink
	}
	tp, err := sms.Parse(dir, b)
	return shortText{message: tp, err: err}
}

// plausible reports whether a message has nothing unknown behind it, and
// addresses and times in it that are some.
func plausible(m sms.Message) bool {
	switch m := m.(type) {
	case *sms.CPData:
		return len(m.Octets) == 0
	case *sms.CPAck:
		return len(m.Octets) == 0
	case *sms.CPError:
		return len(m.Octets) == 0
	case *sms.RPData:
		tp, err := m.TPDU()
		return err == nil && len(m.Octets) == 0 && plausible(tp)
	case *sms.Deliver:
		_, ok := m.Timestamp.Time()
		return ok && len(m.Octets) == 0 && m.Originator.Number() != ""
	case *sms.Submit:
		return len(m.Octets) == 0 && m.Spare == 0 && m.Destination.Number() != ""
	case *sms.StatusReport:
		_, sent := m.Timestamp.Time()
		_, done := m.Discharge.Time()
		return sent && done && len(m.Octets) == 0 && m.Recipient.Number() != ""
	case *sms.DeliverReport:
		return len(m.Octets) == 0
	case *sms.SubmitReport:
		_, ok := m.Timestamp.Time()
		return ok && len(m.Octets) == 0
	case *sms.Command:
		return len(m.Octets) == 0
	}
	return true
}

// shortMessage shows the short message in a NAS transport message; false if
// there is none that can be read.
func shortMessage(m eps.Message, n *tree.Node) bool {
	var b []byte
	switch m := m.(type) {
	case *eps.UplinkNASTransport:
		b = m.Container
	case *eps.DownlinkNASTransport:
		b = m.Container
	default:
		return false
	}
	cp, err := sms.ParseCP(b)
	if err != nil {
		return false // its octets are shown
	}
	for i := range n.Nodes {
		if n.Nodes[i].Name == "NAS message container" {
			n.Nodes[i] = tree.Branch("NAS message container", sms.Tree(cp))
		}
	}
	return true
}

// carriedSMS are the names of the messages in a short message's CP or RP
// message.
func carriedSMS(n tree.Node) (names []string) {
	for _, c := range n.Nodes {
		if len(c.Nodes) == 1 && (strings.HasPrefix(c.Nodes[0].Name, "RP-") || strings.HasPrefix(c.Nodes[0].Name, "SMS-")) {
			names = append(append(names, c.Nodes[0].Name), carriedSMS(c.Nodes[0])...)
		}
	}
	return names
}
