package sctp

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
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
