package userspace

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
)

// session is what bearers of one PDN session share.
type session struct {
	id       datapath.SessionID
	bearers  int // guarded by Path.mu
	used     atomic.Uint64
	quota    atomic.Uint64
	reported atomic.Uint64 // used when ReportDue was last told
	out      atomic.Bool   // QuotaExhausted was told for this quota
}

// charge adds n octets if the quota allows; the check and the addition are one
// step, so bearers on two cores cannot overshoot together.
func (s *session) charge(n uint64) bool {
	for {
		used := s.used.Load()
		if quota := s.quota.Load(); used >= quota || n > quota-used {
			return false
		}
		if s.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

// refund takes back what was charged for a packet that was not handed on.
func (s *session) refund(n uint64) { s.used.Add(-n) }

// bearer has a lock for each direction, held while a packet is handed on: who
// holds both sees a count that nothing in flight can change.
type bearer struct {
	teid id.TEID
	ue   netip.Addr
	sess *session

	source atomic.Pointer[netip.AddrPort] // whence a tower behind a NAT sends; nil: not behind one

	ul     sync.Mutex
	ulGone bool
	ulSum  sum

	dl       sync.Mutex
	dlGone   bool
	dlSum    sum
	tunnel   datapath.Tunnel
	peer     netip.AddrPort
	buffer   [][]byte // whole IP packets, oldest first
	notified time.Time
}

type sum struct{ octets, packets uint64 }

func (s *sum) add(n int) {
	s.octets += uint64(n)
	s.packets++
}

// count reads both directions; the caller holds both locks.
func (b *bearer) count() datapath.Count {
	return datapath.Count{ULOctets: b.ulSum.octets, ULPackets: b.ulSum.packets, DLOctets: b.dlSum.octets, DLPackets: b.dlSum.packets}
}

// index finds bearers by tunnel for error indications; the caller holds mu.
func (p *Path) index(b *bearer, old, t datapath.Tunnel) {
	if p.byENB[old] == b {
		delete(p.byENB, old)
	}
	if t.Active() {
		p.byENB[t] = b
	}
}

// setTunnel changes the tunnel; the caller holds dl, and then may take mu.
func (p *Path) setTunnel(b *bearer, t datapath.Tunnel) {
	p.mu.Lock()
	p.index(b, b.tunnel, t)
	p.mu.Unlock()
	b.setTunnel(t)
}

func (b *bearer) setTunnel(t datapath.Tunnel) {
	b.tunnel, b.peer = t, netip.AddrPort{}
	if t.Active() {
		b.peer = netip.AddrPortFrom(t.Peer, gtpu.Port)
		if s := b.source.Load(); s != nil && s.Addr() == t.Peer {
			b.peer = *s
		}
	}
	b.notified = time.Time{}
}

// PutBearer implements datapath.Path.
func (p *Path) PutBearer(d datapath.Bearer) error {
	if !d.UE.Is4() {
		return fmt.Errorf("userspace: bearer %v: UE address %v is not IPv4", d.TEID, d.UE)
	}
	slot := datapath.Slot(d.TEID)
	if d.TEID == 0 || int(slot) >= len(p.slots) {
		return fmt.Errorf("%w: %v", datapath.ErrSlot, d.TEID)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.slots[slot].Load() != nil || p.byUE[d.UE] != nil {
		return fmt.Errorf("%w: %v, %v", datapath.ErrTaken, d.TEID, d.UE)
	}
	s := p.sess[d.Session]
	if s == nil {
		s = &session{id: d.Session}
		s.quota.Store(datapath.NoQuota)
		p.sess[d.Session] = s
	}
	s.bearers++
	b := &bearer{teid: d.TEID, ue: d.UE, sess: s}
	b.setTunnel(d.Tunnel)
	p.index(b, datapath.Tunnel{}, d.Tunnel)
	p.byUE[d.UE] = b
	p.slots[slot].Store(b)
	return nil
}

// UpdateBearer implements datapath.Path.
func (p *Path) UpdateBearer(teid id.TEID, t datapath.Tunnel) (datapath.Count, error) {
	b := p.lookup(teid)
	if b == nil {
		return datapath.Count{}, fmt.Errorf("%w: %v", datapath.ErrUnknown, teid)
	}
	b.ul.Lock()
	b.dl.Lock()
	defer b.dl.Unlock()
	gone, c := b.dlGone, b.count()
	b.ul.Unlock()
	if gone {
		return datapath.Count{}, fmt.Errorf("%w: %v", datapath.ErrUnknown, teid)
	}
	if b.tunnel == t {
		if !t.Active() {
			b.notified = time.Time{}
		}
		return c, nil
	}
	if b.tunnel.Active() && t.Active() {
		p.send(gtpu.AppendEndMarker(nil, b.tunnel.TEID), b.peer)
	}
	p.setTunnel(b, t)
	if t.Active() {
		p.flush(b)
	}
	return c, nil
}

// flush sends what was buffered; the caller holds dl.
func (p *Path) flush(b *bearer) {
	frame := make([]byte, gtpu.HeaderLen, 2048)
	for _, pkt := range b.buffer {
		frame = append(frame[:gtpu.HeaderLen], pkt...)
		p.sendDown(b, frame)
	}
	p.empty(b)
}

// empty forgets the buffer and its share of the bounds; the caller holds dl.
func (p *Path) empty(b *bearer) {
	for _, pkt := range b.buffer {
		p.waiting.Add(-int64(len(pkt)))
	}
	p.queued.Add(-int64(len(b.buffer)))
	b.buffer = nil
}

// RemoveBearer implements datapath.Path.
func (p *Path) RemoveBearer(teid id.TEID) (datapath.Count, error) {
	p.mu.Lock()
	b := p.lookup(teid)
	if b == nil {
		p.mu.Unlock()
		return datapath.Count{}, fmt.Errorf("%w: %v", datapath.ErrUnknown, teid)
	}
	p.slots[datapath.Slot(teid)].Store(nil)
	delete(p.byUE, b.ue)
	if b.sess.bearers--; b.sess.bearers == 0 {
		delete(p.sess, b.sess.id)
	}
	p.mu.Unlock()
	b.ul.Lock()
	defer b.ul.Unlock()
	b.dl.Lock()
	defer b.dl.Unlock()
	b.ulGone, b.dlGone = true, true
	p.setTunnel(b, datapath.Tunnel{})
	p.drops[datapath.DLBuffer].Add(uint64(len(b.buffer)))
	p.empty(b)
	return b.count(), nil
}

// DropBuffered implements datapath.Path.
func (p *Path) DropBuffered(teid id.TEID) error {
	b := p.lookup(teid)
	if b == nil {
		return fmt.Errorf("%w: %v", datapath.ErrUnknown, teid)
	}
	b.dl.Lock()
	defer b.dl.Unlock()
	p.drops[datapath.DLBuffer].Add(uint64(len(b.buffer)))
	p.empty(b)
	return nil
}

// Usage implements datapath.Path.
func (p *Path) Usage(teid id.TEID) (datapath.Count, error) {
	b := p.lookup(teid)
	if b == nil {
		return datapath.Count{}, fmt.Errorf("%w: %v", datapath.ErrUnknown, teid)
	}
	b.ul.Lock()
	defer b.ul.Unlock()
	b.dl.Lock()
	defer b.dl.Unlock()
	return b.count(), nil
}

// SetQuota implements datapath.Path.
func (p *Path) SetQuota(id datapath.SessionID, octets uint64) error {
	p.mu.RLock()
	s := p.sess[id]
	p.mu.RUnlock()
	if s == nil {
		return fmt.Errorf("%w: session %d", datapath.ErrUnknown, id)
	}
	s.quota.Store(octets)
	s.out.Store(false)
	return nil
}

// shown takes in whence a tower behind a NAT sends: it says so with a G-PDU that
// carries nothing, which no eNB sends, and from then on every packet of the
// bearer does. Downlink goes to the address that was signalled, but to the port
// that the NAT has there.
func (p *Path) shown(b *bearer, from netip.AddrPort) {
	b.dl.Lock()
	defer b.dl.Unlock()
	b.source.Store(&from)
	if b.tunnel.Active() && from.Addr() == b.tunnel.Peer && b.peer != from {
		b.peer = from
		p.moved.Add(1)
	}
}
