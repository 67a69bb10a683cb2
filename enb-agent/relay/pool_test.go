package relay_test

import (
	"net/netip"
	"testing"
	"time"
)

// With an MME of a pool that does not answer, or refuses, an eNB is brought to another while it is
// held; the first has it again when it answers.
func TestPoolOfMMEs(t *testing.T) {
	second := netip.AddrPortFrom(netip.MustParseAddr("10.9.9.9"), 36412)
	inBubble(t, nil, func(t *testing.T, r *rig) {
		r.relay.MoreMMEs = []netip.AddrPort{second}
		first := r.relay.MME
		for _, c := range []struct {
			says          string
			deaf, refuses bool
			to            netip.AddrPort
			within        time.Duration
		}{
			{"the first answers", false, false, first, time.Second},
			{"the first is silent", true, false, second, 3 * time.Second},
			{"the first refuses", false, true, second, time.Second},
			{"the first is back", false, false, first, time.Second},
		} {
			start := time.Now()
			r.desk.silent, r.desk.refusing = netip.AddrPort{}, netip.AddrPort{}
			if c.deaf {
				r.desk.silent = first
			}
			if c.refuses {
				r.desk.refusing = first
			}
			enb, mme := r.call()
			if to := mme.LocalAddr(); to != c.to || time.Since(start) > c.within {
				t.Errorf("%s: an eNB is at %v after %v", c.says, to, time.Since(start))
			}
			mme.Shutdown(t.Context())
			ended(t, enb)
		}
		if s := r.relay.Stats(); s.SentAway != 0 {
			t.Errorf("%+v", s)
		}
	})
}
