//go:build linux

package xdp

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
)

// session is what the bearers of one have together. mu orders all that is done
// to it and them; it may be held for a grace.
type session struct {
	mu       sync.Mutex
	d        datapath.Session
	slot     uint32
	outPass  bool
	filtered bool // the programs have filters of it
	bearers  []*bearer
}

type bearer struct {
	s        *session
	d        datapath.Bearer
	slot     uint32
	fast     bool // the programs know it
	captured bool
	hop      uint32 // 0: none
	peer     netip.Addr
	gone     bool
}

func (p *Path) session(id datapath.SessionID) (*session, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if s := p.sessions[id]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("%w: session %d", datapath.ErrUnknown, id)
}

// locked finds a bearer and locks its session.
func (p *Path) locked(teid id.TEID) (*bearer, error) {
	p.mu.RLock()
	b := p.bearers[teid]
	p.mu.RUnlock()
	if b != nil {
		b.s.mu.Lock()
		if !b.gone {
			return b, nil
		}
		b.s.mu.Unlock()
	}
	return nil, fmt.Errorf("%w: %v", datapath.ErrUnknown, teid)
}

// PutSession implements datapath.Path.
func (p *Path) PutSession(d datapath.Session) error {
	if err := p.Path.PutSession(d); err != nil {
		return err
	}
	slot, _ := p.Path.SessionSlot(d.ID)
	atomic.StoreUint64(&p.k.alarms[slot], 0)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sessions[d.ID] = &session{d: d, slot: slot}
	return nil
}

// UpdateSession implements datapath.Path.
func (p *Path) UpdateSession(d datapath.Session) error {
	s, err := p.session(d.ID)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := p.Path.UpdateSession(d); err != nil {
		return err
	}
	s.d.Open, s.d.AMBR = d.Open, d.AMBR
	p.reflag(s)
	return nil
}

// RemoveSession implements datapath.Path.
func (p *Path) RemoveSession(id datapath.SessionID) error {
	if err := p.Path.RemoveSession(id); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.sessions, id)
	return nil
}

