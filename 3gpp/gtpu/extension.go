package gtpu

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// ExtensionType is the type of an extension header (TS 29.281 §5.2.1). Its two
// highest bits say who has to comprehend it.
type ExtensionType uint8

// Extension header types. Those that TS 29.281 reserves for the control plane
// are TS 29.060's.
const (
	MBMSSupport            ExtensionType = 0x01 // control plane
	MSInfoChange           ExtensionType = 0x02 // control plane
	OptionalLongPDCPNumber ExtensionType = 0x03 // as LongPDCPNumber, for a receiver that need not know it
	ServiceClassIndicator  ExtensionType = 0x20
	UDPPort                ExtensionType = 0x40
	RANContainer           ExtensionType = 0x81
	LongPDCPNumber         ExtensionType = 0x82
	XwRANContainer         ExtensionType = 0x83
	NRRANContainer         ExtensionType = 0x84
	PDUSessionContainer    ExtensionType = 0x85
	PDCPNumber             ExtensionType = 0xc0
	SuspendRequest         ExtensionType = 0xc1 // control plane
	SuspendResponse        ExtensionType = 0xc2 // control plane
)

// String gives the name in the specification.
func (t ExtensionType) String() string {
	switch t {
	case 0:
		return "No more extension headers"
	case MBMSSupport:
		return "MBMS support indication"
	case MSInfoChange:
		return "MS Info Change Reporting support indication"
	case OptionalLongPDCPNumber, LongPDCPNumber:
		return "Long PDCP PDU Number"
	case ServiceClassIndicator:
		return "Service Class Indicator"
	case UDPPort:
		return "UDP Port"
	case RANContainer:
		return "RAN Container"
	case XwRANContainer:
		return "Xw RAN Container"
	case NRRANContainer:
		return "NR RAN Container"
	case PDUSessionContainer:
		return "PDU Session Container"
	case PDCPNumber:
		return "PDCP PDU Number"
	case SuspendRequest:
		return "Suspend Request"
	case SuspendResponse:
		return "Suspend Response"
	}
	return fmt.Sprintf("extension header %#02x", uint8(t))
}

// Required reports whether an endpoint that does not know the type must drop
// the message and answer with Supported Extension Headers Notification.
func (t ExtensionType) Required() bool { return t&0x80 != 0 }

// Comprehension is what the two highest bits of a type demand (TS 29.281
// §5.2.1).
type Comprehension uint8

// Comprehension of an extension header that a receiver does not know.
const (
	ForwardUnknown Comprehension = iota // an intermediate node passes it on, an endpoint ignores it
	DiscardUnknown                      // an intermediate node leaves it out, an endpoint ignores it
	EndpointKnows                       // an intermediate node passes it on, an endpoint must know it
	ReceiverKnows                       // whoever receives it must know it
)

// Comprehension says what happens to a header of a type that a receiver does
// not know.
func (t ExtensionType) Comprehension() Comprehension { return Comprehension(t >> 6) }

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
	for t := range m.Extensions {
		if t.Required() && !slices.Contains(known, t) {
			return t, true
		}
	}
	return 0, false
}

// number is the format of the extension headers that hold one number: octets of
// content, octets of the number at its beginning, bits of the number (TS 29.281
// §5.2.2.1, §5.2.2.2, §5.2.2.2A, §5.2.2.3).
func (t ExtensionType) number() (content, octets, bits int) {
	switch t {
	case UDPPort, PDCPNumber:
		return 2, 2, 16
	case ServiceClassIndicator:
		return 2, 1, 8
	case LongPDCPNumber, OptionalLongPDCPNumber:
		return 6, 3, 18
	}
	return 0, 0, 0
}

// Number reads content as the one number that headers of type t hold: a UDP
// port, a PDCP PDU number of 16 or 18 bits, a service class indicator. It is
// false for other types and where content is too short.
func (t ExtensionType) Number(content []byte) (uint32, bool) {
	_, octets, bits := t.number()
	if octets == 0 || len(content) < octets {
		return 0, false
	}
	var n uint32
	for _, b := range content[:octets] {
		n = n<<8 | uint32(b)
	}
	return n & (1<<bits - 1), true
}

// AddNumber appends an extension header with the number that headers of type t
// hold; ErrExtension for other types, and for a number that has more bits.
func (m *Message) AddNumber(t ExtensionType, n uint32) error {
	content, octets, bits := t.number()
	if octets == 0 || n>>bits != 0 {
		return fmt.Errorf("%w: %v cannot hold %d", ErrExtension, t, n)
	}
	var b [8]byte
	binary.BigEndian.PutUint32(b[:], n<<(32-8*octets))
	return m.AddExtension(t, b[:content])
}

// AddExtension appends an extension header to the chain of a message that is
// being built. content is padded with zeros to 4n-2 octets; ErrExtension when it
// exceeds 1018 octets or the chain is full.
func (m *Message) AddExtension(t ExtensionType, content []byte) error {
	count := 0
	for range m.Extensions {
		count++
	}
	units := (len(content) + 2 + 3) / 4
	if t == 0 || units > 255 || count == MaxExtensions {
		return fmt.Errorf("%w: %v of %d octets behind %d others", ErrExtension, t, len(content), count)
	}
	chain := make([]byte, len(m.chain), len(m.chain)+units*4)
	copy(chain, m.chain)
	if count == 0 {
		m.first = t
	} else {
		chain[len(chain)-1] = byte(t)
	}
	chain = append(chain, byte(units))
	chain = append(chain, content...)
	m.chain = append(chain, make([]byte, units*4-1-len(content))...)
	return nil
}
