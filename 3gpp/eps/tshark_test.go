package eps

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/internal/tshark"
)

// dissect gives tshark's view of NAS messages.
func dissect(t *testing.T, pdus [][]byte) []tshark.Node {
	t.Helper()
	return tshark.Packets(t, tshark.Frames("nas-eps", pdus), "-o", "nas-eps.dissect_plain:FALSE")
}

// A view is a message, and values that tshark must show: "field=value".
type view struct {
	m    Message
	want []string
}

// views are messages as our side would send them, with as many elements as
// tshark 4.0 (an earlier release of the spec) knows.
func views(t *testing.T) []view {
	plmn, _ := id.ParsePLMN("001/01")
	imsi, _ := id.ParseIMSI("001010123456780")
	imeisv, _ := id.ParseIMEI("3534900698733190")
	apn, _ := id.ParseAPN("internet")
	tai := id.TAI{PLMN: plmn, TAC: 7}
	guti := FromGUTI(id.GUTI{GUMMEI: id.GUMMEI{PLMN: plmn, Group: 0x8001, Code: 0x1a}, TMSI: 0xdeadbeef})
	capability := NewUENetworkCapability(0, 1, 2, 3, 9, 10, 11)
	dns := PCO{}.WithDNS(netip.MustParseAddr("10.45.0.1"), netip.MustParseAddr("2001:db8::1"))
	inner := func(m Message) []byte {
		b, err := Append(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	pdn := inner(&PDNConnectivityRequest{PTI: 1, Request: RequestTypeInitial, PDNType: PDNTypeIPv4,
		InformationTransfer: Some(InformationTransferFlagYes), APN: Some(apn), PCO: Some(PCO{}.With(ContainerDNSv4, nil))})
	bearer := &ActivateDefaultEPSBearerContextRequest{EBI: 5, PTI: 1, QoS: EPSQoS{QCI: 9}, APN: apn,
		Address: IPv4Address(netip.MustParseAddr("10.45.0.2")), AMBR: Some(AMBR{DL: 100 * id.Mbps, UL: 50 * id.Mbps}),
		Cause: Some(ESMCausePDNTypeIPv4OnlyAllowed), PCO: Some(dns)}
	return []view{
		{&AttachRequest{Type: AttachTypeEPS, KSI: NoKSI, Identity: FromIMSI(imsi), Capability: capability, ESM: pdn,
			LastTAI: Some(tai), DRX: Some(DRX{0, 10}), OldLAI: Some(LAI{plmn, 0xfffe}), TMSIStatus: Some(TMSIStatusNone),
			AdditionalUpdateType: Some(AdditionalUpdateTypeSMSOnly), OldGUTIType: Some(GUTITypeNative)},
			[]string{"nas_eps.emm.eps_att_type=1", "nas_eps.emm.nas_key_set_id=7", "e212.imsi=001010123456780", "nas_eps.emm.eia3=1", "nas_eps.emm.eia0=0",
				"nas_eps.esm.eit=1", "gsm_a.gm.sm.apn=internet", "nas_eps.emm.tai_tac=7", "gsm_a.lac=0xfffe", "nas_eps.emm.add_upd_type=1", "nas_eps.emm.guti_type=0"}},
		{&AttachAccept{Result: AttachResultEPSOnly, T3412: NewGPRSTimer(54 * time.Minute), TAIs: NewTAIList(tai, id.TAI{PLMN: plmn, TAC: 9}), ESM: inner(bearer),
			GUTI: Some(guti), Cause: Some(EMMCauseCSDomainNotAvailable), T3402: Some(NewGPRSTimer(12 * time.Minute)), T3423: Some(GPRSTimer(TimerDeactivated)),
			EquivalentPLMNs: Some(PLMNList{plmn}), Features: Some(NewNetworkFeatures(NetIMSVoPS, NetEPCO)),
			AdditionalUpdateResult: Some(AdditionalUpdateResultSMSOnly), T3412Extended: Some(NewGPRSTimer3(10 * time.Hour))},
			[]string{"nas_eps.emm.EPS_attach_result=1", "nas_eps.emm.tai_tac=9", "3gpp.tmsi=3735928559", "nas_eps.emm.mme_code=26", "nas_eps.emm.mme_grp_id=32769",
				"nas_eps.emm.cause=18", "nas_eps.emm.ims_vops=1", "nas_eps.emm.epco=1", "gsm_a.gm.gmm.gprs_timer3_value=10", "nas_eps.emm.add_upd_res=2",
				"nas_eps.bearer_id=5", "nas_eps.esm.pdn_ipv4=10.45.0.2", "nas_eps.esm.qci=9", "nas_eps.esm.apn_ambr_dl_ext=158", "nas_eps.esm.apn_ambr_ul_ext=108",
				"nas_eps.esm.cause=50", "gsm_a.gm.sm.pco.dns.ipv4=10.45.0.1", "gsm_a.gm.sm.pco.dns.ipv6=2001:db8::1"}},
		{&AttachComplete{ESM: inner(&ActivateDefaultEPSBearerContextAccept{EBI: 5})}, []string{"nas_eps.nas_msg_esm_type=0xc2"}},
		{&AttachReject{Cause: EMMCauseESMFailure, ESM: Some(ESMContainer(inner(&PDNConnectivityReject{PTI: 1, Cause: ESMCauseMissingOrUnknownAPN}))),
			T3346: Some(NewGPRSTimer(10 * time.Minute)), T3402: Some(NewGPRSTimer(time.Minute))},
			[]string{"nas_eps.emm.cause=19", "nas_eps.esm.cause=27"}},
		{&DetachRequest{Type: DetachEPS | DetachSwitchOff, KSI: 2, Identity: guti}, []string{"nas_eps.emm.switch_off=1", "nas_eps.emm.detach_type_ul=1", "nas_eps.emm.nas_key_set_id=2"}},
		{&NetworkDetachRequest{Type: NetworkDetachTypeReattach, Cause: Some(EMMCausePLMNNotAllowed)}, []string{"nas_eps.emm.cause=11"}},
		{&DetachAccept{}, []string{"nas_eps.nas_msg_emm_type=0x46"}},
		{&IdentityRequest{Type: IdentityTypeIMEISV}, []string{"nas_eps.emm.id_type2=3"}},
		{&IdentityResponse{Identity: MobileIMSI(imsi)}, []string{"e212.imsi=001010123456780"}},
		{&AuthenticationRequest{KSI: 3, RAND: RAND{1}, AUTN: AUTN{2}}, []string{"nas_eps.emm.nas_key_set_id=3", "gsm_a.dtap.rand=01:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00"}},
		{&AuthenticationResponse{RES: []byte{1, 2, 3, 4, 5, 6, 7, 8}}, []string{"nas_eps.emm.res=01:02:03:04:05:06:07:08"}},
		{&AuthenticationFailure{Cause: EMMCauseSynchFailure, AUTS: Some(AUTS{9})}, []string{"nas_eps.emm.cause=21"}},
		{&AuthenticationReject{}, []string{"nas_eps.nas_msg_emm_type=0x54"}},
		{&SecurityModeCommand{Algorithms: Algorithms{2, 1}, KSI: 3, Capability: capability.Security(Opt[MSNetworkCapability]{}), IMEISVRequest: Some(IMEISVRequestYes)},
			[]string{"nas_eps.emm.toc=2", "nas_eps.emm.toi=1", "nas_eps.emm.nas_key_set_id=3", "nas_eps.emm.imeisv_req=1"}},
		{&SecurityModeComplete{IMEISV: Some(MobileIMEI(imeisv))}, []string{"gsm_a.imeisv=3534900698733190"}},
		{&SecurityModeReject{Cause: EMMCauseUESecurityCapabilitiesMismatch}, []string{"nas_eps.emm.cause=23"}},
		{&ServiceReject{Cause: EMMCauseUEIdentityCannotBeDerivedByTheNetwork}, []string{"nas_eps.emm.cause=9"}},
		{&ExtendedServiceRequest{Type: ServiceTypeMTCSFallback, KSI: 1, MTMSI: MobileTMSI(0xcafe0001), CSFBResponse: Some(CSFBResponseAccepted), Bearers: Some(BearerStatus(0).With(5))},
			[]string{"nas_eps.emm.service_type=1", "nas_eps.emm.csfb_resp=1", "nas_eps.emm.ebi5=1", "nas_eps.emm.ebi6=0"}},
		{&EMMInformation{FullName: Some(NewNetworkName("Campanile")), ShortName: Some(NewNetworkName("鐘")), TimeZone: Some(TimeZone(-14)),
			Time: Some(NewTimeAndZone(time.Date(2026, 11, 22, 6, 38, 38, 0, time.UTC))), DaylightSaving: Some(DaylightSavingOneHour)},
			[]string{"gsm_a.dtap.text_string=Campanile", "gsm_a.dtap.text_string=鐘", "gsm_a.dtap.dst_adjustment=1"}},
		{&EMMStatus{Cause: EMMCauseProtocolErrorUnspecified}, []string{"nas_eps.emm.cause=111"}},
		{&TrackingAreaUpdateRequest{Type: UpdatePeriodic | UpdateActive, KSI: 1, OldGUTI: guti, Capability: Some(capability), LastTAI: Some(tai),
			RadioCapabilityUpdate: Some(RadioCapabilityUpdateNeeded), Bearers: Some(BearerStatus(0).With(6))},
			[]string{"nas_eps.emm.update_type_value=3", "nas_eps.emm.active_flg=1", "nas_eps.emm.ue_ra_cap_inf_upd_need_flg=1", "nas_eps.emm.ebi6=1"}},
		{&TrackingAreaUpdateAccept{Result: UpdateResultTA, T3412: Some(NewGPRSTimer(time.Hour)), GUTI: Some(guti), TAIs: Some(NewTAIList(tai)), Bearers: Some(BearerStatus(0).With(5))},
			[]string{"nas_eps.emm.eps_update_result_value=0", "nas_eps.emm.tai_tac=7", "nas_eps.emm.ebi5=1"}},
		{&TrackingAreaUpdateComplete{}, []string{"nas_eps.nas_msg_emm_type=0x4a"}},
		{&TrackingAreaUpdateReject{Cause: EMMCauseImplicitlyDetached}, []string{"nas_eps.emm.cause=10"}},
		{&GUTIReallocationCommand{GUTI: guti, TAIs: Some(NewTAIList(tai))}, []string{"3gpp.tmsi=3735928559"}},
		{&GUTIReallocationComplete{}, []string{"nas_eps.nas_msg_emm_type=0x51"}},
		{&DownlinkNASTransport{Container: []byte{0x09, 0x04}}, []string{"nas_eps.nas_msg_emm_type=0x62"}},
		{&UplinkNASTransport{Container: []byte{0x09, 0x04}}, []string{"nas_eps.nas_msg_emm_type=0x63"}},
		{&ServiceRequest{KSIAndSequence{2, 17}, ShortMAC{0xab, 0xcd}, Unparsed{}}, []string{"nas_eps.emm.nas_key_set_id=2", "nas_eps.seq_no_short=17", "nas_eps.emm.short_mac=0xabcd"}},
		{bearer, []string{"nas_eps.nas_msg_esm_type=0xc1"}},
		{&ActivateDedicatedEPSBearerContextRequest{EBI: 6, Linked: 5, QoS: EPSQoS{1, 128 * id.Kbps, 256 * id.Kbps, 64 * id.Kbps, 20 * id.Mbps},
			TFT: TFT{Operation: TFTCreate, Filters: []PacketFilter{{FilterBidirectional, 1, 10,
				FilterComponents{}.With(FilterIPv4Remote, 10, 45, 0, 1, 255, 255, 255, 255).With(FilterProtocol, 17).With(FilterRemotePortRange, 0x13, 0x88, 0x13, 0x8f)}}}},
			[]string{"nas_eps.esm.linked_bearer_id=5", "nas_eps.esm.qci=1", "nas_eps.esm.mbr_ul=72", "nas_eps.esm.embr_dl=0", "nas_eps.esm.egbr_dl=78", "gsm_a.gm.sm.tft.op_code=1", "gsm_a.gm.sm.ip4_address=10.45.0.1", "gsm_a.gm.sm.tft.port_high=5007", "Guaranteed bit rate for downlink (extended) : 20 Mbps"}},
		{&DeactivateEPSBearerContextRequest{EBI: 5, Cause: ESMCauseReactivationRequested}, []string{"nas_eps.esm.cause=39", "nas_eps.bearer_id=5"}},
		{&DeactivateEPSBearerContextAccept{EBI: 5}, []string{"nas_eps.nas_msg_esm_type=0xce"}},
		{&ModifyEPSBearerContextRequest{EBI: 5, NewQoS: Some(EPSQoS{QCI: 7}), AMBR: Some(AMBR{DL: id.Gbps, UL: 300 * id.Mbps})},
			[]string{"nas_eps.esm.qci=7", "nas_eps.esm.apn_ambr_dl_ext2=3", "Total APN-AMBR for downlink: 1000.000 Mbps", "Total APN-AMBR for uplink: 300.000 Mbps"}},
		{&PDNDisconnectRequest{PTI: 9, Linked: 6}, []string{"nas_eps.esm.linked_bearer_id=6", "nas_eps.esm.proc_trans_id=9"}},
		{&ESMInformationRequest{PTI: 1}, []string{"nas_eps.nas_msg_esm_type=0xd9"}},
		{&ESMInformationResponse{PTI: 1, APN: Some(apn)}, []string{"gsm_a.gm.sm.apn=internet"}},
		{&ESMStatus{EBI: 5, PTI: 1, Cause: ESMCauseInvalidPTIValue}, []string{"nas_eps.esm.cause=81"}},
	}
}

// tshark reads what we append: nothing malformed, no expert complaint, the
// values where the spec puts them.
func TestTsharkAgrees(t *testing.T) {
	all := views(t)
	var pdus [][]byte
	for i, v := range all {
		b, err := Append(nil, v.m)
		if err != nil {
			t.Fatal(err)
		}
		if v.m.MessageType() != TypeServiceRequest {
			b = Protected{Header: HeaderIntegrity, Sequence: uint8(i), Payload: b}.Append(nil)
		}
		pdus = append(pdus, b)
	}
	for _, p := range captured(t) {
		all = append(all, view{nil, nil})
		pdus = append(pdus, p.whole)
	}
	for i, p := range dissect(t, pdus) {
		name := "captured"
		if all[i].m != nil {
			name = all[i].m.MessageType().String()
		}
		if c := p.Complaints(); len(c) > 0 {
			t.Errorf("%s %x: %q", name, pdus[i], c)
		}
		var shown []string
		p.Walk(func(f *tshark.Node) { shown = append(shown, f.Name+"="+f.Show, f.Text, f.Show) })
		for _, w := range all[i].want {
			if !slices.Contains(shown, w) {
				key, _, _ := strings.Cut(w, "=")
				near := slices.DeleteFunc(slices.Clone(shown), func(s string) bool { return !strings.HasPrefix(s, key) })
				t.Errorf("%s %x: tshark does not show %s, but %q", name, pdus[i], w, near)
			}
		}
	}
}

// The causes and their words are those tshark knows.
func TestTsharkKnowsTheCauses(t *testing.T) {
	known := 0
	for _, w := range tshark.Table(t, "values", "nas_eps.") {
		if len(w) != 4 || w[0] != "V" {
			continue
		}
		n, _ := strconv.ParseUint(w[2], 0, 8)
		var ours string
		switch w[1] {
		case "nas_eps.emm.cause":
			ours = EMMCause(n).String()
		case "nas_eps.esm.cause":
			ours = ESMCause(n).String()
		default:
			continue
		}
		known++
		if w[3] == "Unused" {
			continue
		}
		if want := fmt.Sprintf("%s (#%d)", w[3], n); !strings.EqualFold(ours, want) {
			t.Errorf("%s: %q, tshark has %q", w[1], ours, want)
		}
	}
	if known < 80 {
		t.Errorf("tshark knows %d causes", known)
	}
}
