package radio

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
)

// report is one object of srsenb's report (expert.report_json_enable), of
// which there is one a second with type "metrics", and events between.
type report struct {
	Type  string `json:"type"`
	Cells []struct {
		Cell struct {
			RACH uint64 `json:"nof_rach"`
			UEs  []struct {
				UE struct {
					RNTI     uint32  `json:"ue_rnti"`
					CQI      float64 `json:"dl_cqi"`
					DLMCS    float64 `json:"dl_mcs"`
					DLRate   float64 `json:"dl_bitrate"`
					DLBLER   float64 `json:"dl_bler"`
					SNR      float64 `json:"ul_snr"`
					ULMCS    float64 `json:"ul_mcs"`
					ULRate   float64 `json:"ul_bitrate"`
					ULBLER   float64 `json:"ul_bler"`
					Headroom float64 `json:"ul_phr"`
					Buffer   float64 `json:"ul_bsr"`
				} `json:"ue_container"`
			} `json:"ue_list"`
		} `json:"cell_container"`
	} `json:"cell_list"`
}

// metrics is what a report says in sum.
type metrics struct {
	users  int
	dl, ul uint64
	phones []Phone
	rach   uint64
}

// maxPhones bounds the phones that are told one by one.
const maxPhones = 64

var errNoMetrics = errors.New("radio: no metrics")

// parseMetrics reads one object of the report. An event is errNoMetrics.
func parseMetrics(b []byte) (m metrics, err error) {
	var r report
	if err := json.Unmarshal(b, &r); err != nil {
		return m, err
	}
	if r.Type != "metrics" {
		return m, errNoMetrics
	}
	for _, c := range r.Cells {
		m.rach += c.Cell.RACH
		for _, u := range c.Cell.UEs {
			p := Phone{RNTI: uint16(u.UE.RNTI), CQI: u.UE.CQI, SNR: u.UE.SNR, DLMCS: u.UE.DLMCS, ULMCS: u.UE.ULMCS,
				DL: rate(u.UE.DLRate), UL: rate(u.UE.ULRate), DLBLER: u.UE.DLBLER, ULBLER: u.UE.ULBLER, Headroom: u.UE.Headroom, Buffer: rate(u.UE.Buffer)}
			m.users++
			m.dl, m.ul = m.dl+p.DL, m.ul+p.UL
			if len(m.phones) < maxPhones {
				m.phones = append(m.phones, p)
			}
		}
	}
	return m, nil
}

// rate makes a whole number of what is one but for its form.
func rate(v float64) uint64 {
	if !(v > 0) {
		return 0
	}
	return uint64(min(math.Round(v), 1e12))
}

// maxReport bounds one object, in octets.
const maxReport = 256 << 10

// framer cuts the report into its objects: each begins with a line "{" and
// ends with a line "}". What is too long, or lacks an end, is dropped.
type framer struct {
	b       strings.Builder
	inside  bool
	dropped uint64
}

// line takes a line without its end and gives an object that it completes.
func (f *framer) line(s string) (object string, ok bool) {
	if s == "{" {
		if f.inside {
			f.dropped++
		}
		f.b.Reset()
		f.inside = true
	}
	if !f.inside {
		return "", false
	}
	if f.b.Len()+len(s) > maxReport {
		f.inside = false
		f.dropped++
		f.b.Reset()
		return "", false
	}
	f.b.WriteString(s)
	f.b.WriteByte('\n')
	if s != "}" {
		return "", false
	}
	f.inside = false
	return f.b.String(), true
}
