package calls

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/sip/media"
)

// pair is a call between two apps, under way.
func pair(r *rig) (a, b *peer, da, db *dialog) {
	r.t.Helper()
	a, b = r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
	da, db = r.talks(a, "2102", b, appSDP(a), appSDP(b))
	return a, b, da, db
}

// Both hang up at the same instant.
func TestByeMeetsBye(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b, da, db := pair(r)
		da.send("BYE", "")
		db.send("BYE", "")
		synctest.Wait()
		for _, d := range []*dialog{da, db} { // each has its answer, and maybe the switch's BYE before or after it
			answered := false
			for len(d.p.in) > 0 {
				switch m := <-d.p.in; {
				case m.Method == "BYE":
					d.says(m, 200, "")
				case m.Status == 200 && m.CSeq.Method == "BYE" && !answered:
					answered = true
				default:
					t.Errorf("%s hears:\n%s", d.p.name, text(m))
				}
			}
			if !answered {
				t.Errorf("%s has no answer", d.p.name)
			}
		}
		a.silent()
		b.silent()
		if c := r.record(); c.Why != "hung up" {
			t.Errorf("%+v", c)
		}
	})
}

// A peer that does not answer BYE is given up, and what it says later is of no call.
func TestByeUnanswered(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b, da, db := pair(r)
		da.send("BYE", "")
		a.hear("200")
		b.hear("BYE")
		time.Sleep(40 * time.Second)
		for len(b.in) > 0 {
			b.hear("BYE")
		}
		db.send("BYE", "")
		b.hear("481")
	})
}

// The caller's ACK never comes: after 64*T1 both are hung up, and nothing was counted.
func TestLostACK(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.phone("anna", "10.0.1.1:5062", 1, "2101"), r.phone("bert", "10.0.1.2:5062", 2, "2102")
		da := a.calls("2102", gsmSDP(a))
		db := b.rung()
		db.says(db.invite, 200, gsmSDP(b))
		b.hear("ACK")
		da.takes(a.hear("200"))
		n := 0
		for m := range a.in {
			if m.Method == "BYE" {
				da.says(m, 200, "")
				break
			}
			n++
		}
		db.says(b.hear("BYE"), 200, "")
		if c := r.record(); c.Why != "no ACK" || n < 5 || r.book.stays[imsi(t, 1)].voice != 0 {
			t.Errorf("after %d answers: %+v", n, c)
		}
	})
}

// An answer is lost, and comes again: it is acknowledged again.
func TestAnswerAgain(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
		da := a.calls("2102", appSDP(a))
		db := b.rung()
		db.says(db.invite, 200, appSDP(b))
		da.answered()
		b.hear("ACK")
		db.says(db.invite, 200, appSDP(b))
		b.hear("ACK")
		da.hangsUp(db)
	})
}

// Each side sends a re-INVITE when the other's is under way: 491.
func TestGlare(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b, da, db := pair(r)
		da.invites(strings.Replace(appSDP(a), "t=0 0\r\n", "t=0 0\r\na=sendonly\r\n", 1))
		ok := a.hear("200")
		hold := b.hear("INVITE") // b is told of the hold, and says something of its own meanwhile
		db.invites(appSDP(b))
		db.refused(491)
		a2 := da.request("ACK", "")
		a2.CSeq = ok.CSeq
		a2.CSeq.Method = "ACK"
		a.say(a2)
		db.says(hold, 200, strings.Replace(appSDP(b), "t=0 0\r\n", "t=0 0\r\na=recvonly\r\n", 1))
		b.hear("ACK")
		db.invites(appSDP(b))
		db.ack(b.hear("200"), "")
		synctest.Wait()
		db.hangsUp(da)
	})
}

