package eps

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/internal/tshark"
)

// everyOctet appends a message for each octet and gives tshark's texts of it,
// by field.
func everyOctet(t *testing.T, make func(o byte) []byte) []map[string][]string {
	t.Helper()
	var pdus [][]byte
	for o := range 256 {
		pdus = append(pdus, Protected{Header: HeaderIntegrity, Payload: make(byte(o))}.Append(nil))
	}
	var all []map[string][]string
	for _, p := range dissect(t, pdus) {
		texts := map[string][]string{}
		p.Walk(func(f *tshark.Node) { texts[f.Name] = append(texts[f.Name], f.Text) })
		all = append(all, texts)
	}
	return all
}

var rateText = regexp.MustCompile(`: (\d+(?:\.\d+)?) ([kMGTP])bps`)

// rateIn is the rate in tshark's last text of a field; where there is none, say
// because the value means "subscribed", it is false.
func rateIn(texts []string) (id.BitRate, bool) {
	if len(texts) == 0 {
		return 0, false
	}
	m := rateText.FindStringSubmatch(texts[len(texts)-1])
	if m == nil {
		return 0, false
	}
	unit := map[string]float64{"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}[m[2]]
	v, _ := strconv.ParseFloat(m[1], 64)
	return id.BitRate(v*unit + .5), true
}

// A rate is where tshark shows a bit rate, and where we have it.
type rate struct {
	field string
	of    func(*ModifyEPSBearerContextRequest) id.BitRate
}

// TestTsharkRates: every octet of a bit rate is the rate that tshark says.
func TestTsharkRates(t *testing.T) {
	type modify = *ModifyEPSBearerContextRequest
	// The octet is "oo". Extended AMBR and extended QoS have it as their units.
	const extended = "5f06oo0003oo0002" + "5c0aoo00030020oo00070001"
	const qos3G, full = "0b931f7196%s7480%s00", "fefe"
	for _, c := range []struct{ qos, qos3G, ambr, qosPrefix, suffix, ambrSuffix string }{
		{"0509oooooooo", "0c" + fmt.Sprintf(qos3G, "oooo", "oooo"), "02oooo", "", "", ""},
		{"0909fefefefeoooooooo", "10" + fmt.Sprintf(qos3G, full, full) + "oooooooo", "04fefeoooo", "e", "_ext", "_ext"},
		{"0d09fefefefefafafafaoooooooo", "14" + fmt.Sprintf(qos3G, full, full) + "fafafafaoooooooo", "06fefefafaoooo", "e", "_ext2", "_total"},
	} {
		rates := []rate{
			{"gsm_a.gm.sm.qos.max_bitrate_upl" + c.suffix, func(m modify) id.BitRate { return m.NewQoS3G.V.Rate(QoS3GMaxUL) }},
			{"gsm_a.gm.sm.qos.max_bitrate_downl" + c.suffix, func(m modify) id.BitRate { return m.NewQoS3G.V.Rate(QoS3GMaxDL) }},
			{"gsm_a.gm.sm.qos.guar_bitrate_upl" + c.suffix, func(m modify) id.BitRate { return m.NewQoS3G.V.Rate(QoS3GGuaranteedUL) }},
			{"gsm_a.gm.sm.qos.guar_bitrate_downl" + c.suffix, func(m modify) id.BitRate { return m.NewQoS3G.V.Rate(QoS3GGuaranteedDL) }},
			{"nas_eps.esm." + c.qosPrefix + "mbr_ul", func(m modify) id.BitRate { return m.NewQoS.V.MaxUL }},
			{"nas_eps.esm." + c.qosPrefix + "mbr_dl", func(m modify) id.BitRate { return m.NewQoS.V.MaxDL }},
			{"nas_eps.esm." + c.qosPrefix + "gbr_ul", func(m modify) id.BitRate { return m.NewQoS.V.GuaranteedUL }},
			{"nas_eps.esm." + c.qosPrefix + "gbr_dl", func(m modify) id.BitRate { return m.NewQoS.V.GuaranteedDL }},
			{"nas_eps.esm.apn_ambr_dl" + c.ambrSuffix, func(m modify) id.BitRate { return m.AMBR.V.DL }},
			{"nas_eps.esm.apn_ambr_ul" + c.ambrSuffix, func(m modify) id.BitRate { return m.AMBR.V.UL }},
			{"nas_eps.esm.ext_apn_ambr_dl", func(m modify) id.BitRate { return m.ExtendedAMBR.V.DL() }},
			{"nas_eps.esm.ext_apn_ambr_ul", func(m modify) id.BitRate { return m.ExtendedAMBR.V.UL() }},
			{"nas_eps.esm.ext_mbr_ul", func(m modify) id.BitRate { return m.ExtendedQoS.V.MaxUL() }},
			{"nas_eps.esm.ext_mbr_dl", func(m modify) id.BitRate { return m.ExtendedQoS.V.MaxDL() }},
			{"nas_eps.esm.ext_gbr_ul", func(m modify) id.BitRate { return m.ExtendedQoS.V.GuaranteedUL() }},
			{"nas_eps.esm.ext_gbr_dl", func(m modify) id.BitRate { return m.ExtendedQoS.V.GuaranteedDL() }},
		}
		message := func(o byte) []byte {
			return unhex(t, strings.ReplaceAll("6212c95b"+c.qos+"30"+c.qos3G+"5e"+c.ambr+extended, "oo", fmt.Sprintf("%02x", o)))
		}
		silent := map[string]int{}
		for o, texts := range everyOctet(t, message) {
			m, err := Parse(Downlink, message(byte(o)))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rates {
				want, ok := rateIn(texts[r.field])
				if strings.HasPrefix(r.field, "gsm_a.") && c.suffix == "_ext" && o > 0xfa {
					want = 256 * id.Mbps // the last step of TS 24.008 §10.5.6.5; tshark counts on, in this element only
				}
				if !ok {
					silent[r.field]++
				} else if got := r.of(m.(modify)); got != want {
					t.Errorf("%s: octet %#02x: %v, tshark says %v: %q", r.field, o, got, want, texts[r.field])
				}
			}
		}
		for field, n := range silent { // zero means another octet, or "subscribed"; so do the lowest units
			if n > 3 {
				t.Errorf("%s: tshark names no rate for %d octets", field, n)
			}
		}
	}
}

var tsharkTimer = regexp.MustCompile(`^GPRS Timer: (\d+) (sec|min|hr|hours) ?$`)

// TestTsharkTimers: every octet of a timer is the time that tshark says.
func TestTsharkTimers(t *testing.T) {
	message := func(o byte) []byte { // T3412, T3412 extended and T3324
		return unhex(t, fmt.Sprintf("074201%02x060000f110000700030201d95e01%02x6a01%02x", o, o, o))
	}
	for o, texts := range everyOctet(t, message) {
		m, err := Parse(Downlink, message(byte(o)))
		if err != nil {
			t.Fatal(err)
		}
		a := m.(*AttachAccept)
		for field, timer := range map[string]interface{ Duration() (time.Duration, bool) }{
			"gsm_a.gm.gmm.gprs_timer": a.T3412, "gsm_a.gm.gmm.gprs_timer2": a.T3324.V, "gsm_a.gm.gmm.gprs_timer3": a.T3412Extended.V,
		} {
			text := strings.Join(texts[field], ";")
			want, runs := time.Duration(0), text != "GPRS Timer: timer is deactivated"
			if w := tsharkTimer.FindStringSubmatch(text); w != nil {
				n, _ := strconv.Atoi(w[1])
				want = time.Duration(n) * map[string]time.Duration{"sec": time.Second, "min": time.Minute, "hr": time.Hour, "hours": time.Hour}[w[2]]
			} else if runs {
				t.Errorf("%s: octet %#02x: tshark says %q", field, o, text)
			}
			if d, ok := timer.Duration(); d != want || ok != runs {
				t.Errorf("%s: octet %#02x: %v %v, tshark says %q", field, o, d, ok, text)
			}
		}
	}
}
