package txn

import (
	"context"
	"fmt"
	"hash/fnv"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/internal/memnet"
	"campanile.network/wire/sip"
)

// slow delays each datagram by a time of its own, so that they overtake each other.
type slow struct {
	*memnet.Conn
	mu sync.Mutex
	n  uint32
}

func (s *slow) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	s.mu.Lock()
	s.n++
	delay := time.Duration(hash(b)*7+s.n*31%97) % 400 * time.Millisecond
	s.mu.Unlock()
	b = append([]byte(nil), b...)
	time.AfterFunc(delay, func() { _, _ = s.Conn.WriteToUDPAddrPort(b, to) })
	return len(b), nil
}

func hash(b []byte) uint32 {
	h := fnv.New32a()
	_, _ = h.Write(b)
	return h.Sum32()
}

// lossy loses the first copies of each message, none to two of them, and brings
// others twice: who sends often enough is heard.
func lossy() memnet.Rule {
	seen := make(map[uint32]uint32)
	return func(_, _ netip.AddrPort, b []byte) int {
		h := hash(b)
		seen[h]++
		switch {
		case seen[h] <= h%3:
			return 0
		case h%5 == 0:
			return 2
		}
		return 1
	}
}

// TestBadNetwork has two endpoints call and text each other while messages are
// lost, doubled and overtake each other: each request is handled once, both ends
// agree on what came of it, and nothing is left.
func TestBadNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memnet.New(lossy())
		p := &party{handled: map[string]int{}, acked: map[string]int{}, told: map[string][]int{}}
		ctx, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		var ends [2]*Endpoint
		for i, at := range []netip.AddrPort{here, there} {
			c, err := n.Listen(at)
			if err != nil {
				t.Fatal(err)
			}
			if ends[i], err = Listen(Options{Packets: []PacketConn{&slow{Conn: c}}, Admission: Admission{Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}}); err != nil {
				t.Fatal(err)
			}
			wait.Go(func() { _ = ends[i].Serve(ctx, p.answer) })
		}
		synctest.Wait()
		const each = 200
		for i := range each {
			for j, e := range ends {
				for _, method := range []sip.Method{"INVITE", "MESSAGE"} {
					m := ask(method, 0)
					m.CallID = fmt.Sprint(method, i, "-", j)
					p.ask(ctx, e, m, Target{Addr: []netip.AddrPort{there, here}[j]})
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		p.check(t, 4*each)
		for _, e := range ends {
			if s := e.Stats(); s.Transactions != 0 || s.Retransmissions == 0 || s.Repeated == 0 {
				t.Errorf("%+v", s)
			}
		}
		cancel()
		wait.Wait()
		time.Sleep(time.Second)
	})
}

// party is what both ends of a bad network note, by Call-ID.
type party struct {
	mu             sync.Mutex
	handled, acked map[string]int
	told           map[string][]int // final statuses; 0 for none
}

// answer is the handler at both ends.
func (p *party) answer(_ context.Context, s *Server) {
	id := s.Request.CallID
	p.mu.Lock()
	p.handled[id]++
	p.mu.Unlock()
	s.OnAck(func(_ *sip.Message, err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if err == nil {
			p.acked[id]++
		}
	})
	if s.Request.Method == sip.MethodInvite {
		_ = s.Reply(180, "")
		time.Sleep(time.Duration(hash([]byte(id))%3) * time.Second)
	}
	_ = s.Reply(expected(id), "")
}

// ask sends a request, and acknowledges what is to be acknowledged.
func (p *party) ask(ctx context.Context, e *Endpoint, m *sip.Message, to Target) {
	e.RequestFunc(ctx, m, func(c *Client, r *sip.Message, err error) {
		p.mu.Lock()
		switch {
		case r != nil && r.Status >= 200:
			p.told[m.CallID] = append(p.told[m.CallID], r.Status)
		case err != nil:
			p.told[m.CallID] = append(p.told[m.CallID], 0)
		}
		p.mu.Unlock()
		if r != nil && r.Status == 200 && m.Method == sip.MethodInvite {
			ack := c.like(sip.MethodAck)
			ack.Via, ack.To = nil, r.To
			_ = c.Ack(ack, to)
		}
	}, to)
}

// check wants each request handled once, and both ends of one mind.
func (p *party) check(t *testing.T, all int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, statuses := range p.told {
		if statuses[0] != expected(id) || p.handled[id] != 1 {
			t.Errorf("%s: told %v, want %d; handled %d times", id, statuses, expected(id), p.handled[id])
		}
		if want := id[0] == 'I' && expected(id) == 200; want != (p.acked[id] == 1) {
			t.Errorf("%s: acknowledged %d times", id, p.acked[id])
		}
	}
	if len(p.told) != all {
		t.Errorf("%d of %d came to an end", len(p.told), all)
	}
}

func expected(id string) int {
	return []int{200, 200, 404, 603}[hash([]byte(id))%4]
}
