package per

// OpenStart begins an open type (X.691 §11.2) and returns a mark for OpenEnd.
func (w *Writer) OpenStart() int {
	w.free = 0
	w.buf = append(w.buf, 0)
	return len(w.buf) - 1
}

// OpenEnd ends the open type begun at mark and writes its length.
func (w *Writer) OpenEnd(mark int) {
	w.free = 0
	n := len(w.buf) - mark - 1
	switch {
	case n == 0: // a complete encoding has at least one octet (X.691 §11.1.3)
		w.buf = append(w.buf, 0)
		n = 1
		fallthrough
	case n < 128:
		w.buf[mark] = byte(n)
	case n < fragment:
		w.buf = append(w.buf, 0)
		copy(w.buf[mark+2:], w.buf[mark+1:])
		w.buf[mark] = byte(n>>8) | 0x80
		w.buf[mark+1] = byte(n)
	default:
		body := append([]byte(nil), w.buf[mark+1:]...)
		w.buf = w.buf[:mark]
		w.general(body, len(body), 8)
	}
}

// Field writes the head of a ProtocolIE-Field of the S1 family, id, criticality
// and open type, and returns the mark for OpenEnd.
func (w *Writer) Field(id uint16, criticality uint8) int {
	if criticality > 2 {
		w.Fail("criticality %d", criticality)
	}
	w.free = 0
	w.buf = append(w.buf, byte(id>>8), byte(id), criticality<<6, 0)
	return len(w.buf) - 1
}

// Open writes an open type whose encoding is already there, also an empty one,
// which X.691 §11.1.3 does not know: what was received is passed on as it was.
func (w *Writer) Open(b []byte) { w.general(b, len(b), 8) }

// Patch16 overwrites two octets at an octet offset returned by Len.
func (w *Writer) Patch16(at int, v uint16) {
	w.buf[at], w.buf[at+1] = byte(v>>8), byte(v)
}
