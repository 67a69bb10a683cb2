package hss_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/comp128"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/secret"
	"campanile.network/hss-chain/hss"
	"campanile.network/hss-chain/ledger"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
	"campanile.network/wire/sip/digest"
)

// add enters another subscriber, and gives his IMSI.
func (w *town) add(digits string, change func(*hss.Subscription)) id.IMSI {
	w.t.Helper()
	s := hss.Subscription{K: w.k, OPc: w.opc, SQN: hss.Array32, DIF: aka.DIFFor(0, aka.TickAt(time.Now())), Profile: home.Profile{QCI: 9, ARP: 8, AMBRUL: 1, AMBRDL: 1}}
	s.Profile.APN, _ = id.ParseAPN("internet")
	s.IMSI, _ = id.ParseIMSI(digits)
	if change != nil {
		change(&s)
	}
	recs, err := w.hss.Provision([]hss.Subscription{s}, "open")
	if err != nil {
		w.t.Fatal(err)
	}
	recs[0].Operator = "camp1op"
	w.block(ledger.Update{Subscribers: recs})
	return s.IMSI
}

func (w *town) challenge(imsi id.IMSI, m home.Method) (home.Challenge, error) {
	return w.hss.Challenge(context.Background(), home.ChallengeRequest{IMSI: imsi, PLMN: w.plmn, Serving: w.operator.Public(), Method: m})
}

func (w *town) mustChallenge(imsi id.IMSI, m home.Method) home.Challenge {
	w.t.Helper()
	c, err := w.challenge(imsi, m)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *town) hashed(c home.Challenge, a digest.Answer) (home.Lease, error) {
	return w.hss.Prove(context.Background(), home.ProveRequest{ID: c.ID, Serving: w.operator.Public(), Digest: &a})
}

func (w *town) class(l home.Lease) proof.Class {
	w.t.Helper()
	t, err := proof.OpenTicket(chainID, l.Ticket)
	if err != nil {
		w.t.Fatal(err)
	}
	return t.Class
}

func gsmSIM(a hss.Algorithm) func(*hss.Subscription) {
	return func(s *hss.Subscription) { s.Algorithm, s.OPc = a, secret.Key128{} }
}

// A SIM of each algorithm, and a USIM in a cell of GSM, earn the Kc that they
// have themselves; a wrong SRES earns nothing.
func TestGSM(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer func() { w.close() }()
		w.allow1 = true
		w.close()
		w.open()
		usim := w.card()
		for i, c := range []struct {
			alg  hss.Algorithm
			card func(rand [16]byte) ([4]byte, secret.Key64)
		}{
			{hss.COMP128v1, func(r [16]byte) ([4]byte, secret.Key64) { return comp128.V1(w.k, r) }},
			{hss.COMP128v2, func(r [16]byte) ([4]byte, secret.Key64) { return comp128.V2(w.k, r) }},
			{hss.COMP128v3, func(r [16]byte) ([4]byte, secret.Key64) { return comp128.V3(w.k, r) }},
			{hss.Milenage, func(r [16]byte) ([4]byte, secret.Key64) {
				s, kc := usim.AuthenticateGSM(r)
				return s, kc
			}},
		} {
			imsi := w.imsi
			if c.alg != hss.Milenage {
				imsi = w.add(fmt.Sprintf("99970000000010%d", i), gsmSIM(c.alg))
			}
			ch := w.mustChallenge(imsi, home.GSM)
			sres, kc := c.card(ch.RAND)
			if ch.AUTN != [16]byte{} || ch.RAND == [16]byte{} {
				t.Errorf("%v: challenge %+v", c.alg, ch)
			}
			_, err := w.prove(ch, []byte{sres[0], sres[1], sres[2], sres[3] ^ 1})
			wantCode(t, err, home.WrongRES)
			l, err := w.prove(ch, sres[:])
			if err != nil || l.Method != home.GSM || !l.Kc.Equal(kc) || l.KASME != (secret.Key256{}) || l.CK != (secret.Key128{}) || w.class(l) != proof.Asserted {
				t.Errorf("%v: %v, method %v, Kc fits %t", c.alg, err, l.Method, l.Kc.Equal(kc))
			}
			again, err := w.prove(ch, sres[:])
			if err != nil || !again.Kc.Equal(kc) || !bytes.Equal(again.Ticket, l.Ticket) {
				t.Errorf("%v: Prove repeated: %v", c.alg, err)
			}
			if c.alg != hss.Milenage {
				for _, m := range []home.Method{home.EPS, home.UMTS} {
					_, err = w.challenge(imsi, m)
					wantCode(t, err, home.NotSubscribed)
				}
			}
		}
	})
}

