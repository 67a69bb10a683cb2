package hss_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/ledger"
	"campanile.network/wire/home"
)

// An amended subscription is served from the block on that names it, not before;
// whether the node was restarted in between, or the ledger refused it, the phone is
// always served.
func TestAmend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer func() { w.close() }()
		has := func(want int) {
			t.Helper()
			c := w.mustAsk()
			res, _, _ := w.card().AuthenticateEPS(c.RAND, c.AUTN, w.plmn)
			l, err := w.prove(c, res.Bytes())
			if p, ok := w.hss.Profile(w.imsi); err != nil || len(l.Profile.APNs) != want || !ok || len(p.APNs) != want {
				t.Errorf("%d and %d further APNs, want %d: %v", len(l.Profile.APNs), len(p.APNs), want, err)
			}
		}
		amend := func(names ...string) {
			t.Helper()
			p, _ := w.hss.Profile(w.imsi)
			p.APNs = nil
			for _, n := range names {
				a, _ := id.ParseAPN(n)
				p.APNs = append(p.APNs, home.APN{Name: a, QCI: 5, ARP: 8, AMBRUL: id.Mbps, AMBRDL: id.Mbps})
			}
			var err error
			w.record.Version++
			if w.record.BlobHash, w.record.Epoch, err = w.hss.Amend(w.imsi, p); err != nil {
				t.Fatal(err)
			}
		}
		restart := func() {
			w.close()
			w.open()
		}
		enter := func() { w.block(ledger.Update{Subscribers: []ledger.Subscriber{w.record}}) }
		amend("ims", "*")
		has(0)
		restart()
		has(0)
		enter()
		has(2)
		amend("ims") // which the ledger never hears of
		has(2)
		amend()
		restart()
		enter()
		has(0)
		restart()
		has(0)
		names := make([]string, home.MaxAPNs)
		for i := range names {
			names[i] = fmt.Sprintf("access-point-with-a-name-as-long-as-people-give-them-%02d", i)
		}
		amend(names...)
		enter()
		has(home.MaxAPNs)
		restart()
		has(home.MaxAPNs)
		stranger, _ := id.ParseIMSI("999700000000077")
		if _, _, err := w.hss.Amend(stranger, home.Profile{}); err == nil {
			t.Error("nobody is amended")
		}
	})
}
