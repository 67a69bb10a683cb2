package calls

import (
	"strings"
	"testing"

	"campanile.network/3gpp/id"
	"campanile.network/wire/sip"
)

// Whatever phones describe, before the answer, in it and after it: a call ends,
// and leaves nothing behind (the rig looks).
func FuzzDescriptions(f *testing.F) {
	a, b := audio("10.0.2.1", 5000, "0 PCMU/8000", "101 telephone-event/8000"), audio("10.0.2.2", 5000, "3 GSM/8000")
	f.Add(a, b, a+"a=sendonly\r\n", "application/sdp")
	f.Add(a, b, audio("0.0.0.0", 5000, "8 PCMA/8000"), "application/sdp")
	f.Add("", b, "", "text/plain")
	f.Add(strings.Replace(a, "RTP/AVP", "RTP/SAVP", 1), a, b, "")
	f.Add(a+"m=video 1 RTP/AVP 31\r\n", b, "v=0\r\n", "application/sdp")
	f.Fuzz(func(t *testing.T, offer, answer, later, kind string) {
		if len(offer)+len(answer)+len(later) > 8000 || strings.ContainsAny(kind, "\r\n\x00") {
			return
		}
		inRig(t, nil, func(r *rig) {
			pa, pb := r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
			d := pa.calls("2102", offer)
			for {
				select {
				case m := <-pa.in:
					switch {
					case m.Method == "BYE" || m.Method == "INVITE":
						d.says(m, 200, "")
					case m.CSeq.Method == "INVITE" && m.Status >= 300:
						d.ackRefusal(m)
						if d.established {
							d.send("BYE", "")
							continue
						}
						return
					case m.CSeq.Method == "INVITE" && m.Status >= 200 && !d.established:
						d.takes(m)
						d.ack(m, offer)
						x := d.request("INVITE", later)
						if kind != "" {
							x.ContentType = kind
						}
						d.invite = x
						pa.say(x)
					case m.CSeq.Method == "INVITE" && m.Status >= 200:
						d.ack(m, "")
						d.send("BYE", "")
					}
					if m.Method == "BYE" || m.CSeq.Method == "BYE" {
						return
					}
				case m := <-pb.in:
					x := &dialog{p: pb, callID: m.CallID, local: m.To, remote: m.From, invite: m}
					if m.To.Tag() == "" {
						x.local.Params.Set("tag", "b")
					}
					if m.Method != "ACK" && m.IsRequest() {
						body := ""
						if m.Method == "INVITE" {
							body = answer
						}
						x.says(m, 200, body)
					}
				}
			}
		})
	})
}

// Whatever a phone or a provider says of itself and of whom it calls.
func FuzzIdentity(f *testing.F) {
	f.Add("2102", "<sip:+4912@x>", "id", "300;refresher=uac", "Q.850;cause=17")
	f.Add("112", "tel:112", "none;user", "90", "SIP;cause=200")
	f.Add("IMSI001010000000002", "\"", ",;", "x", ";;")
	f.Fuzz(func(t *testing.T, user, asserted, privacy, session, reason string) {
		for _, s := range []string{user, asserted, privacy, session, reason} {
			if strings.ContainsAny(s, "\r\n\x00") || len(s) > 500 {
				return
			}
		}
		m := sip.NewRequest("INVITE", sip.URI{Scheme: "sip", User: user, Host: "x"})
		m.Set("P-Asserted-Identity", asserted)
		m.Set("Privacy", privacy)
		m.Set("Session-Expires", session)
		m.Set("Min-SE", session)
		m.Set("Supported", "timer")
		n := Numbers{Country: "49", National: "0", International: "00", Emergency: []string{"112"}}
		tr := &trunk{o: &Trunk{Numbers: map[id.MSISDN]id.MSISDN{}}}
		if v := tr.callerOf(&n, m); hidden(m) && !v.IsZero() {
			t.Errorf("%q is hidden and shown", asserted)
		}
		var timer sessionTimer
		if timer.asked(m) == nil && timer.interval != 0 && timer.interval < shortestSession {
			t.Errorf("%q is %v", session, timer.interval)
		}
		timer.agreed(m)
		timer.refused(m)
		if c := reasonCause([]string{reason}); c > 127 {
			t.Errorf("%q is cause %d", reason, c)
		}
	})
}
