package mme

import (
	"context"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// answers of the table below.
const (
	unsupported = "Error Indication: abstract syntax error (reject)" // TS 36.413 §10.3.4.1
	unknownUE   = "Error Indication: unknown MME UE S1AP ID"         // TS 36.413 §10.6
)

// said names what the MME answers.
func said(m s1ap.Message) string {
	e, ok := m.(*s1ap.ErrorIndication)
	if !ok {
		return m.Header().Name
	}
	switch *e.Cause {
	case s1ap.CauseProtocolAbstractSyntaxErrorReject.Cause():
		return unsupported
	case s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause():
		return unknownUE
	}
	return "Error Indication: " + e.Cause.String()
}

// begins is a procedure that an eNB can begin: with which message, about a phone or
// not, and what the MME does.
type begins struct {
	code   s1ap.ProcedureCode
	msg    func(*phone) s1ap.Message
	about  bool   // it names a phone by both ids
	answer string // first message to the eNB; empty: none
	state  State  // of the phone afterwards
	count  string // what was counted; may be empty
}

var other = dropNames[dropUnexpectedPDU]

// byENB are all procedures that TS 36.413 §8 lets an eNB begin.
func byENB() []begins {
	bearer := func(p *phone) s1ap.ERABList {
		return s1ap.ERABList{{ERABID: 5, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()}}
	}
	moves := s1ap.RequestType{EventType: s1ap.EventTypeDirect, ReportArea: s1ap.ReportAreaEcgi}
	count := s1ap.COUNTvalue{}
	radio := s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause()
	return []begins{
		{s1ap.ProcedureHandoverPreparation, func(p *phone) s1ap.Message {
			m := p.required(p.e)
			m.TargetID.TargeteNBID.GlobalENBID = s1ap.FromGlobalENBID(id.GlobalENBID{PLMN: testPLMN, Type: id.MacroENB, ID: 0x777})
			return m
		}, true, "HandoverPreparationFailure", Connected, ""},
		{s1ap.ProcedureHandoverNotification, func(p *phone) s1ap.Message {
			return &s1ap.HandoverNotify{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, EUTRANCGI: p.e.cell(), TAI: p.e.tai()}
		}, true, "", Connected, other},
		{s1ap.ProcedurePathSwitchRequest, func(p *phone) s1ap.Message {
			return &s1ap.PathSwitchRequest{SourceMMEUES1APID: p.mmeID + 1, ENBUES1APID: 77, EUTRANCGI: p.e.cell(), TAI: p.e.tai(), UESecurityCapabilities: s1ap.UESecurityCapabilities{},
				ERABToBeSwitchedDLList: s1ap.ERABToBeSwitchedDLList{{ERABID: 5, TransportLayerAddress: s1ap.FromAddr(p.e.addr), GTPTEID: s1ap.FromTEID(9)}}}
		}, false, "PathSwitchRequestFailure", Connected, ""},
		{s1ap.ProcedureHandoverCancel, func(p *phone) s1ap.Message {
			return &s1ap.HandoverCancel{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkHandoverCancelled.Cause()}
		}, true, "HandoverCancelAcknowledge", Connected, ""},
		{s1ap.ProcedureERABReleaseIndication, func(p *phone) s1ap.Message {
			return &s1ap.ERABReleaseIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, ERABReleasedList: bearer(p)}
		}, true, "UEContextReleaseCommand", Idle, ""},
		{s1ap.ProcedureInitialUEMessage, func(p *phone) s1ap.Message {
			return &s1ap.InitialUEMessage{ENBUES1APID: 78, NASPDU: []byte{0x07, 0x55}, TAI: p.e.tai(), EUTRANCGI: p.e.cell(), RRCEstablishmentCause: s1ap.RRCEstablishmentCauseMoData}
		}, false, "DownlinkNASTransport", Connected, dropNames[dropNASSyntax]},
		{s1ap.ProcedureUplinkNASTransport, func(p *phone) s1ap.Message {
			return &s1ap.UplinkNASTransport{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, NASPDU: []byte{0x07, 0x55}, EUTRANCGI: p.e.cell(), TAI: p.e.tai()}
		}, true, "", Connected, dropNames[dropNASSyntax]},
		{s1ap.ProcedureReset, func(p *phone) s1ap.Message {
			return &s1ap.Reset{Cause: s1ap.CauseMiscUnspecified.Cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface}}
		}, false, "ResetAcknowledge", Idle, "reset ok"},
		{s1ap.ProcedureErrorIndication, func(p *phone) s1ap.Message {
			return &s1ap.ErrorIndication{MMEUES1APID: &p.mmeID, ENBUES1APID: &p.enbID, Cause: new(s1ap.CauseProtocolUnspecified.Cause())}
		}, false, "", Connected, ""},
		{s1ap.ProcedureNASNonDeliveryIndication, func(p *phone) s1ap.Message {
			return &s1ap.NASNonDeliveryIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, NASPDU: []byte{1, 2, 3}, Cause: s1ap.CauseRadioNetworkUnspecified.Cause()}
		}, true, "", Connected, "NAS non delivery " + s1ap.CauseRadioNetworkUnspecified.Cause().String()},
		{s1ap.ProcedureS1Setup, func(p *phone) s1ap.Message { return p.e.setupRequest(0x19b) }, false, "S1SetupResponse", Idle, ""},
		{s1ap.ProcedureUEContextReleaseRequest, func(p *phone) s1ap.Message {
			return &s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: radio}
		}, true, "UEContextReleaseCommand", Idle, ""},
		{s1ap.ProcedureUplinkS1cdma2000tunnelling, func(p *phone) s1ap.Message {
			return &s1ap.UplinkS1cdma2000tunnelling{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cdma2000SectorID: []byte{1}, Cdma2000PDU: []byte{1}}
		}, true, "", Connected, other},
		{s1ap.ProcedureUECapabilityInfoIndication, func(p *phone) s1ap.Message {
			return &s1ap.UECapabilityInfoIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, UERadioCapability: []byte{1}}
		}, true, "", Connected, ""},
		{s1ap.ProcedureENBStatusTransfer, func(p *phone) s1ap.Message {
			m := &s1ap.ENBStatusTransfer{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID}
			m.ENBStatusTransferTransparentContainer.BearersSubjectToStatusTransferList = s1ap.BearersSubjectToStatusTransferList{{ERABID: 5, ULCOUNTvalue: count, DLCOUNTvalue: count}}
			return m
		}, true, "", Connected, other},
		{s1ap.ProcedureTraceFailureIndication, func(p *phone) s1ap.Message {
			return &s1ap.TraceFailureIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: radio}
		}, true, "", Connected, other},
		{s1ap.ProcedureENBConfigurationUpdate, func(p *phone) s1ap.Message { return &s1ap.ENBConfigurationUpdate{ENBname: "again"} }, false, "ENBConfigurationUpdateAcknowledge", Connected, "eNB configuration update ok"},
		{s1ap.ProcedureLocationReportingFailureIndication, func(p *phone) s1ap.Message {
			return &s1ap.LocationReportingFailureIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: radio}
		}, true, "", Connected, "location report S1AP cause " + radio.String()},
		{s1ap.ProcedureLocationReport, func(p *phone) s1ap.Message {
			return &s1ap.LocationReport{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, EUTRANCGI: p.e.cell(), TAI: p.e.tai(), RequestType: moves}
		}, true, "", Connected, "location report ok"},
		{s1ap.ProcedureENBDirectInformationTransfer, func(p *phone) s1ap.Message {
			return &s1ap.ENBDirectInformationTransfer{InterSystemInformationTransferTypeEDT: s1ap.InterSystemInformationTransferType{
				Choice: s1ap.InterSystemInformationTransferTypeChoiceRIMTransfer, RIMTransfer: &s1ap.RIMTransfer{RIMInformation: []byte{1}}}}
		}, false, "", Connected, other},
		{s1ap.ProcedurePrivateMessage, func(p *phone) s1ap.Message {
			return &s1ap.PrivateMessage{PrivateIEs: []s1ap.PrivateIE{{Criticality: s1ap.CriticalityIgnore, ID: s1ap.PrivateIEID{Choice: s1ap.PrivateIEIDChoiceLocal}, Value: []byte{0}}}}
		}, false, "", Connected, ""},
		{s1ap.ProcedureENBConfigurationTransfer, func(p *phone) s1ap.Message { return &s1ap.ENBConfigurationTransfer{} }, false, "", Connected, other},
		{s1ap.ProcedureCellTrafficTrace, func(p *phone) s1ap.Message {
			return &s1ap.CellTrafficTrace{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, EUTRANCGI: p.e.cell(), TraceCollectionEntityIPAddress: s1ap.FromAddr(p.e.addr)}
		}, true, "", Connected, other},
		{s1ap.ProcedureUplinkUEAssociatedLPPaTransport, func(p *phone) s1ap.Message {
			return &s1ap.UplinkUEAssociatedLPPaTransport{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, LPPaPDU: []byte{1}}
		}, true, "", Connected, other},
		{s1ap.ProcedureUplinkNonUEAssociatedLPPaTransport, func(p *phone) s1ap.Message {
			return &s1ap.UplinkNonUEAssociatedLPPaTransport{LPPaPDU: []byte{1}}
		}, false, "", Connected, other},
		{s1ap.ProcedurePWSRestartIndication, func(p *phone) s1ap.Message {
			return &s1ap.PWSRestartIndication{ECGIListForRestart: s1ap.ECGIListForRestart{p.e.cell()}, GlobalENBID: p.e.setupRequest(0x19b).GlobalENBID, TAIListForRestart: s1ap.TAIListForRestart{p.e.tai()}}
		}, false, "", Connected, other},
		{s1ap.ProcedureERABModificationIndication, func(p *phone) s1ap.Message {
			return &s1ap.ERABModificationIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID,
				ERABToBeModifiedListBearerModInd: s1ap.ERABToBeModifiedListBearerModInd{{ERABID: 5, TransportLayerAddress: s1ap.FromAddr(p.e.addr), DLGTPTEID: s1ap.FromTEID(9)}}}
		}, true, unsupported, Connected, other},
		{s1ap.ProcedurePWSFailureIndication, func(p *phone) s1ap.Message {
			return &s1ap.PWSFailureIndication{PWSfailedECGIList: s1ap.PWSfailedECGIList{p.e.cell()}, GlobalENBID: p.e.setupRequest(0x19b).GlobalENBID}
		}, false, "", Connected, other},
		{s1ap.ProcedureUEContextModificationIndication, func(p *phone) s1ap.Message {
			return &s1ap.UEContextModificationIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID}
		}, true, unsupported, Connected, other},
		{s1ap.ProcedureUEContextSuspend, func(p *phone) s1ap.Message {
			return &s1ap.UEContextSuspendRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID}
		}, true, unsupported, Connected, other},
		{s1ap.ProcedureUEContextResume, func(p *phone) s1ap.Message {
			return &s1ap.UEContextResumeRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID}
		}, true, unsupported, Connected, other},
		{s1ap.ProcedureNASDeliveryIndication, func(p *phone) s1ap.Message {
			return &s1ap.NASDeliveryIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID}
		}, true, "", Connected, other},
		{s1ap.ProcedureRetrieveUEInformation, func(p *phone) s1ap.Message {
			return &s1ap.RetrieveUEInformation{STMSI: *s1ap.FromSTMSI(p.guti.STMSI())}
		}, false, unsupported, Connected, other},
		{s1ap.ProcedureENBCPRelocationIndication, func(p *phone) s1ap.Message {
			return &s1ap.ENBCPRelocationIndication{ENBUES1APID: 79, STMSI: *s1ap.FromSTMSI(p.guti.STMSI()), EUTRANCGI: p.e.cell(), TAI: p.e.tai()}
		}, false, unsupported, Connected, other},
		{s1ap.ProcedureSecondaryRATDataUsageReport, func(p *phone) s1ap.Message {
			return &s1ap.SecondaryRATDataUsageReport{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID,
				SecondaryRATDataUsageReportList: s1ap.SecondaryRATDataUsageReportList{{ERABID: 5, ERABUsageReportList: s1ap.ERABUsageReportList{{}}}}}
		}, true, "", Connected, other},
		{s1ap.ProcedureENBEarlyStatusTransfer, func(p *phone) s1ap.Message {
			m := &s1ap.ENBEarlyStatusTransfer{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID}
			m.ENBEarlyStatusTransferTransparentContainer.BearersSubjectToEarlyStatusTransferList = s1ap.BearersSubjectToEarlyStatusTransferList{{ERABID: 5,
				DLCOUNTPDCPSNlength: s1ap.DLCOUNTPDCPSNlength{Choice: s1ap.DLCOUNTPDCPSNlengthChoiceDLCOUNTValuePDCPSNlength12, DLCOUNTValuePDCPSNlength12: &count}}}
			return m
		}, true, unsupported, Connected, other},
	}
}

