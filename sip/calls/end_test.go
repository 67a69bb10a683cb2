package calls

import (
	"testing"
	"time"

	"campanile.network/sip/media"
)

// Nobody answers: the phone that rang is told to stop.
func TestNoAnswer(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
		da := a.calls("2102", appSDP(a))
		db := b.rung()
		db.says(db.invite, 180, "")
		a.hear("180")
		begun := time.Now()
		m := da.refused(480)
		if d := time.Since(begun); d < 55*time.Second || d > 65*time.Second || reasonCause(m.Values("Reason")) != CauseNoAnswer {
			t.Errorf("after %v: %s", d, text(m))
		}
		db.says(b.hear("CANCEL"), 200, "")
		db.says(db.invite, 487, "")
		b.hear("ACK")
	})
}

// The station that a phone is registered at is silent.
func TestStationGone(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.phone("anna", "10.0.1.1:5062", 1, "2101"), r.phone("bert", "10.0.1.2:5062", 2, "2102")
		da := a.calls("2102", gsmSDP(a))
		m := da.refused(480)
		if got := reasonCause(m.Values("Reason")); got != CauseOutOfOrder {
			t.Errorf("cause %d", got)
		}
		if len(b.in) < 3 {
			t.Errorf("the station was asked %d times", len(b.in))
		}
	})
}

// Speech stops in mid-call: both are hung up.
func TestSilence(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b, da, db := pair(r)
		r.media.sessions[0].events <- media.Event{Leg: 1, Kind: media.Silent}
		da.says(a.hear("BYE"), 200, "")
		m := b.hear("BYE")
		db.says(m, 200, "")
		if got := reasonCause(m.Values("Reason")); got != CauseOutOfOrder {
			t.Errorf("cause %d", got)
		}
		if c := r.record(); c.Why != "silence" || c.By != nobody {
			t.Errorf("%+v", c)
		}
	})
}

// A call is as long as the operator allows.
func TestMaxLength(t *testing.T) {
	inRig(t, func(o *Options) { o.Policy.MaxLength = 10 * time.Minute }, func(r *rig) {
		a, b, da, db := pair(r)
		begun := time.Now()
		for time.Since(begun) < 10*time.Minute-time.Second {
			time.Sleep(time.Second)
		}
		da.says(a.hear("BYE"), 200, "")
		db.says(b.hear("BYE"), 200, "")
		if c := r.record(); c.Voice() != 10*time.Minute {
			t.Errorf("%v", c.Voice())
		}
	})
}

// The gateway is told to stop: who talks is hung up, who rings is refused.
func TestStop(t *testing.T) {
	var a, b *peer
	var da, db *dialog
	inRig(t, nil, func(r *rig) {
		a, b, da, db = pair(r)
		go func() {
			da.says(<-a.in, 200, "")
			db.says(<-b.in, 200, "")
		}()
	})
}

// Keys that are pressed: INFO from a phone becomes an event of RFC 4733 to an app,
// and an event from the app that has no INFO becomes none at the phone.
func TestKeys(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.phone("anna", "10.0.1.1:5062", 1, "2101"), r.app("app", "10.0.2.1:5060", 2, "2102")
		da, db := r.talks(a, "2102", b, gsmSDP(a), appSDP(b))
		info := func(d *dialog, body string, want string) {
			m := d.request("INFO", "")
			m.ContentType, m.Body = "application/dtmf-relay", []byte(body)
			d.p.say(m)
			d.p.hear(want)
		}
		info(da, "Signal=5\r\nDuration=200\r\n", "200")
		info(da, "Signal=#\r\n", "200")
		info(da, "Signal=x\r\n", "415")
		info(db, "Signal=1\r\n", "200")
		b.silent()
		a.silent()
		if got := r.media.sessions[0].legs[1].digits; got != "5#" {
			t.Errorf("the app's leg was sent %q", got)
		}
		da.hangsUp(db)
	})
	// Two apps, one of which takes keys by INFO only.
	inRig(t, nil, func(r *rig) {
		a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
		da, db := r.talks(a, "2102", b, appSDP(a), audio("10.0.2.2", 5000, "0 PCMU/8000"))
		r.media.sessions[0].events <- media.Event{Leg: 0, Kind: media.Digit, Digit: '7', Duration: 160 * time.Millisecond}
		m := b.hear("INFO")
		if string(m.Body) != "Signal=7\r\nDuration=160\r\n" || m.ContentType != dtmfRelay {
			t.Errorf("b hears:\n%s", text(m))
		}
		db.says(m, 200, "")
		da.hangsUp(db)
	})
}

// What is not of the dialog, or does not belong into one.
func TestWithin(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b, da, db := pair(r)
		m := da.request("BYE", "")
		m.CallID = "another"
		a.say(m)
		a.hear("481")
		m = da.request("BYE", "")
		m.From.Params.Set("tag", "another")
		a.say(m)
		a.hear("481")
		thief := r.peer("thief", "10.6.6.6:5062")
		stolen := *da
		stolen.p = thief
		stolen.send("BYE", "")
		thief.hear("481")
		da.send("REFER", "")
		if m := a.hear("405"); m.Get("Allow") != allowed {
			t.Errorf("405 says %q", m.Get("Allow"))
		}
		da.send("OPTIONS", "")
		a.hear("200")
		old := da.request("INFO", "")
		old.CSeq.Seq = 1
		a.say(old)
		a.hear("500")
		b.silent()
		da.hangsUp(db)
	})
}
