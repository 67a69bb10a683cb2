//go:build linux

package xdp

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/cilium/ebpf"

	"campanile.network/gateway/datapath"
)

// rules are the downlink filters of a session, first evaluated first; not ok: only
// the slow path can do them.
func (p *Path) rules(s *session) (all []filter, ok bool) {
	type rule struct {
		f datapath.Filter
		b *bearer
	}
	var rs []rule
	for b := range p.each(s) {
		for _, f := range p.policy(b).Filters {
			if f.Down {
				rs = append(rs, rule{f, b})
			}
		}
	}
	slices.SortStableFunc(rs, func(a, b rule) int { return cmp.Compare(a.f.Precedence, b.f.Precedence) })
	for _, r := range rs {
		if r.f.Local.IsValid() || !r.b.fast {
			return nil, false
		}
		all = append(all, encode(&r.f, r.b.slot()))
	}
	return all, len(all) <= maxFilters
}

func encode(f *datapath.Filter, slot uint32) filter {
	e := filter{Slot: slot, Protocol: f.Protocol, TOS: f.TOS, TOSMask: f.Mask, SPI: f.SPI, Label: f.Label}
	for bit, has := range map[uint32]bool{hasProtocol: f.HasProtocol, hasSPI: f.HasSPI, hasLabel: f.HasLabel,
		hasPorts: f.RemotePorts != datapath.PortRange{} || f.LocalPorts != datapath.PortRange{}} {
		if has {
			e.Has |= bit
		}
	}
	e.RemoteLow, e.RemoteHigh = span(f.RemotePorts)
	e.LocalLow, e.LocalHigh = span(f.LocalPorts)
	if f.HasLabel {
		e.Family = 6
	}
	if f.Remote.IsValid() {
		e.Family = 6
		bits := f.Remote.Bits()
		if f.Remote.Addr().Is4() {
			e.Family = 4
			bits += 96
		}
		e.Mask = mask(bits)
		e.Remote = f.Remote.Masked().Addr().As16()
	}
	return e
}

func span(r datapath.PortRange) (lo, hi uint16) {
	if r == (datapath.PortRange{}) {
		return 0, 0xffff
	}
	return r.Lo, r.Hi
}

func mask(bits int) (m [16]byte) {
	for i := range bits {
		m[i/8] |= 0x80 >> (i % 8)
	}
	return m
}

// replan tells the programs the filters of a session; they are kept by its
// default bearer.
func (p *Path) replan(s *session) error {
	var def *bearer
	for b := range p.each(s) {
		if b.isDefault && b.fast {
			def = b
		}
	}
	if def == nil {
		return nil
	}
	slot := def.slot()
	all, ok := p.rules(s)
	m := p.k.coll.Maps[gatewayMapFilters]
	if len(all) == 0 || !ok {
		p.setFlags(slot, p.flags(s, def))
		if !s.filtered {
			return nil
		}
		s.filtered = false
		if err := m.Delete(slot); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			return fmt.Errorf("xdp: filters: %w", err)
		}
		return nil
	}
	s.filtered = true
	v := filters{N: uint32(len(all)), Otherwise: slot}
	copy(v.Filter[:], all)
	if err := m.Put(slot, v); err != nil {
		return fmt.Errorf("xdp: filters: %w", err)
	}
	p.setFlags(slot, p.flags(s, def))
	return nil
}

// putServices gives the programs the services: for each remote, those of it and
// of all shorter prefixes it lies in, in their order.
func (k *kernel) putServices(all []datapath.Service) error {
	want := make(map[netip.Prefix]serviceSet)
	for _, s := range all {
		for _, r := range s.Remotes {
			r = r.Masked()
			set, n := serviceSet{}, 0
			for _, o := range all {
				if !slices.ContainsFunc(o.Remotes, func(x netip.Prefix) bool {
					return x.Bits() <= r.Bits() && x.Contains(r.Addr())
				}) {
					continue
				}
				if n == services4 {
					return fmt.Errorf("xdp: more than %d services have %v: name fewer", services4, r)
				}
				set[n] = service{Protocol: o.Protocol, Class: o.Class, Low: o.Ports.Lo, High: o.Ports.Hi}
				if o.Free {
					set[n].Free = 1
				}
				n++
			}
			want[r] = set
		}
	}
	m := k.coll.Maps[gatewayMapServices]
	for r, set := range want {
		key := remote{Bits: uint32(r.Bits()), Address: r.Addr().As16()}
		if r.Addr().Is4() {
			key.Bits += 96
		}
		if err := m.Put(key, set); err != nil {
			return fmt.Errorf("xdp: services: %w", err)
		}
	}
	return nil
}
