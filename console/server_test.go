package console

import (
	"context"
	"testing"
)

// launch runs a server on a port of its own; end ends it and waits.
func launch(t testing.TB, o Options) (s *Server, end func()) {
	t.Helper()
	return startWith(t, o, nil)
}

func startWith(t testing.TB, o Options, before func(*Server)) (s *Server, end func()) {
	t.Helper()
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if before != nil {
		before(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	return s, func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
}

// serve runs a server until the test is over.
func serve(t testing.TB, o Options, before func(*Server)) *Server {
	t.Helper()
	s, end := startWith(t, o, before)
	t.Cleanup(end)
	return s
}
