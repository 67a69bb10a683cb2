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

// trunkPeer is a provider at an address.
func trunkOptions(name, at string, rates ...Rate) Trunk {
	return Trunk{Name: name, Proxy: "sip:" + at, Rates: rates, Format: "+"}
}

func withTrunks(all ...Trunk) func(*Options) {
	return func(o *Options) {
		o.Trunks = all
		o.Numbers = Numbers{Country: "49", National: "0", International: "00", Emergency: []string{"112"}}
	}
}

// Several places of a subscriber ring together; the first to answer has the call.
func TestFork(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a := r.app("a", "10.0.2.1:5060", 1, "2101")
		b1, b2, b3 := r.app("b1", "10.0.2.2:5060", 2, "2102"), r.app("b2", "10.0.2.3:5060", 2, "2102"), r.app("b3", "10.0.2.4:5060", 2, "2102")
		da := a.calls("2102", appSDP(a))
		d1, d2, d3 := b1.rung(), b2.rung(), b3.rung()
		d1.says(d1.invite, 180, "")
		a.hear("180")
		d3.says(d3.invite, 480, "")
		b3.hear("ACK")
		d2.says(d2.invite, 183, appSDP(b2)) // several ring: nobody's early media are passed on
		if m := a.hear("183"); len(m.Body) > 0 {
			t.Errorf("a hears:\n%s", text(m))
		}
		d2.says(d2.invite, 200, appSDP(b2))
		da.answered()
		b2.hear("ACK")
		m := b1.hear("CANCEL")
		if got := reasonCause(m.Values("Reason")); got != 26 {
			t.Errorf("b1 is told cause %d", got)
		}
		d1.says(m, 200, "")
		d1.says(d1.invite, 200, appSDP(b1)) // too late
		b1.hear("ACK")
		d1.says(b1.hear("BYE"), 200, "")
		da.hangsUp(d2)
	})
}

// All places refuse: the caller is told what a person said.
func TestForkRefused(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a := r.app("a", "10.0.2.1:5060", 1, "2101")
		b1, b2 := r.app("b1", "10.0.2.2:5060", 2, "2102"), r.app("b2", "10.0.2.3:5060", 2, "2102")
		da := a.calls("2102", appSDP(a))
		d1, d2 := b1.rung(), b2.rung()
		d1.says(d1.invite, 486, "")
		b1.hear("ACK")
		d2.says(d2.invite, 503, "")
		b2.hear("ACK")
		da.refused(486)
	})
}

// 603 is everybody's: the others stop ringing.
func TestForkDeclined(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a := r.app("a", "10.0.2.1:5060", 1, "2101")
		b1, b2 := r.app("b1", "10.0.2.2:5060", 2, "2102"), r.app("b2", "10.0.2.3:5060", 2, "2102")
		da := a.calls("2102", appSDP(a))
		d1, d2 := b1.rung(), b2.rung()
		d2.says(d2.invite, 180, "")
		a.hear("180")
		d1.says(d1.invite, 603, "")
		b1.hear("ACK")
		da.refused(603)
		d2.says(b2.hear("CANCEL"), 200, "")
		d2.says(d2.invite, 487, "")
		b2.hear("ACK")
	})
}

// What is refused before anybody rings.
func TestRefusedAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		user   string
		status int
		change func(*sip.Message)
	}{
		"nobody's number":      {"2999", 404, nil},
		"not a number":         {"alice", 484, nil},
		"not here":             {"2103", 480, nil},
		"oneself":              {"2101", 486, nil},
		"too many hops":        {"2102", 483, func(m *sip.Message) { m.MaxForwards = 0 }},
		"reliable provisional": {"2102", 420, func(m *sip.Message) { m.Set("Require", "100rel") }},
		"no description":       {"2102", 415, func(m *sip.Message) { m.ContentType = "text/plain" }},
		"broken description":   {"2102", 400, func(m *sip.Message) { m.Body = []byte("v=0\r\nm=\r\n") }},
		"only video":           {"2102", 488, func(m *sip.Message) { m.Body = []byte(strings.Replace(string(m.Body), "m=audio", "m=video", 1)) }},
		"DTLS": {"2102", 488, func(m *sip.Message) {
			m.Body = []byte(strings.Replace(string(m.Body), "RTP/AVP", "UDP/TLS/RTP/SAVPF", 1))
		}},
		"keys without TLS": {"2102", 488, func(m *sip.Message) { m.Body = []byte(strings.Replace(string(m.Body), "RTP/AVP", "RTP/SAVP", 1)) }},
		"short session timer": {"2102", 422, func(m *sip.Message) {
			m.Set("Supported", "timer")
			m.Set("Session-Expires", "30")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, nil, func(r *rig) {
				a := r.app("a", "10.0.2.1:5060", 1, "2101")
				b := r.app("b", "10.0.2.2:5060", 2, "2102")
				r.book.numbers[number(t, "2103")] = imsi(t, 3)
				d := a.calls(c.user, appSDP(a), func(m *sip.Message) {
					if c.change != nil {
						c.change(m)
					}
				})
				m := d.refused(c.status)
				switch c.status {
				case 420:
					if m.Get("Unsupported") != "100rel" {
						t.Error(text(m))
					}
				case 422:
					if m.Get("Min-SE") != "90" {
						t.Error(text(m))
					}
				case 415:
					if m.Get("Accept") != sdpType {
						t.Error(text(m))
					}
				case 488, 400:
					if m.Get("Warning") == "" {
						t.Error(text(m))
					}
				}
				b.silent()
				if got := r.record(); got.Status != c.status {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// A stranger calls nobody, not even in a subscriber's name.
func TestStranger(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		r.app("a", "10.0.2.1:5060", 1, "2101")
		b := r.app("b", "10.0.2.2:5060", 2, "2102")
		x := r.peer("stranger", "10.6.6.6:5060")
		d := x.calls("2102", appSDP(x), func(m *sip.Message) { m.From.URI.User = "2101" })
		d.refused(403)
		b.silent()
	})
}

// The directory is away: that is the gateway's failure, not the number's.
func TestDirectoryAway(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a := r.app("a", "10.0.2.1:5060", 1, "2101")
		r.book.broken = true
		a.calls("2102", appSDP(a)).refused(500)
	})
}

// Who does not want to be known is not.
func TestPrivacy(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.phone("anna", "10.0.1.1:5062", 1, "2101"), r.phone("bert", "10.0.1.2:5062", 2, "2102")
		da := a.calls("2102", gsmSDP(a), func(m *sip.Message) { m.Set("Privacy", "id") })
		db := b.rung()
		if s := text(db.invite); strings.Contains(s, "2101") || strings.Contains(s, "001010000000001") || !strings.Contains(s, "Privacy: id") {
			t.Errorf("the called one hears:\n%s", s)
		}
		db.says(db.invite, 486, "")
		b.hear("ACK")
		da.refused(486)
	})
}

