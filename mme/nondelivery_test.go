package mme

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
)

// undeliverable are the messages for which a procedure waits for an answer: each
// brings the MME to send one, and gives it with how long its timer is and what becomes
// of the phone when its radio link fails (registered: it is idle).
var undeliverable = map[string]struct {
	send       func(*phone) *s1ap.DownlinkNASTransport
	timer      time.Duration
	procedure  string
	registered bool
	known      bool // the MME has contexts of the phone
}{
	"IDENTITY REQUEST, §5.4.4.6 a": {func(p *phone) *s1ap.DownlinkNASTransport {
		m := p.attachRequest()
		m.Identity = eps.FromGUTI(id.GUTI{GUMMEI: p.w.m.o.GUMMEI, TMSI: 0x12345})
		p.initial(m)
		return p.down()
	}, t3470.wait, "attach", false, false},
	"AUTHENTICATION REQUEST, §5.4.2.7 a": {func(p *phone) *s1ap.DownlinkNASTransport {
		p.initial(p.attachRequest())
		return p.down()
	}, t3460.wait, "attach", false, false},
	"AUTHENTICATION REQUEST on a live connection, §5.4.2.7 a": {func(p *phone) *s1ap.DownlinkNASTransport {
		p.attach()
		time.Sleep(untilRenewal)
		return p.down()
	}, t3460.wait, "lease renewal", true, true},
	"SECURITY MODE COMMAND, §5.4.3.7 a": {func(p *phone) *s1ap.DownlinkNASTransport {
		p.initial(p.attachRequest())
		p.uplink(p.answer(down[*eps.AuthenticationRequest](p)))
		return p.down()
	}, t3460.wait, "attach", false, false},
	"ESM INFORMATION REQUEST, §5.5.1.2.7 a": {func(p *phone) *s1ap.DownlinkNASTransport {
		p.initial(p.attachRequest())
		p.authenticate()
		return p.down()
	}, t3489.wait, "attach", false, true},
	"ATTACH ACCEPT again, §5.5.1.2.7 a": {func(p *phone) *s1ap.DownlinkNASTransport {
		p.offered()
		p.setupResponse()
		return p.down()
	}, t3450.wait, "attach", false, true},
	"TRACKING AREA UPDATE ACCEPT, §5.5.3.2.7 a": {func(p *phone) *s1ap.DownlinkNASTransport {
		p.attach()
		p.idle()
		p.initial(p.updateRequest(eps.UpdatePeriodic))
		return p.down()
	}, t3450.wait, "tracking area update", true, true},
	"GUTI REALLOCATION COMMAND, §5.4.1.6 a": {func(p *phone) *s1ap.DownlinkNASTransport {
		p.attach()
		p.idle()
		p.w.m.o.GUTIRequests = 1 // nothing runs
		p.request()
		p.setupResponse()
		return p.down()
	}, t3450.wait, "GUTI reallocation", true, true},
	"DETACH REQUEST, §5.5.2.3.5 b": {func(p *phone) *s1ap.DownlinkNASTransport {
		p.attach()
		_ = p.w.m.Detach(p.imsi, NetworkDetach{Type: eps.NetworkDetachTypeNoReattach})
		return p.down()
	}, t3422.wait, "network detach", false, true},
}

// down takes a Downlink NAS Transport of this phone as it is.
func (p *phone) down() *s1ap.DownlinkNASTransport {
	p.w.t.Helper()
	m := expect[*s1ap.DownlinkNASTransport](p.e)
	p.mmeID = m.MMEUES1APID
	return m
}

func (p *phone) undelivered(m *s1ap.DownlinkNASTransport, cause s1ap.Cause) {
	p.e.send(&s1ap.NASNonDeliveryIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, NASPDU: m.NASPDU, Cause: cause})
}

