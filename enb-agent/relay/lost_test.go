package relay_test

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/enb-agent/relay"
	"campanile.network/internal/memnet"
	"campanile.network/internal/sctp"
	"campanile.network/internal/sctp/sctptest"
	"campanile.network/sdr/sim"
)

// timers find a silent neighbour in half a minute.
var timers = sctp.Timers{RTOMax: 6 * time.Second, MaxRetrans: 5, HBInterval: 10 * time.Second}

// street is a tower with srsenb, a relay and an MME, over SCTP in UDP on a
// network in memory, each of which can be killed.
type street struct {
	t      *testing.T
	net    *sctptest.Network
	enb    *sim.ENB
	mu     sync.Mutex
	dead   map[netip.Addr]bool // nothing comes from there or gets there
	setups atomic.Int32        // S1 Setups the MME has answered
	ue     atomic.Int32        // other messages it has got
	gone   atomic.Int32        // associations that were shut down on it
	ends   map[netip.Addr]func()
}

func newStreet(t *testing.T) *street {
	s := &street{t: t, net: sctptest.New(1, sctptest.Conditions{Delay: 5 * time.Millisecond}), dead: map[netip.Addr]bool{}, ends: map[netip.Addr]func(){}}
	s.net.SetFilter(func(p sctptest.Packet) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return !s.dead[p.From.Addr()] && !s.dead[p.To.Addr()]
	})
	s.startMME()
	s.startRelay()
	s.startENB()
	t.Cleanup(func() {
		for _, a := range []netip.Addr{enbAddr, radioAddr, mmeAddr} {
			s.end(a)
		}
	})
	return s
}

func (s *street) end(a netip.Addr) {
	if f := s.ends[a]; f != nil {
		f()
	}
	delete(s.ends, a)
}

// kill ends what is at the addresses as kill -9 does: without a word.
func (s *street) kill(addrs ...netip.Addr) {
	s.silence(true, addrs...)
	s.end(addrs[0])
	s.silence(false, addrs...)
}

func (s *street) silence(yes bool, addrs ...netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range addrs {
		s.dead[a] = yes
	}
}

func (s *street) endpoint(a netip.Addr) *sctp.Userspace {
	s.t.Helper()
	sock, err := s.net.Open(netip.AddrPortFrom(a, sctp.DefaultEncapPort))
	if err != nil {
		s.t.Fatal(err)
	}
	ep, err := sctp.NewUDP(sctp.Options{Conn: sock, Timers: timers})
	if err != nil {
		s.t.Fatal(err)
	}
	return ep
}

// startMME answers S1 Setup and counts the rest.
func (s *street) startMME() {
	ep := s.endpoint(mmeAddr)
	l, err := ep.Listen(36412)
	if err != nil {
		s.t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			a, err := l.Accept(context.Background())
			if err != nil {
				return
			}
			wg.Go(func() { s.answer(a) })
		}
	})
	s.ends[mmeAddr] = func() { ep.Close(); wg.Wait() }
}

func (s *street) answer(a sctp.Association) {
	g := s1ap.FromGUMMEI(id.GUMMEI{PLMN: plmn, Group: 1, Code: 2})
	yes, err := s1ap.Append(nil, &s1ap.S1SetupResponse{RelativeMMECapacity: 255, ServedGUMMEIs: s1ap.ServedGUMMEIs{{
		ServedPLMNs: s1ap.ServedPLMNs{s1ap.FromPLMN(plmn)}, ServedGroupIDs: s1ap.ServedGroupIDs{g.MMEGroupID}, ServedMMECs: s1ap.ServedMMECs{g.MMECode}}}})
	if err != nil {
		panic(err)
	}
	for {
		m, err := a.Recv(context.Background())
		if err != nil {
			if err == sctp.ErrShutdown {
				s.gone.Add(1)
			}
			return
		}
		if p, _ := s1ap.Parse(m.Data); p.ProcedureCode != s1ap.ProcedureS1Setup {
			s.ue.Add(1)
		} else if a.Send(context.Background(), 0, 18, yes) == nil {
			s.setups.Add(1)
		}
	}
}

func (s *street) startRelay() {
	radio, core := s.endpoint(radioAddr), s.endpoint(coreAddr)
	l, err := radio.Listen(36412)
	if err != nil {
		s.t.Fatal(err)
	}
	user := memnet.New(nil)
	listen := func(a netip.Addr) *memnet.Conn {
		c, err := user.Listen(netip.AddrPortFrom(a, gtpu.Port))
		if err != nil {
			s.t.Fatal(err)
		}
		return c
	}
	r, err := relay.New(relay.Options{Radio: l, Core: core, MME: netip.AddrPortFrom(mmeAddr, 36412), RadioUser: listen(radioAddr), CoreUser: listen(coreAddr)})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.Serve(ctx)
		radio.Close()
		core.Close()
	}()
	s.ends[radioAddr] = func() { stop(); <-done }
}

