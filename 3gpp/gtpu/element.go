package gtpu

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"campanile.network/3gpp/id"
)

// ElementType is the type of an information element (TS 29.281 §8.1): one
// without a length below 128, one with a length above.
type ElementType uint8

// Information elements.
const (
	ElementRecovery     ElementType = 14
	ElementTEID         ElementType = 16
	ElementPeer         ElementType = 133
	ElementHeaders      ElementType = 141
	ElementTunnelStatus ElementType = 230
	ElementRecoveryTime ElementType = 231
	ElementPrivate      ElementType = 255
)

// String gives the name in the specification.
func (t ElementType) String() string {
	switch t {
	case ElementRecovery:
		return "Recovery"
	case ElementTEID:
		return "Tunnel Endpoint Identifier Data I"
	case ElementPeer:
		return "GTP-U Peer Address"
	case ElementHeaders:
		return "Extension Header Type List"
	case ElementTunnelStatus:
		return "GTP-U Tunnel Status Information"
	case ElementRecoveryTime:
		return "Recovery Time Stamp"
	case ElementPrivate:
		return "Private Extension"
	}
	return fmt.Sprintf("information element %d", uint8(t))
}

// Elements iterates over the information elements of a message that is no G-PDU:
// type and value. It ends before an element that is malformed, or of an unknown
// type without a length, which nothing can skip.
func (m *Message) Elements(yield func(ElementType, []byte) bool) {
	for p := m.Payload; len(p) > 0; {
		t, value, rest, ok := element(p)
		if !ok || !yield(t, value) {
			return
		}
		p = rest
	}
}

// element splits off the first information element.
func element(p []byte) (t ElementType, value, rest []byte, ok bool) {
	t = ElementType(p[0])
	head, n := 1, 0
	switch {
	case t == ElementRecovery:
		n = 1
	case t == ElementTEID:
		n = 4
	case t == ElementHeaders && len(p) >= 2: // one octet of length (TS 29.281 §8.5)
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

// element gives the value of the first element of type t: repeated ones do not
// count, and one of a length that it cannot have is as good as missing.
func (m *Message) element(t ElementType) ([]byte, bool) {
	for e, value := range m.Elements {
		if e == t {
			return value, t.valid(value)
		}
	}
	return nil, false
}

// mandatory are the elements without which a message of type t says nothing
// (TS 29.281 §7.2, §7.3).
func (t Type) mandatory() []ElementType {
	switch t {
	case EchoResponse:
		return []ElementType{ElementRecovery}
	case SupportedHeaders:
		return []ElementType{ElementHeaders}
	case ErrorIndication:
		return []ElementType{ElementTEID, ElementPeer}
	case TunnelStatus:
		return []ElementType{ElementTunnelStatus}
	}
	return nil
}

// valid reports whether value has a length that an element of type t can have.
// What is longer than this release knows is valid.
func (t ElementType) valid(value []byte) bool {
	n := len(value)
	switch t {
	case ElementRecovery:
		return n == 1
	case ElementTEID:
		return n == 4
	case ElementPeer:
		return n == 4 || n == 16
	case ElementHeaders:
		return n <= 0xff
	case ElementTunnelStatus:
		return n >= 1
	case ElementRecoveryTime:
		return n >= 4
	case ElementPrivate:
		return n >= 2
	}
	return true
}

// Check reports what is wrong with the information elements of m: one that is
// cut short or has no known length, a mandatory one that is missing or malformed.
// Its errors are ErrElement. Unknown elements with a length are ignored, as are
// optional ones that are malformed. A G-PDU has none and is always right.
func (m *Message) Check() error {
	if m.Type == GPDU {
		return nil
	}
	for p := m.Payload; len(p) > 0; {
		_, _, rest, ok := element(p)
		if !ok {
			return fmt.Errorf("%w: %v: %v at octet %d of the elements", ErrElement, m.Type, ElementType(p[0]), len(m.Payload)-len(p))
		}
		p = rest
	}
	for _, t := range m.Type.mandatory() {
		if value, ok := m.element(t); value == nil {
			return fmt.Errorf("%w: %v without %v", ErrElement, m.Type, t)
		} else if !ok {
			return fmt.Errorf("%w: %v: %v of %d octets", ErrElement, m.Type, t, len(value))
		}
	}
	return nil
}

// Recovery gives the restart counter, which a receiver ignores (TS 29.281 §8.2);
// false if there is none.
func (m *Message) Recovery() (uint8, bool) {
	v, ok := m.element(ElementRecovery)
	if !ok {
		return 0, false
	}
	return v[0], true
}

// DataTEID gives Tunnel Endpoint Identifier Data I (TS 29.281 §8.3); false if
// there is none.
func (m *Message) DataTEID() (id.TEID, bool) {
	v, ok := m.element(ElementTEID)
	if !ok {
		return 0, false
	}
	return id.TEID(binary.BigEndian.Uint32(v)), true
}

// Peer gives GTP-U Peer Address (TS 29.281 §8.4); false if there is none of 4 or
// 16 octets.
func (m *Message) Peer() (netip.Addr, bool) {
	v, _ := m.element(ElementPeer)
	return netip.AddrFromSlice(v)
}

// HeaderTypes gives the extension header types that the sender supports, an
// octet each, aliasing the datagram (TS 29.281 §8.5); false if they are missing.
func (m *Message) HeaderTypes() ([]byte, bool) { return m.element(ElementHeaders) }

// PausesCharging gives SPOC, start pause of charging, of GTP-U Tunnel Status
// Information (TS 29.281 §8.7); false if that is missing.
func (m *Message) PausesCharging() (spoc, ok bool) {
	v, ok := m.element(ElementTunnelStatus)
	return ok && pausesCharging(v), ok
}

func pausesCharging(status []byte) bool { return status[0]&1 != 0 }

// RecoveryTime gives when the sender started, to the second (TS 29.281 §8.8);
// false if that is missing.
func (m *Message) RecoveryTime() (time.Time, bool) {
	v, ok := m.element(ElementRecoveryTime)
	if !ok {
		return time.Time{}, false
	}
	return recoveryTime(v), true
}

func recoveryTime(stamp []byte) time.Time {
	return ntpEpoch().Add(time.Duration(binary.BigEndian.Uint32(stamp)) * time.Second)
}

func ntpEpoch() time.Time { return time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC) }

// Private gives a private extension: the identifier of who defined it and its
// value, aliasing the datagram (TS 29.281 §8.6); false if there is none.
func (m *Message) Private() (identifier uint16, value []byte, ok bool) {
	v, ok := m.element(ElementPrivate)
	if !ok {
		return 0, nil, false
	}
	return binary.BigEndian.Uint16(v), v[2:], true
}

// ErrorIndicationOf reads the tunnel that a peer does not know: its TEID and
// the peer's address for it (TS 29.281 §7.3.1). ErrElement if either is missing.
func ErrorIndicationOf(m Message) (teid id.TEID, peer netip.Addr, err error) {
	if err := m.Check(); err != nil {
		return 0, netip.Addr{}, err
	}
	teid, haveTEID := m.DataTEID()
	peer, havePeer := m.Peer()
	if !haveTEID || !havePeer {
		return 0, netip.Addr{}, ErrElement
	}
	return teid, peer, nil
}
