package hss_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/hss"
	"campanile.network/hss-chain/ledger"
	"campanile.network/wire/home"
)

// A number is one subscriber's, also while the ledger has not heard of it yet
// and over restarts.
func TestNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer func() { w.close() }()
		number := func(s string) id.MSISDN {
			n, err := id.ParseMSISDN(s)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		whose := func(n string, want id.IMSI) {
			t.Helper()
			got, err := w.hss.ByNumber(t.Context(), number(n))
			if got != want || (err == nil) == want.IsZero() || err != nil && !errors.Is(err, home.ErrNobody) {
				t.Errorf("%s is %s's, %v", n, got.Digits(), err)
			}
		}
		nobody := id.IMSI{}
		second := w.add("999700000000002", func(s *hss.Subscription) { s.Profile.MSISDN = number("200") })
		whose("200", second)
		if n, err := w.hss.Number(t.Context(), second); err != nil || n != number("200") {
			t.Errorf("%v %v", n, err)
		}
		if _, err := w.hss.Number(t.Context(), id.IMSI{}); !errors.Is(err, home.ErrNobody) {
			t.Error(err)
		}
		amend := func(n string) error {
			p, _ := w.hss.Profile(w.imsi)
			p.MSISDN = number(n)
			hash, epoch, err := w.hss.Amend(w.imsi, p)
			if err == nil {
				w.record.BlobHash, w.record.Epoch = hash, epoch
			}
			return err
		}
		if err := amend("200"); !errors.Is(err, home.ErrNumberTaken) {
			t.Errorf("a number that is another's: %v", err)
		}
		if err := amend("100"); err != nil {
			t.Fatal(err)
		}
		whose("100", nobody)
		for range 2 { // it is his already, and stays so over a restart
			bad := hss.Subscription{IMSI: id.IMSI{}, K: w.k, OPc: w.opc, SQN: hss.Array32}
			bad.Profile, _ = w.hss.Profile(second)
			bad.IMSI, _ = id.ParseIMSI("999700000000003")
			bad.Profile.MSISDN = number("100")
			if _, err := w.hss.Provision([]hss.Subscription{bad}, ""); !errors.Is(err, home.ErrNumberTaken) {
				t.Errorf("a number that waits for the ledger: %v", err)
			}
			w.close()
			w.open()
		}
		w.block(ledger.Update{Subscribers: []ledger.Subscriber{w.record}})
		whose("100", w.imsi)
		if err := amend("101"); err != nil {
			t.Fatal(err)
		}
		if err := amend("102"); err != nil { // in its place
			t.Fatal(err)
		}
		w.block(ledger.Update{Subscribers: []ledger.Subscriber{w.record}})
		whose("102", w.imsi)
		whose("101", nobody)
		whose("100", nobody)
		if err := w.hss.Erase(w.record.ID); err != nil {
			t.Fatal(err)
		}
		whose("102", nobody)
		third := w.add("999700000000004", func(s *hss.Subscription) { s.Profile.MSISDN = number("100") })
		whose("100", third)
	})
}
