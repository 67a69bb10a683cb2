package eps

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"campanile.network/3gpp/id"
)

// A reading is what tshark must show of an element: a field and its value.
type reading struct {
	field, want string
}

// readings of an element from its value part.
type readings func(el element, b []byte) []reading

// fieldNumber is bits of an octet as a decimal number: the highest and the lowest,
// numbered as in the spec, 8 to 1.
func fieldNumber(field string, octet, high, low int) readings {
	return func(_ element, b []byte) []reading {
		if octet >= len(b) {
			return nil
		}
		v := int(b[octet]) >> (low - 1) & (1<<(high-low+1) - 1)
		return []reading{{field, strconv.Itoa(v)}}
	}
}

// fieldWide is some octets as a number in a format of package fmt.
func fieldWide(field, format string, from, n int) readings {
	return func(_ element, b []byte) []reading {
		v := 0
		for _, o := range b[from : from+n] {
			v = v<<8 | int(o)
		}
		return []reading{{field, fmt.Sprintf(format, v)}}
	}
}

// fieldFlags are those of an octet, from bit 8 down, as far as there are names;
// "-" passes over one. An octet that is not there shows nothing.
func fieldFlags(octet int, prefix, names string) readings {
	var all []readings
	for i, name := range strings.Fields(names) {
		if name != "-" {
			all = append(all, fieldNumber(prefix+name, octet, 8-i, 8-i))
		}
	}
	return fieldsTogether(all...)
}

func fieldOctets(field string) readings {
	return func(_ element, b []byte) []reading { return []reading{{field, fmt.Sprintf("%x", b)}} }
}

func fieldsTogether(all ...readings) readings {
	return func(el element, b []byte) (r []reading) {
		for _, f := range all {
			r = append(r, f(el, b)...)
		}
		return r
	}
}

func shown(field, want string) reading { return reading{field, want} }

func readKSI(el element, b []byte) []reading {
	return append(fieldNumber("nas_eps.emm.tsc", 0, 4, 4)(el, b), shown("nas_eps.emm.nas_key_set_id", fmt.Sprint(el.(*KSI).Value())))
}

func readKSIAndSequence(el element, _ []byte) []reading {
	k := el.(*KSIAndSequence)
	return []reading{shown("nas_eps.emm.nas_key_set_id", fmt.Sprint(k.KSI.Value())), shown("nas_eps.seq_no_short", fmt.Sprint(k.Sequence))}
}

func readUpdateType(el element, _ []byte) []reading {
	u := el.(*UpdateType)
	return []reading{shown("nas_eps.emm.active_flg", oneIf(u.Active())), shown("nas_eps.emm.update_type_value", fmt.Sprint(uint8(u.Kind())))}
}

func readDetachType(el element, b []byte) []reading {
	if d, ok := el.(*DetachType); ok {
		return []reading{shown("nas_eps.emm.switch_off", oneIf(d.SwitchOff())), shown("nas_eps.emm.detach_type_ul", fmt.Sprint(uint8(d.Kind())))}
	}
	return []reading{shown("nas_eps.emm.detach_type_dl", fmt.Sprint(uint8(*el.(*NetworkDetachType))))}
}

func readAlgorithms(el element, _ []byte) []reading {
	a := el.(*Algorithms)
	return []reading{shown("nas_eps.emm.toc", fmt.Sprint(uint8(a.Ciphering))), shown("nas_eps.emm.toi", fmt.Sprint(uint8(a.Integrity)))}
}

func oneIf(v bool) string { return map[bool]string{true: "1", false: "0"}[v] }

func hexBits(field string, high, low int) readings {
	return func(_ element, b []byte) []reading {
		return []reading{shown(field, fmt.Sprintf("0x%02x", int(b[0])>>(low-1)&(1<<(high-low+1)-1)))}
	}
}

var readWUS = fieldsTogether(fieldNumber("nas_eps.emm.wus_assist_info.type", 0, 8, 6), fieldNumber("nas_eps.emm.wus_assist_info.ue_paging_probability", 0, 5, 1))

