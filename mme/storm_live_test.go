package mme

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
	"campanile.network/mme/s11"
	"campanile.network/sdr/sim"
	"campanile.network/wire/proof"
)

// Sizes of TestStorm.
const (
	stormPhones = 100
	stormTowers = 4 // that behave, from number 0x100
	hostileBase = 0x7f000
)

// TestStorm is FuzzStorm in real time, with a hundred phones that behave, at four
// eNBs, and six eNBs that do not: two have phones with keys, two send what they
// have seen others send, mutated at the level of octets, of elements, of NAS and of
// identities, one never sets up S1, one does nothing else. Every procedure of those
// that behave succeeds, and memory stays as it is. STORM says how long: 30m is what
// a release has to stand.
func TestStorm(t *testing.T) {
	length := 3 * time.Second
	if v := os.Getenv("STORM"); v != "" {
		length = must(time.ParseDuration(v))
	}
	s := newLiveStorm(t, length)
	defer s.w.end()
	healthy, calm := context.WithCancel(context.Background())
	hostile, over := context.WithTimeout(healthy, length)
	defer over()
	defer s.w.ends.Wait()
	defer calm()
	phones := s.population(healthy, stormPhones)
	var behave, storm sync.WaitGroup
	for i, p := range phones {
		behave.Go(func() { s.live(hostile, p, rand.New(rand.NewPCG(s.seed, uint64(i)))) })
	}
	for n, f := range []func(*world, *rand.Rand){s.keyed, s.keyed, s.echo, s.echo, s.stranger, s.setups} {
		rnd := rand.New(rand.NewPCG(s.seed, uint64(1000+n)))
		storm.Go(func() {
			for hostile.Err() == nil {
				s.rage(hostile, n, rnd, f)
			}
		})
	}
	behave.Go(func() { s.watch(hostile) })
	s.sample(hostile, length)
	storm.Wait()
	behave.Wait()
	for _, p := range phones {
		p.settle(s)
	}
	s.check(phones)
}

// liveStorm is what TestStorm works with.
type liveStorm struct {
	w      *world
	seed   uint64
	seen   recorder
	towers []*sim.ENB
	ports  atomic.Uint32
	heaps  []uint64 // sampled
	sent   atomic.Uint64
	late   atomic.Int64 // the most, in nanoseconds, that this process was kept waiting lately

	mu     sync.Mutex
	done   map[string]int
	failed []string
}

func newLiveStorm(t *testing.T, length time.Duration) *liveStorm {
	s := &liveStorm{seed: uint64(time.Now().UnixNano()), done: map[string]int{}, seen: recorder{rest: min(length/6, 2*time.Second)}}
	t.Logf("seed %d", s.seed)
	l := &listener{ch: make(chan sctp.Association), closed: make(chan struct{})}
	s.w = makeWorld(t, func(o *Options) {
		o.Events, o.Logger, o.NetworkName, o.Store = nil, nil, "Campanile", newDisk()
		o.PathSwitch = func(_, to proof.TowerKey) bool { return to[0] != 0xff }
	})
	s.w.o.Home = &forgetfulHome{testHome: s.w.home}
	for n := range uint32(stormTowers) {
		s.w.towers[0x100+n] = proof.TowerKey{byte(n + 1)}
	}
	for n := range uint32(6) {
		s.w.towers[hostileBase+n] = proof.TowerKey{0xff, byte(n)}
	}
	s.w.start(l)
	s.w.open = func(netip.AddrPort) sctp.Association { return tap{s.dial(l), &s.seen} }
	s.w.l = l
	return s
}

// dial opens an association from an address of its own.
func (s *liveStorm) dial(l *listener) sctp.Association {
	n := s.ports.Add(1)
	remote := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 1, byte(n >> 16), byte(n >> 8)}), 30000+uint16(n&0xff))
	a, b := sctp.Pipe(sctp.PipeOptions{A: l.Addr(), B: remote})
	l.offer(a)
	return b
}

// citizen is a phone that behaves.
type citizen struct {
	*sim.Phone
	imsi id.IMSI
}