// SetQuota implements datapath.Path.
func (p *Path) SetQuota(id datapath.SessionID, q datapath.Quota) error {
	s, err := p.session(id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outPass = q.Redirect
	p.reflag(s)
	err = p.Path.SetQuota(id, q)
	atomic.StoreUint64(&p.k.alarms[s.slot], 0)
	if used, e := p.Path.Charged(id); e == nil && q.Threshold != 0 && used >= q.Threshold {
		p.Path.Crossed(s.slot) // the programs see only who crosses it
	}
	return err
}

// PutBearer implements datapath.Path.
func (p *Path) PutBearer(d datapath.Bearer) error {
	s, err := p.session(d.Session)
	if err != nil {
		return cmp.Or(d.Check(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	slot := datapath.Slot(d.TEID)
	resume := d.Resume && int(slot) < p.k.slots && atomic.LoadUint32(&p.tab.Bearer(slot).TEID) == uint32(d.TEID)
	if err := p.Path.PutBearer(d); err != nil {
		return err
	}
	b := &bearer{s: s, d: d, slot: slot}
	b.fast = !d.Upstream.Active() && (s.d.IPv4.IsValid() || s.d.IPv6.IsValid())
	w := &p.k.policies[slot]
	if w.TEID != 0 && (!resume || !b.fast) { // of an earlier process
		p.retire(slot)
		err = p.k.grace.wait()
	}
	if !resume {
		p.k.zero(slot)
	}
	s.bearers = append(s.bearers, b)
	p.mu.Lock()
	p.bearers[d.TEID] = b
	p.mu.Unlock()
	if b.fast && err == nil {
		err = p.publish(b, resume)
	}
	if err != nil {
		_, gone := p.remove(b)
		return errors.Join(fmt.Errorf("xdp: bearer %v: %w", d.TEID, err), gone)
	}
	return nil
}

// retire has the programs leave a slot's packets to the slow path from the next
// packet on; what they have in hand is done with after a grace.
func (p *Path) retire(slot uint32) { atomic.StoreUint32(&p.k.policies[slot].TEID, 0) }

// publish makes a bearer known to the programs. resumed bearers may be in use by
// them: what has not changed is written as it is there.
func (p *Path) publish(b *bearer, resumed bool) error {
	w := &p.k.policies[b.slot]
	old := atomic.LoadUint32(&w.TEID)
	if resumed && old == uint32(b.d.TEID) {
		p.setFlags(b.slot, p.flags(b)|slowUp|slowDown)
		if err := p.k.grace.wait(); err != nil {
			return err
		}
	} else {
		*w = policy{Flags: slowUp | slowDown}
	}
	w.Session, w.Epoch = b.s.slot, p.flow.epoch(b.s.slot)
	w.UE4, w.UE6 = [4]byte{}, [8]byte{}
	if a := b.s.d.IPv4; a.IsValid() {
		w.UE4 = a.As4()
	}
	if n := b.s.d.IPv6; n.IsValid() {
		w.UE6 = first8(n.Addr())
	}
	p.point(b)
	atomic.StoreUint32(&w.TEID, uint32(b.d.TEID))
	p.setFlags(b.slot, p.flags(b))
	if b.d.Default {
		if err := p.address(b, true); err != nil {
			return err
		}
	}
	return p.replan(b.s)
}

// point writes where downlink goes; the programs do not look meanwhile.
func (p *Path) point(b *bearer) {
	w := &p.k.policies[b.slot]
	w.TOS = b.d.DSCP << 2
	w.Peer, w.PeerTEID = [16]byte{}, [4]byte{}
	if b.peer.IsValid() {
		p.net.leave(b.peer)
	}
	if b.peer, b.hop = b.d.Tunnel.Peer, 0; b.peer.IsValid() {
		b.hop = p.net.reach(b.peer)
		copy(w.Peer[:], b.peer.AsSlice())
	}
	binary.BigEndian.PutUint32(w.PeerTEID[:], uint32(b.d.Tunnel.TEID))
	w.Hop = b.hop
}

// flags are what the programs are to know of a bearer.
func (p *Path) flags(b *bearer) (f uint32) {
	if b.captured {
		f |= slowUp | slowDown
	}
	if b.hop == 0 { // idle, or one tower too many
		f |= slowDown
	}
	if b.d.Tunnel.Peer.Is6() {
		f |= peer6
	}
	if b.d.MBR != (datapath.Rates{}) {
		f |= metered
	}
	if !b.s.d.Open {
		f |= closed
	}
	if b.s.outPass {
		f |= outPass
	}
	if b.d.Default && slices.ContainsFunc(b.s.bearers, func(o *bearer) bool { return len(o.d.Filters) > 0 }) {
		f |= filtered
		if !fits(b.s) {
			f |= slowDown
		}
	}
	return f
}

// reflag tells the programs anew of all bearers of a session.
func (p *Path) reflag(s *session) {
	for _, b := range s.bearers {
		if b.fast {
			p.setFlags(b.slot, p.flags(b))
		}
	}
}

// address has the programs find the default bearer by the phone's addresses, or
// no more.
func (p *Path) address(b *bearer, put bool) error {
	var errs []error
	set := func(name string, key any) {
		m := p.k.coll.Maps[name]
		if put {
			errs = append(errs, m.Put(key, b.slot))
		} else if err := m.Delete(key); !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, err)
		}
	}
	if a := b.s.d.IPv4; p.o.Pool.Contains(a) {
		first, _ := p.o.pool()
		var slot uint32
		if put {
			slot = b.slot + 1
		}
		atomic.StoreUint32(&p.k.pool[binary.BigEndian.Uint32(a.AsSlice())-first], slot)
	} else if a.IsValid() {
		set(gatewayMapUe4s, a.As4())
	}
	if n := b.s.d.IPv6; n.IsValid() {
		set(gatewayMapUe6s, first8(n.Addr()))
	}
	return errors.Join(errs...)
}

// UpdateBearer implements datapath.Path. Where the programs send to the old
// tunnel it takes a grace, of some 20 ms: the old tunnel's last packet goes before
// its End Marker.
func (p *Path) UpdateBearer(teid id.TEID, t datapath.Tunnel) (datapath.Usage, error) {
	b, err := p.locked(teid)
	if err != nil {
		return datapath.Usage{}, err
	}
	defer b.s.mu.Unlock()
	word := &p.k.policies[b.slot].Flags
	changes := b.fast && (b.d.Tunnel != t || atomic.LoadUint32(word)&lost != 0)
	if changes {
		if was := atomic.OrUint32(word, slowDown); was&slowDown == 0 {
			if err := p.k.grace.wait(); err != nil {
				return datapath.Usage{}, fmt.Errorf("xdp: bearer %v: %w", teid, err)
			}
		}
	}
	if changes {
		atomic.AndUint32(word, ^uint32(lost))
	}
	u, err := p.Path.UpdateBearer(teid, t)
	if err != nil {
		return u, err
	}
	p.add(&u, b.slot)
	if changes {
		b.d.Tunnel = t
		p.point(b)
		p.setFlags(b.slot, p.flags(b))
	}
	return u, nil
}

// add adds what the programs have counted.
func (p *Path) add(u *datapath.Usage, slot uint32) {
	sum := p.k.count(slot)
	c := datapath.Count{ULOctets: sum.ULOctets, ULPackets: sum.ULPackets, DLOctets: sum.DLOctets, DLPackets: sum.DLPackets}
	u.Count = u.Count.Add(c)
	if p.k.classes != nil {
		u.Class[0] = u.Class[0].Add(c)
	}
}

// UpdatePolicy implements datapath.Path.
func (p *Path) UpdatePolicy(teid id.TEID, d datapath.Policy) error {
	b, err := p.locked(teid)
	if err != nil {
		return cmp.Or(d.Check(), err)
	}
	defer b.s.mu.Unlock()
	if err := p.Path.UpdatePolicy(teid, d); err != nil {
		return err
	}
	b.d.Policy = d
	if !b.fast {
		return nil
	}
	p.k.policies[b.slot].TOS = d.DSCP << 2
	p.setFlags(b.slot, p.flags(b))
	return p.replan(b.s)
}

// RemoveBearer implements datapath.Path. It takes a grace: the last packet a
// program has in hand is in the count.
func (p *Path) RemoveBearer(teid id.TEID) (datapath.Usage, error) {
	b, err := p.locked(teid)
	if err != nil {
		return datapath.Usage{}, err
	}
	defer b.s.mu.Unlock()
	return p.remove(b)
}

func (p *Path) remove(b *bearer) (datapath.Usage, error) {
	var errs []error
	b.gone = true
	b.s.bearers = slices.DeleteFunc(b.s.bearers, func(o *bearer) bool { return o == b })
	if b.fast {
		p.retire(b.slot)
		if b.d.Default {
			errs = append(errs, p.address(b, false))
		}
		errs = append(errs, p.replan(b.s), p.k.grace.wait())
		if b.peer.IsValid() {
			p.net.leave(b.peer)
		}
	}
	u, err := p.Path.RemoveBearer(b.d.TEID)
	p.add(&u, b.slot)
	p.mu.Lock()
	delete(p.bearers, b.d.TEID)
	p.mu.Unlock()
	return u, errors.Join(append(errs, err)...)
}

// Usage implements datapath.Path.
func (p *Path) Usage(teid id.TEID) (datapath.Usage, error) {
	u, err := p.Path.Usage(teid)
	if err == nil {
		p.add(&u, datapath.Slot(teid))
	}
	return u, err
}

// Capture implements datapath.Path: the bearer goes the slow way meanwhile.
func (p *Path) Capture(teid id.TEID, to func(datapath.Direction, []byte)) error {
	b, err := p.locked(teid)
	if err != nil {
		return err
	}
	defer b.s.mu.Unlock()
	if err := p.Path.Capture(teid, to); err != nil {
		return err
	}
	b.captured = to != nil
	if b.fast {
		p.setFlags(b.slot, p.flags(b))
	}
	return nil
}
