package calls

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/sip/media"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/sdp"
	"campanile.network/wire/sip/txn"
)

// An INVITE without a description: the caller is offered what the called one
// chose, and his ACK answers.
func TestLateOffer(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.phone("bert", "10.0.1.2:5062", 2, "2102")
		da := a.calls("2102", "")
		db := b.rung()
		db.says(db.invite, 183, gsmSDP(b))
		if m := a.hear("183"); len(m.Body) > 0 {
			t.Errorf("183 has a description for who has made none:\n%s", text(m))
		}
		db.says(db.invite, 200, gsmSDP(b))
		b.hear("ACK")
		m := a.hear("200")
		da.takes(m)
		if !strings.Contains(string(m.Body), "GSM/8000") || !strings.Contains(string(m.Body), "PCMA/8000") {
			t.Errorf("a is offered:\n%s", m.Body)
		}
		da.ack(m, audio("10.0.2.1", 5000, "8 PCMA/8000")+"a=rtcp:5777\r\n")
		synctest.Wait()
		if p := r.media.sessions[0].legs[0].peer(t); p.Receives[0].Name != "PCMA" || p.Addr.Port() != 5000 || p.RTCP.String() != "10.0.2.1:5777" {
			t.Errorf("%+v", p)
		}
		da.hangsUp(db)
	})
	inRig(t, nil, func(r *rig) { // the ACK says nothing
		a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.phone("bert", "10.0.1.2:5062", 2, "2102")
		da := a.calls("2102", "")
		db := b.rung()
		db.says(db.invite, 200, gsmSDP(b))
		b.hear("ACK")
		da.answered()
		da.says(a.hear("BYE"), 200, "")
		db.says(b.hear("BYE"), 200, "")
	})
}

// Speech before the answer reaches the caller, whose answer it then is.
func TestEarlyMedia(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.phone("anna", "10.0.1.1:5062", 1, "2101"), r.app("app", "10.0.2.1:5060", 2, "2102")
		da := a.calls("2102", gsmSDP(a))
		db := b.rung()
		db.says(db.invite, 183, appSDP(b))
		early := a.hear("183")
		if len(early.Body) == 0 || r.media.sessions[0].legs[0].peer(t).Addr.Port() != 4000 {
			t.Errorf("a hears:\n%s", text(early))
		}
		db.says(db.invite, 180, "")
		a.hear("180")
		db.says(db.invite, 200, appSDP(b))
		if m := da.answered(); string(m.Body) != string(early.Body) {
			t.Errorf("the answer is\n%s and was\n%s", m.Body, early.Body)
		}
		b.hear("ACK")
		da.hangsUp(db)
	})
}

// The called one answers with what cannot be used: he is hung up, the caller refused.
func TestUnusableAnswer(t *testing.T) {
	for name, body := range map[string]string{
		"none": "", "nonsense": "hello", "another format": audio("10.0.2.2", 5000, "97 AMR/8000"), "refused": audio("10.0.2.2", 0, "0"),
		"a name": strings.Replace(audio("10.0.2.2", 5000, "0"), "c=IN IP4 10.0.2.2", "c=IN IP4 media.example", 1),
	} {
		t.Run(name, func(t *testing.T) {
			inRig(t, nil, func(r *rig) {
				a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
				da := a.calls("2102", appSDP(a))
				db := b.rung()
				db.says(db.invite, 200, body)
				b.hear("ACK")
				da.refused(488)
				db.says(b.hear("BYE"), 200, "")
			})
		})
	}
}

