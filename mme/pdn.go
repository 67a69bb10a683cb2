package mme

import (
	"iter"
	"slices"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// pdn is a PDN connection of a phone (TS 23.401 §4.7.1): a session at the
// gateway with its EPS bearers. The first is the default bearer, whose identity
// links the dedicated ones to it. A phone's PDN connections are in ue.pdns; like
// them, a pdn is changed by the phone's owner alone, or under registry.mu while
// nobody owns the phone.
type pdn struct {
	session *s11.Session
	told    *lease       // whose ticket the gateway has for the session
	ambr    gtpc.AMBR    // of the APN, as the gateway last said
	less    eps.ESMCause // why the phone has not both kinds of address that it asked for; 0
	asked   bool         // the phone has not accepted it yet, besides others that it has
	bearers []*bearer
}

// bearer is an EPS bearer context and its tunnel (TS 23.401 §4.7.2).
type bearer struct {
	ebi id.EBI
	qos gtpc.QoS
	sgw s11.FTEID
	tft *eps.TFT  // of a dedicated bearer
	enb s11.FTEID // zero: no radio bearer stands
}

// newPDN is a session with its default bearer.
func newPDN(s *s11.Session, told *lease) *pdn {
	return &pdn{session: s, told: told, ambr: s.AMBR, bearers: []*bearer{{ebi: s.EBI, qos: s.QoS, sgw: s.SGW}}}
}

// linked is the identity of the default bearer (TS 24.301 §9.9.4.6).
func (p *pdn) linked() id.EBI { return p.session.EBI }

// remove takes a dedicated bearer out.
func (p *pdn) remove(b *bearer) {
	p.bearers = slices.DeleteFunc(slices.Clone(p.bearers), func(x *bearer) bool { return x == b })
}

// change is for what the owner of a phone changes in its PDN connections.
func (r *registry) change(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// first is the default bearer.
func (p *pdn) first() *bearer { return p.bearers[0] }

// bearersOf gives every bearer of the phone with its PDN connection, default
// bearers before their dedicated ones.
func (u *ue) bearersOf() iter.Seq2[*pdn, *bearer] {
	return func(yield func(*pdn, *bearer) bool) {
		for _, p := range u.pdns {
			for _, b := range p.bearers {
				if !yield(p, b) {
					return
				}
			}
		}
	}
}

// bearer finds one by its identity; nil if there is none.
func (u *ue) bearer(ebi id.EBI) (*pdn, *bearer) {
	for p, b := range u.bearersOf() {
		if b.ebi == ebi {
			return p, b
		}
	}
	return nil, nil
}

// linkedTo finds the PDN connection of a default bearer; nil if there is none.
func (u *ue) linkedTo(ebi id.EBI) *pdn {
	for _, p := range u.pdns {
		if p.linked() == ebi {
			return p
		}
	}
	return nil
}

// status is the EPS bearer context status (TS 24.301 §9.9.2.1).
func (u *ue) status() eps.BearerStatus {
	var s eps.BearerStatus
	for _, b := range u.bearersOf() {
		s = s.With(b.ebi)
	}
	return s
}

// noTunnels forgets the eNB's ends: the phone is idle.
func (u *ue) noTunnels() {
	for _, b := range u.bearersOf() {
		b.enb = s11.FTEID{}
	}
}

// showBearers is what others see of the phone's bearers; the address and APN are
// those of the first PDN connection, and stay when there is none any more.
func (u *ue) showBearers(i *UEInfo) {
	i.Bearers = nil
	if len(u.pdns) > 0 {
		i.Address, i.APN = u.pdns[0].session.Address, u.pdns[0].session.APN
	}
	for p, b := range u.bearersOf() {
		i.Bearers = append(i.Bearers, BearerInfo{
			EBI: b.ebi, Linked: p.linked(), APN: p.session.APN, Address: p.session.Address, QCI: b.qos.QCI,
			Gateway: b.sgw.Addr, UL: b.sgw.TEID, ENB: b.enb.Addr, DL: b.enb.TEID,
		})
	}
}
