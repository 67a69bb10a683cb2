package mme

import (
	"context"
	"testing"
	"testing/synctest"

	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/sms"
)

// TS 24.011 §5, TS 23.401 §5.5.1.2.2: a transaction of short messages outlives the
// S1 connection that it began on. To the phone: it takes the message at the source
// and acknowledges at the target. From the phone: sent at the source, answered at
// the target. Neither is sent twice.
func TestSMSAcrossHandover(t *testing.T) {
	playSMS(t, func(w *world, centre *testCentre, p *phone) {
		e, f := p.e, w.towerIn(0x19c, 8)
		out := w.deliver(p.imsi, "ciao")
		m := hears[*sms.CPData](p)
		p.says(&sms.CPAck{TI: m.TI.Reply()})
		p.moveTo(f)
		p.says(&sms.CPData{TI: m.TI.Reply(), User: must(sms.Append(nil, &sms.RPAck{Direction: sms.Uplink, Reference: rpOf[*sms.RPData](p, m).Reference}))})
		if a := hears[*sms.CPAck](p); a.TI != m.TI {
			t.Errorf("CP-ACK of %v, want %v", a.TI, m.TI)
		}
		w.acknowledged(out)

		there := make(chan struct{})
		centre.answer = func(context.Context, sms.RP) (sms.RP, error) {
			<-there
			return &sms.RPAck{Direction: sms.Downlink, Reference: 9}, nil
		}
		p.submits(3, 9)
		hears[*sms.CPAck](p)
		p.moveTo(e)
		close(there)
		d := hears[*sms.CPData](p)
		rpOf[*sms.RPAck](p, d)
		p.says(&sms.CPAck{TI: d.TI.Reply()})
		synctest.Wait()
		w.counted("short message to phone ok", 1)
		w.counted("short message from phone ok", 1)
		w.gw.none2(w)
	})
}

// TS 36.413 §8.6.2.4: a short message that reached the source too late is given back,
// and goes to the target.
func TestSMSGivenBackByHandover(t *testing.T) {
	playSMS(t, func(w *world, _ *testCentre, p *phone) {
		f := w.towerIn(0x19c, 8)
		out := w.deliver(p.imsi, "ciao")
		late := expect[*s1ap.DownlinkNASTransport](p.e)
		m, _ := p.prepare(f)
		m.commanded()
		p.e.send(&s1ap.NASNonDeliveryIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, NASPDU: late.NASPDU,
			Cause: s1ap.CauseRadioNetworkS1IntraSystemHandoverTriggered.Cause()})
		synctest.Wait()
		m.notify()
		m.left()
		p.takes()
		w.acknowledged(out)
		w.counted("short message to phone ok", 1)
	})
}
