package hss

import (
	"context"
	"time"

	"campanile.network/3gpp/secret"
	"campanile.network/hss-chain/ledger"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

// Prove implements home.Home.
func (h *HSS) Prove(_ context.Context, r home.ProveRequest) (home.Lease, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l, err := h.prove(r, time.Now())
	if err != nil {
		h.stats.Refused++
		if home.CodeOf(err) == home.WrongRES {
			h.stats.WrongRES++
		}
		return home.Lease{}, err
	}
	h.stats.Proofs++
	return *l, nil
}

func (h *HSS) prove(r home.ProveRequest, now time.Time) (*home.Lease, error) {
	h.forget(now)
	c := h.challenges[r.ID]
	if c == nil {
		return h.proveApp(r, now)
	}
	if c.serving != r.Serving || c.resync {
		return nil, refusal(home.Expired, "")
	}
	if !c.right(r) {
		if c.wrong++; c.wrong >= maxWrong {
			delete(h.challenges, c.id)
		}
		return nil, refusal(home.WrongRES, "")
	}
	if c.lease != nil {
		return c.lease, nil
	}
	s, err := h.servable(c.sub.IMSI)
	if err != nil {
		return nil, err
	}
	l, err := h.lend(s, r, c.method, now)
	if err != nil {
		return nil, err
	}
	c.keys(l)
	s.at, c.lease = c.serving, l
	c.vector.CK, c.vector.IK, c.triplet.Kc = secret.Key128{}, secret.Key128{}, secret.Key64{} // no longer needed
	return l, nil
}

// lent is a ticket that may be given once more.
type lent struct {
	serving  proof.OperatorKey
	prices   [32]byte
	notAfter time.Time
	ticket   []byte
}

// lend gives a subscriber's lease, without keys. Phones of GSM and applications
// register every few minutes for years, and a ticket is not spent by that: the
// one from before is given again while more than half of its time is left, so
// that a REGISTER costs no signature and the serving network no new account. It
// is a grant of the same cap to the same operator for less time, which a new one
// would only add to. LTE's are drawn anew: there a challenge is rare, and
// bytes are counted against the ticket's cap.
//
// Who has used it up asks for a fresh one.
func (h *HSS) lend(s *subscriber, r home.ProveRequest, m home.Method, now time.Time) (*home.Lease, error) {
	op, ok := h.o.Registry.OperatorByKey(h.o.Operator)
	if !ok {
		return nil, refusal(home.Unavailable, "this home is not registered")
	}
	l := &home.Lease{Method: m, Profile: s.Profile}
	old := &s.lent[m]
	if m != home.EPS && !r.Fresh && old.serving == r.Serving && old.prices == op.PricesHash() && old.notAfter.Sub(now) > h.o.Terms.Validity/2 {
		l.Ticket = old.ticket
		h.stats.Lent++
		return l, nil
	}
	t, err := h.ticket(s, r.Serving, m, op, now)
	if err != nil {
		return nil, refusal(home.Unavailable, "ticket: %v", err)
	}
	l.Ticket = t
	if m != home.EPS {
		*old = lent{r.Serving, op.PricesHash(), now.Add(h.o.Terms.Validity), t}
	}
	return l, nil
}

// class is what a method's tickets are worth: see home.Method.
func class(m home.Method) proof.Class {
	if m == home.EPS || m == home.UMTS {
		return proof.Proven
	}
	return proof.Asserted
}

func (h *HSS) ticket(s *subscriber, serving proof.OperatorKey, m home.Method, op ledger.Operator, now time.Time) ([]byte, error) {
	t := proof.Ticket{
		ChainID: h.o.ChainID, Home: h.o.Operator, Node: h.o.Node.Public(), Serving: serving, Class: class(m),
		ID:        h.ids.draw(s.id, serving),
		NotBefore: now.Truncate(time.Second).UTC(), NotAfter: now.Add(h.o.Terms.Validity).Truncate(time.Second).UTC(),
		Cap: h.o.Terms.Cap, Prices: op.PricesHash(),
	}
	return t.Sign(h.o.Node)
}
