//go:build linux

package xdp

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"campanile.network/gateway/datapath"
)

// flowTable is userspace.Flows over the programs' table, so that both see what
// phones have opened. The kernel ends those silent for the longest time when it
// is full.
type flowTable struct {
	m      *ebpf.Map
	k      *kernel
	epochs []atomic.Uint32 // by session slot
	n      atomic.Int64    // as last counted
	mu     sync.Mutex      // one sweep at a time
}

// newFlowTable goes on with the epochs of bearers that are there.
func newFlowTable(k *kernel) *flowTable {
	f := &flowTable{m: k.coll.Maps[gatewayMapFlows], k: k, epochs: make([]atomic.Uint32, k.slots)}
	for i := range f.epochs {
		f.epochs[i].Store(rand.Uint32())
	}
	for i := range k.policies {
		if p := &k.policies[i]; p.TEID != 0 && int(p.Session) < len(f.epochs) {
			f.epochs[p.Session].Store(p.Epoch)
		}
	}
	return f
}

func (f *flowTable) epoch(session uint32) uint32 { return f.epochs[session].Load() }

func (f *flowTable) key(session uint32, remote netip.Addr, rport, lport uint16, pkt *datapath.Packet) flowKey {
	k := flowKey{Remote: mapped(remote), Session: session, Epoch: f.epoch(session), RemotePort: rport, LocalPort: lport, Protocol: pkt.Protocol, Family: 4}
	if remote.Is6() {
		k.Family = 6
	}
	switch {
	case pkt.Protocol == datapath.ProtoICMP || pkt.Protocol == datapath.ProtoICMPv6:
		k.RemotePort = 0
	case !pkt.HasPorts():
		k.RemotePort, k.LocalPort = 0, 0
	}
	return k
}

func monotonic() uint64 {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return uint64(ts.Nano())
}

func lifetime(protocol uint8, bits uint32) uint64 {
	d := 600 * time.Second
	switch protocol {
	case datapath.ProtoTCP:
		d = 240 * time.Second
		if bits&(answered|closing) == answered {
			d = 7440 * time.Second
		}
	case datapath.ProtoUDP, datapath.ProtoUDPLite:
		d = 300 * time.Second
	case datapath.ProtoICMP, datapath.ProtoICMPv6:
		d = 60 * time.Second
	}
	return uint64(d)
}

func (st *flowState) over(now uint64, protocol uint8) bool {
	return now > st.Last && now-st.Last > lifetime(protocol, st.Bits)
}

func finished(pkt *datapath.Packet) uint32 {
	if pkt.Protocol == datapath.ProtoTCP && pkt.TCPFlags&(1|4) != 0 { // FIN, RST
		return closing
	}
	return 0
}

// Sent implements userspace.Flows.
func (f *flowTable) Sent(session uint32, packet datapath.Packet, _ uint64) {
	pkt := &packet
	if pkt.Later || pkt.Error() {
		return
	}
	key, now := f.key(session, pkt.Dst, pkt.DstPort, pkt.SrcPort, pkt), monotonic()
	var st flowState
	if f.m.Lookup(key, &st) != nil || st.over(now, key.Protocol) {
		st = flowState{}
	}
	st.Last, st.Bits = now, st.Bits|finished(pkt)
	_ = f.m.Put(key, st) // a full table makes room
}

// Wanted implements userspace.Flows.
func (f *flowTable) Wanted(session uint32, packet datapath.Packet, b []byte, _ uint64) bool {
	pkt := &packet
	key, own := flowKey{}, !pkt.Error()
	if own {
		key = f.key(session, pkt.Src, pkt.SrcPort, pkt.DstPort, pkt)
	} else { // about one of the phone's own packets
		q, ok := pkt.Quoted(b)
		if !ok || q.Src != pkt.Dst || q.Later {
			return false
		}
		key = f.key(session, q.Dst, q.DstPort, q.SrcPort, &q)
	}
	var st flowState
	now := monotonic()
	if f.m.Lookup(key, &st) != nil || st.over(now, key.Protocol) {
		return false
	}
	if own {
		st.Last, st.Bits = now, st.Bits|answered|finished(pkt)
		_ = f.m.Put(key, st)
	}
	return true
}

// Forget implements userspace.Flows: the record's next user finds none of them.
func (f *flowTable) Forget(session uint32) { f.epochs[session].Add(1) }

// Sweep implements userspace.Flows. It also counts them.
func (f *flowTable) Sweep(uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var key flowKey
	var st flowState
	var over []flowKey
	n, now := int64(0), monotonic()
	for it := f.m.Iterate(); it.Next(&key, &st); n++ {
		if int(key.Session) >= len(f.epochs) || f.epoch(key.Session) != key.Epoch || st.over(now, key.Protocol) {
			over = append(over, key)
		}
	}
	for _, k := range over {
		if f.m.Delete(k) == nil {
			n--
		}
	}
	f.n.Store(n)
}

// Len implements userspace.Flows: as of the last sweep.
func (f *flowTable) Len() int { return int(f.n.Load()) }
