package s11_test

import (
	"net/netip"
	"reflect"
	"testing"
	"testing/synctest"

	"campanile.network/3gpp/id"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// All sessions of one phone share one control tunnel (TS 29.274 §4.1), which is
// another's when they have ended.
func TestSessionsOfOnePhoneShareATunnel(t *testing.T) {
	var heads, asked []id.TEID
	inBubble(t, s11.Options{}, func(w *world) {
		w.answer = func(m *gtpc.Message) *gtpc.Message {
			if m.Type == gtpc.CreateSessionRequest {
				f, err := gtpc.ParseFTEID(m.IE(ie.FullyQualifiedTEID, 0))
				if err != nil {
					t.Error(err)
				}
				heads, asked = append(heads, m.TEID), append(asked, f.TEID)
			}
			return accept(m)
		}
		one := w.create(request(t))
		more := request(t)
		more.EBI, more.Beside = 6, one
		two := w.create(more)
		if heads[0] != 0 || heads[1] != one.State().Remote || asked[0] != asked[1] || one.State().Local != two.State().Local {
			t.Errorf("the requests went to TEIDs %v and named %v", heads, asked)
		}
		if err := w.client.Delete(w.Context(), one); err != nil {
			t.Error(err)
		}
		three := w.create(request(t))
		if w.client.Sessions() != 2 || three.State().Local == two.State().Local {
			t.Errorf("%d sessions, TEIDs %v and %v", w.client.Sessions(), two.State().Local, three.State().Local)
		}
	})
}

// What is stored of a session is enough for another run to go on with it.
func TestRestore(t *testing.T) {
	inBubble(t, s11.Options{}, func(w *world) {
		one := w.create(request(t))
		st := one.State()
		if err := w.client.Delete(w.Context(), one); err != nil {
			t.Error(err)
		}
		again, err := w.client.Restore(st)
		if err != nil {
			t.Fatal(err)
		}
		if got := again.State(); !reflect.DeepEqual(got, st) {
			t.Errorf("restored as %+v, want %+v", got, st)
		}
		if err := w.client.Release(w.Context(), again); err != nil {
			t.Error(err)
		}
		if _, err := w.client.Restore(st); err == nil {
			t.Error("restored twice")
		}
		if fresh := w.create(request(t)); fresh.State().Local == st.Local {
			t.Errorf("another session has the restored one's TEID %v", st.Local)
		}
		if _, err := w.client.Restore(s11.State{}); err == nil {
			t.Error("restored of nothing")
		}
	})
}

func (w *world) create(r s11.CreateSession) *s11.Session {
	w.Helper()
	s, err := w.client.Create(w.Context(), r)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// A gateway that has restarted while the MME was away says so in its answer to the
// first Echo Request, and its sessions are no more (TS 23.007 §16.1A.1).
func TestGatewayRestartedMeanwhile(t *testing.T) {
	for _, was := range []uint8{0, 1} { // it is 1 now
		inBubble(t, s11.Options{}, func(w *world) {
			var lost []*s11.Session
			again, err := s11.New(s11.Options{Conn: w.listen(netip.MustParseAddrPort("127.0.0.21:2123")), Gateway: gwAddr, Logger: quiet,
				OnGatewayRestart: func(l []*s11.Session) { lost = append(lost, l...) }})
			if err != nil {
				t.Fatal(err)
			}
			st := s11.State{Session: s11.Session{EBI: 5}, Local: 9, Remote: 7, Peer: gwAddr, Run: uint16(was) + 1}
			s, err := again.Restore(st)
			if err != nil || s.State().Run != st.Run {
				t.Fatal(s, err)
			}
			stop := w.serve(again.Serve)
			synctest.Wait()
			if gone := len(lost) == 1; gone != (was != 1) {
				t.Errorf("the gateway's counter was %d; lost are %d sessions", was, len(lost))
			}
			stop()
		})
	}
}
