package mme

import (
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/internal/sctp"
)

// BenchmarkAttach is a complete attach with EPS-AKA, security mode, session and
// context setup, and the detach after it: MME, eNB, phone and home in one
// process, S1AP encoded and decoded at both ends, no packets. With -cpu 1 its
// reciprocal is attaches per core; the phone's and the home's work is in it.
func BenchmarkAttach(b *testing.B) {
	w := newWorld(b, quiet)
	defer w.end()
	attachAndDetach(b, w)
}

// BenchmarkAttachOverSCTP is the same over userspace SCTP in UDP on loopback.
func BenchmarkAttachOverSCTP(b *testing.B) {
	local := netip.MustParseAddrPort("127.0.0.1:0")
	core := must(sctp.NewUDP(sctp.Options{Local: local}))
	ran := must(sctp.NewUDP(sctp.Options{Local: local}))
	defer core.Close()
	defer ran.Close()
	l := must(core.Listen(36412))
	w := serveWorld(b, quiet, l)
	defer w.end()
	w.open = func(netip.AddrPort) sctp.Association {
		return must(ran.Dial(b.Context(), l.Addr(), sctp.DialOptions{EncapPort: core.EncapAddr().Port()}))
	}
	attachAndDetach(b, w)
}

func quiet(o *Options) {
	o.NetworkName, o.Logger, o.Events = "Campanile", slog.New(slog.DiscardHandler), nil
}

func attachAndDetach(b *testing.B, w *world) {
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
func BenchmarkServiceRequest(b *testing.B) { serveIdle(b, nil) }

func serveIdle(b *testing.B, s Store) {
	w := newWorld(b, func(o *Options) { quiet(o); o.Store, o.GUTIRequests, o.GUTIAge = s, 1<<30, 1000*time.Hour })
	defer w.end()
	p := registeredPhone(w)
	b.ReportAllocs()
	for b.Loop() {
		p.request()
		p.setupResponse()
		p.release()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// BenchmarkUpdate is a periodic tracking area update of an idle phone.
func BenchmarkUpdate(b *testing.B) { updateIdle(b, nil) }

func updateIdle(b *testing.B, s Store) {
	w := newWorld(b, func(o *Options) { quiet(o); o.Store = s })
	defer w.end()
	p := registeredPhone(w)
	b.ReportAllocs()
	for b.Loop() {
		p.initial(p.updateRequest(eps.UpdatePeriodic))
		p.updated()
		down[*eps.EMMInformation](p)
		p.released()
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
}

// registeredPhone is one that is idle.
func registeredPhone(w *world) *phone {
	p := w.phone(w.tower(0x19b))
	p.initial(p.attachRequest())
	p.authenticate()
	p.information()
	p.accepted()
	p.setupResponse()
	p.complete()
	down[*eps.EMMInformation](p)
	p.release()
	return p
}
