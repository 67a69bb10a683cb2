package mme

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/sms"
)

// A short message reaches a connected phone at once, an idle one by paging, and
// one that comes for another reason, too.
func TestSMSToPhone(t *testing.T) {
	playSMS(t, func(w *world, centre *testCentre, p *phone) {
		out := w.deliver(p.imsi, "ciao")
		m := hears[*sms.CPData](p)
		d := rpOf[*sms.RPData](p, m)
		if m.TI.Flag || d.Originator != testSC || must(must(d.TPDU()).(*sms.Deliver).User.Text(sms.DCS7Bit)) != "ciao" {
			t.Errorf("%v", m)
		}
		p.says(&sms.CPAck{TI: m.TI.Reply()})
		p.says(&sms.CPData{TI: m.TI.Reply(), User: must(sms.Append(nil, &sms.RPAck{Direction: sms.Uplink, Reference: d.Reference}))})
		hears[*sms.CPAck](p)
		w.acknowledged(out)

		p.idle()
		out = w.deliver(p.imsi, "paged")
		if g := expect[*s1ap.Paging](p.e); g.CNDomain != s1ap.CNDomainPs || g.UEPagingID.STMSI.ID() != p.guti.STMSI() {
			t.Errorf("%v", g)
		}
		p.request()
		p.e.silent(time.Second) // not before the bearers stand
		p.setupResponse()
		p.takes()
		w.acknowledged(out)

		p.idle() // an update without the active flag: the connection is kept for it
		out = w.deliver(p.imsi, "updating")
		expect[*s1ap.Paging](p.e)
		p.initial(p.updateRequest(eps.UpdateTA))
		down[*eps.TrackingAreaUpdateAccept](p)
		p.mmeID = expect[*s1ap.InitialContextSetupRequest](p.e).MMEUES1APID
		p.setupResponse()
		p.takes()
		w.acknowledged(out)
		if w.gw.failed != 0 {
			t.Error("the gateway was told that paging failed")
		}
		w.counted("short message to phone ok", 3)
	})
}

// Several for one phone, one after the other, each with its own transaction
// identifier; and one from the phone in the middle of one to it.
func TestSMSToPhoneInARow(t *testing.T) {
	playSMS(t, func(w *world, centre *testCentre, p *phone) {
		var outs []chan deliveredSMS
		for range 3 {
			outs = append(outs, w.deliver(p.imsi, "ciao"))
		}
		seen := map[sms.TI]bool{}
		for n := range uint8(3) {
			m := hears[*sms.CPData](p)
			if seen[m.TI] {
				t.Errorf("%v again", m.TI)
			}
			seen[m.TI] = true
			p.e.silent(time.Second)
			p.says(&sms.CPAck{TI: m.TI.Reply()})
			p.submits(m.TI.Value, n) // the same value, the phone's own
			hears[*sms.CPAck](p)
			a := hears[*sms.CPData](p)
			rpOf[*sms.RPAck](p, a)
			d := rpOf[*sms.RPData](p, m)
			p.says(&sms.CPData{TI: m.TI.Reply(), User: must(sms.Append(nil, &sms.RPAck{Direction: sms.Uplink, Reference: d.Reference}))})
			hears[*sms.CPAck](p)
			p.says(&sms.CPAck{TI: a.TI.Reply()})
			synctest.Wait()
			if n < 2 { // the CP-ACK is lost: what the phone repeats is acknowledged again, and the next is on its way
				continue
			}
			p.says(&sms.CPData{TI: m.TI.Reply(), User: must(sms.Append(nil, &sms.RPAck{Direction: sms.Uplink, Reference: d.Reference}))})
			hears[*sms.CPAck](p)
		}
		for _, out := range outs {
			w.acknowledged(out)
		}
	})
}

