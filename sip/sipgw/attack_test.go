package sipgw

import (
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"campanile.network/wire/sip"
	"campanile.network/wire/sip/digest"
)

// log keeps what is logged at Info and above.
type log struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Strangers who ask for challenges in the name of somebody's SIM get few, so that
// its home has enough left for the phone in its cell; and they do not learn who
// has one.
func TestStrangersAskForSIMs(t *testing.T) {
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		w.home.add(t, bob, "4915100002", "")
		mallory := w.host("mallory", noAddr)
		ask := func(imsi string) *sip.Message {
			return mallory.app(imsi, fmt.Sprintf(`Authorization: Digest username="%s@ims.test", realm="campanile.test", uri="sip:campanile.test", nonce="", response=""`, imsi), "Contact: <sip:{me}>")
		}
		var last [2]*sip.Message
		for range 30 {
			for i, imsi := range []string{bob, "001010000000077"} {
				last[i] = ask(imsi)
			}
		}
		w.home.mu.Lock()
		drawn := w.home.drawn
		w.home.mu.Unlock()
		if drawn > spareFirst {
			t.Errorf("the home has drawn %d challenges", drawn)
		}
		if last[0].Status != 504 || last[0].Get("Retry-After") == "" || last[1].Status != 504 || last[0].Get("P-GSM-Reject-Cause") != "" {
			t.Errorf("who is known: %d %s; who is not: %d %s", last[0].Status, last[0].Reason, last[1].Status, last[1].Reason)
		}
		w.host("bts", at).attach(bob)
		w.clock.move(spareEvery)
		if m := ask(bob); m.Status != 401 {
			t.Errorf("%v later: %d", spareEvery, m.Status)
		}
	})
}

// Whatever strangers send fills no log, and they are told no cause that is for phones.
func TestStrangersFillNoLog(t *testing.T) {
	l := &log{}
	s, _ := station(t, "bts")
	play(t, func(o *Options) {
		o.Stations, o.Logger = []Station{s}, slog.New(slog.NewTextHandler(l, nil))
	}, func(w *world) {
		mallory := w.host("mallory", noAddr)
		for _, more := range []string{"Authorization: Digest nonce", "Authorization: Digest nonce=\"x\", response=\"y", "Authorization: Basic x", ""} {
			mallory.openBTS(alice, more, 5400)
			if m := mallory.recv(); m.Get("P-GSM-Reject-Cause") != "" {
				t.Errorf("%q got %d with a cause", more, m.Status)
			}
		}
		if l.String() != "" {
			t.Errorf("logged:\n%s", l)
		}
	})
}

// A message that an app has taken is not paid to the cell at which the
// subscriber's phone is registered and has not answered.
func TestMessageIsCountedWhereItWent(t *testing.T) {
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		w.home.add(t, bob, "4915100002", "secret of bob")
		bts, app := w.host("bts", at), w.host("app", noAddr)
		bts.attach(bob)
		app.signIn("4915100002", "secret of bob")
		d := delivery(t, bob, "+4915100001", "who has it?")
		done := w.bring(d)
		bts.answer(bts.recv(), 480, nil)
		app.answer(app.recv(), 200, nil)
		if r := <-done; r.err != nil {
			t.Fatal(r.err)
		}
		w.g.Delivered(d)
		for _, line := range w.tally.lines {
			if strings.HasPrefix(line, "message") {
				t.Errorf("counted %q", w.tally.lines)
			}
		}
		done = w.bring(d)
		bts.answer(bts.recv(), 200, nil)
		<-done
		w.g.Delivered(d)
		w.g.Delivered(d)
		if n := strings.Count(strings.Join(w.tally.lines, "\n"), "message 1"); n != 1 {
			t.Errorf("counted %q", w.tally.lines)
		}
	})
}

func requestOf(user, password string) digest.Request {
	return digest.Request{Username: user, Password: password, Method: "REGISTER", URI: "sip:campanile.test"}
}

// What two subscribers may not do to each other: register in the other's name with
// one's own right answer, take his registration back, send in his name.
func TestOthersNames(t *testing.T) {
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		w.home.add(t, alice, "4915100001", "secret of alice")
		w.home.add(t, bob, "4915100002", "secret of bob")
		w.host("bts", at).attach(alice)
		good := w.host("good", noAddr)
		good.signIn("4915100001", "secret of alice")
		evil := w.host("evil", noAddr)
		before := w.g.Registrations(9)
		for _, name := range []string{"4915100001", alice, "IMSI" + alice} {
			for _, body := range []string{appContact, "Contact: *\nExpires: 0"} {
				c := evil.app("4915100002", "", body)
				a := response(t, c, 0, requestOf("4915100002", "secret of bob"))
				if m := evil.app(name, a, body); m.Status == 200 {
					t.Errorf("registered as %s", name)
				}
			}
		}
		if after := w.g.Registrations(9); len(after) != len(before) {
			t.Errorf("%d registrations, %d before", len(after), len(before))
		}
		evil.openBTSMessage(alice, "00")
		evil.want(401)
		evil.send("MESSAGE sip:+4915100002@{gw} SIP/2.0\nFrom: <sip:+4915100001@campanile.test>;tag=e\nTo: <sip:x@{gw}>\nCall-ID: e1\nCSeq: 1 MESSAGE\nMax-Forwards: 70\nP-Asserted-Identity: <sip:+4915100001@campanile.test>\nContent-Type: text/plain\n\nhello")
		evil.want(401)
		if len(w.centre.texts)+len(w.centre.rps) != 0 {
			t.Errorf("taken: %q", w.centre.texts)
		}
	})
}

// An app that registers from ever other ports is known at the last one alone.
func TestKnownWhereItIs(t *testing.T) {
	play(t, func(o *Options) { o.Now = time.Now }, func(w *world) {
		w.home.add(t, bob, "4915100002", "secret of bob")
		app := w.host("app", noAddr)
		for range 5 {
			c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: app.at.Addr().AsSlice()})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			app.conn, app.at = c, c.LocalAddr().(*net.UDPAddr).AddrPort()
			app.signIn("4915100002", "secret of bob")
		}
		if n := w.g.Endpoint().Stats().Known; n != 1 {
			t.Errorf("%d senders are known", n)
		}
	})
}
