package eps

import (
	"fmt"
	"strings"
)

// tsharkFields says what tshark shows of each element, by its name in the
// messages' tables.
var tsharkFields = map[string]readings{
	"KSI and sequence number":                        readKSIAndSequence,
	"Message authentication code (short)":            fieldWide("nas_eps.emm.short_mac", "0x%04x", 0, 2),
	"NAS key set identifier":                         readKSI,
	"NAS key set identifier ASME":                    readKSI,
	"Non-current native NAS key set identifier":      readKSI,
	"GPRS ciphering key sequence number":             fieldNumber("gsm_a.key_seq", 0, 3, 1),
	"EPS attach type":                                fieldNumber("nas_eps.emm.eps_att_type", 0, 3, 1),
	"EPS attach result":                              fieldNumber("nas_eps.emm.EPS_attach_result", 0, 3, 1),
	"EPS update type":                                readUpdateType,
	"EPS update result":                              fieldNumber("nas_eps.emm.eps_update_result_value", 0, 3, 1),
	"Service type":                                   fieldNumber("nas_eps.emm.service_type", 0, 4, 1),
	"Control plane service type":                     fieldsTogether(fieldNumber("nas_eps.emm.active_flg", 0, 4, 4), fieldNumber("nas_eps.emm.ctrl_plane_serv_type", 0, 3, 1)),
	"Detach type":                                    readDetachType,
	"Identity type":                                  fieldNumber("nas_eps.emm.id_type2", 0, 3, 1),
	"IMEISV request":                                 fieldNumber("nas_eps.emm.imeisv_req", 0, 3, 1),
	"EMM cause":                                      fieldNumber("nas_eps.emm.cause", 0, 8, 1),
	"Extended EMM cause":                             fieldFlags(0, "nas_eps.emm.", "- - - - - nbiot_allowed_value eps_optim_info eutran_allowed_value"),
	"ESM cause":                                      fieldNumber("nas_eps.esm.cause", 0, 8, 1),
	"Request type":                                   fieldNumber("nas_eps.esm_request_type", 0, 3, 1),
	"PDN type":                                       fieldNumber("nas_eps.esm_pdn_type", 0, 3, 1),
	"ESM information transfer flag":                  fieldNumber("nas_eps.esm.eit", 0, 1, 1),
	"Linked EPS bearer identity":                     fieldNumber("nas_eps.esm.linked_bearer_id", 0, 4, 1),
	"EPS bearer identity for packet filter":          fieldNumber("nas_eps.esm.linked_bearer_id", 0, 4, 1),
	"Additional update type":                         fieldsTogether(fieldNumber("nas_eps.emm.pnb_ciot", 0, 4, 3), fieldNumber("nas_eps.emm.saf", 0, 2, 2), fieldNumber("nas_eps.emm.add_upd_type", 0, 1, 1)),
	"Additional update result":                       fieldNumber("nas_eps.emm.add_upd_res", 0, 2, 1),
	"SMS services status":                            fieldNumber("nas_eps.emm.sms_services_status", 0, 3, 1),
	"TMSI status":                                    fieldNumber("gsm_a.gm.gmm.tmsi_flag", 0, 1, 1),
	"Device properties":                              fieldNumber("gsm_a.gm.gmm.device_prop_low_prio", 0, 1, 1),
	"Old GUTI type":                                  fieldNumber("nas_eps.emm.guti_type", 0, 1, 1),
	"MS network feature support":                     fieldNumber("gsm_a.ext_periodic_timers", 0, 1, 1),
	"CSFB response":                                  fieldNumber("nas_eps.emm.csfb_resp", 0, 2, 1),
	"UE radio capability information update needed":  fieldNumber("nas_eps.emm.ue_ra_cap_inf_upd_need_flg", 0, 1, 1),
	"UE radio capability ID deletion indication":     fieldNumber("nas_5gs.mm.ue_radio_cap_id_del_req", 0, 3, 1),
	"Non-3GPP NW provided policies":                  fieldNumber("gsm_a.gm.gmm.n3en_ind", 0, 1, 1),
	"Network policy":                                 fieldNumber("nas_eps.emm.redic_policy", 0, 1, 1),
	"Radio priority":                                 fieldNumber("gsm_a.gm.radio_priority_pdp", 0, 3, 1),
	"Connectivity type":                              fieldNumber("gsm_a.gm.sm.connectivity_type", 0, 4, 1),
	"WLAN offload indication":                        fieldsTogether(fieldNumber("gsm_a.gm.sm.wlan_utran_offload_accept", 0, 2, 2), fieldNumber("gsm_a.gm.sm.wlan_eutran_offload_accept", 0, 1, 1)),
	"Control plane only indication":                  fieldNumber("nas_eps.esm.ctrl_plane_only_ind.cpoi", 0, 1, 1),
	"Release assistance indication":                  fieldNumber("nas_eps.esm.rel_assist_ind.ddx", 0, 2, 1),
	"Paging identity":                                fieldNumber("nas_eps.emm.paging_id", 0, 1, 1),
	"SS Code":                                        fieldNumber("nas_eps.emm.ss_code", 0, 8, 1),
	"LCS indicator":                                  fieldNumber("nas_eps.emm.emm_lcs_ind", 0, 8, 1),
	"LCS client identity":                            fieldNumber("gsm_map.lcs.lcsClientType", 4, 8, 1),
	"Generic message container type":                 fieldNumber("nas_eps.emm.gen_msg_cont_type", 0, 8, 1),
	"Additional information requested":               fieldNumber("nas_eps.emm.cipher_key", 0, 1, 1),
	"Negotiated LLC SAPI":                            fieldNumber("gsm_a.gm.sm.llc_sapi", 0, 4, 1),
	"Packet flow Identifier":                         fieldNumber("gsm_a.gm.sm.packet_flow_id", 0, 7, 1),
	"Re-attempt indicator":                           fieldsTogether(fieldNumber("nas_eps.esm.eplmnc", 0, 2, 2), fieldNumber("nas_eps.esm.ratc", 0, 1, 1)),
	"Notification indicator":                         fieldNumber("nas_eps.esm.notif_ind", 0, 8, 1),
	"UE status":                                      fieldsTogether(fieldNumber("nas_5gs.mm.n1_mode_reg_b1", 0, 2, 2), fieldNumber("nas_5gs.mm.s1_mode_reg_b0", 0, 1, 1)),
	"Extended DRX parameters":                        fieldsTogether(hexBits("gsm_a.gm.gmm.paging_time_window", 8, 5), hexBits("gsm_a.gm.gmm.edrx_value", 4, 1)),
	"DRX parameter in NB-S1 mode":                    fieldNumber("nas_eps.emm.nb_s1_drx_param", 0, 4, 1),
	"Negotiated DRX parameter in NB-S1 mode":         fieldNumber("nas_eps.emm.nb_s1_drx_param", 0, 4, 1),
	"Voice domain preference and UE's usage setting": fieldsTogether(fieldNumber("gsm_a.gm.gmm.ue_usage_setting", 0, 3, 3), fieldNumber("gsm_a.gm.gmm.voice_domain_pref_for_eutran", 0, 2, 1)),
	"UE radio capability ID availability":            fieldNumber("nas_eps.emm.ue_radio_cap_id_available", 0, 3, 1),
	"UE radio capability ID request":                 fieldNumber("nas_eps.emm.ue_radio_cap_id_request", 0, 1, 1),
	"Requested WUS assistance information":           readWUS,
	"Negotiated WUS assistance information":          readWUS,
	"Network daylight saving time":                   fieldNumber("gsm_a.dtap.dst_adjustment", 0, 2, 1),
	"Authentication parameter RAND (EPS challenge)":  fieldOctets("gsm_a.dtap.rand"),
	"Authentication parameter AUTN (EPS challenge)":  fieldOctets("gsm_a.dtap.autn"),
	"Authentication failure parameter":               fieldOctets("gsm_a.dtap.auts"),
	"Authentication response parameter":              fieldOctets("nas_eps.emm.res"),
	"Replayed nonceUE":                               fieldWide("nas_eps.emm.nonce", "0x%08x", 0, 4),
	"NonceUE":                                        fieldWide("nas_eps.emm.nonce", "0x%08x", 0, 4),
	"NonceMME":                                       fieldWide("nas_eps.emm.nonce", "0x%08x", 0, 4),
	"HashMME":                                        fieldOctets("nas_eps.emm.hash_mme"),
	"Old P-TMSI signature":                           fieldWide("gsm_a.gm.gmm.ptmsi_sig", "0x%06x", 0, 3),
	"DRX parameter":                                  fieldsTogether(fieldNumber("gsm_a.gm.gmm.split_pg_cycle_code", 0, 8, 1), fieldNumber("gsm_a.gm.gmm.cn_spec_drx_cycle_len_coef", 1, 8, 5)),
	"Mobile station classmark 2":                     readClassmark2,
	"Mobile station classmark 3":                     fieldFlags(0, "gsm_a.", "- - - - A5_7_algorithm_sup A5_6_algorithm_sup A5_5_algorithm_sup A5_4_algorithm_sup"),
	"DCN-ID":                                         fieldWide("gsm_a.gm.gmm.dcn_id", "0x%04x", 0, 2),
	"TMSI based NRI container":                       readNRI,
	"Serving PLMN rate control":                      fieldWide("nas_eps.esm.serv_plmn_rate_ctrl_val", "%d", 0, 2),
	"Header compression configuration status":        readCompressionStatus,
	"EPS bearer context status":                      readBearerStatus,
	"Supported Codecs":                               readCodecs,
	"N1 UE network capability":                       fieldsTogether(fieldNumber("nas_eps.emm.5gs_pnb_ciot", 0, 6, 5), readN1Capability),
	"UE radio capability ID":                         readRadioCapabilityID,
	"Emergency number list":                          readEmergencyNumbers,
	"Extended emergency number list":                 readExtendedEmergencyNumbers,
	"Ciphering key data":                             readCipheringKeys,
	"CLI":                                            readCLI,
	"NAS message container":                          fieldOctets("nas_eps.emm.nas_msg_cont"),
	"Replayed NAS message container":                 fieldOctets("nas_eps.emm.replayed_nas_msg_cont"),
	"ESM message container":                          fieldOctets("nas_eps.emm.esm_msg_cont"),
	"Generic message container":                      fieldOctets("nas_eps.emm.gen_msg_cont"),
	"Additional information":                         fieldOctets("nas_eps.cmn.add_info"),
	"User data container":                            fieldOctets("nas_eps.esm.user_data_cont"),
	"NBIFOM container":                               readNBIFOM,
	"Header compression configuration":               readHeaderCompression,
	"Remote UE Context Connected":                    readRemoteUEs,
	"Remote UE Context Disconnected":                 readRemoteUEs,
	"ProSe Key Management Function address":          readPKMF,
	"Transaction identifier":                         readTI,
	"Negotiated QoS":                                 readQoS3G,
	"New QoS":                                        readQoS3G,
	"Extended EPS QoS":                               readExtendedQoS,
	"Extended APN-AMBR":                              readExtendedAMBR,
	"Selected NAS security algorithms":               readAlgorithms,
	"UE additional security capability":              readAdditionalCapability,
	"Replayed UE additional security capability":     readAdditionalCapability,
	"UE network capability":                          readUENetworkCapability,
	"MS network capability":                          readMSNetworkCapability,
	"Replayed UE security capabilities":              readUESecurityCapability,
	"EPS network feature support":                    readNetworkFeatures,
	"EPS mobile identity":                            readEPSMobileIdentity,
	"GUTI":                                           readEPSMobileIdentity,
	"Old GUTI":                                       readEPSMobileIdentity,
	"Additional GUTI":                                readEPSMobileIdentity,
	"Mobile identity":                                readMobileIdentity,
	"MS identity":                                    readMobileIdentity,
	"M-TMSI":                                         readMobileIdentity,
	"IMEISV":                                         readMobileIdentity,
	"TAI list":                                       func(el element, _ []byte) []reading { return readTAIs(*el.(*TAIList)) },
	"Last visited registered TAI":                    readTAI,
	"Location area identification":                   readLAI,
	"Old location area identification":               readLAI,
	"Equivalent PLMNs":                               readPLMNs,
	"T3412 value":                                    readTimer,
	"T3402 value":                                    readTimer,
	"T3423 value":                                    readTimer,
	"T3442 value":                                    readTimer,
	"T3324 value":                                    readTimer2,
	"T3346 value":                                    readTimer2,
	"T3448 value":                                    readTimer2,
	"T3412 extended value":                           readTimer3,
	"T3447 value":                                    readTimer3,
	"T3396 value":                                    readTimer3,
	"Back-off timer value":                           readTimer3,
	"Full name for network":                          readName,
	"Short name for network":                         readName,
	"Local time zone":                                readZone,
	"Universal time and local time zone":             readTime,
	"EPS QoS":                                        readQoS,
	"New EPS QoS":                                    readQoS,
	"Required traffic flow QoS":                      readQoS,
	"APN-AMBR":                                       readAMBR,
	"Access point name":                              func(el element, _ []byte) []reading { return []reading{shown("gsm_a.gm.sm.apn", el.String())} },
	"PDN address":                                    readPDNAddress,
	"TFT":                                            readTFT,
	"Traffic flow aggregate":                         readTFT,
	"Protocol configuration options":                 readPCO,
	"Extended protocol configuration options":        readPCO,
}

