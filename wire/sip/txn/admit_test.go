package txn

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/wire/sip"
)

// TestQueueUnderLoad counts what a queue makes of more than can be done: one
// request is handled in a millisecond, and so many come.
func TestQueueUnderLoad(t *testing.T) {
	for _, c := range []struct {
		name     string
		perMilli [classes]int // that come in each millisecond, in tenths
		least    [classes]int // handled of those that came, in percent
		slowest  time.Duration
	}{
		{"within capacity", [classes]int{2, 3, 2, 2}, [classes]int{100, 100, 100, 100}, 0},
		{"twice the capacity", [classes]int{0, 20, 0, 0}, [classes]int{0, 45, 0, 0}, 50 * time.Millisecond},
		{"five times", [classes]int{0, 50, 0, 0}, [classes]int{0, 18, 0, 0}, 50 * time.Millisecond},
		{"a flood of strangers", [classes]int{1, 3, 0, 200}, [classes]int{100, 95, 0, 2}, 50 * time.Millisecond},
		{"a crowd that is known", [classes]int{3, 30, 0, 2}, [classes]int{99, 15, 0, 40}, 50 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := newQueue(Admission{Queue: 4096, Delay: 200 * time.Millisecond})
			var came, done, refused [classes]int
			var slowest time.Duration
			for now := time.Millisecond; now < 20*time.Second; now += time.Millisecond {
				for class, n := range c.perMilli {
					for range arrivals(n, now) {
						came[class]++
						if !q.push(&Server{class: class}, now) {
							refused[class]++
						}
					}
				}
				for {
					s, refuse := q.take(now)
					if s == nil {
						break
					}
					if refuse {
						refused[s.class]++
						continue
					}
					done[s.class]++
					if s.class >= newFamiliar && now > 2*time.Second {
						slowest = max(slowest, now-s.came)
					}
					break
				}
			}
			total := done[0] + done[1] + done[2] + done[3]
			for class := range came {
				if came[class] > 0 && done[class]*100 < c.least[class]*came[class] {
					t.Errorf("class %d: %d of %d handled, want %d %%", class, done[class], came[class], c.least[class])
				}
				if waiting := q.class[class].n; done[class]+refused[class]+waiting != came[class] {
					t.Errorf("class %d: %d came, %d handled, %d refused, %d wait", class, came[class], done[class], refused[class], waiting)
				}
			}
			if sum := c.perMilli[0] + c.perMilli[1] + c.perMilli[2] + c.perMilli[3]; sum > 10 && total < 19900 {
				t.Errorf("%d handled where 20,000 could be", total)
			}
			if slowest > c.slowest+30*time.Millisecond {
				t.Errorf("one waited %v", slowest)
			}
		})
	}
}

// arrivals is how many come in this millisecond, of so many tenths in each.
func arrivals(tenths int, now time.Duration) int {
	n := tenths / 10
	if int(now/time.Millisecond)%10 < tenths%10 {
		n++
	}
	return n
}

// forged is the n-th stranger of a flood.
func forged(n int) netip.AddrPort {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 0x0b000000+uint32(n))
	return netip.AddrPortFrom(netip.AddrFrom4(a), 5060)
}

// TestFlood is REGISTER and INVITE from forged addresses in thousands a second,
// each from another, and beside them a phone that is registered: it is served
// as ever, and what the flood may cost has its bound. The home of those who are
// forged answers slowly.
func TestFlood(t *testing.T) {
	for _, method := range []string{"REGISTER", "INVITE"} {
		t.Run(method, func(t *testing.T) {
			within(t, nil, func(o *Options) { o.Admission.Transactions = 1000 }, func(w *town) {
				phone := w.at("192.0.2.50:5062")
				w.e.Know(Flow{Transport: UDP, Remote: phone.addr()}, time.Now().Add(time.Hour))
				var fx effects
				var most int
				for second := range 20 {
					for i := range 2000 {
						n := second*2000 + i
						m := strings.ReplaceAll(request(method, fmt.Sprint("z9hG4bKf", n), ""), "call-1", fmt.Sprint("flood-", n))
						w.e.datagram(w.e.sockets[0], []byte(wire(m)), forged(n), w.e.now(), &fx)
						w.e.perform(&fx)
					}
					synctest.Wait()
					for len(w.in) > 0 {
						s := <-w.in
						if strings.HasPrefix(s.Request.CallID, "flood") {
							time.AfterFunc(3*time.Second, func() { _ = s.Reply(401, "") })
						}
					}
					most = max(most, w.e.Stats().Transactions)
					m := strings.ReplaceAll(request(method, fmt.Sprint("z9hG4bKp", second), ""), "call-1", fmt.Sprint("phone-", second))
					phone.says(strings.ReplaceAll(m, "192.0.2.2:5062", "192.0.2.50:5062"))
					s := w.next()
					if s.Request.CallID != fmt.Sprint("phone-", second) {
						w.Fatalf("not the phone's: %s", s.Request.CallID)
					}
					_ = s.Reply(200, "")
					phone.wants("SIP/2.0 200")
					if method == "INVITE" {
						ack := strings.ReplaceAll(strings.Replace(m, "INVITE sip", "ACK sip", 1), "1 INVITE", "1 ACK")
						phone.says(tagged(ack, s.tag))
						<-s.Done()
					}
					time.Sleep(time.Second)
				}
				stats := w.e.Stats()
				if most > 510 {
					w.Errorf("strangers had %d transactions of 1000", most)
				}
				if stats.Shed == 0 || stats.Kept > w.e.o.Memory {
					w.Errorf("%+v", stats)
				}
			})
		})
	}
}

