package gtpu

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"campanile.network/3gpp/id"
)

// PutHeader writes the eight octets of a G-PDU header without optional fields
// in front of a T-PDU of n octets. n is at most 65535; a longer one is cut by
// the field and must not be sent.
func PutHeader(h *[HeaderLen]byte, teid id.TEID, n int) {
	h[0], h[1] = 0x30, byte(GPDU)
	binary.BigEndian.PutUint16(h[2:], uint16(n))
	binary.BigEndian.PutUint32(h[4:], uint32(teid))
}

// AppendGPDU appends a G-PDU without optional fields that carries packet.
func AppendGPDU(dst []byte, teid id.TEID, packet []byte) []byte {
	var h [HeaderLen]byte
	PutHeader(&h, teid, len(packet))
	return append(append(dst, h[:]...), packet...)
}

// AppendEchoRequest appends an Echo Request (TS 29.281 §7.2.1).
func AppendEchoRequest(dst []byte, seq uint16) []byte {
	return appendSequenced(dst, EchoRequest, seq, 0)
}

// AppendEchoResponse appends an Echo Response; its restart counter is zero as
// the specification wants (TS 29.281 §7.2.2).
func AppendEchoResponse(dst []byte, seq uint16) []byte {
	return append(appendSequenced(dst, EchoResponse, seq, 2), byte(ElementRecovery), 0)
}

// AppendErrorIndication appends an Error Indication for a G-PDU that came for
// an unknown teid to local, the receiver's own address (TS 29.281 §7.3.1). The
// sequence number is zero (TS 29.281 §5.1 asks for S = 1).
func AppendErrorIndication(dst []byte, teid id.TEID, local netip.Addr) []byte {
	a := local.Unmap().AsSlice()
	dst = appendSequenced(dst, ErrorIndication, 0, 5+3+len(a))
	dst = append(dst, byte(ElementTEID))
	dst = binary.BigEndian.AppendUint32(dst, uint32(teid))
	dst = append(dst, byte(ElementPeer), 0, byte(len(a)))
	return append(dst, a...)
}

// AppendEndMarker appends an End Marker: the last packet of this tunnel on the
// old path (TS 29.281 §7.3.2).
func AppendEndMarker(dst []byte, teid id.TEID) []byte {
	dst = append(dst, 0x30, byte(EndMarker), 0, 0)
	return binary.BigEndian.AppendUint32(dst, uint32(teid))
}

// AppendSupportedHeaders appends a Supported Extension Headers Notification
// (TS 29.281 §7.2.3) with at most 255 types.
func AppendSupportedHeaders(dst []byte, types ...ExtensionType) []byte {
	types = types[:min(len(types), 255)]
	dst = appendSequenced(dst, SupportedHeaders, 0, 2+len(types))
	dst = append(dst, byte(ElementHeaders), byte(len(types)))
	for _, t := range types {
		dst = append(dst, byte(t))
	}
	return dst
}

// Append appends a message with every field of m, its extension headers
// included. A Payload whose message exceeds 65535 octets gives ErrLength.
func (m *Message) Append(dst []byte) ([]byte, error) {
	flags, optional := byte(0x30), 0
	if m.HasSequence {
		flags |= flagS
	}
	if m.HasNPDU {
		flags |= flagPN
	}
	if m.first != 0 || m.empty {
		flags |= flagE
	}
	if flags != 0x30 {
		optional = optionalLen
	}
	n := optional + len(m.chain) + len(m.Payload)
	if n > 0xffff {
		return dst, ErrLength
	}
	dst = append(dst, flags, byte(m.Type), byte(n>>8), byte(n))
	dst = binary.BigEndian.AppendUint32(dst, uint32(m.TEID))
	if optional != 0 {
		fields := m.fields
		if m.HasSequence {
			binary.BigEndian.PutUint16(fields[:], m.Sequence)
		}
		if m.HasNPDU {
			fields[2] = m.NPDU
		}
		if m.first != 0 {
			fields[3] = byte(m.first)
		}
		dst = append(dst, fields[:]...)
	}
	return append(append(dst, m.chain...), m.Payload...), nil
}

// AppendTunnelStatus appends a Tunnel Status for teid, a tunnel of the receiver:
// whether charging is paused from here on (TS 29.281 §7.3.3).
func AppendTunnelStatus(dst []byte, teid id.TEID, pause bool) []byte {
	at := len(dst)
	dst = appendSequenced(dst, TunnelStatus, 0, 4)
	binary.BigEndian.PutUint32(dst[at+4:], uint32(teid))
	var spoc byte
	if pause {
		spoc = 1
	}
	return append(dst, byte(ElementTunnelStatus), 0, 1, spoc)
}

// AppendElement appends an information element to the elements of a message that
// is being built; they have to follow in ascending order of their types (TS
// 29.281 §8.1). ErrElement where the type cannot have such a value: an unknown
// type without a length among them.
func AppendElement(dst []byte, t ElementType, value []byte) ([]byte, error) {
	switch {
	case t < 128 && t != ElementRecovery && t != ElementTEID, !t.valid(value), len(value) > 0xffff:
		return dst, fmt.Errorf("%w: %v of %d octets", ErrElement, t, len(value))
	case t < 128:
		dst = append(dst, byte(t))
	case t == ElementHeaders:
		dst = append(dst, byte(t), byte(len(value)))
	default:
		dst = append(dst, byte(t), byte(len(value)>>8), byte(len(value)))
	}
	return append(dst, value...), nil
}

// AppendPrivate appends a private extension to the elements of a message that is
// being built: who defined it, and a value of at most 65533 octets.
func AppendPrivate(dst []byte, identifier uint16, value []byte) ([]byte, error) {
	return AppendElement(dst, ElementPrivate, append(binary.BigEndian.AppendUint16(nil, identifier), value...))
}

// RecoveryTimeValue gives t as the value of a Recovery Time Stamp; ErrElement
// before 1900 and after 2036.
func RecoveryTimeValue(t time.Time) ([]byte, error) {
	s := int64(t.Sub(ntpEpoch()) / time.Second)
	if s < 0 || s > 0xffffffff {
		return nil, fmt.Errorf("%w: %v has no time stamp", ErrElement, t)
	}
	return binary.BigEndian.AppendUint32(nil, uint32(s)), nil
}

func appendSequenced(dst []byte, t Type, seq uint16, body int) []byte {
	n := optionalLen + body
	dst = append(dst, 0x30|flagS, byte(t), byte(n>>8), byte(n), 0, 0, 0, 0)
	return append(binary.BigEndian.AppendUint16(dst, seq), 0, 0)
}
