package town

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"campanile.network/internal/logs"
)

// stack runs parts and ends them in the opposite order, each after all that
// were started later: what uses a part is gone before the part is.
type stack struct {
	log   *slog.Logger
	parts []part

	ending atomic.Bool
	last   atomic.Value // name of the part that is ending
	once   sync.Once
	failed chan struct{}
	cause  error
}

type part struct {
	name string
	end  func() error
}

func newStack(log *slog.Logger) *stack { return &stack{log: log, failed: make(chan struct{})} }

// serve starts a part that blocks until its context ends. A part that ends
// earlier, or with an error, fails the stack.
func (s *stack) serve(name string, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := f(ctx)
		if ctx.Err() == nil && !s.ending.Load() {
			if err == nil {
				err = errors.New("ended by itself")
			}
			s.fail(fmt.Errorf("%s: %w", name, err))
		}
		done <- err
	}()
	s.onEnd(name, func() error {
		cancel()
		err := <-done
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	})
}

// onEnd adds something to do at its turn.
func (s *stack) onEnd(name string, end func() error) {
	s.parts = append(s.parts, part{name, end})
}

func (s *stack) fail(err error) {
	s.once.Do(func() {
		s.cause = err
		close(s.failed)
	})
}

// wait returns when ctx ends (nil) or a part fails (its error).
func (s *stack) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-s.failed:
		return s.cause
	}
}

// Ending is the part that is ending, or the last that did.
func (s *stack) Ending() string {
	name, _ := s.last.Load().(string)
	return name
}

// end ends all parts, last first.
func (s *stack) end() error {
	s.ending.Store(true) // a part may end because one it uses has
	var errs []error
	for len(s.parts) > 0 {
		p := s.parts[len(s.parts)-1]
		s.parts = s.parts[:len(s.parts)-1]
		s.log.Debug("ending", "part", p.name)
		s.last.Store(p.name)
		if err := p.end(); err != nil {
			s.log.Warn("did not end well", "part", p.name, logs.Error, err)
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	return errors.Join(errs...)
}
