package mme

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
	"campanile.network/sdr/sim"
)

// whole says that the gateway has one session of a phone, with the tunnel end that
// the phone's eNB has given.
func (p *phone) whole() {
	p.w.t.Helper()
	i := p.settled()
	if _, x := p.w.gw.only(p.w); i.State != Connected || x.enb == (s11.FTEID{}) {
		p.w.t.Errorf("the phone is %v (%s), the gateway sends to %v", i.State, i.Reason, x.enb)
	}
}

// attachAgainBy has a phone attach by its IMSI at another S1 connection.
func (p *phone) attachAgainBy() {
	q := p.at(p.e)
	q.guti, q.sec, q.ksi = nil, nil, eps.NoKSI
	q.attach()
	q.whole()
}

// A phone that is detached while the disk takes nothing leaves no session behind: of
// two sessions of one phone the next attach would get but one.
func TestDetachWhileDiskFails(t *testing.T) {
	for _, kind := range []eps.DetachType{eps.DetachEPS, eps.DetachEPS | eps.DetachSwitchOff} {
		d := newDisk()
		play(t, func(o *Options) { o.Store = d }, func(w *world) {
			p := w.phone(w.tower(0x19b))
			p.attach()
			detach := &eps.DetachRequest{Type: kind, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)}
			if kind.SwitchOff() {
				d.fail(errors.New("no space left on device"))
				p.uplink(detach)
			} else {
				p.idle()
				d.fail(errors.New("no space left on device"))
				p.initial(detach)
				p.mmeID = 0
				m := expect[*s1ap.DownlinkNASTransport](p.e)
				if _, ok := must(eps.Parse(eps.Downlink, m.NASPDU)).(*eps.DetachAccept); !ok {
					t.Errorf("the phone is told %x", m.NASPDU)
				}
			}
			p.released()
			if i := p.settled(); i.State != Deregistered {
				t.Errorf("the phone is %v", i.State)
			}
			w.gw.none(w)
			w.logged("procedure=detach", `cause="EMM cause #17"`)
			d.fail(nil)
			time.Sleep(2 * retryEvery)
			p.attachAgainBy()
		})
	}
}

// The same when the network detaches it, and when it attaches anew.
func TestSessionsEndWhileDiskFails(t *testing.T) {
	for what, begin := range map[string]func(w *world, p *phone){
		"network detach": func(w *world, p *phone) {
			if err := w.m.Detach(p.imsi, NetworkDetach{}); err != nil {
				t.Error(err)
			}
			p.released()
		},
		"attach": func(w *world, p *phone) {
			p.idle()
			q := p.at(p.e)
			q.guti, q.sec, q.ksi = nil, nil, eps.NoKSI
			q.initial(q.attachRequest())
			q.authenticate()
			q.released() // it has heard the network with its keys, and hears no other
		},
	} {
		t.Run(what, func(t *testing.T) {
			d := newDisk()
			play(t, func(o *Options) { o.Store = d }, func(w *world) {
				p := w.phone(w.tower(0x19b))
				p.e.lossy = true
				p.attach()
				d.fail(errors.New("no space left on device"))
				begin(w, p)
				synctest.Wait()
				w.gw.none(w)
				d.fail(nil)
				time.Sleep(2 * retryEvery)
				p.e.drain()
				p.attachAgainBy()
			})
		})
	}
}

// lateGateway does what Release Access Bearers asks after a while, though nobody waits
// for its answer any more.
type lateGateway struct {
	*testGateway
	late time.Duration
}

func (g *lateGateway) Release(ctx context.Context, s *s11.Session) error {
	done := make(chan error, 1)
	time.AfterFunc(g.late, func() { done <- g.testGateway.Release(context.Background(), s) })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// A phone that comes back before the gateway has released its bearers has them when it
// has: Modify Bearer Request does not overtake Release Access Bearers Request.
func TestServiceRequestOvertakesRelease(t *testing.T) {
	play(t, nil, func(w *world) {
		late := &lateGateway{w.gw, 300 * time.Millisecond}
		w.o.Gateway = late
		w.m.o.Gateway = late
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
		synctest.Wait()
		q := p.at(p.e)
		q.initialRaw(must(q.sec.AppendServiceRequest(nil)))
		p.released()
		m := expect[*s1ap.InitialContextSetupRequest](q.e)
		q.mmeID, q.kenb = m.MMEUES1APID, m.SecurityKey
		q.setupResponse()
		time.Sleep(time.Second)
		q.whole()
	})
}

// deafGateway opens sessions beside others, and its answer is lost.
type deafGateway struct{ *testGateway }

func (g *deafGateway) Create(ctx context.Context, r s11.CreateSession) (*s11.Session, error) {
	s, err := g.testGateway.Create(ctx, r)
	if r.Beside == nil || err != nil {
		return s, err
	}
	return nil, errDeaf
}

// A session that the gateway has opened unheard, beside another, does not stay there.
func TestSessionUnheardIsWithdrawn(t *testing.T) {
	playSim(t, nil, sim.ENBOptions{}, sim.PhoneOptions{}, func(l *simLife) {
		l.w.severalAPNs()
		_, err := l.p.Attach(l.ctx)
		l.ok("attach", err)
		synctest.Wait()
		l.w.m.o.Gateway = &deafGateway{l.w.gw}
		if _, err = l.p.Connect(l.ctx, ims, eps.PDNTypeIPv4); err == nil {
			t.Error("connected without the gateway's answer")
		}
		synctest.Wait()
		l.w.gw.only(l.w)
		l.w.m.o.Gateway = l.w.gw
		_, err = l.p.Connect(l.ctx, ims, eps.PDNTypeIPv4)
		l.ok("connect", err)
	})
}
