// Package gtpu reads and writes GTPv1-U messages (TS 29.281): the user plane's
// G-PDU and its path and tunnel management messages, with all their extension
// headers and information elements.
//
// It is only octets: it opens no socket, holds no tunnel and counts nothing.
// Parsing does not allocate and aliases the datagram; building appends. What was
// parsed is built again to the same octets, unknown headers and elements
// included; only the spare bit of the first octet is written as zero.
package gtpu

import (
	"encoding/binary"
	"errors"
	"fmt"

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
	TunnelStatus     Type = 253
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
	case TunnelStatus:
		return "Tunnel Status"
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

	fields [optionalLen]byte // the optional octets as they came; those without a flag mean nothing
	empty  bool              // the E flag is set and no extension header follows
	first  ExtensionType     // type of the first extension header, 0 if none
	chain  []byte            // all extension headers, checked by Parse
}

const (
	flagE, flagS, flagPN = 0x04, 0x02, 0x01
	flagPT               = 0x10
	optionalLen          = 4
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
	m.fields = [optionalLen]byte(p)
	next := ExtensionType(p[3])
	p = p[optionalLen:]
	if flags&flagE == 0 || next == 0 {
		m.empty = flags&flagE != 0
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
