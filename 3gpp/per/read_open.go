package per

// Open reads an open type and returns its encoding.
func (r *Reader) Open() []byte {
	b, _ := r.general(8)
	return b
}

// Field reads the head of a ProtocolIE-Field of the S1 family, id and
// criticality; its value follows as an open type.
func (r *Reader) Field() (id uint16, criticality uint8) {
	r.Align()
	i := r.pos >> 3
	if r.end-r.pos < 24 {
		r.short(24)
		return 0, 0
	}
	h := r.buf[i : i+3 : i+3]
	if criticality = h[2] >> 6; criticality > 2 {
		r.Fail("criticality %d", criticality)
		return 0, 0
	}
	r.pos += 18
	return uint16(h[0])<<8 | uint16(h[1]), criticality
}

// Saved is the place in an outer encoding to which Leave returns.
type Saved struct {
	start int    // of the open type's content
	end   int    // of the outer encoding
	outer *outer // nil if the open type is part of the outer buffer
}

type outer struct {
	buf []byte
	pos int
}

// Enter begins to read an open type; Leave ends it.
func (r *Reader) Enter() Saved {
	s := Saved{end: r.end}
	n, more := r.length()
	if more {
		r.pos -= 8
		b := r.Open()
		s.outer = &outer{r.buf, r.pos}
		r.buf, r.pos, r.end = b, 0, len(b)*8
		if r.err != nil {
			r.pos = r.end
		}
		return s
	}
	if n > (r.end-r.pos)>>3 {
		r.short(n * 8)
		return s
	}
	s.start = r.pos
	r.end = r.pos + n*8
	return s
}

// Leave ends an open type. Whole octets that nothing has read are an error,
// unless the value has no bits and the one octet is the empty encoding's.
func (r *Reader) Leave(s Saved) {
	if left := r.end - r.pos; left >= 8 && r.err == nil {
		if left > 8 || r.pos != s.start {
			r.Fail("%d octets follow the value", left/8)
		}
	}
	r.pos, r.end = r.end, s.end
	if s.outer != nil {
		r.buf, r.pos = s.outer.buf, s.outer.pos
	}
	if r.err != nil {
		r.pos = r.end
	}
}

// Rest returns the whole octets not yet read of the present open type.
func (r *Reader) Rest() []byte {
	r.Align()
	return r.raw(max(0, r.end-r.pos) / 8)
}
