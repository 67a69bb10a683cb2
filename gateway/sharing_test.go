package gateway_test

import (
	"testing"
	"time"

	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// The PDN connections of one phone share its ticket's cap, and its control tunnel;
// each has its address.
func TestSessionsOfOnePhoneShareATicket(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		const capped = 1_000_000
		ticket := r.ticket(1, capped)
		q := request(t, phone1, ticket)
		q.AMBR = gtpc.AMBR{} // unbounded: all comes at once
		one, err := r.mme.Create(t.Context(), q)
		r.must(err)
		q.EBI, q.Beside = 6, one
		two, err := r.mme.Create(t.Context(), q)
		r.must(err)
		if one.Address == two.Address || one.SGW.TEID == two.SGW.TEID || one.State().Remote != two.State().Remote {
			t.Errorf("%v %v, %v %v", one.Address, one.SGW, two.Address, two.SGW)
		}
		r.must(r.mme.Modify(t.Context(), one, s11.ModifyBearer{ENB: enb, Segment: r.segment(1, 1)}))
		r.must(r.mme.Modify(t.Context(), two, s11.ModifyBearer{ENB: s11.FTEID{Addr: enb.Addr, TEID: enb.TEID + 1}, Segment: r.segment(1, 2)}))
		for range 800 { // more than its half
			r.ul(one, 1000)
		}
		for range 100 {
			r.ul(two, 1000)
		}
		if st := r.gw.Stats(); st.Sessions != 2 || st.UEs != 1 {
			t.Errorf("%+v", st)
		}
		for range 200 {
			r.ul(one, 1000)
			r.ul(two, 1000)
		}
		time.Sleep(2 * time.Second)
		if sum := octets(r.sink); sum > capped || sum < capped-3*65535 {
			t.Errorf("%d octets under a cap of %d", sum, capped)
		}
		if st := r.gw.Stats(); st.Sessions != 0 {
			t.Errorf("%+v", st)
		}
	})
}
