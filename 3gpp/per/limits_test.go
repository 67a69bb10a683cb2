package per

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// TestLimits refuses what is just beyond a limit, with input enough behind it
// that nothing else is wrong.
func TestLimits(t *testing.T) {
	rest := strings.Repeat("00", 12)
	for _, c := range []struct {
		hex, want string
		read      func(*Reader)
	}{
		{"a0000000000005" + rest, "number of 6 octets", func(r *Reader) { r.Int(0, 1e10) }},
		{"8009010000000000000000" + rest, "cannot be held", func(r *Reader) { r.IntExt(0, 15, 1<<64-1) }},
		{"e001fd" + rest, "enumeration addition 253 cannot be held", func(r *Reader) { r.EnumExt(3) }},
		{"8000" + rest, "size 0 is not in 1..150", func(r *Reader) { r.Octets(Size{1, 150, true}) }},
		{"0202ff", "1 octets follow the value", func(r *Reader) { s := r.Enter(); r.Octet(); r.Leave(s) }},
		{"04" + "00000000", "4 elements are claimed", func(r *Reader) { r.Count(0, 255, 9) }},
	} {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		r := reader(b)
		c.read(r)
		var e *Error
		if !errors.As(r.Err(), &e) || !strings.Contains(e.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.hex, r.Err(), c.want)
		}
	}
	for _, c := range []struct {
		hex  string
		read func(*Reader) any
		want any
	}{
		{"e001fc", func(r *Reader) any { return r.EnumExt(3) }, uint8(255)},
		{"8009008000000000000000", func(r *Reader) any { return r.IntExt(0, 15, 1<<64-1) }, uint64(1 << 63)},
		{"04" + "00000000", func(r *Reader) any { return r.Count(0, 255, 8) }, 4},
	} {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(err)
		}
		r := reader(b)
		if got := c.read(r); got != c.want || r.Err() != nil {
			t.Errorf("%s: %v, %v", c.hex, got, r.Err())
		}
	}
}

// TestInputIsNotTouched reads a bit string whose last octet holds bits of what
// follows: its own are alone in what is returned, and the input stays.
func TestInputIsNotTouched(t *testing.T) {
	in := []byte{0x0b, 0xff, 0xff, 0x80}
	before := bytes.Clone(in)
	r := reader(in)
	s := r.BitString(Size{Min: 0, Max: 255})
	if s.Len != 11 || !bytes.Equal(s.Bytes, []byte{0xff, 0xe0}) || !bytes.Equal(in, before) {
		t.Errorf("%d bits % x, input % x", s.Len, s.Bytes, in)
	}
	if rest := r.Bits(5); rest != 0x1f || r.Err() != nil {
		t.Errorf("behind it %#x, %v", rest, r.Err())
	}
}
