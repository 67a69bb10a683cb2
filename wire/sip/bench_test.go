package sip

import (
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

// compare runs both in blocks of a hundred, one after the other.
func compare(b *testing.B, size int, ours, theirs func()) {
	var took, took2 time.Duration
	const block = 100
	for b.Loop() {
		start := time.Now()
		for range block {
			ours()
		}
		middle := time.Now()
		for range block {
			theirs()
		}
		took, took2 = took+middle.Sub(start), took2+time.Since(middle)
	}
	n := float64(b.N * block)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(took.Nanoseconds())/n, "ns/message")
	b.ReportMetric(float64(took2.Nanoseconds())/n, "sipgo-ns/message")
	b.ReportMetric(float64(took2)/float64(took), "times-faster")
	b.ReportMetric(testing.AllocsPerRun(100, ours), "allocs/message")
	b.ReportMetric(testing.AllocsPerRun(100, theirs), "sipgo-allocs/message")
	b.ReportMetric(float64(size), "octets")
}
