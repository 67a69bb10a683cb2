package mme

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/proof"
)

// required is what the phone's eNB says to hand it over to f.
func (p *phone) required(f *enbPeer) *s1ap.HandoverRequired {
	return &s1ap.HandoverRequired{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkHandoverDesirableForRadioReason.Cause(),
		TargetID: s1ap.TargetID{Choice: s1ap.TargetIDChoiceTargeteNBID, TargeteNBID: &s1ap.TargeteNBID{
			GlobalENBID: s1ap.FromGlobalENBID(id.GlobalENBID{PLMN: testPLMN, Type: id.MacroENB, ID: uint32(f.eci >> 8)}), SelectedTAI: f.tai()}},
		SourceToTargetTransparentContainer: toTarget(f)}
}

// toTarget and toSource are what eNBs tell each other; what is of RRC in it is not.
func toTarget(f *enbPeer) []byte {
	return must((&s1ap.SourceeNBToTargeteNBTransparentContainer{RRCContainer: []byte("to the target"), TargetCellID: f.cell(),
		UEHistoryInformation: s1ap.UEHistoryInformation{{Choice: s1ap.LastVisitedCellItemChoiceEUTRANCell, EUTRANCell: &s1ap.LastVisitedEUTRANCellInformation{GlobalCellID: f.cell()}}}}).Append(nil))
}

func toSource() []byte {
	return must((&s1ap.TargeteNBToSourceeNBTransparentContainer{RRCContainer: []byte("to the source")}).Append(nil))
}

// moving is a phone in an S1 handover: there is what it will be at the target.
type moving struct {
	*phone
	there phone
}

// prepare is preparation up to the Handover Request.
func (p *phone) prepare(f *enbPeer) (*moving, *s1ap.HandoverRequest) {
	p.w.t.Helper()
	p.e.send(p.required(f))
	r := expect[*s1ap.HandoverRequest](f)
	if r.MMEUES1APID == p.mmeID || !bytes.Equal(r.SourceToTargetTransparentContainer, toTarget(f)) {
		p.w.t.Errorf("Handover Request %+v", r)
	}
	m := &moving{p, *p}
	f.lastID++
	m.there.e, m.there.mmeID, m.there.enbID = f, r.MMEUES1APID, f.lastID
	m.there.teid++
	return m, r
}

func (m *moving) ready() *s1ap.HandoverRequestAcknowledge {
	q := &m.there
	return &s1ap.HandoverRequestAcknowledge{MMEUES1APID: q.mmeID, ENBUES1APID: q.enbID, TargetToSourceTransparentContainer: toSource(),
		ERABAdmittedList: s1ap.ERABAdmittedList{{ERABID: 5, TransportLayerAddress: s1ap.FromAddr(q.e.addr), GTPTEID: s1ap.FromTEID(id.TEID(q.teid))}}}
}

// commanded is the target's acknowledgement, and Handover Command to the source.
func (m *moving) commanded() *s1ap.HandoverCommand {
	m.w.t.Helper()
	m.there.e.send(m.ready())
	c := expect[*s1ap.HandoverCommand](m.e)
	if c.MMEUES1APID != m.mmeID || c.ENBUES1APID != m.enbID || !bytes.Equal(c.TargetToSourceTransparentContainer, toSource()) {
		m.w.t.Errorf("Handover Command %+v", c)
	}
	return c
}

func (m *moving) notify() {
	m.w.t.Helper()
	q := &m.there
	q.e.send(&s1ap.HandoverNotify{MMEUES1APID: q.mmeID, ENBUES1APID: q.enbID, EUTRANCGI: q.e.cell(), TAI: q.e.tai()})
}

// left is the release of the source, and the phone where it is now.
func (m *moving) left() {
	m.w.t.Helper()
	if cause := m.released(); cause != s1ap.CauseRadioNetworkSuccessfulHandover.Cause() {
		m.w.t.Errorf("the source is released with cause %v", cause)
	}
	*m.phone = m.there
}

// moveTo is S1 handover, all well.
func (p *phone) moveTo(f *enbPeer) *s1ap.HandoverRequest {
	p.w.t.Helper()
	m, r := p.prepare(f)
	m.commanded()
	m.notify()
	m.left()
	return r
}

// unprepared takes the target's release of what it has prepared.
func (m *moving) unprepared() s1ap.Cause {
	m.w.t.Helper()
	return m.there.released()
}

