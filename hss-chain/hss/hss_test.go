package hss_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/hss-chain/hss"
	"campanile.network/hss-chain/ledger"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

// TS 33.401 §6.1: a card answers, the home gives K_ASME, which the phone
// derives too, and a ticket that opens under the node's key.
func TestChallengeThenProve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer w.close()
		c := w.mustAsk()
		res, kasme, err := w.card().AuthenticateEPS(c.RAND, c.AUTN, w.plmn)
		if err != nil {
			t.Fatal(err)
		}
		l, err := w.prove(c, res.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if !l.KASME.Equal(kasme) {
			t.Error("home and phone derive different K_ASME")
		}
		tk, err := proof.OpenTicket(chainID, l.Ticket)
		if err != nil {
			t.Fatal(err)
		}
		if tk.Home != w.operator.Public() || tk.Serving != w.operator.Public() || tk.Node != w.node.Public() || tk.Class != proof.Proven ||
			tk.NotAfter.Sub(tk.NotBefore) != 6*time.Hour || tk.Cap.Bytes != 1<<30 {
			t.Errorf("ticket %+v", tk)
		}
		again, err := w.prove(c, res.Bytes())
		if err != nil || !bytes.Equal(again.Ticket, l.Ticket) {
			t.Errorf("Prove repeated: %v", err)
		}
		time.Sleep(31 * time.Second)
		_, err = w.prove(c, res.Bytes())
		wantCode(t, err, home.Expired)
	})
}

func TestWrongAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer w.close()
		c := w.mustAsk()
		res, _, err := w.card().AuthenticateEPS(c.RAND, c.AUTN, w.plmn)
		if err != nil {
			t.Fatal(err)
		}
		other := proof.NewSigningKey()
		_, err = w.hss.Prove(context.Background(), home.ProveRequest{ID: c.ID, Serving: other.Public(), RES: res.Bytes()})
		wantCode(t, err, home.Expired) // another's challenge does not exist
		for range 2 {
			_, err = w.prove(c, []byte{1, 2, 3, 4, 5, 6, 7, 8})
			wantCode(t, err, home.WrongRES)
		}
		_, err = w.prove(c, res.Bytes()[:4])
		wantCode(t, err, home.WrongRES)
		_, err = w.prove(c, res.Bytes())
		wantCode(t, err, home.Expired) // three wrong ones ended it
		_, err = w.hss.Challenge(context.Background(), home.ChallengeRequest{IMSI: w.imsi, PLMN: w.plmn, Serving: other.Public()})
		wantCode(t, err, home.NotAuthorised)
		nobody, _ := id.ParseIMSI("999700000000002")
		_, err = w.hss.Challenge(context.Background(), home.ChallengeRequest{IMSI: nobody, PLMN: w.plmn, Serving: w.operator.Public()})
		wantCode(t, err, home.UnknownSubscriber)
	})
}

func TestTheLedgerDecidesWhoIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer w.close()
		c := w.mustAsk()
		res, _, _ := w.card().AuthenticateEPS(c.RAND, c.AUTN, w.plmn)
		change := func(f func(*ledger.Subscriber)) {
			r := w.record
			f(&r)
			w.block(ledger.Update{Subscribers: []ledger.Subscriber{r}})
		}
		change(func(r *ledger.Subscriber) { r.State = ledger.Barred })
		_, err := w.ask()
		wantCode(t, err, home.Barred)
		_, err = w.prove(c, res.Bytes())
		wantCode(t, err, home.Barred)
		change(func(r *ledger.Subscriber) { r.BlobHash[0] ^= 1 })
		_, err = w.ask()
		wantCode(t, err, home.Unavailable)
		change(func(r *ledger.Subscriber) { r.State = ledger.Erased })
		_, err = w.ask()
		wantCode(t, err, home.UnknownSubscriber)
		change(func(*ledger.Subscriber) {})
		w.mustAsk()
	})
}

