package txn

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/wire/sip"
)

// dialogue is one server transaction and what a test does to it.
type dialogue struct {
	*town
	s      *Server
	method string
	tag    string                 // of this end, once it has answered
	note   atomic.Pointer[string] // what the user was told
}

func (d *dialogue) told(s string) { d.note.Store(&s) }

// do does one of the things that can happen, and says what came of it: statuses
// that were sent, "up" for a request that reached the handler, "refused" for an
// answer that came too late.
func (d *dialogue) do(event string) string {
	d.Helper()
	d.told("")
	var extra []string
	or(&d.tag, "none")
	switch event {
	case "request":
		d.far.says(request(d.method, "z9hG4bK1", ""))
	case "ACK": // of an answer that is not 2xx: the branch is the INVITE's
		d.far.says(strings.Replace(tagged(request("ACK", "z9hG4bK1", ""), d.tag), "1 "+d.method, "1 ACK", 1))
	case "ACK 2xx":
		d.far.says(tagged(request("ACK", "z9hG4bK2", ""), d.tag))
	case "CANCEL":
		d.far.says(request("CANCEL", "z9hG4bK1", ""))
	case "wait": // for the answer's end
		time.Sleep(32 * time.Second)
		for len(d.far.got) > 0 {
			<-d.far.got
		}
	default:
		var status int
		_, _ = fmt.Sscan(event, &status)
		if err := d.s.Reply(status, ""); errors.Is(err, ErrAnswered) {
			extra = append(extra, "refused")
		} else if err != nil {
			d.Fatal(err)
		}
	}
	synctest.Wait()
	for len(d.far.got) > 0 {
		m := d.far.hears()
		if m.Status > 100 && m.CSeq.Method != sip.MethodCancel {
			d.tag = m.To.Tag()
		}
		extra = append(extra, fmt.Sprint(m.Status))
	}
	for len(d.in) > 0 {
		if s := <-d.in; d.s == nil {
			d.s = s
			s.OnAck(func(m *sip.Message, err error) {
				d.told("acked")
				if err != nil {
					d.told("no ACK")
				}
			})
			s.OnCancel(func() { d.told("cancelled") })
			continue
		}
		extra = append(extra, "up")
	}
	if s := *d.note.Load(); s != "" {
		extra = append(extra, s)
	}
	return strings.Join(extra, " ")
}

func tagged(m, tag string) string {
	return strings.Replace(m, "To: <sip:bob@192.0.2.1>", "To: <sip:bob@192.0.2.1>;tag="+tag, 1)
}

// TestServerStates is RFC 3261 figures 7 and 8 with RFC 6026 figure 3: in each
// state, what each event brings about.
func TestServerStates(t *testing.T) {
	events := []string{"request", "ACK", "ACK 2xx", "CANCEL", "180", "200", "486"}
	for _, c := range []struct {
		method string
		state  string // how it is reached
		want   []string
	}{
		{"INVITE", "", []string{"", "", "up", "200 cancelled", "180", "200", "486"}},
		{"INVITE", "180", []string{"180", "", "up", "200 cancelled", "180", "200", "486"}},
		{"INVITE", "180 CANCEL", []string{"180", "", "up", "200", "180", "200", "486"}},
		{"INVITE", "486", []string{"486", "", "up", "200", "refused", "refused", "refused"}},            // Completed
		{"INVITE", "486 ACK", []string{"", "", "up", "200", "refused", "refused", "refused"}},           // Confirmed
		{"INVITE", "200", []string{"", "acked", "acked", "200", "refused", "refused", "refused"}},       // Accepted
		{"INVITE", "200 ACK 2xx", []string{"", "", "", "200", "refused", "refused", "refused"}},         // Accepted, after the ACK
		{"INVITE", "486 wait wait", []string{"up", "up", "up", "481", "refused", "refused", "refused"}}, // Terminated
		{"INVITE", "200 ACK 2xx wait", []string{"up", "up", "up", "481", "refused", "refused", "refused"}},
		{"MESSAGE", "", []string{"", "up", "up", "481", "180", "200", "486"}}, // Trying
		{"MESSAGE", "180", []string{"180", "up", "up", "481", "180", "200", "486"}},
		{"MESSAGE", "200", []string{"200", "up", "up", "481", "refused", "refused", "refused"}}, // Completed
		{"MESSAGE", "200 wait", []string{"up", "up", "up", "481", "refused", "refused", "refused"}},
	} {
		for i, event := range events {
			t.Run(c.method+" "+c.state+"/"+event, func(t *testing.T) {
				within(t, nil, nil, func(w *town) {
					d := &dialogue{town: w, method: c.method}
					d.do("request")
					steps := strings.ReplaceAll(c.state, "ACK 2xx", "ACK_2xx")
					for step := range strings.FieldsSeq(steps) {
						d.do(strings.ReplaceAll(step, "_", " "))
					}
					if got := d.do(event); got != c.want[i] {
						w.Errorf("got %q, want %q", got, c.want[i])
					}
				})
			})
		}
	}
}