// failed is the Handover Preparation Failure that the source is told.
func (p *phone) failed() s1ap.Cause {
	p.w.t.Helper()
	m := expect[*s1ap.HandoverPreparationFailure](p.e)
	if m.MMEUES1APID != p.mmeID || m.ENBUES1APID != p.enbID {
		p.w.t.Errorf("failure for %d/%d", m.MMEUES1APID, m.ENBUES1APID)
	}
	return m.Cause
}

// stays checks that the phone is where it was, and that nothing is left elsewhere.
func (p *phone) stays(tac id.TAC) {
	p.w.t.Helper()
	synctest.Wait()
	_, x := p.w.gw.only(p.w)
	if i := p.settled(); i.State != Connected || i.TAI.TAC != tac || uint32(x.enb.TEID) != p.teid || p.w.m.Stats().Connected != 1 {
		p.w.t.Errorf("the phone: %+v; tunnel %v; %d connections", i, x.enb, p.w.m.Stats().Connected)
	}
	p.uplink(p.updateRequest(eps.UpdateTA))
	down[*eps.TrackingAreaUpdateAccept](p)
}

// TS 23.401 §5.5.1.2.2, TS 36.413 §8.4.1.2, §8.4.2.2, §8.4.3.2: there and back
// again and again; the chain of keys goes on (TS 33.401 §7.2.8.4.3), over X2
// too.
func TestS1Handover(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		_, x := w.gw.only(w)
		for n := 2; n < 14; n++ {
			to := f
			if p.e == f {
				to = e
			}
			time.Sleep(time.Second)
			var key s1ap.SecurityContext
			if n%4 == 3 {
				key = p.arrive(to).SecurityContext
			} else {
				r := p.moveTo(to)
				key = r.SecurityContext
				if b := r.ERABToBeSetupListHOReq; len(b) != 1 || b[0].ERABID != 5 || b[0].GTPTEID.ID() != 1 || b[0].ERABLevelQoSParameters.QCI != 9 ||
					b[0].IEExtensions.DataForwardingNotPossible == nil || r.UEAggregateMaximumBitrate.UEaggregateMaximumBitRateDL != 100e6 {
					t.Errorf("handover %d: %+v", n-1, r)
				}
			}
			if key != p.hop(n) {
				t.Errorf("handover %d: NCC %d, NH is right: %v", n-1, key.NextHopChainingCount, key.NextHopParameter == p.hop(n).NextHopParameter)
			}
			p.stays(to.tac)
			s := x.segments[len(x.segments)-1]
			if tower := w.towers[uint32(to.eci>>8)]; len(x.segments) != n || s.Tower != tower || s.Cell != proof.EUTRAN(id.ECGI{PLMN: testPLMN, ECI: to.eci}) || !s.Start.Equal(time.Now()) {
				t.Errorf("handover %d: %d segments, the last %+v", n-1, len(x.segments), s)
			}
		}
		w.counted("S1 handover ok", 9)
		w.counted("path switch ok", 3)
		p.idle()
		w.gw.mu.Lock()
		defer w.gw.mu.Unlock()
		if len(w.gw.bad) != 0 {
			t.Error(w.gw.bad)
		}
	})
}

// TS 36.413 §8.4.1.3: who cannot be a target.
func TestAbnormal_36413_8_4_1_3_TargetUnknown(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		unknown, not := s1ap.CauseRadioNetworkUnknownTargetID.Cause(), s1ap.CauseRadioNetworkHoTargetNotAllowed.Cause()
		for what, c := range map[string]struct {
			change func(*s1ap.HandoverRequired)
			cause  s1ap.Cause
		}{
			"no such eNB":   {func(m *s1ap.HandoverRequired) { m.TargetID.TargeteNBID.GlobalENBID.ENBID.MacroENBID++ }, unknown},
			"another PLMN":  {func(m *s1ap.HandoverRequired) { m.TargetID.TargeteNBID.SelectedTAI.PLMNidentity[2] = 0x20 }, unknown},
			"no PLMN":       {func(m *s1ap.HandoverRequired) { m.TargetID.TargeteNBID.GlobalENBID.PLMNidentity[0] = 0xff }, unknown},
			"no area of it": {func(m *s1ap.HandoverRequired) { m.TargetID.TargeteNBID.SelectedTAI.TAC = s1ap.FromTAC(9) }, unknown},
			"an RNC": {func(m *s1ap.HandoverRequired) {
				m.TargetID = s1ap.TargetID{Choice: s1ap.TargetIDChoiceTargetRNCID, TargetRNCID: &s1ap.TargetRNCID{LAI: s1ap.LAI{PLMNidentity: s1ap.FromPLMN(testPLMN)}}}
			}, unknown},
			"another technique": {func(m *s1ap.HandoverRequired) { m.HandoverType = s1ap.HandoverTypeLtetoutran }, not},
		} {
			m := p.required(f)
			c.change(m)
			e.send(m)
			if got := p.failed(); got != c.cause {
				t.Errorf("%s: cause %v", what, got)
			}
		}
		f.silent(time.Second)
		p.stays(7)
		if p.moveTo(f).SecurityContext != p.hop(2) {
			t.Error("a key was used for nothing")
		}
		w.counted("S1 handover S1AP cause "+unknown.String(), 5)
	})
}

