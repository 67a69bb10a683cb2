package mme

import (
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/secret"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/proof"
)

// strangers are towers of owners who do not trust each other.
func strangers(o *Options) { o.PathSwitch = func(from, to proof.TowerKey) bool { return false } }

// switchRequest is what the eNB f says when the phone has come to it by X2.
func (p *phone) switchRequest(f *enbPeer) *s1ap.PathSwitchRequest {
	f.lastID++
	p.teid++
	c := nassec.CapabilityOf(1, 2, 3).S1AP()
	return &s1ap.PathSwitchRequest{ENBUES1APID: f.lastID, SourceMMEUES1APID: p.mmeID, EUTRANCGI: f.cell(), TAI: f.tai(),
		ERABToBeSwitchedDLList: s1ap.ERABToBeSwitchedDLList{{ERABID: 5, TransportLayerAddress: s1ap.FromAddr(f.addr), GTPTEID: s1ap.FromTEID(id.TEID(p.teid))}},
		UESecurityCapabilities: s1ap.UESecurityCapabilities{EncryptionAlgorithms: s1ap.EncryptionAlgorithms(c), IntegrityProtectionAlgorithms: s1ap.IntegrityProtectionAlgorithms(c)}}
}

// arrive is X2 handover to f, all well.
func (p *phone) arrive(f *enbPeer) *s1ap.PathSwitchRequestAcknowledge {
	p.w.t.Helper()
	m := p.switchRequest(f)
	f.send(m)
	ack := expect[*s1ap.PathSwitchRequestAcknowledge](f)
	if ack.MMEUES1APID != p.mmeID || ack.ENBUES1APID != m.ENBUES1APID {
		p.w.t.Errorf("acknowledged for %d/%d", ack.MMEUES1APID, ack.ENBUES1APID)
	}
	p.e, p.enbID = f, m.ENBUES1APID
	return ack
}

// hop gives {NH, NCC} number n of the chain that begins with the last K_eNB
// (TS 33.401 §7.2.8.1), derived as the phone derives it.
func (p *phone) hop(n int) s1ap.SecurityContext {
	key := secret.Key256(p.kenb)
	for range n {
		key = aka.NH(p.kasme, key)
	}
	return s1ap.SecurityContext{NextHopChainingCount: uint8(n & 7), NextHopParameter: s1ap.SecurityKey(key)}
}

// TS 36.413 §8.4.4.2, TS 23.401 §5.5.1.1.2: the bearer moves, a segment begins at
// the new tower, and the chain of keys goes on (TS 33.401 §7.2.8.4.2).
func TestPathSwitch(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		_, x := w.gw.only(w)
		for n := 2; n < 12; n++ {
			was := len(x.segments)
			time.Sleep(time.Second)
			to := f
			if p.e == f {
				to = e
			}
			ack := p.arrive(to)
			if ack.SecurityContext != p.hop(n) {
				t.Errorf("switch %d: NCC %d, NH is right: %v", n-1, ack.SecurityContext.NextHopChainingCount, ack.SecurityContext.NextHopParameter == p.hop(n).NextHopParameter)
			}
			if u := ack.ERABToBeSwitchedULList; len(u) != 1 || u[0].ERABID != 5 || u[0].GTPTEID.ID() != 1 || ack.UESecurityCapabilities != nil || len(ack.ERABToBeReleasedList) != 0 {
				t.Errorf("switch %d: %+v", n-1, ack)
			}
			i := p.settled()
			tower := w.towers[uint32(to.eci>>8)]
			if s := x.segments[len(x.segments)-1]; len(x.segments) != was+1 || s.Tower != tower || s.Cell != proof.EUTRAN(id.ECGI{PLMN: testPLMN, ECI: to.eci}) || !s.Start.Equal(time.Now()) {
				t.Errorf("switch %d: %d segments, the last %+v", n-1, len(x.segments)-was, s)
			}
			if uint32(x.enb.TEID) != p.teid || i.State != Connected || i.TAI.TAC != to.tac || i.Tower != tower || uint32(i.Bearers[0].DL) != p.teid || i.Segment != uint32(n) {
				t.Errorf("switch %d: tunnel %v; %+v", n-1, x.enb, i)
			}
		}
		w.counted("path switch ok", 10)
		e.silent(time.Minute) // X2 tells the source (TS 36.300 §10.1.2.1.1)
		p.idle()
		p.request()
		if p.setupResponse(); p.settled().State != Connected || p.arrive(e).SecurityContext != p.hop(2) {
			t.Error("the next context setup does not begin a new chain")
		}
	})
}

