package peertls_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"campanile.network/internal/peertls"
)

// house is a gRPC server behind a door, on loopback.
type house struct {
	t    *testing.T
	key  [32]byte
	door *peertls.Door
	at   string

	server *grpc.Server
	refuse atomic.Bool

	mu  sync.Mutex
	log bytes.Buffer
}

func (h *house) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(b)
}

func newHouse(t *testing.T, limits peertls.Limits) *house {
	t.Helper()
	key, pub := newKey(t)
	h := &house{t: t, key: pub}
	config, err := peertls.Server(key, func([32]byte) error {
		if h.refuse.Load() {
			return errors.New("nobody I know")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h.at = l.Addr().String()
	h.door = peertls.NewDoor(l, config, limits, slog.New(slog.NewTextHandler(h, nil)))
	h.server = grpc.NewServer(grpc.Creds(h.door), grpc.ConnectionTimeout(time.Minute))
	done := make(chan error, 1)
	go func() { done <- h.server.Serve(h.door) }()
	t.Cleanup(func() {
		h.server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if v := h.door.Snapshot(); v.Proven != 0 {
			t.Errorf("%d connections after the end", v.Proven)
		}
	})
	return h
}

// mute connects from an address and says nothing; nil is for who is sent away
// before he knows that he is there.
func (h *house) mute(from string) net.Conn {
	h.t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", h.at)
	if errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	return c
}

// comes connects from an address with a key, and calls what nobody serves.
func (h *house) comes(from string, key ed25519.PrivateKey) (*grpc.ClientConn, error) {
	h.t.Helper()
	config, err := peertls.Client(key, h.key)
	if err != nil {
		h.t.Fatal(err)
	}
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := grpc.NewClient("passthrough:///"+h.at, grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithContextDialer(func(ctx context.Context, at string) (net.Conn, error) { return d.DialContext(ctx, "tcp", at) }))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { c.Close() })
	ctx, cancel := context.WithTimeout(h.t.Context(), 20*time.Second)
	defer cancel()
	if err = c.Invoke(ctx, "/nobody/Serves", nil, nil, grpc.ForceCodec(nothing{})); status.Code(err) == codes.Unimplemented {
		return c, nil
	}
	return c, err
}

// nothing is a codec for no message.
type nothing struct{}

func (nothing) Marshal(any) ([]byte, error) { return nil, nil }
func (nothing) Unmarshal([]byte, any) error { return nil }
func (nothing) Name() string                { return "nothing" }

// until waits for what other goroutines do.
func (h *house) until(what string, true func(peertls.DoorView) bool) {
	h.t.Helper()
	for end := time.Now().Add(20 * time.Second); !true(h.door.Snapshot()); runtime.Gosched() {
		if time.Now().After(end) {
			h.t.Fatalf("%s: %+v", what, h.door.Snapshot())
		}
	}
}

// Two thousand connections that say nothing, from 40 addresses, take no more
// than their places and no more goroutines; who has been here before gets in at
// once, and the log says it in one line.
func TestCrowdAtTheDoor(t *testing.T) {
	h := newHouse(t, peertls.Limits{Waiting: 64, WaitingAt: 8, Patience: time.Hour})
	key, _ := newKey(t)
	c, err := h.comes("127.0.1.1", key)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	h.until("the first has left", func(v peertls.DoorView) bool { return v.Proven == 0 })
	before := runtime.NumGoroutine()
	for n := range 2000 {
		h.mute(fmt.Sprintf("127.0.2.%d", 1+n%40))
	}
	h.until("all are seen", func(v peertls.DoorView) bool {
		return uint64(v.Waiting)+v.Turned[peertls.Crowded]+v.Turned[peertls.CrowdedAt] == 2000
	})
	if v := h.door.Snapshot(); v.Waiting != 48 || v.Turned[peertls.Crowded] == 0 {
		t.Errorf("%+v", v)
	}
	if n := runtime.NumGoroutine() - before; n > 64 {
		t.Errorf("%d goroutines more", n)
	}
	if _, err := h.comes("127.0.1.1", key); err != nil {
		t.Errorf("who has been here before: %v", err)
	}
	if n := strings.Count(h.log.String(), "connections turned away"); n != 1 {
		t.Errorf("%d lines in the log", n)
	}
}

// One address has its own places and no more; another is not kept out.
func TestCrowdOfOneAddress(t *testing.T) {
	h := newHouse(t, peertls.Limits{Waiting: 64, WaitingAt: 8, Patience: time.Hour})
	for range 500 {
		h.mute("127.0.2.1")
	}
	h.until("all are seen", func(v peertls.DoorView) bool { return v.Turned[peertls.CrowdedAt] == 492 })
	key, _ := newKey(t)
	if _, err := h.comes("127.0.1.1", key); err != nil {
		t.Error(err)
	}
	if v := h.door.Snapshot(); v.Waiting != 8 || v.Proven != 1 {
		t.Errorf("%+v", v)
	}
}

// Who takes a place and shows no key loses it to who comes later, also from
// his own address.
func TestPatience(t *testing.T) {
	h := newHouse(t, peertls.Limits{Waiting: 8, WaitingAt: 4, Patience: time.Nanosecond})
	first := h.mute("127.0.2.1")
	for range 3 {
		h.mute("127.0.2.1")
	}
	h.until("four wait", func(v peertls.DoorView) bool { return v.Waiting == 4 })
	key, _ := newKey(t)
	if _, err := h.comes("127.0.2.1", key); err != nil {
		t.Error(err)
	}
	if _, err := first.Read(make([]byte, 1)); err == nil {
		t.Error("the oldest still has its place")
	}
	if v := h.door.Snapshot(); v.Turned[peertls.Outlasted] != 1 || v.Proven != 1 || v.Waiting != 3 {
		t.Errorf("%+v", v)
	}
}

// Who says nothing does not hold up the end of a server.
func TestEndWithAMuteGuest(t *testing.T) {
	h := newHouse(t, peertls.Limits{})
	h.mute("127.0.2.1")
	h.until("it is there", func(v peertls.DoorView) bool { return v.Waiting == 1 })
	ended := make(chan struct{})
	go func() { h.server.GracefulStop(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(20 * time.Second): // the handshake's time is a minute
		t.Error("it does not end")
	}
}

// Who is refused hears that it is so, each time.
func TestRefusedHearsIt(t *testing.T) {
	h := newHouse(t, peertls.Limits{})
	h.refuse.Store(true)
	for range 30 {
		key, _ := newKey(t)
		if _, err := h.comes("127.0.1.1", key); !peertls.Refused(err) {
			t.Fatal(err)
		}
	}
}

// A key has so many connections, all have so many, and the operator's own roles
// some more; who leaves makes room.
func TestPlacesOfKeys(t *testing.T) {
	own, ownPub := newKey(t)
	h := newHouse(t, peertls.Limits{Proven: 16, ProvenBy: 3, Own: func(p peertls.Peer) bool { return p.Key == ownPub }})
	refused := errors.New("")
	come := func(key ed25519.PrivateKey, want error) *grpc.ClientConn {
		t.Helper()
		c, err := h.comes("127.0.1.1", key)
		if (err == nil) != (want == nil) {
			t.Errorf("%v", err)
		}
		return c
	}
	var last *grpc.ClientConn
	for range 5 {
		key, _ := newKey(t)
		for range 3 {
			last = come(key, nil)
		}
	}
	key, _ := newKey(t)
	come(key, refused)
	if v := h.door.Snapshot(); v.Proven != 15 || v.Turned[peertls.Full] == 0 {
		t.Errorf("%+v", v)
	}
	come(own, nil)
	last.Close()
	h.until("one has left", func(v peertls.DoorView) bool { return v.Proven == 15 })
	come(own, nil)
	come(own, refused)
}

// One key too often.
func TestOneKeyTooOften(t *testing.T) {
	h := newHouse(t, peertls.Limits{ProvenBy: 2})
	key, _ := newKey(t)
	for n := range 3 {
		if _, err := h.comes("127.0.1.1", key); (err == nil) != (n < 2) {
			t.Errorf("connection %d: %v", n+1, err)
		}
	}
	if v := h.door.Snapshot(); v.Proven != 2 || v.Turned[peertls.FullBy] == 0 {
		t.Errorf("%+v", v)
	}
	other, _ := newKey(t)
	if _, err := h.comes("127.0.1.1", other); err != nil {
		t.Error(err)
	}
}
