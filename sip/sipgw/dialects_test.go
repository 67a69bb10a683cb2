package sipgw

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"campanile.network/3gpp/aka"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/digest"
)

// Each of these tests is one dialect's whole exchange, which testdata shows as it
// goes over the wire.

const (
	alice = "001010000000001"
	bob   = "001010000000002"
)

// openBTS is a REGISTER as OpenBTS's HEAD writes it; more are further lines.
func (h *host) openBTS(imsi, authorization string, expires int) {
	h.w.t.Helper()
	h.send(`
REGISTER sip:{gw} SIP/2.0
Via: SIP/2.0/UDP {me};branch=z9hG4bKobts28{cseq}
From: <sip:IMSI%[1]s@{gw}>;tag=obts{cseq}
To: <sip:IMSI%[1]s@{gw}>
Call-ID: 196117285@{mehost}
CSeq: {cseq} REGISTER
Contact: <sip:IMSI%[1]s@{me}>;expires=%[3]d
Max-Forwards: 70
P-Preferred-Identity: <sip:IMSI%[1]s@{me}>
P-PHY-Info: OpenBTS; IMSI=IMSI%[1]s TA=1 TE=0.392578 UpRSSI=-26.000000 TxPwr=33 DnRSSIdBm=-111 time=1400000000.1
P-Access-Network-Info: 3GPP-GERAN; cgi-3gpp=0010103ef000a
User-Agent: OpenBTS 5.0-master Build Date
%[2]s`, imsi, authorization, expires)
}

// randOf is the RAND of a challenge.
func randOf(t *testing.T, m *sip.Message) (rand [16]byte, autn *[16]byte) {
	t.Helper()
	c, err := digest.ParseChallenge(m.Get("WWW-Authenticate"))
	if err != nil {
		t.Fatal(err)
	}
	if rand, autn, err = digest.ReadNonce(c.Nonce); err != nil {
		t.Fatal(err)
	}
	return rand, autn
}

// sres is what a SIM says to a challenge.
func (w *world) sres(imsi string, m *sip.Message) string {
	w.t.Helper()
	rand, _ := randOf(w.t, m)
	w.home.mu.Lock()
	defer w.home.mu.Unlock()
	for i, s := range w.home.by {
		if i.Digits() == imsi {
			v := aka.Generate(s.card, rand, 0, aka.AMF{}).Triplet()
			return hex.EncodeToString(v.SRES[:])
		}
	}
	return "00000000"
}

// attach registers a phone at a station of OpenBTS.
func (h *host) attach(imsi string) *sip.Message {
	h.w.t.Helper()
	h.openBTS(imsi, "", 5400)
	c := h.want(401)
	rand, _ := randOf(h.w.t, c)
	h.openBTS(imsi, fmt.Sprintf(`Authorization: Digest nonce="%x", uri="%s", response="%s"`, rand, imsi, h.w.sres(imsi, c)), 5400)
	return h.want(200)
}

func TestOpenBTS(t *testing.T) {
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		w.home.add(t, alice, "4915100001", "")
		bts := w.host("bts", at)
		bts.attach(alice)
		bts.openBTS(alice, "", 0) // IMSI detach
		bts.want(200)
		w.golden("openbts")
	})
}

// Builds before OpenBTS's rewrite: no value behind branch, a comma behind Digest,
// no quotes, leading zeros lost.
func TestOldOpenBTS(t *testing.T) {
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		w.home.add(t, alice, "4915100001", "")
		bts := w.host("bts", at)
		old := func(authorization string) *sip.Message {
			bts.send(`
REGISTER sip:{gw} SIP/2.0
Via: SIP/2.0/UDP {me};branch
From: IMSI%[1]s <sip:IMSI%[1]s@{gw}>;tag=old{cseq}
To: IMSI%[1]s <sip:IMSI%[1]s@{gw}>
Call-ID: 1804289383@{mehost}
CSeq: {cseq} REGISTER
Contact: <sip:IMSI%[1]s@{me}>;expires=5400
Max-Forwards: 70
User-Agent: OpenBTS 2.8TRUNK Build Date Feb 13 2012
%[2]s`, alice, authorization)
			return bts.recv()
		}
		c := old("")
		rand, _ := randOf(t, c)
		if m := old(fmt.Sprintf(`Authorization: Digest, nonce=%x, uri=%s, response=%s`, rand, alice, strings.TrimLeft(w.sres(alice, c), "0"))); m.Status != 200 {
			t.Fatalf("got %d", m.Status)
		}
		w.golden("openbts-old")
	})
}

