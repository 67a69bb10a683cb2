package calls

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/sip"
)

// trunkOptions is a provider at an address.
func trunkOptions(name, at string, rates ...Rate) Trunk {
	return Trunk{Name: name, Proxy: "sip:" + at, Rates: rates, Format: "+"}
}

func withTrunks(all ...Trunk) func(*Options) {
	return func(o *Options) {
		o.Trunks = all
		o.Numbers = Numbers{Country: "49", National: "0", International: "00", Emergency: []string{"112"}}
	}
}

// A provider sends our own call back to us.
func TestLoop(t *testing.T) {
	inRig(t, withTrunks(trunkOptions("out", "10.0.9.1:5060", Rate{Prefix: ""})), func(r *rig) {
		a, out := r.app("a", "10.0.2.1:5060", 1, "492101"), r.peer("out", "10.0.9.1:5060")
		da := a.calls("+33123456", appSDP(a))
		db := out.rung()
		back := db.invite.Clone()
		v := sip.Via{Transport: "UDP", Host: "10.0.9.1", Port: 5060}
		v.Params.Set("branch", "z9hG4bKloop")
		back.Via = append([]sip.Via{v}, back.Via...)
		back.MaxForwards--
		out.say(back)
		out.hear("482")
		loop := sip.NewRequest("ACK", back.URI)
		loop.Via, loop.From, loop.To, loop.CallID, loop.CSeq.Seq = back.Via[:1], back.From, back.To, back.CallID, back.CSeq.Seq
		out.say(loop)
		db.says(db.invite, 404, "")
		out.hear("ACK")
		da.refused(404)
	})
}

// The trunk with the longest prefix and then the lowest price is first; one that
// fails or is silent is passed over for the next, and comes last for a while.
func TestLeastCost(t *testing.T) {
	trunks := withTrunks(
		trunkOptions("world", "10.0.9.1:5060", Rate{"", 5}),
		trunkOptions("france", "10.0.9.2:5060", Rate{"33", 9}, Rate{"331", 2}),
		trunkOptions("cheap", "10.0.9.3:5060", Rate{"33", 3}),
	)
	inRig(t, trunks, func(r *rig) {
		for number, want := range map[string][]string{
			"33123": {"france", "cheap", "world"}, "33999": {"cheap", "france", "world"}, "44123": {"world"},
		} {
			n, _ := id.ParseMSISDN(number)
			var got []string
			for _, w := range r.sw.outside(n) {
				got = append(got, w.trunk.o.Name)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s goes by %v, want %v", number, got, want)
			}
		}
		a := r.app("a", "10.0.2.1:5060", 1, "492101")
		france, cheap, world := r.peer("france", "10.0.9.2:5060"), r.peer("cheap", "10.0.9.3:5060"), r.peer("world", "10.0.9.1:5060")
		da := a.calls("0033 123", appSDP(a))
		d1 := france.rung()
		if d1.invite.URI.User != "+33123" || d1.invite.From.URI.User != "+492101" {
			t.Errorf("the provider hears %v from %v", d1.invite.URI, d1.invite.From)
		}
		d1.says(d1.invite, 503, "")
		france.hear("ACK")
		begun := time.Now()
		cheap.hear("INVITE") // and says nothing
		d3 := world.rung()
		if d := time.Since(begun); d < 5*time.Second || d > 8*time.Second {
			t.Errorf("the silent provider was given %v", d)
		}
		d3.says(d3.invite, 200, audio("10.0.9.1", 4000, "8 PCMA/8000"))
		da.answered()
		world.hear("ACK")
		n, _ := id.ParseMSISDN("33123")
		if w := r.sw.outside(n); w[0].trunk.o.Name != "world" {
			t.Errorf("who has failed just now is first: %s", w[0].trunk.o.Name)
		}
		da.hangsUp(d3)
		if c := r.record(); c.Called.Trunk != "world" {
			t.Errorf("%+v", c)
		}
	})
}

// A provider wants to know who calls; the answer is kept to the end of the call.
func TestTrunkCredentials(t *testing.T) {
	o := trunkOptions("out", "10.0.9.1:5060", Rate{})
	o.User, o.Password = "campanile", "secret"
	inRig(t, withTrunks(o), func(r *rig) {
		a, out := r.app("a", "10.0.2.1:5060", 1, "492101"), r.peer("out", "10.0.9.1:5060")
		da := a.calls("+33123", appSDP(a))
		d := out.rung()
		ask := func(m *sip.Message) {
			m.Add("Proxy-Authenticate", `Digest realm="provider", nonce="abc", qop="auth", algorithm=SHA-256`)
		}
		d.says(d.invite, 407, "", ask)
		out.acks()
		again := out.rung()
		if v := again.invite.Get("Proxy-Authorization"); !strings.Contains(v, `username="campanile"`) || strings.Contains(v, "secret") || again.invite.CSeq.Seq <= d.invite.CSeq.Seq || again.callID != d.callID {
			t.Errorf("the provider hears:\n%s", text(again.invite))
		}
		again.says(again.invite, 200, audio("10.0.9.1", 4000, "8 PCMA/8000"))
		da.answered()
		out.hear("ACK")
		da.send("BYE", "")
		a.hear("200")
		bye := out.hear("BYE")
		again.says(bye, 407, "", ask)
		bye = out.hear("BYE")
		if bye.Get("Proxy-Authorization") == "" {
			t.Errorf("the second BYE is\n%s", text(bye))
		}
		again.says(bye, 200, "")
	})
	inRig(t, withTrunks(o), func(r *rig) { // a wrong password is our affair
		a, out := r.app("a", "10.0.2.1:5060", 1, "492101"), r.peer("out", "10.0.9.1:5060")
		da := a.calls("+33123", appSDP(a))
		for range 2 {
			d := out.rung()
			d.says(d.invite, 401, "", func(m *sip.Message) { m.Add("WWW-Authenticate", `Digest realm="provider", nonce="abc"`) })
			out.hear("ACK")
		}
		da.refused(500)
	})
}