// capabilities are flags by the number of their feature, as far as the element
// has octets for them.
func capabilities(names string, has func(el element, f Feature) bool) readings {
	return func(el element, b []byte) (r []reading) {
		for f, name := range strings.Fields(names) {
			if f < 8*len(b) && name != "-" {
				r = append(r, shown("nas_eps.emm."+name, oneIf(has(el, Feature(f)))))
			}
		}
		return r
	}
}

const algorithmBits = "eea0 128eea1 128eea2 eea3 eea4 eea5 eea6 eea7 eia0 128eia1 128eia2 eia3 eia4 eia5 eia6 "

var readUENetworkCapability = capabilities(algorithmBits+"eia7 uea0 uea1 uea2 uea3 uea4 uea5 uea6 uea7 emm_ucs2_supp uia1 uia2 uia3 uia4 uia5 uia6 uia7"+
	" prose_dd_cap prose_cap h245_ash_cap acc_csfb_cap lpp_cap lcs_cap 1xsrvcc_cap nf_cap"+
	" epco_cap hc_cp_ciot_cap er_wo_pdn_cap s1u_data_cap up_ciot_cap cp_ciot_cap prose_relay_cap prose_dc_cap"+
	" 15_bearers_cap sgc_cap n1mode_cap dcnr_cap cp_backoff_cap restrict_ec_cap v2x_pc5_cap multiple_drb_cap"+
	" - - - v2x_nr_pc5_cap up_mt_edt_cap cp_mt_edt_cap wsua_cap racs_cap",
	func(el element, f Feature) bool { return el.(*UENetworkCapability).Has(f) })