// A YateBTS wants to be told the phone.
func TestYate(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.app("app", "10.0.2.1:5060", 1, "2101"), r.phone("bert", "10.0.1.2:5062", 2, "2102")
		r.book.parties[imsi(t, 2)][0].Yate = true
		da, db := r.talks(a, "2102", b, appSDP(a), gsmSDP(b))
		if got := db.invite.Get("P-Called-Party-ID"); got != `<tel:2102>;imsi="001010000000002"` {
			t.Errorf("P-Called-Party-ID is %q", got)
		}
		da.hangsUp(db)
		r.script.golden(t, "app-yatebts")
	})
}

// An emergency call needs no registration and no balance; where there is no way
// out it is refused at once. OpenBTS may not say what was dialled.
func TestEmergency(t *testing.T) {
	for _, dialled := range []string{"112", ""} {
		inRig(t, func(o *Options) {
			withTrunks(trunkOptions("out", "10.0.9.1:5060"))(o)
			o.Policy.Emergency = Emergency{Trunk: "out", Number: "110"}
			o.Policy.MaxCalls = 1
		}, func(r *rig) {
			a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
			busy, other := r.talks(a, "2102", b, appSDP(a), appSDP(b)) // the switch is full
			r.station("10.0.1.1:5062")
			phone, psap := r.peer("unknown", "10.0.1.1:5062"), r.peer("psap", "10.0.9.1:5060")
			da := phone.calls(dialled, gsmSDP(phone), func(m *sip.Message) {
				m.Set("P-Access-Network-Info", "3GPP-GERAN; cgi-3gpp=0010103e80001")
				m.From.URI.User = "IMSI001010000000099"
			})
			db := psap.rung()
			if db.invite.URI.User != "110" || db.invite.Get("P-Access-Network-Info") != "3GPP-GERAN; cgi-3gpp=0010103e80001" || db.invite.Get("Priority") != "emergency" {
				t.Errorf("who answers emergencies hears:\n%s", text(db.invite))
			}
			db.says(db.invite, 200, audio("10.0.9.1", 4000, "8 PCMA/8000"))
			da.answered()
			psap.hear("ACK")
			time.Sleep(3 * time.Second)
			da.hangsUp(db)
			if c := r.record(); !c.Emergency || c.Voice() != 3*time.Second || len(r.book.stays) != 0 {
				t.Errorf("%+v", c)
			}
			busy.hangsUp(other)
		})
	}
	inRig(t, nil, func(r *rig) {
		r.station("10.0.1.1:5062")
		phone := r.peer("unknown", "10.0.1.1:5062")
		phone.calls("112", gsmSDP(phone)).refused(503)
		stranger := r.peer("stranger", "10.6.6.6:5060")
		stranger.calls("112", appSDP(stranger)).refused(403)
	})
}

// The switch is full, and a subscriber has as many calls as he may.
func TestLimits(t *testing.T) {
	inRig(t, func(o *Options) { o.Policy.MaxCalls = 1 }, func(r *rig) {
		_, _, da, db := pair(r)
		c := r.app("c", "10.0.2.3:5060", 3, "2103")
		if m := c.calls("2102", appSDP(c)).refused(503); m.Get("Retry-After") == "" {
			t.Error(text(m))
		}
		da.hangsUp(db)
	})
	inRig(t, func(o *Options) { o.Policy.PerSubscriber = 1 }, func(r *rig) {
		a, _, da, db := pair(r)
		a.calls("2102", appSDP(a)).refused(486)
		da.hangsUp(db)
		if m := a.calls("2102", appSDP(a)); m != nil { // he may again
			d := r.book.parties[imsi(t, 2)]
			_ = d
			m.cancel()
			a.hear("200")
			m.refused(487)
		}
	})
	inRig(t, nil, func(r *rig) {
		r.media.full = true
		a := r.app("a", "10.0.2.1:5060", 1, "2101")
		r.app("b", "10.0.2.2:5060", 2, "2102")
		if m := a.calls("2102", appSDP(a)).refused(503); reasonCause(m.Values("Reason")) != CauseNoCircuit {
			t.Error(text(m))
		}
	})
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
		out.hear("ACK")
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
		if c := r.records[1]; c.Caller.Access != AccessTrunk || r.book.stays[imsi(t, 2)].voice != c.Voice() {
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
