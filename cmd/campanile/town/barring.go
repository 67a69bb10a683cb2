package town

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/ledger"
	"campanile.network/internal/logs"
	"campanile.network/mme"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

const (
	voidTimeout = 5 * time.Second  // for a home's answer
	voidRetry   = 30 * time.Second // longest pause before a home that did not answer is asked again
	voidAgain   = 30 * time.Second // who was about to attach when somebody was barred has attached after it
	voidAnyway  = time.Hour        // a home is asked so often without a reason
)

// detachBarred detaches phones whose tickets their home has made void: it alone
// knows whom a subscriber of the ledger means. It is asked at the start, and
// whenever the ledger says that somebody is not to be served any more: until it
// has answered, and once again later.
func (t *Town) detachBarred(ctx context.Context) error {
	w := t.model.Watch()
	defer w.Close()
	for left, pause := 2, time.Second; ctx.Err() == nil; {
		wait := voidAgain
		if err := t.detachVoid(ctx); ctx.Err() != nil {
			return nil
		} else if err != nil {
			level := slog.LevelDebug
			if pause == time.Second {
				level = slog.LevelWarn
			}
			t.role("mme").Log(ctx, level, "the home does not say which tickets are void", logs.Error, err)
			wait, pause = pause, min(2*pause, voidRetry)
		} else if left, pause = left-1, time.Second; left <= 0 {
			wait = voidAnyway
		}
		if barredWithin(ctx, w, wait) {
			left = 2
		}
	}
	return nil
}

// barredWithin waits until the ledger says of somebody that he is not to be
// served, for at most so long.
func barredWithin(ctx context.Context, w *ledger.Watch, most time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		u, err := w.Next(ctx)
		if err != nil {
			return false
		}
		if slices.ContainsFunc(u.Subscribers, func(s ledger.Subscriber) bool { return s.State != ledger.Active }) {
			return true
		}
	}
}

// detachVoid asks the home about the tickets of all phones here, and detaches
// those whose tickets are void.
func (t *Town) detachVoid(ctx context.Context) error {
	v, ok := t.home.(home.Voider)
	if !ok {
		return errors.New("it cannot be asked")
	}
	_, height, _ := t.model.Head()
	phones := map[proof.TicketID]id.IMSI{}
	var tickets []proof.TicketID
	for _, u := range t.mme.UEs() {
		if u.Ticket != (proof.TicketID{}) && u.State != mme.Deregistered {
			phones[u.Ticket] = u.IMSI
			tickets = append(tickets, u.Ticket)
		}
	}
	for some := range slices.Chunk(tickets, home.MaxVoid) {
		ctx, cancel := context.WithTimeout(ctx, voidTimeout)
		void, err := v.Void(ctx, home.VoidRequest{Serving: t.operatorKey, Height: height, Tickets: some})
		cancel()
		if err != nil {
			return err
		}
		for _, v := range void {
			if err := t.mme.Detach(phones[v.Ticket], serviceOver(v.Code)); err != nil && !errors.Is(err, mme.ErrNotRegistered) {
				t.role("mme").Warn("detach", logs.Error, err)
			}
		}
	}
	return nil
}

// serviceOver is how a phone is detached whose ticket is void: not to come back
// (TS 23.401 §5.3.8.4, TS 24.301 §5.5.2.3), with the cause that an attach would be
// refused with. Who is barred may look for another network (#15), who is erased
// has no subscription (#8).
func serviceOver(why home.Code) mme.NetworkDetach {
	d := mme.NetworkDetach{Type: eps.NetworkDetachTypeNoReattach, Cause: eps.EMMCauseNoSuitableCellsInTrackingArea, Why: "the home says: " + why.String()}
	if why == home.UnknownSubscriber {
		d.Cause = eps.EMMCauseEPSServicesAndNonEPSServicesNotAllowed
	}
	return d
}
