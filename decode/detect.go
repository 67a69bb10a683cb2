package decode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/sms"
	"campanile.network/decode/capture"
)

// recognise says what octets are that came without a network around them. A
// kind is taken when the octets are a whole message of it and of no other.
func recognise(b []byte) (string, error) {
	var fits []string
	for _, k := range []struct {
		name string
		is   func([]byte) bool
	}{{"s1ap", isS1AP}, {"nas", isNAS}, {"gtpv2", isGTPv2}, {"gtpu", isGTPU}, {"sms", isSMS}, {"sctp", capture.IsSCTP}, {"ip", isIP}, {"ethernet", isEthernet}} {
		if k.is(b) {
			fits = append(fits, k.name)
		}
	}
	switch len(fits) {
	case 1:
		return fits[0], nil
	case 0:
		return "", fmt.Errorf("%s that are no whole message of any kind known here%s; --as says what they are", count(len(b)), likely(b))
	}
	return "", fmt.Errorf("%s that may be %s; --as says which", count(len(b)), strings.Join(fits, " or "))
}

func count(octets int) string {
	if octets == 1 {
		return "1 octet"
	}
	return fmt.Sprintf("%d octets", octets)
}

// is5G reports whether b begins like a NAS message of 5G (TS 24.501 §9.2) or
// like NGAP (TS 38.413): S1AP in form, with other identifiers.
func is5G(b []byte) string {
	if len(b) > 2 && (b[0] == 0x7e || b[0] == 0x2e) {
		return "NAS of 5G"
	}
	at := 4 // type, procedure code, criticality, length
	if len(b) > 3 && b[3]&0x80 != 0 {
		at++
	}
	if len(b) < at+5 || b[0]&0x1f != 0 || b[0] > 0x40 || b[2]&0x3f != 0 || b[at] != 0 {
		return ""
	}
	switch binary.BigEndian.Uint16(b[at+3:]) { // the first IE
	case 1, 10, 27, 85: // AMFName, AMF-UE-NGAP-ID, GlobalRANNodeID, RAN-UE-NGAP-ID
		return "NGAP of 5G"
	}
	return ""
}

// likely says why a message of the kind that octets begin like is not whole.
func likely(b []byte) string {
	switch later := is5G(b); {
	case later != "":
		return " (it begins like " + later + ", which is not read here)"
	case len(b) < 2:
	case b[0] == 0x07, b[0]&15 == 2 && (b[0]>>4 == 0 || b[0]>>4 >= 5):
		var up, down *eps.Error
		_, err := eps.Parse(eps.Uplink, b)
		errors.As(err, &up)
		if _, err = eps.Parse(eps.Downlink, b); errors.As(err, &down) && up != nil {
			if up.Cause != eps.EMMCauseMessageTypeNonExistentOrNotImplemented {
				return " (as NAS: " + up.Error() + ")"
			}
			if down.Cause != eps.EMMCauseMessageTypeNonExistentOrNotImplemented {
				return " (as NAS: " + down.Error() + ")"
			}
		}
	case len(b) > 3 && b[0]&0x1f == 0 && b[0] <= 0x40 && b[2]&0x3f == 0:
		if _, err := s1ap.Parse(b); err != nil {
			return " (as S1AP: " + err.Error() + ")"
		}
	case b[0]>>5 == 2:
		if _, err := parseGTPv2(b); err != nil {
			return " (as GTPv2-C: " + err.Error() + ")"
		}
	}
	return ""
}

func isS1AP(b []byte) bool {
	if len(b) < 4 || b[0]&0x1f != 0 || b[0] > 0x40 || b[2]&0x3f != 0 {
		return false
	}
	_, err := s1ap.Parse(b)
	var e *s1ap.SyntaxError
	return err == nil || errors.As(err, &e) && e.Known && e.Transfer == nil
}

func isNAS(b []byte) bool {
	if p, err := eps.ParseProtected(b); err == nil {
		return len(p.Payload) >= 2
	}
	_, up := eps.Parse(eps.Uplink, b)
	_, down := eps.Parse(eps.Downlink, b)
	return up == nil || down == nil
}

func isGTPv2(b []byte) bool {
	h, err := parseGTPv2(b)
	return err == nil && messageTypes[h.typ] != ""
}

func isGTPU(b []byte) bool {
	m, err := gtpu.Parse(b)
	if err != nil || gtpu.HeaderLen+int(binary.BigEndian.Uint16(b[2:])) != len(b) {
		return false
	}
	switch m.Type {
	case gtpu.EchoRequest, gtpu.EchoResponse, gtpu.ErrorIndication, gtpu.SupportedHeaders, gtpu.EndMarker, gtpu.GPDU:
		return true
	}
	return false
}

// isSMS reports whether b is a CP message, an RP-DATA, a message as modems have
// it in PDU mode, or a TPDU.
func isSMS(b []byte) bool {
	s := readSMS("sms", b)
	switch s.message.(type) {
	case *sms.CPAck, *sms.CPError, *sms.CPData, *sms.RPData, *sms.Deliver, *sms.Submit, *sms.StatusReport:
		return s.whole()
	}
	return false
}

// isIP reports whether b is a whole IP packet of UDP or SCTP.
func isIP(b []byte) bool {
	if len(b) < 20 {
		return false
	}
	whole := b[0]>>4 == 4 && int(binary.BigEndian.Uint16(b[2:])) == len(b) ||
		b[0]>>4 == 6 && len(b) > 40 && int(binary.BigEndian.Uint16(b[4:]))+40 == len(b)
	var n capture.Network
	_, ok := n.Open(capture.Packet{Link: capture.LinkRaw, Data: b, Length: len(b)})
	return whole && ok
}

// isOther reports whether b is an Ethernet frame with ARP, or with a whole IPv4
// packet of neither UDP nor SCTP: what a dump of a capture has between
// messages.
func isOther(b []byte) bool {
	if len(b) < 14+20 {
		return false
	}
	switch ip := b[14:]; binary.BigEndian.Uint16(b[12:]) {
	case 0x0806:
		return binary.BigEndian.Uint16(ip) == 1 && binary.BigEndian.Uint16(ip[2:]) == 0x0800
	case 0x0800:
		return ip[0]>>4 == 4 && int(binary.BigEndian.Uint16(ip[2:])) <= len(ip) && ip[9] != 17 && ip[9] != 132
	}
	return false
}

// isEthernet reports whether b is an Ethernet frame with such a packet, padded
// perhaps.
func isEthernet(b []byte) bool {
	if len(b) < 14+20 {
		return false
	}
	ip := binary.BigEndian.Uint16(b[12:]) == 0x0800 && b[14]>>4 == 4 || binary.BigEndian.Uint16(b[12:]) == 0x86dd && b[14]>>4 == 6 ||
		binary.BigEndian.Uint16(b[12:]) == 0x8100
	var n capture.Network
	d, ok := n.Open(capture.Packet{Link: capture.LinkEthernet, Data: b, Length: len(b)})
	return ip && ok && d.Cut == 0
}