// TS 33.102 §6.3.5, annex C: a card ahead of the home resynchronises once.
func TestResynchronisation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		ahead := [aka.INDs]uint64{0: 1 << 40}
		card, err := aka.NewUSIM(aka.USIMOptions{Algorithm: milenage.New(w.k, w.opc), SEQ: ahead})
		if err != nil {
			t.Fatal(err)
		}
		c := w.mustAsk()
		var synch *aka.SynchFailure
		if _, _, err = card.AuthenticateEPS(c.RAND, c.AUTN, w.plmn); !errors.As(err, &synch) {
			t.Fatal(err)
		}
		req := home.ChallengeRequest{IMSI: w.imsi, PLMN: w.plmn, Serving: w.operator.Public(), Resync: &home.Resync{RAND: c.RAND, AUTS: synch.AUTS}}
		bad := *req.Resync
		bad.AUTS[0] ^= 1
		_, err = w.hss.Challenge(context.Background(), home.ChallengeRequest{IMSI: w.imsi, PLMN: w.plmn, Serving: w.operator.Public(), Resync: &bad})
		wantCode(t, err, home.ResyncFailed)
		again, err := w.hss.Challenge(context.Background(), req)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := card.AuthenticateEPS(again.RAND, again.AUTN, w.plmn); err != nil {
			t.Errorf("after resynchronisation: %v", err)
		}
		_, err = w.hss.Challenge(context.Background(), req)
		wantCode(t, err, home.ResyncFailed) // the same AUTS is believed once
		w.close()
		w.open()
		defer w.close()
		time.Sleep(time.Minute)
		c = w.mustAsk()
		if _, _, err := card.AuthenticateEPS(c.RAND, c.AUTN, w.plmn); err != nil {
			t.Errorf("after a restart: %v", err)
		}
	})
}

// No number is drawn twice, whatever the restarts and bursts.
func TestNoNumberTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		card := w.card()
		for life := range 12 {
			for range 8 {
				c, err := w.ask()
				if home.CodeOf(err) == home.RateLimited {
					time.Sleep(time.Second)
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if _, _, err := card.AuthenticateEPS(c.RAND, c.AUTN, w.plmn); err != nil {
					t.Fatalf("life %d: %v", life, err)
				}
			}
			if life%2 == 0 { // otherwise killed: what was not written is lost
				w.close()
				w.open()
			} else {
				w.kill()
			}
		}
		w.close()
	})
}

// kill reopens the store as it was before Close moved the mark back.
func (w *town) kill() {
	w.t.Helper()
	copyOf := w.store + "'"
	if err := copyFile(w.store, copyOf); err != nil {
		w.t.Fatal(err)
	}
	w.close()
	w.store = copyOf
	w.open()
}

func TestClockInThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer w.close()
		w.height++
		if err := w.model.Apply(ledger.Update{ChainID: chainID, Height: w.height, Time: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		_, err := w.ask()
		wantCode(t, err, home.Unavailable)
	})
}

func TestRateLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer w.close()
		n := 0
		for ; n < 100; n++ {
			if _, err := w.ask(); err != nil {
				wantCode(t, err, home.RateLimited)
				break
			}
		}
		if n == 0 || n > 16 {
			t.Errorf("%d challenges at once", n)
		}
		time.Sleep(2 * time.Second)
		w.mustAsk()
	})
}

// A registered stranger who asks without end keeps neither the home nor the
// network where the phone is from asking; and nobody gets keys that are bound to
// another's PLMN.
func TestStrangersAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer w.close()
		visited, stranger := proof.NewSigningKey(), proof.NewSigningKey()
		abroad, _ := id.ParsePLMN("99971")
		w.block(ledger.Update{Operators: []ledger.Operator{
			{Account: "camp1visited", Key: visited.Public(), Name: "visited", PLMNs: []id.PLMN{abroad}},
			{Account: "camp1stranger", Key: stranger.Public(), Name: "stranger", PLMNs: []id.PLMN{abroad}},
		}})
		ask := func(k proof.SigningKey, plmn id.PLMN) (home.Challenge, error) {
			return w.hss.Challenge(context.Background(), home.ChallengeRequest{IMSI: w.imsi, PLMN: plmn, Serving: k.Public()})
		}
		_, err := ask(stranger, w.plmn)
		wantCode(t, err, home.NotAuthorised)
		c, err := ask(visited, abroad)
		if err != nil {
			t.Fatal(err)
		}
		res, _, err := w.card().AuthenticateEPS(c.RAND, c.AUTN, abroad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.hss.Prove(context.Background(), home.ProveRequest{ID: c.ID, Serving: visited.Public(), RES: res.Bytes()}); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			ask(stranger, abroad)
		}
		_, err = ask(stranger, abroad)
		wantCode(t, err, home.RateLimited)
		w.mustAsk()
		if _, err := ask(visited, abroad); err != nil {
			t.Errorf("the network where the phone is: %v", err)
		}
	})
}