// SIP.Realm set: SRES is the password of an MD5 digest as RFC 2069 has it.
func TestOpenBTSWithRealm(t *testing.T) {
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		w.home.add(t, alice, "4915100001", "")
		bts := w.host("bts", at)
		bts.openBTS(alice, "", 5400)
		c := bts.want(401)
		rand, _ := randOf(t, c)
		a := digest.Credentials{Username: "IMSI" + alice, Realm: "gsm.example", Nonce: fmt.Sprintf("%x", rand), URI: "sip:gsm.example"}.For("REGISTER", nil)
		a.Response = a.Compute(digest.MD5.HA1(a.Username, a.Realm, w.sres(alice, c)))
		bts.openBTS(alice, fmt.Sprintf(`Authorization: Digest realm="gsm.example", username="IMSI%s", nonce="%x", uri="sip:gsm.example", response="%s", algorithm=MD5, qop="auth" `,
			alice, rand, a.Response), 5400)
		bts.want(200)
		w.golden("openbts-realm")
	})
}

// yate is a REGISTER as YateBTS's roaming mode writes it.
func (h *host) yate(user, authorization string) *sip.Message {
	h.w.t.Helper()
	h.send(`
REGISTER sip:{gw} SIP/2.0
Contact: <sip:%[1]s@{me}>; expires=3600; +sip.instance="<urn:gsma:imei:35946505-338561-0>"; +g.3gpp.smsip
Expires: 3600
Supported: auth-gsm,auth-umts,reg-tmsi
P-Access-Network-Info: 3GPP-GERAN; cgi-3gpp=0010103ef000a; gstn-location="1"
P-PHY-Info: YateBTS; TA=2 TE=0.1 UpRSSI=-40 TxPwr=33 DnRSSIdBm=-70
To: <sip:%[1]s@{gw}>
From: <sip:%[1]s@{gw}>;tag=%[3]d
Call-ID: yatebts-1400000000-0.5@{mehost}
CSeq: {cseq} REGISTER
User-Agent: YATE/6.1.1
Max-Forwards: 20
Allow: ACK, INVITE, BYE, CANCEL, REGISTER, REFER, OPTIONS, INFO, MESSAGE
%[2]s`, user, authorization, 777)
	return h.recv()
}

func yateAnswer(c *sip.Message, imsi, what string) string {
	ch, _ := digest.ParseChallenge(c.Get("WWW-Authenticate"))
	return fmt.Sprintf(`Authorization: Digest realm="%s", uri="%s", nonce="%s", %s, algorithm=AKAv1-MD5`, ch.Realm, imsi, ch.Nonce, what)
}

// A SIM without USIM: RAND alone.
func TestYateBTSWithSIM(t *testing.T) {
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		w.home.addSIM(t, alice, "4915100001")
		bts := w.host("bts", at)
		if m := bts.yate("TMSI00c0ffee", ""); m.Status != 481 {
			t.Fatalf("a TMSI nobody gave: %d", m.Status)
		}
		c := bts.yate("IMSI"+alice, "")
		if m := bts.yate("IMSI"+alice, yateAnswer(c, alice, fmt.Sprintf(`response="%s"`, w.sres(alice, c)))); m.Status != 200 {
			t.Fatalf("got %d", m.Status)
		}
		w.golden("yatebts-gsm")
	})
}

// A USIM: AUTN is checked by the card, whose sequence number is ahead first.
func TestYateBTSWithUSIM(t *testing.T) {
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		sub := w.home.add(t, alice, "4915100001", "")
		o := aka.USIMOptions{Algorithm: sub.card}
		o.SEQ[0] = 1000
		card, err := aka.NewUSIM(o)
		if err != nil {
			t.Fatal(err)
		}
		bts := w.host("bts", at)
		c := bts.yate("IMSI"+alice, "")
		rand, autn := randOf(t, c)
		_, err = card.Authenticate(rand, *autn)
		ahead, ok := err.(*aka.SynchFailure)
		if !ok {
			t.Fatalf("the card says %v", err)
		}
		c = bts.yate("IMSI"+alice, yateAnswer(c, alice, `auts="`+digest.WriteAUTS(ahead.AUTS)+`"`))
		rand, autn = randOf(t, c)
		answer, err := card.Authenticate(rand, *autn)
		if err != nil {
			t.Fatal(err)
		}
		if m := bts.yate("IMSI"+alice, yateAnswer(c, alice, fmt.Sprintf(`response="%x"`, answer.RES.Bytes()))); m.Status != 200 {
			t.Fatalf("got %d", m.Status)
		}
		w.golden("yatebts-umts")
	})
}