// What phones do wrong or say no with.
func TestSMSToPhoneRefused(t *testing.T) {
	playSMS(t, func(w *world, centre *testCentre, p *phone) {
		out := w.deliver(p.imsi, "ciao") // CP-ACK lost: repeated, and the RP-ACK says both (TS 24.011 §5.3.2.1)
		first := hears[*sms.CPData](p)
		m := hears[*sms.CPData](p)
		if string(first.User) != string(m.User) || first.TI != m.TI {
			t.Errorf("repeated as %v", m)
		}
		ref := rpOf[*sms.RPData](p, m).Reference
		p.says(&sms.CPData{TI: m.TI.Reply(), User: must(sms.Append(nil, &sms.RPError{Direction: sms.Uplink, Reference: ref, Cause: sms.RPCauseMemoryCapacityExceeded}))})
		hears[*sms.CPAck](p)
		if r := <-out; r.err != nil || r.answer.(*sms.RPError).Cause != sms.RPCauseMemoryCapacityExceeded {
			t.Errorf("%+v", r)
		}
		p.says(&sms.CPData{TI: sms.TI{Value: 0}, User: must(sms.Append(nil, &sms.RPSMMA{Reference: 3}))})
		hears[*sms.CPAck](p)
		a := hears[*sms.CPData](p)
		rpOf[*sms.RPAck](p, a)
		p.says(&sms.CPAck{TI: a.TI.Reply()})
		synctest.Wait()
		if _, ok := centre.got[0].(*sms.RPSMMA); !ok {
			t.Errorf("the centre has %v", centre.got)
		}

		out = w.deliver(p.imsi, "ciao") // CP-ERROR
		m = hears[*sms.CPData](p)
		p.says(&sms.CPError{TI: m.TI.Reply(), Cause: sms.CPCauseCongestion})
		if r := <-out; r.err == nil {
			t.Errorf("%+v", r)
		}
		out = w.deliver(p.imsi, "ciao") // never a CP-ACK
		for range tc1.sends {
			hears[*sms.CPData](p)
		}
		if r := <-out; !errors.Is(r.err, errNoAnswer) || r.took != 30*time.Second {
			t.Errorf("%+v", r)
		}
		out = w.deliver(p.imsi, "ciao") // never an RP-ACK, but one of something else
		m = hears[*sms.CPData](p)
		p.says(&sms.CPAck{TI: m.TI.Reply()})
		p.says(&sms.CPData{TI: m.TI.Reply(), User: must(sms.Append(nil, &sms.RPAck{Direction: sms.Uplink, Reference: 200}))})
		hears[*sms.CPAck](p)
		hears[*sms.CPError](p)
		if r := <-out; !errors.Is(r.err, errNoAnswer) || r.took != tr1nWait {
			t.Errorf("%+v", r)
		}
	})
}

// A phone that does not answer its paging, or is switched off, is announced when
// it comes back.
func TestSMSAlert(t *testing.T) {
	playSMS(t, func(w *world, centre *testCentre, p *phone) {
		if n := centre.readied(); n != 1 {
			t.Errorf("announced %d times after the attach", n)
		}
		p.idle()
		out := w.deliver(p.imsi, "ciao")
		for range 3 {
			expect[*s1ap.Paging](p.e)
		}
		if r := <-out; !errors.Is(r.err, ErrAbsent) || r.took != 15*time.Second || centre.readied() != 1 {
			t.Errorf("%+v, announced %d times", r, centre.readied())
		}
		if w.gw.failed != 0 {
			t.Error("the gateway, which has nothing for the phone, was told that paging failed")
		}
		p.initial(p.updateRequest(eps.UpdatePeriodic))
		g, _ := down[*eps.TrackingAreaUpdateAccept](p).GUTI.V.GUTI()
		p.guti = &g
		p.uplink(&eps.TrackingAreaUpdateComplete{})
		p.released()
		if n := centre.readied(); n != 2 {
			t.Errorf("announced %d times after it came", n)
		}
		p.request()
		p.setupResponse()
		if n := centre.readied(); n != 2 {
			t.Errorf("announced %d times though nobody waits", n)
		}
		p.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		p.released()
		p.settled()
		if r := <-w.deliver(p.imsi, "ciao"); !errors.Is(r.err, ErrNotRegistered) {
			t.Errorf("%+v", r)
		}
		p.guti, p.sec = nil, nil
		p.attachCombined()
		if n := centre.readied(); n != 3 {
			t.Errorf("announced %d times after the second attach", n)
		}
		if _, err := w.m.DeliverSMS(context.Background(), must(id.ParseIMSI("001010000099999")), delivering("ciao")); !errors.Is(err, ErrNotRegistered) {
			t.Errorf("to nobody: %v", err)
		}
	})
}

