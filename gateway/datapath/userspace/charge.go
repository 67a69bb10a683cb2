package userspace

import (
	"sync/atomic"

	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/table"
)

// verdict is what police and quota say of a packet.
type verdict uint8

const (
	pass     verdict = iota // charged
	free                    // passes uncharged
	policed                 // over a rate
	noCredit                // over quota
)

// load is a packet on its way to be charged.
type load struct {
	n     uint64 // octets
	class uint8  // of service
	free  bool   // the class is
	from  *table.Policer
}

// admitUp asks quota and rate for room. The quota comes first: what is over the
// rate has crossed the tower, which has counted it.
func (p *Path) admitUp(b *bearer, l *load, now uint64) verdict {
	v := p.credit(b, l)
	if v != noCredit && !l.from.Pass(now, l.n) {
		return policed
	}
	return v
}

// admitDown asks rate and quota for room; what is admitted and then not sent is
// given to refund.
func (p *Path) admitDown(b *bearer, l *load, now uint64) verdict {
	if l.from != nil && !l.from.Pass(now, l.n) {
		return policed
	}
	v := p.credit(b, l)
	if v == noCredit && l.from != nil {
		l.from.Return(l.n)
	}
	return v
}

// credit charges the quota.
func (p *Path) credit(b *bearer, l *load) verdict {
	if l.free {
		return free
	}
	ok, used := b.sess.rec.Charge(l.n)
	if !ok {
		p.once(&b.sess.out, datapath.QuotaExhausted, b)
		return noCredit
	}
	if t := b.sess.rec.Limit(); t != 0 && used >= t {
		p.once(&b.sess.warned, datapath.QuotaThreshold, b)
	}
	return pass
}

func (p *Path) refund(b *bearer, l *load, v verdict) {
	if l.from != nil {
		l.from.Return(l.n)
	}
	if v == pass {
		b.sess.rec.Refund(l.n)
	}
}

// count counts what was handed on, or lost; what is one of table's indices.
func (p *Path) count(b *bearer, l *load, what int) {
	b.rec.Counters.Add(what, int(l.n))
	if l.class != 0 {
		if c := p.tab.Class(b.slot, l.class); c != nil {
			c.Add(what, int(l.n))
		}
	}
	used, last := b.sess.rec.Charged(), b.sess.reported.Load()
	if used >= last+p.o.ReportOctets && b.sess.reported.CompareAndSwap(last, used) {
		p.emit(datapath.ReportDue, b)
	}
}

// classify finds the class of service of a packet.
func (p *Path) classify(pkt *datapath.Packet, d datapath.Direction, l *load) {
	remote, port := pkt.Src, pkt.SrcPort
	if d == datapath.Uplink {
		remote, port = pkt.Dst, pkt.DstPort
	}
	for i := range p.o.Services {
		s := &p.o.Services[i]
		if s.Protocol != 0 && s.Protocol != pkt.Protocol || s.Ports != (datapath.PortRange{}) && !(pkt.HasPorts() && s.Ports.Has(port)) {
			continue
		}
		for _, r := range s.Remotes {
			if r.Contains(remote) {
				l.class, l.free = s.Class, s.Free
				return
			}
		}
	}
}

// once tells of something once for a quota, or until it was told.
func (p *Path) once(told *atomic.Bool, k datapath.Kind, b *bearer) {
	if told.CompareAndSwap(false, true) && !p.emit(k, b) {
		told.Store(false)
	}
}