// TestServerTimers is when the server machines speak by themselves.
func TestServerTimers(t *testing.T) {
	ms := time.Millisecond
	doubling := []time.Duration{500 * ms, 1500 * ms, 3500 * ms, 7500 * ms, 11500 * ms, 15500 * ms, 19500 * ms, 23500 * ms, 27500 * ms, 31500 * ms}
	for _, c := range []struct {
		method  string
		answers []int
		want    []time.Duration
		note    string
	}{
		{"INVITE", nil, []time.Duration{200 * ms, 5 * time.Minute}, "cancelled"}, // 100, and the end that nobody gave it: 408 and its repetitions follow
		{"INVITE", []int{180}, nil, ""},
		{"INVITE", []int{200}, doubling, "no ACK"},
		{"INVITE", []int{486}, doubling, ""},
		{"MESSAGE", nil, nil, ""},
		{"MESSAGE", []int{100}, nil, ""},
		{"MESSAGE", []int{200}, nil, ""},
	} {
		t.Run(fmt.Sprint(c.method, c.answers), func(t *testing.T) {
			within(t, nil, nil, func(w *town) {
				d := &dialogue{town: w, method: c.method}
				d.do("request")
				for _, status := range c.answers {
					d.do(fmt.Sprint(status))
				}
				length := 4 * time.Minute
				if len(c.answers) == 0 && c.method == "INVITE" {
					length = 5*time.Minute + ms
				}
				d.told("")
				if at := w.far.times(length); !slices.Equal(at, c.want) {
					w.Errorf("messages at %v, want %v", at, c.want)
				}
				if s := *d.note.Load(); s != c.note {
					w.Errorf("told %q, want %q", s, c.note)
				}
			})
		})
	}
}

// TestOldDialects are requests whose branch tells nothing: old builds of OpenBTS
// send the parameter without a value, and each message is known by what
// RFC 2543 compares (RFC 3261 §17.2.3).
func TestOldDialects(t *testing.T) {
	for _, branch := range []string{";branch", ";branch=1", ""} {
		within(t, nil, nil, func(w *town) {
			old := func(method string, seq int) string {
				m := strings.Replace(request(method, "X", ""), ";branch=X", branch, 1)
				return strings.Replace(m, "CSeq: 1", fmt.Sprint("CSeq: ", seq), 1)
			}
			w.far.says(old("INVITE", 1))
			s := w.next()
			w.far.says(old("INVITE", 1))
			_ = s.Reply(486, "")
			m := w.far.wants("SIP/2.0 486")
			if v := m.Via[0]; v.Branch() != strings.TrimPrefix(strings.TrimPrefix(branch, ";branch"), "=") {
				w.Errorf("Via is %v", v)
			}
			w.far.says(tagged(strings.Replace(old("INVITE", 1), "INVITE sip", "ACK sip", 1), m.To.Tag())) // and CSeq wrong
			w.far.says(tagged(old("ACK", 1), m.To.Tag()))
			if at := w.far.times(time.Minute); len(at) != 0 {
				w.Errorf("ACK has ended nothing: %v", at)
			}
			w.far.says(old("INVITE", 2)) // the same Call-ID for all calls, as OpenBTS has for registrations
			if len(w.in) != 1 {
				w.Fatalf("%d requests", len(w.in))
			}
			s = w.next()
			cancelled := s.Cancelled()
			w.far.says(old("CANCEL", 2))
			w.far.wants("SIP/2.0 200")
			<-cancelled
			_ = s.Reply(487, "")
			w.far.wants("SIP/2.0 487")
		})
	}
}

