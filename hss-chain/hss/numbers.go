package hss

import (
	"context"
	"fmt"

	"campanile.network/3gpp/id"
	"campanile.network/wire/home"
)

// numbers says whose a telephone number is: of subscribers as they are served,
// and of those that wait for the ledger.
type numbers struct{ served, waiting map[id.MSISDN]id.SubscriberID }

// free says whether a subscriber may have a number.
func (n *numbers) free(m id.MSISDN, v id.SubscriberID) error {
	if m.IsZero() {
		return nil
	}
	for _, whose := range []map[id.MSISDN]id.SubscriberID{n.served, n.waiting} {
		if w, ok := whose[m]; ok && w != v {
			return fmt.Errorf("number %v: %w", m, home.ErrNumberTaken)
		}
	}
	return nil
}

// set gives a subscriber a number in one of the maps. In a store of before
// numbers were unique the first one keeps it.
func set(whose map[id.MSISDN]id.SubscriberID, m id.MSISDN, v id.SubscriberID) {
	if _, ok := whose[m]; !ok && !m.IsZero() {
		whose[m] = v
	}
}

// unset takes it back.
func unset(whose map[id.MSISDN]id.SubscriberID, m id.MSISDN, v id.SubscriberID) {
	if whose[m] == v {
		delete(whose, m)
	}
}

// ByNumber finds who is called by a number, as home.Directory has it.
func (h *HSS) ByNumber(_ context.Context, m id.MSISDN) (id.IMSI, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, whose := range []map[id.MSISDN]id.SubscriberID{h.numbers.served, h.numbers.waiting} {
		v, ok := whose[m]
		if s := h.byID[v]; ok && s != nil {
			if s = h.current(s); s.Profile.MSISDN == m {
				return s.IMSI, nil
			}
		}
	}
	return id.IMSI{}, home.ErrNobody
}

// Number gives a subscriber's number, as home.Directory has it.
func (h *HSS) Number(_ context.Context, imsi id.IMSI) (id.MSISDN, error) {
	p, ok := h.Profile(imsi)
	if !ok {
		return id.MSISDN{}, home.ErrNobody
	}
	return p.MSISDN, nil
}
