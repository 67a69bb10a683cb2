package mme

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/mme/s11"
	"campanile.network/sdr/sim"
	"campanile.network/wire/gtpc"
)

// A phone made by others, through session management: further PDN connections,
// bearers of the gateway's and of its own asking, while it is active, idle, and
// after an update.
func TestSimulatedPhoneSessions(t *testing.T) {
	playSim(t, nil, sim.ENBOptions{}, sim.PhoneOptions{}, func(l *simLife) {
		l.w.severalAPNs()
		_, err := l.p.Attach(l.ctx)
		l.ok("attach", err)
		b, err := l.p.Connect(l.ctx, ims, eps.PDNTypeIPv4v6)
		l.ok("connect", err)
		if b.EBI != 6 || b.APN != ims || b.Cause != eps.ESMCausePDNTypeIPv4OnlyAllowed {
			t.Errorf("%+v", b)
		}
		var rejected *sim.ESMRejected
		if _, err := l.p.Connect(l.ctx, must(id.ParseAPN("elsewhere")), eps.PDNTypeIPv4); !errors.As(err, &rejected) || rejected.Cause != eps.ESMCauseMissingOrUnknownAPN {
			t.Errorf("unknown APN: %v", err)
		}
		s := l.w.gw.session(ims)
		l.w.told(l.w.creates(s, voice(0x700)), gtpc.Accepted)
		l.has("voice", 5, 6, 7)

		// The phone asks for another itself; the gateway makes it.
		l.w.gw.resources = func(s *s11.Session, r s11.ResourceRequest) error {
			o := voice(0x701)
			o.TFT, o.QoS.QCI = &r.TAD, r.QoS.QCI
			go l.w.asks(&s11.BearerRequest{Type: gtpc.CreateBearerRequest, Session: s, Linked: s.EBI, PTI: r.PTI, Bearers: []s11.BearerContext{o}})
			return nil
		}
		b, err = l.p.Allocate(l.ctx, 6, *voice(0).TFT, eps.EPSQoS{QCI: 2, MaxUL: id.Mbps, MaxDL: id.Mbps, GuaranteedUL: id.Mbps, GuaranteedDL: id.Mbps})
		l.ok("allocate", err)
		if b.EBI != 8 || b.Linked != 6 || b.QoS.QCI != 2 {
			t.Errorf("%+v", b)
		}
		synctest.Wait()
		l.w.gw.resources = func(s *s11.Session, r s11.ResourceRequest) error {
			go l.w.asks(&s11.BearerRequest{Type: gtpc.DeleteBearerRequest, Session: s, PTI: r.PTI, Bearers: []s11.BearerContext{{EBI: r.EBI}}})
			return nil
		}
		_, err = l.p.Reallocate(l.ctx, 8, eps.TFT{Operation: eps.TFTDelete}, eps.Opt[eps.EPSQoS]{})
		l.ok("give back", err)
		l.has("given back", 5, 6, 7)

		l.ok("rest", l.p.Rest(l.ctx))
		l.w.told(l.w.deletes(s, 7), gtpc.Accepted) // the phone hears of it when it comes
		l.has("idle", 5, 6, 7)
		ch := l.w.creates(s, voice(0x702))
		time.Sleep(time.Second)
		l.w.told(ch, gtpc.Accepted)
		l.has("paged for a bearer", 5, 6, 7)

		l.ok("rest", l.p.Rest(l.ctx))
		l.w.told(l.w.deletes(s, 7), gtpc.Accepted)
		l.ok("move", l.p.MoveTo(l.ctx, l.enbs[1], 0))
		l.has("updated", 5, 6)
		l.ok("disconnect", l.p.Disconnect(l.ctx, 6))
		l.has("disconnected", 5)
		if err := l.p.Disconnect(l.ctx, 5); !errors.As(err, &rejected) || rejected.Cause != eps.ESMCauseLastPDNDisconnectionNotAllowed {
			t.Errorf("the last: %v", err)
		}
		l.ok("detach", l.p.Detach(l.ctx, true))
		l.w.gw.none(l.w)
	})
}

// has checks that phone and MME agree on the phone's bearers, and the phone's are
// these.
func (l *simLife) has(what string, want ...id.EBI) {
	l.w.t.Helper()
	synctest.Wait()
	got := l.p.Bearers()
	ok := len(got) == len(want)
	for i := range got {
		ok = ok && got[i].EBI == want[i]
	}
	if !ok {
		l.w.t.Errorf("%s: the phone has %+v, want bearers %v", what, got, want)
	}
}
