package metrics

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"campanile.network/mme"
	"campanile.network/wire/home"
)

// HomeWatch counts what an MME asks of subscribers' homes, how that ended and
// how long it took.
type HomeWatch struct {
	mu       sync.Mutex
	outcomes map[homeOutcome]uint64
	took     map[string]*mme.Durations
}

type homeOutcome struct{ call, outcome string }

// WatchHome gives h as before, and what is counted of it. What else h can do,
// home.Voider, stays.
func WatchHome(h home.Home) (home.Home, *HomeWatch) {
	w := &HomeWatch{outcomes: map[homeOutcome]uint64{}, took: map[string]*mme.Durations{}}
	if v, ok := h.(home.Voider); ok {
		return watchedVoider{watched{h, w}, v}, w
	}
	return watched{h, w}, w
}

type watched struct {
	home.Home
	w *HomeWatch
}

type watchedVoider struct {
	watched
	v home.Voider
}

func (h watched) Challenge(ctx context.Context, r home.ChallengeRequest) (home.Challenge, error) {
	began := time.Now()
	c, err := h.Home.Challenge(ctx, r)
	h.w.done("challenge", began, err)
	return c, err
}

func (h watched) Prove(ctx context.Context, r home.ProveRequest) (home.Lease, error) {
	began := time.Now()
	l, err := h.Home.Prove(ctx, r)
	h.w.done("prove", began, err)
	return l, err
}

func (h watchedVoider) Void(ctx context.Context, r home.VoidRequest) ([]home.Voided, error) {
	began := time.Now()
	list, err := h.v.Void(ctx, r)
	h.w.done("void", began, err)
	return list, err
}

// done counts a call; only an answer, be it a refusal, has a duration.
func (w *HomeWatch) done(call string, began time.Time, err error) {
	outcome, answered := "ok", true
	if refused, ok := errors.AsType[*home.Error](err); ok {
		outcome = refused.Code.String()
	} else if err != nil {
		outcome, answered = "no answer", false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.outcomes[homeOutcome{call, outcome}]++
	if !answered {
		return
	}
	h := w.took[call]
	if h == nil {
		h = &mme.Durations{Buckets: make([]uint64, len(mme.DurationBounds))}
		w.took[call] = h
	}
	h.Add(time.Since(began))
}

func (w *HomeWatch) stats() (map[homeOutcome]uint64, map[string]mme.Durations) {
	w.mu.Lock()
	defer w.mu.Unlock()
	took := map[string]mme.Durations{}
	for call, h := range w.took {
		took[call] = mme.Durations{Count: h.Count, Sum: h.Sum, Buckets: slices.Clone(h.Buckets)}
	}
	return maps.Clone(w.outcomes), took
}