// The former eNB has no part in the phone any more (TS 36.413 §10.6); what the
// phone says by the new one comes through, at once too.
func TestPathSwitchLegs(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		was := *p
		m := p.switchRequest(f)
		f.send(m)
		p.e, p.enbID = f, m.ENBUES1APID
		p.uplink(p.updateRequest(eps.UpdateTA)) // before the acknowledgement has come
		expect[*s1ap.PathSwitchRequestAcknowledge](f)
		a := down[*eps.TrackingAreaUpdateAccept](p)
		if l := a.TAIs.V.All(); !a.TAIs.OK || l[0].TAC != 8 {
			t.Errorf("accepted with %v", l)
		}
		if i := p.settled(); i.State != Connected {
			t.Errorf("the phone is %v", i.State)
		}
		e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: was.mmeID, ENBUES1APID: was.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
		if m := expect[*s1ap.ErrorIndication](e); *m.Cause != s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause() {
			t.Errorf("answered with %+v", m)
		}
		e.a.Abort("switched off")
		if i := p.settled(); i.State != Connected {
			t.Errorf("the phone is %v", i.State)
		}
		f.silent(time.Minute) // an update of a phone with bearers does not release it (TS 23.401 §5.3.3.2)
		f.a.Abort("switched off")
		if i := p.settled(); i.State != Idle {
			t.Errorf("the phone is %v", i.State)
		}
	})
}

// refusedSwitch sends a request and expects its refusal.
func (f *enbPeer) refusedSwitch(m *s1ap.PathSwitchRequest) s1ap.Cause {
	f.w.t.Helper()
	f.send(m)
	a := expect[*s1ap.PathSwitchRequestFailure](f)
	if a.MMEUES1APID != m.SourceMMEUES1APID || a.ENBUES1APID != m.ENBUES1APID {
		f.w.t.Errorf("refused for %d/%d", a.MMEUES1APID, a.ENBUES1APID)
	}
	return a.Cause
}

// TS 36.413 §8.4.4.3, §8.4.4.4, §10.6: what is refused leaves the phone as it was.
func TestAbnormal_36413_8_4_4_4_PathSwitchFailure(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		for what, c := range map[string]struct {
			change func(*s1ap.PathSwitchRequest)
			cause  s1ap.Cause
		}{
			"nobody's id": {func(m *s1ap.PathSwitchRequest) { m.SourceMMEUES1APID++ }, s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause()},
			"another MME's": {func(m *s1ap.PathSwitchRequest) {
				m.SourceMMEGUMMEI = new(s1ap.FromGUMMEI(id.GUMMEI{PLMN: testPLMN, Group: 1, Code: 9}))
			}, s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause()},
			"an E-RAB twice": {func(m *s1ap.PathSwitchRequest) {
				m.ERABToBeSwitchedDLList = append(m.ERABToBeSwitchedDLList, m.ERABToBeSwitchedDLList[0])
			}, s1ap.CauseRadioNetworkMultipleERABIDInstances.Cause()},
			"no default bearer":  {func(m *s1ap.PathSwitchRequest) { m.ERABToBeSwitchedDLList[0].ERABID = 7 }, s1ap.CauseRadioNetworkUnknownERABID.Cause()},
			"no tunnel end":      {func(m *s1ap.PathSwitchRequest) { m.ERABToBeSwitchedDLList[0].GTPTEID = s1ap.FromTEID(0) }, s1ap.CauseTransportUnspecified.Cause()},
			"a PLMN that is not": {func(m *s1ap.PathSwitchRequest) { m.TAI.PLMNidentity = s1ap.PLMNidentity{0xff, 0xff, 0xff} }, s1ap.CauseProtocolSemanticError.Cause()},
		} {
			m := p.switchRequest(f)
			c.change(m)
			if got := f.refusedSwitch(m); got != c.cause {
				t.Errorf("%s: cause %v, want %v", what, got, c.cause)
			}
			_, x := w.gw.only(w)
			if i := p.settled(); i.State != Connected || i.TAI.TAC != 7 || len(x.segments) != 1 || w.m.Stats().Connected != 1 {
				t.Errorf("%s: %+v, %d segments", what, i, len(x.segments))
			}
		}
		p.uplink(p.updateRequest(eps.UpdateTA)) // it is where it was
		down[*eps.TrackingAreaUpdateAccept](p)
		if p.arrive(f).SecurityContext != p.hop(2) {
			t.Error("a refusal has used a key")
		}
	})
}

