package mme

import (
	"context"
	"errors"
	"hash/fnv"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
	"campanile.network/wire/home"
)

// An MME that is overloaded has its eNBs hold phones back (TS 23.401 §4.3.7.4.1,
// TS 36.413 §8.7.6, §8.7.7): a quarter of them first, more while it goes on. What
// comes nevertheless and is too much is refused with #22 and a time to stay away
// (TS 24.301 §5.5.1.2.5). Emergencies and phones that are paged come always.
//
// Load is looked at every second. It goes up a level after two seconds beyond the
// limit and down one after ten well below it; when holding back was what made it
// fall, so that it rises again at once, the ten seconds become twice as many each
// time, to 160: levels do not swing.

const (
	loadEvery    = time.Second
	loadHigh     = 1.0
	loadLow      = 0.7
	maxLevel     = 4                // all eNBs
	upAfter      = 2                // looks beyond loadHigh
	downAfter    = 10               // looks below loadLow, at least
	maxDownAfter = 160              // at most
	relapse      = time.Minute      // up again within this after a step down: wait longer the next time
	forgotten    = 10 * time.Minute // without a step: as if there had been none
	minAnswers   = 8                // of home or store in the last ten seconds, for their mean to say anything
)

// LoadStats is how busy an MME is.
type LoadStats struct {
	Level    int           // 0 to 4: quarters of the eNBs told to hold phones back
	Pressure float64       // the worst of what is measured, in its limit
	By       string        // which that is: "attaches", "home", "store" or "memory"
	Attaches int           // under way
	Home     time.Duration // an answer of the home, mean of the last ten seconds
	Store    time.Duration // a write of phones' records, likewise
	ENBs     int           // told to hold phones back
	Steps    uint64        // changes of Level since the start
	Refused  uint64        // attaches refused with #22
}

// load measures what the MME has to do.
type load struct {
	most        int    // attaches under way
	memoryLimit uint64 // 0: none
	homeLimit   time.Duration

	mu          sync.Mutex
	attaches    int
	of          map[*enb]int // attaches
	home, store latency
	steer       steering
	pressure    float64
	by          string
	refused     uint64
	silent      time.Time // when the gateway did not answer; zero: it does
}

func newLoad(o Options) *load {
	l := &load{most: o.MaxAttaches, of: map[*enb]int{}, memoryLimit: o.MemoryLimit, homeLimit: o.HomeTimeout / 2}
	if l.memoryLimit == 0 {
		if n := debug.SetMemoryLimit(-1); n != math.MaxInt64 {
			l.memoryLimit = uint64(n)
		}
	}
	l.steer.calm = downAfter
	return l
}

// begin counts an attach at one of so many eNBs in; false: there are too many. One eNB
// alone cannot take them all, nor enough of them that the others hold phones back.
func (l *load) begin(e *enb, enbs int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	enbs = max(enbs, 1)
	if l.attaches >= l.most || l.of[e] >= l.most-l.most/2*(enbs-1)/enbs || l.steer.beyond() {
		l.refused++
		return false
	}
	l.attaches++
	l.of[e]++
	return true
}

func (l *load) end(e *enb) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attaches--
	if l.of[e]--; l.of[e] == 0 {
		delete(l.of, e)
	}
}

func (l *load) stats() LoadStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return LoadStats{Level: l.steer.level, Pressure: l.pressure, By: l.by, Attaches: l.attaches, Home: l.home.mean(), Store: l.store.mean(),
		Steps: l.steer.steps, Refused: l.refused}
}

// look measures once; changed says that the level is another now.
func (l *load) look(now time.Time) (changed bool) {
	memory := float64(0)
	if l.memoryLimit > 0 {
		memory = float64(inUse()) / (0.9 * float64(l.memoryLimit))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.home.turn()
	l.store.turn()
	l.pressure, l.by = 0, ""
	for _, p := range []struct {
		by    string
		value float64
	}{
		{"attaches", float64(l.attaches) / (0.8 * float64(l.most))},
		{"home", l.home.mean().Seconds() / l.homeLimit.Seconds()},
		{"store", l.store.mean().Seconds() / (commitWait / 4).Seconds()},
		{"memory", memory},
	} {
		if p.value > l.pressure {
			l.pressure, l.by = p.value, p.by
		}
	}
	return l.steer.look(l.pressure, now)
}

// inUse is the memory of the process that the Go runtime answers for.
func inUse() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

// latency is the mean of the last ten seconds, in seconds that turn begins.
type latency struct {
	sums   [10]time.Duration
	counts [10]int
	at     int
}

func (a *latency) add(d time.Duration) {
	a.sums[a.at] += d
	a.counts[a.at]++
}

func (a *latency) turn() {
	a.at = (a.at + 1) % len(a.sums)
	a.sums[a.at], a.counts[a.at] = 0, 0
}

// mean is 0 when there were too few for it to mean anything.
func (a *latency) mean() time.Duration {
	var sum time.Duration
	n := 0
	for i := range a.sums {
		sum, n = sum+a.sums[i], n+a.counts[i]
	}
	if n < minAnswers {
		return 0
	}
	return sum / time.Duration(n)
}

// steering turns pressure into a level.
type steering struct {
	level     int
	hot, cool int // looks in a row
	calm      int // looks of cool until a step down
	steps     uint64
	last      time.Time // step
	lowered   time.Time // last step down
	episode   uint32    // counts the times that level has left 0
}

func (s *steering) look(pressure float64, now time.Time) bool {
	switch {
	case pressure >= loadHigh:
		s.hot, s.cool = s.hot+1, 0
	case pressure < loadLow:
		s.hot, s.cool = 0, s.cool+1
	default:
		s.hot, s.cool = 0, 0
	}
	switch {
	case s.hot >= upAfter && s.level < maxLevel:
		if s.level == 0 {
			s.episode++
		}
		if !s.lowered.IsZero() && now.Sub(s.lowered) < relapse {
			s.calm, s.lowered = min(2*s.calm, maxDownAfter), time.Time{}
		}
		s.step(s.level+1, now)
		return true
	case s.cool >= s.calm && s.level > 0:
		s.step(s.level-1, now)
		s.lowered = now
		return true
	case s.level == 0 && s.calm > downAfter && now.Sub(s.last) > forgotten:
		s.calm = downAfter
	}
	return false
}

func (s *steering) step(level int, now time.Time) {
	s.level, s.hot, s.cool, s.last = level, 0, 0, now
	s.steps++
}

// beyond says that all eNBs hold phones back and it is still too much.
func (s *steering) beyond() bool { return s.level == maxLevel && s.hot > 0 }

// holds says whether an eNB is among those that hold phones back. In another
// episode it is others' turn.
func (s *steering) holds(e string) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(e))
	return int((h.Sum32()^h.Sum32()>>16+s.episode)%maxLevel) < s.level
}

