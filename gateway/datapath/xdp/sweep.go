//go:build linux

package xdp

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync/atomic"

	"campanile.network/3gpp/id"
)

// sweep ends what an earlier process has left and nobody has put again.
func (p *Path) sweep() {
	if !p.k.adopted {
		return
	}
	ended := 0
	for slot := range p.k.policies {
		teid := id.TEID(atomic.LoadUint32(&p.k.policies[slot].TEID))
		if teid != 0 && p.bearers[slot].teid.Load() != uint32(teid) {
			p.retire(uint32(slot))
			ended++
		}
	}
	first, _ := p.o.pool()
	for i := range p.k.policies {
		phone := &p.k.policies[i].Phone
		if slot := atomic.LoadUint32(phone); slot != 0 && !p.has(slot-1, binary.BigEndian.AppendUint32(nil, first+uint32(i))) {
			atomic.StoreUint32(phone, 0)
		}
	}
	for _, name := range []string{gatewayMapUe4s, gatewayMapUe6s} {
		m := p.k.coll.Maps[name]
		var key []byte
		var stale [][]byte
		var slot uint32
		for it := m.Iterate(); it.Next(&key, &slot); {
			if !p.has(slot, key) {
				stale = append(stale, slices.Clone(key))
			}
		}
		for _, k := range stale {
			_ = m.Delete(k) // gone is gone
		}
	}
	if ended > 0 {
		p.log.Info("xdp: bearers of an earlier process were not resumed", "ended", ended)
	}
}

// has says that the bearer at a slot is of the phone with that address, or prefix:
// the slot may be another's by now, and the pool another.
func (p *Path) has(slot uint32, address []byte) bool {
	if int(slot) >= p.k.slots {
		return false
	}
	w := &p.k.policies[slot]
	return atomic.LoadUint32(&w.TEID) != 0 && (bytes.Equal(w.UE4[:], address) || bytes.Equal(w.UE6[:], address))
}
