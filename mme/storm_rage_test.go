package mme

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
	"campanile.network/wire/home"
)

// forgetfulHome forgets challenges that nobody has answered after a minute.
type forgetfulHome struct {
	*testHome
	mu  sync.Mutex
	old []home.Challenge
}

func (h *forgetfulHome) Challenge(ctx context.Context, r home.ChallengeRequest) (home.Challenge, error) {
	c, err := h.testHome.Challenge(ctx, r)
	if err != nil {
		return c, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.old = append(h.old, c)
	for time.Since(h.old[0].Expires) > 30*time.Second {
		h.testHome.mu.Lock()
		delete(h.challenges, h.old[0].ID)
		h.testHome.mu.Unlock()
		h.old = h.old[1:]
	}
	return c, nil
}

// quietTB lets the script of a hostile peer end at what it did not expect.
type quietTB struct{ testing.TB }

// scriptOver is what ends it.
type scriptOver struct{ why string }

func (quietTB) Helper()                        {}
func (quietTB) Errorf(string, ...any)          {}
func (quietTB) Fatal(args ...any)              { panic(scriptOver{fmt.Sprint(args...)}) }
func (quietTB) Fatalf(why string, args ...any) { panic(scriptOver{fmt.Sprintf(why, args...)}) }

// rage is one life of a hostile eNB, which has all it opens ended with it.
func (s *liveStorm) rage(ctx context.Context, n int, rnd *rand.Rand, f func(*world, *rand.Rand)) {
	ctx, cancel := context.WithCancel(ctx)
	var mu sync.Mutex
	var opened []sctp.Association
	h := &world{t: quietTB{s.w.t}, m: s.w.m, o: s.w.o, home: s.w.home, gw: s.w.gw, towers: s.w.towers, l: s.w.l, keys: map[s1ap.SecurityKey]bool{}, phones: 1000 + 10*n}
	h.enbPort = uint16(n)
	h.open = func(netip.AddrPort) sctp.Association {
		a := s.dial(h.l)
		mu.Lock()
		defer mu.Unlock()
		opened = append(opened, a)
		return a
	}
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		for _, a := range opened {
			a.Abort("end of the storm")
		}
	})
	defer h.ends.Wait()
	defer func() {
		stop()
		cancel()
		mu.Lock()
		defer mu.Unlock()
		for _, a := range opened {
			a.Abort("and so on")
		}
		if r := recover(); r != nil {
			if _, ok := r.(scriptOver); !ok {
				panic(r)
			}
		}
	}()
	f(h, rnd)
}

// mine says which hostile eNB a world's is.
func mine(h *world) uint32 { return hostileBase + uint32(h.phones-1000)/10 }