var readN1Capability = capabilities("- - - - 5g_up_ciot 5g_hc_cp_ciot n3_data 5g_cp_ciot", func(el element, f Feature) bool { return el.(*N1Capability).Has(f) })

var readUESecurityCapability = fieldsTogether(capabilities(algorithmBits, func(el element, f Feature) bool {
	c := el.(*UESecurityCapability)
	if f < 8 {
		return c.EEA(EEA(f))
	}
	return c.EIA(EIA(f - 8))
}), fieldFlags(1, "nas_eps.emm.", "- - - - - - - eia7"), fieldFlags(2, "nas_eps.emm.", "uea0 uea1 uea2 uea3 uea4 uea5 uea6 uea7"),
	fieldFlags(3, "nas_eps.emm.", "- uia1 uia2 uia3 uia4 uia5 uia6 uia7"), fieldFlags(4, "nas_eps.emm.", "- gea1 gea2 gea3 gea4 gea5 gea6 gea7"))

var readNetworkFeatures = fieldsTogether(fieldNumber("nas_eps.emm.cs_lcs", 0, 5, 4), capabilities(
	"cp_ciot er_wo_pdn esr_ps - - epc_lcs emc_bs ims_vops 15_bearers iwkn26 restrict_dcnr restrict_ec epco hc_cp_ciot s1_u_data up_ciot",
	func(el element, f Feature) bool { return el.(*NetworkFeatures).Has(f) }))

