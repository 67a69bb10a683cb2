package txn

import (
	"context"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"testing"

	"campanile.network/wire/sip"
)

// nowhere takes what is sent, and brings nothing.
type nowhere struct{ PacketConn }

func (nowhere) WriteToUDPAddrPort(b []byte, _ netip.AddrPort) (int, error) { return len(b), nil }

// bare is an endpoint without sockets and goroutines.
func bare(b *testing.B, h func(*Server)) *Endpoint {
	o := Options{Admission: Admission{Transactions: 1 << 30, Queue: 1 << 30, Trusted: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}}
	o.defaults()
	e := newEndpoint(o)
	e.sockets = []*socket{{conn: nowhere{}, local: here}}
	e.handler = func(_ context.Context, s *Server) { h(s) }
	return e
}

// take does what dispatch does, here.
func (e *Endpoint) takeAll() {
	for {
		e.mu.Lock()
		s, _ := e.queue.take(e.now())
		e.mu.Unlock()
		if s == nil {
			return
		}
		e.handler(e.ctx, s)
	}
}

// BenchmarkRequest is a request from datagram to answer, without the system's
// share, and what is kept of it.
func BenchmarkRequest(b *testing.B) {
	e := bare(b, func(s *Server) { _ = s.Reply(200, "") })
	head, tail := []byte(wire(request("MESSAGE", "z9hG4bK", "")[:75])), wire(request("MESSAGE", "z9hG4bK", "")[75:])
	var fx effects
	var m []byte
	b.ReportAllocs()
	for i := range b.N {
		m = strconv.AppendInt(append(m[:0], head...), int64(i), 10)
		m = append(m, tail...)
		e.datagram(e.sockets[0], m, there, e.now(), &fx)
		e.perform(&fx)
		if i%16 == 0 {
			e.takeAll()
		}
	}
	e.takeAll()
	if s := e.Stats(); len(s.Malformed) > 0 || s.Received != uint64(b.N) {
		b.Fatalf("%+v", s)
	}
}

// BenchmarkMemory is what a transaction costs in octets: one whose handler has
// not answered, an INVITE that rings, and one that is over but for its answer.
func BenchmarkMemory(b *testing.B) {
	for _, c := range []struct {
		name, method string
		answer       int
	}{{"waiting", "MESSAGE", 0}, {"ringing", "INVITE", 180}, {"answered", "MESSAGE", 200}} {
		b.Run(c.name, func(b *testing.B) {
			e := bare(b, func(s *Server) {
				if c.answer != 0 {
					_ = s.Reply(c.answer, "")
				}
			})
			const n = 20000
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var fx effects
			for i := range n {
				m := []byte(wire(request(c.method, "z9hG4bK"+strconv.Itoa(i), "")))
				m = append(m[:0:0], []byte(replaceCall(string(m), i))...)
				e.datagram(e.sockets[0], m, there, e.now(), &fx)
				e.takeAll()
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if s := e.Stats(); c.answer != 200 && s.Transactions != n || c.answer == 200 && s.Kept == 0 {
				b.Fatalf("%+v", s)
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "octets/transaction")
			runtime.KeepAlive(e)
			for range b.N {
			}
		})
	}
}

func replaceCall(m string, i int) string {
	u, err := sip.Parse([]byte(m), false)
	if err != nil {
		panic(err)
	}
	u.CallID = "call-" + strconv.Itoa(i)
	b, _ := u.Bytes()
	return string(b)
}

// BenchmarkTimers is a timer set and stopped among many.
func BenchmarkTimers(b *testing.B) {
	var h schedule
	list := make([]timer, 10000)
	for i := range list {
		list[i].end = 1 << 40
		h.set(&list[i])
	}
	var mu sync.Mutex
	for i := range b.N {
		t := &list[i%len(list)]
		mu.Lock()
		h.stop(t)
		t.end = 1<<40 + 1
		h.set(t)
		mu.Unlock()
	}
}