// TS 36.413 §8.4.2.3, §8.4.1.3: the target refuses, or admits what is of no use,
// or does not answer.
func TestAbnormal_36413_8_4_2_3_TargetRefuses(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		full, bad := s1ap.CauseRadioNetworkNoRadioResourcesAvailableInTargetCell.Cause(), s1ap.CauseRadioNetworkHoFailureInTargetEPCENBOrTargetSystem.Cause()

		m, _ := p.prepare(f)
		f.send(&s1ap.HandoverFailure{MMEUES1APID: m.there.mmeID, Cause: full})
		if got := p.failed(); got != full {
			t.Errorf("cause %v", got)
		}
		f.silent(time.Second)
		p.stays(7)

		for what, change := range map[string]func(*s1ap.HandoverRequestAcknowledge){
			"a bearer that is none": func(a *s1ap.HandoverRequestAcknowledge) { a.ERABAdmittedList[0].ERABID = 9 },
			"no tunnel end":         func(a *s1ap.HandoverRequestAcknowledge) { a.ERABAdmittedList[0].GTPTEID = s1ap.FromTEID(0) },
			"an address that is not": func(a *s1ap.HandoverRequestAcknowledge) {
				a.ERABAdmittedList[0].TransportLayerAddress = s1ap.TransportLayerAddress{Bytes: []byte{1}, Len: 8}
			},
		} {
			m, _ = p.prepare(f)
			a := m.ready()
			change(a)
			f.send(a)
			if got := p.failed(); got != bad {
				t.Errorf("%s: cause %v", what, got)
			}
			if got := m.unprepared(); got != bad {
				t.Errorf("%s: the target is released with %v", what, got)
			}
		}

		p.idle() // five handovers that fail are one too many for one key (TS 33.401 §7.2.8.4.3: NCC has three bits)
		p.request()
		p.setupResponse()
		p.settled()
		m, _ = p.prepare(f)
		began := time.Now()
		if got := p.failed(); got != s1ap.CauseRadioNetworkTS1relocprepExpiry.Cause() || time.Since(began) != handoverPrepareWait {
			t.Errorf("cause %v after %v", got, time.Since(began))
		}
		c := expect[*s1ap.UEContextReleaseCommand](f) // by the MME's id, the eNB's is not known (TS 36.413 §8.3.3.2)
		if c.UES1APIDs.Choice != s1ap.UES1APIDsChoiceMMEUES1APID || c.UES1APIDs.MMEUES1APID != m.there.mmeID {
			t.Errorf("released %+v", c.UES1APIDs)
		}
		f.send(m.ready()) // too late
		expect[*s1ap.ErrorIndication](f)
		p.stays(7)
	})
}

// What is admitted moves; a phone whose gateway does not follow comes back
// (TS 23.401 §5.5.1.2.2).
func TestHandoverGatewayRefuses(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		m, _ := p.prepare(f)
		m.commanded()
		w.gw.forget = &gtpc.CauseError{Cause: gtpc.ContextNotFound}
		m.notify()
		m.left()
		if d := down[*eps.NetworkDetachRequest](p); d.Type != eps.NetworkDetachTypeReattach {
			t.Errorf("detach type %v", d.Type)
		}
		p.uplink(&eps.DetachAccept{})
		p.released()
		if i := p.settled(); i.State != Deregistered || w.m.Stats().Connected != 0 {
			t.Errorf("%+v", i)
		}
	})
}

