package eps

import (
	"fmt"
	"strconv"
	"time"
)

func readEmergencyNumbers(el element, _ []byte) (r []reading) {
	for c, number := range el.(*EmergencyNumbers).All() {
		r = append(r, shown("gsm_a.dtap.emergency_bcd_num", number))
		for i := range 5 {
			r = append(r, shown(fmt.Sprint("gsm_a.dtap.serv_cat_b", i+1), oneIf(c>>i&1 != 0)))
		}
	}
	return r
}

func readExtendedEmergencyNumbers(el element, _ []byte) []reading {
	const f = "nas_eps.emm.ext_emerg_num_list."
	v := el.(*ExtendedEmergencyNumbers)
	r := []reading{shown(f+"eenlv", oneIf(v.OnePLMN()))}
	for e := range v.All() {
		r = append(r, shown(f+"emerg_num", e.Digits))
		if e.SubServices != "" {
			r = append(r, shown(f+"sub_serv_field", e.SubServices))
		}
	}
	return r
}

func readCipheringKeys(el element, b []byte) (r []reading) {
	const f = "nas_eps.emm.ciph_key_data."
	sibs := []string{"1_1", "1_2", "1_3", "1_4", "1_5", "1_6", "1_7"}
	for i := range 19 {
		sibs = append(sibs, fmt.Sprint("2_", i+1))
	}
	for s := range el.(*CipheringKeyData).All() {
		r = append(r, shown(f+"ciphering_set_id", fmt.Sprint(s.ID)), shown(f+"ciphering_key", fmt.Sprintf("%x", s.Key[:])), shown(f+"c0", fmt.Sprintf("%x", s.C0)),
			shown(f+"validity_duration", fmt.Sprint(int(s.Duration/time.Minute))))
		for i, name := range append(sibs, "3_1") {
			r = append(r, shown(f+"pos_sib_type_"+name, oneIf(s.SIBs>>(31-i)&1 != 0)))
		}
		r = append(r, readTAIs(s.TAIs)...)
	}
	return r
}

func readCLI(el element, b []byte) []reading {
	return []reading{shown("gsm_a.dtap.type_of_number", fmt.Sprintf("0x%02x", b[0]>>4&7)), shown("gsm_a.dtap.numbering_plan_id", fmt.Sprintf("0x%02x", b[0]&15)),
		shown("gsm_a.dtap.clg_party_bcd_num", el.(*CLI).Digits())}
}

func readNBIFOM(el element, _ []byte) (r []reading) {
	for p := range el.(*NBIFOM).All() {
		r = append(r, shown("nbifom.param_id", fmt.Sprintf("0x%02x", uint8(p))))
	}
	return r
}

func readHeaderCompression(el element, b []byte) []reading {
	const f = "nas_eps.esm.hdr_comp_config."
	v := el.(*HeaderCompression)
	r := []reading{shown(f+"max_cid", fmt.Sprint(v.MaxCID()))}
	for i, profile := range []string{"0002", "0003", "0004", "0006", "0102", "0103", "0104"} {
		r = append(r, shown(f+"prof_"+profile, oneIf(v.Profiles()>>i&1 != 0)))
	}
	if len(b) > 3 {
		r = append(r, shown(f+"add_hdr_compr_cxt_setup_params_type", fmt.Sprintf("0x%02x", b[3])),
			shown(f+"add_hdr_compr_cxt_setup_params_cont", fmt.Sprintf("%x", b[4:])))
	}
	return r
}

func readRemoteUEs(el element, b []byte) []reading {
	const f = "nas_eps.esm.remote_ue_context_list."
	r := fieldNumber(f+"nb_ue_contexts", 0, 8, 1)(nil, b)
	for u := range el.(*RemoteUEs).All() {
		for _, i := range u.Identities {
			switch i.Type() {
			case RemoteIMSI:
				r = append(r, shown("e212.imsi", i.Digits()), shown("e212.mcc", shownNumber(i.Digits()[:3])))
			case RemoteMSISDN:
				r = append(r, shown(f+"ue_context.msisdn", i.Digits()))
			case RemoteIMEI:
				r = append(r, shown(f+"ue_context.imei", i.Digits()))
			}
		}
		if u.IPv4.IsValid() {
			r = append(r, shown(f+"ue_context.ipv4", u.IPv4.Addr().String()), shown(f+"ue_context.port_number", fmt.Sprint(u.IPv4.Port())))
		}
		if u.IPv6.IsValid() {
			r = append(r, shown(f+"ue_context.ipv6_prefix", u.IPv6.Addr().String()))
		}
	}
	return r
}

// shownNumber is a number without leading zeros.
func shownNumber(digits string) string {
	n, _ := strconv.Atoi(digits)
	return strconv.Itoa(n)
}

func readPKMF(el element, b []byte) []reading {
	kind := map[int]string{5: "ipv4", 17: "ipv6"}[len(b)]
	return append(fieldNumber("nas_eps.esm.pkmf.address_type", 0, 3, 1)(nil, b), shown("nas_eps.esm.pkmf."+kind, el.(*PKMFAddress).Addr().String()))
}

func readTI(el element, _ []byte) []reading {
	v := el.(*TransactionID)
	return []reading{shown("gsm_a.gm.sm.ti_flag", oneIf(v.Responder())), shown("gsm_a.gm.ti_value", fmt.Sprintf("0x%02x", v.Value()))}
}

func readCodecs(el element, _ []byte) (r []reading) {
	for system, bitmap := range el.(*Codecs).All() {
		r = append(r, shown("gsm_a.dtap.sysid", fmt.Sprintf("0x%02x", uint8(system))), shown("gsm_a.dtap.bitmap_length", fmt.Sprint(len(bitmap))))
	}
	return r
}
