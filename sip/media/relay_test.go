package media

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// serving gives a relay that carries, which has ended when the test has.
func serving(t testing.TB, o Options) *Relay {
	t.Helper()
	o.Address = loopback
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := r.Serve(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return r
}

func dial(t testing.TB) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func at(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

// between joins two sockets by a session.
func between(t testing.TB, r *Relay, a, b *net.UDPConn, fa, fb Format) *Session {
	t.Helper()
	s, err := r.Session([2]netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range []Peer{{Addr: at(a), Receives: []Format{fa}, Mux: true}, {Addr: at(b), Receives: []Format{fb}, Mux: true}} {
		if err := s.Leg(i).SetPeer(p); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// A tone sent to one leg's port is the tone that comes from the other's, both
// ways at once, over sockets.
func TestToneOverSockets(t *testing.T) {
	r := serving(t, Options{Loops: 2})
	for range 3 {
		a, b := dial(t), dial(t)
		s := between(t, r, a, b, PCMA, GSM)
		done := make(chan []packet, 1)
		go func() { done <- talk(t, b, s.Leg(1).Local(), GSM, 800) }()
		atA := talk(t, a, s.Leg(0).Local(), PCMA, 500)
		atB := <-done
		if p := purity(listen(t, alaw, atA)[800:], 800); p < .9 {
			t.Errorf("at A %.2f is B's tone", p)
		}
		if p := purity(listen(t, gsm, atB)[800:], 500); p < .9 {
			t.Errorf("at B %.2f is A's tone", p)
		}
		s.Close()
	}
	if st := r.Stats(); st.Sessions != 0 || st.In.Packets != 300 || st.Out.Packets != 300 || st.Dropped != [drops]uint64{} {
		t.Errorf("%+v", st)
	}
}

// talk sends 50 packets, each after one has come, and gives those.
func talk(t *testing.T, c *net.UDPConn, to netip.AddrPort, f Format, hz float64) (got []packet) {
	src := &tone{hz: hz}
	buf := make([]byte, 2000)
	for i := range 50 {
		if _, err := c.WriteToUDPAddrPort(rtp(f.Number, uint16(i), uint32(i)*160, 1, src.frame(f.law(), 160)), to); err != nil {
			t.Error(err)
			return got
		}
		c.SetReadDeadline(time.Now().Add(30 * time.Second))
		n, _, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			t.Errorf("packet %d: %v", i, err)
			return got
		}
		var p packet
		if !p.parse(append([]byte(nil), buf[:n]...), false) {
			t.Errorf("packet %d: % x", i, buf[:n])
		}
		got = append(got, p)
	}
	return got
}

func TestClosedSessionsFreeTheirPorts(t *testing.T) {
	r := serving(t, Options{Low: 41000, High: 41015})
	var open []*Session
	for range 4 {
		s, err := r.Session([2]netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, s)
	}
	if _, err := r.Session([2]netip.Addr{}); err != ErrPorts {
		t.Errorf("a fifth call: %v", err)
	}
	seen := map[uint16]bool{}
	for _, s := range open {
		for i := range 2 {
			p := s.Leg(i).Local().Port()
			if p%2 != 0 || p < 41000 || p > 41014 || seen[p] {
				t.Errorf("port %d", p)
			}
			seen[p] = true
		}
		s.Close()
		s.Close()
		if _, more := <-s.Events(); more {
			t.Error("events go on")
		}
		if err := s.Leg(0).SetPeer(Peer{}); err != ErrClosed {
			t.Error(err)
		}
		if err := s.Leg(0).SendDigit('1', 0); err != ErrClosed {
			t.Error(err)
		}
	}
	if st := r.Stats(); st.FreePorts != 8 || st.Sessions != 0 {
		t.Errorf("%+v", st)
	}
	// A port somebody else has is passed over.
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 41005)))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for range 3 {
		if _, err := r.Session([2]netip.Addr{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Session([2]netip.Addr{}); err != ErrPorts {
		t.Errorf("a fourth call on seven pairs: %v", err)
	}
	if st := r.Stats(); st.FreePorts != 2 {
		t.Errorf("%+v", st)
	}
}

func TestServeEndsSessions(t *testing.T) {
	r, err := New(Options{Address: loopback})
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Session([2]netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Serve(ctx); err != nil {
		t.Error(err)
	}
	for range s.Events() {
	}
	if _, err := r.Session([2]netip.Addr{}); err != ErrClosed {
		t.Error(err)
	}
	s.Close()
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]Options{
		"no address": {}, "any address": {Address: netip.IPv4Unspecified()}, "one pair": {Address: loopback, Low: 40000, High: 40002},
		"backwards": {Address: loopback, Low: 40100, High: 40000}, "low": {Address: loopback, Low: 100, High: 40000},
		"hasty": {Address: loopback, Silence: time.Millisecond}, "slow": {Address: loopback, Rate: 1},
	} {
		if r, err := New(o); err == nil {
			r.close()
			t.Errorf("%s is taken", name)
		}
	}
	r := serving(t, Options{Announce: map[netip.Addr]netip.Addr{loopback: netip.MustParseAddr("203.0.113.1")}})
	s, err := r.Session([2]netip.Addr{{}, netip.MustParseAddr("127.0.0.9")})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := s.Leg(0).Local(), s.Leg(1).Local(); a.Addr().String() != "203.0.113.1" || b.Addr().String() != "127.0.0.9" {
		t.Errorf("%s, %s", a, b)
	}
	if _, err := r.Session([2]netip.Addr{netip.MustParseAddr("192.0.2.1")}); err == nil || r.Stats().FreePorts != 4998 {
		t.Errorf("an address of somebody else: %v, %d free", err, r.Stats().FreePorts)
	}
}

// A flood at one leg is read no faster than Options.Rate; another call at the
// same relay goes on meanwhile, and so does this one after it.
func TestFloodIsBounded(t *testing.T) {
	r := serving(t, Options{Rate: 50})
	a, b, flooder := dial(t), dial(t), dial(t)
	s := between(t, r, a, b, PCMU, PCMU)
	victim := s.Leg(0).Local()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				flooder.WriteToUDPAddrPort(make([]byte, 200), victim)
				runtime.Gosched()
			}
		}
	})
	began := time.Now()
	c, d := dial(t), dial(t)
	other := between(t, r, c, d, PCMU, GSM)
	talkOneWay(t, c, d, other.Leg(0).Local(), 30)
	until(t, func() bool { return r.Stats().Throttled >= 3 })
	close(stop)
	wg.Wait()
	read := s.Leg(0).Stats().Dropped[Stranger]
	if bound := 50*time.Since(began).Seconds() + 100; float64(read) > bound {
		t.Errorf("%d packets of a flood were read, want at most %.0f", read, bound)
	}
	until(t, func() bool { // what waits is read by and by
		a.WriteToUDPAddrPort(rtp(0, 1, 1, 1, make([]byte, 160)), victim)
		return s.Leg(1).Stats().Out.Packets > 0
	})
}

