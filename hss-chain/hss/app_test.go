package hss_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/hss-chain/ledger"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
	"campanile.network/wire/sip/digest"
)

// password gives the subscriber of the town a password, on the ledger.
func (w *town) password() string {
	w.t.Helper()
	p, hash, epoch, err := w.hss.AmendApp(w.imsi)
	if err != nil {
		w.t.Fatal(err)
	}
	w.record.Version++
	w.record.BlobHash, w.record.Epoch = hash, epoch
	w.block(ledger.Update{Subscribers: []ledger.Subscriber{w.record}})
	return p
}

// respond is what an application answers.
func respond(t testing.TB, c home.Challenge, alg digest.Algorithm, user, password string) digest.Answer {
	t.Helper()
	ch := digest.Challenge{Realm: c.Realm, Nonce: digest.HexNonce(c.RAND), Algorithm: alg, QOP: digest.Auth, Userhash: strings.HasPrefix(user, "#")}
	cr, err := ch.Respond(digest.Request{Username: strings.TrimPrefix(user, "#"), Password: password, Method: "REGISTER", URI: "sip:town.example", CNonce: "c", Count: 1})
	if err != nil {
		t.Fatal(err)
	}
	return cr.For("REGISTER", nil)
}

// RFC 8760: an application proves itself under every algorithm and any of its
// names; the challenge costs the home nothing and the card nobody asked stays
// out of it.
func TestApplication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer func() { w.close() }()
		_, err := w.challenge(w.imsi, home.App)
		wantCode(t, err, home.NotSubscribed)
		number, _ := id.ParseMSISDN("4915112345678")
		p, _ := w.hss.Profile(w.imsi)
		p.MSISDN = number
		if w.record.BlobHash, w.record.Epoch, err = w.hss.Amend(w.imsi, p); err != nil {
			t.Fatal(err)
		}
		w.block(ledger.Update{Subscribers: []ledger.Subscriber{w.record}})
		password := w.password()
		if len(password) != 26 || strings.ToLower(password) != password {
			t.Errorf("password %q", password)
		}
		w.close()
		w.open() // it is in the blob
		var ticket []byte
		imsi := w.imsi.Digits()
		for _, alg := range []digest.Algorithm{digest.MD5, digest.SHA256, digest.SHA512256, digest.SHA256Sess} {
			for _, user := range []string{imsi, "IMSI" + imsi, number.Digits(), "+" + number.Digits(), imsi + "@town.example", "#" + number.Digits()} {
				c := w.mustChallenge(w.imsi, home.App)
				if c.Realm != "town.example" || c.AUTN != [16]byte{} {
					t.Fatalf("%+v", c)
				}
				l, err := w.hashed(c, respond(t, c, alg, user, password))
				if err != nil || l.Method != home.App || l.Kc != (secret.Key64{}) || l.Profile.MSISDN != number || w.class(l) != proof.Asserted {
					t.Errorf("%v, %s: %v", alg, user, err)
				}
				if ticket != nil && !bytes.Equal(ticket, l.Ticket) {
					t.Error("another ticket for the same time")
				}
				ticket = l.Ticket
				_, err = w.hashed(c, respond(t, c, alg, user, password+"x"))
				wantCode(t, err, home.WrongRES)
			}
		}
	})
}

// What is not the application's answer: another name, realm, nonce or request, a
// card's algorithm, another operator's question, the password of before, too late.
func TestApplicationsWrongAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer w.close()
		password, imsi := w.password(), w.imsi.Digits()
		c := w.mustChallenge(w.imsi, home.App)
		right := respond(t, c, digest.SHA256, imsi, password)
		for name, change := range map[string]func(*digest.Answer, *home.Challenge){
			"another's name": func(a *digest.Answer, c *home.Challenge) { *a = respond(t, *c, digest.SHA256, imsi+"0", password) },
			"another realm": func(a *digest.Answer, c *home.Challenge) {
				d := *c
				d.Realm = "x"
				*a = respond(t, d, digest.SHA256, imsi, password)
			},
			"another nonce": func(a *digest.Answer, c *home.Challenge) {
				d := *c
				d.RAND[0] ^= 1
				*a = respond(t, d, digest.SHA256, imsi, password)
			},
			"another request":    func(a *digest.Answer, _ *home.Challenge) { a.Method = "INVITE" },
			"a card's algorithm": func(a *digest.Answer, c *home.Challenge) { *a = respond(t, *c, digest.AKAv1MD5, imsi, password) },
		} {
			a, d := right, c
			change(&a, &d)
			_, err := w.hashed(c, a)
			if home.CodeOf(err) != home.WrongRES {
				t.Errorf("%s: %v", name, err)
			}
		}
		_, err := w.prove(c, []byte{1, 2, 3, 4})
		wantCode(t, err, home.WrongRES)
		stranger := proof.NewSigningKey().Public()
		_, err = w.hss.Prove(t.Context(), home.ProveRequest{ID: c.ID, Serving: stranger, Digest: &right})
		wantCode(t, err, home.Expired)
		old := w.password()
		_, err = w.hashed(c, right)
		wantCode(t, err, home.WrongRES) // the password is another one now
		if old == password {
			t.Error("the same password twice")
		}
		time.Sleep(31 * time.Second)
		_, err = w.hashed(c, respond(t, c, digest.SHA256, imsi, old))
		wantCode(t, err, home.Expired)
	})
}

// A flood of challenges to applications holds nothing and keeps nobody out.
func TestFloodOfApplications(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		defer w.close()
		password := w.password()
		seen := map[[16]byte]bool{}
		for range 3000 {
			seen[w.mustChallenge(w.imsi, home.App).RAND] = true
		}
		if len(seen) != 3000 {
			t.Errorf("%d RANDs of 3000 are fresh", len(seen))
		}
		c := w.mustChallenge(w.imsi, home.App)
		if _, err := w.hashed(c, respond(t, c, digest.SHA256, w.imsi.Digits(), password)); err != nil {
			t.Error(err)
		}
		w.mustAsk()
		w.mustChallenge(w.imsi, home.GSM)
	})
}

// Whatever a serving network sends for an answer, the home says no and stays.
func FuzzProve(f *testing.F) {
	w := newTown(f)
	f.Cleanup(w.close)
	password := w.password()
	app := w.mustChallenge(w.imsi, home.App)
	gsm := w.mustChallenge(w.imsi, home.GSM)
	umts := w.mustChallenge(w.imsi, home.UMTS)
	good := respond(f, app, digest.SHA256, w.imsi.Digits(), password)
	f.Add(app.ID[:], []byte(nil), good.String(), "REGISTER")
	f.Add(gsm.ID[:], []byte{1, 2, 3, 4}, "", "")
	f.Add(umts.ID[:], []byte(nil), `Digest username="`+w.imsi.Digits()+`", nonce="`+digest.AKANonce(umts.RAND, &umts.AUTN)+`", uri="sip:r", response="00", algorithm=AKAv1-MD5`, "REGISTER")
	f.Fuzz(func(t *testing.T, id, res []byte, header, method string) {
		r := home.ProveRequest{Serving: w.operator.Public(), RES: res}
		copy(r.ID[:], id)
		if cr, err := digest.ParseCredentials(header); err == nil {
			a := cr.For(method, nil)
			r.Digest = &a
			if a.Response == good.Response {
				t.Skip()
			}
		}
		if _, err := w.hss.Prove(t.Context(), r); err == nil {
			t.Errorf("believed: %x %x %q %q", id, res, header, method)
		}
	})
}