var readMSNetworkCapability = fieldsTogether(fieldFlags(0, "gsm_a.gm.gmm.net_cap.", "gea1 smdch smgprs ucs2 - - solsa rev"), fieldFlags(1, "gsm_a.gm.gmm.net_cap.", "pfc gea2 gea3 gea4 gea5 gea6 gea7 lcs"),
	fieldFlags(2, "gsm_a.gm.gmm.net_cap.", "ps_irat_iu ps_irat_s1 comb_proc isr srvcc_to_geran epc nf"))

func readAdditionalCapability(el element, _ []byte) (r []reading) {
	v := el.(*AdditionalSecurityCapability)
	for n := range uint8(16) {
		name := map[bool]string{true: "128_5g_%%s%d", false: "5g_%%s%d"}[n >= 1 && n <= 3]
		name = "nas_eps.emm." + fmt.Sprintf(name, n)
		r = append(r, shown(fmt.Sprintf(name, "ea"), oneIf(v.EA(n))), shown(fmt.Sprintf(name, "ia"), oneIf(v.IA(n))))
	}
	return r
}

func readRadioCapabilityID(el element, _ []byte) []reading {
	return []reading{shown("nas_5gs.mm.ue_radio_cap_id", el.(*RadioCapabilityID).Digits())}
}

