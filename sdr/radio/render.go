package radio

import (
	"bytes"
	"embed"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

//go:embed conf/*.tmpl
var templates embed.FS

// Files are srsenb's configuration, by name.
var fileNames = []string{"enb.conf", "rr.conf", "sib.conf", "rb.conf"}

// MainFile is the one srsenb is started with.
const MainFile = "enb.conf"

// Render writes srsenb's configuration into memory. dir is where the files
// will stand; metrics is the file or terminal that srsenb reports to.
func (p *Plan) Render(dir, metrics string) (map[string][]byte, error) {
	t, err := template.New("").Option("missingkey=error").ParseFS(templates, "conf/*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("radio: %w", err)
	}
	out := map[string][]byte{}
	for _, name := range fileNames {
		var b bytes.Buffer
		if err := t.ExecuteTemplate(&b, name+".tmpl", page{Plan: p, Dir: dir, Metrics: metrics}); err != nil {
			return nil, fmt.Errorf("radio: %w", err)
		}
		out[name] = b.Bytes()
	}
	return out, nil
}

// WriteFiles renders into dir, which is made when absent.
func (p *Plan) WriteFiles(dir, metrics string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	files, err := p.Render(dir, metrics)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, name := range fileNames {
		if err := os.WriteFile(filepath.Join(dir, name), files[name], 0o600); err != nil {
			return err
		}
	}
	return nil
}

// page is what the templates see.
type page struct {
	*Plan
	Dir, Metrics string
}

// MCC and the rest are values in srsenb's words.
func (p page) MCC() string { return p.ENB.PLMN.MCC() }

// MNC has two or three digits.
func (p page) MNC() string { return p.ENB.PLMN.MNC() }

// NPRB is n_prb.
func (p page) NPRB() int { return p.Channel.Width.ResourceBlocks() }

// TM is the transmission mode: 1 for one antenna, 2 (diversity) for two.
func (p page) TM() int { return p.Antennas }

// CellID is the cell within the eNB.
func (p page) CellID() uint32 { return uint32(p.Cell) & 0xff }

// ENBName is printable and at most 150 letters (TS 36.413 §9.2.1.4).
func (p page) ENBName() string {
	s := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, p.Name)
	return s[:min(len(s), 150)]
}

// PRACHOffset keeps the random access channel off the edge of the cell, but
// for the smallest, which it fills.
func (p page) PRACHOffset() int {
	if p.NPRB() == 6 {
		return 0
	}
	return 4
}

// RSPower is what a resource element of the reference signals has, in dBm, for
// phones to reckon the path loss: the mean is some 10 dB below the most that
// the kit can give, and is shared by all subcarriers.
func (p page) RSPower() int {
	if p.Kit.Virtual {
		return 0
	}
	v := math.Round(p.EIRP - 10 - 10*math.Log10(float64(12*p.NPRB())))
	return int(max(-60, min(50, v))) // TS 36.331 §6.3.2, referenceSignalPower
}

// InactivityMS is in milliseconds.
func (p page) InactivityMS() int64 { return p.Inactivity.Milliseconds() }

// Bearers are the QCIs that a phone may get (TS 23.203 §6.1.7): those for
// talk and live video lose rather than wait (UM), others wait (AM).
func (page) Bearers() []bearer {
	return []bearer{{1, true, 5}, {2, true, 7}, {3, true, 6}, {4, false, 8}, {5, false, 4}, {6, false, 9}, {7, true, 10}, {8, false, 11}, {9, false, 12}}
}

type bearer struct {
	QCI      int
	UM       bool
	Priority int
}

// SRBs are the signalling bearers.
func (page) SRBs() []int { return []int{1, 2} }