// Blobs move between nodes of an operator; the epoch key goes sealed.
func TestSecondNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer w.close()
		node2, seed2 := proof.NewSigningKey(), [32]byte{9}
		priv2, _ := hss.NewNodeKey(seed2)
		to := ledger.HSSNode{Key: node2.Public(), HPKE: priv2.PublicKey().Bytes(), IND: 1}
		if _, err := w.hss.ShareEpochs(to); err == nil {
			t.Error("epoch keys given to a node the ledger does not name")
		}
		op, _ := w.model.OperatorByKey(w.operator.Public())
		op.Nodes = append([]ledger.HSSNode{to}, op.Nodes...)
		w.block(ledger.Update{Operators: []ledger.Operator{op}})
		second, err := hss.New(hss.Options{ChainID: chainID, Operator: w.operator.Public(), Node: node2, HPKE: priv2, Slot: 1, Registry: w.model,
			Store: filepath.Join(t.TempDir(), "second.db"), Terms: hss.Terms{Validity: time.Hour, Cap: proof.Carried{Bytes: 1}}})
		if err != nil {
			t.Fatal(err)
		}
		defer second.Close()
		blob, ok := w.hss.Blob(w.record.BlobHash)
		if !ok {
			t.Fatal("blob not found by hash")
		}
		if err := second.Import(blob); err == nil {
			t.Error("blob opened without the epoch key")
		}
		sealed, err := w.hss.ShareEpochs(to)
		if err != nil {
			t.Fatal(err)
		}
		if err := second.ImportEpochs(sealed); err != nil {
			t.Fatal(err)
		}
		blob[len(blob)-1] ^= 1
		if err := second.Import(blob); err == nil {
			t.Error("changed blob opened")
		}
		blob[len(blob)-1] ^= 1
		if err := second.Import(blob); err != nil {
			t.Fatal(err)
		}
		card := w.card()
		for range 3 { // both nodes draw numbers for one card, each under its own index
			for _, h := range []*hss.HSS{w.hss, second} {
				c, err := h.Challenge(context.Background(), home.ChallengeRequest{IMSI: w.imsi, PLMN: w.plmn, Serving: w.operator.Public()})
				if err != nil {
					t.Fatal(err)
				}
				if _, _, err := card.AuthenticateEPS(c.RAND, c.AUTN, w.plmn); err != nil {
					t.Error(err)
				}
			}
		}
	})
}

func BenchmarkChallengeProve(b *testing.B) {
	w := newTown(b)
	defer w.close()
	const n = 20000
	subs := make([]hss.Subscription, n)
	cards := make([]*aka.USIM, n)
	for i := range subs {
		s := hss.Subscription{K: w.k, OPc: w.opc, SQN: hss.Array32, DIF: aka.DIFFor(0, aka.TickAt(time.Now())), Profile: home.Profile{QCI: 9, ARP: 1, AMBRUL: 1, AMBRDL: 1}}
		s.Profile.APN, _ = id.ParseAPN("internet")
		s.IMSI, _ = id.ParseIMSI(fmt.Sprintf("99970%010d", 1000+i))
		subs[i], cards[i] = s, w.card()
	}
	recs, err := w.hss.Provision(subs, "open")
	if err != nil {
		b.Fatal(err)
	}
	for i := range recs {
		recs[i].Operator = "camp1op"
	}
	w.block(ledger.Update{Subscribers: recs})
	b.ReportAllocs()
	b.ResetTimer()
	i, spent := 0, sync.Once{}
	for b.Loop() {
		k := i % n
		c, err := w.hss.Challenge(context.Background(), home.ChallengeRequest{IMSI: subs[k].IMSI, PLMN: w.plmn, Serving: w.operator.Public()})
		if home.CodeOf(err) == home.RateLimited { // more rounds than cards may be asked
			spent.Do(func() { b.Log("rate limit reached; the rest is refusals") })
			continue
		}
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		res, _, err := cards[k].AuthenticateEPS(c.RAND, c.AUTN, w.plmn)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if _, err := w.prove(c, res.Bytes()); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