func (s *street) startENB() {
	enb, err := sim.NewENB(sim.ENBOptions{ID: id.GlobalENBID{PLMN: plmn, Type: id.MacroENB, ID: 0x19b}, TAI: id.TAI{PLMN: plmn, TAC: 7}, Cell: 0x19b01,
		SRSENB: true, Redial: 10 * time.Second})
	if err != nil {
		s.t.Fatal(err)
	}
	ep := s.endpoint(enbAddr)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		enb.Serve(ctx, func(ctx context.Context) (sctp.Association, error) {
			return ep.Dial(ctx, netip.AddrPortFrom(radioAddr, 36412), sctp.DialOptions{LocalPort: 36412})
		})
		ep.Close()
	}()
	s.enb = enb
	s.ends[enbAddr] = func() { stop(); <-done }
}

// back waits until the eNB's n-th S1 Setup is answered and a phone's message
// gets through, and says how long that took.
func (s *street) back(n int32) time.Duration {
	s.t.Helper()
	start := time.Now()
	for s.setups.Load() < n {
		if time.Since(start) > 10*time.Minute {
			s.t.Fatalf("%d S1 Setups, want %d", s.setups.Load(), n)
		}
		<-time.After(100 * time.Millisecond)
	}
	took := time.Since(start)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.enb.WaitReady(ctx); err != nil {
		s.t.Fatal(err)
	}
	<-time.After(time.Second)
	before := s.ue.Load()
	s.call(time.Second)
	if s.setups.Load() != n || s.ue.Load() == before {
		s.t.Fatalf("%d S1 Setups, want %d; messages of phones %d, before %d", s.setups.Load(), n, s.ue.Load(), before)
	}
	return took
}

// call has a phone send its first message, which nobody answers.
func (s *street) call(d time.Duration) {
	s.t.Helper()
	imsi, err := id.ParseIMSI("001010000000001")
	if err != nil {
		s.t.Fatal(err)
	}
	p, err := sim.NewPhone(sim.PhoneOptions{SIM: sim.SIM{IMSI: imsi}, ENB: s.enb})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if _, err := p.Attach(ctx); err == nil {
		s.t.Error("attached at nobody's")
	}
	p.SwitchOff()
}

var plmn, _ = id.ParsePLMN("00101")

// However the MME, the relay or the eNB goes, service is back without anybody
// touching the eNB, which behaves as srsenb does.
func TestService(t *testing.T) {
	for _, c := range []struct {
		name  string
		loss  func(s *street)
		limit time.Duration
	}{
		{"MME stops and starts", func(s *street) {
			s.end(mmeAddr)
			s.startMME()
		}, 2 * time.Second},
		{"MME stops and comes back much later", func(s *street) {
			s.end(mmeAddr)
			<-time.After(5 * time.Minute)
			s.startMME()
		}, 16 * time.Second},
		{"MME is killed and comes back", func(s *street) { // and aborts what it does not know
			s.kill(mmeAddr)
			s.startMME()
		}, 12 * time.Second},
		{"MME is killed, comes back, and a phone calls", func(s *street) {
			s.kill(mmeAddr)
			s.startMME()
			s.call(time.Second)
		}, 2 * time.Second},
		{"MME is silent for long", func(s *street) {
			s.silence(true, mmeAddr)
			<-time.After(5 * time.Minute)
			s.silence(false, mmeAddr)
		}, 16 * time.Second},
		{"relay is killed and comes back", func(s *street) {
			s.kill(radioAddr, coreAddr)
			s.startRelay()
			<-time.After(15 * time.Second) // the heartbeat has met an ABORT, which srsenb does not notice
			s.call(time.Second)
		}, 16 * time.Second},
		{"relay stops and starts", func(s *street) {
			s.end(radioAddr)
			s.startRelay()
		}, 12 * time.Second},
		{"eNB is killed and comes back by the same ports", func(s *street) {
			s.kill(enbAddr)
			s.startENB()
		}, 2 * time.Second},
		{"eNB is away for long", func(s *street) {
			s.kill(enbAddr)
			<-time.After(5 * time.Minute)
			if n := s.gone.Load(); n != 1 {
				s.t.Errorf("%d associations were shut down on the MME for an eNB that has vanished", n)
			}
			s.startENB()
		}, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStreet(t)
				s.back(1)
				c.loss(s)
				if took := s.back(2); took > c.limit {
					t.Errorf("back after %v, want %v", took, c.limit)
				} else {
					t.Logf("back after %v", took)
				}
			})
		})
	}
}