var readClassmark2 = fieldsTogether(fieldNumber("gsm_a.MSC_rev", 0, 7, 6), fieldFlags(0, "gsm_a.", "- - - ES_IND A5_1_algorithm_sup"), fieldNumber("gsm_a.RF_power_capability", 0, 3, 1),
	fieldFlags(1, "gsm_a.", "- ps_sup_cap"), fieldNumber("gsm_a.SS_screening_indicator", 1, 6, 5), fieldFlags(1, "gsm_a.", "- - - - SM_cap VBS_notification_rec VGCS_notification_rec FC_frequency_cap"),
	fieldFlags(2, "gsm_a.", "CM3 - LCS_VA_cap UCS2_treatment SoLSA CMSP A5_3_algorithm_sup A5_2_algorithm_sup"))

func readNRI(el element, _ []byte) []reading {
	return []reading{shown("gsm_a.gm.gmm.nri_cont_value", fmt.Sprintf("0x%04x", el.(*NRI).Value()))}
}

func readBearerStatus(el element, _ []byte) (r []reading) {
	for e := range 16 {
		r = append(r, shown(fmt.Sprint("nas_eps.emm.ebi", e), oneIf(el.(*BearerStatus).Active(id.EBI(e)))))
	}
	return r
}

func readCompressionStatus(_ element, b []byte) (r []reading) {
	for e := 1; e < 16; e++ {
		r = append(r, shown(fmt.Sprint("nas_eps.esm.hdr_compr_config_status.ebi", e), strconv.Itoa(int(b[e/8]>>(e%8)&1))))
	}
	return r
}

var readQoS3G = fieldsTogether(fieldNumber("gsm_a.gm.sm.qos.delay_cls", 0, 6, 4), fieldNumber("gsm_a.gm.sm.qos.reliability_cls", 0, 3, 1), fieldNumber("gsm_a.gm.sm.qos.peak_throughput", 1, 8, 5), fieldNumber("gsm_a.gm.sm.qos.prec_class", 1, 3, 1),
	fieldNumber("gsm_a.gm.sm.qos.mean_throughput", 2, 5, 1), fieldNumber("gsm_a.gm.sm.qos.traffic_cls", 3, 8, 6), fieldNumber("gsm_a.gm.sm.qos.max_bitrate_upl", 5, 8, 1), fieldNumber("gsm_a.gm.sm.qos.max_bitrate_downl", 6, 8, 1),
	fieldNumber("gsm_a.gm.sm.qos.guar_bitrate_upl", 9, 8, 1), fieldNumber("gsm_a.gm.sm.qos.guar_bitrate_downl", 10, 8, 1))

var readExtendedQoS = fieldsTogether(fieldNumber("nas_eps.esm.ext_mbr_unit", 0, 8, 1), fieldWide("nas_eps.esm.ext_mbr_ul", "%d", 1, 2), fieldWide("nas_eps.esm.ext_mbr_dl", "%d", 3, 2),
	fieldNumber("nas_eps.esm.ext_gbr_unit", 5, 8, 1), fieldWide("nas_eps.esm.ext_gbr_ul", "%d", 6, 2), fieldWide("nas_eps.esm.ext_gbr_dl", "%d", 8, 2))

var readExtendedAMBR = fieldsTogether(fieldNumber("nas_eps.esm.ext_apn_ambr_dl_unit", 0, 8, 1), fieldWide("nas_eps.esm.ext_apn_ambr_dl", "%d", 1, 2),
	fieldNumber("nas_eps.esm.ext_apn_ambr_ul_unit", 3, 8, 1), fieldWide("nas_eps.esm.ext_apn_ambr_ul", "%d", 4, 2))

// readPLMN are country and network code as numbers under a prefix.
func readPLMN(prefix string, p id.PLMN) []reading {
	return []reading{shown(prefix+"mcc", shownNumber(p.MCC())), shown(prefix+"mnc", shownNumber(p.MNC()))}
}

func readIMSI(i id.IMSI) []reading {
	return []reading{shown("e212.imsi", i.Digits()), shown("e212.mcc", shownNumber(i.Digits()[:3]))}
}

