package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"cosmossdk.io/log/v2"
)

// logger hands the chain libraries' log to slog. Their Info is our Debug: they
// say several lines a block. So is what they call errors while they stop.
type logger struct {
	to       *slog.Logger
	stopping *atomic.Bool
	failed   chan<- error
}

// consensusFailure is the engine's last word when the state machine has failed:
// it makes no block after it, and says so nowhere else (CometBFT 0.39,
// consensus/state.go).
const consensusFailure = "CONSENSUS FAILURE!!!"

var _ log.Logger = logger{}

func (l logger) Debug(msg string, kv ...any) { l.to.Debug(msg, kv...) }
func (l logger) Info(msg string, kv ...any)  { l.to.Debug(msg, kv...) }
func (l logger) Warn(msg string, kv ...any)  { l.to.Warn(msg, kv...) }
func (l logger) Error(msg string, kv ...any) {
	l.ErrorContext(context.Background(), msg, kv...)
}

func (l logger) DebugContext(ctx context.Context, msg string, kv ...any) {
	l.to.DebugContext(ctx, msg, kv...)
}

func (l logger) InfoContext(ctx context.Context, msg string, kv ...any) {
	l.to.DebugContext(ctx, msg, kv...)
}

func (l logger) WarnContext(ctx context.Context, msg string, kv ...any) {
	l.to.WarnContext(ctx, msg, kv...)
}

func (l logger) ErrorContext(ctx context.Context, msg string, kv ...any) {
	if msg == consensusFailure {
		select {
		case l.failed <- failure(kv):
		default:
		}
	}
	level := slog.LevelError
	if l.stopping.Load() {
		level = slog.LevelDebug
	}
	l.to.Log(ctx, level, msg, kv...)
}

func (l logger) With(kv ...any) log.Logger { return logger{l.to.With(kv...), l.stopping, l.failed} }
func (l logger) Impl() any                 { return l.to }

// failure finds the reason among the key-value pairs of consensusFailure.
func failure(kv []any) error {
	for i := 0; i+1 < len(kv); i += 2 {
		if kv[i] == "err" {
			return fmt.Errorf("consensus failed: %v", kv[i+1])
		}
	}
	return errors.New("consensus failed")
}
