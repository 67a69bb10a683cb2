package userspace

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/table"
)

// end is this side's end of a tunnel: a bearer's towards the tower or upstream,
// or that of a forward.
type end struct {
	teid     id.TEID
	upstream bool
	b        *bearer
	forward  *peer
}

// peer is the other side of a tunnel.
type peer struct {
	at   netip.AddrPort
	oob  []byte // control message that marks what is sent
	TEID id.TEID
}

func newPeer(t datapath.Tunnel, dscp uint8) (p peer) {
	p.TEID = t.TEID
	if t.Active() {
		p.at, p.oob = netip.AddrPortFrom(t.Peer, gtpu.Port), marking(t.Peer, dscp)
	}
	return p
}

// Active says that there is a tunnel.
func (p *peer) Active() bool { return p != nil && p.at.IsValid() }

func (p *peer) tunnel() datapath.Tunnel {
	if p == nil {
		return datapath.Tunnel{}
	}
	return datapath.Tunnel{Peer: p.at.Addr(), TEID: p.TEID}
}

// tunnelKey is a peer's end of a tunnel without a pointer, so that the collector of
// garbage has no million of them to look at.
type tunnelKey struct {
	peer [16]byte
	teid id.TEID
}

func keyOf(t datapath.Tunnel) tunnelKey { return tunnelKey{t.Peer.As16(), t.TEID} }

// bearer has a lock for each direction, held for reading while a packet is handed
// on: who has both to itself sees a count that nothing in flight can change. Who
// waits for dl may have ul, and not the other way round.
type bearer struct {
	teid    id.TEID
	slot    uint32
	sess    *session
	rec     *table.Bearer
	policy  atomic.Pointer[datapath.Policy]
	capture atomic.Pointer[func(datapath.Direction, []byte)]
	source  atomic.Pointer[netip.AddrPort] // whence a tower behind a NAT sends; nil: not behind one
	down    end
	up      *end // S5/S8; nil: none

	isDefault, ulGone, dlGone bool

	ul     sync.RWMutex // also guards ulGone
	uppeer *peer        // S5/S8

	dl   sync.RWMutex // also guards dlGone
	peer peer

	wait     sync.Mutex // with dl for reading: guards what follows
	buffer   [][]byte   // whole IP packets, oldest first
	notified uint64     // ticks; 0: not

	only plan // of a session that has just this one, and no filters
	self [1]*bearer
}

// policers are those that hold the bearer's rates: its own where it has one, or
// the session's.
func (b *bearer) policer(own, shared *table.Policer) *table.Policer {
	if own.Bounds() {
		return own
	}
	return shared
}

// index finds bearers by tunnel for error indications; the caller holds mu.
func (p *Path) index(b *bearer, old, t datapath.Tunnel) {
	if old.Active() && p.byPeer[keyOf(old)] == b.teid {
		delete(p.byPeer, keyOf(old))
	}
	if t.Active() {
		p.byPeer[keyOf(t)] = b.teid
	}
}

// setTunnel changes the tunnel; the caller holds dl, and then may take mu.
func (p *Path) setTunnel(b *bearer, t datapath.Tunnel) {
	p.mu.Lock()
	p.index(b, b.peer.tunnel(), t)
	p.mu.Unlock()
	b.setTunnel(t)
}

func (b *bearer) setTunnel(t datapath.Tunnel) {
	b.peer = newPeer(t, b.policy.Load().DSCP)
	if s := b.source.Load(); s != nil && t.Active() && s.Addr() == t.Peer {
		b.peer.at = *s
	}
	b.notified = 0
}

