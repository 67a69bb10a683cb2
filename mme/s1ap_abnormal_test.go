package mme

import (
	"bytes"
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
)

// The abnormal cases of TS 36.413 in which a phone's context, its NAS or a message's
// elements are in disorder. Those of handover, S1 Setup, Reset and ids have their
// tests where the procedures have theirs.

// faulty checks that the eNB is told of an error of a protocol cause.
func (e *enbPeer) faulty(want s1ap.Cause) *s1ap.ErrorIndication {
	e.w.t.Helper()
	m := expect[*s1ap.ErrorIndication](e)
	if m.Cause == nil || *m.Cause != want {
		e.w.t.Errorf("told %+v, want %v", m, want)
	}
	return m
}

// leave asks for the release of a phone.
func (p *phone) leave() {
	p.e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause()})
}

// TS 36.413 §8.3.2.2: the eNB asks for a release in the middle of an attach, of a
// service request and of nothing: what is under way ends, and of an attach nothing
// stays.
func TestAbnormal_36413_8_3_2_2(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		q := w.phone(e)
		q.initial(q.attachRequest())
		q.authenticate()
		down[*eps.ESMInformationRequest](q)
		q.leave()
		q.released()
		w.gw.none(w)
		p := w.phone(e)
		p.attach()
		p.idle()
		p.request()
		p.leave()
		p.released()
		if i := p.settled(); i.State != Idle {
			t.Errorf("the phone is %v", i.State)
		}
		p.request()
		p.setupResponse()
		p.leave()
		p.released()
		if i := p.settled(); i.State != Idle || w.m.Stats().Connected != 0 {
			t.Errorf("the phone is %v, %d connections", i.State, w.m.Stats().Connected)
		}
	})
}

// TS 36.413 §8.3.2.2: the eNB asks twice for a release: there is one command, and
// what names the ids after that is told that they are gone.
func TestAbnormal_36413_8_3_2_2_Twice(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.leave()
		p.leave()
		p.released()
		p.e.silent(time.Second)
		p.leave()
		p.e.faulty(s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause())
		if i := p.settled(); i.State != Idle {
			t.Errorf("the phone is %v", i.State)
		}
	})
}

// TS 36.413 §8.3.3.2: what a phone says while its context is being released comes to
// nothing; the release goes on.
func TestAbnormal_36413_8_3_3_2_Crossing(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.leave()
		expect[*s1ap.UEContextReleaseCommand](p.e)
		p.uplink(&eps.PDNConnectivityRequest{PTI: 3, Request: eps.RequestTypeInitial, PDNType: eps.PDNTypeIPv4})
		p.e.send(&s1ap.UEContextReleaseComplete{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID})
		p.e.silent(time.Second)
		if i := p.settled(); i.State != Idle {
			t.Errorf("the phone is %v", i.State)
		}
		p.request()
		p.setupResponse()
		p.settled()
	})
}

// TS 36.413 §8.6.2.1: an eNB uses the eNB UE S1AP ID of a connected phone for another:
// the former is idle, the other is served.
func TestAbnormal_36413_8_6_2_1(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p, q := w.phone(e), w.phone(e)
		p.attach()
		e.lastID = p.enbID - 1
		q.attach()
		if q.enbID != p.enbID {
			t.Fatalf("ids %d and %d", p.enbID, q.enbID)
		}
		if a, b := p.settled(), q.settled(); a.State != Idle || b.State != Connected || w.m.Stats().Connected != 1 {
			t.Errorf("the former is %v, the other %v", a.State, b.State)
		}
		p.request()
		p.setupResponse()
		p.settled()
		q.idleAndBack()
	})
}

// TS 36.413 §8.7.4.4: an eNB that has heard no answer sends its configuration update
// again: it is acknowledged again.
func TestAbnormal_36413_8_7_4_4(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		for range 2 {
			e.send(&s1ap.ENBConfigurationUpdate{ENBname: "renamed"})
			expect[*s1ap.ENBConfigurationUpdateAcknowledge](e)
		}
		p.idleAndBack()
	})
}

