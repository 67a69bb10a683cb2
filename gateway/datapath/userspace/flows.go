package userspace

import (
	"sync"
	"sync/atomic"
	"time"

	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/table"
)

// Flows remember what phones have opened, so that others cannot send to them
// unasked. A back end with a table of its own in the kernel gives one over that.
// Sessions are by the slot of their record; now is table.Table.Now's.
type Flows interface {
	// Sent notes a phone's packet.
	Sent(session uint32, pkt datapath.Packet, now uint64)
	// Wanted says that a packet belongs to a flow the phone has opened; b is the
	// packet, for errors that quote one of the phone's.
	Wanted(session uint32, pkt datapath.Packet, b []byte, now uint64) bool
	// Forget ends a session's flows.
	Forget(session uint32)
	// Sweep ends those that are over.
	Sweep(now uint64)
	// Len is how many there are.
	Len() int
}

// flow is what two ends and a protocol make.
type flow struct {
	remote, local         [8]byte // IPv6: the second halves; IPv4 in the first four octets
	net                   [8]byte // IPv6: the remote's first half
	remotePort, localPort uint16
	protocol              uint8
	six                   bool
}

func flowOf(pkt *datapath.Packet, d datapath.Direction) flow {
	remote, local, f := pkt.Src, pkt.Dst, flow{remotePort: pkt.SrcPort, localPort: pkt.DstPort, protocol: pkt.Protocol}
	if d == datapath.Uplink {
		remote, local, f.remotePort, f.localPort = local, remote, f.localPort, f.remotePort
	}
	if remote.Is6() {
		f.six, f.net, f.remote, f.local = true, high64(remote), low64(remote), low64(local)
		return f
	}
	r, l := remote.As4(), local.As4()
	copy(f.remote[:], r[:])
	copy(f.local[:], l[:])
	return f
}

// state is how long a flow lasts.
type state struct {
	until   uint64 // ticks
	opened  bool   // TCP: a packet came back
	closing bool   // TCP: one end has finished
}

const second = uint64(time.Second) * table.TicksPerNano

// How long flows last in silence (RFC 4787 §4.3, RFC 5382 §5, RFC 5508 §3.2,
// RFC 5597 §3).
const (
	lastsUDP         = 300 * second
	lastsICMP        = 60 * second
	lastsTransitory  = 240 * second
	lastsEstablished = 7440 * second
	lastsOther       = 600 * second
)

func (s state) lasts(protocol uint8) uint64 {
	switch {
	case protocol == datapath.ProtoUDP || protocol == datapath.ProtoUDPLite:
		return lastsUDP
	case protocol == datapath.ProtoICMP || protocol == datapath.ProtoICMPv6:
		return lastsICMP
	case protocol != datapath.ProtoTCP:
		return lastsOther
	case s.opened && !s.closing:
		return lastsEstablished
	}
	return lastsTransitory
}

// memory keeps flows in the process: for each session a map of its own, so that
// no phone can push another's out.
type memory struct {
	sets       []atomic.Pointer[set]
	n          atomic.Int64
	most, each int
}

type set struct {
	mu    sync.Mutex
	flows map[flow]state
}

func newFlows(sessions, most, each int) *memory {
	return &memory{sets: make([]atomic.Pointer[set], sessions), most: most, each: each}
}

const tcpFIN, tcpRST = 1, 4

// Sent implements Flows.
func (m *memory) Sent(session uint32, pkt datapath.Packet, now uint64) {
	if pkt.Later || pkt.Error() {
		return
	}
	place := &m.sets[session]
	s := place.Load()
	if s == nil {
		place.CompareAndSwap(nil, &set{flows: make(map[flow]state)})
		s = place.Load()
	}
	f := flowOf(&pkt, datapath.Uplink)
	s.mu.Lock()
	defer s.mu.Unlock()
	st, known := s.flows[f]
	if !known {
		m.room(s, now)
		m.n.Add(1)
	}
	s.touch(f, st, &pkt, now)
}

// touch renews a flow; the caller holds mu.
func (s *set) touch(f flow, st state, pkt *datapath.Packet, now uint64) {
	st.closing = st.closing || pkt.TCPFlags&(tcpFIN|tcpRST) != 0
	st.until = now + st.lasts(f.protocol)
	s.flows[f] = st
}

// fair is how many flows a phone can have however many there are.
const fair = 64

// room makes some for one more flow, by ending one of the same phone's that is
// over or nearest to it among a few: no phone pushes another's out. The caller
// holds mu.
func (m *memory) room(s *set, now uint64) {
	if len(s.flows) < min(fair, m.each) || len(s.flows) < m.each && m.n.Load() < int64(m.most) {
		return
	}
	var victim flow
	first, tried := uint64(0), 0
	for f, st := range s.flows {
		if tried == 0 || st.until < first {
			victim, first = f, st.until
		}
		if tried++; tried == 8 || st.until <= now {
			break
		}
	}
	delete(s.flows, victim)
	m.n.Add(-1)
}

// Wanted implements Flows.
func (m *memory) Wanted(session uint32, pkt datapath.Packet, b []byte, now uint64) bool {
	s := m.sets[session].Load()
	if s == nil {
		return false
	}
	if pkt.Error() { // about one of the phone's own packets
		q, ok := pkt.Quoted(b)
		if !ok || q.Src != pkt.Dst || q.Later {
			return false
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		st, known := s.flows[flowOf(&q, datapath.Uplink)]
		return known && st.until > now
	}
	f := flowOf(&pkt, datapath.Downlink)
	s.mu.Lock()
	defer s.mu.Unlock()
	st, known := s.flows[f]
	if !known || st.until <= now {
		return false
	}
	st.opened = true
	s.touch(f, st, &pkt, now)
	return true
}

// Forget implements Flows.
func (m *memory) Forget(session uint32) {
	if s := m.sets[session].Swap(nil); s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		m.n.Add(-int64(len(s.flows)))
		clear(s.flows)
	}
}

// Sweep implements Flows.
func (m *memory) Sweep(now uint64) {
	for i := range m.sets {
		s := m.sets[i].Load()
		if s == nil {
			continue
		}
		s.mu.Lock()
		for f, st := range s.flows {
			if st.until <= now {
				delete(s.flows, f)
				m.n.Add(-1)
			}
		}
		s.mu.Unlock()
	}
}

// Len implements Flows.
func (m *memory) Len() int { return int(m.n.Load()) }
