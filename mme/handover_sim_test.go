package mme

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/sdr/sim"
)

// A phone made by others is handed over through the MME and over X2, in all
// orders: it and the eNBs derive the same keys each time (TS 33.401 §7.2.8.4), and
// neither finds fault with the MME.
func TestSimulatedHandovers(t *testing.T) {
	playSim(t, nil, sim.ENBOptions{}, sim.PhoneOptions{}, func(l *simLife) {
		_, err := l.p.Attach(l.ctx)
		l.ok("attach", err)
		synctest.Wait()
		rnd := rand.New(rand.NewPCG(3, 6413))
		s1, x2 := uint64(0), uint64(0)
		for n := 1; n <= 60; n++ {
			to := l.enbs[n%2]
			if rnd.IntN(2) == 0 {
				l.ok("S1 handover", l.p.HandOver(l.ctx, to, 0))
				s1++
			} else {
				l.ok("X2 handover", l.p.HandOverX2(l.ctx, to, 0))
				x2++
			}
			synctest.Wait()
			if i := l.is("handed over", Connected); i.TAI.TAC != to.Cells()[0].TAI.TAC || i.Segment != uint32(n+1) {
				t.Errorf("handover %d: %+v", n, i)
			}
			switch rnd.IntN(6) {
			case 0:
				l.ok("update", l.p.Update(l.ctx, eps.UpdateTA))
			case 1: // another chain
				l.ok("rest", l.p.Rest(l.ctx))
				l.ok("service", l.p.ServiceRequest(l.ctx, 0))
				synctest.Wait()
				_, x := l.w.gw.only(l.w)
				if len(x.segments) != n+2 {
					t.Errorf("%d segments", len(x.segments))
				}
				n++ // the segment of the context setup
			}
		}
		l.w.counted("S1 handover ok", s1)
		l.w.counted("path switch ok", x2)
		if got := l.enbs[0].Stats().Handovers.Load() + l.enbs[1].Stats().Handovers.Load(); got != s1 {
			t.Errorf("%d phones came by S1 handover, %d were sent", got, s1)
		}
		if got := l.enbs[0].Stats().StatusTransfers.Load() + l.enbs[1].Stats().StatusTransfers.Load(); got != s1 {
			t.Errorf("%d status transfers, want %d", got, s1)
		}
		l.ok("detach", l.p.Detach(l.ctx, false))
		time.Sleep(time.Minute)
		if st := l.w.m.Stats(); st.Connected != 0 {
			t.Errorf("%+v", st)
		}
		l.w.gw.none(l.w)
	})
}

// A lease that is renewed on a live connection changes the keys of the radio
// bearers, and with them the chain of handovers (TS 33.401 §7.2.9.2).
func TestHandoverAfterRenewal(t *testing.T) {
	playSim(t, nil, sim.ENBOptions{}, sim.PhoneOptions{}, func(l *simLife) {
		_, err := l.p.Attach(l.ctx)
		l.ok("attach", err)
		synctest.Wait()
		for n := range 6 {
			l.ok("X2 handover", l.p.HandOverX2(l.ctx, l.enbs[1-n%2], 0))
			l.ok("S1 handover", l.p.HandOver(l.ctx, l.enbs[n%2], 0))
			time.Sleep(3 * time.Hour) // tickets are for six
			l.is("three hours later", Connected)
		}
		synctest.Wait()
		if n := l.w.m.Stats().Procedures["lease renewal ok"]; n < 2 {
			t.Errorf("the lease was renewed %d times", n)
		}
	})
}

// A hundred phones move between two eNBs at once, while data come for them and
// they go to rest and wake: nobody is lost, nothing is left over.
func TestCrowdOfHandovers(t *testing.T) {
	play(t, nil, func(w *world) {
		ctx, stop := context.WithCancel(context.Background())
		defer w.ends.Wait()
		defer stop()
		enbs := []*sim.ENB{w.simENB(ctx, 0x19b, 7, sim.ENBOptions{}), w.simENB(ctx, 0x19c, 8, sim.ENBOptions{})}
		phones := make([]*sim.Phone, 100)
		var all sync.WaitGroup
		for i := range phones {
			phones[i] = w.simPhone(enbs[i%2], sim.PhoneOptions{})
			rnd := rand.New(rand.NewPCG(uint64(i), 1))
			all.Go(func() {
				p := phones[i]
				if _, err := p.Attach(ctx); err != nil {
					t.Errorf("attach: %v", err)
					return
				}
				for n := 1; n <= 20; n++ {
					if n > 1 { // the first at once, before Attach Complete has come
						time.Sleep(time.Duration(1+rnd.IntN(1000)) * time.Millisecond)
					}
					var err error
					switch to := enbs[(i+n)%2]; rnd.IntN(5) {
					case 0, 1:
						err = p.HandOver(ctx, to, 0)
					case 2, 3:
						err = p.HandOverX2(ctx, to, 0)
					default:
						if err = p.Rest(ctx); err == nil {
							err = p.MoveTo(ctx, to, 0)
						}
						if err == nil {
							err = p.ServiceRequest(ctx, 0)
						}
					}
					if err != nil {
						t.Errorf("phone %d, move %d: %v", i, n, err)
						return
					}
				}
			})
		}
		all.Wait()
		time.Sleep(time.Minute)
		synctest.Wait()
		if st := w.m.Stats(); st.Connected != len(phones) || st.Registered != len(phones) {
			t.Errorf("%+v", st)
		}
		for _, p := range phones {
			if err := p.Detach(ctx, false); err != nil {
				t.Error(err)
			}
			p.SwitchOff()
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, e := range enbs {
			// What the phone has overtaken is answered with Error Indication (TS 36.413 §10.6).
			if st := e.Stats(); st.KeyMismatch.Load()+st.SyntaxErrors.Load() != 0 {
				t.Errorf("eNB: %d keys, %d syntax errors", st.KeyMismatch.Load(), st.SyntaxErrors.Load())
			}
		}
		w.gw.none(w)
		if st := w.m.Stats(); st.Connected != 0 || st.Registered != 0 {
			t.Errorf("%+v", st)
		}
	})
}
