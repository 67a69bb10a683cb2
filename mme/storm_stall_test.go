package mme

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
	"campanile.network/sdr/sim"
	"campanile.network/wire/gtpc"
)

// dice are random numbers for several goroutines, and whether things go wrong now.
type dice struct {
	mu   sync.Mutex
	rnd  *rand.Rand
	calm bool
}

// falls says yes in one of n cases, and never while all is calm.
func (d *dice) falls(n int) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.calm && d.rnd.IntN(n) == 0
}

func (d *dice) upTo(most time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Duration(d.rnd.Int64N(int64(most)))
}

func (d *dice) rest(calm bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calm = calm
}

// moodyDisk stalls, and refuses, seldom.
type moodyDisk struct {
	*disk
	*dice
}

func (d *moodyDisk) Commit(ctx context.Context, changes []Change) error {
	wait := d.upTo(10 * time.Millisecond)
	if d.falls(40) {
		wait = 100*time.Millisecond + d.upTo(6*time.Second)
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	if d.falls(60) {
		return errors.New("input/output error")
	}
	return d.disk.Commit(ctx, changes)
}

// farGateway is behind a bad line: requests and answers are late, or lost and sent
// again. It takes a request up to so late after the MME has given up to wait for it,
// and each but once.
type farGateway struct {
	*testGateway
	*dice
	unheard map[id.IMSI]string   // what of a phone's sessions the MME has given up to ask
	asked   map[id.IMSI][]string // what was asked, and when
}

func (g *farGateway) tell(imsi id.IMSI, what ...any) {
	g.testGateway.mu.Lock()
	defer g.testGateway.mu.Unlock()
	l := append(g.asked[imsi], time.Now().Format("04:05.000 ")+fmt.Sprintln(what...))
	g.asked[imsi] = l[max(0, len(l)-40):]
}

// errDeaf says that no answer has come in time.
var errDeaf = errors.New("the gateway does not answer")

// over takes a request to the gateway and its answer back (TS 29.274 §7.6).
func (g *farGateway) over(ctx context.Context, imsi id.IMSI, what string, ask func() error) error {
	const t3, n3 = 3 * time.Second, 3
	answer := make(chan error, n3)
	g.tell(imsi, what, "asked")
	do := sync.OnceValue(func() error {
		err := ask()
		g.tell(imsi, what, "done:", err)
		return err
	})
	for range n3 {
		lost, dumb := g.falls(12), g.falls(12)
		there, back := g.upTo(200*time.Millisecond), g.upTo(200*time.Millisecond)
		if !lost {
			time.AfterFunc(there, func() {
				err := do()
				if !dumb {
					time.AfterFunc(back, func() { answer <- err })
				}
			})
		}
		t := time.NewTimer(t3)
		select {
		case err := <-answer:
			t.Stop()
			g.tell(imsi, what, "answered")
			return err
		case <-ctx.Done():
			t.Stop()
			g.gaveUp(imsi, what)
			return ctx.Err()
		case <-t.C:
		}
	}
	g.gaveUp(imsi, what)
	return errDeaf
}

func (g *farGateway) gaveUp(imsi id.IMSI, what string) {
	g.testGateway.mu.Lock()
	defer g.testGateway.mu.Unlock()
	g.unheard[imsi] += " " + what
}

func (g *farGateway) has(s *s11.Session) bool {
	g.testGateway.mu.Lock()
	defer g.testGateway.mu.Unlock()
	return g.sessions[g.same(s)] != nil
}

// Create ends what the phone had, as TS 29.274 §7.2.1 has it.
func (g *farGateway) Create(ctx context.Context, r s11.CreateSession) (s *s11.Session, err error) {
	err = g.over(ctx, r.IMSI, "create", func() error {
		g.testGateway.mu.Lock()
		for had := range g.sessions {
			if had.IMSI == r.IMSI && r.Beside == nil {
				delete(g.sessions, had)
			}
		}
		g.testGateway.mu.Unlock()
		var err error
		s, err = g.testGateway.Create(context.Background(), r)
		return err
	})
	if err != nil {
		s = nil
	}
	return s, err
}

func (g *farGateway) of(s *s11.Session, do func() error) func() error {
	return func() error {
		if !g.has(s) {
			return &gtpc.CauseError{Cause: gtpc.ContextNotFound}
		}
		return do()
	}
}

func (g *farGateway) Modify(ctx context.Context, s *s11.Session, m s11.ModifyBearer) error {
	return g.over(ctx, s.IMSI, "modify", g.of(s, func() error { return g.testGateway.Modify(context.Background(), s, m) }))
}

func (g *farGateway) Release(ctx context.Context, s *s11.Session) error {
	return g.over(ctx, s.IMSI, "release", g.of(s, func() error {
		g.testGateway.mu.Lock()
		defer g.testGateway.mu.Unlock()
		for had, x := range g.sessions {
			if had.IMSI == s.IMSI { // it is for all
				x.enb = s11.FTEID{}
			}
		}
		return nil
	}))
}

func (g *farGateway) Delete(ctx context.Context, s *s11.Session) error {
	err := g.over(ctx, s.IMSI, "delete", g.of(s, func() error { return g.testGateway.Delete(context.Background(), s) }))
	if answered(err) {
		return nil
	}
	return err
}

// stallStorm is phones that do what phones do while disk and gateway fail.
type stallStorm struct {
	*liveStorm
	*dice
	far *farGateway
}

// FuzzStalls lets store and gateway fail at random, in virtual time, while phones
// attach, rest, move and detach. When all is well again, so is every phone: one whose
// MME and gateway agree on what it has, and that is served when it asks. SEEDS says how
// many storms the test has beside the corpus.
func FuzzStalls(f *testing.F) {
	seeds := uint64(3)
	if v := os.Getenv("SEEDS"); v != "" {
		seeds = must(strconv.ParseUint(v, 10, 64))
	}
	for seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		d := &dice{rnd: rand.New(rand.NewPCG(seed, 31))}
		var far *farGateway
		play(t, func(o *Options) {
			noUpdates(o)
			far = &farGateway{o.Gateway.(*testGateway), d, map[id.IMSI]string{}, map[id.IMSI][]string{}}
			o.Events, o.Gateway, o.Store = nil, far, &moodyDisk{newDisk(), d}
		}, func(w *world) {
			ctx, stop := context.WithCancel(context.Background())
			defer w.ends.Wait()
			defer stop()
			s := &stallStorm{liveStorm: &liveStorm{w: w, seed: seed, done: map[string]int{}}, dice: d, far: far}
			for n := range uint32(stormTowers) {
				w.towers[0x100+n] = [32]byte{byte(n + 1)}
			}
			w.severalAPNs()
			phones := s.population(ctx, 12)
			for round := range uint64(4) {
				s.round(phones, seed<<8|round)
			}
			for _, p := range phones {
				p.SwitchOff()
			}
		})
	})
}