// What both speak passes untouched, under the numbers that each has given it; what
// only one speaks is turned into the other's where it can be.
func TestCodecs(t *testing.T) {
	for _, c := range []struct {
		name, offer, answer string // formats, by comma
		allow               []string
		status              int
		a, b                string // what each leg's first format is, with its number
	}{
		{"the same", "3 GSM/8000", "3 GSM/8000", nil, 200, "GSM 3", "GSM 3"},
		{"turned", "3 GSM/8000", "0 PCMU/8000", nil, 200, "GSM 3", "PCMU 0"},
		{"the callee's choice", "0 PCMU/8000,3 GSM/8000", "3 GSM/8000", nil, 200, "GSM 3", "GSM 3"},
		{"passed", "96 AMR/8000,0 PCMU/8000", "96 AMR/8000", nil, 200, "AMR 96", "AMR 96"},
		{"other numbers", "96 AMR/8000", "98 AMR/8000", nil, 200, "AMR 96", "AMR 98"},
		{"wide", "111 opus/48000/2,0 PCMU/8000", "111 opus/48000/2", nil, 200, "opus 111", "opus 111"},
		{"not allowed", "111 opus/48000/2", "", []string{"GSM", "PCMA"}, 488, "", ""},
		{"allowed only", "111 opus/48000/2,3 GSM/8000", "8 PCMA/8000", []string{"GSM", "PCMA"}, 200, "GSM 3", "PCMA 8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inRig(t, func(o *Options) { o.Policy.Formats = c.allow }, func(r *rig) {
				a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
				da := a.calls("2102", audio("10.0.2.1", 5000, strings.Split(c.offer, ",")...))
				if c.status != 200 {
					da.refused(c.status)
					b.silent()
					return
				}
				db := b.rung()
				db.says(db.invite, 200, audio("10.0.2.2", 5000, strings.Split(c.answer, ",")...))
				da.answered()
				b.hear("ACK")
				for i, want := range []string{c.a, c.b} {
					f := r.media.sessions[0].legs[i].peer(t).Receives[0]
					if got := fmt.Sprintf("%s %d", f.Name, f.Number); got != want {
						t.Errorf("leg %d speaks %s, want %s", i, got, want)
					}
				}
				da.hangsUp(db)
			})
		})
	}
}

// Keys for SRTP stand in descriptions only where TLS carries them: an app behind
// TLS is offered them, and again nothing of the kind when it refuses.
func TestSRTP(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		c := &call{w: r.sw}
		c.media, _ = r.media.Open([2]netip.Addr{})
		defer c.media.Close()
		l := &leg{call: c, side: 1, party: Party{Access: AccessApp}, way: txn.Target{Transport: txn.TLS}}
		c.legs = [2]*leg{{call: c}, l}
		c.offerTo(l)
		offer, err := sdp.Parse(l.describe())
		if err != nil || offer.Media[0].Proto != "RTP/SAVP" || len(offer.Media[0].Cryptos()) != 2 {
			t.Fatalf("offered is %s (%v)", l.speech.said, err)
		}
		theirs := media.NewCrypto(2, media.AESCM32)
		answer := strings.Replace(audio("10.0.2.2", 5000, "8 PCMA/8000"), "RTP/AVP", "RTP/SAVP", 1) + "a=crypto:" + theirs.Attribute() + "\r\n"
		if err := c.accept(l, []byte(answer)); err != nil {
			t.Fatal(err)
		}
		p := r.media.sessions[0].legs[1].peer(t)
		if p.Decrypt == nil || p.Decrypt.Attribute() != theirs.Attribute() || p.Encrypt == nil || !strings.Contains(string(l.speech.said), p.Encrypt.Attribute()) {
			t.Errorf("the relay has keys %v and %v", p.Encrypt, p.Decrypt)
		}
		if l.speech.plain(true) || !l.speech.plain(false) || strings.Contains(string(l.describe()), "crypto") {
			t.Error("SRTP is given up only where it may be")
		}
		// The same from a caller.
		a := c.legs[0]
		a.way = txn.Target{Transport: txn.TLS}
		body := strings.Replace(audio("10.0.2.1", 5000, "8 PCMA/8000"), "RTP/AVP", "RTP/SAVP", 1) + "a=crypto:" + theirs.Attribute() + "\r\n"
		said, err := c.reply2(a, l, []byte(body))
		if err != nil || !strings.Contains(string(said), "RTP/SAVP") || !strings.Contains(string(said), "a=crypto:2 AES_CM_128_HMAC_SHA1_32") {
			t.Errorf("the caller hears %s (%v)", said, err)
		}
	})
}

