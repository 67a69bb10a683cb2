package town

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/ledger"
	"campanile.network/internal/logs"
	"campanile.network/mme"
)

// detachBarred detaches phones whose subscribers the ledger says may not be
// served any more. It needs the home, which alone knows who a subscriber of the
// ledger is, and so works where the MME runs in the home's process.
func (t *Town) detachBarred(ctx context.Context) error {
	w := t.model.Watch()
	defer w.Close()
	for {
		for _, u := range t.mme.UEs() {
			if d, over := t.serviceOver(u.IMSI); over {
				if err := t.mme.Detach(u.IMSI, d); err != nil && !errors.Is(err, mme.ErrNotRegistered) {
					t.role("mme").Warn("detach", logs.Error, err)
				}
			}
		}
		for {
			u, err := w.Next(ctx)
			if err != nil {
				return nil
			}
			if slices.ContainsFunc(u.Subscribers, func(s ledger.Subscriber) bool { return s.State != ledger.Active }) {
				break
			}
		}
	}
}

// serviceOver says whether a phone of this home is to be detached, and how: not
// to come back (TS 23.401 §5.3.8.4, TS 24.301 §5.5.2.3), with the cause that an
// attach would be refused with. Who is barred may look for another network (#15),
// who is erased has no subscription (#8).
func (t *Town) serviceOver(imsi id.IMSI) (mme.NetworkDetach, bool) {
	d := mme.NetworkDetach{Type: eps.NetworkDetachTypeNoReattach}
	if op, ok := t.model.Home(imsi); !ok || op.Key != t.operatorKey {
		return d, false
	}
	rec := ledger.Subscriber{State: ledger.Erased} // the home forgets whom it erases
	if v, ok := t.hss.Find(imsi); ok {
		if rec, ok = t.model.Subscriber(v); !ok {
			return d, false
		}
	}
	switch rec.State {
	case ledger.Active:
		return d, false
	case ledger.Erased:
		d.Cause = eps.EMMCauseEPSServicesAndNonEPSServicesNotAllowed
	default:
		d.Cause = eps.EMMCauseNoSuitableCellsInTrackingArea
	}
	d.Why = fmt.Sprintf("the subscriber is %v", rec.State)
	return d, true
}