// SRES and Kc are those of another program, osmo-auc-gen of Osmocom. (Milenage and
// COMP128 themselves are held against published test sets where they are.)
func TestTripletsOfAStranger(t *testing.T) {
	tool, err := exec.LookPath("osmo-auc-gen")
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal("osmo-auc-gen is not installed")
	case err != nil:
		t.Skip("osmo-auc-gen is not installed (Debian: libosmocore-utils)")
	}
	find := func(out []byte, name string) string {
		m := regexp.MustCompile(`(?m)^` + name + `:\s*([0-9a-f ]+)$`).FindSubmatch(out)
		if m == nil {
			t.Fatalf("no %s in %s", name, out)
		}
		return strings.ReplaceAll(string(m[1]), " ", "")
	}
	w := newTown(t)
	defer func() { w.close() }()
	w.allow1 = true
	w.close()
	w.open()
	for i, alg := range []hss.Algorithm{hss.Milenage, hss.COMP128v1, hss.COMP128v2, hss.COMP128v3} {
		imsi, args := w.imsi, []string{"-3", "-a", "MILENAGE", "-o", hex.EncodeToString(w.opc[:]), "-f", "0000", "-s", "32"}
		if alg != hss.Milenage {
			imsi, args = w.add(fmt.Sprintf("99970000000010%d", i), gsmSIM(alg)), []string{"-2", "-a", strings.ToUpper(alg.String()[:7]) + alg.String()[7:]}
		}
		c := w.mustChallenge(imsi, home.GSM)
		out, err := exec.Command(tool, append(args, "-k", hex.EncodeToString(w.k[:]), "-r", hex.EncodeToString(c.RAND[:]))...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		sres, _ := hex.DecodeString(find(out, "SRES"))
		l, err := w.prove(c, sres)
		if err != nil || hex.EncodeToString(l.Kc[:]) != find(out, "Kc") {
			t.Errorf("%v: %v; the stranger says %s", alg, err, out)
		}
	}
}

// COMP128v1 is refused unless it is allowed, and then counted for life: over
// restarts and kills, and whether it is answered or not.
func TestCOMP128v1(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer func() { w.close() }()
		imsi := w.add("999700000000101", gsmSIM(hss.COMP128v1))
		_, err := w.challenge(imsi, home.GSM)
		wantCode(t, err, home.NotSubscribed)
		w.allow1 = true
		w.close()
		w.open()
		n := 0
		for ; ; n++ {
			if n%5000 == 4999 {
				w.kill()
			}
			if _, err = w.challenge(imsi, home.GSM); err != nil {
				if home.CodeOf(err) == home.RateLimited {
					time.Sleep(8 * time.Second)
					continue
				}
				break
			}
		}
		wantCode(t, err, home.NotSubscribed)
		if !strings.Contains(err.Error(), "32768") {
			t.Error(err)
		}
		w.close()
		w.open()
		_, err = w.challenge(imsi, home.GSM)
		wantCode(t, err, home.NotSubscribed)
		w.mustChallenge(w.add("999700000000102", gsmSIM(hss.COMP128v3)), home.GSM)
	})
}

