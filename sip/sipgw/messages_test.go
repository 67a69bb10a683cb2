package sipgw

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/sip/smsc"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/digest"
)

// submit is an RP-DATA with an SMS-SUBMIT, as a phone makes it.
func submit(t testing.TB, to, text string) []byte {
	t.Helper()
	dest, err := sms.NewAddress(to)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := sms.Split(text, sms.SplitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	tpdu, err := sms.Append(nil, &sms.Submit{Destination: dest, DCS: parts[0].DCS, User: parts[0].User})
	if err != nil {
		t.Fatal(err)
	}
	centre, _ := sms.NewAddress("+49170000")
	b, err := sms.Append(nil, &sms.RPData{Direction: sms.Uplink, Reference: 42, Destination: centre, User: tpdu})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// delivery is a message for a phone.
func delivery(t *testing.T, imsi, from, text string) smsc.Delivery {
	t.Helper()
	parts, err := sms.Split(text, sms.SplitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sender, _ := sms.NewAddress(from)
	tpdu, err := sms.Append(nil, &sms.Deliver{Originator: sender, DCS: parts[0].DCS, User: parts[0].User, Timestamp: sms.Timestamp{0x62, 0x50, 0x10, 0x21, 0, 0, 0}})
	if err != nil {
		t.Fatal(err)
	}
	centre, _ := sms.NewAddress("+49170000")
	i, err := id.ParseIMSI(imsi)
	if err != nil {
		t.Fatal(err)
	}
	return smsc.Delivery{IMSI: i, Key: smsc.Key{0xca, 0xfe}, Data: sms.RPData{Direction: sms.Downlink, Reference: 7, Originator: centre, User: tpdu}}
}

// bring delivers in the background and tells what came of it.
func (w *world) bring(d smsc.Delivery) chan result {
	c := make(chan result, 1)
	go func() {
		rp, err := w.g.Deliver(context.Background(), d)
		c <- result{rp, err}
	}()
	return c
}

type result struct {
	rp  sms.RP
	err error
}

func (h *host) openBTSMessage(imsi, body string) {
	h.w.t.Helper()
	h.send(`
MESSAGE sip:smsc@{gw} SIP/2.0
From: IMSI%[1]s <sip:IMSI%[1]s@{me}>;tag=m{cseq}
To: smsc <sip:smsc@{gw}>
Call-ID: msg{cseq}@{mehost}
CSeq: {cseq} MESSAGE
Max-Forwards: 70
P-Access-Network-Info: 3GPP-GERAN; cgi-3gpp=0010103ef000a
Content-Type: application/vnd.3gpp.sms

%[2]s`, imsi, body)
}

// A message from and to a phone in a cell of OpenBTS: digits in the body, the
// answer's status says what became of it.
func TestMessagesOfOpenBTS(t *testing.T) {
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		w.home.add(t, alice, "4915100001", "")
		bts := w.host("bts", at)
		bts.attach(alice)
		w.text.Reset()
		bts.openBTSMessage(alice, hex.EncodeToString(submit(t, "+4915100002", "Glück auf")))
		bts.want(202)
		w.centre.do(func() { w.centre.answer = &sms.RPError{Cause: sms.RPCauseUnassignedNumber} })
		bts.openBTSMessage(alice, hex.EncodeToString(submit(t, "+4915100003", "nobody")))
		bts.want(404)
		done := w.bring(delivery(t, alice, "+4915100002", "Glück ab"))
		bts.answer(bts.recv(), 200, nil)
		if r := <-done; r.err != nil || fmt.Sprintf("%T", r.rp) != "*sms.RPAck" {
			t.Errorf("%+v", r)
		}
		w.g.Delivered(delivery(t, alice, "+4915100002", ""))
		done = w.bring(delivery(t, alice, "+4915100002", "no room"))
		bts.answer(bts.recv(), 480, nil)
		if r := <-done; !errors.Is(r.err, smsc.ErrAbsent) {
			t.Errorf("%+v", r)
		}
		w.golden("openbts-messages")
		rps, _, from := w.centre.took()
		in := rps[0].(*sms.RPData)
		if tpdu, err := in.TPDU(); err != nil || from[0].MSISDN.Digits() != "4915100001" {
			t.Errorf("the centre got %v from %v: %v", tpdu, from[0], err)
		}
		ticket := "ticket of " + alice + " at 001/01:03ef-000a"
		if want := []string{"enter " + ticket, "message 1 " + ticket, "message 1 " + ticket}; !slices.Equal(w.tally.all(), want) {
			t.Errorf("counted %q", w.tally.all())
		}
	})
}

// YateBTS: the octets themselves, by number, and an RPDU in the answer.
func TestMessagesOfYateBTS(t *testing.T) {
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		w.home.addSIM(t, alice, "4915100001")
		bts := w.host("bts", at)
		c := bts.yate("IMSI"+alice, "")
		if m := bts.yate("IMSI"+alice, yateAnswer(c, alice, fmt.Sprintf(`response="%s"`, w.sres(alice, c)))); m.Status != 200 {
			t.Fatalf("got %d", m.Status)
		}
		send := func() sms.RP {
			t.Helper()
			bts.send(`
MESSAGE sip:+49170000@{gw} SIP/2.0
From: <sip:+4915100001@{mehost}>;tag=y{cseq}
To: <sip:+49170000@{gw}>
Call-ID: y{cseq}@{mehost}
CSeq: {cseq} MESSAGE
Max-Forwards: 20
Supported: sms-response
P-Called-Party-ID: <tel:+4915100002>
P-Access-Network-Info: 3GPP-GERAN; cgi-3gpp=0010103ef000a
Content-Type: application/vnd.3gpp.sms

%s`, submit(t, "+4915100002", "hello"))
			m := bts.want(200)
			rp, err := sms.ParseRP(sms.Downlink, m.Body)
			if err != nil {
				t.Fatalf("%v in %x", err, m.Body)
			}
			return rp
		}
		if rp, ok := send().(*sms.RPAck); !ok || rp.Reference != 42 {
			t.Errorf("%v", rp)
		}
		w.centre.do(func() { w.centre.err = errors.New("away") })
		if rp, ok := send().(*sms.RPError); !ok || rp.Cause != sms.RPCauseNetworkOutOfOrder {
			t.Errorf("%v", rp)
		}
		done := w.bring(delivery(t, alice, "+4915100002", "hi"))
		m := bts.recv()
		if _, err := sms.ParseRP(sms.Downlink, m.Body); err != nil || m.URI.User != "IMSI"+alice || m.Get("Supported") != "sms-response" {
			t.Errorf("%v to %v with %x", err, m.URI, m.Body)
		}
		bts.answer(m, 200, func(a *sip.Message) {
			b, err := sms.Append(nil, &sms.RPError{Direction: sms.Uplink, Reference: 7, Cause: sms.RPCauseMemoryCapacityExceeded})
			if err != nil {
				t.Fatal(err)
			}
			a.ContentType, a.Body = rpduType, b
		})
		if r := <-done; r.err != nil || r.rp.(*sms.RPError).Cause != sms.RPCauseMemoryCapacityExceeded {
			t.Errorf("%+v", r)
		}
	})
}

