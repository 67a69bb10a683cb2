package pool

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"campanile.network/3gpp/id"
	"campanile.network/internal/peertls"
)

// mme is an owner of phones that have one name and a text.
type mme struct {
	mu     sync.Mutex
	phones map[id.IMSI]Change
	lost   map[id.IMSI]uint64
}

func newMME() *mme { return &mme{phones: map[id.IMSI]Change{}, lost: map[id.IMSI]uint64{}} }

func (m *mme) Hand(t id.MTMSI, nas []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.phones {
		if c.TMSIs[0] == t && string(nas) == "its" {
			return c.Record, nil
		}
	}
	return nil, ErrForeign
}

func (m *mme) Records(f func(Change)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.phones {
		f(c)
	}
}

func (m *mme) Disowned(imsi id.IMSI, epoch uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.phones[imsi]; ok && c.Epoch < epoch {
		delete(m.phones, imsi)
		m.lost[imsi] = epoch
	}
}

func imsi(n int) id.IMSI {
	v, err := id.ParseIMSI(fmt.Sprintf("00101%010d", n))
	if err != nil {
		panic(err)
	}
	return v
}

func phone(n int, epoch uint64, text string) Change {
	return Change{IMSI: imsi(n), TMSIs: []id.MTMSI{id.MTMSI(n)}, Epoch: epoch, Record: []byte(text)}
}

// has changes a phone of m, and tells n.
func (m *mme) has(n *Node, c Change) {
	m.mu.Lock()
	if c.Record == nil {
		delete(m.phones, c.IMSI)
	} else {
		m.phones[c.IMSI] = c
	}
	m.mu.Unlock()
	n.Changed([]Change{c})
}

