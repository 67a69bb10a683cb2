package calls

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/wire/sip"
)

// Who never acknowledges the answer, and speaks all the same, does not speak for
// nothing: what the relay has carried until he is hung up on is counted.
func TestSpokenWithoutACK(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.phone("bert", "10.0.1.2:5062", 2, "2102")
		da := a.calls("2102", appSDP(a))
		db := b.rung()
		db.says(db.invite, 200, gsmSDP(b))
		b.hear("ACK")
		da.takes(a.hear("200"))
		l := r.media.sessions[0].legs[0]
		l.mu.Lock()
		l.carried = 20 * time.Second
		l.mu.Unlock()
		time.Sleep(25 * time.Second)
		synctest.Wait()
		for len(a.in) > 0 { // the answer, again and again
			<-a.in
		}
		da.send("BYE", "")
		db.says(b.hear("BYE"), 200, "")
		synctest.Wait()
		for len(a.in) > 0 {
			<-a.in
		}
		if c, got := r.record(), r.book.stays[imsi(t, 2)].voice; got != 20*time.Second || c.Called.Stays[0].Voice != got {
			t.Errorf("%v was counted, %+v", got, c)
		}
	})
}

// What strangers send is neither written down nor logged, whatever is wrong with it.
func TestStrangersLeaveNoRecord(t *testing.T) {
	log := &strings.Builder{}
	inRig(t, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(log, nil)) }, func(r *rig) {
		a := r.peer("mallory", "10.0.9.1:5060")
		for _, c := range []struct {
			user   string
			change func(*sip.Message)
		}{
			{"nobody", nil}, {"2102", func(m *sip.Message) { m.MaxForwards = 0 }}, {"2102", func(m *sip.Message) { m.Set("Require", "100rel") }},
			{"2102", func(m *sip.Message) { m.ContentType = "text/plain" }}, {"2102", func(m *sip.Message) { m.Contact = nil }}, {"112", nil}, {"", nil}, {"2102", nil},
		} {
			d := a.calls(c.user, appSDP(a), func(m *sip.Message) {
				if c.change != nil {
					c.change(m)
				}
			})
			synctest.Wait()
			m := <-a.in
			for m.Status == 100 {
				m = <-a.in
			}
			a.in <- m
			d.refused(m.Status)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.records) != 0 || log.Len() != 0 {
			t.Errorf("%d records; logged:\n%s", len(r.records), log)
		}
	})
}

// A trunk that is full of talk has room for who calls for help, without a
// separator of what he has dialled.
func TestHelpOnAFullTrunk(t *testing.T) {
	inRig(t, func(o *Options) {
		o.Trunks = []Trunk{{Name: "t", Proxy: "sip:10.0.3.1", Rates: []Rate{{}}, MaxCalls: 1}}
		o.Policy.Emergency = Emergency{Trunk: "t"}
	}, func(r *rig) {
		p := r.peer("provider", "10.0.3.1:5060")
		a, b := r.phone("anna", "10.0.1.1:5062", 1, "2101"), r.phone("bert", "10.0.1.2:5062", 2, "2102")
		da := a.calls("4930123", gsmSDP(a))
		dp := p.rung()
		db := b.calls("1-1-2", gsmSDP(b))
		dh := p.rung()
		if dh.invite.URI.User != "112" {
			t.Errorf("%v is called", dh.invite.URI.String())
		}
		dp.says(dp.invite, 486, "")
		dh.says(dh.invite, 486, "")
		da.refused(486)
		db.refused(486)
		p.hear("ACK")
		p.hear("ACK")
	})
}

// A CANCEL from elsewhere takes nobody's call back, whatever it knows of it.
func TestCancelFromElsewhere(t *testing.T) {
	inRig(t, nil, func(r *rig) {
		a, b := r.app("a", "10.0.2.1:5060", 1, "2101"), r.app("b", "10.0.2.2:5060", 2, "2102")
		mallory := r.peer("mallory", "10.0.9.1:5060")
		da := a.calls("2102", appSDP(a))
		db := b.rung()
		db.says(db.invite, 180, "")
		a.hear("180")
		m := sip.NewRequest("CANCEL", da.invite.URI)
		m.Via, m.From, m.To, m.CallID, m.CSeq.Seq = da.invite.Via[:1], da.invite.From, da.invite.To, da.invite.CallID, da.invite.CSeq.Seq
		mallory.say(m)
		mallory.hear("481")
		a.silent()
		b.silent()
		da.cancel()
		da.refused(487)
		b.hear("CANCEL")
		db.says(db.invite, 487, "")
		b.hear("ACK")
	})
}
