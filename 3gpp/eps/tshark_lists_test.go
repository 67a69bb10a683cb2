package eps

import (
	"fmt"
	"net/netip"
	"strconv"

	"campanile.network/3gpp/id"
)

func readEmergencyNumbers(_ element, b []byte) (r []reading) {
	for len(b) > 1 {
		n := int(b[0])
		r = append(r, shown("gsm_a.dtap.emerg_num_info_length", strconv.Itoa(n)), shown("gsm_a.dtap.emergency_bcd_num", shownDigits(b[2:1+n])))
		r = append(r, fieldFlags(1, "gsm_a.dtap.", "- - - serv_cat_b5 serv_cat_b4 serv_cat_b3 serv_cat_b2 serv_cat_b1")(nil, b)...)
		b = b[1+n:]
	}
	return r
}

func readExtendedEmergencyNumbers(_ element, b []byte) []reading {
	const f = "nas_eps.emm.ext_emerg_num_list."
	r := fieldNumber(f+"eenlv", 0, 1, 1)(nil, b)
	for b = b[1:]; len(b) > 0; {
		n := 1 + int(b[0])
		r = append(r, shown(f+"emerg_num", shownDigits(b[1:n])), shown(f+"sub_serv_field.len", strconv.Itoa(int(b[n]))))
		b = b[n+1+int(b[n]):]
	}
	return r
}

func readCipheringKeys(_ element, b []byte) (r []reading) {
	const f = "nas_eps.emm.ciph_key_data."
	for len(b) > 0 {
		r = append(r, fieldWide(f+"ciphering_set_id", "%d", 0, 2)(nil, b)...)
		r = append(r, fieldOctets(f+"ciphering_key")(nil, b[2:18])...)
		n := int(b[18])
		r = append(r, fieldOctets(f+"c0")(nil, b[19:19+n])...)
		b = b[19+n:]
		r = append(r, fieldFlags(0, f+"pos_sib_type_", "1_1 1_2 1_3 1_4 1_5 1_6 1_7 2_1")(nil, b)...)
		r = append(r, fieldFlags(3, f+"pos_sib_type_", "2_18 2_19 3_1")(nil, b)...)
		r = append(r, fieldWide(f+"validity_duration", "%d", 9, 2)(nil, b)...)
		var tais TAIList
		if n = int(b[11]); n > 0 && tais.decode(b[12:12+n]) == nil {
			r = append(r, readTAIs(tais)...)
		}
		b = b[12+n:]
	}
	return r
}

func readCLI(_ element, b []byte) []reading {
	r := []reading{shown("gsm_a.dtap.type_of_number", fmt.Sprintf("0x%02x", b[0]>>4&7)), shown("gsm_a.dtap.numbering_plan_id", fmt.Sprintf("0x%02x", b[0]&15))}
	n := 1
	if b[0]&0x80 == 0 {
		n = 2
	}
	return append(r, shown("gsm_a.dtap.clg_party_bcd_num", shownDigits(b[n:])))
}

func readNBIFOM(_ element, b []byte) (r []reading) {
	for ; len(b) > 0; b = b[2+int(b[1]):] {
		r = append(r, shown("nbifom.param_id", fmt.Sprintf("0x%02x", b[0])))
	}
	return r
}

var readHeaderCompression = fieldsTogether(fieldFlags(0, "nas_eps.esm.hdr_comp_config.prof_", "- 0104 0103 0102 0006 0004 0003 0002"), fieldWide("nas_eps.esm.hdr_comp_config.max_cid", "%d", 1, 2),
	func(_ element, b []byte) []reading {
		if len(b) < 4 {
			return nil
		}
		return []reading{shown("nas_eps.esm.hdr_comp_config.add_hdr_compr_cxt_setup_params_type", fmt.Sprintf("0x%02x", b[3])),
			shown("nas_eps.esm.hdr_comp_config.add_hdr_compr_cxt_setup_params_cont", fmt.Sprintf("%x", b[4:]))}
	})

// readRemoteUEs reads contexts of one user identity of 15 digits each.
func readRemoteUEs(_ element, b []byte) []reading {
	const f = "nas_eps.esm.remote_ue_context_list."
	r := fieldNumber(f+"nb_ue_contexts", 0, 8, 1)(nil, b)
	for b = b[1:]; len(b) > 0; b = b[1+int(b[0]):] {
		digits := strconv.Itoa(int(b[3]>>4)) + shownDigits(b[4:11])
		switch b[3] & 7 {
		case 2:
			imsi, _ := id.ParseIMSI(digits)
			r = append(r, readIMSI(imsi)...)
		case 3:
			r = append(r, shown(f+"ue_context.msisdn", digits))
		case 4:
			r = append(r, shown(f+"ue_context.imei", digits))
		}
		if b[11] == 1 {
			r = append(r, shown(f+"ue_context.ipv4", shownAddress(b[12:16])), fieldWide(f+"ue_context.port_number", "%d", 16, 2)(nil, b)[0])
		} else {
			r = append(r, shown(f+"ue_context.ipv6_prefix", shownAddress(append(b[12:20:20], make([]byte, 8)...))))
		}
	}
	return r
}

func shownAddress(b []byte) string {
	a, _ := netip.AddrFromSlice(b)
	return a.String()
}

func readPKMF(_ element, b []byte) []reading {
	kind := map[int]string{5: "ipv4", 17: "ipv6"}[len(b)]
	return append(fieldNumber("nas_eps.esm.pkmf.address_type", 0, 3, 1)(nil, b), shown("nas_eps.esm.pkmf."+kind, shownAddress(b[1:])))
}
