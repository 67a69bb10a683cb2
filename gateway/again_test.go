package gateway_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/gateway"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// A phone with a fixed address, and one for which there is but one left, attach anew before
// their last packets have drained, and get the same address; what went before is told.
func TestAttachAnewOnTheSameAddress(t *testing.T) {
	fixed, last := netip.MustParseAddr("192.0.2.77"), netip.MustParseAddr("10.70.0.2")
	small := func(o *gateway.Options) {
		o.Networks = []gateway.Network{{IPv4: []netip.Prefix{netip.MustParsePrefix("10.70.0.0/30")}, Open: true,
			Static: map[id.IMSI]gtpc.Address{imsi(t, phone1): {IPv4: fixed}}}}
	}
	inBubble(t, small, func(t *testing.T, r *rig) {
		for who, want := range map[string]netip.Addr{phone1: fixed, phone2: last} {
			n := who[len(who)-1]
			s := r.attach(who, n)
			r.ul(s, 100)
			again := r.attach(who, n)
			if s.Address != want || again.Address != want {
				t.Errorf("%v, then %v, want %v", s.Address, again.Address, want)
			}
			r.ul(again, 50)
			r.must(r.mme.Delete(t.Context(), again))
			r.must(r.mme.Delete(t.Context(), r.attach(who, n)))
		}
		time.Sleep(2 * time.Second)
		if st := r.gw.Stats(); st.Sessions != 0 || st.Leases != 0 || st.Path.Sessions != 0 || octets(r.sink) != 2*150 {
			t.Errorf("%+v; %d octets told", st, octets(r.sink))
		}
	})
}

// TS 29.274 §7.2.1: a request on the phone's control tunnel for a bearer identity that it has
// ends what had it; the rest of the phone stays, and what was carried is told.
func TestAnotherSessionOnTheSameBearer(t *testing.T) {
	hearing(t, nil, func(t *testing.T, r *rig) {
		one := r.attach(phone1, 1)
		r.ul(one, 100)
		ebi, err := r.gw.CreateBearer(t.Context(), gateway.NewBearer{IMSI: one.IMSI, QoS: plain, Filters: web})
		r.must(err)
		again := func(ebi id.EBI) *s11.Session {
			t.Helper()
			q := request(t, phone1, r.ticket(1, 1<<30))
			q.EBI, q.Beside = ebi, one
			s, err := r.mme.Create(t.Context(), q)
			r.must(err)
			synctest.Wait()
			return s
		}
		second := again(ebi)
		if l := r.gw.Sessions(); len(l) != 2 || len(l[0].Bearers) != 1 || l[1].Bearers[0].EBI != ebi {
			t.Errorf("a session in the place of a dedicated bearer: %+v", l)
		}
		third := again(ebi)
		if l := r.gw.Sessions(); len(l) != 2 || l[0].Address != one.Address || l[1].Address != third.Address || second.SGW.TEID == third.SGW.TEID {
			t.Errorf("a session in the place of another: %+v", l)
		}
		fourth := again(one.EBI)
		r.must(r.mme.Modify(t.Context(), fourth, s11.ModifyBearer{ENB: enb, Segment: r.segment(1, 2)}))
		r.ul(fourth, 50)
		time.Sleep(2 * time.Second)
		if st := r.gw.Stats(); st.Sessions != 2 || st.UEs != 1 || st.Leases != 2 || octets(r.sink) != 150 {
			t.Errorf("%+v; %d octets told", st, octets(r.sink))
		}
	})
}