// The connection is released while a short message is on its way: before the
// phone has acknowledged it, it is sent again, paging first; after, it may have
// been shown, and the centre decides.
func TestSMSAndRelease(t *testing.T) {
	playSMS(t, func(w *world, centre *testCentre, p *phone) {
		out := w.deliver(p.imsi, "ciao")
		hears[*sms.CPData](p)
		p.release()
		expect[*s1ap.Paging](p.e)
		p.request()
		p.setupResponse()
		p.takes()
		w.acknowledged(out)

		out = w.deliver(p.imsi, "ciao")
		m := hears[*sms.CPData](p)
		p.says(&sms.CPAck{TI: m.TI.Reply()})
		p.release()
		if r := <-out; !errors.Is(r.err, errLineEnded) {
			t.Errorf("%+v", r)
		}
		p.e.silent(time.Second)

		// One arrives while the connection is being released: paged after that.
		p.request()
		p.setupResponse()
		p.settled()
		p.e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
		rel := expect[*s1ap.UEContextReleaseCommand](p.e)
		out = w.deliver(p.imsi, "late")
		p.e.send(&s1ap.UEContextReleaseComplete{MMEUES1APID: rel.UES1APIDs.UES1APIDPair.MMEUES1APID, ENBUES1APID: p.enbID})
		expect[*s1ap.Paging](p.e)
		p.request()
		p.setupResponse()
		p.takes()
		w.acknowledged(out)

		// The phone comes by another cell in the middle of one (TS 24.011 §5.3.2.2).
		out = w.deliver(p.imsi, "moving")
		hears[*sms.CPData](p)
		q := p.at(w.tower(0x19c))
		q.request()
		p.released()
		q.setupResponse()
		q.takes()
		w.acknowledged(out)

		// The phone is detached while it is paged for one.
		q.idle()
		out = w.deliver(q.imsi, "ciao")
		expect[*s1ap.Paging](q.e)
		q.initial(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: q.ksi, Identity: eps.FromGUTI(*q.guti)})
		q.released()
		if r := <-out; !errors.Is(r.err, ErrNotRegistered) {
			t.Errorf("%+v", r)
		}
	})
}

// A caller that waits no more leaves nothing behind; the MME's end ends all.
func TestSMSGivenUp(t *testing.T) {
	playSMS(t, func(w *world, centre *testCentre, p *phone) {
		p.idle()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := w.m.DeliverSMS(ctx, p.imsi, delivering("ciao")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		expect[*s1ap.Paging](p.e)
		p.request()
		p.setupResponse()
		p.e.silent(time.Second)
		out := w.deliver(p.imsi, "ciao")
		hears[*sms.CPData](p)
		w.stop()
		if r := <-out; r.err == nil {
			t.Errorf("%+v", r)
		}
	})
}

// A handover is no end of a short message: what the phone has begun to say at one
// eNB it says on at the other.
func TestSMSAndHandover(t *testing.T) {
	playSMS(t, func(w *world, centre *testCentre, p *phone) {
		f := w.towerIn(0x19c, 8)
		out := w.deliver(p.imsi, "ciao")
		m := hears[*sms.CPData](p)
		p.says(&sms.CPAck{TI: m.TI.Reply()})
		synctest.Wait()
		p.arrive(f)
		ref := rpOf[*sms.RPData](p, m).Reference
		p.says(&sms.CPData{TI: m.TI.Reply(), User: must(sms.Append(nil, &sms.RPAck{Direction: sms.Uplink, Reference: ref}))})
		hears[*sms.CPAck](p)
		w.acknowledged(out)

		out = w.deliver(p.imsi, "ciao") // the CP-DATA itself is lost on the way
		p.missed(expect[*s1ap.DownlinkNASTransport](f), w.towerIn(0x19b, 7))
		p.takes()
		w.acknowledged(out)
	})
}
