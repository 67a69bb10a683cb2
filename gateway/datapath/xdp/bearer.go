//go:build linux

package xdp

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cilium/ebpf"

	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
)

// RemoveSession implements datapath.Path.
func (p *Path) RemoveSession(id datapath.SessionID) error {
	s, err := p.session(id)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	if err := p.Path.RemoveSession(id); err != nil {
		return err
	}
	s.id = 0
	return nil
}

// SetQuota implements datapath.Path.
func (p *Path) SetQuota(id datapath.SessionID, q datapath.Quota) error {
	s, err := p.session(id)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.outPass = q.Redirect
	p.reflag(s)
	err = p.Path.SetQuota(id, q)
	slot := p.place(s)
	atomic.StoreUint64(&p.k.alarms[slot], 0)
	if used, e := p.Path.Charged(id); e == nil && q.Threshold != 0 && used >= q.Threshold {
		p.Path.Crossed(slot) // the programs see only who crosses it
	}
	return err
}

// PutBearer implements datapath.Path.
func (p *Path) PutBearer(d datapath.Bearer) error {
	s, err := p.session(d.Session)
	if err != nil {
		return cmp.Or(d.Check(), err)
	}
	defer s.mu.Unlock()
	slot := datapath.Slot(d.TEID)
	resume := d.Resume && int(slot) < p.k.slots && atomic.LoadUint32(&p.tab.Bearer(slot).TEID) == uint32(d.TEID)
	if err := p.Path.PutBearer(d); err != nil {
		return err
	}
	b := &p.bearers[slot]
	b.isDefault, b.captured, b.hop = d.Default, false, 0
	b.fast = !d.Upstream.Active() && (s.has4 || s.has6)
	w := &p.k.policies[slot]
	if w.TEID != 0 && (!resume || !b.fast) { // of an earlier process
		p.retire(slot)
		err = p.k.grace.wait()
	}
	if !resume {
		p.k.zero(slot)
	}
	p.join(s, b, d.TEID)
	if b.fast && err == nil {
		err = p.publish(s, b, &d, resume)
	}
	if err != nil {
		_, gone := p.remove(s, b)
		return errors.Join(fmt.Errorf("xdp: bearer %v: %w", d.TEID, err), gone)
	}
	return nil
}

// retire has the programs leave a slot's packets to the slow path from the next
// packet on; what they have in hand is done with after a grace.
func (p *Path) retire(slot uint32) { atomic.StoreUint32(&p.k.policies[slot].TEID, 0) }

// publish makes a bearer known to the programs. resumed bearers may be in use by
// them: what has not changed is written as it is there.
func (p *Path) publish(s *session, b *bearer, d *datapath.Bearer, resumed bool) error {
	slot := datapath.Slot(d.TEID)
	w := &p.k.policies[slot]
	old := atomic.LoadUint32(&w.TEID)
	if resumed && old == uint32(d.TEID) {
		p.setFlags(slot, p.flags(s, b)|slowUp|slowDown)
		if err := p.k.grace.wait(); err != nil {
			return err
		}
	} else {
		atomic.StoreUint32(&w.Flags, slowUp|slowDown)
	}
	w.Session = p.place(s)
	w.Epoch = p.flow.epoch(w.Session)
	w.UE4, w.UE6 = s.v4, s.v6
	w.TOS = d.DSCP << 2
	p.point(b, w, d.Tunnel)
	atomic.StoreUint32(&w.TEID, uint32(d.TEID))
	p.setFlags(slot, p.flags(s, b))
	if b.isDefault {
		if err := p.address(s, slot, true); err != nil {
			return err
		}
	}
	return p.replan(s)
}

// point writes where downlink goes; the programs do not look meanwhile.
func (p *Path) point(b *bearer, w *policy, t datapath.Tunnel) {
	if b.hop != 0 {
		p.net.leave(b.peer())
	}
	b.hop, b.far, b.six, b.tunnel = 0, [16]byte{}, t.Peer.Is6(), t.TEID
	w.Peer, w.PeerTEID = [16]byte{}, [4]byte{}
	if t.Active() {
		b.far = t.Peer.As16()
		b.hop = p.net.reach(b.peer())
		copy(w.Peer[:], t.Peer.AsSlice())
	}
	binary.BigEndian.PutUint32(w.PeerTEID[:], uint32(t.TEID))
	w.Hop = b.hop
}