func readEPSMobileIdentity(el element, b []byte) []reading {
	m := el.(*EPSMobileIdentity)
	kind := shown("nas_eps.emm.type_of_id", strconv.Itoa(int(b[0]&7)))
	if i, ok := m.IMSI(); ok {
		return append(readIMSI(i), kind)
	}
	if i, ok := m.IMEI(); ok {
		return []reading{kind, shown("nas_eps.emm.imei", i.Digits())}
	}
	g, _ := m.GUTI()
	return append(readPLMN("e212.gummei.", g.GUMMEI.PLMN), kind, shown("nas_eps.emm.mme_grp_id", fmt.Sprint(uint16(g.GUMMEI.Group))),
		shown("nas_eps.emm.mme_code", fmt.Sprint(uint8(g.GUMMEI.Code))), shown("nas_eps.emm.m_tmsi", fmt.Sprint(uint32(g.TMSI))), shown("3gpp.tmsi", fmt.Sprint(uint32(g.TMSI))))
}

func readMobileIdentity(el element, b []byte) []reading {
	m := el.(*MobileIdentity)
	r := []reading{shown("gsm_a.ie.mobileid.type", strconv.Itoa(int(b[0]&7)))}
	if i, ok := m.IMSI(); ok {
		return append(r, readIMSI(i)...)
	}
	if i, ok := m.IMEI(); ok {
		return append(r, shown(map[bool]string{false: "gsm_a.imei", true: "gsm_a.imeisv"}[m.Kind() == KindIMEISV], i.Digits()))
	}
	if t, ok := m.TMSI(); ok {
		return append(r, shown("3gpp.tmsi", fmt.Sprintf("%d", uint32(t))))
	}
	return r
}

func readTAIs(l TAIList) (r []reading) {
	for _, p := range l {
		r = append(r, shown("nas_eps.emm.tai_tol", strconv.Itoa(int(p.Type))), shown("nas_eps.emm.tai_n_elem", strconv.Itoa(len(p.TAIs)-1)))
		for i, t := range p.TAIs {
			if i == 0 || p.Type == TAIsOfSeveralPLMN {
				r = append(r, readPLMN("e212.tai.", t.PLMN)...)
			}
			r = append(r, shown("nas_eps.emm.tai_tac", fmt.Sprint(uint16(t.TAC))))
		}
	}
	return r
}

func readTAI(el element, _ []byte) []reading {
	t := el.(*taiElement)
	return append(readPLMN("e212.tai.", t.PLMN), shown("nas_eps.emm.tai_tac", fmt.Sprint(uint16(t.TAC))))
}

func readLAI(el element, _ []byte) []reading {
	l := el.(*LAI)
	return append(readPLMN("e212.lai.", l.PLMN), shown("gsm_a.lac", fmt.Sprintf("0x%04x", l.LAC)))
}

func readPLMNs(el element, _ []byte) (r []reading) {
	for _, p := range *el.(*PLMNList) {
		r = append(r, readPLMN("e212.", p)[0]) // tshark shows the MNC of an IMSI in the same field, as it guesses it
	}
	return r
}

var (
	readTimer  = fieldsTogether(fieldNumber("gsm_a.gm.gmm.gprs_timer_unit", 0, 8, 6), fieldNumber("gsm_a.gm.gmm.gprs_timer_value", 0, 5, 1))
	readTimer2 = fieldsTogether(fieldNumber("gsm_a.gm.gmm.gprs_timer2_unit", 0, 8, 6), fieldNumber("gsm_a.gm.gmm.gprs_timer2_value", 0, 5, 1))
	readTimer3 = fieldsTogether(fieldNumber("gsm_a.gm.gmm.gprs_timer3_unit", 0, 8, 6), fieldNumber("gsm_a.gm.gmm.gprs_timer3_value", 0, 5, 1))
)

func readName(el element, _ []byte) []reading {
	return []reading{shown("gsm_a.dtap.text_string", el.(*NetworkName).Text())}
}

// readZone: tshark shows the quarters of an hour without their sign.
func readZone(el element, _ []byte) []reading {
	z := int(*el.(*TimeZone))
	return []reading{shown("gsm_a.dtap.timezone", fmt.Sprintf("0x%02x", max(z, -z)))}
}

func readTime(el element, _ []byte) []reading {
	t, err := el.(*TimeAndZone).Time()
	if err != nil {
		return nil
	}
	zone := ZoneOf(t)
	return append(readZone(&zone, nil), shown("gsm_a.dtap.time_zone_time", t.UTC().Format("Jan _2, 2006 15:04:05.000000000 UTC")))
}

