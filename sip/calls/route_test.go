package calls

import (
	"strings"
	"testing"
	"time"

	"campanile.network/wire/sip"
)

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
				var a *peer
				if c.user != "" {
					a = r.phone("a", "10.0.2.1:5062", 1, "2101")
				} else { // in a cell that asks for help
					a = r.app("a", "10.0.2.1:5060", 1, "2101")
				}
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
				if c.user == "" { // of somebody who is not known yet
					return
				}
				if got := r.record(); got.Status != c.status {
					t.Errorf("%+v", got)
				}
			})
		})
	}
}

// An app that calls nobody in particular does not ask for help by that, as a phone
// in a cell of OpenBTS does.
func TestNobodyInParticular(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a := r.app("a", "10.0.2.1:5060", 1, "2101")
		a.calls("", appSDP(a)).refused(484)
	})
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
				m.From.URI.User = "IMSI001010000000099"
			})
			db := psap.rung()
			if db.invite.URI.User != "110" || db.invite.Get("P-Access-Network-Info") != "3GPP-GERAN;cgi-3gpp=0010103e80001" || db.invite.Get("Priority") != "emergency" {
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

// An INVITE that comes by two ways is one call; the same caller's next INVITE,
// with credentials, is not the same one.
func TestMerged(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
		da := a.calls("2102", appSDP(a))
		db := b.rung()
		again := *da
		again.invite = da.request("INVITE", appSDP(a))
		again.invite.CSeq.Seq = da.invite.CSeq.Seq
		a.say(again.invite)
		again.refused(482)
		next := *da
		next.invite = da.request("INVITE", appSDP(a))
		a.say(next.invite)
		second := b.rung()
		for _, d := range []*dialog{db, second} {
			d.says(d.invite, 486, "")
			b.hear("ACK")
		}
		da.refused(486)
		next.refused(486)
	})
}
