package mme

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/secret"
)

// One of two members is killed after each message that it sends or receives, and each
// write, and does not come back: the eNB and the phone go on with the other. Then the
// phone is served there, the gateway has its one session or none, and no COUNT and no
// K_eNB was used twice. A registered phone has not attached anew, but for a story in
// which it attaches. (Here what is written is at the other member at once.)
func TestPoolMemberKilledAnywhere(t *testing.T) {
	for _, s := range stories() {
		attaches := false
		switch s.name {
		case "attach", "GUTI attach", "detach by the phone", "switched off":
			attaches = true
		case "service request", "update", "periodic update", "active update", "GUTI reallocation":
		default:
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			n, _ := tellPoolStory(t, s, 0)
			anew := 0
			for k := 1; k <= n && !t.Failed(); k++ {
				t.Run(fmt.Sprintf("after %d of %d", k, n), func(t *testing.T) {
					if _, a := tellPoolStory(t, s, k); a {
						anew++
					}
				})
			}
			t.Logf("%d messages and writes, after %d of them the phone has attached anew", n, anew)
			if !attaches && anew > 0 {
				t.Errorf("the phone has attached anew %d times of %d", anew, n)
			}
		})
	}
}

// tellPoolStory is tellStory with another member in the place of a restart. anew says
// that the phone has another address at the end.
func tellPoolStory(t *testing.T, s story, k int) (n int, anew bool) {
	synctest.Test(t, func(t *testing.T) {
		w := newPoolWorld(t, 2, s.change)
		a, b := w.members[codeA], w.members[codeB]
		defer func() {
			if t.Failed() {
				t.Logf("log of the MMEs:\n%s", w.log.String())
			}
		}()
		defer b.end()
		c := &crash{w: w.world, x: a.x, stop: make(chan struct{}), told: map[secret.Key256]*nassec.Context{}, answered: map[secret.Key256]nassec.Count{}, mayAttach: true}
		c.w.m, c.w.open = a.m, a.open
		c.h = &handset{c: c, phone: c.w.phone(nil), wake: make(chan struct{}, 1)}
		c.all.Go(c.tower)
		if s.registered {
			c.h.attach()
			c.h.inactive()
			c.rest(time.Second)
		}
		before, address := c.x.count(), c.h.addr
		if k > 0 {
			c.x.die(before + k)
		}
		c.all.Go(func() {
			select {
			case <-a.x.ended:
				time.Sleep(time.Nanosecond) // until the other member has what is written
				w.cut(codeA, codeB)
				c.lock(func() { c.w.m, c.w.open = b.m, b.open })
				a.stop()
				a.l.Close()
				a.x.bury()
			case <-c.stop:
			}
			a.end()
		})
		s.tell(c)
		c.rest(30 * time.Second)
		n = c.x.count() - before
		if c.h.is(func() bool { return c.h.registered }) {
			c.h.service()
		}
		c.rest(10 * time.Minute)
		synctest.Wait()
		sessions := c.w.gw.all()
		if h := c.h; h.registered && (len(sessions) != 1 || sessions[0].Address.String() != h.addr) {
			t.Errorf("phone registered %v with %v; the gateway has %v, was asked %v", h.registered, h.addr, sessions, c.w.gw.said)
		}
		if a.x.dead() && c.h.registered {
			if all := b.m.UEs(); len(all) != 1 || (all[0].State == Connected) != c.h.connected {
				t.Errorf("the phone is connected: %v; the MME has %+v", c.h.connected, all)
			}
		}
		for _, bad := range c.w.gw.bad {
			t.Errorf("gateway: %s", bad)
		}
		anew = address != c.h.addr
		close(c.stop)
		c.lock(func() { c.e.a.Abort("end") })
		c.all.Wait()
	})
	return n, anew
}