// TestOneSource is a stranger who asks too often, and that nobody else suffers.
func TestOneSource(t *testing.T) {
	within(t, nil, nil, func(w *town) {
		other := w.at("192.0.2.50:5062")
		for i := range 1000 {
			w.far.says(strings.ReplaceAll(request("OPTIONS", fmt.Sprint("z9hG4bK", i), ""), "call-1", fmt.Sprint("call-", i)))
		}
		if n := len(w.in); n != 400 {
			w.Errorf("%d of 1000 were let in, want the burst", n)
		}
		other.says(strings.ReplaceAll(request("OPTIONS", "z9hG4bKother", ""), "call-1", "other"))
		if n := len(w.in); n != 401 {
			w.Errorf("%d: the other one was not", n)
		}
		time.Sleep(time.Second)
		for i := range 1000 {
			w.far.says(strings.ReplaceAll(request("OPTIONS", fmt.Sprint("z9hG4bKb", i), ""), "call-1", fmt.Sprint("again-", i)))
		}
		if n := len(w.in); n != 501 {
			w.Errorf("%d: want the rate of a second more", n)
		}
		w.e.Know(Flow{Transport: UDP, Remote: there}, time.Now().Add(time.Minute))
		w.far.says(strings.ReplaceAll(request("OPTIONS", "z9hG4bKc", ""), "call-1", "known"))
		time.Sleep(61 * time.Second)
		if n := len(w.in); n != 502 {
			w.Errorf("%d: one who is known has no rate", n)
		}
		if w.e.door.familiar(there, 0, w.e.now()) || len(w.e.door.known) != 0 {
			w.Error("is known for ever")
		}
	})
}

// TestRefusal is what those get who come when all places are taken: 503 with a
// time, and an ACK of it goes nowhere.
func TestRefusal(t *testing.T) {
	within(t, nil, func(o *Options) {
		o.Admission.Transactions, o.Admission.Replies = 2, 3
	}, func(w *town) {
		w.far.says(request("OPTIONS", "z9hG4bK0", "")) // a stranger has one of two
		for i := range 5 {
			w.far.says(strings.ReplaceAll(invite(fmt.Sprint("z9hG4bK1", i), ""), "call-1", fmt.Sprint("more-", i)))
		}
		for range 3 {
			m := w.far.wants("SIP/2.0 503")
			if s := m.Get("Retry-After"); s < "5" || len(s) != 1 && s != "10" {
				w.Errorf("Retry-After %q", s)
			}
			ack := m.Response(503, "")
			ack.Method, ack.URI, ack.CSeq.Method, ack.Via = "ACK", m.To.URI, "ACK", m.Via
			b, err := ack.Bytes()
			if err != nil {
				w.Fatal(err)
			}
			_, _ = w.far.conn.WriteToUDPAddrPort(b, here)
		}
		w.far.silent()
		if s := w.e.Stats(); s.Shed != 5 || s.Dropped != 2 || len(w.in) != 1 {
			w.Errorf("%d requests, %+v", len(w.in), s)
		}
		if r := w.e.Request(w.Context(), ask(sip.MethodInvite, 0), Target{Addr: there}); r.Err() != nil {
			w.Error("one of two is free")
		}
		w.far.wants("INVITE")
		if r := w.e.Request(w.Context(), ask(sip.MethodInvite, 0), Target{Addr: there}); r.Err() != ErrFull {
			w.Error(r.Err())
		}
	})
}

// TestMalformed is answered where RFC 3261 has an answer, and counted by place.
func TestMalformed(t *testing.T) {
	within(t, nil, nil, func(w *town) {
		good := request("OPTIONS", "z9hG4bK1", "")
		for _, c := range []struct{ old, new, answer string }{
			{"SIP/2.0\n", "SIP/7.0\n", "SIP/2.0 505"},
			{"CSeq: 1 OPTIONS", "CSeq: 1 INVITE", "SIP/2.0 400"},
			{"Call-ID: call-1\n", "", "SIP/2.0 400"},
			{"Via:", "Nothing:", ""},
			{"Max-Forwards: 70", "Max-Forwards: x", "SIP/2.0 400"},
		} {
			w.far.says(strings.Replace(good, c.old, c.new, 1))
			if c.answer == "" {
				w.far.silent()
			} else {
				w.far.wants(c.answer)
			}
		}
		for _, junk := range []string{"\r\n\r\n", "\x00\x01\x00\x00", "\x00\x01\x00\x00!\x12\xa4B", "GET / HTTP/1.1\r\n\r\n", strings.Repeat("x", 60000)} {
			_, _ = w.far.conn.WriteToUDPAddrPort([]byte(junk), here)
		}
		w.far.silent()
		s := w.e.Stats()
		n := uint64(0)
		for _, v := range s.Malformed {
			n += v
		}
		if n != 8 || len(w.in) != 0 {
			w.Errorf("%d requests, %v", len(w.in), s.Malformed)
		}
	})
}
