package radio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"
)

// Options make a Supervisor. The first two are required.
type Options struct {
	Plan *Plan
	Dir  string // for srsenb's configuration and what it leaves behind; made when absent

	Event   func(kind, text string) // is told what a person wants to know; must not block
	Changed func()                  // is called when State changes; must not block
	Logger  *slog.Logger            // nil discards

	Ready    time.Duration // how long S1 Setup may take, also after a loss; 0 means 90 s
	Silence  time.Duration // how long a running program may report nothing; 0 means 20 s
	Stop     time.Duration // how long it may take to end; 0 means 8 s
	MinPause time.Duration // before it is started again, doubled every time; 0 means 1 s
	MaxPause time.Duration // 0 means 1 min
	Settled  time.Duration // after so long on the air the pauses begin anew; 0 means 1 min
}

func (o Options) complete() (Options, error) {
	for _, d := range []struct {
		p *time.Duration
		v time.Duration
	}{{&o.Ready, 90 * time.Second}, {&o.Silence, 20 * time.Second}, {&o.Stop, 8 * time.Second}, {&o.MinPause, time.Second}, {&o.MaxPause, time.Minute}, {&o.Settled, time.Minute}} {
		if *d.p == 0 {
			*d.p = d.v
		}
		if *d.p < 0 {
			return o, fmt.Errorf("radio: negative time %v", *d.p)
		}
	}
	if o.Plan == nil || o.Dir == "" {
		return o, errors.New("radio: no plan or no folder")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Event == nil {
		o.Event = func(string, string) {}
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	return o, nil
}

// Supervisor keeps one srsenb running.
type Supervisor struct {
	Options
	program string

	mu     sync.Mutex
	health Health
}

// New finds the program. An error that a person can mend is a *Mistake.
func New(o Options) (*Supervisor, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	program, err := FindProgram(o.Plan.Program)
	if err != nil {
		return nil, err
	}
	return &Supervisor{Options: o, program: program, health: Health{State: Starting, Since: time.Now()}}, nil
}

// Health says how the radio does.
func (s *Supervisor) Health() Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.health
	h.Phones = append([]Phone(nil), h.Phones...)
	return h
}

// set changes the health; of a change of state it tells.
func (s *Supervisor) set(change func(*Health)) {
	s.mu.Lock()
	was := s.health.State
	change(&s.health)
	changed := s.health.State != was
	if changed {
		s.health.Since = time.Now()
	}
	s.mu.Unlock()
	if changed {
		s.Changed()
	}
}

// inARow is how many deaths make a radio that is failing.
const inARow = 5

// errElsewhere means that the kit was tuned to another frequency than the plan
// says: that radio is not started again.
var errElsewhere = errors.New("another frequency than was asked for")

// Serve runs the radio until ctx ends, and starts it again whenever it dies.
// When Serve returns, the program has ended.
func (s *Supervisor) Serve(ctx context.Context) error {
	// The kernel ends the program when the thread that has started it ends, and
	// with it a campanile that is killed takes its radio off the air.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer s.set(func(h *Health) { h.State, h.Users, h.DL, h.UL, h.Phones = Stopped, 0, 0, 0, nil })
	pause, deaths := s.MinPause, 0
	for {
		on, err := s.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errElsewhere) {
			s.died(Failing, err)
			s.Event("trouble", fmt.Sprintf("the radio is off and stays off: %v", err))
			<-ctx.Done()
			return nil
		}
		if on > s.Settled {
			pause, deaths = s.MinPause, 0
		}
		state := Restarting
		if deaths++; deaths >= inARow {
			state = Failing
		}
		s.died(state, err)
		s.Event("trouble", fmt.Sprintf("the radio has died: %v; again in %v", err, pause))
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		pause = min(2*pause, s.MaxPause)
		s.set(func(h *Health) { h.Restarts++ })
	}
}

// died notes why.
func (s *Supervisor) died(state State, err error) {
	s.Logger.Warn("the radio has died", "err", err)
	s.set(func(h *Health) {
		h.State, h.LastError, h.Users, h.DL, h.UL, h.Phones = state, err.Error(), 0, 0, 0, nil
	})
}
