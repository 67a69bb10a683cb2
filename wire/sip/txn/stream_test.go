package txn

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/wire/sip"
)

// pipes is a network of streams in memory: a listener, and a way to dial.
type pipes struct {
	in     chan net.Conn
	closed chan struct{}
	once   sync.Once
	dialed chan net.Conn // the far ends of what the endpoint has dialled
	refuse bool
	port   uint16
}

func newPipes() *pipes {
	return &pipes{in: make(chan net.Conn), closed: make(chan struct{}), dialed: make(chan net.Conn, 16), port: 40000}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.in:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return net.TCPAddrFromAddrPort(here) }

// pipe is one end, with addresses.
type pipe struct {
	net.Conn
	local, remote netip.AddrPort
}

func (p pipe) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(p.local) }
func (p pipe) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(p.remote) }

func (p *pipes) pair(remote netip.AddrPort) (near, far net.Conn) {
	a, b := net.Pipe()
	return pipe{a, here, remote}, pipe{b, remote, here}
}

// connect is a far end that comes from an address.
func (p *pipes) connect(from string) net.Conn {
	p.port++
	near, far := p.pair(netip.AddrPortFrom(netip.MustParseAddr(from), p.port))
	select {
	case p.in <- near:
	case <-p.closed:
	}
	return far
}

func (p *pipes) dial(_ context.Context, to netip.AddrPort) (net.Conn, error) {
	if p.refuse {
		return nil, errors.New("connection refused")
	}
	near, far := p.pair(to)
	p.dialed <- far
	return near, nil
}

// withStreams is within with TCP beside UDP.
func withStreams(t *testing.T, change func(*Options), test func(*town, *pipes)) {
	t.Helper()
	var p *pipes
	within(t, nil, func(o *Options) {
		p = newPipes()
		o.Streams, o.Dial = []net.Listener{p}, p.dial
		if change != nil {
			change(o)
		}
	}, func(w *town) { test(w, p) })
}

// reading reads messages of a stream's far end.
type reading struct {
	t   *testing.T
	c   net.Conn
	got chan string // start lines, "pong", and "closed" at the end
	m   chan *sip.Message
}

func (w *town) reading(c net.Conn) *reading {
	r := &reading{w.T, c, make(chan string, 256), make(chan *sip.Message, 256)}
	go func() {
		b := bufio.NewReader(c)
		for {
			first, err := b.Peek(1)
			if err != nil {
				r.got <- "closed"
				return
			}
			if first[0] == '\r' {
				_, _ = b.Discard(2)
				r.got <- "pong"
				continue
			}
			m, err := sip.ReadStream(b, sip.Limits{})
			if err != nil {
				r.got <- err.Error()
				return
			}
			r.m <- m
			r.got <- startLine(m)
		}
	}()
	w.Cleanup(func() { _ = c.Close() })
	return r
}