// A call from outside: to the subscriber whom the number stands for, shown with
// the number that the provider vouches for; never out again.
func TestFromTrunk(t *testing.T) {
	o := trunkOptions("out", "10.0.9.1:5060", Rate{})
	o.Numbers = map[id.MSISDN]id.MSISDN{}
	inRig(t, func(p *Options) {
		n := func(s string) id.MSISDN { return number(t, s) }
		o.Numbers = map[id.MSISDN]id.MSISDN{n("4930555"): n("492102")}
		o.From = []netip.Prefix{netip.MustParsePrefix("10.0.8.0/24")}
		o.MaxCalls = 1
		withTrunks(o)(p)
	}, func(r *rig) {
		out, b := r.peer("out", "10.0.8.7:5060"), r.phone("bert", "10.0.1.2:5062", 2, "492102")
		da := out.calls("+4930555", audio("10.0.8.7", 4000, "8 PCMA/8000", "101 telephone-event/8000"), func(m *sip.Message) {
			m.From.URI.User = "anything"
			m.Set("P-Asserted-Identity", "<sip:+33123@provider>")
		})
		db := b.rung()
		if v := db.invite.From.URI.User; v != "+33123" || db.invite.Get("P-Associated-URI") != "<tel:+33123>" {
			t.Errorf("the phone hears:\n%s", text(db.invite))
		}
		db.says(db.invite, 200, gsmSDP(b))
		da.answered()
		b.hear("ACK")
		out.calls("+4930555", appSDP(out)).refused(503) // no more of its calls than agreed
		da.hangsUp(db)
		out.calls("+33999", appSDP(out)).refused(404)
		out.calls("IMSI001010000000002", appSDP(out)).refused(404)
		if c := r.ended()[1]; c.Caller.Access != AccessTrunk || r.book.stays[imsi(t, 2)].voice != c.Voice() {
			t.Errorf("%+v", c)
		}
	})
}

// A provider is told where the network is, again before it forgets, and at the
// end that it is there no more.
func TestTrunkRegisters(t *testing.T) {
	o := trunkOptions("out", "10.0.9.1:5060", Rate{})
	o.User, o.Password, o.Register, o.Expires = "campanile", "secret", true, 10*time.Minute
	done := make(chan struct{})
	inRig(t, withTrunks(o), func(r *rig) {
		n, _ := id.ParseMSISDN("33123")
		if w := r.sw.outside(n); w[0].trunk.up() {
			t.Error("a trunk that is not registered is up")
		}
		out := r.peer("out", "10.0.9.1:5060")
		serve := func(status int, change func(*sip.Message)) *sip.Message {
			m := out.hear("REGISTER")
			x := m.Response(status, "")
			x.To.Params.Set("tag", "registrar")
			change(x)
			out.say(x)
			return m
		}
		begun := time.Now()
		serve(401, func(m *sip.Message) { m.Add("WWW-Authenticate", `Digest realm="provider", nonce="n1", qop="auth"`) })
		first := serve(200, func(m *sip.Message) { m.Expires = 300 })
		if first.Get("Authorization") == "" || first.Expires != 600 || first.Contact[0].URI.Host != "10.0.0.1" {
			t.Errorf("the registrar hears:\n%s", text(first))
		}
		time.Sleep(time.Second)
		if !r.sw.trunks[0].up() || r.sw.Stats().Trunks[0].Registered.Sub(begun).Round(time.Second) < 299*time.Second {
			t.Errorf("%+v", r.sw.Stats().Trunks)
		}
		again := serve(500, func(*sip.Message) {})
		if d := time.Since(begun); d < 200*time.Second || d > 290*time.Second || again.CallID != first.CallID {
			t.Errorf("it was told again after %v", d)
		}
		serve(200, func(m *sip.Message) { m.Expires = 300 }) // it tries again at once
		go func() {
			defer close(done)
			if m := serve(200, func(*sip.Message) {}); m.Expires != 0 {
				t.Errorf("at the end it hears:\n%s", text(m))
			}
		}()
	})
	<-done
}

// Whole calls with a provider, word for word.
func TestTrunkTranscripts(t *testing.T) {
	o := trunkOptions("out", "10.0.9.1:5060", Rate{})
	inRig(t, withTrunks(o), func(r *rig) {
		a, out := r.phone("anna", "10.0.1.1:5062", 1, "492101"), r.peer("provider", "10.0.9.1:5060")
		da, db := r.talks(a, "0033123", out, gsmSDP(a), audio("10.0.9.1", 4000, "8 PCMA/8000", "101 telephone-event/8000"))
		da.hangsUp(db)
		r.script.golden(t, "openbts-trunk")
	})
	inRig(t, withTrunks(o), func(r *rig) {
		out, b := r.peer("provider", "10.0.9.1:5060"), r.app("app", "10.0.2.1:5060", 2, "492102")
		da, db := r.talks(out, "+492102", b, audio("10.0.9.1", 4000, "8 PCMA/8000"), appSDP(b))
		db.hangsUp(da)
		r.script.golden(t, "trunk-app")
	})
	inRig(t, nil, func(r *rig) {
		a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
		da, db := r.talks(a, "2102", b, appSDP(a), appSDP(b))
		da.hangsUp(db)
		r.script.golden(t, "app-app")
	})
}
