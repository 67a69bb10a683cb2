package node

import (
	"context"
	"log/slog"

	"cosmossdk.io/log/v2"
)

// logger hands the chain libraries' log to slog. Their Info is our Debug: they
// say several lines a block.
type logger struct{ to *slog.Logger }

var _ log.Logger = logger{}

func (l logger) Debug(msg string, kv ...any) { l.to.Debug(msg, kv...) }
func (l logger) Info(msg string, kv ...any)  { l.to.Debug(msg, kv...) }
func (l logger) Warn(msg string, kv ...any)  { l.to.Warn(msg, kv...) }
func (l logger) Error(msg string, kv ...any) { l.to.Error(msg, kv...) }

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
	l.to.ErrorContext(ctx, msg, kv...)
}

func (l logger) With(kv ...any) log.Logger { return logger{l.to.With(kv...)} }
func (l logger) Impl() any                 { return l.to }
