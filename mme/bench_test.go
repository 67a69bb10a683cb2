package mme

import (
	"log/slog"
	"testing"

	"campanile.network/3gpp/eps"
)

// BenchmarkAttach is a complete attach with EPS-AKA, security mode, session and
// context setup, and the detach after it: MME, eNB, phone and home in one
// process, S1AP encoded and decoded at both ends, no packets. With -cpu 1 its
// reciprocal is attaches per core; the phone's and the home's work is in it.
func BenchmarkAttach(b *testing.B) {
	w := newWorld(b, func(o *Options) {
		o.NetworkName, o.Logger, o.Events = "Campanile", slog.New(slog.DiscardHandler), nil
	})
	defer w.end()
	p := w.phone(w.tower(0x19b))
	b.ReportAllocs()
	for b.Loop() {
		p.guti, p.sec, p.ksi = nil, nil, eps.NoKSI
		p.initial(p.attachRequest())
		p.authenticate()
		p.information()
		p.accepted()
		p.setupResponse()
		p.complete()
		down[*eps.EMMInformation](p)
		p.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		p.released()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "attaches/s")
}

// BenchmarkServiceRequest is idle to active and back.
func BenchmarkServiceRequest(b *testing.B) {
	w := newWorld(b, func(o *Options) {
		o.NetworkName, o.Logger, o.Events = "Campanile", slog.New(slog.DiscardHandler), nil
	})
	defer w.end()
	p := w.phone(w.tower(0x19b))
	p.initial(p.attachRequest())
	p.authenticate()
	p.information()
	p.accepted()
	p.setupResponse()
	p.complete()
	down[*eps.EMMInformation](p)
	b.ReportAllocs()
	for b.Loop() {
		p.release()
		p.request()
		p.setupResponse()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}
