package s1ap_test

import (
	"errors"
	"fmt"
	"net/netip"

	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/tree"
)

var (
	plmn    = s1ap.PLMNidentity{0x00, 0xf1, 0x10} // 001/01
	tac     = s1ap.TAC{0x00, 0x07}
	cell    = s1ap.EUTRANCGI{PLMNidentity: plmn, CellID: 0x19b01}
	address = s1ap.FromAddr(netip.MustParseAddr("127.0.0.30"))
	quality = s1ap.ERABLevelQoSParameters{
		QCI: 9,
		AllocationRetentionPriority: s1ap.AllocationAndRetentionPriority{
			PriorityLevel:           15,
			PreEmptionCapability:    s1ap.PreEmptionCapabilityShallNotTriggerPreEmption,
			PreEmptionVulnerability: s1ap.PreEmptionVulnerabilityNotPreEmptable,
		},
	}
)

// The eNB's side of S1 Setup and of an attach.
func Example_eNB() {
	msgs := []s1ap.Message{
		&s1ap.S1SetupRequest{
			GlobalENBID: s1ap.GlobalENBID{
				PLMNidentity: plmn,
				ENBID:        s1ap.ENBID{Choice: s1ap.ENBIDChoiceMacroENBID, MacroENBID: 0x19b},
			},
			ENBname:          "campanile-1",
			SupportedTAs:     s1ap.SupportedTAs{{TAC: tac, BroadcastPLMNs: s1ap.BPLMNs{plmn}}},
			DefaultPagingDRX: s1ap.PagingDRXV128,
		},
		&s1ap.InitialUEMessage{
			ENBUES1APID:           1,
			NASPDU:                []byte{0x07, 0x41},
			TAI:                   s1ap.TAI{PLMNidentity: plmn, TAC: tac},
			EUTRANCGI:             cell,
			RRCEstablishmentCause: s1ap.RRCEstablishmentCauseMoSignalling,
			STMSI:                 &s1ap.STMSI{MMEC: s1ap.MMECode{1}, MTMSI: s1ap.MTMSI{1, 2, 3, 4}},
		},
		&s1ap.UplinkNASTransport{
			MMEUES1APID: 1, ENBUES1APID: 1, NASPDU: []byte{0x07, 0x53},
			EUTRANCGI: cell, TAI: s1ap.TAI{PLMNidentity: plmn, TAC: tac},
		},
		&s1ap.InitialContextSetupResponse{
			MMEUES1APID: 1, ENBUES1APID: 1,
			ERABSetupListCtxtSURes: s1ap.ERABSetupListCtxtSURes{
				{ERABID: 5, TransportLayerAddress: address, GTPTEID: s1ap.FromTEID(7)},
			},
		},
		&s1ap.InitialContextSetupFailure{
			MMEUES1APID: 1, ENBUES1APID: 1,
			Cause: s1ap.CauseRadioNetworkFailureInRadioInterfaceProcedure.Cause(),
		},
		&s1ap.UEContextReleaseRequest{
			MMEUES1APID: 1, ENBUES1APID: 1, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause(),
		},
		&s1ap.UEContextReleaseComplete{MMEUES1APID: 1, ENBUES1APID: 1},
	}
	for _, m := range msgs {
		b, err := s1ap.Append(nil, m)
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(m.Header().Name, len(b), "octets")
	}
	// Output:
	// S1SetupRequest 52 octets
	// InitialUEMessage 57 octets
	// UplinkNASTransport 48 octets
	// InitialContextSetupResponse 38 octets
	// InitialContextSetupFailure 25 octets
	// UEContextReleaseRequest 25 octets
	// UEContextReleaseComplete 19 octets
}

