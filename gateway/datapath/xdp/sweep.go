//go:build linux

package xdp

import (
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
	for i := range p.k.pool {
		if slot := atomic.LoadUint32(&p.k.pool[i]); slot != 0 && (int(slot) > p.k.slots || atomic.LoadUint32(&p.k.policies[slot-1].TEID) == 0) {
			atomic.StoreUint32(&p.k.pool[i], 0)
		}
	}
	for _, name := range []string{gatewayMapUe4s, gatewayMapUe6s} {
		m := p.k.coll.Maps[name]
		var key []byte
		var stale [][]byte
		var slot uint32
		for it := m.Iterate(); it.Next(&key, &slot); {
			if int(slot) >= p.k.slots || atomic.LoadUint32(&p.k.policies[slot].TEID) == 0 {
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