// round is a minute of storm and the calm after it.
func (s *stallStorm) round(phones []*citizen, seed uint64) {
	s.rest(false)
	ctx, over := context.WithTimeout(context.Background(), time.Minute)
	defer over()
	var all sync.WaitGroup
	for i, p := range phones {
		all.Go(func() { s.live(ctx, p, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	all.Wait()
	s.rest(true)
	time.Sleep(2 * time.Minute) // what waits to be tried again has been
	synctest.Wait()
	for _, p := range phones {
		s.agree(p)
		s.heal(p)
		s.agree(p)
	}
	s.far.testGateway.mu.Lock()
	defer s.far.testGateway.mu.Unlock()
	clear(s.far.unheard)
}

// live is a phone's minute. What fails is what a storm is; a phone tries again after a
// while.
func (s *stallStorm) live(ctx context.Context, p *citizen, rnd *rand.Rand) {
	for ctx.Err() == nil {
		if rnd.IntN(4) > 0 {
			time.Sleep(time.Duration(rnd.IntN(2000)) * time.Millisecond)
		}
		if s.act(p, rnd) != nil && rnd.IntN(3) > 0 {
			time.Sleep(time.Duration(rnd.IntN(12)) * time.Second)
		}
	}
}

func (s *stallStorm) act(p *citizen, rnd *rand.Rand) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	switch p.State() {
	case sim.Deregistered:
		_, err := p.Attach(ctx)
		return err
	case sim.Idle:
		switch rnd.IntN(5) {
		case 2:
			return s.page(ctx, p)
		case 0:
			return p.Update(ctx, eps.UpdatePeriodic)
		case 1:
			return p.MoveTo(ctx, s.towers[rnd.IntN(stormTowers)], 0)
		}
		return p.ServiceRequest(ctx, s1ap.RRCEstablishmentCauseMoData)
	}
	switch rnd.IntN(11) {
	case 0:
		return p.Update(ctx, eps.UpdateTA)
	case 1:
		return p.MoveTo(ctx, s.towers[rnd.IntN(stormTowers)], 0)
	case 2:
		return p.HandOver(ctx, s.towers[rnd.IntN(stormTowers)], 0)
	case 3:
		return p.HandOverX2(ctx, s.towers[rnd.IntN(stormTowers)], 0)
	case 9:
		_, err := p.Connect(ctx, ims, eps.PDNTypeIPv4)
		return err
	case 10:
		return p.Disconnect(ctx, 6)
	case 4, 5:
		return p.Detach(ctx, rnd.IntN(2) == 0)
	}
	return p.Rest(ctx)
}

// heal has a phone served, as it would be by its user's hand.
func (s *stallStorm) heal(p *citizen) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var err error
	for tries := 0; p.State() != sim.Connected && tries < 3; tries++ {
		switch p.State() {
		case sim.Deregistered:
			_, err = p.Attach(ctx)
		case sim.Idle:
			err = p.ServiceRequest(ctx, s1ap.RRCEstablishmentCauseMoData)
		}
		time.Sleep(20 * time.Second)
	}
	synctest.Wait()
	if ph, _ := s.w.m.Phone(p.imsi); p.State() != sim.Connected || ph.State != Connected {
		s.fail(p, fmt.Sprintf("is not served when all is calm: %v", err))
	}
}

// agree checks that MME and gateway say the same of a phone.
func (s *stallStorm) agree(p *citizen) {
	var i UEInfo
	if ph, ok := s.w.m.Phone(p.imsi); ok {
		i = ph.UEInfo
	}
	g := s.far.testGateway
	g.mu.Lock()
	n, ups, want := 0, 0, 0
	for _, b := range i.Bearers {
		if b.EBI == b.Linked {
			want++
		}
	}
	for x, state := range g.sessions {
		if x.IMSI == p.imsi {
			if n++; state.enb.TEID != 0 {
				ups++
			}
		}
	}
	why := s.far.unheard[p.imsi]
	g.mu.Unlock()
	registered := i.State == Idle || i.State == Connected
	switch {
	case n > want && (registered || n > 1) && why == "":
		s.fail(p, "has sessions left behind")
	case registered && (n < want || want == 0):
		s.fail(p, "is registered without a session")
	case i.State == Connected && ups < want:
		s.fail(p, "is connected without a tunnel")
	case i.State == Idle && ups > 0 && !strings.Contains(why, "release"):
		s.fail(p, "is idle with a tunnel")
	case i.State == Deregistered && n != 0 && why == "":
		s.fail(p, "is deregistered with a session")
	}
}

// fail tells all that is known of a phone.
func (s *stallStorm) fail(p *citizen, what string) {
	t := s.w.t
	t.Helper()
	ph, _ := s.w.m.Phone(p.imsi)
	t.Errorf("seed %d: %s %s; it is %v, to the MME %v (%s), bearers %+v", s.seed, p.imsi.Digits(), what, p.State(), ph.State, ph.Reason, ph.Bearers)
	s.far.testGateway.mu.Lock()
	for x, state := range s.far.sessions {
		if x.IMSI == p.imsi {
			t.Logf("session %v: tunnel %v, EBI %d", x.Address, state.enb, x.EBI)
		}
	}
	t.Logf("not heard of the gateway: %q; it was asked\n%s", s.far.unheard[p.imsi], strings.Join(s.far.asked[p.imsi], ""))
	s.far.testGateway.mu.Unlock()
	for _, h := range ph.History[:min(8, len(ph.History))] {
		t.Logf("%v %s: %s %s", h.At.Format(time.TimeOnly), h.Procedure, h.Cause, h.Why)
	}
}
