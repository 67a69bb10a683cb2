package ipstack

import (
	"errors"
	"log/slog"
	"net/netip"
	"testing"

	"gvisor.dev/gvisor/pkg/tcpip"
)

// FuzzRedirect gives the redirect's stack whatever phones may send it: it takes it
// or says that it is no packet, and has no more connections than it may.
func FuzzRedirect(f *testing.F) {
	syn := func(port byte) []byte {
		b := []byte{0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10, 45, 0, 2, 93, 184, 216, 34, 0x10, port, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0}
		put := func(at int, sum uint32) {
			for sum>>16 != 0 {
				sum = sum>>16 + sum&0xffff
			}
			b[at], b[at+1] = byte(^sum>>8), byte(^sum)
		}
		add := func(o []byte) (sum uint32) {
			for i := 0; i < len(o); i += 2 {
				sum += uint32(o[i])<<8 | uint32(o[i+1])
			}
			return sum
		}
		put(36, add(b[12:])+6+20)
		put(10, add(b[:20]))
		return b
	}
	f.Add(syn(1), syn(2))
	f.Add([]byte{0x60, 0, 0, 0, 0, 8, 44, 64}, syn(3))
	f.Add([]byte{0x45}, []byte{})
	f.Add(append(syn(1)[:20:20], 8, 0, 0xf7, 0xff, 0, 0, 0, 0), append([]byte{0x60, 0, 0, 0, 0, 0, 59, 64}, make([]byte, 32)...))
	r, err := NewRedirect(RedirectOptions{To: "http://10.45.0.1/topup", Router: netip.MustParseAddr("10.45.0.1"), MaxFlows: 4, MaxPerPhone: 2, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { r.Close() })
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, p := range [][]byte{a, b, a} {
			was := string(p)
			err := r.WritePacket(p)
			whole := len(p) >= 20 && p[0]>>4 == 4 || len(p) >= 40 && p[0]>>4 == 6
			if whole && err != nil || !whole && !errors.Is(err, ErrPacket) || string(p) != was {
				t.Fatalf("%x: %v", p, err)
			}
			if len(p) >= 20 && p[0]>>4 == 4 {
				r.flows.mu.Lock()
				n := r.flows.by[tcpip.AddrFromSlice(p[12:16])]
				r.flows.mu.Unlock()
				if n > 2 || r.flows.open() > 4 {
					t.Fatalf("%d connections of one phone, %d in all", n, r.flows.open())
				}
			}
		}
	})
}
