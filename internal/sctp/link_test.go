package sctp

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"campanile.network/internal/sctp/sctptest"
)

// link is an association between two endpoints on a network in memory, with both ends open to the test.
type link struct {
	t    *testing.T
	net  *sctptest.Network
	a, b *Userspace
	x, y *assoc // dialled, accepted
}

// newLink opens an association over a perfect network; conditions may come later. Both endpoints are closed when the test ends, however long it
// takes.
func newLink(t *testing.T, seed uint64, o Options) *link {
	t.Helper()
	k := &link{t: t, net: sctptest.New(seed, sctptest.Conditions{Delay: time.Millisecond})}
	def(&o.CloseTimeout, time.Hour)
	for i, e := range []**Userspace{&k.a, &k.b} {
		s, err := k.net.Open(netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(1 + i)}), DefaultEncapPort))
		if err != nil {
			t.Fatal(err)
		}
		o.Conn = s
		if *e, err = NewUDP(o); err != nil {
			t.Fatal(err)
		}
	}
	l, err := k.b.Listen(36412)
	if err != nil {
		t.Fatal(err)
	}
	x, err := k.a.Dial(t.Context(), l.Addr(), DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	y, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	k.x, k.y = x.(*assoc), y.(*assoc)
	return k
}

func (k *link) close() {
	for _, e := range []*Userspace{k.a, k.b} {
		if err := e.Close(); err != nil {
			k.t.Errorf("close: %v", err)
		}
	}
}

// payload is message i of a stream: its number and bytes that follow from it.
func payload(stream uint16, i, n int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(i))
	for len(b) < n {
		b = append(b, byte(i)*31+byte(len(b))+byte(stream))
	}
	return b
}

// pump sends messages of the sizes size returns on three streams from one end, and checks that the other gets each once, whole and in the order of
// its stream.
func pump(from, to *assoc, count int, size func(i int) int) error {
	const streams = 3
	failed := make(chan error, 1)
	go func() {
		for i := range count {
			if err := from.Send(context.Background(), uint16(i%streams), 18, payload(uint16(i%streams), i, size(i))); err != nil {
				failed <- fmt.Errorf("send %d: %w", i, err)
				return
			}
		}
		failed <- nil
	}()
	next := [streams]int{0, 1, 2}
	for range count {
		m, err := to.Recv(context.Background())
		if err != nil {
			return fmt.Errorf("recv: %w", err)
		}
		if m.Stream >= streams || m.PPID != 18 {
			return fmt.Errorf("message on stream %d with PPID %d", m.Stream, m.PPID)
		}
		i := next[m.Stream]
		if next[m.Stream] += streams; !bytes.Equal(m.Data, payload(m.Stream, i, size(i))) {
			return fmt.Errorf("stream %d: %d bytes %.8x, want message %d of %d bytes", m.Stream, len(m.Data), m.Data, i, size(i))
		}
	}
	return <-failed
}

// sizes are message lengths that repeat with the seed: mostly short, some of many packets.
func sizes(seed uint64) func(i int) int {
	return func(i int) int {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		switch r.IntN(10) {
		case 0:
			return 4 + r.IntN(20000)
		case 1, 2:
			return 4 + r.IntN(3000)
		}
		return 4 + r.IntN(200)
	}
}
