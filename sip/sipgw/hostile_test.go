package sipgw

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"campanile.network/internal/vault"
	"campanile.network/wire/home"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/digest"

	"github.com/cockroachdb/pebble/vfs"
)

// Each of the home's refusals has the status that OpenBTS turns into a cause, and
// the cause itself.
func TestRefusals(t *testing.T) {
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		sub := w.home.add(t, alice, "4915100001", "")
		bts := w.host("bts", at)
		for _, c := range []struct {
			code   home.Code
			status int
			cause  string
		}{
			{home.UnknownSubscriber, 404, "2"}, {home.ForeignRange, 424, "15"}, {home.Barred, 403, "15"}, {home.NotSubscribed, 603, "15"},
			{home.NotAuthorised, 424, "15"}, {home.RateLimited, 504, "22"}, {home.Unavailable, 503, "17"},
		} {
			w.home.do(func() { sub.refuse = c.code })
			bts.openBTS(alice, "", 5400)
			if m := bts.want(c.status); m.Get("P-GSM-Reject-Cause") != c.cause {
				t.Errorf("%v: cause %q, want %s", c.code, m.Get("P-GSM-Reject-Cause"), c.cause)
			}
		}
		w.home.do(func() { sub.refuse = 0 })
		bts.openBTS(alice, "", 5400)
		rand, _ := randOf(t, bts.want(401))
		bts.openBTS(alice, fmt.Sprintf(`Authorization: Digest nonce="%x", uri="%s", response="12345678"`, rand, alice), 5400)
		if m := bts.want(403); m.Get("P-GSM-Reject-Cause") != "3" {
			t.Errorf("a wrong SRES: cause %q", m.Get("P-GSM-Reject-Cause"))
		}
		if n := len(w.g.Registrations(9)); n != 0 {
			t.Errorf("%d are registered", n)
		}
		w.golden("refusals")
	})
}

// A RAND is good for one answer, of the phone and the station that were asked.
func TestAnswersAreBound(t *testing.T) {
	s, at := station(t, "bts")
	s2, at2 := station(t, "other")
	s2.Tower[0] = 8
	play(t, func(o *Options) { o.Stations = []Station{s, s2} }, func(w *world) {
		w.home.add(t, alice, "4915100001", "")
		w.home.add(t, bob, "4915100002", "")
		bts, other := w.host("bts", at), w.host("other", at2)
		bts.openBTS(alice, "", 5400)
		c := bts.want(401)
		rand, _ := randOf(t, c)
		answer := fmt.Sprintf(`Authorization: Digest nonce="%x", uri="%s", response="%s"`, rand, alice, w.sres(alice, c))
		other.openBTS(alice, answer, 5400)
		other.want(401)
		bts.openBTS(bob, answer, 5400)
		bts.want(401)
		bts.openBTS(alice, answer, 5400)
		first := bts.want(200)
		bts.openBTS(alice, answer, 5400)
		if m := bts.want(401); m.Get("WWW-Authenticate") == c.Get("WWW-Authenticate") {
			t.Error("the same RAND again")
		}
		// The very same request once more, from somebody without branches.
		bts.cseq -= 2
		bts.openBTS(alice, answer, 5400)
		if m := bts.want(200); m.Get("Authentication-Info") != first.Get("Authentication-Info") {
			t.Error("a repetition got another answer")
		}
		if n := w.home.proven(); n != 1 {
			t.Errorf("%d answers were right", n)
		}
		// Too late.
		bts.cseq = 500
		bts.openBTS(alice, "", 5400)
		c = bts.want(401)
		rand, _ = randOf(t, c)
		w.clock.move(challengeLife)
		bts.openBTS(alice, fmt.Sprintf(`Authorization: Digest nonce="%x", uri="%s", response="%s"`, rand, alice, w.sres(alice, c)), 5400)
		bts.want(401)
	})
}

// Who is no station gets no key and is not believed what it says of a phone.
func TestStrangers(t *testing.T) {
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		w.home.add(t, alice, "4915100001", "")
		bts, mallory := w.host("bts", at), w.host("mallory", noAddr)
		bts.attach(alice)
		mallory.openBTS(alice, "", 5400)
		if m := mallory.want(401); m.Get("WWW-Authenticate") == "" || len(m.Get("WWW-Authenticate")) < 60 {
			t.Errorf("a stranger is asked %q", m.Get("WWW-Authenticate"))
		}
		mallory.openBTS(alice, "", 0) // a detach
		mallory.want(401)
		mallory.openBTSMessage(alice, "00")
		mallory.want(401)
		if len(w.g.Registrations(9)) != 1 || w.g.Stats().Distrusted == 0 {
			t.Errorf("%+v", w.g.Stats())
		}
		// A station speaks for its own phones alone.
		bts.openBTSMessage(bob, "00")
		bts.want(403)
		// Nobody finds out who is a subscriber.
		unknown := mallory.app("4915199999", "", appContact)
		known := mallory.app("4915100001", "", appContact)
		for _, m := range []*sip.Message{unknown, known} {
			a := mallory.app(m.To.URI.User, response(t, m, 0, digest.Request{Username: m.To.URI.User, Password: "guess", Method: "REGISTER", URI: "sip:campanile.test"}), appContact)
			if a.Status != 403 || a.Get("P-GSM-Reject-Cause") != "" {
				t.Errorf("%s got %d", m.To.URI.User, a.Status)
			}
		}
	})
}

