package pool

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"campanile.network/3gpp/id"
	"campanile.network/internal/peertls"
	"campanile.network/mme/pool/poolpb"
)

// script is a member that says what a test wants.
type script struct {
	mu   sync.Mutex
	says []func(f func(Batch) error) error // in each life of the link
	n    int
	from []Position
	at   []time.Time
}

func (s *script) Follow(ctx context.Context, from Position, f func(Batch) error) error {
	s.mu.Lock()
	s.from, s.at = append(s.from, from), append(s.at, time.Now())
	say := s.says[min(s.n, len(s.says)-1)]
	s.n++
	s.mu.Unlock()
	if err := say(f); err != nil {
		return err
	}
	t := time.NewTicker(heartbeat)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			if err := f(Batch{Position: Position{7, 0}}); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *script) Fetch(ctx context.Context, _ id.MMECode, _ id.MTMSI, _ []byte) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// alone is a node that follows scripts, by code, for a while.
func alone(t *testing.T, o Options, test func(n *Node, m *mme), says ...*script) {
	synctest.Test(t, func(t *testing.T) {
		o.Code = 1
		for i, s := range says {
			o.Members = append(o.Members, Member{id.MMECode(2 + i), s})
		}
		n, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		m := newMME()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); _ = n.Serve(ctx, m) }()
		synctest.Wait()
		test(n, m)
		cancel()
		<-done
	})
}

func say(changes ...Change) func(func(Batch) error) error {
	return func(f func(Batch) error) error {
		if err := f(Batch{Changes: changes}); err != nil {
			return err
		}
		return f(Batch{Position: Position{7, 0}})
	}
}

// What is beyond bounds is refused and counted, and the rest is taken: records that are too
// large, epochs after which there is none, too many names.
func TestRefused(t *testing.T) {
	big, last, many := phone(1, 5, "x"), phone(2, 1<<63, "x"), phone(3, 5, "x")
	big.Record = make([]byte, recordMost+1)
	many.TMSIs = make([]id.MTMSI, maxNames+1)
	alone(t, Options{}, func(n *Node, m *mme) {
		if s := n.Stats(); s.Refused != 3 || s.Replicas != 1 || s.Received != 4 || s.Octets != 4 || n.Epoch(imsi(4)) != 5 || n.Epoch(imsi(1)) != 0 {
			t.Errorf("%+v", s)
		}
		if len(m.lost) != 0 {
			t.Errorf("lost %v", m.lost)
		}
	}, &script{says: []func(func(Batch) error) error{say(big, last, many, phone(4, 5, "good"))}})
}

// A member that floods pushes out its own phones, not another's; memory is bounded by number and
// by octets.
func TestFlood(t *testing.T) {
	var flood []Change
	for i := range 5000 {
		flood = append(flood, phone(1000+i, 5, "flooded"))
	}
	for _, o := range []Options{{MaxReplicas: 100}, {MaxOctets: 700}} {
		alone(t, o, func(n *Node, m *mme) {
			time.Sleep(time.Second)
			s := n.Stats()
			if s.Replicas > 105 || s.Octets > 700 || s.Evicted < 4900 || len(n.names) != s.Replicas {
				t.Errorf("%+v, %d names", s, len(n.names))
			}
			for i := range 10 {
				if n.copyOf(2, id.MTMSI(1+i)) == nil {
					t.Errorf("the other's phone %d is gone", 1+i)
				}
			}
		}, &script{says: []func(func(Batch) error) error{func(f func(Batch) error) error {
			var ten []Change
			for i := range 10 {
				ten = append(ten, phone(1+i, 5, "ten"))
			}
			return say(ten...)(f)
		}}}, &script{says: []func(func(Batch) error) error{func(f func(Batch) error) error {
			time.Sleep(time.Millisecond) // the other is first
			return say(flood...)(f)
		}}})
	}
}

// Contexts of before are said again, by a member that was put back: what is of a lower epoch is
// not kept, and takes no phone away.
func TestReplayed(t *testing.T) {
	alone(t, Options{}, func(n *Node, m *mme) {
		m.has(n, phone(1, 8, "mine"))
		time.Sleep(time.Minute)
		if m.lost[imsi(1)] != 0 || n.Epoch(imsi(1)) != 0 && n.Epoch(imsi(1)) >= 8 {
			t.Errorf("lost %v", m.lost)
		}
		if b := n.copyOf(2, 2); string(b) != "new" {
			t.Errorf("copy %q", b)
		}
	}, &script{says: []func(func(Batch) error) error{
		func(f func(Batch) error) error {
			return errors.Join(say(phone(2, 9, "new"))(f), errors.New("cut"))
		},
		say(phone(1, 7, "theirs"), phone(2, 6, "old")),
	}})
}

// A link that comes and goes is tried less and less often, and what was told goes on where it was;
// phones that the member has no more when it tells all are dropped, a while later.
func TestFlapping(t *testing.T) {
	s := &script{}
	for range 20 {
		s.says = append(s.says, func(f func(Batch) error) error {
			return errors.Join(say(phone(1, 5, "of before"))(f), errors.New("cut"))
		})
	}
	s.says = append(s.says, say(phone(2, 5, "of now")))
	alone(t, Options{}, func(n *Node, m *mme) {
		time.Sleep(5 * time.Minute)
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.at) != 21 || s.at[20].Sub(s.at[0]) < 17*retryMost {
			t.Errorf("%d links in %v", len(s.at), s.at[len(s.at)-1].Sub(s.at[0]))
		}
		if p := s.from[20]; p != (Position{7, 0}) {
			t.Errorf("followed from %v", p)
		}
		if st := n.Stats(); st.Replicas != 1 || st.Swept != 1 || n.copyOf(2, 2) == nil || !st.Members[0].Up {
			t.Errorf("%+v", st)
		}
	}, s)
}