// with adds an IE to a short message: id, criticality and one octet.
func with(m s1ap.Message, id byte, criticality s1ap.Criticality) []byte {
	b := append(must(s1ap.Append(nil, m)), 0x0f, id, byte(criticality)<<6, 1, 0)
	b[3] += 5
	b[6]++
	return b
}

// TS 36.413 §10.3.4.2: an IE that is not understood, by its criticality: with reject
// nothing is done and the eNB is told; with notify it is done and told, with ignore
// just done.
func TestAbnormal_36413_10_3_4_2(t *testing.T) {
	for criticality, told := range map[s1ap.Criticality]s1ap.Cause{
		s1ap.CriticalityReject: s1ap.CauseProtocolAbstractSyntaxErrorReject.Cause(),
		s1ap.CriticalityNotify: s1ap.CauseProtocolAbstractSyntaxErrorIgnoreAndNotify.Cause(),
		s1ap.CriticalityIgnore: {},
	} {
		t.Run(criticality.String(), func(t *testing.T) {
			play(t, nil, func(w *world) {
				p := w.phone(w.tower(0x19b))
				p.attach()
				p.e.raw(with(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()}, 0xf0, criticality))
				if told != (s1ap.Cause{}) {
					m := p.e.faulty(told)
					if d := m.CriticalityDiagnostics; d == nil || len(d.IEsCriticalityDiagnostics) != 1 || d.IEsCriticalityDiagnostics[0].IEID != 0x0ff0 || d.IEsCriticalityDiagnostics[0].IECriticality != criticality {
						t.Errorf("diagnostics %+v", d)
					}
				}
				if criticality == s1ap.CriticalityReject {
					p.e.silent(time.Second)
					p.idleAndBack()
					return
				}
				p.released()
			})
		})
	}
}

// TS 36.413 §10.3.4.1: an outcome that no procedure has.
func TestAbnormal_36413_10_3_4_1_TypeOfMessage(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		for _, b := range [][]byte{{0x20, byte(s1ap.ProcedurePaging), 0, 3, 0, 0, 0}, {0x40, byte(s1ap.ProcedureUplinkNASTransport), 0, 3, 0, 0, 0}, {0x00, 0xfe, 0, 3, 0, 0, 0}} {
			e.raw(b)
			e.faulty(s1ap.CauseProtocolAbstractSyntaxErrorReject.Cause())
		}
		p.idleAndBack()
	})
}

// TS 36.413 §10.3.6: IEs in the wrong order, or one of them twice: nothing is done
// and the eNB is told.
func TestAbnormal_36413_10_3_6(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		whole := must(s1ap.Append(nil, &s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()}))
		first := 7 + 4 + int(whole[10])
		second := first + 4 + int(whole[first+3])
		swapped := bytes.Join([][]byte{whole[:7], whole[first:second], whole[7:first], whole[second:]}, nil)
		twice := append(bytes.Clone(whole), whole[second:]...)
		twice[3] += byte(len(whole) - second)
		twice[6]++
		for _, b := range [][]byte{swapped, twice} {
			p.e.raw(b)
			p.e.faulty(s1ap.CauseProtocolAbstractSyntaxErrorFalselyConstructedMessage.Cause())
		}
		p.e.silent(time.Second)
		p.idleAndBack()
	})
}

// TS 36.413 §10.4: what is well said and cannot be: a first message from a PLMN that
// is none, a handover to another kind of radio, and the release of a bearer that
// there is not.
func TestAbnormal_36413_10_4(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		tai := e.tai()
		tai.PLMNidentity = s1ap.PLMNidentity{0xff, 0xff, 0xff}
		e.send(&s1ap.InitialUEMessage{ENBUES1APID: 90, NASPDU: []byte{0x07, 0x55}, TAI: tai, EUTRANCGI: e.cell(), RRCEstablishmentCause: s1ap.RRCEstablishmentCauseMoData})
		e.faulty(s1ap.CauseProtocolSemanticError.Cause())
		m := p.required(w.tower(0x19c))
		m.HandoverType = s1ap.HandoverTypeLtetoutran
		e.send(m)
		p.failed()
		e.send(&s1ap.ERABReleaseIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, ERABReleasedList: s1ap.ERABList{{ERABID: 9, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()}}})
		e.silent(time.Second)
		p.idleAndBack()
	})
}