func readQoS(_ element, b []byte) []reading {
	r := []reading{shown("nas_eps.esm.qci", strconv.Itoa(int(b[0])))}
	for i, o := range b[1:] {
		name := []string{"mbr_ul", "mbr_dl", "gbr_ul", "gbr_dl"}[i%4]
		if i >= 4 {
			name = "e" + name
		}
		r = append(r, shown("nas_eps.esm."+name, strconv.Itoa(int(o))))
	}
	return r
}

func readAMBR(_ element, b []byte) (r []reading) {
	for i, o := range b {
		name := []string{"dl", "ul", "dl_ext", "ul_ext", "dl_ext2", "ul_ext2"}[i]
		r = append(r, shown("nas_eps.esm.apn_ambr_"+name, strconv.Itoa(int(o))))
	}
	return r
}

func readPDNAddress(el element, b []byte) []reading {
	a := el.(*PDNAddress)
	r := []reading{shown("nas_eps.esm_pdn_type", strconv.Itoa(int(a.Type)))}
	if a.Type == PDNTypeIPv6 || a.Type == PDNTypeIPv4v6 {
		r = append(r, shown("nas_eps.esm.pdn_ipv6_if_id", fmt.Sprintf("%x", a.IID)))
	}
	if a.Type == PDNTypeIPv4 || a.Type == PDNTypeIPv4v6 {
		r = append(r, shown("nas_eps.esm.pdn_ipv4", a.IPv4.String()))
	}
	return r
}

func readTFT(el element, _ []byte) []reading {
	t := el.(*TFT)
	const f = "gsm_a.gm.sm."
	r := []reading{shown(f+"tft.op_code", strconv.Itoa(int(t.Operation))), shown(f+"tft.pkt_flt", strconv.Itoa(len(t.Filters)))}
	for _, p := range t.Filters {
		r = append(r, shown(f+"tft.pkt_flt_id", strconv.Itoa(int(p.ID))))
		if t.Operation == TFTDeleteFilters {
			continue
		}
		r = append(r, shown(f+"tft.pkt_flt_dir", strconv.Itoa(int(p.Direction))))
		for kind, v := range p.Components.All() {
			switch kind {
			case FilterIPv4Remote:
				r = append(r, shown(f+"ip4_address", shownAddress(v[:4])), shown(f+"ip4_mask", shownAddress(v[4:])))
			case FilterProtocol:
				r = append(r, shown(f+"tft.protocol_header", fmt.Sprintf("0x%02x", v[0])))
			case FilterRemotePortRange:
				r = append(r, shown(f+"tft.port_low", fmt.Sprint(binary.BigEndian.Uint16(v))), shown(f+"tft.port_high", fmt.Sprint(binary.BigEndian.Uint16(v[2:]))))
			}
		}
	}
	return r
}

var tsharkContainers = map[ContainerID]string{ContainerDNSv4: "dns.ipv4", ContainerDNSv6: "dns.ipv6", ContainerPCSCFv6: "pcscf.ipv6", ContainerPCSCFv4: "pcscf.ipv4"}

func readPCO(el element, _ []byte) (r []reading) {
	const f = "gsm_a.gm.sm.pco"
	for c, v := range el.(*PCO).All() {
		r = append(r, shown(f+"_pid", fmt.Sprintf("0x%04x", uint16(c))))
		switch {
		case c == ContainerIPCP:
			r = append(r, shown("ipcp.opt.pri_dns_address", shownAddress(v[6:10])), shown("ipcp.opt.sec_dns_address", shownAddress(v[12:16])))
		case len(v) == 0:
		case c == ContainerIPv4LinkMTU:
			r = append(r, shown(f+".ipv4_link_mtu_size", fmt.Sprint(binary.BigEndian.Uint16(v))))
		case c == ContainerNonIPLinkMTU:
			r = append(r, shown(f+".non_ip_link_mtu_size", fmt.Sprint(binary.BigEndian.Uint16(v))))
		case tsharkContainers[c] != "":
			r = append(r, shown(f+"."+tsharkContainers[c], shownAddress(v)))
		}
	}
	return r
}

func shownAddress(b []byte) string {
	a, _ := netip.AddrFromSlice(b)
	return a.String()
}