// OpenBTS with a realm, and a SIM at something that speaks AKAv1-MD5: the SRES
// is the password, and the home alone knows it.
func TestSRESAsPassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer w.close()
		for n := 0; n < 40; n++ {
			imsi := w.add(fmt.Sprintf("9997000000001%02d", n), gsmSIM(hss.COMP128v3))
			c := w.mustChallenge(imsi, home.GSM)
			sres, kc := comp128.V3(w.k, c.RAND)
			user := "IMSI" + imsi.Digits()
			ch := digest.Challenge{Realm: "R", Nonce: digest.HexNonce(c.RAND)}
			password := [...]string{hex.EncodeToString(sres[:]), fmt.Sprintf("%x", uint32(sres[0])<<24|uint32(sres[1])<<16|uint32(sres[2])<<8|uint32(sres[3])), fmt.Sprintf("%X", sres[:]), string(sres[:])}[n%4]
			if n%4 == 3 {
				ch.Algorithm, ch.Nonce, user = digest.AKAv1MD5, digest.AKANonce(c.RAND, nil), imsi.Digits()+"@ims.example"
			}
			answer := func(user, password string) digest.Answer {
				cr, err := ch.Respond(digest.Request{Username: user, Password: password, Method: "REGISTER", URI: "sip:R"})
				if err != nil {
					t.Fatal(err)
				}
				return cr.For("REGISTER", nil)
			}
			_, err := w.hashed(c, answer("IMSI"+w.imsi.Digits(), password))
			wantCode(t, err, home.WrongRES)
			a := answer(user, password)
			a.Nonce = digest.HexNonce([16]byte{1})
			_, err = w.hashed(c, a)
			wantCode(t, err, home.WrongRES)
			if l, err := w.hashed(c, answer(user, password)); err != nil || !l.Kc.Equal(kc) {
				t.Errorf("%d: %v", n, err)
			}
		}
	})
}

// A USIM over SIP: RFC 3310 by digest, RES itself as YateBTS has it, AUTS, and
// keys that never were of EPS.
func TestUMTS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer w.close()
		card, err := aka.NewUSIM(aka.USIMOptions{Algorithm: milenage.New(w.k, w.opc), SEQ: [aka.INDs]uint64{12: 1 << 40}})
		if err != nil {
			t.Fatal(err)
		}
		c := w.mustChallenge(w.imsi, home.UMTS)
		var synch *aka.SynchFailure
		if _, err = card.Authenticate(c.RAND, c.AUTN); !errors.As(err, &synch) || synch.SQN.IND() != 12 {
			t.Fatalf("IND 12 was ahead: %v", err)
		}
		// AUTS as it comes in an Authorization.
		cr, err := digest.ParseCredentials(digest.Credentials{Nonce: digest.AKANonce(c.RAND, &c.AUTN), URI: w.imsi.Digits(), AUTS: digest.WriteAUTS(synch.AUTS), Algorithm: digest.AKAv1MD5}.String())
		if err != nil {
			t.Fatal(err)
		}
		rand, auts, ok := cr.Resynchronisation()
		req := home.ChallengeRequest{IMSI: w.imsi, PLMN: w.plmn, Serving: w.operator.Public(), Method: home.EPS, Resync: &home.Resync{RAND: rand, AUTS: auts}}
		_, err = w.hss.Challenge(t.Context(), req)
		wantCode(t, err, home.ResyncFailed) // it was no challenge of EPS
		req.Method = home.UMTS
		if c, err = w.hss.Challenge(t.Context(), req); err != nil || !ok {
			t.Fatal(err)
		}
		if aka.AUTN(c.AUTN).AMF().Separation() {
			t.Error("the separation bit is set: CK and IK could make a K_ASME")
		}
		a, err := card.Authenticate(c.RAND, c.AUTN)
		if err != nil {
			t.Fatal(err)
		}
		ch := digest.Challenge{Realm: "ims", Nonce: digest.AKANonce(c.RAND, &c.AUTN), Algorithm: digest.AKAv1MD5, QOP: digest.Auth | digest.AuthInt}
		impi := w.imsi.Digits() + "@ims.mnc070.mcc999.3gppnetwork.org"
		sent, err := ch.Respond(digest.Request{Username: impi, Password: string(a.RES.Bytes()), Method: "REGISTER", URI: "sip:ims", CNonce: "c", Count: 1})
		if err != nil {
			t.Fatal(err)
		}
		wrong := sent.For("REGISTER", nil)
		wrong.Response = strings.Repeat("0", 32)
		_, err = w.hashed(c, wrong)
		wantCode(t, err, home.WrongRES)
		l, err := w.hashed(c, sent.For("REGISTER", nil))
		if err != nil || !l.CK.Equal(a.CK) || !l.IK.Equal(a.IK) || l.KASME != (secret.Key256{}) || w.class(l) != proof.Proven {
			t.Errorf("by digest: %v, %v", err, l.Method)
		}
		c = w.mustChallenge(w.imsi, home.UMTS)
		if a, err = card.Authenticate(c.RAND, c.AUTN); err != nil {
			t.Fatal(err)
		}
		if l, err := w.prove(c, a.RES.Bytes()); err != nil || !l.CK.Equal(a.CK) {
			t.Errorf("by RES: %v", err)
		}
		// A digest says nothing to LTE.
		e := w.mustAsk()
		_, err = w.hashed(e, digest.Answer{Credentials: digest.Credentials{Username: impi, Nonce: digest.AKANonce(e.RAND, &e.AUTN)}})
		wantCode(t, err, home.WrongRES)
	})
}