func (r *reading) says(m string) {
	r.t.Helper()
	if _, err := io.WriteString(r.c, wire(strings.ReplaceAll(m, "SIP/2.0/UDP", "SIP/2.0/TCP"))); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

func (r *reading) wants(start string) *sip.Message {
	r.t.Helper()
	synctest.Wait()
	select {
	case s := <-r.got:
		if !strings.HasPrefix(s, start) {
			r.t.Fatalf("got %q, want %q", s, start)
		}
	default:
		r.t.Fatalf("nothing has come, want %q", start)
	}
	select {
	case m := <-r.m:
		return m
	default:
		return nil
	}
}

func (r *reading) silent() {
	r.t.Helper()
	synctest.Wait()
	if len(r.got) > 0 {
		r.t.Fatalf("unexpected: %s", <-r.got)
	}
}

// TestStreamTransactions: nothing is sent again over TCP but the 2xx of an
// INVITE, and everything goes over the connection it belongs to.
func TestStreamTransactions(t *testing.T) {
	withStreams(t, nil, func(w *town, p *pipes) {
		a := w.reading(p.connect("192.0.2.9"))
		a.says(request("MESSAGE", "z9hG4bK0", "") + request("OPTIONS", "z9hG4bK0", "")) // two at once
		s := w.next()
		_ = s.Reply(200, "")
		a.wants("SIP/2.0 200")
		_ = w.next().Reply(486, "")
		a.wants("SIP/2.0 486")
		if s.From.Transport != TCP || !s.From.Reliable() || s.From.Remote.Addr().String() != "192.0.2.9" || s.From.Conn == 0 {
			w.Errorf("flow %+v", s.From)
		}
		a.says(invite("z9hG4bK1", ""))
		s = w.next()
		_ = s.Reply(486, "")
		a.wants("SIP/2.0 486")
		time.Sleep(33 * time.Second) // timer H
		a.silent()
		a.says(invite("z9hG4bK2", ""))
		s = w.next()
		_ = s.Reply(200, "")
		a.wants("SIP/2.0 200")
		time.Sleep(500 * time.Millisecond)
		a.wants("SIP/2.0 200")

		x := w.errand("MESSAGE", To(s.From))
		m := a.wants("MESSAGE")
		if m.Via[0].Transport != TCP {
			w.Errorf("Via %v", m.Via[0])
		}
		r := m.Response(200, "")
		b, _ := r.Bytes()
		_, _ = a.c.Write(b)
		synctest.Wait()
		if got := x.news(); got != "200 end" {
			w.Errorf("told %q", got)
		}
		x = w.errand("MESSAGE", To(s.From))
		a.wants("MESSAGE")
		_ = a.c.Close()
		synctest.Wait()
		if got := x.news(); got != "lost" {
			w.Errorf("told %q", got)
		}
		x = w.errand("MESSAGE", To(s.From))
		synctest.Wait()
		if got := x.news(); got != "lost" {
			w.Errorf("without its connection told %q", got)
		}
	})
}

// TestAnswerAfterLoss: when the connection of a request is gone, the answer goes
// over a new one to where Via says (RFC 3261 §18.2.2).
func TestAnswerAfterLoss(t *testing.T) {
	withStreams(t, nil, func(w *town, p *pipes) {
		a := w.reading(p.connect("192.0.2.2"))
		a.says(request("MESSAGE", "z9hG4bK0", ""))
		s := w.next()
		_ = a.c.Close()
		synctest.Wait()
		if err := s.Reply(200, ""); err != nil {
			w.Fatal(err)
		}
		synctest.Wait()
		if len(p.dialed) != 1 {
			w.Fatal("nothing was dialled")
		}
		c := <-p.dialed
		w.reading(c).wants("SIP/2.0 200")
		if at := c.LocalAddr().String(); at != "192.0.2.2:5062" {
			w.Errorf("to %s", at)
		}
	})
}

// TestKeepalive is RFC 5626 §4.4.1, and how long a connection may be silent.
func TestKeepalive(t *testing.T) {
	withStreams(t, nil, func(w *town, p *pipes) {
		a := w.reading(p.connect("192.0.2.9"))
		a.says(request("OPTIONS", "z9hG4bK0", ""))
		_ = w.next().Reply(200, "")
		a.wants("SIP/2.0 200")
		for range 20 {
			time.Sleep(2 * time.Minute)
			a.says("\n\n")
			a.wants("pong")
		}
		a.says("\n\n" + request("OPTIONS", "z9hG4bK1", ""))
		a.wants("pong")
		_ = w.next().Reply(200, "")
		a.wants("SIP/2.0 200")
		time.Sleep(10*time.Minute - time.Second)
		a.silent()
		time.Sleep(time.Second)
		a.wants("closed")
	})
}

// TestSlow are those that take a connection and leave it at that.
func TestSlow(t *testing.T) {
	withStreams(t, nil, func(w *town, p *pipes) {
		for name, drop := range map[string]string{"silent": "", "a letter at a time": "O", "line ends": "\n"} {
			a := w.reading(p.connect("192.0.2.9"))
			begun := time.Now()
			for ended := false; !ended && time.Since(begun) < time.Hour; {
				for len(a.got) > 0 {
					ended = <-a.got == "closed"
				}
				time.Sleep(time.Second)
				if drop != "" {
					_, _ = io.WriteString(a.c, drop)
				}
				synctest.Wait()
			}
			if d := time.Since(begun); d > 41*time.Second {
				w.Errorf("%s: ended after %v", name, d)
			}
		}
		if n := w.e.Stats().Connections; n != 0 {
			w.Errorf("%d connections", n)
		}
	})
}

// TestConnectionsBounded: so many from one address, so many in all.
func TestConnectionsBounded(t *testing.T) {
	withStreams(t, func(o *Options) { o.Streaming.PerPeer, o.Streaming.Connections = 3, 5 }, func(w *town, p *pipes) {
		var list []*reading
		for range 4 {
			list = append(list, w.reading(p.connect("192.0.2.9")))
			time.Sleep(time.Millisecond)
		}
		list[3].wants("closed")
		for i := range 3 {
			list = append(list, w.reading(p.connect(fmt.Sprint("192.0.2.", 20+i))))
			time.Sleep(time.Millisecond)
		}
		list[0].wants("closed") // the idlest
		list[1].silent()
		if n := w.e.Stats().Connections; n != 5 {
			w.Errorf("%d connections", n)
		}
	})
}

// TestDeaf is a peer that does not read: what waits for it is bounded.
func TestDeaf(t *testing.T) {
	withStreams(t, nil, func(w *town, p *pipes) {
		deaf := p.connect("192.0.2.9")
		_, _ = io.WriteString(deaf, wire(strings.ReplaceAll(request("OPTIONS", "z9hG4bK0", ""), "UDP", "TCP")))
		s := w.next()
		_ = s.Reply(200, "")
		sent := 0
		for ; sent < 1000; sent++ {
			if err := w.e.Send(ask("ACK", 1000), To(s.From)); err != nil {
				break
			}
		}
		if sent < 100 || sent > 260 {
			w.Errorf("%d messages wait", sent)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if n := w.e.Stats().Connections; n != 0 {
			w.Errorf("%d connections", n)
		}
	})
}

// TestLongRequest goes by TCP where the peer has it (RFC 3261 §18.1.1).
func TestLongRequest(t *testing.T) {
	withStreams(t, nil, func(w *town, p *pipes) {
		c := w.e.Request(w.Context(), ask("MESSAGE", 1300), Target{Addr: there})
		synctest.Wait()
		a := w.reading(<-p.dialed)
		m := a.wants("MESSAGE")
		if m.Via[0].Transport != TCP || len(m.Body) != 1300 {
			w.Errorf("Via %v, %d octets", m.Via[0], len(m.Body))
		}
		b, _ := m.Response(200, "").Bytes()
		_, _ = a.c.Write(b)
		if r, err := c.Final(w.Context()); err != nil || r.Status != 200 {
			w.Error(r, err)
		}
		w.e.Request(w.Context(), ask("MESSAGE", 1300), Target{Addr: there})
		a.wants("MESSAGE") // over the same connection
		_ = a.c.Close()
		synctest.Wait()

		p.refuse = true
		for range 2 {
			c = w.e.Request(w.Context(), ask("MESSAGE", 1300), Target{Addr: there})
			for {
				m = w.far.wants("MESSAGE")
				w.far.answer(m, 200, "x")
				if len(w.far.got) == 0 {
					break
				}
			}
			if m.Via[0].Transport != UDP || len(m.Body) != 1300 {
				w.Errorf("Via %v, %d octets", m.Via[0], len(m.Body))
			}
			if r, err := c.Final(w.Context()); err != nil || r.Status != 200 {
				w.Error(r, err)
			}
			p.refuse = false // and it is remembered that there is none
		}
	})
}