// TS 36.413 §8.4.6.2, §8.4.7.2: the status of the bearers is passed on; and the
// path on which the source forwards, for as long as it may (§8.4.1.2).
func TestHandoverStatusAndForwarding(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		m, q := p.prepareDirect(f)
		if x := q.ERABToBeSetupListHOReq[0].IEExtensions; x != nil {
			t.Errorf("forwarding is said not to be possible: %+v", x)
		}
		a := m.ready()
		a.ERABAdmittedList[0].DLTransportLayerAddress, a.ERABAdmittedList[0].DLGTPTEID = s1ap.FromAddr(f.addr), new(s1ap.FromTEID(77))
		f.send(a)
		c := expect[*s1ap.HandoverCommand](e)
		if l := c.ERABSubjecttoDataForwardingList; len(l) != 1 || l[0].ERABID != 5 || l[0].DLGTPTEID.ID() != 77 || l[0].ULGTPTEID != nil {
			t.Errorf("forwarding %+v", l)
		}
		list := s1ap.ENBStatusTransferTransparentContainer{BearersSubjectToStatusTransferList: s1ap.BearersSubjectToStatusTransferList{{
			ERABID: 5, ULCOUNTvalue: s1ap.COUNTvalue{PDCPSN: 12, HFN: 3}, DLCOUNTvalue: s1ap.COUNTvalue{PDCPSN: 99, HFN: 4}}}}
		e.send(&s1ap.ENBStatusTransfer{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, ENBStatusTransferTransparentContainer: list})
		s := expect[*s1ap.MMEStatusTransfer](f)
		if b := s.ENBStatusTransferTransparentContainer.BearersSubjectToStatusTransferList; s.MMEUES1APID != q.MMEUES1APID || s.ENBUES1APID != m.there.enbID || len(b) != 1 || b[0].DLCOUNTvalue.PDCPSN != 99 {
			t.Errorf("status %+v", s)
		}
		m.notify()
		began := time.Now()
		m.left()
		if took := time.Since(began); took != forwardWait {
			t.Errorf("the source is released after %v", took)
		}
		p.stays(8)
	})
}

// TS 24.301 §5.5.3.2.7 f: what the phone is told during a handover and did not reach
// it is told again, at the target, or at the source if the handover fails.
func TestAbnormal_5_5_3_2_7_f_Handover(t *testing.T) {
	for _, succeeds := range []bool{true, false} {
		play(t, func(o *Options) { o.GUTIAge = time.Hour }, func(w *world) {
			e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
			p := w.phone(e)
			p.attach()
			time.Sleep(time.Hour)
			p.uplink(p.updateRequest(eps.UpdateTA))
			pdu := expect[*s1ap.DownlinkNASTransport](e).NASPDU
			m, _ := p.prepare(f)
			e.send(&s1ap.NASNonDeliveryIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, NASPDU: pdu, Cause: s1ap.CauseRadioNetworkS1IntraSystemHandoverTriggered.Cause()})
			synctest.Wait()
			if succeeds {
				m.commanded()
				time.Sleep(7 * time.Second) // T3450 expires meanwhile: nothing is sent
				m.notify()
				m.left()
			} else {
				f.send(&s1ap.HandoverFailure{MMEUES1APID: m.there.mmeID, Cause: s1ap.CauseRadioNetworkCellNotAvailable.Cause()})
				p.failed()
			}
			if again := expect[*s1ap.DownlinkNASTransport](p.e); !bytes.Equal(again.NASPDU, pdu) || again.MMEUES1APID != p.mmeID {
				t.Errorf("told %x again", again.NASPDU)
			}
			a := open[*eps.TrackingAreaUpdateAccept](p, pdu)
			if succeeds {
				down[*eps.TrackingAreaUpdateAccept](p) // T3450
			}
			g, _ := a.GUTI.V.GUTI()
			p.guti = &g
			p.uplink(&eps.TrackingAreaUpdateComplete{})
			if i := p.settled(); i.TMSI != g.TMSI || i.State != Connected {
				t.Errorf("%+v", i)
			}
			w.counted("tracking area update ok", 1)
		})
	}
}

// What the phone says by the source just before it goes is answered by the
// target, in order.
func TestHandoverHoldsNAS(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		m, _ := p.prepare(f)
		p.uplink(p.updateRequest(eps.UpdateTA))
		m.commanded()
		e.silent(time.Second)
		m.notify()
		m.left()
		if a := down[*eps.TrackingAreaUpdateAccept](p); a.TAIs.V.All()[0].TAC != 8 {
			t.Errorf("accepted in %v", a.TAIs.V.All())
		}
		p.stays(8)
		w.counted("tracking area update ok", 2)
	})
}
