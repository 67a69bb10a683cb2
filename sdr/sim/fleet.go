package sim

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/secret"
)

// FleetOptions for NewFleet: phones with consecutive IMSIs and one key, spread over
// eNBs.
type FleetOptions struct {
	ENBs   []*ENB
	First  id.IMSI
	K, OPc secret.Key128
	Phones int
	// AtOnce is how many procedures run at the same time at most; what is due
	// beyond that waits, and its waiting is in its time: 256.
	AtOnce int
	// Timeout of one procedure: 15 s, as T3410 (TS 24.301 §10.2).
	Timeout time.Duration
	// Page makes the network page a phone. Nil: it cannot be made to.
	Page func(id.IMSI) error
}

// Procedures of a Mix, as reports name them. Release, by inactivity, follows
// whatever has brought bearers.
const (
	ProcedureAttach  = "attach"
	ProcedureService = "service"
	ProcedureUpdate  = "tau"
	ProcedurePage    = "page"
	ProcedureDetach  = "detach"
	ProcedureRelease = "release"
)

// FleetReport is what a part of a run has come to. Times are from the moment when a
// procedure was due, so that a network which is late is seen to be.
type FleetReport struct {
	Seconds    float64                    `json:"seconds"`
	Rate       float64                    `json:"procedures_per_second"` // that were asked for; releases are not
	Procedures map[string]ProcedureReport `json:"procedures"`
	Causes     map[string]int             `json:"causes,omitempty"` // of failures
}

// ProcedureReport is what a fleet has seen of one procedure; times in
// milliseconds.
type ProcedureReport struct {
	OK     int     `json:"ok"`
	Failed int     `json:"failed"`
	P50    float64 `json:"p50_ms"`
	P99    float64 `json:"p99_ms"`
	Max    float64 `json:"max_ms"`
}

// Fleet is many phones that load a network. Its memory does not grow with what they
// do. One method at a time.
type Fleet struct {
	o      FleetOptions
	phones []*Phone
	off    chan *Phone // deregistered
	idle   chan *Phone // registered, the one that has rested longest first

	mu     sync.Mutex
	times  map[string]*times
	failed map[string]int
	causes map[string]int
}

// NewFleet makes the phones, switched off.
func NewFleet(o FleetOptions) (*Fleet, error) {
	if len(o.ENBs) == 0 || o.Phones <= 0 || o.AtOnce < 0 {
		return nil, errors.New("sim: a fleet needs eNBs and phones")
	}
	if o.AtOnce == 0 {
		o.AtOnce = 256
	}
	if o.Timeout == 0 {
		o.Timeout = t3410
	}
	f := &Fleet{o: o, off: make(chan *Phone, o.Phones), idle: make(chan *Phone, o.Phones)}
	for i := range o.Phones {
		imsi, err := plus(o.First, i)
		if err != nil {
			return nil, err
		}
		p, err := NewPhone(PhoneOptions{SIM: SIM{IMSI: imsi, K: o.K, OPc: o.OPc}, ENB: o.ENBs[i%len(o.ENBs)]})
		if err != nil {
			return nil, err
		}
		f.phones = append(f.phones, p)
		f.off <- p
	}
	return f, nil
}

// Close makes the phones do nothing more; they stay registered.
func (f *Fleet) Close() {
	for _, p := range f.phones {
		p.hush()
	}
}

// Attach registers every phone that is not, so many each second, and leaves them
// idle. Rate 0: as fast as AtOnce at a time go.
func (f *Fleet) Attach(ctx context.Context, rate float64) (FleetReport, error) {
	return f.run(ctx, rate, len(f.off), 0, func(*rand.Rand) string { return ProcedureAttach })
}

// Mix has registered phones do procedures for a while, so many each second, each as
// often as its weight says. An attach is of a phone that has detached, or detaches
// before.
func (f *Fleet) Mix(ctx context.Context, rate float64, length time.Duration, weights map[string]int) (FleetReport, error) {
	var deck []string
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		switch n := weights[name]; {
		case !slices.Contains([]string{ProcedureAttach, ProcedureService, ProcedureUpdate, ProcedurePage, ProcedureDetach}, name):
			return FleetReport{}, fmt.Errorf("sim: no procedure is called %q: attach, service, tau, page, detach", name)
		case n < 0 || n > 1000:
			return FleetReport{}, fmt.Errorf("sim: weight %d of %s is not 0..1000", n, name)
		case n > 0 && name == ProcedurePage && f.o.Page == nil:
			return FleetReport{}, errors.New("sim: this network cannot be made to page")
		default:
			deck = append(deck, slices.Repeat([]string{name}, n)...)
		}
	}
	if len(deck) == 0 || rate <= 0 || length <= 0 {
		return FleetReport{}, errors.New("sim: a mix needs weights, a rate and a length")
	}
	return f.run(ctx, rate, int(rate*length.Seconds()), 1, func(r *rand.Rand) string { return deck[r.IntN(len(deck))] })
}