// PutBearer implements datapath.Path.
func (p *Path) PutBearer(d datapath.Bearer) error {
	if err := d.Check(); err != nil {
		return err
	}
	slot := datapath.Slot(d.TEID)
	if int(slot) >= len(p.ends) || int(datapath.Slot(d.UpstreamTEID)) >= len(p.ends) {
		return fmt.Errorf("%w: %v, %v", datapath.ErrSlot, d.TEID, d.UpstreamTEID)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sessionOf(d.Session)
	if s == nil {
		return fmt.Errorf("%w: session %d", datapath.ErrUnknown, d.Session)
	}
	core := &p.ends[datapath.Slot(d.UpstreamTEID)]
	if p.ends[slot].Load() != nil || d.UpstreamTEID != 0 && (core.Load() != nil || core == &p.ends[slot]) || d.Default && s.plan.Load().def != nil {
		return fmt.Errorf("%w: bearer %v of session %d", datapath.ErrTaken, d.TEID, d.Session)
	}
	b := &bearer{teid: d.TEID, slot: slot, isDefault: d.Default, sess: s, rec: p.tab.TakeBearer(slot, uint32(d.TEID), s.slot, d.Resume)}
	if from, ok := b.rec.Source(); ok {
		at := from
		b.source.Store(&at)
	}
	b.setPolicy(d.Policy)
	b.setTunnel(d.Tunnel)
	b.down, b.self[0] = end{teid: d.TEID, b: b}, b
	p.index(b, datapath.Tunnel{}, d.Tunnel)
	p.index(b, datapath.Tunnel{}, d.Upstream)
	all := b.self[:]
	if others := s.plan.Load().all; len(others) > 0 {
		all = append(slices.Clip(others), b)
	}
	s.replan(all)
	p.bearers++
	if d.UpstreamTEID != 0 {
		up := newPeer(d.Upstream, d.DSCP)
		b.uppeer, b.up = &up, &end{teid: d.UpstreamTEID, b: b, upstream: true}
		core.Store(b.up)
	}
	p.ends[slot].Store(&b.down)
	return nil
}

func (b *bearer) setPolicy(d datapath.Policy) {
	b.policy.Store(d.Kept())
	b.rec.UL.SetRate(d.MBR.UL)
	b.rec.DL.SetRate(d.MBR.DL)
}

// UpdatePolicy implements datapath.Path.
func (p *Path) UpdatePolicy(teid id.TEID, d datapath.Policy) error {
	if err := d.Check(); err != nil {
		return err
	}
	b, err := p.bearer(teid)
	if err != nil {
		return err
	}
	b.dl.Lock()
	defer b.dl.Unlock()
	if b.dlGone {
		return fmt.Errorf("%w: %v", datapath.ErrUnknown, teid)
	}
	b.setPolicy(d)
	b.peer.oob = marking(b.peer.at.Addr(), d.DSCP)
	p.mu.Lock()
	b.sess.replan(b.sess.plan.Load().all)
	p.mu.Unlock()
	return nil
}

// UpdateBearer implements datapath.Path.
func (p *Path) UpdateBearer(teid id.TEID, t datapath.Tunnel) (datapath.Usage, error) {
	b, err := p.bearer(teid)
	if err != nil {
		return datapath.Usage{}, err
	}
	b.ul.Lock()
	b.dl.Lock()
	defer b.dl.Unlock()
	gone, u := b.dlGone, p.tab.Usage(b.slot)
	b.ul.Unlock()
	if gone {
		return datapath.Usage{}, fmt.Errorf("%w: %v", datapath.ErrUnknown, teid)
	}
	if b.peer.tunnel() == t {
		if !t.Active() {
			b.notified = 0
		}
		return u, nil
	}
	if b.peer.Active() && t.Active() {
		p.send(gtpu.AppendEndMarker(nil, b.peer.TEID), b.peer.at)
	}
	p.setTunnel(b, t)
	if t.Active() {
		p.flush(b)
		p.advertiseAgain(b)
	}
	return u, nil
}

// RemoveBearer implements datapath.Path.
func (p *Path) RemoveBearer(teid id.TEID) (datapath.Usage, error) {
	p.mu.Lock()
	e := p.lookup(teid)
	if e == nil || e.b == nil || e.upstream {
		p.mu.Unlock()
		return datapath.Usage{}, fmt.Errorf("%w: %v", datapath.ErrUnknown, teid)
	}
	b := e.b
	p.ends[b.slot].Store(nil)
	if b.up != nil {
		p.ends[datapath.Slot(b.up.teid)].Store(nil)
		p.index(b, b.uppeer.tunnel(), datapath.Tunnel{})
	}
	b.sess.replan(slices.DeleteFunc(slices.Clone(b.sess.plan.Load().all), func(o *bearer) bool { return o == b }))
	p.bearers--
	p.mu.Unlock()
	b.ul.Lock()
	defer b.ul.Unlock()
	b.dl.Lock()
	defer b.dl.Unlock()
	b.ulGone, b.dlGone = true, true
	p.setTunnel(b, datapath.Tunnel{})
	p.drops[datapath.DLBuffer].Add(uint64(len(b.buffer)))
	p.empty(b)
	return p.tab.Usage(b.slot), nil
}

// Usage implements datapath.Path.
func (p *Path) Usage(teid id.TEID) (datapath.Usage, error) {
	b, err := p.bearer(teid)
	if err != nil {
		return datapath.Usage{}, err
	}
	b.ul.Lock()
	defer b.ul.Unlock()
	b.dl.Lock()
	defer b.dl.Unlock()
	return p.tab.Usage(b.slot), nil
}

// Capture implements datapath.Path.
func (p *Path) Capture(teid id.TEID, to func(datapath.Direction, []byte)) error {
	b, err := p.bearer(teid)
	switch {
	case err != nil:
	case to == nil:
		b.capture.Store(nil)
	default:
		b.capture.Store(&to)
	}
	return err
}

func (b *bearer) show(d datapath.Direction, pkt []byte) {
	if to := b.capture.Load(); to != nil {
		(*to)(d, pkt)
	}
}

// PutForward implements datapath.Path.
func (p *Path) PutForward(teid id.TEID, to datapath.Tunnel) error {
	switch slot := datapath.Slot(teid); {
	case teid == 0 || int(slot) >= len(p.ends):
		return fmt.Errorf("%w: %v", datapath.ErrSlot, teid)
	case !to.Active():
		return fmt.Errorf("%w: forward %v to nobody", datapath.ErrInvalid, teid)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	place := &p.ends[datapath.Slot(teid)]
	if e := place.Load(); e != nil && (e.teid != teid || e.forward == nil) {
		return fmt.Errorf("%w: %v", datapath.ErrTaken, teid)
	}
	next := newPeer(to, 0)
	place.Store(&end{teid: teid, forward: &next})
	return nil
}

// RemoveForward implements datapath.Path.
func (p *Path) RemoveForward(teid id.TEID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.lookup(teid); e == nil || e.forward == nil {
		return fmt.Errorf("%w: forward %v", datapath.ErrUnknown, teid)
	}
	p.ends[datapath.Slot(teid)].Store(nil)
	return nil
}

// lookup finds the tunnel end with exactly that TEID, generation included.
func (p *Path) lookup(t id.TEID) *end {
	s := datapath.Slot(t)
	if int(s) >= len(p.ends) {
		return nil
	}
	if e := p.ends[s].Load(); e != nil && e.teid == t {
		return e
	}
	return nil
}

// bearer finds a bearer by the TEID it was put with.
func (p *Path) bearer(t id.TEID) (*bearer, error) {
	if e := p.lookup(t); e != nil && e.b != nil && !e.upstream {
		return e.b, nil
	}
	return nil, fmt.Errorf("%w: %v", datapath.ErrUnknown, t)
}

// shown takes in whence a tower behind a NAT sends: it says so with a G-PDU that
// carries nothing, which no eNB sends, and from then on every packet of the
// bearer does. Downlink goes to the address that was signalled, but to the port
// that the NAT has there.
func (w *lane) shown(b *bearer, from netip.AddrPort) {
	w.flush()
	b.dl.Lock()
	defer b.dl.Unlock()
	b.source.Store(&from)
	b.rec.SetSource(from)
	if b.peer.Active() && from.Addr() == b.peer.at.Addr() && b.peer.at != from {
		b.peer.at = from
		w.p.moved.Add(1)
	}
}
