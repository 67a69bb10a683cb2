package sctp

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/internal/sctp/sctptest"
)

// Associations that fill their buffers and read nothing take no more than twice the endpoint's memory together, do not keep a newcomer from its
// share, lose nothing, and give everything back.
func TestMemoryIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const memory, greedy, each, size = 128 << 10, 12, 60, 1000
		k := newLink(t, 1, Options{Memory: memory, SendBuffer: 64 << 10, ReceiveBuffer: 32 << 10, MaxMessage: 8 << 10, Timers: Timers{MaxRetrans: 100, RTOMax: 2 * time.Second}})
		l, err := k.b.Listen(0)
		if err != nil {
			t.Fatal(err)
		}
		open := func() (x, y *assoc) {
			a, err := k.a.Dial(t.Context(), l.Addr(), DialOptions{})
			if err != nil {
				t.Fatal(err)
			}
			b, err := l.Accept(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return a.(*assoc), b.(*assoc)
		}
		var sending sync.WaitGroup
		var readers []*assoc
		for range greedy {
			x, y := open()
			readers = append(readers, y)
			sending.Go(func() {
				for i := range each {
					if err := x.Send(context.Background(), 1, 18, payload(1, i, size)); err != nil {
						t.Errorf("send: %v", err)
						return
					}
				}
			})
		}
		time.Sleep(20 * time.Second)
		for name, e := range map[string]*Userspace{"senders": k.a, "receivers": k.b} {
			held, drops := e.held.Load(), e.Stats().Dropped[dropNames[dropMemory]]
			t.Logf("%s hold %d bytes of %d, %d times more was wanted", name, held, memory, drops)
			if held < memory/2 || held > 2*memory || drops == 0 {
				t.Errorf("%s hold %d bytes, %d were refused", name, held, drops)
			}
		}
		x, y := open()
		if err := pump(x, y, 200, func(int) int { return 500 }); err != nil {
			t.Errorf("a newcomer: %v", err)
		}
		for _, y := range readers {
			for i := range each {
				m, err := y.Recv(t.Context())
				if err != nil || string(m.Data) != string(payload(1, i, size)) {
					t.Fatalf("message %d: %d bytes, %v", i, len(m.Data), err)
				}
			}
		}
		sending.Wait()
		if err := x.Send(t.Context(), 0, 18, make([]byte, 100)); err != nil { // is never read
			t.Fatal(err)
		}
		k.close()
		if a, b := k.a.held.Load(), k.b.held.Load(); a != 0 || b != 0 {
			t.Errorf("%d and %d bytes are held by nobody", a, b)
		}
	})
}

// What came before its turn while there was memory gives way when others have used it up since: the message it waits for still arrives, and the
// rest once more.
func TestMemoryForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newLink(t, 1, Options{Memory: 64 << 10, SendBuffer: 64 << 10, ReceiveBuffer: 32 << 10, MaxMessage: 8 << 10, Timers: Timers{MaxRetrans: 20, RTOMax: 2 * time.Second}})
		defer k.close()
		l, err := k.b.Listen(0)
		if err != nil {
			t.Fatal(err)
		}
		var x, y [3]Association
		for i := range x {
			if x[i], err = k.a.Dial(t.Context(), l.Addr(), DialOptions{}); err != nil {
				t.Fatal(err)
			}
			if y[i], err = l.Accept(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		send := func(from Association, stream uint16, text string) {
			if err := from.Send(t.Context(), stream, 18, []byte(text)); err != nil {
				t.Error(err)
			}
		}
		text := func(who string, i int) string { return fmt.Sprintf("%s %d %s", who, i, strings.Repeat(".", 1000)) }
		k.net.SetFilter(func(p sctptest.Packet) bool { return !bytes.Contains(p.Data, []byte("next 0 ")) })
		send(x[0], 1, text("next", 0))
		for i := range 18 {
			send(x[0], 1, text("next", i+1))
		}
		send(x[0], 2, strings.Repeat("o", 5000)) // its fragments become a message of another stream, which is read
		time.Sleep(200 * time.Millisecond)
		for _, greedy := range x[1:] {
			for i := range 25 {
				send(greedy, 1, text("greedy", i))
			}
		}
		time.Sleep(time.Second)
		if held := k.b.held.Load(); 64<<10-held > 1000 {
			t.Fatalf("%d bytes are held: the memory is not used up", held)
		}
		k.net.SetFilter(func(sctptest.Packet) bool { return true })
		if m, err := y[0].Recv(t.Context()); err != nil || m.Stream != 2 || len(m.Data) != 5000 {
			t.Fatalf("the other stream: %d bytes on %d, %v", len(m.Data), m.Stream, err)
		}
		for i := range 19 {
			if m, err := y[0].Recv(t.Context()); err != nil || string(m.Data) != text("next", i) {
				t.Fatalf("message %d: %q, %v", i, m.Data[:min(len(m.Data), 10)], err)
			}
		}
	})
}
