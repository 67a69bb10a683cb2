package sip

import (
	"math"
	"testing"
	"time"

	sipgo "github.com/emiago/sipgo/sip"
)

// BenchmarkParse reads what towers send, here and by sipgo v1.7.2, in turns in
// the same run; the ratio says how many times faster this one is.
func BenchmarkParse(b *testing.B) {
	for _, name := range []string{"openbts new register", "openbts invite", "yatebts register", "options"} {
		text := lines(samples[name])
		parser := sipgo.NewParser()
		b.Run(name, func(b *testing.B) {
			compare(b, len(text), func() {
				if _, err := Parse(text, false); err != nil {
					b.Fatal(err)
				}
			}, func() {
				if _, err := parser.ParseSIP(text); err != nil {
					b.Fatal(err)
				}
			})
		})
	}
}

// BenchmarkBuild writes the same messages.
func BenchmarkBuild(b *testing.B) {
	for _, name := range []string{"openbts new register", "openbts invite"} {
		text := lines(samples[name])
		m, err := Parse(text, false)
		theirs, err2 := sipgo.ParseMessage(text)
		if err != nil || err2 != nil {
			b.Fatal(err, err2)
		}
		buf := make([]byte, 0, 4096)
		b.Run(name, func(b *testing.B) {
			compare(b, len(text), func() {
				if _, err := m.Append(buf); err != nil {
					b.Fatal(err)
				}
			}, func() { _ = theirs.String() })
		})
	}
}

// compare runs both in short blocks, one after the other, and reports the best
// block of each: what the machine does besides is in the others.
func compare(b *testing.B, size int, ours, theirs func()) {
	best, best2 := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	const block = 20
	for b.Loop() {
		start := time.Now()
		for range block {
			ours()
		}
		middle := time.Now()
		for range block {
			theirs()
		}
		best, best2 = min(best, middle.Sub(start)), min(best2, time.Since(middle))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(best.Nanoseconds())/block, "ns/message")
	b.ReportMetric(float64(best2.Nanoseconds())/block, "sipgo-ns/message")
	b.ReportMetric(float64(best2)/float64(best), "times-faster")
	b.ReportMetric(testing.AllocsPerRun(100, ours), "allocs/message")
	b.ReportMetric(testing.AllocsPerRun(100, theirs), "sipgo-allocs/message")
	b.ReportMetric(float64(size), "octets")
}

// TestAllocations: a message of a tower is read with few allocations, and
// judged and written into a buffer with none.
func TestAllocations(t *testing.T) {
	for name, most := range map[string]float64{"openbts new register": 2, "openbts invite": 3, "yatebts register": 2} {
		text := lines(samples[name])
		m, err := Parse(text, false)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { Parse(text, false) }); n > most {
			t.Errorf("%s: read with %v allocations, not %v", name, n, most)
		}
		buf := make([]byte, 0, 4096)
		if n := testing.AllocsPerRun(100, func() { m.Append(buf) }); n > 0 {
			t.Errorf("%s: written with %v allocations", name, n)
		}
		if n := testing.AllocsPerRun(100, func() { Check(m, phone) }); n > 0 {
			t.Errorf("%s: judged with %v allocations", name, n)
		}
	}
}
