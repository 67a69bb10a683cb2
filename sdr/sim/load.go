package sim

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
)

// LoadOptions for Load: phones with consecutive IMSIs and one key, as test
// SIMs are sold by the batch.
type LoadOptions struct {
	ENBs   []*ENB // phones are spread over them
	First  id.IMSI
	K, OPc secret.Key128
	UEs    int     // how many phones
	Rate   float64 // attaches begun each second
	// Timeout of one procedure: 15 s, as T3410 (TS 24.301 §10.2).
	Timeout time.Duration
	// Hold is how long a phone stays before it detaches, and the last ones before
	// the run ends, so that the network can finish what it does: 500 ms.
	Hold   time.Duration
	Detach bool // each phone detaches after Hold
	// Updates is how many periodic tracking area updates each phone does from
	// idle mode after Hold, and Moves how often it walks to the next cell of the
	// ENBs, in the order of eNBs and cells; it updates there where its list asks
	// for it. Whoever has to is released first, as by inactivity.
	Updates, Moves int
}

// LoadReport is what a load run has seen. Durations are of complete attaches,
// from the first message to the last.
type LoadReport struct {
	Attached int            `json:"attached"`
	Failed   int            `json:"failed"`
	Causes   map[string]int `json:"causes,omitempty"` // of failures
	Seconds  float64        `json:"seconds"`
	Rate     float64        `json:"attaches_per_second"`
	P50      float64        `json:"p50_ms"`
	P90      float64        `json:"p90_ms"`
	P99      float64        `json:"p99_ms"`
	Max      float64        `json:"max_ms"`
	Updated  int            `json:"updated,omitempty"` // periodic updates that were accepted
	Moved    int            `json:"moved,omitempty"`   // moves, with the updates they made necessary
}

// Load attaches phones at a rate and reports. Phones that do not detach stay
// registered, and do nothing more.
func Load(ctx context.Context, o LoadOptions) (LoadReport, error) {
	if len(o.ENBs) == 0 || o.UEs <= 0 || o.Rate <= 0 || o.Updates < 0 || o.Moves < 0 {
		return LoadReport{}, errors.New("sim: load needs an eNB, phones and a rate")
	}
	if o.Timeout == 0 {
		o.Timeout = 15 * time.Second
	}
	if o.Hold == 0 {
		o.Hold = 500 * time.Millisecond
	}
	l := loader{o: o, causes: map[string]int{}}
	if _, err := plus(o.First, o.UEs-1); err != nil {
		return LoadReport{}, err
	}
	start := time.Now()
	var wg sync.WaitGroup
	var phones []*Phone
	defer func() {
		for _, p := range phones {
			p.hush()
		}
	}()
	for i := range o.UEs {
		if d := time.Until(start.Add(time.Duration(float64(i) / o.Rate * float64(time.Second)))); d > 0 {
			select {
			case <-time.After(d):
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			break
		}
		p, err := l.phone(i)
		if err != nil {
			wg.Wait()
			return LoadReport{}, err
		}
		phones = append(phones, p)
		wg.Go(func() { l.one(ctx, p, i) })
	}
	wg.Wait()
	elapsed := time.Since(start)
	pause(ctx, o.Hold)
	return l.report(elapsed), ctx.Err()
}

type loader struct {
	o LoadOptions

	mu             sync.Mutex
	took           []time.Duration
	causes         map[string]int
	updated, moved int
}

func (l *loader) phone(i int) (*Phone, error) {
	imsi, err := plus(l.o.First, i)
	if err != nil {
		return nil, err
	}
	return NewPhone(PhoneOptions{SIM: SIM{IMSI: imsi, K: l.o.K, OPc: l.o.OPc}, ENB: l.o.ENBs[i%len(l.o.ENBs)]})
}

// plus gives the IMSI n numbers further, with as many digits.
func plus(first id.IMSI, n int) (id.IMSI, error) {
	d := first.Digits()
	v, err := strconv.ParseUint(d, 10, 64)
	if err != nil {
		return id.IMSI{}, fmt.Errorf("sim: %w", err)
	}
	return id.ParseIMSI(fmt.Sprintf("%0*d", len(d), v+uint64(n)))
}

// one is the life of phone i, who begins in the first cell of its eNB.
func (l *loader) one(ctx context.Context, p *Phone, i int) {
	var s Session
	err := l.within(ctx, func(ctx context.Context) (err error) { s, err = p.Attach(ctx); return err })
	if err == nil && (l.o.Detach || l.o.Updates > 0 || l.o.Moves > 0) {
		pause(ctx, l.o.Hold)
		err = l.wander(ctx, p, i%len(l.o.ENBs))
	}
	if err == nil && l.o.Detach {
		err = l.within(ctx, func(ctx context.Context) error { return p.Detach(ctx, false) })
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = errors.New("timeout")
		}
		l.causes[err.Error()]++
		return
	}
	l.took = append(l.took, s.Took)
}

// wander does a phone's updates and moves; it is at an eNB's first cell.
func (l *loader) wander(ctx context.Context, p *Phone, enb int) error {
	idle := func(f func(context.Context) error, n *int) error {
		err := l.within(ctx, p.Rest)
		if err == nil {
			err = l.within(ctx, f)
		}
		if err == nil {
			l.mu.Lock()
			*n++
			l.mu.Unlock()
		}
		return err
	}
	for range l.o.Updates {
		if err := idle(func(ctx context.Context) error { return p.Update(ctx, eps.UpdatePeriodic) }, &l.updated); err != nil {
			return err
		}
	}
	cell := 0
	for range l.o.Moves {
		if cell++; cell == len(l.o.ENBs[enb].cells) {
			enb, cell = (enb+1)%len(l.o.ENBs), 0
		}
		if err := idle(func(ctx context.Context) error { return p.MoveTo(ctx, l.o.ENBs[enb], cell) }, &l.moved); err != nil {
			return err
		}
	}
	return nil
}

// within runs a procedure for as long as it may take.
func (l *loader) within(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, l.o.Timeout)
	defer cancel()
	return f(ctx)
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func (l *loader) report(elapsed time.Duration) LoadReport {
	slices.Sort(l.took)
	at := func(percent int) float64 { // nearest rank
		if len(l.took) == 0 {
			return 0
		}
		return float64(l.took[(percent*len(l.took)+99)/100-1].Microseconds()) / 1000
	}
	r := LoadReport{Attached: len(l.took), Causes: l.causes, Seconds: elapsed.Seconds(), P50: at(50), P90: at(90), P99: at(99), Max: at(100),
		Updated: l.updated, Moved: l.moved}
	for _, n := range l.causes {
		r.Failed += n
	}
	r.Rate = float64(r.Attached) / r.Seconds
	return r
}
