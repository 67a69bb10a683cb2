package s11_test

import (
	"testing"

	"campanile.network/3gpp/id"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// Sessions of another MME's phone get one control tunnel of this one's, of which the
// gateway learns by a Modify Bearer Request with nothing else in it (TS 29.274 §7.2.7);
// when they are another's again, the gateway hears nothing.
func TestAdoptMoveForget(t *testing.T) {
	inBubble(t, s11.Options{}, func(w *world) {
		var sender id.TEID
		w.answer = func(m *gtpc.Message) *gtpc.Message {
			if m.Type == gtpc.ModifyBearerRequest {
				f, err := gtpc.ParseFTEID(m.IE(ie.FullyQualifiedTEID, 0))
				if err != nil || f.Interface != gtpc.IfS11MME || m.IE(ie.BearerContext, 0) != nil {
					t.Errorf("asked with %v, %v", f, err)
				}
				sender = f.TEID
			}
			return accept(m)
		}
		own := w.create(request(t))
		st := own.State()
		st.IMSI, st.Local, st.Remote = id.IMSI{}, own.State().Local, st.Remote+100
		one, err := w.client.Adopt(st, nil)
		if err != nil {
			t.Fatal(err)
		}
		st.EBI = 6
		two, err := w.client.Adopt(st, one)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := one.State(), two.State(); a.Local == own.State().Local || a.Local != b.Local || a.Remote != st.Remote {
			t.Errorf("%+v, %+v beside %+v", a, b, own.State())
		}
		if err := w.client.Move(w.Context(), one); err != nil || sender != one.State().Local {
			t.Errorf("%v, sender %v", err, sender)
		}
		if _, err := w.client.Adopt(st, one); err == nil {
			t.Error("bearer 6 is adopted twice")
		}
		if _, err := w.client.Adopt(s11.State{}, nil); err == nil {
			t.Error("adopted of nothing")
		}
		w.client.Forget(one)
		w.client.Forget(two)
		w.client.Forget(two)
		if n := w.client.Sessions(); n != 1 {
			t.Errorf("%d sessions", n)
		}
	})
}
