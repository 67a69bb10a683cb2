package mme

import (
	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// furtherMessage is one of handover, of E-RABs or of what is merely passed on.
func (s *storm) furtherMessage() s1ap.Message {
	m, n := s.ids()
	cause := s1ap.CauseRadioNetworkUnspecified.Cause()
	e := s1ap.ERABID(5 + s.rnd.IntN(4))
	to, teid := s1ap.FromAddr(s.e.addr), s1ap.FromTEID(id.TEID(s.rnd.Uint32()))
	switch s.rnd.IntN(16) {
	case 0:
		return &s1ap.ERABSetupResponse{MMEUES1APID: m, ENBUES1APID: n, ERABSetupListBearerSURes: s1ap.ERABSetupListBearerSURes{{ERABID: e, TransportLayerAddress: to, GTPTEID: teid}}}
	case 1:
		return &s1ap.ERABSetupResponse{MMEUES1APID: m, ENBUES1APID: n, ERABFailedToSetupListBearerSURes: s1ap.ERABList{{ERABID: e, Cause: cause}}}
	case 2:
		return &s1ap.ERABModifyResponse{MMEUES1APID: m, ENBUES1APID: n, ERABModifyListBearerModRes: s1ap.ERABModifyListBearerModRes{{ERABID: e}}}
	case 3:
		return &s1ap.ERABReleaseResponse{MMEUES1APID: m, ENBUES1APID: n, ERABReleaseListBearerRelComp: s1ap.ERABReleaseListBearerRelComp{{ERABID: e}}}
	case 4:
		return &s1ap.ERABModificationIndication{MMEUES1APID: m, ENBUES1APID: n, ERABToBeModifiedListBearerModInd: s1ap.ERABToBeModifiedListBearerModInd{{ERABID: e, TransportLayerAddress: to, DLGTPTEID: teid}}}
	case 5:
		return &s1ap.HandoverRequestAcknowledge{MMEUES1APID: m, ENBUES1APID: n, TargetToSourceTransparentContainer: []byte{1},
			ERABAdmittedList: s1ap.ERABAdmittedList{{ERABID: e, TransportLayerAddress: to, GTPTEID: teid}}}
	case 6:
		return &s1ap.HandoverFailure{MMEUES1APID: m, Cause: cause}
	case 7:
		return &s1ap.ENBStatusTransfer{MMEUES1APID: m, ENBUES1APID: n, ENBStatusTransferTransparentContainer: s1ap.ENBStatusTransferTransparentContainer{
			BearersSubjectToStatusTransferList: s1ap.BearersSubjectToStatusTransferList{{ERABID: e}}}}
	case 8:
		return &s1ap.LocationReport{MMEUES1APID: m, ENBUES1APID: n, EUTRANCGI: s.e.cell(), TAI: s.e.tai()}
	case 9:
		return &s1ap.UEContextModificationFailure{MMEUES1APID: m, ENBUES1APID: n, Cause: cause}
	case 10:
		return &s1ap.UEContextModificationResponse{MMEUES1APID: m, ENBUES1APID: n}
	case 11:
		return &s1ap.MMEConfigurationUpdateAcknowledge{}
	case 12: // to an eNB that behaves
		return &s1ap.HandoverRequired{MMEUES1APID: m, ENBUES1APID: n, Cause: cause, SourceToTargetTransparentContainer: make([]byte, s.rnd.IntN(3000)),
			TargetID: s1ap.TargetID{Choice: s1ap.TargetIDChoiceTargeteNBID, TargeteNBID: &s1ap.TargeteNBID{
				GlobalENBID: s.e.setupRequest(s.target).GlobalENBID, SelectedTAI: s1ap.FromTAI(id.TAI{PLMN: testPLMN, TAC: 7})}}}
	case 13:
		return &s1ap.PathSwitchRequest{SourceMMEUES1APID: m, ENBUES1APID: n, EUTRANCGI: s.e.cell(), TAI: s.e.tai(),
			ERABToBeSwitchedDLList: s1ap.ERABToBeSwitchedDLList{{ERABID: e, TransportLayerAddress: to, GTPTEID: teid}, {ERABID: e, TransportLayerAddress: to, GTPTEID: teid}}}
	case 14:
		return &s1ap.ERABReleaseIndication{MMEUES1APID: m, ENBUES1APID: n, ERABReleasedList: s1ap.ERABList{{ERABID: e, Cause: cause}, {ERABID: 5, Cause: cause}}}
	}
	return &s1ap.InitialContextSetupResponse{MMEUES1APID: m, ENBUES1APID: n, ERABFailedToSetupListCtxtSURes: s1ap.ERABList{{ERABID: e, Cause: cause}},
		ERABSetupListCtxtSURes: s1ap.ERABSetupListCtxtSURes{{ERABID: e, TransportLayerAddress: to, GTPTEID: teid}}}
}

// sessionMessage is one of session management or of short messages.
func (s *storm) sessionMessage() eps.Message {
	pti, ebi := eps.PTI(s.rnd.IntN(8)), id.EBI(5+s.rnd.IntN(4))
	octets := make([]byte, s.rnd.IntN(40))
	for i := range octets {
		octets[i] = byte(s.rnd.Uint32())
	}
	tft, _ := eps.ParseTFT(octets) // what there is of it
	switch s.rnd.IntN(14) {
	case 0:
		return &eps.PDNConnectivityRequest{PTI: pti, Request: eps.RequestTypeInitial, PDNType: eps.PDNType(1 + s.rnd.IntN(3)), APN: eps.Some(must(id.ParseAPN("internet")))}
	case 1:
		return &eps.PDNDisconnectRequest{PTI: pti, Linked: ebi}
	case 2:
		return &eps.BearerResourceAllocationRequest{PTI: pti, Linked: ebi, Aggregate: tft}
	case 3:
		return &eps.BearerResourceModificationRequest{PTI: pti, FilterEBI: ebi, Aggregate: tft}
	case 4:
		return &eps.ActivateDedicatedEPSBearerContextAccept{EBI: ebi}
	case 5:
		return &eps.ActivateDedicatedEPSBearerContextReject{EBI: ebi, Cause: eps.ESMCauseInsufficientResources}
	case 6:
		return &eps.ActivateDefaultEPSBearerContextAccept{EBI: ebi}
	case 7:
		return &eps.ActivateDefaultEPSBearerContextReject{EBI: ebi, Cause: eps.ESMCauseInsufficientResources}
	case 8:
		return &eps.ModifyEPSBearerContextAccept{EBI: ebi}
	case 9:
		return &eps.DeactivateEPSBearerContextAccept{EBI: ebi}
	case 10:
		return &eps.ESMStatus{EBI: ebi, PTI: pti, Cause: eps.ESMCauseInvalidEPSBearerIdentity}
	case 11:
		return &eps.ESMInformationResponse{PTI: pti}
	case 12:
		return &eps.ExtendedServiceRequest{KSI: s.mallory.ksi}
	}
	return &eps.UplinkNASTransport{Container: octets}
}
