package txn

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/wire/sip"
)

// taken is a handler that hands requests to a test.
func taken(ch chan *Server) Handler {
	return func(_ context.Context, s *Server) { ch <- s }
}

func TestInviteAnswered(t *testing.T) {
	in := make(chan *Server, 9)
	within(t, nil, taken(in), nil, func(w *town) {
		w.far.says(invite("z9hG4bK1", ""))
		s := <-in
		time.Sleep(199 * time.Millisecond)
		w.far.silent()
		time.Sleep(time.Millisecond)
		w.far.wants("SIP/2.0 100")
		w.far.says(invite("z9hG4bK1", ""))
		w.far.wants("SIP/2.0 100")
		if err := s.Reply(180, ""); err != nil {
			t.Fatal(err)
		}
		ringing := w.far.wants("SIP/2.0 180")
		acked := make(chan *sip.Message, 1)
		s.OnAck(func(m *sip.Message, err error) { acked <- m })
		if err := s.Reply(200, ""); err != nil {
			t.Fatal(err)
		}
		ok := w.far.wants("SIP/2.0 200")
		if ok.To.Tag() == "" || ok.To.Tag() != ringing.To.Tag() {
			t.Errorf("tags %q and %q", ringing.To.Tag(), ok.To.Tag())
		}
		time.Sleep(500 * time.Millisecond)
		w.far.wants("SIP/2.0 200")
		w.far.says(invite("z9hG4bK1", ""))
		w.far.silent()
		ack := wire2(request("ACK", "z9hG4bK2", ""), ok.To.Tag())
		w.far.says(ack)
		if m := <-acked; m == nil || m.Method != sip.MethodAck {
			t.Errorf("ACK is %v", m)
		}
		<-s.Done()
		w.far.says(ack)
		w.far.says(invite("z9hG4bK1", ""))
		if at := w.far.times(time.Minute); len(at) != 0 {
			t.Errorf("more at %v", at)
		}
		if len(in) != 0 {
			t.Error("the handler got more than the INVITE")
		}
	})
}

// wire2 gives To of a message a tag.
func wire2(m, tag string) string {
	return replaceOnce(m, "To: <sip:bob@192.0.2.1>", "To: <sip:bob@192.0.2.1>;tag="+tag)
}

func TestClientInvite(t *testing.T) {
	within(t, nil, nil, nil, func(w *town) {
		u, _ := sip.ParseURI("sip:alice@192.0.2.2:5062")
		m := sip.NewRequest(sip.MethodInvite, u)
		m.From.URI, m.To.URI, m.CallID, m.CSeq.Seq = u, u, "call-2", 1
		m.From.SetTag("b")
		c := w.e.Request(w.Context(), m, Target{Addr: there})
		got := w.far.wants("INVITE")
		time.Sleep(500 * time.Millisecond)
		w.far.wants("INVITE")
		say := func(r *sip.Message) {
			b, err := r.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			_, _ = w.far.conn.WriteToUDPAddrPort(b, here)
			synctest.Wait()
		}
		r := got.Response(180, "")
		r.To.SetTag("x")
		say(r)
		if r := <-c.Responses(); r.Status != 180 {
			t.Error(r.Status)
		}
		r = got.Response(486, "")
		r.To.SetTag("x")
		say(r)
		w.far.wants("ACK")
		say(r)
		w.far.wants("ACK")
		if r := <-c.Responses(); r.Status != 486 {
			t.Error(r.Status)
		}
		if _, ok := <-c.Responses(); ok {
			t.Error("not closed")
		}
	})
}