// byMME are all procedures that only an MME begins.
var byMME = []s1ap.ProcedureCode{
	s1ap.ProcedureHandoverResourceAllocation, s1ap.ProcedureERABSetup, s1ap.ProcedureERABModify, s1ap.ProcedureERABRelease, s1ap.ProcedureInitialContextSetup,
	s1ap.ProcedurePaging, s1ap.ProcedureDownlinkNASTransport, s1ap.ProcedureDownlinkS1cdma2000tunnelling, s1ap.ProcedureUEContextModification, s1ap.ProcedureUEContextRelease,
	s1ap.ProcedureMMEStatusTransfer, s1ap.ProcedureDeactivateTrace, s1ap.ProcedureTraceStart, s1ap.ProcedureMMEConfigurationUpdate, s1ap.ProcedureLocationReportingControl,
	s1ap.ProcedureOverloadStart, s1ap.ProcedureOverloadStop, s1ap.ProcedureWriteReplaceWarning, s1ap.ProcedureMMEDirectInformationTransfer, s1ap.ProcedureMMEConfigurationTransfer,
	s1ap.ProcedureKill, s1ap.ProcedureDownlinkUEAssociatedLPPaTransport, s1ap.ProcedureDownlinkNonUEAssociatedLPPaTransport, s1ap.ProcedureUERadioCapabilityMatch,
	s1ap.ProcedureRerouteNASRequest, s1ap.ProcedureConnectionEstablishmentIndication, s1ap.ProcedureUEInformationTransfer, s1ap.ProcedureMMECPRelocationIndication,
	s1ap.ProcedureUERadioCapabilityIDMapping, s1ap.ProcedureHandoverSuccess, s1ap.ProcedureMMEEarlyStatusTransfer,
}