func (s *liveStorm) population(ctx context.Context, phones int) (all []*citizen) {
	for n := range uint32(stormTowers) {
		s.towers = append(s.towers, s.w.simENB(ctx, 0x100+n, id.TAC(7+n%2), sim.ENBOptions{}))
	}
	for i := range phones {
		p := s.w.simPhone(s.towers[i%stormTowers], sim.PhoneOptions{})
		all = append(all, &citizen{p, must(id.ParseIMSI(fmt.Sprintf("0010100000%05d", s.w.phones)))})
	}
	return all
}

// live is the day of a phone that behaves, until ctx ends.
func (s *liveStorm) live(ctx context.Context, p *citizen, rnd *rand.Rand) {
	s.attach(p)
	for ctx.Err() == nil {
		if rnd.IntN(4) > 0 { // else at once: by another eNB it may overtake what was said before
			select {
			case <-time.After(time.Duration(rnd.IntN(400)) * time.Millisecond):
			case <-ctx.Done():
				return
			}
		}
		switch rnd.IntN(10) {
		case 0, 1, 2:
			s.try("rest", p, p.Rest)
			s.try("service request", p, func(ctx context.Context) error { return p.ServiceRequest(ctx, s1ap.RRCEstablishmentCauseMoData) })
		case 3:
			s.try("update on the connection", p, func(ctx context.Context) error { return p.Update(ctx, eps.UpdateTA) })
		case 4:
			s.try("rest", p, p.Rest)
			s.try("update", p, func(ctx context.Context) error { return p.Update(ctx, eps.UpdatePeriodic) })
			s.serve(p)
		case 5:
			s.try("move", p, func(ctx context.Context) error { return p.MoveTo(ctx, s.towers[rnd.IntN(stormTowers)], 0) })
			s.serve(p)
		case 6:
			s.try("detach", p, func(ctx context.Context) error { return p.Detach(ctx, rnd.IntN(2) == 0) })
			s.attach(p)
		case 7, 8:
			s.try("rest", p, p.Rest)
			s.try("page", p, func(ctx context.Context) error { return s.page(ctx, p) })
		default:
			s.try("data", p, func(ctx context.Context) error { return s.data(ctx, p) })
		}
	}
}

func (s *liveStorm) attach(p *citizen) {
	s.try("attach", p, func(ctx context.Context) error { _, err := p.Attach(ctx); return err })
}

// serve brings a phone's bearers up, if they are not.
func (s *liveStorm) serve(p *citizen) {
	if p.State() == sim.Idle {
		s.try("service request", p, func(ctx context.Context) error { return p.ServiceRequest(ctx, s1ap.RRCEstablishmentCauseMoData) })
	}
}

func (p *citizen) settle(s *liveStorm) {
	s.try("data", p, func(ctx context.Context) error { return s.data(ctx, p) })
	p.SwitchOff()
}

// session gives the one session that the gateway has of a phone.
func (s *liveStorm) session(p *citizen) (one *s11.Session, up bool) {
	s.w.gw.mu.Lock()
	defer s.w.gw.mu.Unlock()
	for x, state := range s.w.gw.sessions {
		if x.IMSI == p.imsi {
			if one != nil {
				return nil, false
			}
			one, up = x, state.enb.TEID != 0
		}
	}
	return one, up
}

// page is data for an idle phone.
func (s *liveStorm) page(ctx context.Context, p *citizen) error {
	x, _ := s.session(p)
	if x == nil {
		return errors.New("the gateway has not one session of the phone")
	}
	s.w.m.DownlinkData(x, 5, 0)
	return until(ctx, func() bool { return p.State() == sim.Connected })
}

// data says whether a connected phone's packets would go where it is.
func (s *liveStorm) data(ctx context.Context, p *citizen) error {
	if st := p.State(); st != sim.Connected {
		return fmt.Errorf("the phone is %v", st)
	}
	return until(ctx, func() bool { x, up := s.session(p); return x != nil && up })
}

