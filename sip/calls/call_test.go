package calls

import (
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/wire/sip"
)

// Two phones of GSM, each in a cell of its own OpenBTS.
func TestPhoneCallsPhone(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a := r.phone("anna", "10.0.1.1:5062", 1, "2101")
		b := r.phone("bert", "10.0.1.2:5062", 2, "2102")
		da, db := r.talks(a, "2102", b, gsmSDP(a), gsmSDP(b))
		for range 90 {
			time.Sleep(time.Second)
		}
		time.Sleep(345 * time.Millisecond)
		da.hangsUp(db)
		c := r.record()
		const want = 90*time.Second + 345*time.Millisecond
		if c.Voice() != want || c.Why != "hung up" || c.By != 0 || c.Cause != CauseNormal {
			t.Errorf("the record says %v, %q, by %d, cause %d", c.Voice(), c.Why, c.By, c.Cause)
		}
		for i := range 2 {
			if got := r.book.stays[imsi(t, i+1)].voice; got != want {
				t.Errorf("%v counted at phone %d, want %v", got, i+1, want)
			}
		}
		if c.Caller.Stays[0].Voice != want || c.Called.Stays[0].Voice != want || c.Called.Stays[0].Cell.CI != 2 {
			t.Errorf("stays %+v, %+v", c.Caller.Stays, c.Called.Stays)
		}
		r.script.golden(t, "openbts-openbts")
	})
}

// A phone calls an app: what it asserts of itself counts for nothing, the app
// sees the number that the registry has.
func TestPhoneCallsApp(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a := r.phone("anna", "10.0.1.1:5062", 1, "2101")
		b := r.app("app", "10.0.2.1:5060", 2, "2102")
		da := a.calls("2102", gsmSDP(a), func(m *sip.Message) {
			m.Set("P-Asserted-Identity", "<sip:666@evil>")
			m.Set("P-Preferred-Identity", "<sip:666@evil>")
		})
		db := b.rung()
		if got := db.invite.Get("P-Asserted-Identity"); got != "<sip:2101@campanile.example>" || db.invite.From.URI.User != "2101" {
			t.Errorf("shown are %q and %v", got, db.invite.From)
		}
		db.says(db.invite, 180, "")
		a.hear("180")
		time.Sleep(3 * time.Second)
		db.says(db.invite, 200, appSDP(b))
		da.answered()
		b.hear("ACK")
		time.Sleep(time.Second)
		m := r.media.sessions[0]
		if got := m.legs[0].peer(t); len(got.Receives) != 1 || got.Receives[0].Name != "GSM" || got.Addr.Port() != 4000 {
			t.Errorf("the phone's leg is %+v", got)
		}
		if got := m.legs[1].peer(t); got.Receives[0].Name != "PCMU" || got.Addr.Port() != 5000 {
			t.Errorf("the app's leg is %+v", got)
		}
		db.hangsUp(da)
		if c := r.record(); c.By != 1 || c.Voice() != time.Second || c.Formats != [2]string{"GSM", "PCMU"} {
			t.Errorf("%+v", c)
		}
		r.script.golden(t, "openbts-app")
	})
}

// The caller gives up while it rings.
func TestCancel(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
		da := a.calls("2102", appSDP(a))
		db := b.rung()
		db.says(db.invite, 180, "")
		a.hear("180")
		da.cancel()
		da.refused(487)
		db.says(b.hear("CANCEL"), 200, "")
		db.says(db.invite, 487, "")
		b.hear("ACK")
		if c := r.record(); c.Why != "cancelled" || c.Status != 487 || c.Voice() != 0 {
			t.Errorf("%+v", c)
		}
	})
}

// The answer crosses the caller's CANCEL: who has answered is hung up.
func TestCancelMeetsAnswer(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
		da := a.calls("2102", appSDP(a))
		db := b.rung()
		db.says(db.invite, 180, "")
		a.hear("180")
		da.cancel()
		da.refused(487)
		cancel := b.hear("CANCEL")
		db.says(db.invite, 200, appSDP(b)) // it had been answered before CANCEL came
		db.says(cancel, 481, "")
		b.hear("ACK")
		db.says(b.hear("BYE"), 200, "")
	})
}

// CANCEL and answer come at the same instant. The caller hears 487, or an answer
// that is hung up once he has acknowledged it, or CANCEL came too late (RFC 3261
// §9.2) and he hangs up; who has answered is hung up in any case.
func TestCancelWithAnswer(t *testing.T) {
	for range 20 {
		inRig(t, nil, func(r *rig) {
			a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
			da := a.calls("2102", appSDP(a))
			db := b.rung()
			db.says(db.invite, 180, "")
			a.hear("180")
			db.says(db.invite, 200, appSDP(b))
			da.cancel()
			if m := <-a.in; m.Status == 487 {
				a.in <- m
				da.refused(487)
			} else {
				da.takes(m)
				a.silent() // no BYE before his ACK
				da.ack(m, "")
				synctest.Wait()
				if len(a.in) > 0 {
					da.says(a.hear("BYE"), 200, "")
				} else {
					da.send("BYE", "")
					a.hear("200")
				}
			}
			for {
				m := <-b.in
				if m.Method == "CANCEL" {
					db.says(m, 481, "")
				} else if m.Method == "BYE" {
					db.says(m, 200, "")
					break
				} else if m.Method != "ACK" {
					t.Fatalf("b hears:\n%s", text(m))
				}
			}
		})
	}
}

// A refusal of who was called is the caller's, with its cause.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		status, want int
		reason       string
		cause        Cause
	}{
		{486, 486, "", CauseBusy}, {603, 603, "", CauseRejected}, {404, 404, "", CauseUnassigned}, {480, 480, "", CauseNoResponse},
		{480, 480, "Q.850;cause=27", CauseOutOfOrder}, {503, 500, "", CauseFailure}, {302, 480, "", CauseMoved}, {408, 480, "", CauseTimer},
		{488, 488, "", CauseIncompatible}, {500, 500, "", CauseFailure}, {600, 600, "", CauseBusy},
	} {
		inRig(t, nil, func(r *rig) {
			a, b := r.phone("anna", "10.0.1.1:5062", 1, "2101"), r.phone("bert", "10.0.1.2:5062", 2, "2102")
			da := a.calls("2102", gsmSDP(a))
			db := b.rung()
			db.says(db.invite, c.status, "", func(m *sip.Message) {
				if c.reason != "" {
					m.Add("Reason", c.reason)
				}
			})
			b.hear("ACK")
			m := da.refused(c.want)
			if got := reasonCause(m.Values("Reason")); got != c.cause {
				t.Errorf("%d %q becomes cause %d, want %d", c.status, c.reason, got, c.cause)
			}
			if e := r.record(); e.Status != c.want || e.Cause != c.cause {
				t.Errorf("%d: %+v", c.status, e)
			}
		})
	}
}