// run begins n procedures when they are due.
func (f *Fleet) run(ctx context.Context, rate float64, n int, seed uint64, which func(*rand.Rand) string) (FleetReport, error) {
	f.times, f.failed, f.causes = map[string]*times{}, map[string]int{}, map[string]int{}
	rnd := rand.New(rand.NewPCG(seed, uint64(n)))
	slots := make(chan struct{}, f.o.AtOnce)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range n {
		due := time.Now()
		if rate > 0 {
			due = start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
			if d := time.Until(due); d > 0 {
				pause(ctx, d)
			}
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		if rate == 0 {
			due = time.Now()
		}
		what := which(rnd)
		wg.Go(func() {
			f.do(ctx, what, due)
			<-slots
		})
	}
	wg.Wait()
	return f.report(time.Since(start), n), ctx.Err()
}

// do is one procedure of some phone.
func (f *Fleet) do(ctx context.Context, what string, due time.Time) {
	ctx, cancel := context.WithTimeout(ctx, 4*f.o.Timeout) // with what goes before and after
	defer cancel()
	if what == ProcedureDetach && len(f.off) > len(f.phones)/10 {
		what = ProcedureAttach // there must be somebody left
	}
	p, due, err := f.take(ctx, what, due)
	if err != nil {
		f.note(what, due, err)
		if p != nil {
			f.off <- p
		}
		return
	}
	switch what {
	case ProcedureAttach:
		err = f.time(ctx, what, due, func(ctx context.Context) error { _, err := p.Attach(ctx); return err })
	case ProcedureService:
		err = f.time(ctx, what, due, func(ctx context.Context) error { return p.ServiceRequest(ctx, s1ap.RRCEstablishmentCauseMoData) })
	case ProcedureUpdate:
		err = f.time(ctx, what, due, func(ctx context.Context) error { return p.Update(ctx, eps.UpdatePeriodic) })
		if err == nil {
			err = p.free(ctx)
		}
	case ProcedurePage:
		err = f.time(ctx, what, due, func(ctx context.Context) error { return f.page(ctx, p) })
	case ProcedureDetach:
		err = f.time(ctx, what, due, func(ctx context.Context) error { return p.Detach(ctx, false) })
	}
	if err == nil && p.State() == Connected {
		err = f.time(ctx, ProcedureRelease, time.Now(), p.Rest)
	}
	if err != nil {
		p.hangUp()
	}
	if p.State() == Deregistered {
		f.off <- p
	} else {
		f.idle <- p
	}
}

// take gives a phone in the state that the procedure begins in. A phone that has to
// detach first delays what was due to when it has.
func (f *Fleet) take(ctx context.Context, what string, due time.Time) (*Phone, time.Time, error) {
	if what == ProcedureAttach {
		select {
		case p := <-f.off:
			return p, due, p.free(ctx)
		default:
		}
	}
	var p *Phone
	select {
	case p = <-f.idle:
	case <-ctx.Done():
		return nil, due, errors.New("sim: no phone is registered and idle")
	}
	if what == ProcedureAttach {
		err := f.time(ctx, ProcedureDetach, due, func(ctx context.Context) error { return p.Detach(ctx, false) })
		if err == nil {
			err = p.free(ctx)
		}
		if err != nil {
			f.off <- p
			return nil, due, err
		}
		due = time.Now()
	}
	return p, due, nil
}

// page has the network page the phone, and waits until it has bearers.
func (f *Fleet) page(ctx context.Context, p *Phone) error {
	if err := f.o.Page(p.o.SIM.IMSI); err != nil {
		return err
	}
	tick := time.NewTicker(500 * time.Microsecond)
	defer tick.Stop()
	for p.State() != Connected {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// time notes how long after it was due a procedure has ended.
func (f *Fleet) time(ctx context.Context, what string, due time.Time, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, f.o.Timeout)
	defer cancel()
	err := do(ctx)
	f.note(what, due, err)
	return err
}

func (f *Fleet) note(what string, due time.Time, err error) {
	took := time.Since(due)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.New("timeout")
		}
		f.failed[what]++
		if why := what + ": " + err.Error(); f.causes[why] > 0 || len(f.causes) < 100 {
			f.causes[why]++
		}
		return
	}
	t := f.times[what]
	if t == nil {
		t = &times{}
		f.times[what] = t
	}
	t.add(took)
}

func (f *Fleet) report(took time.Duration, n int) FleetReport {
	r := FleetReport{Seconds: took.Seconds(), Rate: float64(n) / took.Seconds(), Procedures: map[string]ProcedureReport{}, Causes: f.causes}
	for name, t := range f.times {
		r.Procedures[name] = ProcedureReport{OK: int(t.n), P50: t.at(.5), P99: t.at(.99), Max: float64(t.max.Microseconds()) / 1000}
	}
	for name, n := range f.failed {
		p := r.Procedures[name]
		p.Failed = n
		r.Procedures[name] = p
	}
	return r
}