// watchLoad looks at the load until the MME ends.
func (m *MME) watchLoad() {
	t := time.NewTicker(loadEvery)
	defer t.Stop()
	for {
		select {
		case <-m.leaving.Done():
			return
		case now := <-t.C:
			if !m.busy.look(now) {
				continue
			}
		}
		s := m.busy.stats()
		m.log.Warn("load has changed", "level", s.Level, "by", s.By, "pressure", s.Pressure, "attaches", s.Attaches, "home", s.Home, "store", s.Store)
		for _, e := range m.legs.all() {
			e.restrain()
		}
	}
}

// restrain tells the eNB to hold phones back, or no more to, if it does not know
// already. What phones begin to attach is signalling, therefore it is not data alone
// that is held back.
func (e *enb) restrain() {
	e.m.busy.mu.Lock()
	hold := e.m.busy.steer.holds(e.id().String())
	e.m.busy.mu.Unlock()
	e.mu.Lock()
	was := e.held
	e.held = hold && e.ready
	e.mu.Unlock()
	switch {
	case hold && !was:
		_ = e.send(0, &s1ap.OverloadStart{OverloadResponse: s1ap.OverloadResponse{Choice: s1ap.OverloadResponseChoiceOverloadAction,
			OverloadAction: s1ap.OverloadActionPermitEmergencySessionsAndMobileTerminatedServicesOnly}})
		e.m.count.procedure("overload start", "")
	case was && !hold:
		_ = e.send(0, &s1ap.OverloadStop{})
		e.m.count.procedure("overload stop", "")
	}
}

func (e *enb) restrained() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.held
}

var errOverload = errors.New("the MME is overloaded")

// Bounds of T3346 that a phone is told, drawn evenly: those refused at the same
// moment do not come back at the same.
const minBackoff, maxBackoff = 30 * time.Second, 62 * time.Second

// attachIfRoom is attach, if the MME is not overloaded.
func (c *conn) attachIfRoom(m *eps.AttachRequest, in inbound) error {
	if m.Type == eps.AttachTypeEmergency || m.Type == eps.AttachTypeRLOS {
		return c.attach(m, in)
	}
	if c.leg == nil {
		return &lost{"no S1 connection"}
	}
	e := c.leg.enb // where it began
	enbs, _ := c.m.legs.size()
	if !c.m.busy.begin(e, enbs) {
		return &failure{cause: eps.EMMCauseCongestion, wait: c.m.backoff(), why: errOverload}
	}
	defer c.m.busy.end(e)
	if c.m.busy.gatewayAway(time.Now()) {
		return &failure{cause: eps.EMMCauseCongestion, wait: c.m.backoff(), why: errGatewayAway}
	}
	return c.attach(m, in)
}

// backoff draws a T3346 (TS 24.301 §10.2, table 10.2.1).
func (m *MME) backoff() time.Duration {
	var b [1]byte
	_, _ = m.o.Rand.Read(b[:])
	return (minBackoff + time.Duration(b[0])*(maxBackoff-minBackoff)/256).Round(2 * time.Second)
}

// timedHome is a home whose answers are timed.
type timedHome struct {
	home.Home
	load *load
}

func (h timedHome) Challenge(ctx context.Context, r home.ChallengeRequest) (home.Challenge, error) {
	defer h.timed(time.Now())
	return h.Home.Challenge(ctx, r)
}

func (h timedHome) Prove(ctx context.Context, r home.ProveRequest) (home.Lease, error) {
	defer h.timed(time.Now())
	return h.Home.Prove(ctx, r)
}

func (h timedHome) timed(began time.Time) {
	h.load.mu.Lock()
	h.load.home.add(time.Since(began))
	h.load.mu.Unlock()
}

// timedStore is a store whose writes are timed.
type timedStore struct {
	Store
	load *load
}

func (s timedStore) Commit(ctx context.Context, c []Change) error {
	began := time.Now()
	err := s.Store.Commit(ctx, c)
	s.load.mu.Lock()
	s.load.store.add(time.Since(began))
	s.load.mu.Unlock()
	return err
}