// A member that is slow to answer costs a phone a second, and then there is the copy.
func TestSlow(t *testing.T) {
	alone(t, Options{}, func(n *Node, m *mme) {
		began := time.Now()
		b, err := n.Fetch(context.Background(), 2, 1, []byte("its"))
		if took := time.Since(began); err != nil || string(b) != "one" || took != fetchWait {
			t.Errorf("%q, %v after %v", b, err, took)
		}
		began = time.Now()
		if _, err := n.Fetch(context.Background(), 9, 1, nil); !errors.Is(err, ErrForeign) || time.Since(began) > fetchWait {
			t.Errorf("of nobody: %v after %v", err, time.Since(began))
		}
		if s := n.Stats(); s.Fetched != 1 || s.Missed != 1 {
			t.Errorf("%+v", s)
		}
	}, &script{says: []func(func(Batch) error) error{say(phone(1, 5, "one"))}})
}

// While nobody follows, what is kept for them is bounded, also in octets.
func TestKeptWhileAway(t *testing.T) {
	n, err := New(Options{Code: 1})
	if err != nil {
		t.Fatal(err)
	}
	large := Change{IMSI: imsi(1), Epoch: 1, Record: make([]byte, recordMost)}
	for range 2*ringOctets/recordMost + 7 {
		n.Changed([]Change{large})
	}
	if s := n.Stats(); s.KeptSize > ringOctets+ringOctets/4 || s.KeptSize != s.Kept*recordMost || n.first == 0 {
		t.Errorf("%+v", s)
	}
}

// rude is a server that says what no member does.
type rude struct {
	poolpb.UnimplementedPoolServer
	batch *poolpb.Batch
}

func (r rude) Follow(_ *poolpb.FollowRequest, s grpc.ServerStreamingServer[poolpb.Batch]) error {
	return s.Send(r.batch)
}

func (r rude) Fetch(context.Context, *poolpb.FetchRequest) (*poolpb.FetchReply, error) {
	return &poolpb.FetchReply{Record: make([]byte, maxReply+1)}, nil
}

// Over gRPC: one bad change does not end a link, an enormous message does; a member that follows
// twice is heard once; an enormous request is refused.
func TestRude(t *testing.T) {
	key := func(n byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(append(make([]byte, 31), n)) }
	public := func(n byte) [32]byte { return [32]byte(key(n).Public().(ed25519.PublicKey)) }
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	serve := func(s *grpc.Server) (link Link) {
		t.Helper()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var served sync.WaitGroup
		served.Go(func() { _ = s.Serve(l) })
		link, c, err := Dial(l.Addr().String(), key(2), public(1))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close(); s.Stop(); served.Wait() })
		return link
	}
	server := func(b *poolpb.Batch) *grpc.Server {
		config, err := peertls.Server(key(1), Check([][32]byte{public(2)}))
		if err != nil {
			t.Fatal(err)
		}
		s := grpc.NewServer(credsOf(config))
		poolpb.RegisterPoolServer(s, rude{batch: b})
		return s
	}
	bad := &poolpb.Batch{Run: 7, Changes: []*poolpb.Change{{Imsi: "nobody", Record: []byte("x")}, {Imsi: imsi(1).Digits(), Record: make([]byte, recordMost+1)},
		{Imsi: imsi(2).Digits(), Tmsis: make([]uint32, maxNames+1)}, {Imsi: imsi(3).Digits(), Record: []byte("good"), Epoch: 4}}}
	link := serve(server(bad))
	var got Batch
	err := link.Follow(ctx, Position{}, func(b Batch) error { got = b; return nil })
	if got.Refused != 3 || len(got.Changes) != 1 || got.Changes[0].IMSI != imsi(3) {
		t.Errorf("%+v, %v", got, err)
	}
	if b, err := link.Fetch(ctx, 1, 1, nil); err == nil {
		t.Errorf("a record of %d octets is taken", len(b))
	}
	link = serve(server(&poolpb.Batch{Changes: []*poolpb.Change{{Imsi: imsi(1).Digits(), Record: make([]byte, maxReply+1)}}}))
	if err := link.Follow(ctx, Position{}, func(b Batch) error { return fmt.Errorf("%d changes", len(b.Changes)) }); err == nil || err.Error() == "1 changes" {
		t.Errorf("enormous: %v", err)
	}

	n, err := New(Options{Code: 1})
	if err != nil {
		t.Fatal(err)
	}
	stopped := make(chan struct{})
	go func() { defer close(stopped); _ = n.Serve(ctx, newMME()) }()
	link = serve(serverOf(t, n, key(1), public(2)))
	first, heard := make(chan error, 1), make(chan struct{})
	go func() {
		said := sync.OnceFunc(func() { close(heard) })
		first <- link.Follow(ctx, Position{}, func(Batch) error { said(); return nil })
	}()
	select {
	case <-heard:
	case err := <-first:
		t.Fatal(err)
	}
	enough := errors.New("enough")
	if err := link.Follow(ctx, Position{}, func(Batch) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("again: %v", err)
	}
	n.Changed([]Change{phone(1, 1, "one")}) // wakes the first
	if err := <-first; err == nil || ctx.Err() != nil {
		t.Errorf("the first was heard on: %v", err)
	}
	if _, err := link.Fetch(ctx, 1, 1, make([]byte, 1<<20)); err == nil || errors.Is(err, ErrForeign) {
		t.Errorf("an enormous request: %v", err)
	}
	cancel()
	<-stopped
}
