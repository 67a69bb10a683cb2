package hss_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"campanile.network/hss-chain/ledger"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

// A home says which of an operator's tickets are void and why, after a restart
// too, and says nothing of tickets that are another's.
func TestVoid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer func() { w.close() }()
		other := proof.NewSigningKey()
		w.block(ledger.Update{Operators: []ledger.Operator{{Account: "camp1other", Key: other.Public()}}})
		ticket := func() proof.TicketID {
			t.Helper()
			c := w.mustAsk()
			res, _, err := w.card().AuthenticateEPS(c.RAND, c.AUTN, w.plmn)
			if err != nil {
				t.Fatal(err)
			}
			l, err := w.prove(c, res.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			tk, err := proof.OpenTicket(chainID, l.Ticket)
			if err != nil {
				t.Fatal(err)
			}
			return tk.ID
		}
		a, b := ticket(), ticket()
		if a == b || [8]byte(a[:8]) == [8]byte(b[:8]) || [8]byte(a[:8]) == [8]byte(w.record.ID[:8]) {
			t.Errorf("tickets %v and %v of subscriber %v", a, b, w.record.ID)
		}
		void := func(by proof.SigningKey, want ...home.Voided) {
			t.Helper()
			got, err := w.hss.Void(context.Background(), home.VoidRequest{Serving: by.Public(), Height: w.height, Tickets: []proof.TicketID{a, {7}, b}})
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%v %v, want %v", got, err, want)
			}
		}
		state := func(s ledger.SubscriberState) {
			r := w.record
			r.State = s
			w.block(ledger.Update{Subscribers: []ledger.Subscriber{r}})
		}
		void(w.operator)
		state(ledger.Barred)
		void(w.operator, home.Voided{Ticket: a, Code: home.Barred}, home.Voided{Ticket: b, Code: home.Barred})
		void(other)
		w.close()
		w.open()
		void(w.operator, home.Voided{Ticket: a, Code: home.Barred}, home.Voided{Ticket: b, Code: home.Barred})
		state(ledger.Active)
		void(w.operator)
		state(ledger.Erased)
		gone := []home.Voided{{Ticket: a, Code: home.UnknownSubscriber}, {Ticket: b, Code: home.UnknownSubscriber}}
		void(w.operator, gone...)
		if err := w.hss.Erase(w.record.ID); err != nil {
			t.Fatal(err)
		}
		void(w.operator, gone...)

		ask := func(r home.VoidRequest) error { _, err := w.hss.Void(context.Background(), r); return err }
		wantCode(t, ask(home.VoidRequest{Serving: proof.OperatorKey{1}}), home.NotAuthorised)
		wantCode(t, ask(home.VoidRequest{Serving: w.operator.Public(), Height: w.height + 1}), home.Unavailable)
		wantCode(t, ask(home.VoidRequest{Serving: w.operator.Public(), Tickets: make([]proof.TicketID, home.MaxVoid+1)}), home.RateLimited)
	})
}
