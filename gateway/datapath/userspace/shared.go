package userspace

import (
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
)

// A back end that charges the same table without this one's help tells of what
// it has met there.

// Crossed says that the session of a record has used a report's worth more, or
// its quota's threshold.
func (p *Path) Crossed(slot uint32) {
	b := p.someBearer(slot)
	if b == nil {
		return
	}
	used, every := b.sess.rec.Charged(), p.o.ReportOctets
	if t := b.sess.rec.Limit(); t != 0 && used >= t {
		p.once(&b.sess.warned, datapath.QuotaThreshold, b)
	}
	last := b.sess.reported.Load()
	if used >= last+every && b.sess.reported.CompareAndSwap(last, used-used%every) {
		p.emit(datapath.ReportDue, b)
	}
}

// Policy is what happens to a bearer's packets: not to be changed, and nil if there
// is no such bearer.
func (p *Path) Policy(teid id.TEID) *datapath.Policy {
	b, err := p.bearer(teid)
	if err != nil {
		return nil
	}
	return b.policy.Load()
}

// Refused says that the quota of a record's session has refused a packet.
func (p *Path) Refused(slot uint32) {
	if b := p.someBearer(slot); b != nil {
		p.once(&b.sess.out, datapath.QuotaExhausted, b)
	}
}

// someBearer finds a bearer of a record's session, its default one if it can.
func (p *Path) someBearer(slot uint32) *bearer {
	if int(slot) >= p.tab.Sessions() {
		return nil
	}
	s, err := p.session(datapath.SessionID(p.tab.Session(slot).Owner()))
	if err != nil || s.slot != slot {
		return nil
	}
	plan := s.plan.Load()
	if plan.def == nil && len(plan.all) > 0 {
		return plan.all[0]
	}
	return plan.def
}
