package node

import (
	"bytes"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
)

func TestEngineFailureIsReported(t *testing.T) {
	var out bytes.Buffer
	failed := make(chan error, 1)
	l := logger{slog.New(slog.NewTextHandler(&out, nil)), &atomic.Bool{}, failed}
	inner := l.With("module", "consensus")
	inner.Error("a peer is slow", "err", "timeout")
	if len(failed) != 0 {
		t.Fatal("an ordinary error is taken for the end")
	}
	inner.Error(consensusFailure, "err", "no such block", "stack", "...")
	inner.Error(consensusFailure, "err", "again") // must not block
	if err := <-failed; !strings.Contains(err.Error(), "no such block") {
		t.Errorf("reported %v", err)
	}
	l.stopping.Store(true)
	out.Reset()
	inner.Error("transport is closed")
	if out.Len() != 0 {
		t.Errorf("while stopping it says %s", out.String())
	}
}
