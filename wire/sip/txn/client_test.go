package txn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/wire/sip"
)

// ask makes a request to the far end.
func ask(method sip.Method, body int) *sip.Message {
	u := sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.2", Port: 5062}
	m := sip.NewRequest(method, u)
	m.From.URI, m.To.URI, m.CallID, m.CSeq.Seq = u, u, "call-2", 7
	m.From.SetTag("b")
	m.Contact = []sip.Address{{URI: u}}
	m.Body = []byte(strings.Repeat("x", body))
	return m
}

// errand is one client transaction and what a test does to it.
type errand struct {
	*town
	c    *Client
	sent *sip.Message // as the far end got it

	mu   sync.Mutex
	told []string
}

// note notes what the user was told.
func (x *errand) note(s string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.told = append(x.told, s)
}

// news is what the user was told since the last time.
func (x *errand) news() string {
	synctest.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	s := strings.Join(x.told, " ")
	x.told = nil
	return s
}

func (w *town) errand(method sip.Method, to ...Target) *errand {
	w.Helper()
	x := &errand{town: w}
	x.c = w.e.RequestFunc(w.Context(), ask(method, 0), func(_ *Client, r *sip.Message, err error) {
		switch {
		case r != nil:
			x.note(fmt.Sprint(r.Status))
		case errors.Is(err, ErrTimeout):
			x.note("timeout")
		case err != nil:
			x.note("lost")
		default:
			x.note("end")
		}
	}, to...)
	return x
}

// answer has the far end answer with a status, and another tag where it is a fork.
func (f *far) answer(m *sip.Message, status int, tag string) {
	f.t.Helper()
	r := m.Response(status, "")
	if status > 100 {
		r.To.SetTag(tag)
	}
	r.Contact = []sip.Address{{URI: sip.URI{Scheme: "sip", User: "alice", Host: "192.0.2.2", Port: 5062}}}
	b, err := r.Bytes()
	if err != nil {
		f.t.Fatal(err)
	}
	_, _ = f.conn.WriteToUDPAddrPort(b, here)
	synctest.Wait()
}

// do does one thing, and says what was sent and what the user was told.
func (x *errand) do(event string) string {
	x.Helper()
	x.news()
	var status int
	tag := "x"
	if strings.HasSuffix(event, " fork") {
		tag = "y"
	}
	if n, _ := fmt.Sscan(event, &status); n == 1 {
		x.far.answer(x.sent, status, tag)
	} else {
		switch event {
		case "ack":
			ack := x.c.like(sip.MethodAck)
			ack.Via = nil
			ack.To.SetTag("x")
			if err := x.c.Ack(ack, Target{Addr: there}); err != nil {
				x.Fatal(err)
			}
		case "cancel":
			x.c.Cancel()
		case "wait":
			x.far.times(33 * time.Second)
			x.news()
		}
	}
	synctest.Wait()
	var out []string
	for len(x.far.got) > 0 {
		out = append(out, string(x.far.hears().Method))
	}
	return strings.TrimSpace(strings.Join(append(out, x.news()), " "))
}

// TestClientStates is RFC 3261 figures 5 and 6 with RFC 6026 figure 1.
func TestClientStates(t *testing.T) {
	events := []string{"100", "180", "200", "200 fork", "486", "cancel", "ack"}
	for _, c := range []struct {
		method sip.Method
		state  string
		want   []string
	}{
		{"INVITE", "", []string{"", "180", "200", "200", "ACK 486 end", "", "ACK"}},                    // Calling
		{"INVITE", "100", []string{"", "180", "200", "200", "ACK 486 end", "CANCEL", "ACK"}},           // Proceeding
		{"INVITE", "cancel", []string{"CANCEL", "CANCEL 180", "200", "200", "ACK 486 end", "", "ACK"}}, // Calling, to be cancelled
		{"INVITE", "180 cancel", []string{"", "180", "200", "200", "ACK 486 end", "", "ACK"}},
		{"INVITE", "486", []string{"", "", "", "", "ACK", "", "ACK"}},            // Completed
		{"INVITE", "200", []string{"", "", "200", "200", "", "", "ACK end"}},     // Accepted
		{"INVITE", "200 ack", []string{"", "", "ACK", "ACK BYE", "", "", "ACK"}}, // Accepted, acknowledged
		{"INVITE", "486 wait", []string{"", "", "", "", "", "", "ACK"}},          // Terminated
		{"INVITE", "200 wait", []string{"", "", "", "", "", "", "ACK"}},
		{"MESSAGE", "", []string{"", "180", "200 end", "200 end", "486 end", "", "ACK"}},    // Trying
		{"MESSAGE", "100", []string{"", "180", "200 end", "200 end", "486 end", "", "ACK"}}, // Proceeding
		{"MESSAGE", "200", []string{"", "", "", "", "", "", "ACK"}},                         // Completed
		{"MESSAGE", "200 wait", []string{"", "", "", "", "", "", "ACK"}},
	} {
		for i, event := range events {
			t.Run(string(c.method)+" "+c.state+"/"+event, func(t *testing.T) {
				within(t, nil, nil, func(w *town) {
					x := w.errand(c.method, Target{Addr: there})
					x.sent = w.far.wants(string(c.method))
					for step := range strings.FieldsSeq(c.state) {
						x.do(step)
					}
					if got := x.do(event); got != c.want[i] {
						w.Errorf("got %q, want %q", got, c.want[i])
					}
				})
			})
		}
	}
}