// Hold and resume: the side that is on hold is told, the other one is answered.
func TestHold(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b, da, db := pair(r)
		m := r.media.sessions[0]
		for i, way := range []struct{ say, told, answers string }{{"sendonly", "sendonly", "recvonly"}, {"sendrecv", "sendrecv", "sendrecv"}, {"inactive", "sendonly", "recvonly"}, {"sendrecv", "sendrecv", "sendrecv"}} {
			da.invites(appSDP(a) + "a=" + way.say + "\r\n")
			ok := a.hear("200")
			da.ack(ok, "")
			told := b.hear("INVITE")
			if !strings.Contains(string(told.Body), "a="+way.told+"\r\n") {
				t.Errorf("%d: b is told:\n%s", i, told.Body)
			}
			db.says(told, 200, appSDP(b)+"a="+way.answers+"\r\n")
			b.hear("ACK")
			synctest.Wait()
			if got, want := m.legs[0].peer(t).Direction == media.SendRecv, way.say == "sendrecv"; got != want {
				t.Errorf("%d: the relay holds a's leg as %v", i, m.legs[0].peer(t).Direction)
			}
		}
		da.hangsUp(db)
	})
}

// An OpenBTS refuses re-INVITEs: who calls its phone may still hold and resume,
// and the call goes on.
func TestHoldOfPhone(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.phone("bert", "10.0.1.2:5062", 2, "2102")
		da, db := r.talks(a, "2102", b, appSDP(a), gsmSDP(b))
		da.invites(appSDP(a) + "a=sendonly\r\n")
		da.ack(a.hear("200"), "")
		b.silent()
		r.media.sessions[0].events <- media.Event{Leg: 0, Kind: media.Silent} // who holds may be still
		a.silent()
		da.hangsUp(db)
	})
}

// A re-INVITE with formats that the other side cannot be given is 488, and the
// call goes on as it was.
func TestCodecChange(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.phone("bert", "10.0.1.2:5062", 2, "2102")
		da, db := r.talks(a, "2102", b, appSDP(a), gsmSDP(b))
		da.invites(audio("10.0.2.1", 5002, "97 AMR/8000"))
		m := da.refused(488)
		if m.Get("Warning") == "" {
			t.Error("488 has no Warning")
		}
		da.ack(m, "")
		da.send("INVITE", audio("10.0.2.1", 5004, "8 PCMA/8000")) // that can be turned into the phone's
		da.ack(a.hear("200"), "")
		synctest.Wait()
		if p := r.media.sessions[0].legs[0].peer(t); p.Addr.Port() != 5004 || p.Receives[0].Name != "PCMA" {
			t.Errorf("the relay has %+v", p)
		}
		da.hangsUp(db)
	})
}

// A re-INVITE with formats that only the other side can speak asks that.
func TestCodecChangeOfBoth(t *testing.T) {
	for _, agrees := range []bool{true, false} {
		inRig(t, nil, func(r *rig) {
			a, b, da, db := pair(r)
			da.invites(audio("10.0.2.1", 5000, "97 AMR/8000"))
			asked := b.hear("INVITE")
			if agrees {
				db.says(asked, 200, audio("10.0.2.2", 5000, "97 AMR/8000"))
				b.hear("ACK")
				da.ack(a.hear("200"), "")
			} else {
				db.says(asked, 488, "")
				b.hear("ACK")
				da.refused(488)
			}
			synctest.Wait()
			got := r.media.sessions[0].legs[1].peer(t).Receives[0].Name
			if want := map[bool]string{true: "AMR", false: "PCMU"}[agrees]; got != want {
				t.Errorf("b speaks %s, want %s", got, want)
			}
			da.hangsUp(db)
		})
	}
}

