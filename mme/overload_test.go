package mme

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/wire/home"
)

// TS 36.413 §8.7.6, §8.7.7, TS 24.301 §5.5.1.2.5: attaches that hang fill the MME;
// its eNBs are told one after the other to hold phones back, what comes nevertheless
// is refused with a time to stay away, and all is well again when it is over.
func TestOverload(t *testing.T) {
	play(t, func(o *Options) { o.MaxAttaches = 4 }, func(w *world) {
		e := w.tower(0x19b)
		for range 4 {
			p := w.phone(e)
			p.initial(p.attachRequest())
			down[*eps.AuthenticationRequest](p)
		}
		q := w.phone(e)
		q.initial(q.attachRequest())
		m := q.rejected(eps.EMMCauseCongestion)
		if d, ok := m.T3346.V.Duration(); !m.T3346.OK || !ok || d < minBackoff || d > maxBackoff {
			t.Errorf("T3346 %v", m.T3346)
		}
		start := e.wait(&s1ap.OverloadStart{}, 20*time.Second).(*s1ap.OverloadStart)
		if start.OverloadResponse.OverloadAction != s1ap.OverloadActionPermitEmergencySessionsAndMobileTerminatedServicesOnly {
			t.Errorf("%v", start)
		}
		s := w.m.Stats().Load
		if s.ENBs != 1 || s.By != "attaches" || s.Pressure < 1 || s.Attaches != 4 || s.Refused != 1 {
			t.Errorf("%+v", s)
		}
		f := w.tower(0x19c) // all eNBs hold back by now, or soon
		f.wait(&s1ap.OverloadStart{}, 20*time.Second)
		e.wait(&s1ap.OverloadStop{}, 5*time.Minute) // T3460 has ended what hung
		f.wait(&s1ap.OverloadStop{}, 5*time.Minute)
		synctest.Wait()
		if s := w.m.Stats().Load; s.Level > 3 || s.ENBs != 0 || s.Attaches != 0 {
			t.Errorf("%+v", s)
		}
		e.drain()
		q.attach()
	})
}

// wait reads on until a message like this comes, and completes releases.
func (e *enbPeer) wait(like s1ap.Message, d time.Duration) s1ap.Message {
	e.w.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		m := e.maybe(time.Until(end))
		if m == nil {
			break
		}
		if m.Header() == like.Header() {
			return m
		}
		e.complete(m)
	}
	e.w.t.Fatalf("no %s in %v", like.Header().Name, d)
	return nil
}

// drain reads what is there.
func (e *enbPeer) drain() {
	for m := e.maybe(time.Second); m != nil; m = e.maybe(time.Second) {
		e.complete(m)
	}
}

func (e *enbPeer) complete(m s1ap.Message) {
	if c, ok := m.(*s1ap.UEContextReleaseCommand); ok {
		e.send(&s1ap.UEContextReleaseComplete{MMEUES1APID: c.UES1APIDs.UES1APIDPair.MMEUES1APID, ENBUES1APID: c.UES1APIDs.UES1APIDPair.ENBUES1APID})
	}
}

// The level follows the load up and down, one step at a time.
func TestOverloadSteps(t *testing.T) {
	s := steering{calm: downAfter}
	now := time.Unix(0, 0)
	run := func(p float64, seconds int) {
		for range seconds {
			now = now.Add(time.Second)
			s.look(p, now)
		}
	}
	for _, c := range []struct {
		p       float64
		seconds int
		level   int
	}{
		{0.5, 100, 0}, {1.1, 1, 0}, {0.5, 1, 0}, {1.1, 2, 1}, {1.1, 2, 2}, {0.8, 600, 2}, {1.1, 100, 4}, {0.5, 9, 4}, {0.9, 1, 4}, {0.5, 10, 3}, {0.5, 30, 0},
	} {
		run(c.p, c.seconds)
		if s.level != c.level {
			t.Fatalf("after %d s at %v: level %d, want %d", c.seconds, c.p, s.level, c.level)
		}
	}
}

// A load that each quarter of the eNBs brings a quarter of, so that holding back is
// what makes it fall: the level settles between two values, and changes less and less
// often; so it does with noise.
func TestOverloadDoesNotSwing(t *testing.T) {
	for _, noise := range []float64{0, 0.2} {
		s := steering{calm: downAfter}
		r := rand.New(rand.NewPCG(1, 2))
		now := time.Unix(0, 0)
		steps := 0
		for second := range 3600 {
			now = now.Add(time.Second)
			load := 1.3 * (1 - float64(s.level)/4*0.9)
			if s.look(load+noise*(r.Float64()-0.5), now) && second >= 600 {
				steps++
			}
		}
		if steps > 2*3000/maxDownAfter+2 {
			t.Errorf("noise %v: %d changes in 50 minutes after the first 10", noise, steps)
		}
	}
}

// In each episode others come first, and a higher level leaves those that hold
// already alone.
func TestOverloadFraction(t *testing.T) {
	var s steering
	first := map[string]bool{}
	for s.episode = 0; s.episode < 4; s.episode++ {
		held := 0
		for n := range uint32(400) {
			e := id.GlobalENBID{PLMN: testPLMN, Type: id.MacroENB, ID: n}.String()
			was := false
			for s.level = 0; s.level <= maxLevel; s.level++ {
				h := s.holds(e)
				if was && !h || s.level == 0 && h || s.level == maxLevel && !h {
					t.Fatalf("%s at level %d: %v", e, s.level, h)
				}
				was = h
				if s.level == 1 && h {
					held++
					first[e] = true
				}
			}
		}
		if held < 70 || held > 130 {
			t.Errorf("episode %d: %d of 400 at level 1", s.episode, held)
		}
	}
	if len(first) != 400 {
		t.Errorf("%d of 400 have been first once in four episodes", len(first))
	}
}

// A home that answers slowly is load, too; a few answers mean nothing.
func TestOverloadOfHome(t *testing.T) {
	play(t, nil, func(w *world) {
		w.home.silent = true
		for n := range 20 {
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			w.ends.Go(func() {
				defer cancel()
				_, _ = w.m.o.Home.Challenge(ctx, home.ChallengeRequest{})
			})
			if s := w.m.Stats().Load; n < 3 && s.Pressure != 0 {
				t.Errorf("after %d: %+v", n, s)
			}
		}
		w.ends.Wait()
		time.Sleep(3 * time.Second)
		if s := w.m.Stats().Load; s.By != "home" || s.Level == 0 || s.Home != 3*time.Second {
			t.Errorf("%+v", s)
		}
		time.Sleep(2 * time.Minute)
		if s := w.m.Stats().Load; s.Level != 0 || s.Home != 0 {
			t.Errorf("%+v", s)
		}
	})
}
