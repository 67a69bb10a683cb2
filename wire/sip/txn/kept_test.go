package txn

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

// TestKept plays at random with a ring and with a map that forgets nothing.
func TestKept(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	k := newKept(1 << 18)
	type entry struct {
		message []byte
		to      netip.AddrPort
		expiry  time.Duration
	}
	all := make(map[key]entry)
	var order []key
	now := time.Second
	for range 50000 {
		now += time.Duration(r.IntN(3)) * time.Millisecond
		id := key{uint64(r.IntN(20000)), 7}
		if r.IntN(2) == 0 {
			m := bytes.Repeat([]byte{byte(r.Uint32())}, r.IntN(900))
			to := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(r.Uint32())}), 5060)
			life := []time.Duration{5 * time.Second, 32 * time.Second}[r.IntN(2)]
			k.add(id, now, now+life, to, 3, m)
			all[id] = entry{m, to, now + life}
			order = append(order, id)
		}
		to, socket, m, ok := k.find(id, now)
		want, known := all[id]
		if ok && (!known || want.expiry <= now || !bytes.Equal(m, want.message) || to != want.to || socket != 3) {
			t.Fatalf("%v: %v %d %d octets", id, to, socket, len(m))
		}
	}
	for _, id := range order[len(order)-100:] {
		if _, _, _, ok := k.find(id, now); !ok {
			t.Errorf("one of the last hundred is forgotten")
		}
	}
	if len(k.ring) > 1<<18 || len(k.index) > len(k.ring)/keptHead || k.early == 0 {
		t.Errorf("ring %d, index %d, early %d", len(k.ring), len(k.index), k.early)
	}
	k.add(key{1, 1}, now, now+time.Second, netip.AddrPort{}, 0, make([]byte, 1<<18)) // does not fit
	now += time.Hour
	k.add(key{1, 2}, now, now+time.Second, netip.AddrPort{}, 0, nil)
	if len(k.index) != 1 {
		t.Errorf("%d left after an hour", len(k.index))
	}
}
