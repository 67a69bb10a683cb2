package gtpu

import (
	"encoding/binary"
	"net/netip"

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
	return append(appendSequenced(dst, EchoResponse, seq, 2), elementRecovery, 0)
}

// AppendErrorIndication appends an Error Indication for a G-PDU that came for
// an unknown teid to local, the receiver's own address (TS 29.281 §7.3.1). The
// sequence number is zero (§5.1 asks for S = 1).
func AppendErrorIndication(dst []byte, teid id.TEID, local netip.Addr) []byte {
	a := local.Unmap().AsSlice()
	dst = appendSequenced(dst, ErrorIndication, 0, 5+3+len(a))
	dst = append(dst, elementTEID)
	dst = binary.BigEndian.AppendUint32(dst, uint32(teid))
	dst = append(dst, elementPeer, 0, byte(len(a)))
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
	dst = append(dst, elementHeaders, byte(len(types)))
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
	if m.first != 0 {
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
		var seq uint16
		var npdu uint8
		if m.HasSequence {
			seq = m.Sequence
		}
		if m.HasNPDU {
			npdu = m.NPDU
		}
		dst = append(binary.BigEndian.AppendUint16(dst, seq), npdu, byte(m.first))
	}
	return append(append(dst, m.chain...), m.Payload...), nil
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
		return ErrExtension
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

func appendSequenced(dst []byte, t Type, seq uint16, body int) []byte {
	n := optionalLen + body
	dst = append(dst, 0x30|flagS, byte(t), byte(n>>8), byte(n), 0, 0, 0, 0)
	return append(binary.BigEndian.AppendUint16(dst, seq), 0, 0)
}