// The MME's side.
func Example_mME() {
	msgs := []s1ap.Message{
		&s1ap.S1SetupResponse{
			MMEname: "mme",
			ServedGUMMEIs: s1ap.ServedGUMMEIs{{
				ServedPLMNs:    s1ap.ServedPLMNs{plmn},
				ServedGroupIDs: s1ap.ServedGroupIDs{{0, 1}},
				ServedMMECs:    s1ap.ServedMMECs{{1}},
			}},
			RelativeMMECapacity: 255,
		},
		&s1ap.S1SetupFailure{
			Cause:      s1ap.CauseMiscUnknownPLMN.Cause(),
			TimeToWait: new(s1ap.TimeToWaitV10s),
		},
		&s1ap.DownlinkNASTransport{MMEUES1APID: 1, ENBUES1APID: 1, NASPDU: []byte{0x07, 0x52}},
		&s1ap.InitialContextSetupRequest{
			MMEUES1APID: 1, ENBUES1APID: 1,
			UEAggregateMaximumBitrate: s1ap.UEAggregateMaximumBitrate{
				UEaggregateMaximumBitRateDL: 100_000_000, UEaggregateMaximumBitRateUL: 50_000_000,
			},
			ERABToBeSetupListCtxtSUReq: s1ap.ERABToBeSetupListCtxtSUReq{{
				ERABID: 5, ERABLevelQoSParameters: quality,
				TransportLayerAddress: address, GTPTEID: s1ap.FromTEID(7),
				NASPDU: []byte{0x27, 1, 2, 3, 4, 0},
			}},
			UESecurityCapabilities: s1ap.UESecurityCapabilities{EncryptionAlgorithms: 0xe000, IntegrityProtectionAlgorithms: 0xe000},
			SecurityKey:            s1ap.SecurityKey{1},
		},
		&s1ap.UEContextReleaseCommand{
			UES1APIDs: s1ap.UES1APIDs{
				Choice:       s1ap.UES1APIDsChoiceUES1APIDPair,
				UES1APIDPair: &s1ap.UES1APIDPair{MMEUES1APID: 1, ENBUES1APID: 1},
			},
			Cause: s1ap.CauseNasDetach.Cause(),
		},
		&s1ap.Paging{
			UEIdentityIndexValue: 123456780 % 1024,
			UEPagingID: s1ap.UEPagingID{
				Choice: s1ap.UEPagingIDChoiceSTMSI,
				STMSI:  &s1ap.STMSI{MMEC: s1ap.MMECode{1}, MTMSI: s1ap.MTMSI{1, 2, 3, 4}},
			},
			CNDomain: s1ap.CNDomainPs,
			TAIList:  s1ap.TAIList{{TAI: s1ap.TAI{PLMNidentity: plmn, TAC: tac}}},
		},
		&s1ap.ERABSetupRequest{
			MMEUES1APID: 1, ENBUES1APID: 1,
			ERABToBeSetupListBearerSUReq: s1ap.ERABToBeSetupListBearerSUReq{{
				ERABID: 6, ERABLevelQoSParameters: quality, TransportLayerAddress: address,
				GTPTEID: s1ap.FromTEID(8), NASPDU: []byte{0x27},
			}},
		},
		&s1ap.ERABModifyRequest{
			MMEUES1APID: 1, ENBUES1APID: 1,
			ERABToBeModifiedListBearerModReq: s1ap.ERABToBeModifiedListBearerModReq{{
				ERABID: 6, ERABLevelQoSParameters: quality, NASPDU: []byte{0x27},
			}},
		},
		&s1ap.ERABReleaseCommand{
			MMEUES1APID: 1, ENBUES1APID: 1,
			ERABToBeReleasedList: s1ap.ERABList{{ERABID: 6, Cause: s1ap.CauseNasNormalRelease.Cause()}},
		},
		&s1ap.Reset{
			Cause:     s1ap.CauseMiscOmIntervention.Cause(),
			ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface, S1Interface: s1ap.ResetAllResetAll},
		},
		&s1ap.Reset{
			Cause: s1ap.CauseMiscOmIntervention.Cause(),
			ResetType: s1ap.ResetType{
				Choice: s1ap.ResetTypeChoicePartOfS1Interface,
				PartOfS1Interface: s1ap.UEAssociatedLogicalS1ConnectionListRes{
					{MMEUES1APID: new(s1ap.MMEUES1APID(1)), ENBUES1APID: new(s1ap.ENBUES1APID(1))},
				},
			},
		},
		&s1ap.ErrorIndication{
			MMEUES1APID: new(s1ap.MMEUES1APID(9)),
			Cause:       new(s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause()),
		},
	}
	for _, m := range msgs {
		if _, err := s1ap.Append(nil, m); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
}

// Reading a message and answering a faulty one.
func ExampleParse() {
	b, _ := s1ap.Append(nil, &s1ap.InitialContextSetupResponse{
		MMEUES1APID: 1, ENBUES1APID: 2,
		ERABSetupListCtxtSURes: s1ap.ERABSetupListCtxtSURes{
			{ERABID: 5, TransportLayerAddress: address, GTPTEID: s1ap.FromTEID(7)},
		},
	})
	pdu, err := s1ap.Parse(b)
	if fault := (*s1ap.SyntaxError)(nil); errors.As(err, &fault) {
		if fault.Report() { // in the procedure's response if it has one, else so:
			answer := &s1ap.ErrorIndication{
				Cause:                  new(fault.Cause()),
				CriticalityDiagnostics: fault.CriticalityDiagnostics(),
			}
			_, _ = s1ap.Append(nil, answer)
		}
		if !fault.Continue() {
			return
		}
	}
	switch m := pdu.Message.(type) {
	case *s1ap.InitialContextSetupResponse:
		for i := range m.ERABSetupListCtxtSURes {
			bearer := &m.ERABSetupListCtxtSURes[i]
			ip, _ := bearer.TransportLayerAddress.Addr()
			fmt.Println(bearer.ERABID, ip, bearer.GTPTEID.ID())
		}
		if m.CriticalityDiagnostics != nil {
			fmt.Println("the eNB complains")
		}
	}
	// Output: 5 127.0.0.30 0x00000007
}

// Showing a PDU. What is inside the NAS-PDU is the caller's to show.
func ExampleTree() {
	m := &s1ap.DownlinkNASTransport{MMEUES1APID: 1, ENBUES1APID: 2, NASPDU: []byte{0x07, 0x52}}
	b, err := s1ap.Append(nil, m)
	if err != nil {
		fmt.Println(err)
		return
	}
	pdu, err := s1ap.Parse(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	n := s1ap.Tree(&pdu, func(typ string, octets []byte) []tree.Node {
		if typ != "NAS-PDU" {
			return nil
		}
		return []tree.Node{tree.Leaf("messageType", octets[1])}
	})
	fmt.Println(tree.View{}.Text(n))
	fmt.Println(m) // for logs
	// Output:
	// S1AP-PDU
	//   type: initiatingMessage
	//   procedureCode: 11
	//   procedure: downlinkNASTransport
	//   criticality: ignore
	//   message: DownlinkNASTransport
	//   protocolIEs
	//     MME-UE-S1AP-ID: 1
	//     eNB-UE-S1AP-ID: 2
	//     NAS-PDU
	//       messageType: 82
	// DownlinkNASTransport {"MME-UE-S1AP-ID":1,"eNB-UE-S1AP-ID":2,"NAS-PDU":"2 octets"}
}