// until waits for what others do.
func until(ctx context.Context, is func() bool) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// try is a procedure that must succeed.
func (s *liveStorm) try(what string, p *citizen, f func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err := f(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done[what]++; err == nil {
		return
	}
	s.failed = append(s.failed, what)
	if len(s.failed) > 20 {
		return
	}
	var known string
	for _, u := range s.w.m.known.all() {
		if u.imsi == p.imsi {
			i := u.show(nil)
			known = fmt.Sprintf("%v since %v, %q", i.State, time.Since(i.Since), i.Reason)
		}
	}
	s.w.t.Errorf("%v %s of phone %s: %v (the phone is %v; for the MME %s; the machine is up to %v late)",
		time.Now().Format(time.TimeOnly), what, p.imsi.Digits(), err, p.State(), known, time.Duration(s.late.Load()))
}

// watch notes how late a timer is: phones that wait for seconds on a machine that
// has no time for them say nothing about the MME.
func (s *liveStorm) watch(ctx context.Context) {
	const period = 20 * time.Millisecond
	tick := time.NewTicker(period)
	defer tick.Stop()
	for last := time.Now(); ctx.Err() == nil; {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		now := time.Now()
		late := int64(now.Sub(last) - period)
		last = now
		s.late.Store(max(late, s.late.Load()*999/1000)) // fades in some seconds
	}
}

// sample notes how much memory is in use, and empties what the fakes note.
func (s *liveStorm) sample(ctx context.Context, length time.Duration) {
	tick := time.NewTicker(max(length/90, 200*time.Millisecond))
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.w.gw.mu.Lock()
		s.w.gw.said = nil
		s.w.gw.mu.Unlock()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		s.heaps = append(s.heaps, m.HeapAlloc)
		if n%5 == 0 {
			st := s.w.m.Stats()
			s.mu.Lock()
			s.w.t.Logf("%v heap %d KiB, %d goroutines, hostile messages %d; procedures of phones that behave %v, %d failed; MME: %d eNBs, %d phones, %d registered, %d connected",
				time.Now().Format(time.TimeOnly), m.HeapAlloc>>10, runtime.NumGoroutine(), s.sent.Load(), s.done, len(s.failed), st.ENBs, st.UEs, st.Registered, st.Connected)
			s.mu.Unlock()
		}
	}
}

// check is when the storm is over.
func (s *liveStorm) check(phones []*citizen) {
	t := s.w.t
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if until(ctx, func() bool { return s.w.m.Stats().ENBs == stormTowers }) != nil {
		t.Errorf("of %d eNBs that behave the MME has %+v", stormTowers, s.w.m.ENBs())
	}
	st := s.w.m.Stats()
	t.Logf("%d hostile messages; procedures of phones that behave %v; MME: %v, dropped %v", s.sent.Load(), s.done, st.Procedures, st.Dropped)
	if len(s.failed) > 0 {
		t.Errorf("%d procedures of phones that behave failed", len(s.failed))
	}
	for _, p := range phones {
		f := p.Stats()
		if n := f.MAC.Load() + f.Replayed.Load() + f.Plain.Load() + f.Capabilities.Load() + f.Changed.Load() + f.Undecodable.Load(); n != 0 {
			t.Errorf("phone %s finds %d faults: %d MAC, %d replayed, %d plain", p.imsi.Digits(), n, f.MAC.Load(), f.Replayed.Load(), f.Plain.Load())
		}
	}
	for n, e := range s.towers {
		if st := e.Stats(); st.KeyMismatch.Load()+st.SyntaxErrors.Load() != 0 || st.Setups.Load() != 1 {
			t.Errorf("eNB %d: %d wrong keys, %d syntax errors, %d times set up", n, st.KeyMismatch.Load(), st.SyntaxErrors.Load(), st.Setups.Load())
		}
	}
	for _, b := range s.w.gw.bad {
		t.Errorf("gateway: %s", b)
	}
	if n := len(s.heaps); n >= 40 {
		early, late := mean(s.heaps[n/4:n/2]), mean(s.heaps[3*n/4:])
		t.Logf("heap after collection: %d KiB in the second quarter, %d KiB in the last; highest %d KiB", early>>10, late>>10, slices.Max(s.heaps)>>10)
		if late > early+early/10+1<<20 {
			t.Errorf("memory grows: %d KiB in the second quarter, %d KiB in the last", early>>10, late>>10)
		}
	}
}

func mean(v []uint64) (m uint64) {
	for _, x := range v {
		m += x
	}
	return m / uint64(len(v))
}
