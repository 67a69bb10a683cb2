package gsm7

import (
	"encoding/binary"
	"fmt"
)

// Fill gives the fill bits between a user data header of n octets, its length
// octet included, and the first septet behind it: 0 to 6 (TS 23.040 §9.2.3.24).
func Fill(n int) int { return (7 - n%7) % 7 }

// Pack appends septets to dst as a short message carries them, the first one in
// the lowest bits, behind fill zero bits (TS 23.038 §6.1.2.1). Spare bits at the
// end are zero. fill is 0 to 7.
func Pack(dst, septets []byte, fill int) []byte {
	var bits uint64
	for ; len(septets) >= 8; septets = septets[8:] {
		bits |= squeeze(binary.LittleEndian.Uint64(septets)) << fill
		dst = binary.LittleEndian.AppendUint64(dst, bits)
		dst = dst[:len(dst)-1]
		bits >>= 56
	}
	for _, s := range septets {
		bits |= uint64(s&0x7f) << fill
		fill += 7
	}
	for ; fill > 0; fill -= 8 {
		dst = append(dst, byte(bits))
		bits >>= 8
	}
	return dst
}

// Unpack appends n septets to dst, one to an octet, that stand behind fill bits
// of packed. It is an error when packed is too short for them.
func Unpack(dst, packed []byte, fill, n int) ([]byte, error) {
	if fill < 0 || fill > 7 || n < 0 || (len(packed)*8-fill)/7 < n || len(packed) == 0 && fill > 0 {
		return dst, fmt.Errorf("gsm7: %d octets do not hold %d septets behind %d fill bits", len(packed), n, fill)
	}
	for ; n >= 8 && len(packed) >= 8; n -= 8 {
		dst = binary.LittleEndian.AppendUint64(dst, spread(binary.LittleEndian.Uint64(packed)>>fill))
		packed = packed[7:]
	}
	for at := fill; n > 0; n-- {
		v := uint16(packed[at/8])
		if at%8 > 1 {
			v |= uint16(packed[at/8+1]) << 8
		}
		dst = append(dst, byte(v>>(at%8))&0x7f)
		at += 7
	}
	return dst, nil
}

// squeeze takes bit 8 out of each of eight octets: 56 bits stay.
func squeeze(w uint64) uint64 {
	w = w&0x007f007f007f007f | w>>1&0x3f803f803f803f80
	w = w&0x00003fff00003fff | w>>2&0x0fffc0000fffc000
	return w&0x000000000fffffff | w>>4&0x00fffffff0000000
}

// spread undoes squeeze; what is above 56 bits is ignored.
func spread(w uint64) uint64 {
	w = w&0x000000000fffffff | w<<4&0x0fffffff00000000
	w = w&0x00003fff00003fff | w<<2&0x3fff00003fff0000
	return w&0x007f007f007f007f | w<<1&0x7f007f007f007f00
}

const cr = '\r' // pads where seven zero bits would be read as another @

// PackUSSD appends septets to dst as USSD and network names carry them, where
// nothing but the number of octets tells how many there are: a carriage return
// fills seven spare bits, and a text that ends on an octet with a carriage return
// gets a second one (TS 23.038 §6.1.2.3.1).
func PackUSSD(dst, septets []byte) []byte {
	n := len(septets)
	switch {
	case n%8 == 7:
		dst = Pack(dst, septets, 0)
		dst[len(dst)-1] |= cr << 1
		return dst
	case n > 0 && n%8 == 0 && septets[n-1]&0x7f == cr:
		return append(Pack(dst, septets, 0), cr)
	}
	return Pack(dst, septets, 0)
}

// UnpackUSSD appends the septets of packed to dst, one to an octet, without a
// carriage return that ends on the last octet (TS 23.038 §6.1.2.3.1). The second
// carriage return that PackUSSD may have added stays: it means the same as one.
func UnpackUSSD(dst, packed []byte) []byte {
	dst, _ = Unpack(dst, packed, 0, len(packed)*8/7) // as many as fit: no error
	if n := len(packed); n > 0 && n%7 == 0 && packed[n-1]>>1 == cr {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// A page of a cell broadcast message.
const (
	PageSeptets = 93 // characters of a page
	PageOctets  = 82 // octets that carry them
)

// PackPage appends a page of cell broadcast to dst: septets, and carriage returns
// up to 93 of them, in 82 octets (TS 23.038 §6.1.2.2.1). More are an error.
func PackPage(dst, septets []byte) ([]byte, error) {
	if len(septets) > PageSeptets {
		return dst, fmt.Errorf("gsm7: %d septets for a page of %d", len(septets), PageSeptets)
	}
	var page [PageSeptets]byte
	for i := copy(page[:], septets); i < len(page); i++ {
		page[i] = cr
	}
	return Pack(dst, page[:], 0), nil
}

// UnpackPage appends the septets of a page of cell broadcast to dst, one to an
// octet, without the carriage returns that fill it. A page that a network sends
// in fewer than 82 octets is read as far as it goes; octets behind them are
// ignored.
func UnpackPage(dst, packed []byte) []byte {
	n := min(len(packed)*8/7, PageSeptets)
	start := len(dst)
	dst, _ = Unpack(dst, packed, 0, n) // as many as fit: no error
	for len(dst) > start && dst[len(dst)-1] == cr {
		dst = dst[:len(dst)-1]
	}
	return dst
}
