package per

import "fmt"

// Writer appends an aligned PER encoding to a byte slice. The zero value with
// Reset called is ready for use; it may live on the stack.
type Writer struct {
	buf  []byte
	free uint // unused low bits of the last octet of buf
	at   string
	err  *Error
}

// Reset makes the writer append to dst, which it owns until Bytes is called.
func (w *Writer) Reset(dst []byte) { *w = Writer{buf: dst} }

// Bytes returns the slice with what was written, the last octet zero-padded.
func (w *Writer) Bytes() []byte { return w.buf }

// Len is the number of octets in the buffer, the unfinished one included.
func (w *Writer) Len() int { return len(w.buf) }

// Err returns the first error, nil if there was none. Its type is *Error.
func (w *Writer) Err() error {
	if w.err == nil {
		return nil
	}
	return w.err
}

// Failed reports whether an error has occurred.
func (w *Writer) Failed() bool { return w.err != nil }

// At names the component written next; it appears in the error.
func (w *Writer) At(field string) { w.at = field }

// Fail records an error unless there is one already.
func (w *Writer) Fail(format string, args ...any) {
	if w.err == nil {
		w.err = &Error{Field: w.at, Bit: len(w.buf) * 8, Reason: fmt.Sprintf(format, args...)}
	}
}

// Align fills the last octet with zero bits.
func (w *Writer) Align() { w.free = 0 }

// Bits writes the n low bits of v, the most significant first. n is at most 64.
func (w *Writer) Bits(v uint64, n int) {
	left := uint(n)
	if left-1 < w.free { // 1..free: the usual case
		w.free -= left
		w.buf[len(w.buf)-1] |= byte(v&(1<<left-1)) << w.free
		return
	}
	if w.free > 0 && left > 0 {
		left -= w.free
		w.buf[len(w.buf)-1] |= byte(v >> left & (1<<w.free - 1))
		w.free = 0
	}
	for left >= 8 {
		left -= 8
		w.buf = append(w.buf, byte(v>>left))
	}
	if left > 0 {
		w.free = 8 - left
		w.buf = append(w.buf, byte(v<<w.free))
	}
}

// Bit writes one bit.
func (w *Writer) Bit(b bool) {
	if w.free == 0 {
		w.buf = append(w.buf, 0)
		w.free = 8
	}
	w.free--
	if b {
		w.buf[len(w.buf)-1] |= 1 << w.free
	}
}

// raw appends octets after aligning.
func (w *Writer) raw(b []byte) {
	w.free = 0
	w.buf = append(w.buf, b...)
}

// octets writes v in n octets after aligning.
func (w *Writer) octets(v uint64, n int) {
	w.free = 0
	for n--; n >= 0; n-- {
		w.buf = append(w.buf, byte(v>>(8*uint(n))))
	}
}