// flags are what the programs are to know of a bearer.
func (p *Path) flags(s *session, b *bearer) (f uint32) {
	if b.captured {
		f |= slowUp | slowDown
	}
	if b.hop == 0 { // idle, or one tower too many
		f |= slowDown
	}
	if b.six {
		f |= peer6
	}
	if p.policy(b).MBR != (datapath.Rates{}) {
		f |= metered
	}
	if !s.open {
		f |= closed
	}
	if s.outPass {
		f |= outPass
	}
	if b.isDefault {
		if all, ok := p.rules(s); !ok {
			f |= filtered | slowDown
		} else if len(all) > 0 {
			f |= filtered
		}
	}
	return f
}

// reflag tells the programs anew of all bearers of a session.
func (p *Path) reflag(s *session) {
	for b := range p.each(s) {
		if b.fast {
			p.setFlags(b.slot(), p.flags(s, b))
		}
	}
}

// address has the programs find the default bearer by the phone's addresses, or
// no more.
func (p *Path) address(s *session, bearer uint32, put bool) error {
	var errs []error
	set := func(name string, key any) {
		m := p.k.coll.Maps[name]
		if put {
			errs = append(errs, m.Put(key, bearer))
		} else if err := m.Delete(key); !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, err)
		}
	}
	first, n := p.o.pool()
	if i := binary.BigEndian.Uint32(s.v4[:]) - first; s.has4 && i < n {
		var slot uint32
		if put {
			slot = bearer + 1
		}
		atomic.StoreUint32(&p.k.policies[i].Phone, slot)
	} else if s.has4 {
		set(gatewayMapUe4s, s.v4)
	}
	if s.has6 {
		set(gatewayMapUe6s, s.v6)
	}
	return errors.Join(errs...)
}

// UpdateBearer implements datapath.Path. Where the programs send to the old
// tunnel it takes a grace, of some 20 ms: the old tunnel's last packet goes before
// its End Marker.
func (p *Path) UpdateBearer(teid id.TEID, t datapath.Tunnel) (datapath.Usage, error) {
	s, b, err := p.locked(teid)
	if err != nil {
		return datapath.Usage{}, err
	}
	defer s.mu.Unlock()
	w := &p.k.policies[b.slot()]
	word := &w.Flags
	changes := b.fast && (b.peer() != t.Peer || b.tunnel != t.TEID || atomic.LoadUint32(word)&lost != 0)
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
	p.add(&u, b.slot())
	if changes {
		p.point(b, w, t)
		p.setFlags(b.slot(), p.flags(s, b))
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
	s, b, err := p.locked(teid)
	if err != nil {
		return cmp.Or(d.Check(), err)
	}
	defer s.mu.Unlock()
	if err := p.Path.UpdatePolicy(teid, d); err != nil {
		return err
	}
	if !b.fast {
		return nil
	}
	p.k.policies[b.slot()].TOS = d.DSCP << 2
	p.setFlags(b.slot(), p.flags(s, b))
	return p.replan(s)
}

// RemoveBearer implements datapath.Path. It takes a grace: the last packet a
// program has in hand is in the count.
func (p *Path) RemoveBearer(teid id.TEID) (datapath.Usage, error) {
	s, b, err := p.locked(teid)
	if err != nil {
		return datapath.Usage{}, err
	}
	defer s.mu.Unlock()
	return p.remove(s, b)
}

func (p *Path) remove(s *session, b *bearer) (datapath.Usage, error) {
	var errs []error
	teid, slot := id.TEID(b.teid.Load()), b.slot()
	p.part(s, b)
	if b.fast {
		p.retire(slot)
		if b.isDefault {
			errs = append(errs, p.address(s, slot, false))
		}
		errs = append(errs, p.replan(s), p.k.grace.wait())
		if b.hop != 0 {
			p.net.leave(b.peer())
		}
	}
	u, err := p.Path.RemoveBearer(teid)
	p.add(&u, slot)
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
	s, b, err := p.locked(teid)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	if err := p.Path.Capture(teid, to); err != nil {
		return err
	}
	b.captured = to != nil
	if b.fast {
		p.setFlags(b.slot(), p.flags(s, b))
	}
	return nil
}
