package sms

import (
	"strings"
	"testing"

	warthog "github.com/warthog618/sms"
	"github.com/warthog618/sms/encoding/tpdu"
)

// benchDeliver is an SMS-DELIVER with a full text of 160 characters.
func benchDeliver() *Deliver {
	text := strings.Repeat("The quick brown fox ", 8)
	p := must(Split(text, SplitOptions{}))[0]
	return &Deliver{Originator: must(NewAddress("+4915112345678")), DCS: p.DCS, Timestamp: NewTimestamp(t0), User: p.User}
}

// TestAllocations: a message and its octets to parse, nothing to append.
func TestAllocations(t *testing.T) {
	m := benchDeliver()
	pdu := must(Append(nil, m))
	buf := make([]byte, 0, 200)
	if n := testing.AllocsPerRun(100, func() { _, _ = Parse(Downlink, pdu) }); n > 2 {
		t.Errorf("Parse: %v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = Append(buf, m) }); n > 0 {
		t.Errorf("Append: %v allocations", n)
	}
}

// BenchmarkParseDeliver: a message and its text. warthog618/sms unpacks the
// septets while it parses.
func BenchmarkParseDeliver(b *testing.B) {
	pdu := must(Append(nil, benchDeliver()))
	b.Run("campanile", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse(Downlink, pdu); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("campanile with text", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m, err := Parse(Downlink, pdu)
			if err != nil {
				b.Fatal(err)
			}
			d := m.(*Deliver)
			if s, err := d.User.Text(d.DCS); err != nil || len(s) != 160 {
				b.Fatal(err)
			}
		}
	})
	b.Run("warthog618", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := warthog.Unmarshal(pdu); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("warthog618 with text", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m, err := warthog.Unmarshal(pdu)
			if err != nil {
				b.Fatal(err)
			}
			if s, err := warthog.Decode([]*tpdu.TPDU{m}); err != nil || len(s) != 160 {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkAppendDeliver: a message whose text is packed already, and for
// warthog618/sms, which packs while it writes, both.
func BenchmarkAppendDeliver(b *testing.B) {
	m := benchDeliver()
	pdu := must(Append(nil, m))
	buf := make([]byte, 0, 200)
	b.Run("campanile", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Append(buf, m); err != nil {
				b.Fatal(err)
			}
		}
	})
	their := must(warthog.Unmarshal(pdu))
	b.Run("warthog618", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := their.MarshalBinary(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSplit: a text of 600 characters into SMS-SUBMITs and their octets.
func BenchmarkSplit(b *testing.B) {
	for name, text := range map[string]string{"7 bit": strings.Repeat("The quick brown fox ", 30), "UCS-2": strings.Repeat("Съешь ещё этих булок", 30)} {
		b.Run(name+"/campanile", func(b *testing.B) {
			to := must(NewAddress("+4915112345678"))
			buf := make([]byte, 0, 200)
			b.ReportAllocs()
			for b.Loop() {
				for _, p := range must(Split(text, SplitOptions{Reference: 5})) {
					if _, err := Append(buf, &Submit{Destination: to, DCS: p.DCS, User: p.User}); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
		b.Run(name+"/warthog618", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				parts, err := warthog.Encode([]byte(text), warthog.To("+4915112345678"))
				if err != nil {
					b.Fatal(err)
				}
				for i := range parts {
					if _, err := parts[i].MarshalBinary(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkParseRP(b *testing.B) {
	pdu := must(Append(nil, &RPData{Direction: Downlink, Reference: 1, Originator: must(NewAddress("+491710760000")), User: must(Append(nil, benchDeliver()))}))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRP(Downlink, pdu); err != nil {
			b.Fatal(err)
		}
	}
}