// Every procedure of TS 36.413 has its place in one of the two tables.
func TestProceduresAreAllThere(t *testing.T) {
	seen := map[s1ap.ProcedureCode]bool{}
	for _, b := range byENB() {
		seen[b.code] = true
	}
	for _, c := range byMME {
		if seen[c] {
			t.Errorf("%v is in both tables", c)
		}
		seen[c] = true
	}
	for c := s1ap.ProcedureCode(0); c <= s1ap.ProcedureMMEEarlyStatusTransfer; c++ {
		if !seen[c] {
			t.Errorf("%v is in no table", c)
		}
	}
}

// What the MME does with each procedure that an eNB can begin, about a connected
// phone of that eNB where it is about one.
func TestProceduresByENB(t *testing.T) {
	for _, b := range byENB() {
		t.Run(b.code.String(), func(t *testing.T) {
			play(t, nil, func(w *world) {
				e := w.tower(0x19b)
				p := w.phone(e)
				p.attach()
				e.send(b.msg(p))
				if b.answer == "" {
					e.silent(time.Second)
				} else if got := said(e.next()); got != b.answer {
					t.Fatalf("answered with %s, want %q", got, b.answer)
				}
				if i := p.settled(); i.State != b.state {
					t.Errorf("the phone is %v, want %v", i.State, b.state)
				}
				if s := w.m.Stats(); b.count != "" && s.Procedures[b.count]+s.Dropped[b.count] != 1 {
					t.Errorf("%q is not counted: %v %v", b.count, s.Procedures, s.Dropped)
				}
			})
		})
	}
}