// until waits for something that is to happen, a minute at most.
func until(t *testing.T, happened func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !happened(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
	}
}

func talkOneWay(t *testing.T, from, to *net.UDPConn, at netip.AddrPort, n int) {
	src := &tone{hz: 700}
	buf := make([]byte, 2000)
	for i := range n {
		from.WriteToUDPAddrPort(rtp(0, uint16(i), uint32(i)*160, 1, src.frame(ulaw, 160)), at)
		to.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, _, err := to.ReadFromUDPAddrPort(buf); err != nil {
			t.Fatal(err)
		}
	}
}

// One leg may speak IPv4 and the other IPv6.
func TestBetweenFamilies(t *testing.T) {
	six, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		t.Skipf("this host has no IPv6: %v", err)
	}
	defer six.Close()
	r := serving(t, Options{})
	s, err := r.Session([2]netip.Addr{{}, netip.IPv6Loopback()})
	if err != nil {
		t.Fatal(err)
	}
	four := dial(t)
	for i, c := range []*net.UDPConn{four, six} {
		if err := s.Leg(i).SetPeer(Peer{Addr: at(c), Receives: []Format{PCMU}}); err != nil {
			t.Fatal(err)
		}
	}
	talkOneWay(t, four, six, s.Leg(0).Local(), 5)
	talkOneWay(t, six, four, s.Leg(1).Local(), 5)
	if a := s.Leg(1).Stats(); a.Source != at(six).String() || a.In.Packets != 5 || a.Out.Packets != 5 {
		t.Errorf("%+v", a)
	}
}
