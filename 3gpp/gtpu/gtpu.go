// Package gtpu reads and writes GTPv1-U messages (TS 29.281): the user plane's
// G-PDU and its path and tunnel management messages.
//
// It is only octets: it opens no socket, holds no tunnel and counts nothing.
// Parsing does not allocate and aliases the datagram; building appends.
package gtpu

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"campanile.network/3gpp/id"
)

// Port is the registered UDP port (TS 29.281 §4.4.2.3).
const Port = 2152

// HeaderLen is the length of a header without optional fields, in octets.
const HeaderLen = 8

// MaxExtensions bounds an extension header chain.
const MaxExtensions = 8

// Errors of parsing. Test with errors.Is.
var (
	ErrShort     = errors.New("gtpu: datagram too short")
	ErrVersion   = errors.New("gtpu: not GTP version 1")
	ErrPrime     = errors.New("gtpu: protocol type is GTP', not GTP")
	ErrLength    = errors.New("gtpu: length field beyond the datagram")
	ErrExtension = errors.New("gtpu: malformed extension header chain")
	ErrElement   = errors.New("gtpu: malformed or missing information element")
	ErrInner     = errors.New("gtpu: inner packet is not a whole IP packet")
)

// Type is a message type (TS 29.281 §6.1).
type Type uint8

// Message types.
const (
	EchoRequest      Type = 1
	EchoResponse     Type = 2
	ErrorIndication  Type = 26
	SupportedHeaders Type = 31 // Supported Extension Headers Notification
	EndMarker        Type = 254
	GPDU             Type = 255
)

// String gives the name in the specification.
func (t Type) String() string {
	switch t {
	case EchoRequest:
		return "Echo Request"
	case EchoResponse:
		return "Echo Response"
	case ErrorIndication:
		return "Error Indication"
	case SupportedHeaders:
		return "Supported Extension Headers Notification"
	case EndMarker:
		return "End Marker"
	case GPDU:
		return "G-PDU"
	}
	return fmt.Sprintf("message type %d", uint8(t))
}

// Message is a parsed datagram. Payload and the extension chain alias it.
type Message struct {
	Type        Type
	TEID        id.TEID
	HasSequence bool
	Sequence    uint16
	HasNPDU     bool
	NPDU        uint8
	Payload     []byte // T-PDU, or the information elements

	first ExtensionType // type of the first extension header, 0 if none
	chain []byte        // all extension headers, checked by Parse
}

const (
	flagE, flagS, flagPN      = 0x04, 0x02, 0x01
	flagPT                    = 0x10
	optionalLen               = 4
	elementRecovery      byte = 14
	elementTEID          byte = 16
	elementPeer          byte = 133
	elementHeaders       byte = 141
)

// Parse reads a datagram (TS 29.281 §5.1). Octets behind the length that the
// header gives are ignored. It does not allocate when it succeeds.
func Parse(b []byte) (m Message, err error) {
	if len(b) < HeaderLen {
		return m, ErrShort
	}
	if b[0]>>5 != 1 {
		return m, ErrVersion
	}
	if b[0]&flagPT == 0 {
		return m, ErrPrime
	}
	m.Type = Type(b[1])
	m.TEID = id.TEID(binary.BigEndian.Uint32(b[4:]))
	n := HeaderLen + int(binary.BigEndian.Uint16(b[2:]))
	if n > len(b) {
		return m, ErrLength
	}
	m.Payload = b[HeaderLen:n]
	if b[0]&(flagE|flagS|flagPN) != 0 {
		err = m.optional(b[0])
	}
	return m, err
}

// optional reads the four octets that follow when any of E, S and PN is set,
// and the extension header chain.
func (m *Message) optional(flags byte) error {
	p := m.Payload
	if len(p) < optionalLen {
		return ErrShort
	}
	if flags&flagS != 0 {
		m.HasSequence, m.Sequence = true, binary.BigEndian.Uint16(p)
	}
	if flags&flagPN != 0 {
		m.HasNPDU, m.NPDU = true, p[2]
	}
	next := ExtensionType(p[3])
	p = p[optionalLen:]
	if flags&flagE == 0 || next == 0 {
		m.Payload = p
		return nil
	}
	m.first, m.chain = next, p
	for i := 0; next != 0; i++ {
		if len(p) == 0 || p[0] == 0 || len(p) < int(p[0])*4 || i == MaxExtensions {
			m.first, m.chain = 0, nil
			return ErrExtension
		}
		n := int(p[0]) * 4
		next = ExtensionType(p[n-1])
		p = p[n:]
	}
	m.chain = m.chain[:len(m.chain)-len(p)]
	m.Payload = p
	return nil
}

