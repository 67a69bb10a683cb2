package mme

import (
	"context"
	"time"
)

// sweepEvery is how late an implicit detach may be.
const sweepEvery = 15 * time.Second

// sweepWidth is how many phones are detached at a time: a gateway that is silent
// holds up each for GatewayTimeout.
const sweepWidth = 256

// sweep detaches phones implicitly that have been idle too long (TS 24.301
// §5.3.5): switched off without a word, or gone. A phone that comes back is told
// #10 and attaches with the keys it has.
func (m *MME) sweep() {
	t := time.NewTicker(sweepEvery)
	defer t.Stop()
	for {
		select {
		case <-m.leaving.Done():
			return
		case <-t.C:
		}
		at := make(chan struct{}, sweepWidth)
		for _, u := range m.known.which(m.forgotten) {
			at <- struct{}{}
			if !m.spawn(func() { defer func() { <-at }(); m.detachImplicitly(u) }) {
				return
			}
		}
	}
}

func (m *MME) detachImplicitly(u *ue) {
	if m.forgetIdle(u, "implicitly detached", false) {
		m.count.procedure("implicit detach", "")
	}
}

// which gives the registered phones that are idle and for which f holds.
func (r *registry) which(f func(*ue) bool) []*ue {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*ue
	for _, u := range r.byIMSI {
		if u.owner == nil && u.registered && f(u) {
			out = append(out, u)
		}
	}
	return out
}

// forgetIdle ends the sessions of an idle phone and leaves it deregistered; with
// anew, its home is asked before it may attach.
func (m *MME) forgetIdle(u *ue, why string, anew bool) bool {
	had := m.known.deregister(u, anew)
	if had == nil {
		return false
	}
	m.deregistered(u, why)
	l := ending(had)
	if b := m.keepIdle(u, l...); b != nil {
		_ = m.keeper.wait(b) // the session is to end whatever becomes of the record
	}
	ctx, cancel := context.WithTimeout(m.ctx, m.o.GatewayTimeout)
	defer cancel()
	m.deleteAt(ctx, l)
	m.keepIdle(u)
	return true
}

// deregistered announces that an idle phone is detached.
func (m *MME) deregistered(u *ue, why string) {
	i := u.show(func(i *UEInfo) { i.State, i.Bearers, i.Reason = Deregistered, nil, why })
	m.log.Info("phone deregistered", "imsi", i.IMSI, "reason", why)
	m.o.Events(UEChanged{i})
}

// deregister takes the PDN connections from a phone that nobody owns; nil if
// somebody does, if there are none, or if another has the phone's place by now. anew ends
// the lease, too.
func (r *registry) deregister(u *ue, anew bool) []*pdn {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byIMSI[u.imsi] != u || u.owner != nil || !u.registered || len(u.pdns) == 0 {
		return nil
	}
	had := r.take(u)
	u.registered = false
	if anew {
		u.lease = nil
	}
	r.deregistered++
	u.stopPaging()
	return had
}