// TestAckWithoutTransaction is given to the handler, which can answer nothing.
func TestAckWithoutTransaction(t *testing.T) {
	within(t, nil, nil, func(w *town) {
		w.far.says(tagged(request("ACK", "z9hG4bK1", ""), "x"))
		s := w.next()
		<-s.Done()
		if err := s.Reply(200, ""); !errors.Is(err, ErrAnswered) {
			w.Error(err)
		}
		w.far.silent()
	})
}

// TestEnd tells everybody who waits when the endpoint ends, and takes nothing more.
func TestEnd(t *testing.T) {
	within(t, nil, nil, func(w *town) {
		w.far.says(invite("z9hG4bK1", ""))
		s := w.next()
		acked := make(chan error, 1)
		s.OnAck(func(_ *sip.Message, err error) { acked <- err })
		_ = s.Reply(200, "")
		c := w.e.Request(w.Context(), ask("INVITE", 0), Target{Addr: there})
		w.e.Close()
		if err := <-acked; !errors.Is(err, ErrClosed) {
			w.Error(err)
		}
		if _, err := c.Final(w.Context()); !errors.Is(err, ErrClosed) {
			w.Error(err)
		}
		<-s.Done()
		if c := w.e.Request(w.Context(), ask("INVITE", 0), Target{Addr: there}); !errors.Is(c.Err(), ErrClosed) {
			w.Error(c.Err())
		}
		if err := w.e.Send(ask("ACK", 0), Target{Addr: there}); !errors.Is(err, ErrClosed) {
			w.Error(err)
		}
	})
}

// TestMerged is one request that comes by two ways (RFC 3261 §8.2.2.2).
func TestMerged(t *testing.T) {
	within(t, nil, nil, func(w *town) {
		w.far.says(invite("z9hG4bK1", ""))
		w.far.says(invite("z9hG4bK2", ""))
		m := w.far.wants("SIP/2.0 482")
		if m.Via[0].Branch() != "z9hG4bK2" || len(w.in) != 1 {
			w.Errorf("answer to %s, %d requests", m.Via[0].Branch(), len(w.in))
		}
		w.far.says(tagged(invite("z9hG4bK3", ""), "in-dialog")) // a tag makes it another
		if len(w.in) != 2 {
			w.Errorf("%d requests", len(w.in))
		}
	})
}

// TestWhereAnswersGo is RFC 3261 §18.2.2 and RFC 3581.
func TestWhereAnswersGo(t *testing.T) {
	within(t, nil, nil, func(w *town) {
		nat := w.at("192.0.2.3:40000")
		for i, c := range []struct {
			from, to  *far
			via, want string
		}{
			{w.far, w.far, "192.0.2.2:5062", "192.0.2.2:5062"},
			{nat, w.far, "192.0.2.2:5062", ""}, // to the address it came from, and nobody has that port there
			{nat, nat, "10.0.0.1:5062;rport", "10.0.0.1:5062;rport=40000;received=192.0.2.3"},
			{nat, nat, "10.0.0.1:5062;rport=9;received=1.2.3.4", "10.0.0.1:5062;rport=40000;received=192.0.2.3"},
			{nat, nat, "192.0.2.3:40000;received=1.2.3.4", "192.0.2.3:40000;received=192.0.2.3"},
			{nat, nat, "host.example:40000", "host.example:40000;received=192.0.2.3"},
		} {
			branch := fmt.Sprint(";branch=z9hG4bK", i)
			m := strings.Replace(request("OPTIONS", "X", ""), "192.0.2.2:5062;branch=X", c.via+branch, 1)
			c.from.says(strings.Replace(m, "call-1", fmt.Sprint("call-", i), 1))
			_ = w.next().Reply(200, "")
			if c.want == "" {
				c.from.silent()
				c.to.silent()
				continue
			}
			v := c.to.wants("SIP/2.0 200").Via[0]
			if got := strings.Replace(v.String(), branch, "", 1); got != "SIP/2.0/UDP "+c.want {
				w.Errorf("via %q came back as %q", c.via, got)
			}
		}
	})
}