// TS 36.413 §8.6.2.4: a NAS PDU comes back because the phone cannot be heard. That is a
// failure of the lower layer: the procedure ends, nothing is sent again, and the
// phone is what it was before.
func TestAbnormal_36413_8_6_2_4_RadioLost(t *testing.T) {
	for name, c := range undeliverable {
		for _, cause := range []s1ap.Cause{s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause(), s1ap.CauseRadioNetworkFailureInRadioInterfaceProcedure.Cause()} {
			t.Run(name, func(t *testing.T) {
				play(t, noUpdates, func(w *world) {
					p := w.phone(w.tower(0x19b))
					m := c.send(p)
					p.undelivered(m, cause)
					if got := p.released(); got != cause {
						t.Errorf("released with %v", got)
					}
					p.e.silent(time.Minute)
					w.counted(c.procedure+" interrupted", 1)
					w.counted("NAS non delivery "+cause.String(), 1)
					if st := w.m.Stats(); (st.Registered == 1) != c.registered || (st.UEs == 1) != c.known || st.Connected != 0 {
						t.Errorf("%+v", st)
					}
					if !c.registered {
						w.gw.none(w)
						return
					}
					if i := p.settled(); i.State != Idle {
						t.Errorf("%+v", i)
					}
				})
			})
		}
	}
}

// TS 36.413 §8.6.2.4: after any other cause the procedure's timer repeats the message,
// under another COUNT if it is protected.
func TestAbnormal_36413_8_6_2_4_Repeated(t *testing.T) {
	for name, c := range undeliverable {
		t.Run(name, func(t *testing.T) {
			play(t, noUpdates, func(w *world) {
				p := w.phone(w.tower(0x19b))
				m := c.send(p)
				p.undelivered(m, s1ap.CauseRadioNetworkUnspecified.Cause())
				p.e.silent(c.timer - time.Millisecond)
				again := p.down()
				if protected := must(nassec.TypeOf(m.NASPDU)) != nassec.Plain; bytes.Equal(again.NASPDU, m.NASPDU) == protected {
					t.Errorf("%x and again %x: a protected message has another COUNT", m.NASPDU, again.NASPDU)
				}
			})
		})
	}
}

// TS 36.413 §8.6.2.4: a message comes back because the phone is on its way. It is sent
// again as it was, by the eNB where the phone is then, or by the same if the handover
// fails (TS 24.301 §5.4.1.6, §5.4.2.7, §5.4.3.7).
func TestAbnormal_36413_8_6_2_4_Handover(t *testing.T) {
	for name, c := range undeliverable {
		if !c.registered || c.procedure == "tracking area update" {
			continue // without bearers nobody goes anywhere
		}
		for _, fails := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				play(t, noUpdates, func(w *world) {
					p := w.phone(w.tower(0x19b))
					f := w.towerIn(0x19c, 8)
					sent := c.send(p)
					m, _ := p.prepare(f)
					p.undelivered(sent, s1ap.CauseRadioNetworkS1IntraSystemHandoverTriggered.Cause())
					synctest.Wait()
					if fails {
						f.send(&s1ap.HandoverFailure{MMEUES1APID: m.there.mmeID, Cause: s1ap.CauseRadioNetworkNoRadioResourcesAvailableInTargetCell.Cause()})
						p.failed()
					} else {
						m.commanded()
						m.notify()
						m.left()
					}
					if again := p.down(); !bytes.Equal(again.NASPDU, sent.NASPDU) {
						t.Errorf("again %x, it was %x", again.NASPDU, sent.NASPDU)
					}
				})
			})
		}
	}
}

// The phone is lost while a handover is being prepared: it ends, and so does what the
// target has prepared.
func TestRadioLostInHandover(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		f := w.towerIn(0x19c, 8)
		p.attach()
		m, _ := p.prepare(f)
		p.undelivered(&s1ap.DownlinkNASTransport{NASPDU: []byte{7}}, s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause())
		p.released()
		expect[*s1ap.UEContextReleaseCommand](m.there.e)
		if i := p.settled(); i.State != Idle {
			t.Errorf("%+v", i)
		}
	})
}