// signIn registers an app and gives what it has to send.
func (h *host) signIn(user, password string) {
	h.w.t.Helper()
	c := h.app(user, "", appContact)
	if m := h.app(user, response(h.w.t, c, 0, digest.Request{Username: user, Password: password, Method: "REGISTER", URI: "sip:campanile.test"}), appContact); m.Status != 200 {
		h.w.t.Fatalf("got %d", m.Status)
	}
}

func (h *host) appMessage(user, to, authorization, contentType, body string) *sip.Message {
	h.w.t.Helper()
	h.send(`
MESSAGE sip:%[2]s@campanile.test SIP/2.0
From: <sip:%[1]s@campanile.test>;tag=am{cseq}
To: <sip:%[2]s@campanile.test>
Call-ID: am{cseq}
CSeq: {cseq} MESSAGE
Max-Forwards: 70
Content-Type: %[4]s
%[3]s

%[5]s`, user, to, authorization, contentType, body)
	return h.recv()
}

// An app sends and gets text; each message proves itself.
func TestMessagesOfApps(t *testing.T) {
	play(t, nil, func(w *world) {
		w.home.add(t, bob, "4915100002", "secret of bob")
		app := w.host("app", noAddr)
		app.signIn("4915100002", "secret of bob")
		w.text.Reset()
		c := app.appMessage("4915100002", "+4915100001", "", "text/plain;charset=utf-8", "Grüße")
		if c.Status != 401 {
			t.Fatalf("unproven: %d", c.Status)
		}
		proof := response(t, c, 0, digest.Request{Username: "4915100002", Password: "secret of bob", Method: "MESSAGE", URI: "sip:+4915100001@campanile.test"})
		if m := app.appMessage("4915100002", "+4915100001", proof, "text/plain;charset=utf-8", "Grüße"); m.Status != 202 {
			t.Fatalf("got %d", m.Status)
		}
		done := w.bring(delivery(t, bob, "+4915100001", "Привет"))
		app.answer(app.recv(), 200, nil)
		if r := <-done; r.err != nil {
			t.Error(r.err)
		}
		w.golden("app-messages")
		if _, texts, _ := w.centre.took(); len(texts) != 1 || texts[0] != "+4915100001: Grüße" {
			t.Errorf("the centre got %q", texts)
		}
		// An answer counts once.
		if m := app.appMessage("4915100002", "+4915100001", proof, "text/plain", "again"); m.Status != 401 {
			t.Errorf("an answer that was used: %d", m.Status)
		}
	})
}