// A phone that roams is where it registered last; a late good bye from where it was
// changes nothing, and each place is counted apart.
func TestRoaming(t *testing.T) {
	s, at := station(t, "east", cell(1, 1))
	s2, at2 := station(t, "west", cell(2, 2), cell(0x3ef, 0xa))
	s2.Tower[0] = 8
	play(t, func(o *Options) { o.Stations = []Station{s, s2} }, func(w *world) {
		w.home.add(t, alice, "4915100001", "")
		east, west := w.host("east", at), w.host("west", at2)
		east.attach(alice)
		west.attach(alice)
		east.openBTS(alice, "", 0)
		east.want(200)
		all := w.g.Registrations(9)
		if len(all) != 1 || all[0].Station != "west" || all[0].Cell != "001/01:03ef-000a" || all[0].TA != 1 || all[0].RSSI != -26 {
			t.Fatalf("%+v", all)
		}
		east.openBTSMessage(alice, "00")
		east.want(403)
		west.attach(alice) // the same ticket at the same cell
		west.openBTS(alice, "", 0)
		west.want(200)
		ticket := "ticket of " + alice
		want := []string{"enter " + ticket + " at 001/01:0001-0001", "enter " + ticket + " at 001/01:03ef-000a",
			"leave " + ticket + " at 001/01:0001-0001", "leave " + ticket + " at 001/01:03ef-000a"}
		if !slices.Equal(w.tally.all(), want) {
			t.Errorf("counted %q", w.tally.all())
		}
		if w.g.Stats().OtherCell != 1 { // east named west's cell
			t.Errorf("%d named a cell of others", w.g.Stats().OtherCell)
		}
	})
}

// Nobody's voice and messages are carried that would not be paid.
func TestWithoutTally(t *testing.T) {
	s, at := station(t, "bts")
	play(t, func(o *Options) { o.Stations = []Station{s} }, func(w *world) {
		w.home.add(t, alice, "4915100001", "")
		w.tally.refuse(errors.New("full"))
		bts := w.host("bts", at)
		bts.openBTS(alice, "", 5400)
		c := bts.want(401)
		rand, _ := randOf(t, c)
		bts.openBTS(alice, fmt.Sprintf(`Authorization: Digest nonce="%x", uri="%s", response="%s"`, rand, alice, w.sres(alice, c)), 5400)
		bts.want(503)
		if len(w.g.Registrations(9)) != 0 {
			t.Error("registered all the same")
		}
	})
}

// How long a registration is good, and how many there may be (RFC 3261 §10.3).
func TestExpiry(t *testing.T) {
	s, _ := station(t, "bts")
	play(t, func(o *Options) { o.Stations, o.Policy.MaxContacts = []Station{s}, 2 }, func(w *world) {
		w.home.add(t, alice, "4915100001", "")
		w.home.add(t, bob, "4915100002", "secret of bob")
		app := w.host("app", noAddr)
		register := func(contact string) *sip.Message {
			t.Helper()
			c := app.app("4915100002", "", contact)
			return app.app("4915100002", response(t, c, 0, digest.Request{Username: "4915100002", Password: "secret of bob", Method: "REGISTER", URI: "sip:campanile.test"}), contact)
		}
		if m := register("Contact: <sip:a@10.0.0.1>;expires=30"); m.Status != 423 || m.Get("Min-Expires") != "60" {
			t.Errorf("30 s: %d, Min-Expires %q", m.Status, m.Get("Min-Expires"))
		}
		for _, c := range []struct {
			contact string
			want    int
		}{
			{"Contact: <sip:a@10.0.0.1>;expires=999999", 7200}, {"Contact: <sip:a@10.0.0.1>\nExpires: 120", 120}, {"Contact: <sip:a@10.0.0.1>", 3600},
		} {
			if m := register(c.contact); m.Status != 200 || len(m.Contact) != 1 || m.Contact[0].Expires() != c.want {
				t.Errorf("%s: %d with %v", c.contact, m.Status, m.Contact)
			}
		}
		if m := register("Contact: <sip:a@10.0.0.1>;expires=600, <sip:b@10.0.0.1>;expires=900"); m.Status != 200 || len(m.Contact) != 2 {
			t.Errorf("two contacts: %d with %v", m.Status, m.Contact)
		}
		if m := register("Contact: <sip:a@10.0.0.1>;expires=600, <sip:b@10.0.0.1>;expires=900, <sip:c@10.0.0.1>;expires=900"); m.Status != 403 {
			t.Errorf("a contact too many at once: %d", m.Status)
		}
		w.clock.move(time.Second)
		register("Contact: <sip:a@10.0.0.1>;expires=600")
		if m := register("Contact: <sip:c@10.0.0.1>;expires=60"); m.Status != 200 || len(m.Contact) != 2 || m.Contact[0].URI.User+m.Contact[1].URI.User != "ac" {
			t.Errorf("a contact too many: %d with %v", m.Status, m.Contact)
		}
		w.clock.move(time.Second)
		// One instance is one place, whatever its address.
		for port := range 3 {
			if m := register(fmt.Sprintf(`Contact: <sip:b@10.0.0.1:%d>;+sip.instance="<urn:uuid:1>";expires=900`, 4000+port)); m.Status != 200 || len(m.Contact) != 2 {
				t.Errorf("an instance: %d with %v", m.Status, m.Contact)
			}
		}
		if m := register("Contact: <mailto:a@b>"); m.Status != 400 {
			t.Errorf("mailto: %d", m.Status)
		}
		w.clock.move(610 * time.Second)
		if m := register("X-Nothing: to see"); m.Status != 200 || len(m.Contact) != 1 || m.Contact[0].URI.User != "b" {
			t.Errorf("after ten minutes: %d with %v", m.Status, m.Contact)
		}
		if m := register(`Contact: <sip:b@10.0.0.1>;+sip.instance="<urn:uuid:1>";expires=0`); m.Status != 200 || len(m.Contact) != 0 {
			t.Errorf("taken back: %d with %v", m.Status, m.Contact)
		}
	})
}