// A phone that registers every few minutes is given the ticket it has, for as
// long as most of it is left; keys are new each time. Who was barred in between
// is given another, and so is LTE always.
func TestTicketsAreLentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer w.close()
		register := func() (proof.TicketID, secret.Key64) {
			t.Helper()
			c := w.mustChallenge(w.imsi, home.GSM)
			sres, _ := w.card().AuthenticateGSM(c.RAND)
			l, err := w.prove(c, sres[:])
			if err != nil {
				t.Fatal(err)
			}
			tk, err := proof.OpenTicket(chainID, l.Ticket)
			if err != nil || time.Until(tk.NotAfter) < 3*time.Hour-time.Second {
				t.Errorf("%v, good until %v", err, tk.NotAfter)
			}
			return tk.ID, l.Kc
		}
		seen := map[proof.TicketID]int{}
		keys := map[secret.Key64]bool{}
		for range 48 { // a day, every half an hour
			id, kc := register()
			seen[id]++
			keys[kc] = true
			time.Sleep(30 * time.Minute)
		}
		if len(seen) != 8 || len(keys) != 48 || w.hss.Stats().Lent != 40 {
			t.Errorf("%d tickets, %d keys, %d lent again", len(seen), len(keys), w.hss.Stats().Lent)
		}
		before, _ := register()
		c := w.mustChallenge(w.imsi, home.GSM)
		sres, _ := w.card().AuthenticateGSM(c.RAND)
		fresh, err := w.hss.Prove(t.Context(), home.ProveRequest{ID: c.ID, Serving: w.operator.Public(), RES: sres[:], Fresh: true})
		if tk, err2 := proof.OpenTicket(chainID, fresh.Ticket); err != nil || err2 != nil || tk.ID == before {
			t.Errorf("who has used his ticket up gets it again: %v %v", err, err2)
		}
		before, _ = register()
		r := w.record
		r.State = ledger.Barred
		w.block(ledger.Update{Subscribers: []ledger.Subscriber{r}})
		void, err := w.hss.Void(t.Context(), home.VoidRequest{Serving: w.operator.Public(), Tickets: []proof.TicketID{before}})
		if err != nil || len(void) != 1 {
			t.Fatalf("%v %v", void, err)
		}
		w.block(ledger.Update{Subscribers: []ledger.Subscriber{w.record}})
		if after, _ := register(); after == before {
			t.Error("a ticket that was said to be void was given again")
		}
		a, b := w.mustAsk(), w.mustAsk()
		card := w.card()
		tickets := map[string]bool{}
		for _, c := range []home.Challenge{a, b} {
			res, _, err := card.AuthenticateEPS(c.RAND, c.AUTN, w.plmn)
			if err != nil {
				t.Fatal(err)
			}
			l, err := w.prove(c, res.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			tickets[string(l.Ticket)] = true
		}
		if len(tickets) != 2 {
			t.Error("LTE was given a ticket twice")
		}
	})
}

// Challenges of IMS keep nobody from GSM, and those of both nobody from LTE.
func TestMethodsLeaveEachOtherAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer w.close()
		for _, m := range []home.Method{home.UMTS, home.GSM} {
			w.mustChallenge(w.imsi, m)
			for range 100 {
				w.challenge(w.imsi, m)
			}
			_, err := w.challenge(w.imsi, m)
			wantCode(t, err, home.RateLimited)
		}
		w.mustAsk()
	})
}