// TS 36.413 §10.6: a message of each procedure that names another eNB's phone is
// refused, and the phone does not notice.
func TestAbnormal_36413_10_6_AnotherENBsPhone(t *testing.T) {
	for _, b := range byENB() {
		if !b.about {
			continue
		}
		t.Run(b.code.String(), func(t *testing.T) {
			play(t, nil, func(w *world) {
				e, f := w.tower(0x19b), w.tower(0x19c)
				p := w.phone(e)
				p.attach()
				f.send(b.msg(p))
				if got := said(f.next()); got != unknownUE {
					t.Errorf("answered with %s, want %q", got, unknownUE)
				}
				w.counted(dropNames[dropForeignUE], 1)
				e.silent(time.Second)
				p.idleAndBack()
			})
		})
	}
}

// idleAndBack checks that a phone is well.
func (p *phone) idleAndBack() {
	p.w.t.Helper()
	if i := p.settled(); i.State != Connected {
		p.w.t.Fatalf("the phone is %v: %s", i.State, i.Reason)
	}
	p.idle()
	p.request()
	p.setupResponse()
	if i := p.settled(); i.State != Connected {
		p.w.t.Errorf("the phone is %v: %s", i.State, i.Reason)
	}
}

// TS 36.413 §10.3.5: a procedure that only an MME begins, begun by an eNB and with
// nothing in it: at most an Error Indication, and nothing else comes of it.
func TestAbnormal_36413_10_3_5_ByENB(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		for _, code := range byMME {
			e.raw([]byte{0x00, byte(code), 0x00, 0x03, 0x00, 0x00, 0x00})
			if m := e.maybe(time.Second); m != nil {
				if _, ok := m.(*s1ap.ErrorIndication); !ok {
					t.Errorf("%v is answered with %s", code, describe(m))
				}
			}
			e.silent(time.Second)
		}
		p.idleAndBack()
	})
}

// maybe is next, or nil if the MME says nothing for d.
func (e *enbPeer) maybe(d time.Duration) s1ap.Message {
	e.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	in, err := e.a.Recv(ctx)
	if err != nil {
		return nil
	}
	if e.w.record != nil {
		e.w.record(in.Data)
	}
	return must(s1ap.Parse(in.Data)).Message
}
