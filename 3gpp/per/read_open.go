package per

import "encoding/binary"

// Open reads an open type and returns its encoding.
func (r *Reader) Open() []byte {
	if b := r.brief(); b != nil {
		return b
	}
	b, _ := r.general(8)
	return b
}

// brief returns a content of less than 128 octets after its length. For another
// one it reads nothing and returns nil.
func (r *Reader) brief() []byte {
	i := (r.pos + 7) >> 3
	if i >= r.end>>3 {
		return nil
	}
	n := int(r.buf[i])
	if n >= 0x80 || i+n >= r.end>>3 {
		return nil
	}
	r.pos = (i + 1 + n) << 3
	return r.buf[i+1 : i+1+n : i+1+n]
}

// Saved is the place in an outer encoding to which Leave returns.
type Saved struct {
	start int // of the open type's content, -1 if that came in fragments
	end   int // of the outer encoding
}

// outer is an encoding left for an open type that came in fragments.
type outer struct {
	buf []byte
	pos int
}

// NoField is the id that EnterField returns with an error.
const NoField = 65535

// EnterField reads the head of a ProtocolIE-Field of the S1 family, id and
// criticality, and enters its value, an open type; Leave ends it.
func (r *Reader) EnterField() (id uint16, criticality uint8, s Saved) {
	i := (r.pos + 7) >> 3
	if r.end>>3-i < 4 {
		r.Align()
		r.short(32)
		return NoField, 0, Saved{end: r.end}
	}
	h := binary.BigEndian.Uint32(r.buf[i : i+4])
	if h>>14&3 > 2 {
		r.Fail("criticality %d", h>>14&3)
		return NoField, 0, Saved{end: r.end}
	}
	if n := int(h & 0xff); n < 0x80 && i+4+n <= r.end>>3 {
		s = Saved{start: i<<3 + 32, end: r.end}
		r.pos, r.end = s.start, s.start+n<<3
		return uint16(h >> 16), uint8(h >> 14 & 3), s
	}
	r.pos = i<<3 + 24
	return uint16(h >> 16), uint8(h >> 14 & 3), r.enterLong()
}

// Enter begins to read an open type; Leave ends it.
func (r *Reader) Enter() Saved {
	i := (r.pos + 7) >> 3
	if i < r.end>>3 {
		if n := int(r.buf[i]); n < 0x80 && i+n < r.end>>3 {
			s := Saved{start: i<<3 + 8, end: r.end}
			r.pos = s.start
			r.end = s.start + n<<3
			return s
		}
	}
	return r.enterLong()
}

// enterLong enters an open type of more than 127 octets.
func (r *Reader) enterLong() Saved {
	n, more := r.length()
	if more {
		r.pos -= 8
		b := r.Open()
		if r.err != nil {
			return Saved{end: r.end}
		}
		s := Saved{start: -1, end: r.end}
		r.outers = append(r.outers, outer{r.buf, r.pos})
		r.buf, r.pos, r.end = b, 0, len(b)*8
		return s
	}
	s := Saved{start: r.pos, end: r.end}
	if n > (r.end-r.pos)>>3 {
		r.short(n * 8)
		return s
	}
	r.end = r.pos + n*8
	return s
}

// Leave ends an open type. Whole octets that nothing has read are an error,
// unless the value has no bits and the one octet is the empty encoding's.
func (r *Reader) Leave(s Saved) {
	if r.end-r.pos < 8 && s.start >= 0 {
		r.pos, r.end = max(r.pos, r.end), s.end // a failed position stays
		return
	}
	r.leaveOdd(s)
}

// leaveOdd leaves an open type with something unread or in fragments.
func (r *Reader) leaveOdd(s Saved) {
	if left := r.end - r.pos; left > 8 || left == 8 && r.pos != max(s.start, 0) {
		r.Fail("%d octets follow the value", left/8)
	}
	r.pos = max(r.pos, r.end)
	r.end = s.end
	if s.start < 0 {
		last := len(r.outers) - 1
		r.buf = r.outers[last].buf
		if r.err == nil {
			r.pos = r.outers[last].pos
		}
		r.outers = r.outers[:last]
	}
}

// Rest returns the whole octets not yet read of the present open type.
func (r *Reader) Rest() []byte {
	r.Align()
	return r.raw(max(0, r.end-r.pos) / 8)
}