// A caller with a session timer refreshes it, or is given up.
func TestSessionTimerOfCaller(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
		da := a.calls("2102", appSDP(a), func(m *sip.Message) {
			m.Set("Supported", "timer")
			m.Set("Session-Expires", "300")
		})
		db := b.rung()
		db.says(db.invite, 200, appSDP(b))
		m := da.answered()
		if m.Get("Session-Expires") != "300;refresher=uac" || m.Get("Require") != "timer" {
			t.Errorf("the answer says %q", m.Get("Session-Expires"))
		}
		b.hear("ACK")
		for range 2 {
			time.Sleep(200 * time.Second)
			u := da.request("UPDATE", "")
			u.Set("Supported", "timer")
			u.Set("Session-Expires", "300;refresher=uac")
			a.say(u)
			if m := a.hear("200"); m.Get("Session-Expires") != "300;refresher=uac" {
				t.Errorf("UPDATE is answered:\n%s", text(m))
			}
		}
		begun := time.Now()
		da.says(a.hear("BYE"), 200, "")
		if d := time.Since(begun).Round(time.Second); d != 268*time.Second {
			t.Errorf("given up after %v", d)
		}
		db.says(b.hear("BYE"), 200, "")
	})
}

// A called one with a session timer that leaves it to us is refreshed: by UPDATE,
// or by re-INVITE where he does not take that; who refuses that is left alone,
// and who has forgotten the call ends it.
func TestSessionTimerOfCalled(t *testing.T) {
	for _, allow := range []string{"INVITE, UPDATE", "INVITE"} {
		inRig(t, func(o *Options) { o.Policy.Session = 200 * time.Second }, func(r *rig) {
			a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
			da := a.calls("2102", appSDP(a))
			first := b.rung()
			first.says(first.invite, 422, "", func(m *sip.Message) { m.Set("Min-SE", "400") })
			b.acks()
			db := b.rung()
			if got := db.invite.Get("Session-Expires"); got != "400" {
				t.Errorf("asked again for %q", got)
			}
			agree := func(m *sip.Message) {
				m.Set("Session-Expires", "400;refresher=uac")
				m.Set("Require", "timer")
				m.Set("Allow", allow)
			}
			db.says(db.invite, 200, appSDP(b), agree)
			da.answered()
			b.hear("ACK")
			begun := time.Now()
			want := "INVITE"
			if strings.Contains(allow, "UPDATE") {
				want = "UPDATE"
			}
			for i, status := range []int{200, 491, 200, 481} {
				m := b.hear(want)
				if i == 0 && time.Since(begun).Round(time.Second) != 200*time.Second {
					t.Errorf("refreshed after %v", time.Since(begun))
				}
				body := ""
				if status == 200 && want == "INVITE" {
					body = appSDP(b)
				}
				db.says(m, status, body, func(x *sip.Message) {
					if status == 200 {
						agree(x)
					}
				})
				if want == "INVITE" {
					b.hear("ACK")
				}
			}
			da.says(a.hear("BYE"), 200, "")
			b.silent()
		})
	}
}

// Speech is where a peer's signalling has come to, or where the operator says.
func TestSpeechAddress(t *testing.T) {
	for _, one := range []bool{false, true} {
		inRig(t, func(o *Options) { o.OneAddress = one }, func(r *rig) {
			_, _, da, db := pair(r)
			want := [2]netip.Addr{r.at.Addr(), r.at.Addr()}
			if one {
				want = [2]netip.Addr{}
			}
			if r.media.asked != want {
				t.Errorf("speech is asked for at %v, want %v", r.media.asked, want)
			}
			da.hangsUp(db)
		})
	}
}
