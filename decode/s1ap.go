package decode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/secret"
	"campanile.network/3gpp/tree"
)

// s1ap decodes an S1AP-PDU, and the NAS messages in it.
func (x *run) s1ap(m *message, b []byte) {
	m.protocol = "S1AP"
	pdu, err := s1ap.Parse(b)
	var fault *s1ap.SyntaxError
	if m.err = err; errors.As(err, &fault) && !fault.Known {
		m.body = []tree.Node{octetsNode("octets", b)}
		return
	}
	if pdu.Message != nil {
		m.ue = x.track.leg(pdu.Message, fault)
	}
	dir := eps.Downlink
	switch pdu.Message.(type) {
	case *s1ap.InitialUEMessage, *s1ap.UplinkNASTransport:
		dir = eps.Uplink
	}
	n := s1ap.Tree(&pdu, func(typ string, octets []byte) []tree.Node {
		if typ != "NAS-PDU" || m.ue == nil {
			return nil
		}
		h := x.track.hear(&m.ue.phone, dir, octets)
		if h.Err != nil && m.err == nil {
			m.err = fmt.Errorf("NAS-PDU: %w", h.Err)
		}
		m.nas = true
		around, inner := x.heard(m, h, octets)
		m.detail = append(m.detail, nasDetail(h, inner)...)
		return x.inPDU(around, inner)
	})
	for _, c := range n.Nodes {
		switch c.Name {
		case "type":
			c.Name = "pduType"
			m.head = append(m.head, c)
		case "message":
			m.name = fmt.Sprint(c.Value)
		case "protocolIEs", "privateIEs":
			m.body = c.Nodes
		case "procedureCode", "procedure", "criticality":
			m.head = append(m.head, c)
		default:
			m.body = append(m.body, c)
		}
	}
	if fault != nil {
		if _, private := pdu.Message.(*s1ap.PrivateMessage); !private {
			m.body = slices.DeleteFunc(m.body, absent(b))
		}
		if fault.Transfer != nil {
			m.body = append(m.body, octetsNode("octets", b))
		}
	}
	m.aside = fmt.Sprintf("%v, procedureCode %d, criticality %v", pdu.Type, pdu.ProcedureCode, pdu.Criticality)
	m.detail = append(s1apDetail(m), m.detail...)
	if r, ok := pdu.Message.(*s1ap.InitialContextSetupRequest); ok && m.ue != nil {
		x.kenb(m, secret.Key256(r.SecurityKey))
	}
}

// shortened is an S1AP-PDU of which the end is missing, with a length that says
// so: what is before the gap can be read.
func shortened(b []byte) []byte {
	const head = 3 // type, procedure code, criticality
	skip := head + 1
	if len(b) > skip && b[head]&0xc0 == 0x80 {
		skip++
	}
	if len(b) <= skip || b[head]&0xc0 == 0xc0 {
		return b
	}
	n := len(b) - skip
	return append([]byte{b[0], b[1], b[2], 0x80 | byte(n>>8), byte(n)}, b[skip:]...)
}

// absent tells the IEs that are not in a faulty message, whole, from those that
// are: mandatory ones have a value in any case. What is no IE is left alone.
func absent(b []byte) func(tree.Node) bool {
	there := map[string]bool{"unknownIEs": true, "value": true}
	at := 4 // type, procedure code, criticality, length
	if len(b) > 3 && b[3]&0x80 != 0 {
		at++
	}
	for at += 3; at+4 <= len(b); { // extension bit, number of IEs
		id, n := s1ap.ProtocolIEID(binary.BigEndian.Uint16(b[at:])), int(b[at+3])
		if at += 4; n&0x80 != 0 {
			if n&0x40 != 0 || at == len(b) {
				break
			}
			n = n&0x3f<<8 | int(b[at])
			at++
		}
		if at += n; at <= len(b) {
			there[id.String()] = true
		}
	}
	return func(n tree.Node) bool { return !there[n.Name] }
}

// kenb says whether the key that the eNB gets is the one that was derived.
func (x *run) kenb(m *message, k secret.Key256) {
	count, equal, known := m.ue.phone.KeNB(k)
	if !known {
		return
	}
	is := "is"
	if !equal {
		is = "is not"
	}
	i := slices.IndexFunc(m.body, func(n tree.Node) bool { return n.Name == "SecurityKey" })
	if i >= 0 {
		m.body = slices.Insert(m.body, i+1, tree.Leaf("K_eNB", fmt.Sprintf("SecurityKey %s the one derived for uplink NAS COUNT %d", is, count)))
	}
}

// s1apDetail is what a summary says of a message: whose it is, and its cause.
func s1apDetail(m *message) (d []string) {
	who := ""
	if m.ue != nil && m.ue.enb != nil {
		who = fmt.Sprintf("eNB %d", *m.ue.enb)
	}
	if m.ue != nil && m.ue.mme != nil {
		who += fmt.Sprintf(" MME %d", *m.ue.mme)
	}
	if who != "" {
		d = append(d, who)
	}
	for _, n := range m.body {
		if n.Name == "Cause" && len(n.Nodes) == 1 {
			d = append(d, fmt.Sprintf("%s: %v", n.Nodes[0].Name, n.Nodes[0].Value))
		}
	}
	return d
}
