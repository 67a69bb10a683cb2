package mme

import (
	"slices"

	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// bearerOrder is what the gateway asks of a phone's bearers. It is answered once.
type bearerOrder struct{ *s11.BearerRequest }

// Causes for which an order is not carried out (TS 29.274 §7.2.4).
const (
	noRoom       = gtpc.NoResources
	notReached   = gtpc.UnableToPageUE
	busyMoving   = gtpc.TemporarilyRejected
	noSuchBearer = gtpc.ContextNotFound
)

func (r bearerOrder) verb() string {
	switch r.Type {
	case gtpc.CreateBearerRequest:
		return "activation"
	case gtpc.UpdateBearerRequest:
		return "modification"
	}
	return "deactivation"
}

// refuse answers that nothing of the order was done.
func (r bearerOrder) refuse(cause gtpc.Cause) {
	a := s11.BearerAnswer{Cause: cause}
	for _, b := range r.Bearers {
		a.Bearers = append(a.Bearers, s11.BearerOutcome{EBI: b.EBI, Cause: cause})
	}
	r.Reply(a)
}

// answer answers what was done: all, some or nothing of it.
func (r bearerOrder) answer(done []s11.BearerOutcome) {
	a := s11.BearerAnswer{Cause: gtpc.Accepted, Bearers: done}
	good := 0
	for _, b := range done {
		if b.Cause.OK() {
			good++
		}
	}
	switch {
	case len(done) == 0 || good == len(done):
	case good > 0:
		a.Cause = gtpc.AcceptedPartially
	default:
		a.Cause = done[0].Cause
	}
	r.Reply(a)
}

// BearerRequest says what the gateway asks about a phone's bearers, as
// s11.Options.OnBearers does; it does not block. An idle phone is paged, but for
// bearers that end: those it finds gone when it next comes (TS 23.401 §5.4.4.1).
func (m *MME) BearerRequest(r *s11.BearerRequest) {
	order := bearerOrder{r}
	m.known.mu.Lock()
	u := m.known.bySession[r.Session]
	if u == nil {
		m.known.mu.Unlock()
		order.refuse(noSuchBearer)
		return
	}
	if owner := u.owner; owner != nil {
		m.known.mu.Unlock()
		switch owner.in.put(inbound{msg: order}, false) {
		case putFull:
			order.refuse(noRoom)
		case putClosed:
			if !m.spawn(func() { <-owner.done; m.BearerRequest(r) }) {
				order.refuse(notReached)
			}
		}
		return
	}
	if r.Type == gtpc.DeleteBearerRequest {
		last := m.known.endIdle(u, r)
		if !last {
			u.show(u.showBearers) // before somebody claims the phone
		}
		m.known.mu.Unlock()
		order.answer(allEnded(r))
		if last {
			m.lostIdle(u, []*s11.Session{r.Session})
		}
		return
	}
	full := len(u.orders) >= maxLater
	if !full {
		u.orders = append(u.orders, inbound{msg: order})
	}
	m.known.mu.Unlock()
	switch {
	case full:
		order.refuse(noRoom)
	case !m.reach(u, true):
		m.unreached(u)
	}
}

// unreached answers what waits for an idle phone that cannot be paged, or did not
// answer.
func (m *MME) unreached(u *ue) {
	m.known.mu.Lock()
	var orders []inbound
	if u.owner == nil {
		orders, u.orders = u.orders, nil
	}
	m.known.mu.Unlock()
	for _, in := range orders {
		in.msg.(bearerOrder).refuse(notReached)
	}
}

// allEnded is the outcome of bearers that end.
func allEnded(r *s11.BearerRequest) (out []s11.BearerOutcome) {
	for _, b := range r.Bearers {
		out = append(out, s11.BearerOutcome{EBI: b.EBI, Cause: gtpc.Accepted})
	}
	return out
}

// endIdle takes bearers from a phone that nobody owns; true if its last PDN
// connection is to end, which is left. Called under mu.
func (r *registry) endIdle(u *ue, order *s11.BearerRequest) (last bool) {
	if p := u.linkedTo(order.Linked); p != nil {
		if len(u.pdns) == 1 {
			return true
		}
		u.pdns = slices.DeleteFunc(slices.Clone(u.pdns), func(x *pdn) bool { return x == p })
		delete(r.bySession, p.session)
	}
	for _, o := range order.Bearers {
		if p, b := u.bearer(o.EBI); b != nil && b != p.first() {
			p.remove(b)
		}
	}
	return false
}