// app is a REGISTER of a SIP app.
func (h *host) app(user, authorization, more string) *sip.Message {
	h.w.t.Helper()
	h.send(`
REGISTER sip:campanile.test SIP/2.0
From: <sip:%[1]s@campanile.test>;tag=app{cseq}
To: <sip:%[1]s@campanile.test>
Call-ID: app-of-%[1]s
CSeq: {cseq} REGISTER
Max-Forwards: 70
%[3]s
%[2]s`, user, authorization, strings.TrimSpace(more))
	return h.recv()
}

// response answers the n-th challenge of a message.
func response(t *testing.T, m *sip.Message, n int, r digest.Request) string {
	t.Helper()
	c, err := digest.ParseChallenge(m.Values("WWW-Authenticate")[n])
	if err != nil {
		t.Fatal(err)
	}
	r.CNonce = "0a4f113b"
	cred, err := c.Respond(r)
	if err != nil {
		t.Fatal(err)
	}
	return "Authorization: " + cred.String()
}

const appContact = `Contact: <sip:app@192.168.1.7:5060;transport=udp>;expires=600`

func TestApp(t *testing.T) {
	play(t, func(o *Options) { o.Policy.MD5 = true }, func(w *world) {
		w.home.add(t, bob, "4915100002", "secret of bob")
		app := w.host("app", noAddr)
		c := app.app("4915100002", "", appContact)
		if m := app.app("4915100002", response(t, c, 0, digest.Request{Username: "4915100002", Password: "secret of bob", Method: "REGISTER", URI: "sip:campanile.test"}), appContact); m.Status != 200 {
			t.Fatalf("got %d", m.Status)
		}
		// The same over MD5, by IMSI, which ends all.
		star := "Contact: *\nExpires: 0"
		c = app.app("IMSI"+bob, "", star)
		if m := app.app("IMSI"+bob, response(t, c, 1, digest.Request{Username: "IMSI" + bob, Password: "secret of bob", Method: "REGISTER", URI: "sip:campanile.test"}), star); m.Status != 200 || len(m.Contact) != 0 {
			t.Fatalf("got %d with %d contacts", m.Status, len(m.Contact))
		}
		w.golden("app")
	})
}

// An IMS phone with a USIM (TS 24.229 §5.1.1.2, RFC 3310).
func TestIMS(t *testing.T) {
	play(t, nil, func(w *world) {
		sub := w.home.add(t, bob, "4915100002", "")
		card, err := aka.NewUSIM(aka.USIMOptions{Algorithm: sub.card})
		if err != nil {
			t.Fatal(err)
		}
		ue := w.host("ue", noAddr)
		private := bob + "@ims.mnc001.mcc001.3gppnetwork.org"
		first := fmt.Sprintf(`Authorization: Digest username="%s", realm="campanile.test", uri="sip:campanile.test", nonce="", response=""`, private)
		contact := `Contact: <sip:{me}>;expires=3600;+g.3gpp.smsip`
		c := ue.app(bob, first, contact)
		rand, autn := randOf(t, c)
		answer, err := card.Authenticate(rand, *autn)
		if err != nil {
			t.Fatal(err)
		}
		m := ue.app(bob, response(t, c, 0, digest.Request{Username: private, Password: string(answer.RES.Bytes()), Method: "REGISTER", URI: "sip:campanile.test"}), contact)
		if m.Status != 200 {
			t.Fatalf("got %d", m.Status)
		}
		w.golden("ims")
	})
}

// A phone without UMTS in a cell that says it knows AUTN answers with SRES: it is
// asked once more, as GSM does.
func TestYateBTSWithOldPhone(t *testing.T) {
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		w.home.add(t, alice, "", "")
		bts := w.host("bts", at)
		c := bts.yate("IMSI"+alice, "")
		if _, autn := randOf(t, c); autn == nil {
			t.Fatal("no AUTN for a USIM")
		}
		c = bts.yate("IMSI"+alice, yateAnswer(c, alice, fmt.Sprintf(`response="%s"`, w.sres(alice, c))))
		if _, autn := randOf(t, c); c.Status != 401 || autn != nil {
			t.Fatalf("got %d, AUTN %v", c.Status, autn)
		}
		m := bts.yate("IMSI"+alice, yateAnswer(c, alice, fmt.Sprintf(`response="%s"`, w.sres(alice, c))))
		// It takes a registration without a number for one that failed.
		if m.Status != 200 || m.Get("P-Associated-URI") != "<tel:+"+alice+`>;imsi="`+alice+`"` {
			t.Fatalf("got %d, %s", m.Status, m.Get("P-Associated-URI"))
		}
	})
}
