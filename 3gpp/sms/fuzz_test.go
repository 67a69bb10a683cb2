package sms

import (
	"bytes"
	"errors"
	"testing"

	"campanile.network/3gpp/internal/testkit"
)

// seeds adds instances and goldens of the kinds that want says.
func seeds(f *testing.F, want func(Message) bool) {
	for i, k := range kinds() {
		g := newGen(uint64(500 + i))
		for range 5 {
			if m := k.random(g); want(m) {
				f.Add(bool(k.dir), must(Append(nil, m)))
			}
		}
	}
	for _, g := range goldens(f) {
		if m, err := g.kind.parse(g.pdu); err == nil && want(m) {
			f.Add(bool(g.kind.dir), g.pdu)
		}
	}
}

// fuzz: whatever parses is appended to the same octets and can be shown.
func fuzz(t *testing.T, b []byte, parse func([]byte) (Message, error)) {
	t.Helper()
	before := bytes.Clone(b)
	m, err := parse(b)
	if !bytes.Equal(b, before) {
		t.Fatal("the input was changed")
	}
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || e.Offset > len(b) {
			t.Fatalf("%x: error %v", b, err)
		}
		if a := e.Answer(); a != nil {
			if _, err := Append(nil, a); err != nil {
				t.Fatalf("%x: answer %v: %v", b, a, err)
			}
		}
		return
	}
	out, err := Append(nil, m)
	if err != nil || !bytes.Equal(out, b) {
		t.Fatalf("%x became %x, %v", b, out, err)
	}
	_ = m.String()
	_, dcs, user := inside(m)
	_, _ = user.Text(dcs)
	_, _ = (Part{dcs, user}).concatenation()
}

// inside gives the TPDU in a message, if one can be read, and its user data.
func inside(m Message) (TPDU, DCS, UserData) {
	switch m := m.(type) {
	case *CPData:
		if rp, err := m.RP(); err == nil {
			return inside(rp)
		}
	case *RPData:
		if t, err := m.TPDU(); err == nil {
			return inside(t)
		}
	case *RPAck:
		if t, err := m.TPDU(); err == nil {
			return inside(t)
		}
	case *RPError:
		if t, err := m.TPDU(); err == nil {
			return inside(t)
		}
	case *Deliver:
		return m, m.DCS, m.User
	case *Submit:
		return m, m.DCS, m.User
	case *DeliverReport:
		return m, m.DCS.V, m.User.V
	case *SubmitReport:
		return m, m.DCS.V, m.User.V
	case *StatusReport:
		return m, m.DCS.V, m.User.V
	case *Command:
		return m, DCS8Bit, m.Data
	}
	return nil, 0, UserData{}
}

func FuzzParseCP(f *testing.F) {
	seeds(f, func(m Message) bool { _, ok := m.(CP); return ok })
	f.Fuzz(func(t *testing.T, _ bool, b []byte) {
		fuzz(t, b, func(b []byte) (Message, error) { return lift(ParseCP(b)) })
	})
}

func FuzzParseRP(f *testing.F) {
	seeds(f, func(m Message) bool { _, ok := m.(RP); return ok })
	f.Fuzz(func(t *testing.T, down bool, b []byte) {
		fuzz(t, b, func(b []byte) (Message, error) { return lift(ParseRP(Direction(down), b)) })
	})
}

func FuzzParse(f *testing.F) {
	seeds(f, func(m Message) bool { _, ok := m.(TPDU); return ok })
	f.Fuzz(func(t *testing.T, down bool, b []byte) {
		fuzz(t, b, func(b []byte) (Message, error) { return lift(Parse(Direction(down), b)) })
		for _, failed := range []bool{false, true} {
			fuzz(t, b, func(b []byte) (Message, error) { return lift(ParseReport(Direction(down), b, failed)) })
		}
	})
}

// FuzzUserData: headers and texts of any octets.
func FuzzUserData(f *testing.F) {
	for _, g := range goldens(f) {
		if m, err := g.kind.parse(g.pdu); err == nil {
			_, dcs, u := inside(m)
			f.Add(uint8(dcs), u.HasHeader, u.Length, u.Octets)
		}
	}
	f.Fuzz(func(t *testing.T, dcs uint8, header bool, length uint8, b []byte) {
		u := UserData{header, length, b}
		_, _ = u.Text(DCS(dcs))
		h, ok := u.Header()
		n := 0
		for iei, data := range h.All() {
			n += 2 + len(data)
			_ = element(iei, data)
		}
		if ok && n != len(h) {
			t.Fatalf("%x: elements of %d octets", []byte(h), n)
		}
		_, _ = h.ReplyAddress()
		_ = h.Counts()
		if _, rest, err := ParseCentre(b); err == nil && len(rest) > len(b) {
			t.Fatal("more behind the address than there is")
		}
		if c, ok := h.Concatenation(); ok && (c.Number == 0 || c.Number > c.Total) {
			t.Fatalf("part %+v", c)
		}
	})
}

// TestAllocationBound: what hostile input makes the parsers allocate is 8 times
// its size and 4 KiB at most, showing it included in no more than a tree needs.
func TestAllocationBound(t *testing.T) {
	var inputs [][]byte
	for i, k := range kinds() {
		g := newGen(uint64(900 + i))
		for range 20 {
			inputs = append(inputs, must(Append(nil, k.random(g))))
		}
	}
	for first := range 256 {
		inputs = append(inputs, bytes.Repeat([]byte{byte(first)}, 300))
		inputs = append(inputs, append([]byte{byte(first), 0x01}, make([]byte, 60000)...))
	}
	udh := append([]byte{0x40, 0x02, 0x91, 0xf1, 0, 4, 0x62, 0x11, 0x22, 0x60, 0x83, 0x83, 0, 140, 139}, make([]byte, 139)...)
	inputs = append(inputs, udh)
	for _, b := range inputs {
		for name, parse := range map[string]func(){
			"ParseCP":    func() { _, _ = ParseCP(b) },
			"ParseRP":    func() { _, _ = ParseRP(Uplink, b); _, _ = ParseRP(Downlink, b) },
			"Parse up":   func() { parseAll(Uplink, b) },
			"Parse down": func() { parseAll(Downlink, b) },
		} {
			if got, limit := testkit.Allocated(parse), uint64(8*len(b)+4096); got > limit {
				t.Errorf("%s of %d octets %x...: %d allocated, limit %d", name, len(b), b[:min(len(b), 20)], got, limit)
			}
		}
	}
}

// parseAll reads a TPDU and its text.
func parseAll(d Direction, b []byte) {
	if m, err := Parse(d, b); err == nil {
		_, dcs, user := inside(m)
		_, _ = user.Text(dcs)
		h, _ := user.Header()
		_ = h.Counts()
	}
}