// An IMS phone answers a message with a MESSAGE of its own (TS 24.341).
func TestMessagesOfIMS(t *testing.T) {
	play(t, nil, func(w *world) {
		imsi, _ := id.ParseIMSI(bob)
		w.home.add(t, bob, "4915100002", "")
		ue := w.host("ue", noAddr)
		contact, _ := sip.ParseAddress("<sip:" + ue.at.String() + ">")
		b := &Binding{IMSI: imsi, Kind: IMS, Contact: contact, Expires: w.clock.now().Add(1e12)}
		b.Flow.Transport, b.Flow.Local, b.Flow.Remote = "UDP", w.at, ue.at
		if _, err := w.g.table.put(b, w.clock.now()); err != nil {
			t.Fatal(err)
		}
		done := w.bring(delivery(t, bob, "+4915100001", "hi"))
		ue.answer(ue.recv(), 202, nil)
		if !w.g.reports.bring(imsi, &sms.RPAck{Direction: sms.Uplink, Reference: 7}) {
			t.Error("nobody waits for the report")
		}
		if r := <-done; r.err != nil || fmt.Sprintf("%T", r.rp) != "*sms.RPAck" {
			t.Errorf("%+v", r)
		}
		if w.g.reports.bring(imsi, &sms.RPAck{Direction: sms.Uplink, Reference: 7}) {
			t.Error("a report twice")
		}
	})
}

// What cannot be taken is refused with what RFC 3261 wants.
func TestMessagesRefused(t *testing.T) {
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		w.home.add(t, alice, "4915100001", "")
		bts := w.host("bts", at)
		bts.attach(alice)
		for _, c := range []struct {
			kind, more, body string
			status           int
		}{
			{"application/vnd.3gpp.sms", "", "not hex", 400},
			{"application/vnd.3gpp.sms", "", "", 400},
			{"application/vnd.3gpp.sms", "", "ffff", 400},
			{"text/html", "", "<p>", 415},
			{"text/plain;charset=latin1", "", "x", 415},
			{"text/plain", "Content-Encoding: gzip\n", "x", 415},
			{"text/plain", "Require: teleport\n", "x", 420},
			{"text/plain", "", strings.Repeat("x", maxText+1), 413},
		} {
			bts.send(`
MESSAGE sip:12345@{gw} SIP/2.0
From: <sip:IMSI%s@{me}>;tag=r{cseq}
To: <sip:12345@{gw}>
Call-ID: r{cseq}
CSeq: {cseq} MESSAGE
Max-Forwards: 70
%sContent-Type: %s

%s`, alice, c.more, c.kind, c.body)
			if m := bts.recv(); m.Status != c.status {
				t.Errorf("%s %s%.10q: %d, want %d", c.kind, c.more, c.body, m.Status, c.status)
			}
		}
		if rps, texts, _ := w.centre.took(); len(rps)+len(texts) != 0 {
			t.Error("the centre was told of one")
		}
	})
}

func TestReadRPDU(t *testing.T) {
	binary := submit(t, "+491", "x")
	for _, body := range [][]byte{binary, []byte(hex.EncodeToString(binary)), []byte(strings.ToUpper(hex.EncodeToString(binary)) + "\r\n")} {
		if got, err := ReadRPDU(body); err != nil || string(got) != string(binary) {
			t.Errorf("%q: %x, %v", body, got, err)
		}
	}
	for _, body := range []string{"", "0", "zz", "01 02"} {
		if got, err := ReadRPDU([]byte(body)); err == nil {
			t.Errorf("%q: %x", body, got)
		}
	}
}

// USSD: the answer stands in the BYE, behind the ACK.
func TestUSSD(t *testing.T) {
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		w.home.add(t, alice, "4915100001", "")
		bts := w.host("bts", at)
		bts.attach(alice)
		w.text.Reset()
		bts.send(`
INVITE sip:*100#;phone-context=irrelevant.net;user=dialstring@{gw} SIP/2.0
From: <sip:IMSI%[1]s@{me}>;tag=u{cseq}
To: <sip:*100#@{gw}>
Call-ID: ussd{cseq}@{mehost}
CSeq: {cseq} INVITE
Contact: <sip:IMSI%[1]s@{me}>
Max-Forwards: 70
Recv-Info: g.3gpp.ussd
Content-Type: application/vnd.3gpp.ussd+xml

<?xml version="1.0" encoding="UTF-8"?><ussd-data><language>en</language><ussd-string>*100#</ussd-string></ussd-data>`, alice)
		ok := bts.want(200)
		bts.send(`
ACK sip:{gw} SIP/2.0
From: <sip:IMSI%[1]s@{me}>;tag=%[2]s
To: <sip:*100#@{gw}>;tag=%[3]s
Call-ID: %[4]s
CSeq: %[5]d ACK
Max-Forwards: 70
`, alice, ok.From.Tag(), ok.To.Tag(), ok.CallID, ok.CSeq.Seq)
		bye := bts.recv()
		bts.answer(bye, 200, nil)
		if bye.Method != sip.MethodBye || !strings.Contains(string(bye.Body), "You &lt;4915100001&gt; dialled *100#") {
			t.Errorf("%s with %s", bye.Method, bye.Body)
		}
		w.golden("ussd")
	})
}