// A phone that is going, or has no bearers yet, does not move.
func TestPathSwitchWithoutBearers(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.initial(p.attachRequest())
		p.uplink(p.answer(down[*eps.AuthenticationRequest](p)))
		busy := s1ap.CauseRadioNetworkInteractionWithOtherProcedure.Cause()
		if got := f.refusedSwitch(p.switchRequest(f)); got != busy {
			t.Errorf("while it attaches: %v", got)
		}
		p.secure()
		p.secured()
		p.information()
		p.accepted()
		p.setupResponse()
		p.complete()
		p.settled()
		e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
		expect[*s1ap.UEContextReleaseCommand](e)
		if got := f.refusedSwitch(p.switchRequest(f)); got != busy {
			t.Errorf("while it is released: %v", got)
		}
		e.send(&s1ap.UEContextReleaseComplete{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID})
		if i := p.settled(); i.State != Idle || w.m.Stats().Connected != 0 {
			t.Errorf("%+v", i)
		}
	})
}

// TS 36.413 §8.4.4.3, TS 23.401 §5.5.1.1.2: a gateway that does not take the new path has lost the
// phone, which is detached and comes back.
func TestAbnormal_36413_8_4_4_3_GatewayRefuses(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		w.gw.forget = &gtpc.CauseError{Cause: gtpc.ContextNotFound}
		m := p.switchRequest(f)
		if got := f.refusedSwitch(m); got != s1ap.CauseTransportTransportResourceUnavailable.Cause() {
			t.Errorf("cause %v", got)
		}
		p.e, p.enbID = f, m.ENBUES1APID
		if d := down[*eps.NetworkDetachRequest](p); d.Type != eps.NetworkDetachTypeReattach {
			t.Errorf("detach type %v", d.Type)
		}
		p.uplink(&eps.DetachAccept{})
		p.released()
		w.gw.forget = nil
		if i := p.settled(); i.State != Deregistered {
			t.Errorf("the phone is %v", i.State)
		}
		p.initial(p.attachRequest())
		p.authenticate()
		p.information()
		p.accepted()
		p.setupResponse()
		p.complete()
		if i := p.settled(); i.State != Connected {
			t.Errorf("the phone is %v", i.State)
		}
	})
}

// TS 33.401 §7.2.4.2.2: security capabilities that an eNB has changed are put
// right, and it is noticed.
func TestPathSwitchBidsDown(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		p := w.phone(e)
		p.attach()
		m := p.switchRequest(f)
		right := m.UESecurityCapabilities
		m.UESecurityCapabilities.EncryptionAlgorithms = 0
		f.send(m)
		if ack := expect[*s1ap.PathSwitchRequestAcknowledge](f); ack.UESecurityCapabilities == nil || ack.UESecurityCapabilities.EncryptionAlgorithms != right.EncryptionAlgorithms {
			t.Errorf("acknowledged with %+v", ack)
		}
		w.counted("security capabilities put right ok", 1)
		w.logged("security capabilities that are not the phone's")
	})
}