// fieldsOf are the readings of a row. T3402 is a GPRS timer in most messages
// and a GPRS timer 2 in ATTACH REJECT.
func fieldsOf(row *row) readings {
	if row.name == "T3402 value" && row.format == tlv {
		return readTimer2
	}
	return tsharkFields[row.name]
}

// readAll are the readings of a plain message, header first, and of the
// messages in it.
func readAll(dir Direction, m Message) []reading {
	var r []reading
	if s, ok := m.(ESM); ok {
		ebi, pti := s.Header()
		r = append(r, shown("nas_eps.bearer_id", fmt.Sprint(uint8(ebi))), shown("nas_eps.esm.proc_trans_id", fmt.Sprint(uint8(pti))),
			shown("nas_eps.nas_msg_esm_type", fmt.Sprintf("0x%02x", uint8(m.MessageType()))))
	} else if m.MessageType() != TypeServiceRequest {
		r = append(r, shown("nas_eps.nas_msg_emm_type", fmt.Sprintf("0x%02x", uint8(m.MessageType()))))
	}
	rows := m.table().rows
	for i := range rows {
		if rows[i].get == nil {
			continue
		}
		el, has := rows[i].get(m)
		if has != nil && !*has {
			continue
		}
		b := el.encode(nil)
		r = append(r, fieldsOf(&rows[i])(el, b)...)
		switch el.(type) {
		case *ESMContainer, *EMMContainer:
			if inner, err := Parse(dir, b); err == nil {
				r = append(r, readAll(dir, inner)...)
			}
		}
	}
	return r
}
