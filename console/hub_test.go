package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// count is how many listen.
func (h *hub) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.clients)
}

// pipes is a listener of in-memory connections without buffers, for virtual
// time: a reader that stops makes the writer wait.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

// open asks for the stream of events.
func (p *pipes) open(t *testing.T) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	p.conns <- theirs
	if _, err := io.WriteString(ours, "GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return ours
}

// virtual runs a server in virtual time; changed belongs to that time too.
func virtual(t *testing.T, state func() State, f func(s *Server, p *pipes, changed chan<- struct{})) {
	synctest.Test(t, func(t *testing.T) {
		changed := make(chan struct{}, 1)
		s, err := New(Options{State: state, Changed: changed, Listen: "127.0.0.1:0"})
		if err != nil {
			t.Fatal(err)
		}
		s.l.Close()
		p := newPipes()
		s.l = p
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Serve(ctx) }()
		f(s, p, changed)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if n := len(s.hub.clients); n != 0 {
			t.Errorf("%d pages are left after Serve", n)
		}
	})
}

// A page that stops reading is dropped; another one goes on getting a snapshot
// a second.
func TestSlowPageIsDropped(t *testing.T) {
	virtual(t, func() State { return State{} }, func(s *Server, p *pipes, _ chan<- struct{}) {
		slow, quick := p.open(t), p.open(t)
		defer slow.Close()
		frames := make(chan time.Time, 1000)
		go func() {
			r := bufio.NewScanner(quick)
			r.Buffer(nil, 1<<20)
			for r.Scan() {
				if strings.HasPrefix(r.Text(), "data: ") {
					frames <- time.Now()
				}
			}
			close(frames)
		}()
		if _, err := bufio.NewReader(slow).ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := s.hub.count(); n != 2 {
			t.Fatalf("%d pages", n)
		}
		began := time.Now()
		for len(frames) < 20 {
			<-time.After(time.Second)
		}
		if n := s.hub.count(); n != 1 {
			t.Errorf("%d pages after the slow one had its time", n)
		}
		if took := time.Since(began); took > 21*time.Second {
			t.Errorf("the quick page had 20 snapshots in %v", took)
		}
		rest, err := io.ReadAll(slow)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the slow page's connection: %v", err)
		}
		if len(rest) > 64<<10 {
			t.Errorf("%d octets were kept for the slow page", len(rest))
		}
		go func() {
			for range frames {
			}
		}()
	})
}

// However often something changes, there are two snapshots a second at most,
// and silence is filled with a sign of life.
func TestSnapshotsAreRationed(t *testing.T) {
	looks := 0
	var mu sync.Mutex
	state := func() State {
		mu.Lock()
		defer mu.Unlock()
		looks++
		return State{}
	}
	virtual(t, state, func(s *Server, p *pipes, changed chan<- struct{}) {
		c := p.open(t)
		var lines []string
		read := make(chan struct{})
		go func() {
			defer close(read)
			r := bufio.NewScanner(c)
			r.Buffer(nil, 1<<20)
			for r.Scan() {
				mu.Lock()
				lines = append(lines, r.Text())
				mu.Unlock()
			}
		}()
		for range 20_000 {
			select {
			case changed <- struct{}{}:
			default:
			}
			<-time.After(time.Millisecond)
		}
		mu.Lock()
		data, beats := 0, 0
		for _, l := range lines {
			if strings.HasPrefix(l, "data: ") {
				data++
			}
			if strings.HasPrefix(l, ":") {
				beats++
			}
		}
		if data < 35 || data > 41 || looks > 42 || beats != 1 {
			t.Errorf("in 20 s: %d snapshots, %d looks, %d signs of life", data, looks, beats)
		}
		mu.Unlock()
		c.Close()
		<-read
	})
}

// A closed Changed is no storm.
func TestChangedMayClose(t *testing.T) {
	looks := 0
	synctest.Test(t, func(t *testing.T) {
		changed := make(chan struct{})
		close(changed)
		h := newHub(func() State { looks++; return State{} }, changed, false)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		h.run(ctx)
	})
	if looks < 10 || looks > 12 {
		t.Errorf("%d looks in 10 s", looks)
	}
}

func phones(n int) []Phone {
	out := make([]Phone, n)
	for i := range out {
		out[i] = Phone{State: [...]string{"idle", "connected", "deregistered"}[i%3], APN: fmt.Sprint(i)}
	}
	return out
}

// Of too many phones the connected ones stay, in the order they came.
func TestTooManyPhones(t *testing.T) {
	all := phones(250)
	h := newHub(func() State { return State{Phones: all} }, nil, false)
	s := h.snapshot(time.Now(), h.state())
	if len(s.Phones) != maxPhones || s.PhonesAll != 250 || s.PhonesHere != 83 {
		t.Fatalf("%d of %d, %d connected", len(s.Phones), s.PhonesAll, s.PhonesHere)
	}
	last, connected := -1, 0
	for _, p := range s.Phones {
		var i int
		fmt.Sscan(p.APN, &i)
		if i <= last {
			t.Errorf("phone %d after %d", i, last)
		}
		last = i
		if p.State == "connected" {
			connected++
		}
		if p.State == "deregistered" {
			t.Errorf("phone %d is deregistered, and idle ones were cut", i)
		}
	}
	if connected != 83 {
		t.Errorf("%d connected ones stay of 83", connected)
	}
}

// Vouchers do not push a rare event out of the history.
func TestNewestEvents(t *testing.T) {
	all := []Event{{Kind: "cell", Text: "cell up"}}
	for i := range 500 {
		all = append(all, Event{Kind: "voucher", Text: fmt.Sprint(i)})
	}
	all = append(all, Event{Kind: "money", Text: "claimed"})
	got := newest(all)
	if len(got) != maxVouchers+2 || got[0].Text != "cell up" || got[1].Text != fmt.Sprint(500-maxVouchers) || got[len(got)-1].Text != "claimed" {
		t.Errorf("%d events: %v", len(got), got)
	}
	many := make([]Event, 300)
	if got := newest(many); len(got) != maxEvents {
		t.Errorf("%d of 300 events", len(got))
	}
}

func BenchmarkSnapshot(b *testing.B) {
	for _, n := range []int{3, 100, 10_000} {
		b.Run(fmt.Sprintf("phones=%d", n), func(b *testing.B) {
			all := phones(n)
			for i := range all {
				all[i].IMSI = imsi(b, fmt.Sprintf("00101%010d", i))
				all[i].Bearers = []Bearer{{EBI: 5, Octets: Octets{uint64(i), uint64(i)}}}
			}
			h := newHub(func() State { return State{Phones: all} }, nil, false)
			now := time.Now()
			for range points {
				now = now.Add(time.Second)
				h.look(now, true)
			}
			b.ReportAllocs()
			for b.Loop() {
				now = now.Add(time.Second)
				h.look(now, true)
			}
			b.ReportMetric(float64(len(h.frame)), "octets/snapshot")
		})
	}
}