// TestClientTimers is when the client machines speak by themselves, and give up.
func TestClientTimers(t *testing.T) {
	ms := time.Millisecond
	capped := []time.Duration{500 * ms, 1500 * ms, 3500 * ms, 7500 * ms, 11500 * ms, 15500 * ms, 19500 * ms, 23500 * ms, 27500 * ms, 31500 * ms}
	for _, c := range []struct {
		method sip.Method
		answer int
		want   []time.Duration
		told   string
		after  time.Duration
	}{
		{"INVITE", 0, []time.Duration{500 * ms, 1500 * ms, 3500 * ms, 7500 * ms, 15500 * ms, 31500 * ms}, "timeout", 32 * time.Second}, // A, B
		{"INVITE", 180, nil, "", 299 * time.Second},
		// C: CANCEL, its repetitions, and the end of both.
		{"INVITE", 180, append([]time.Duration{300 * time.Second}, shifted(capped, 300*time.Second)...), "timeout", 332 * time.Second},
		{"INVITE", 200, nil, "", 31 * time.Second},
		{"INVITE", 200, nil, "end", 32 * time.Second}, // M
		{"MESSAGE", 0, capped, "timeout", 32 * time.Second},
		{"MESSAGE", 100, []time.Duration{4 * time.Second, 8 * time.Second, 12 * time.Second, 16 * time.Second, 20 * time.Second, 24 * time.Second,
			28 * time.Second}, "timeout", 32 * time.Second},
		{"MESSAGE", 200, nil, "", time.Minute},
	} {
		t.Run(fmt.Sprint(c.method, c.answer, c.after), func(t *testing.T) {
			within(t, nil, nil, func(w *town) {
				x := w.errand(c.method, Target{Addr: there})
				x.sent = w.far.wants(string(c.method))
				if c.answer != 0 {
					w.far.answer(x.sent, c.answer, "x")
				}
				x.news()
				at := w.far.times(c.after + ms)
				if !slices.Equal(at, c.want) {
					w.Errorf("messages at %v, want %v", at, c.want)
				}
				if got := x.news(); got != c.told {
					w.Errorf("told %q, want %q", got, c.told)
				}
			})
		})
	}
}

func shifted(list []time.Duration, by time.Duration) []time.Duration {
	list = slices.Clone(list)
	for i := range list {
		list[i] += by
	}
	return list
}

// TestFailover is a request with several places to go (RFC 3263 §4.3): on after
// silence and 503, and nowhere else.
func TestFailover(t *testing.T) {
	within(t, nil, nil, func(w *town) {
		second := w.at("192.0.2.3:5060")
		both := []Target{{Addr: there}, {Addr: second.addr()}}
		x := w.errand("INVITE", both...)
		first := w.far.wants("INVITE")
		w.far.answer(first, 503, "x")
		w.far.wants("ACK")
		m := second.wants("INVITE")
		if m.Via[0].Branch() == first.Via[0].Branch() {
			w.Error("the same branch")
		}
		second.answer(m, 200, "y")
		if got := x.news(); got != "200" {
			w.Errorf("told %q", got)
		}
		x = w.errand("MESSAGE", both...)
		begun := time.Now()
		for len(second.got) == 0 {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		if d := time.Since(begun); d != 32*time.Second {
			w.Errorf("on after %v", d)
		}
		second.answer(second.wants("MESSAGE"), 404, "y")
		if got := x.news(); got != "404 end" {
			w.Errorf("told %q", got)
		}
		x = w.errand("MESSAGE")
		synctest.Wait()
		if got := x.news(); got != "lost" {
			w.Errorf("without a target told %q", got)
		}
		x = w.errand("MESSAGE", Target{Transport: "SCTP", Addr: there}, Target{Addr: second.addr()})
		second.answer(second.wants("MESSAGE"), 503, "y")
		if got := x.news(); got != "503 end" {
			w.Errorf("told %q", got)
		}
	})
}

// TestChannel is a request whose responses come by a channel.
func TestChannel(t *testing.T) {
	within(t, nil, nil, func(w *town) {
		c := w.e.Request(w.Context(), ask("INVITE", 0), Target{Addr: there})
		m := w.far.wants("INVITE")
		for range 100 {
			w.far.answer(m, 180, "x")
		}
		if c.Heard() != true {
			w.Error("not heard")
		}
		w.far.answer(m, 486, "x")
		last := 0
		for r := range c.Responses() {
			last = r.Status
		}
		r, err := c.Final(w.Context())
		if last != 486 || err != nil || r.Status != 486 || c.Err() != nil {
			w.Errorf("last %d, final %v, %v, %v", last, r, err, c.Err())
		}
	})
}

// TestGivenUp is a request whose caller loses patience.
func TestGivenUp(t *testing.T) {
	within(t, nil, nil, func(w *town) {
		ctx, cancel := context.WithCancel(w.Context())
		message := w.e.Request(ctx, ask("MESSAGE", 0), Target{Addr: there})
		w.far.wants("MESSAGE")
		call := w.e.Request(ctx, ask("INVITE", 0), Target{Addr: there})
		m := w.far.wants("INVITE")
		w.far.answer(m, 180, "x")
		cancel()
		w.far.wants("CANCEL")
		if _, err := message.Final(w.Context()); !errors.Is(err, context.Canceled) {
			w.Error(err)
		}
		w.far.answer(m, 487, "x")
		w.far.wants("ACK")
		if r, err := call.Final(w.Context()); err != nil || r.Status != 487 {
			w.Error(r, err)
		}
	})
}
