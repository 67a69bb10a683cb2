package sms

import (
	"strings"

	"campanile.network/3gpp/gsm7"
)

// An exception is what tshark 4.0 does not know or shows otherwise, and why.
type exception struct {
	why   string
	field string // of which the values are not compared; "" is all, and complaints
	of    func(m TPDU, d DCS, u UserData) bool
}

var exceptions = []exception{
	{"it reads the length of user data from the octet of an enhanced validity period in the relative format", "",
		func(m TPDU, _ DCS, _ UserData) bool {
			s, ok := m.(*Submit)
			return ok && s.Validity.format == ValidityEnhanced && s.Validity.value[0]&7 == enhancedRelative
		}},
	{"it shows the alignment in a text formatting element under the name of the source indicator", "gsm_sms.udh_created",
		func(_ TPDU, _ DCS, u UserData) bool { return has(u, IEIFormatting) }},
	{"without TP-DCS it reads no text, where TS 23.040 §9.2.3.27 has the default alphabet", "gsm_sms.sms_text",
		func(m TPDU, d DCS, _ UserData) bool { o := optionalOf(m); return o != nil && !o.DCS.OK }},
	{"it knows no national language tables", "gsm_sms.sms_text",
		func(_ TPDU, _ DCS, u UserData) bool { h, _ := u.Header(); return h.Alphabet() != gsm7.Alphabet{} }},
	{"it reads no text in reserved coding groups, where TS 23.038 §4 has the default alphabet", "gsm_sms.sms_text",
		func(_ TPDU, d DCS, _ UserData) bool { return d>>6 == 2 || d.general() && d>>2&3 == 3 }},
	{"it reads no text that is to be discarded", "gsm_sms.sms_text", func(_ TPDU, d DCS, _ UserData) bool { return d>>4 == 0xc }},
	{"it writes a page break as \\xc", "gsm_sms.sms_text",
		func(_ TPDU, d DCS, u UserData) bool { s, _ := u.Text(d); return strings.Contains(s, "\f") }},
	{"it shows the first 160 characters of a report's 173", "gsm_sms.sms_text", func(_ TPDU, _ DCS, u UserData) bool { return u.Length > 160 }},
	{"it shows no field for an empty text", "gsm_sms.sms_text",
		func(_ TPDU, d DCS, u UserData) bool { s, err := u.Text(d); return s == "" && err == nil }},
	{"it gives what goes to a port to that port's dissector", "gsm_sms.sms_text",
		func(_ TPDU, _ DCS, u UserData) bool { return has(u, IEIPorts16) || has(u, IEIPorts8) }},
	{"it shows U+FFFD for an escape sequence without a character, where TS 23.038 §6.2.1.1 has the default alphabet's", "gsm_sms.sms_text",
		func(_ TPDU, d DCS, u UserData) bool {
			septets, err := u.septets(nil)
			for i, s := range septets[:max(len(septets)-1, 0)] {
				if s == gsm7.Escape && d.septets() && err == nil {
					r := []rune(gsm7.Alphabet{}.Text(septets[i : i+2]))
					if len(r) != 1 || (gsm7.Alphabet{}).Septets(r[0]) != 2 {
						return true
					}
				}
			}
			return len(septets) > 0 && septets[len(septets)-1] == gsm7.Escape
		}},
}

// optionalOf gives the optional fields of a report.
func optionalOf(m TPDU) *Optional {
	switch m := m.(type) {
	case *DeliverReport:
		return &m.Optional
	case *SubmitReport:
		return &m.Optional
	case *StatusReport:
		return &m.Optional
	}
	return nil
}

func has(u UserData, iei IEI) bool {
	h, _ := u.Header()
	_, ok := h.Get(iei)
	return ok
}
