package gateway_test

import (
	"net/netip"
	"testing"
	"time"

	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// An MME whose phone has gone to another of its pool, and that does not know yet, ends nothing of
// it; it has the phone again when it says so, and then the other does not.
func TestFormerMMEEndsNothing(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		s := r.attach(phone1, 1)
		second, err := s11.New(s11.Options{Conn: r.listen(netip.MustParseAddr("127.0.0.21"), 2123), Gateway: netip.AddrPortFrom(gwIP, 0), Logger: quiet})
		r.must(err)
		defer r.serve(second.Serve)()
		moved, err := second.Adopt(s.State(), nil)
		r.must(err)
		r.must(second.Move(t.Context(), moved))
		r.must(second.Modify(t.Context(), moved, s11.ModifyBearer{ENB: enb, Segment: r.segment(1, 2)}))
		refusedWith(t, r.mme.Release(t.Context(), s), gtpc.ContextNotFound)
		refusedWith(t, r.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: r.segment(1, 3)}), gtpc.ContextNotFound)
		_ = r.mme.Delete(t.Context(), s)
		if st := r.gw.Stats(); st.Sessions != 1 || st.Refused[gtpc.ContextNotFound] != 3 {
			t.Fatalf("%d sessions, refused %v", st.Sessions, st.Refused)
		}
		again, err := r.mme.Adopt(moved.State(), nil)
		r.must(err)
		r.must(r.mme.Move(t.Context(), again))
		refusedWith(t, second.Release(t.Context(), moved), gtpc.ContextNotFound)
		r.must(r.mme.Release(t.Context(), again))
		r.must(r.mme.Delete(t.Context(), again))
		time.Sleep(time.Second) // it drains
		if st := r.gw.Stats(); st.Sessions != 0 {
			t.Errorf("%+v", st)
		}
	})
}