// two are nodes 1 and 2 in one process; way reaches 1 from 2.
func two(t *testing.T, way func(Link) Link, script func(a, b *Node, am, bm *mme)) {
	synctest.Test(t, func(t *testing.T) {
		am, bm := newMME(), newMME()
		a, err := New(Options{Code: 1})
		if err != nil {
			t.Fatal(err)
		}
		b, err := New(Options{Code: 2, MaxReplicas: 1000, Members: []Member{{1, way(a.Link())}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		var all sync.WaitGroup
		defer all.Wait()
		defer cancel()
		all.Go(func() { _ = a.Serve(ctx, am) })
		all.Go(func() { _ = b.Serve(ctx, bm) })
		synctest.Wait()
		script(a, b, am, bm)
	})
}

func same(l Link) Link { return l }

func (n *Node) expect(t *testing.T, tmsi id.MTMSI, nas, want string) {
	t.Helper()
	synctest.Wait()
	b, err := n.Fetch(context.Background(), 1, tmsi, []byte(nas))
	if want == "" && !errors.Is(err, ErrForeign) || want != "" && (err != nil || string(b) != want) {
		t.Errorf("phone %d: %q, %v; want %q", tmsi, b, err, want)
	}
}

// The owner is asked while it is there, and knows best; then there is the copy.
func TestFetch(t *testing.T) {
	dead := &shaky{}
	two(t, dead.way, func(a, b *Node, am, bm *mme) {
		am.has(a, phone(1, 1, "one"))
		am.has(a, phone(2, 1, "two"))
		b.expect(t, 1, "its", "one")
		b.expect(t, 1, "another's", "")
		am.has(a, phone(1, 1, "one more"))
		am.has(a, Change{IMSI: imsi(2)})
		synctest.Wait()
		if s := b.Stats(); s.Replicas != 1 || !s.Members[0].Up {
			t.Errorf("%+v", s)
		}
		dead.set(true)
		b.expect(t, 1, "its", "one more")
		b.expect(t, 1, "another's", "one more") // whoever asks is to verify it
		b.expect(t, 2, "its", "")
		am.has(a, phone(3, 1, "three"))
		time.Sleep(time.Minute)
		b.expect(t, 3, "its", "")
		if s := b.Stats(); s.Members[0].Up || s.Members[0].Code != 1 || s.Members[0].Why == "" {
			t.Errorf("%+v", s)
		}
		dead.set(false)
		time.Sleep(retryMost + time.Second)
		b.expect(t, 3, "its", "three")
		if n := dead.snapshots; n != 1 {
			t.Errorf("%d times from the beginning: a position that is known goes on", n)
		}
	})
}

// shaky is a link that may be dead.
type shaky struct {
	Link
	mu        sync.Mutex
	dead      bool
	broken    chan struct{}
	snapshots int
}

func (s *shaky) way(l Link) Link { s.Link, s.broken = l, make(chan struct{}); return s }

func (s *shaky) set(dead bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead = dead; dead {
		close(s.broken)
		s.broken = make(chan struct{})
	}
}

func (s *shaky) Follow(ctx context.Context, from Position, f func(Batch) error) error {
	s.mu.Lock()
	dead, broken := s.dead, s.broken
	s.mu.Unlock()
	if dead {
		return errors.New("dead")
	}
	if from.Run == 0 {
		s.snapshots++
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-broken:
			cancel()
		case <-ctx.Done():
		}
	}()
	return s.Link.Follow(ctx, from, f)
}

func (s *shaky) Fetch(ctx context.Context, code id.MMECode, t id.MTMSI, nas []byte) ([]byte, error) {
	s.mu.Lock()
	dead := s.dead
	s.mu.Unlock()
	if dead {
		return nil, errors.New("dead")
	}
	return s.Link.Fetch(ctx, code, t, nas)
}

// A member that lags more than is kept begins anew; what is kept is bounded, and so
// are copies.
func TestLag(t *testing.T) {
	link := &shaky{}
	two(t, link.way, func(a, b *Node, am, bm *mme) {
		am.has(a, phone(1, 1, "one"))
		synctest.Wait()
		link.set(true)
		synctest.Wait()
		for n := range 2 * ringMost {
			am.has(a, phone(1+n%2000, 1, "text"))
		}
		if len(a.ring) > ringMost+ringMost/4 {
			t.Errorf("%d changes are kept", len(a.ring))
		}
		link.set(false)
		time.Sleep(retryMost + time.Second)
		if s := b.Stats(); s.Replicas != 1000 || len(b.names) != 1000 {
			t.Errorf("%+v, %d names", s, len(b.names))
		}
		b.expect(t, 1777, "its", "text")
	})
}

// The highest epoch has the phone, in whatever order it is heard.
func TestEpochs(t *testing.T) {
	two(t, same, func(a, b *Node, am, bm *mme) {
		bm.has(b, phone(1, 5, "b's"))
		am.has(a, phone(1, 4, "a's, of old"))
		synctest.Wait()
		if bm.lost[imsi(1)] != 0 {
			t.Error("lost to one of before")
		}
		am.has(a, phone(1, 6, "a's"))
		synctest.Wait()
		if bm.lost[imsi(1)] != 6 {
			t.Errorf("lost: %v", bm.lost)
		}
		bm.has(b, phone(1, 7, "b's again"))
		synctest.Wait()
		if s := b.Stats(); s.Replicas != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// Over gRPC on the loopback: who has another key is not let in, and hears nothing.
func TestKeys(t *testing.T) {
	key := func(n byte) ed25519.PrivateKey {
		return ed25519.NewKeyFromSeed(append(make([]byte, 31), n))
	}
	public := func(n byte) [32]byte { return [32]byte(key(n).Public().(ed25519.PublicKey)) }
	am := newMME()
	a, err := New(Options{Code: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	go func() { _ = a.Serve(ctx, am) }()
	s := serverOf(t, a, key(1), public(2))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(l) }()
	defer s.Stop()
	am.has(a, phone(1, 9, "one"))

	follow := func(show byte, want [32]byte) (got []Change, err error) {
		link, c, err := Dial(l.Addr().String(), key(show), want)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		enough := errors.New("enough")
		err = link.Follow(ctx, Position{}, func(b Batch) error {
			got = append(got, b.Changes...)
			if b.Run == a.run {
				return enough
			}
			return nil
		})
		if errors.Is(err, enough) {
			r, err := link.Fetch(ctx, 1, 1, []byte("its"))
			if _, no := link.Fetch(ctx, 1, 1, []byte("another's")); err != nil || string(r) != "one" || !errors.Is(no, ErrForeign) {
				t.Errorf("fetched %q, %v; of another: %v", r, err, no)
			}
			return got, nil
		}
		return got, err
	}
	if got, err := follow(2, public(1)); err != nil || len(got) != 1 || got[0].Epoch != 9 || got[0].TMSIs[0] != 1 || string(got[0].Record) != "one" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := follow(3, public(1)); err == nil || got != nil {
		t.Errorf("with a key of nobody: %+v, %v", got, err)
	}
	if got, err := follow(2, public(4)); err == nil || got != nil {
		t.Errorf("from a member of another key: %+v, %v", got, err)
	}
}

// serverOf is a server of n for members with these keys.
func serverOf(t *testing.T, n *Node, key ed25519.PrivateKey, members ...[32]byte) *grpc.Server {
	t.Helper()
	config, err := peertls.Server(key, Check(members))
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(credsOf(config), grpc.MaxRecvMsgSize(MaxRequest))
	Register(s, n)
	return s
}

func TestOptions(t *testing.T) {
	if _, err := New(Options{Code: 1, Members: []Member{{Code: 2}, {Code: 2}}}); err == nil {
		t.Error("a code is taken twice")
	}
	if _, err := New(Options{Code: 1, Members: []Member{{Code: 1}}}); err == nil {
		t.Error("its own code is taken")
	}
}

func credsOf(config *tls.Config) grpc.ServerOption { return grpc.Creds(credentials.NewTLS(config)) }
