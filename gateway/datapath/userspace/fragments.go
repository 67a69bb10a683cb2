package userspace

import (
	"net/netip"
	"sync"

	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
)

// fragments remember which bearer took a datagram's first fragment, for the
// others, which have no ports to be told by. Others that come before the first
// are not held back: senders send them in order.
type fragments struct {
	mu sync.Mutex
	m  map[fragment]taken
}

type fragment struct {
	src, dst netip.Addr
	id       uint32
	protocol uint8
}

type taken struct {
	by    id.TEID
	until uint64 // ticks
}

const (
	maxFragments     = 4096
	fragmentsGoAfter = 30 * second // RFC 791 §3.2 has 15 s at least, RFC 8200 §4.5 60 s at most
)

func fragmentOf(pkt *datapath.Packet) fragment {
	return fragment{pkt.Src, pkt.Dst, pkt.FragmentID, pkt.Protocol}
}

func (f *fragments) note(pkt *datapath.Packet, by id.TEID, now uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.m == nil {
		f.m = make(map[fragment]taken)
	}
	if len(f.m) >= maxFragments {
		n := 0
		for k, t := range f.m { // of a few, the old, and some that are not
			if n++; t.until <= now || n <= 8 {
				delete(f.m, k)
			}
			if n == 64 {
				break
			}
		}
	}
	f.m[fragmentOf(pkt)] = taken{by, now + fragmentsGoAfter}
}

func (f *fragments) find(pkt *datapath.Packet, now uint64) (id.TEID, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, ok := f.m[fragmentOf(pkt)]
	return t.by, ok && t.until > now
}
