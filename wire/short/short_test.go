package short_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/internal/peertls"
	pb "campanile.network/wire/corepb"
	"campanile.network/wire/proof"
	"campanile.network/wire/short"
)

func imsi(t testing.TB, n int) id.IMSI {
	t.Helper()
	i, err := id.ParseIMSI(fmt.Sprintf("00101%010d", n))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// message is an RPDU with a short message.
func message(d sms.Direction) *sms.RPData {
	centre, err := sms.NewAddress("+3912345")
	if err != nil {
		panic(err)
	}
	m := &sms.RPData{Direction: d, Reference: 7, User: []byte{1, 2, 3}}
	if d == sms.Uplink {
		m.Destination = centre
	} else {
		m.Originator = centre
	}
	return m
}

// centre answers with what answer says, and tells of who is ready.
type centre struct {
	answer func(ctx context.Context, from short.Sender, m sms.RP) (sms.RP, error)
	ready  chan id.IMSI
}

func (c *centre) Submit(ctx context.Context, from short.Sender, m sms.RP) (sms.RP, error) {
	return c.answer(ctx, from, m)
}
func (c *centre) Ready(i id.IMSI) { c.ready <- i }

type phones func(context.Context, id.IMSI, *sms.RPData) (sms.RP, error)

func (f phones) Deliver(ctx context.Context, i id.IMSI, m *sms.RPData) (sms.RP, error) {
	return f(ctx, i, m)
}

// world is a centre that MMEs can join.
type world struct {
	t        *testing.T
	operator proof.SigningKey
	hub      *short.Hub
	l        *bufconn.Listener
	s        *grpc.Server
	done     chan error
}

func newWorld(t *testing.T, c short.Centre) *world {
	w := &world{t: t, operator: proof.NewSigningKey(), hub: short.NewHub(c, nil)}
	w.begin()
	t.Cleanup(w.end)
	return w
}

func (w *world) begin() {
	tls, err := peertls.Server(w.operator.Ed25519(), func([32]byte) error { return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	w.l, w.s, w.done = bufconn.Listen(1<<16), grpc.NewServer(grpc.Creds(credentials.NewTLS(tls))), make(chan error, 1)
	short.Register(w.s, w.hub, w.operator.Public())
	s, l, done := w.s, w.l, w.done
	go func() { done <- s.Serve(l) }()
}

func (w *world) end() {
	w.s.Stop()
	<-w.done
}

// dial connects with a key.
func (w *world) dial(k proof.SigningKey) *grpc.ClientConn {
	tls, err := peertls.Client(k.Ed25519(), w.operator.Public())
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := grpc.NewClient("passthrough:centre", grpc.WithTransportCredentials(credentials.NewTLS(tls)),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return w.l.DialContext(ctx) }))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

// join has an MME join, and waits until it has.
func (w *world) join(p short.Phones) *short.Remote {
	w.t.Helper()
	before := w.hub.MMEs()
	r := short.NewRemote(w.dial(w.operator), p, nil)
	ctx, cancel := context.WithCancel(w.t.Context())
	var served sync.WaitGroup
	served.Go(func() { r.Serve(ctx) })
	w.t.Cleanup(func() { cancel(); served.Wait() })
	w.until("an MME has joined", func() bool { there, _, _ := r.State(); return there && w.hub.MMEs() > before })
	return r
}

func (w *world) until(what string, f func() bool) {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(30 * time.Second)
	defer end.Stop()
	for !f() {
		select {
		case <-tick.C:
		case <-end.C:
			w.t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func TestSubmit(t *testing.T) {
	number, err := id.ParseMSISDN("3912399")
	if err != nil {
		t.Fatal(err)
	}
	c := &centre{ready: make(chan id.IMSI, 1)}
	w := newWorld(t, c)
	mme := w.join(phones(nil))
	for name, answer := range map[string]sms.RP{
		"acknowledged": &sms.RPAck{Direction: sms.Downlink, Reference: 7}, "with a report": &sms.RPAck{Direction: sms.Downlink, Reference: 7, User: []byte{9, 9}},
		"refused": &sms.RPError{Direction: sms.Downlink, Reference: 7, Cause: 38}, "without a word": nil,
	} {
		c.answer = func(_ context.Context, from short.Sender, m sms.RP) (sms.RP, error) {
			if d, ok := m.(*sms.RPData); !ok || d.Destination.Number() != "+3912345" || from.IMSI != imsi(t, 1) || from.MSISDN != number {
				t.Errorf("%s: the centre got %v from %v", name, m, from)
			}
			return answer, nil
		}
		got, err := mme.Submit(t.Context(), short.Sender{IMSI: imsi(t, 1), MSISDN: number}, message(sms.Uplink))
		if err != nil || fmt.Sprint(got) != fmt.Sprint(answer) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	c.answer = func(context.Context, short.Sender, sms.RP) (sms.RP, error) {
		return nil, errors.New("the disk is full")
	}
	if got, err := mme.Submit(t.Context(), short.Sender{IMSI: imsi(t, 1)}, message(sms.Uplink)); err == nil || err.Error() != "short: the disk is full" {
		t.Errorf("a centre that cannot: %v, %v", got, err)
	}
	// A phone that waits no more does not keep others waiting.
	hold := make(chan struct{})
	c.answer = func(ctx context.Context, from short.Sender, _ sms.RP) (sms.RP, error) {
		if from.IMSI == imsi(t, 2) {
			select {
			case <-hold:
			case <-ctx.Done():
			}
		}
		return nil, nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := mme.Submit(ctx, short.Sender{IMSI: imsi(t, 2)}, message(sms.Uplink)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := mme.Submit(t.Context(), short.Sender{IMSI: imsi(t, 3)}, message(sms.Uplink)); err != nil {
		t.Error(err)
	}
	close(hold)
}

func TestDeliver(t *testing.T) {
	w := newWorld(t, &centre{ready: make(chan id.IMSI, 8)})
	if at, ok := w.hub.Registered(imsi(t, 1)); ok {
		t.Errorf("without an MME a phone is registered since %v", at)
	}
	if _, err := w.hub.Deliver(t.Context(), imsi(t, 1), message(sms.Downlink)); !errors.Is(err, short.ErrNotRegistered) {
		t.Errorf("without an MME: %v", err)
	}
	answer := &sms.RPAck{Direction: sms.Uplink, Reference: 7}
	var asked sync.Map
	here := func(name string, n int, err error) phones {
		return func(ctx context.Context, i id.IMSI, m *sms.RPData) (sms.RP, error) {
			asked.Store(name, i)
			if _, bounded := ctx.Deadline(); !bounded || m.Reference != 7 || string(m.User) != "\x01\x02\x03" {
				t.Errorf("%s is asked for %v, bounded: %t", name, m, bounded)
			}
			if i != imsi(t, n) {
				return nil, short.ErrNotRegistered
			}
			return answer, err
		}
	}
	first := w.join(here("first", 1, nil))
	w.join(here("second", 2, nil))
	w.join(here("third", 3, short.ErrAbsent))
	w.join(here("fourth", 4, errors.New("the phone said nothing after CP-ACK")))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	deliver := func(n int) error {
		got, err := w.hub.Deliver(ctx, imsi(t, n), message(sms.Downlink))
		if err == nil && fmt.Sprint(got) != fmt.Sprint(answer) {
			t.Errorf("phone %d answers %v", n, got)
		}
		return err
	}
	if err := errors.Join(deliver(1), deliver(2)); err != nil {
		t.Error(err)
	}
	if err := deliver(3); !errors.Is(err, short.ErrAbsent) {
		t.Errorf("a phone that does not answer: %v", err)
	}
	if err := deliver(4); err == nil || errors.Is(err, short.ErrAbsent) || errors.Is(err, short.ErrNotRegistered) {
		t.Errorf("nobody knows: %v", err)
	}
	if err := deliver(5); !errors.Is(err, short.ErrNotRegistered) {
		t.Errorf("nobody's phone: %v", err)
	}
	// A phone that was ready is asked for there, and nowhere else.
	first.Ready(imsi(t, 1))
	w.until("the centre hears of the phone", func() bool { at, ok := w.hub.Registered(imsi(t, 1)); return ok && !at.IsZero() })
	asked.Clear()
	if err := deliver(1); err != nil {
		t.Error(err)
	}
	asked.Range(func(k, _ any) bool {
		if k != "first" {
			t.Errorf("%v is asked for a phone of the first", k)
		}
		return true
	})
}

// A link that breaks ends what waits, at both ends; phones that were ready meanwhile are
// told when it is back.
func TestBrokenLink(t *testing.T) {
	began := make(chan struct{}, 2)
	c := &centre{ready: make(chan id.IMSI, 8), answer: func(ctx context.Context, _ short.Sender, _ sms.RP) (sms.RP, error) {
		began <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	w := newWorld(t, c)
	mme := w.join(phones(func(ctx context.Context, _ id.IMSI, _ *sms.RPData) (sms.RP, error) {
		began <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	ended := make(chan error, 2)
	go func() {
		_, err := mme.Submit(t.Context(), short.Sender{IMSI: imsi(t, 1)}, message(sms.Uplink))
		ended <- err
	}()
	go func() {
		_, err := w.hub.Deliver(t.Context(), imsi(t, 1), message(sms.Downlink))
		ended <- err
	}()
	<-began
	<-began
	w.end()
	for range 2 {
		if err := <-ended; err == nil || errors.Is(err, short.ErrNotRegistered) || errors.Is(err, short.ErrAway) {
			t.Errorf("a broken link: %v", err)
		}
	}
	w.until("the MME notices", func() bool { there, _, why := mme.State(); return !there && why != "" })
	if _, err := mme.Submit(t.Context(), short.Sender{IMSI: imsi(t, 1)}, message(sms.Uplink)); !errors.Is(err, short.ErrAway) {
		t.Errorf("without a link: %v", err)
	}
	mme.Ready(imsi(t, 8))
	w.begin()
	if got := <-c.ready; got != imsi(t, 8) {
		t.Errorf("ready: %v", got)
	}
}

func TestStrangersAreRefused(t *testing.T) {
	w := newWorld(t, &centre{})
	st, err := pb.NewShortMessagesClient(w.dial(proof.NewSigningKey())).Join(t.Context())
	if err == nil {
		_, err = st.Recv()
	}
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("another key: %v", err)
	}
}

// What is no message, no IMSI, or answers nothing does no harm.
func TestNonsense(t *testing.T) {
	c := &centre{ready: make(chan id.IMSI, 8), answer: func(context.Context, short.Sender, sms.RP) (sms.RP, error) { return nil, nil }}
	w := newWorld(t, c)
	st, err := pb.NewShortMessagesClient(w.dial(w.operator)).Join(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	good, err := sms.Append(nil, message(sms.Uplink))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*pb.FromMme{
		{}, {Body: &pb.FromMme_Ready{Ready: &pb.ShortReady{Imsi: "nobody"}}}, {Body: &pb.FromMme_Delivered{Delivered: &pb.ShortDelivered{Ref: 99}}},
		{Body: &pb.FromMme_Submit{Submit: &pb.ShortSubmit{Ref: 1, Imsi: "x", Rp: good}}}, {Body: &pb.FromMme_Submit{Submit: &pb.ShortSubmit{Ref: 2, Imsi: "001010000000001", Msisdn: "x", Rp: good}}},
		{Body: &pb.FromMme_Submit{Submit: &pb.ShortSubmit{Ref: 3, Imsi: "001010000000001", Rp: []byte{0xff, 0xff}}}}, {Body: &pb.FromMme_Submit{Submit: &pb.ShortSubmit{Ref: 4, Imsi: "001010000000001", Rp: good}}},
	} {
		if err := st.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	failed := map[uint64]bool{}
	for len(failed) < 4 {
		m, err := st.Recv()
		if err != nil {
			t.Fatal(err)
		}
		failed[m.GetSubmitted().Ref] = m.GetSubmitted().Failed != ""
	}
	if fmt.Sprint(failed) != "map[1:true 2:true 3:true 4:false]" {
		t.Errorf("failed: %v", failed)
	}
	if err := st.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := st.Recv(); err == nil || errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("at the end: %v", err)
	}
}