// Registrations outlive the process, what is over does not.
func TestRestart(t *testing.T) {
	s, at := station(t, "bts")
	disk := vfs.NewMem()
	open := func() *vault.Vault {
		v, err := vault.Open("sip.db", vault.Options{Key: [32]byte{1}, Role: "sip", Of: "the SIP gateway", Schema: RecordSchema, FS: disk})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	v := open()
	play(t, func(o *Options) { o.Stations, o.Store = []Station{s}, v }, func(w *world) {
		w.home.add(t, alice, "4915100001", "")
		w.home.add(t, bob, "4915100002", "secret of bob")
		bts := w.host("bts", at)
		bts.attach(alice)
		w.host("app", noAddr).signIn("4915100002", "secret of bob")
		bts.conn.Close()
	})
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	v = open()
	play(t, func(o *Options) { o.Stations, o.Store = []Station{s}, v }, func(w *world) {
		all := w.g.Registrations(9)
		if len(all) != 2 {
			t.Fatalf("%+v", all)
		}
		bts := w.host("bts", at)
		bts.openBTSMessage(alice, fmt.Sprintf("%x", submit(t, "+4915100002", "still here")))
		bts.want(202)
		bts.openBTS(alice, "", 0)
		bts.want(200)
		bts.conn.Close()
	})
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	v = open()
	defer v.Close()
	play(t, func(o *Options) { o.Store = v }, func(w *world) {
		if all := w.g.Registrations(9); len(all) != 1 || all[0].Kind != "app" {
			t.Fatalf("%+v", all)
		}
	})
}

// Methods and headers that are not done here are refused as RFC 3261 wants.
func TestRequests(t *testing.T) {
	play(t, nil, func(w *world) {
		h := w.host("ua", noAddr)
		for _, c := range []struct {
			method, uri, more string
			status            int
			header            string
		}{
			{"OPTIONS", "sip:{gw}", "", 200, "Allow"},
			{"SUBSCRIBE", "sip:{gw}", "Event: presence\n", 489, ""},
			{"PUBLISH", "sip:{gw}", "Event: presence\n", 489, ""},
			{"NOTIFY", "sip:{gw}", "Event: presence\n", 481, ""},
			{"REFER", "sip:{gw}", "", 481, ""},
			{"BYE", "sip:{gw}", "", 481, ""},
			{"DANCE", "sip:{gw}", "", 501, "Allow"},
			{"REGISTER", "sip:{gw}", "Require: path, sec-agree\n", 420, "Unsupported"},
			{"OPTIONS", "mailto:x@y", "", 416, ""},
			{"REGISTER", "sip:{gw}", "Authorization: Digest nonce\n", 400, ""},
		} {
			h.send("%s %s SIP/2.0\nFrom: <sip:ua@x>;tag=q{cseq}\nTo: <sip:{gw}>\nCall-ID: q{cseq}\nCSeq: {cseq} %s\nMax-Forwards: 70\n%s", c.method, c.uri, c.method, c.more)
			if m := h.recv(); m.Status != c.status || c.header != "" && m.Get(c.header) == "" {
				t.Errorf("%s %s %s: %d, want %d with %s", c.method, c.uri, c.more, m.Status, c.status, c.header)
			}
		}
	})
}