// An eNB that names phones it cannot know is heard no more for a while, and one
// whose tower is not believed steals nobody.
func TestPathSwitchForged(t *testing.T) {
	apart := func(o *Options) {
		o.PathSwitch = func(from, to proof.TowerKey) bool { return to != proof.TowerKey{9} }
	}
	play(t, apart, func(w *world) {
		w.towers[0x666] = proof.TowerKey{9}
		e, f, evil := w.tower(0x19b), w.tower(0x19c), w.tower(0x666)
		p := w.phone(e)
		p.attach()
		if got := evil.refusedSwitch(p.switchRequest(evil)); got != s1ap.CauseRadioNetworkHoTargetNotAllowed.Cause() {
			t.Errorf("cause %v", got)
		}
		w.logged("path switch refused", "from tower")
		for range maxMisses {
			m := p.switchRequest(f)
			m.SourceMMEUES1APID += 1 + s1ap.MMEUES1APID(f.lastID)
			f.refusedSwitch(m)
		}
		if got := f.refusedSwitch(p.switchRequest(f)); got != s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause() {
			t.Errorf("cause %v", got)
		}
		if i := p.settled(); i.Tower != w.towers[0x19b] {
			t.Errorf("%+v", i)
		}
		w.counted("path switch refused", maxMisses+2)
		time.Sleep(missWhile)
		p.arrive(f)
	})
}

// A phone that an eNB has taken by a lie is back with its next word (see
// pathswitch.go): the bound of what can be stolen.
func TestPathSwitchStolen(t *testing.T) {
	play(t, nil, func(w *world) {
		e, evil := w.tower(0x19b), w.tower(0x19c)
		p := w.phone(e)
		p.attach()
		thief := *p
		stolen := thief.arrive(evil)
		if i := p.settled(); i.Tower != w.towers[0x19c] {
			t.Fatalf("%+v", i)
		}
		p.uplink(p.updateRequest(eps.UpdateTA)) // is not heard; its eNB learns that the phone is gone
		if m := expect[*s1ap.ErrorIndication](e); *m.ENBUES1APID != p.enbID {
			t.Errorf("%+v", m)
		}
		p.request()
		expect[*s1ap.UEContextReleaseCommand](evil)
		p.setupResponse()
		_, x := w.gw.only(w)
		if i := p.settled(); i.State != Connected || i.Tower != w.towers[0x19b] || uint32(x.enb.TEID) != p.teid {
			t.Errorf("%+v", i)
		}
		if next := p.arrive(w.tower(0x19c)); next.SecurityContext.NextHopParameter == stolen.SecurityContext.NextHopParameter {
			t.Error("a key that the thief was told is told again")
		}
	})
}

// A path switch in the middle of a procedure: what the eNB gives back goes again
// at the new one (TS 24.301 §5.4.2.7, §5.4.1.6), and the procedure ends well.
func TestPathSwitchDuringProcedure(t *testing.T) {
	play(t, func(o *Options) { o.GUTIAge = time.Hour }, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		p := w.phone(e)
		p.attach()
		time.Sleep(time.Hour)
		p.uplink(p.updateRequest(eps.UpdateTA))
		m := expect[*s1ap.DownlinkNASTransport](e)
		for _, pdu := range [][]byte{m.NASPDU, m.NASPDU, {7, 0x46}} { // the second again, the third is none of the MME's
			e.send(&s1ap.NASNonDeliveryIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, NASPDU: pdu, Cause: s1ap.CauseRadioNetworkX2HandoverTriggered.Cause()})
		}
		synctest.Wait()
		p.arrive(f)
		a := down[*eps.TrackingAreaUpdateAccept](p)
		g, _ := a.GUTI.V.GUTI()
		p.guti = &g
		p.uplink(&eps.TrackingAreaUpdateComplete{})
		if i := p.settled(); i.TMSI != g.TMSI || i.State != Connected {
			t.Errorf("%+v", i)
		}
		w.counted("tracking area update ok", 1)
		f.silent(5 * time.Second)
	})
}

// An eNB that goes, or stops listening, in the middle of it.
func TestPathSwitchTargetDies(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		p := w.phone(e)
		p.attach()
		w.gw.delay(2 * time.Second)
		f.send(p.switchRequest(f))
		synctest.Wait()
		f.a.Abort("switched off")
		time.Sleep(5 * time.Second)
		if i := p.settled(); i.State != Idle || w.m.Stats().Connected != 0 {
			t.Errorf("%+v", i)
		}
		e.silent(time.Second)
		w.gw.delay(0)
		p.request()
		if p.setupResponse(); p.settled().State != Connected {
			t.Error("the phone is not back")
		}
	})
}