// A phone moves to another station while it talks: the call goes on there, and
// each cell has the time that was spoken in it. A stranger who knows all words of
// the dialog cannot take it over, and nor can a station for another phone.
func TestHandover(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.phone("anna", "10.0.1.1:5062", 1, "2101"), r.phone("bert", "10.0.1.2:5062", 2, "2102")
		da, db := r.talks(a, "2102", b, gsmSDP(a), gsmSDP(b))
		time.Sleep(10*time.Second + 250*time.Millisecond)
		first := r.book.stays[imsi(t, 1)]

		thief := r.peer("thief", "10.6.6.6:5062")
		stolen := *da
		stolen.p = thief
		stolen.invites(gsmSDP(thief))
		stolen.refused(481)
		stolen.send("BYE", "")
		thief.hear("481")

		r.station("10.0.1.3:5062")
		other := r.peer("other", "10.0.1.3:5062")
		wrong := *da
		wrong.p, wrong.local.URI.User = other, "IMSI"+imsi(t, 7).Digits()
		wrong.invites(gsmSDP(other))
		wrong.refused(481)

		moved := *da
		moved.p = other
		moved.invites(gsmSDP(other))
		ok := other.hear("200")
		moved.ack(ok, "")
		synctest.Wait()
		if p := r.media.sessions[0].legs[0].peer(t); p.Addr != netip.MustParseAddrPort("10.0.1.3:4000") {
			t.Errorf("the relay sends to %v", p.Addr)
		}
		da.send("BYE", "") // the cell that was left has no say any more
		a.hear("481")
		time.Sleep(5 * time.Second)
		db.send("BYE", "")
		b.hear("200")
		moved.says(other.hear("BYE"), 200, "")
		c := r.record()
		if c.Why != "hung up" || c.By != 1 || c.Voice() != 15*time.Second+250*time.Millisecond {
			t.Errorf("%+v", c)
		}
		second := r.book.stays[imsi(t, 1)]
		if first.voice != 10*time.Second+250*time.Millisecond || second.voice != 5*time.Second || second.cell.CI != 3 {
			t.Errorf("counted are %v at the first cell and %v at %v", first.voice, second.voice, second.cell)
		}
		if s := c.Caller.Stays; len(s) != 2 || s[0].Voice != first.voice || s[1].Voice != second.voice || s[1].Cell != second.cell {
			t.Errorf("stays are %+v", s)
		}
		if r.book.stays[imsi(t, 2)].voice != c.Voice() {
			t.Errorf("the other phone has %v", r.book.stays[imsi(t, 2)].voice)
		}
	})
}

// The called one hangs up before the caller has acknowledged the answer: he hears
// BYE after his ACK, or when he will send none.
func TestByeWaitsForACK(t *testing.T) {
	for _, acks := range []bool{true, false} {
		inRig(t, nil, func(r *rig) {
			a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
			da := a.calls("2102", appSDP(a))
			db := b.rung()
			db.says(db.invite, 200, appSDP(b))
			b.hear("ACK")
			m := a.hear("200")
			da.takes(m)
			db.send("BYE", "")
			b.hear("200")
			a.silent()
			begun := time.Now()
			if acks {
				da.ack(m, "")
			} else {
				for m = <-a.in; m.Status == 200; m = <-a.in { // it comes again and again
				}
				a.in <- m
			}
			da.says(a.hear("BYE"), 200, "")
			if d := time.Since(begun); acks == (d > time.Second) {
				t.Errorf("BYE comes after %v", d)
			}
		})
	}
}

// The other side hangs up while it is asked for another format.
func TestByeMeetsReoffer(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b, da, db := pair(r)
		da.invites(audio("10.0.2.1", 5000, "97 AMR/8000"))
		asked := b.hear("INVITE")
		db.send("BYE", "")
		b.hear("200")
		da.refused(487)
		da.says(a.hear("BYE"), 200, "")
		db.says(asked, 200, appSDP(b)) // crosses: it is acknowledged, or it would come again and again
		b.hear("ACK")
		b.silent()
	})
}

// A phone that rings says UPDATE with a session timer: nothing comes of it.
func TestEarlyUpdate(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
		da := a.calls("2102", appSDP(a))
		db := b.rung()
		db.says(db.invite, 180, "")
		a.hear("180")
		u := db.request("UPDATE", "")
		u.Set("Supported", "timer")
		u.Set("Session-Expires", "90;refresher=uas")
		b.say(u)
		b.hear("200")
		db.send("BYE", "")
		b.hear("481")
		db.send("INVITE", appSDP(b))
		b.hear("500")
		time.Sleep(50 * time.Second)
		da.refused(480)
	})
}