// ExtensionType is the type of an extension header (TS 29.281 §5.2.1).
type ExtensionType uint8

// Extension header types.
const (
	ServiceClassIndicator ExtensionType = 0x20
	UDPPort               ExtensionType = 0x40
	RANContainer          ExtensionType = 0x81
	LongPDCPNumber        ExtensionType = 0x82
	PDUSessionContainer   ExtensionType = 0x85
	PDCPNumber            ExtensionType = 0xc0
)

// Required reports whether an endpoint that does not know the type must drop
// the message and answer with Supported Extension Headers Notification.
func (t ExtensionType) Required() bool { return t&0x80 != 0 }

// Extensions iterates over the extension headers: type and content without the
// length and next-type octets.
func (m *Message) Extensions(yield func(ExtensionType, []byte) bool) {
	t, p := m.first, m.chain
	for t != 0 && len(p) > 0 {
		n := int(p[0]) * 4
		if !yield(t, p[1:n-1]) {
			return
		}
		t, p = ExtensionType(p[n-1]), p[n:]
	}
}

// Unknown gives the first extension header that an endpoint must comprehend and
// that is not in known; false if there is none.
func (m *Message) Unknown(known ...ExtensionType) (ExtensionType, bool) {
next:
	for t := range m.Extensions {
		if !t.Required() {
			continue
		}
		for _, k := range known {
			if t == k {
				continue next
			}
		}
		return t, true
	}
	return 0, false
}

// ErrorIndicationOf reads the tunnel that a peer does not know: its TEID and
// the peer's address for it (TS 29.281 §7.3.1). ErrElement if either is missing.
func ErrorIndicationOf(m Message) (teid id.TEID, peer netip.Addr, err error) {
	haveTEID := false
	for p := m.Payload; len(p) > 0; {
		t, value, rest, ok := element(p)
		if !ok {
			return 0, netip.Addr{}, ErrElement
		}
		switch t {
		case elementTEID:
			teid, haveTEID = id.TEID(binary.BigEndian.Uint32(value)), true
		case elementPeer:
			if peer, ok = netip.AddrFromSlice(value); !ok {
				return 0, netip.Addr{}, ErrElement
			}
		}
		p = rest
	}
	if !haveTEID || !peer.IsValid() {
		return 0, netip.Addr{}, ErrElement
	}
	return teid, peer, nil
}

// SupportedHeadersOf gives the extension header types that a peer supports
// (TS 29.281 §7.2.3). The result aliases the datagram.
func SupportedHeadersOf(m Message) ([]byte, error) {
	for p := m.Payload; len(p) > 0; {
		if p[0] == elementHeaders && len(p) >= 2 && len(p) >= 2+int(p[1]) {
			return p[2 : 2+int(p[1])], nil // one octet of length (TS 29.281 §8.5)
		}
		_, _, rest, ok := element(p)
		if !ok {
			break
		}
		p = rest
	}
	return nil, ErrElement
}

// element splits off the first information element (TS 29.281 §8.1): TV below
// 128, TLV above. An unknown TV cannot be skipped.
func element(p []byte) (t byte, value, rest []byte, ok bool) {
	t = p[0]
	head, n := 1, 0
	switch {
	case t == elementRecovery:
		n = 1
	case t == elementTEID:
		n = 4
	case t == elementHeaders && len(p) >= 2:
		head, n = 2, int(p[1])
	case t >= 128 && len(p) >= 3:
		head, n = 3, int(binary.BigEndian.Uint16(p[1:]))
	default:
		return 0, nil, nil, false
	}
	if len(p) < head+n {
		return 0, nil, nil, false
	}
	return t, p[head : head+n], p[head+n:], true
}
