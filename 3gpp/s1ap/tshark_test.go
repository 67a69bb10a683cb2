package s1ap

import (
	"testing"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/internal/tshark"
)

// dissect returns, per PDU, the values of tshark's fields. Contents of other
// protocols (NAS, RRC, ...) are left undissected.
func dissect(t *testing.T, pdus [][]byte, fields ...string) [][]string {
	t.Helper()
	options := []string{"-o", "s1ap.dissect_container:FALSE"}
	for _, p := range []string{"nas-eps", "lte_rrc", "nr-rrc", "lppa", "gsm_a.dtap", "ranap", "bssgp", "ngap", "x2ap", "gcsna", "lcsap"} {
		options = append(options, "--disable-protocol", p)
	}
	return tshark.Fields(t, tshark.Frames("s1ap", pdus), fields, options...)
}

// TestTsharkReadsOurValues: spot values of messages that carry most kinds of
// types come out of tshark as they went in.
func TestTsharkReadsOurValues(t *testing.T) {
	ics := benchRequest()
	ics.UEAggregateMaximumBitrate.IEExtensions = &UEAggregateMaximumBitratesExtIEs{ExtendedUEaggregateMaximumBitRateDL: new(ExtendedBitRate(3_000_000_000_000))}
	ics.SubscriberProfileIDforRFP = new(SubscriberProfileIDforRFP(200))
	ics.MaskedIMEISV = new(MaskedIMEISV(0x1234567890abcdef))
	ics.UnknownIEs = []UnknownIE{{ID: 60000, Criticality: CriticalityIgnore, Value: []byte{1}}}
	long, err := id.ParsePLMN("310/410")
	if err != nil {
		t.Fatal(err)
	}
	initial := &InitialUEMessage{
		ENBUES1APID: 77, NASPDU: []byte{7}, TAI: TAI{PLMNidentity: FromPLMN(long), TAC: TAC{0x12, 0x34}},
		EUTRANCGI:             EUTRANCGI{PLMNidentity: PLMNidentity{0, 0xf1, 0x10}, CellID: 0x0abcdef},
		RRCEstablishmentCause: RRCEstablishmentCauseMoVoiceCall, // an addition
		STMSI:                 &STMSI{MMEC: MMECode{0x1a}, MTMSI: MTMSI{0xde, 0xad, 0xbe, 0xef}},
	}
	paging := &Paging{
		UEIdentityIndexValue: 0x2aa, UEPagingID: UEPagingID{Choice: UEPagingIDChoiceIMSI, IMSI: IMSI{0x00, 0x01, 0x01, 0x21, 0x43, 0x65, 0x87, 0xf9}},
		PagingDRX: new(PagingDRXV256), CNDomain: CNDomainCs,
		TAIList: TAIList{{TAI: TAI{PLMNidentity: PLMNidentity{0, 0xf1, 0x10}, TAC: TAC{0, 9}}}},
	}
	fault := &ErrorIndication{
		MMEUES1APID: new(MMEUES1APID(1<<32 - 1)), Cause: new(CauseProtocolSemanticError.Cause()),
		CriticalityDiagnostics: &CriticalityDiagnostics{ProcedureCode: new(ProcedurePaging), TriggeringMessage: new(TriggeringMessageSuccessfulOutcome),
			IEsCriticalityDiagnostics: CriticalityDiagnosticsIEList{{IECriticality: CriticalityNotify, IEID: IDTAIList, TypeOfError: TypeOfErrorMissing}}},
	}
	fields := []string{
		"s1ap.MME_UE_S1AP_ID", "s1ap.ENB_UE_S1AP_ID", "s1ap.uEaggregateMaximumBitRateDL", "s1ap.ExtendedBitRate", "s1ap.e_RAB_ID", "s1ap.qCI",
		"s1ap.transportLayerAddressIPv4", "s1ap.gTP_TEID", "s1ap.SubscriberProfileIDforRFP", "s1ap.CellIdentity", "s1ap.RRC_Establishment_Cause",
		"s1ap.tAC", "s1ap.m_TMSI", "s1ap.CNDomain", "s1ap.PagingDRX", "s1ap.protocol", "s1ap.iECriticality", "s1ap.typeOfError", "s1ap.triggeringMessage",
		"e212.tai.mcc", "e212.tai.mnc", "e212.ecgi.mcc", "e212.ecgi.mnc",
	}
	want := []map[string]string{
		{"s1ap.MME_UE_S1AP_ID": "305419896", "s1ap.ENB_UE_S1AP_ID": "11259375", "s1ap.uEaggregateMaximumBitRateDL": "1000000000", "s1ap.ExtendedBitRate": "3000000000000",
			"s1ap.e_RAB_ID": "5", "s1ap.qCI": "9", "s1ap.transportLayerAddressIPv4": "10.0.0.1", "s1ap.gTP_TEID": "01020304", "s1ap.SubscriberProfileIDforRFP": "200"},
		{"s1ap.ENB_UE_S1AP_ID": "77", "s1ap.CellIdentity": "0x00abcdef", "s1ap.RRC_Establishment_Cause": "6", "s1ap.tAC": "4660", "s1ap.m_TMSI": "3735928559",
			"e212.tai.mcc": "310", "e212.tai.mnc": "410", "e212.ecgi.mcc": "1", "e212.ecgi.mnc": "1"},
		{"s1ap.CNDomain": "1", "s1ap.PagingDRX": "3", "s1ap.tAC": "9"},
		{"s1ap.MME_UE_S1AP_ID": "4294967295", "s1ap.protocol": "4", "s1ap.iECriticality": "2", "s1ap.typeOfError": "1", "s1ap.triggeringMessage": "1"},
	}
	var pdus [][]byte
	for _, m := range []Message{ics, initial, paging, fault} {
		pdus = append(pdus, roundTrip(t, m))
	}
	for i, row := range dissect(t, pdus, fields...) {
		for j, f := range fields {
			if w, ok := want[i][f]; ok && row[j] != w {
				t.Errorf("PDU %d: tshark reads %s %q, want %q", i, f, row[j], w)
			}
		}
	}
}
