package town

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"campanile.network/console"
	"campanile.network/hss-chain/ledger"
	"campanile.network/internal/config"
	"campanile.network/internal/logs"
	"campanile.network/internal/sctp"
	"campanile.network/sdr/profiles"
	"campanile.network/sdr/radio"
	"campanile.network/wire/link"
)

// srsRAN is the radio.kind of a real radio: srsenb under supervision.
const srsRAN = "srsran"

// UseRadio puts another kind of radio in the place of the configuration's.
func (c *Config) UseRadio(kind string) error {
	c.Radio.Kind = kind
	_, err := c.resolve()
	return err
}

// site is the tower as its radio has to know it.
func (c *Config) site(s settings) radio.Site {
	return radio.Site{ENB: s.enb, Name: c.Tower.Name, Cell: s.cell.ECI, TAC: s.tai.TAC, MME: s.agentRadio, Local: s.eNB, Inactivity: time.Duration(c.Radio.Inactivity)}
}

// planRadio checks what a real radio would do.
func (c *Config) planRadio(s settings) (*radio.Plan, error) {
	p, err := c.Radio.Config.Plan(c.site(s))
	return p, c.mistake(err)
}

// mistake points at the line of the configuration that a radio's error names.
func (c *Config) mistake(err error) error {
	var m *radio.Mistake
	if !errors.As(err, &m) {
		return err
	}
	return &config.Error{File: c.file, Line: config.Line(c.file, m.Key), What: m.Key + ": " + m.What, Remedy: m.Remedy}
}

// checkRadio finds mistakes of a real radio before anything starts.
func (c *Config) checkRadio(s settings) error {
	if c.Radio.Kind != srsRAN {
		return nil
	}
	_, err := c.planRadio(s)
	return err
}

// plainSCTP says it when srsenb will not reach the agent: it speaks SCTP in IP
// unless something in its environment changes that.
func (c *Config) plainSCTP() string {
	if c.Agent.RadioSCTP != string(sctp.TransportUDP) || len(c.Radio.Environment) > 0 {
		return ""
	}
	return `agent.radio_sctp is "udp", and srsenb speaks plain SCTP: it will not find the core; write "auto", or "raw" where the kernel has no SCTP`
}

// startSrsran puts the real radio on the air, where the configuration has one.
func (t *Town) startSrsran(ctx context.Context) error {
	if t.cfg.Radio.Kind != srsRAN {
		return nil
	}
	p, err := t.cfg.planRadio(t.set)
	if err != nil {
		return err
	}
	log := t.role("radio")
	if note := t.cfg.plainSCTP(); note != "" {
		log.Warn(note)
	}
	if err := t.cfg.detect(ctx, p); errors.Is(err, radio.ErrNoTool) {
		log.Warn("whether the kit is there was not looked up", logs.Error, err)
	} else if err != nil {
		return err
	}
	s, err := radio.New(radio.Options{Plan: p, Dir: t.cfg.path("radio"), Event: t.logEvent, Changed: t.wake, Logger: log})
	if err != nil {
		return t.cfg.mistake(err)
	}
	t.radio.Store(s)
	log.Info(p.Law())
	t.serve("radio", s.Serve)
	t.startHerald()
	return nil
}

// showRadio is what the console shows of a tower's radio, as its agent has told.
func showRadio(r *link.Radio) *console.Radio {
	if r == nil {
		return nil
	}
	return &console.Radio{State: r.State, Since: r.Since, Restarts: int(r.Restarts), LastError: r.LastError, Users: int(r.Users), UL: r.UL, DL: r.DL}
}

// showTold is what a tower has said on the ledger, for the console.
func showTold(h ledger.Health) *console.Told {
	v := told(h)
	if v == nil {
		return nil
	}
	return &console.Told{State: v.State, Since: time.UnixMilli(v.SinceUnixMs).UTC(), Restarts: int(v.Restarts), At: time.UnixMilli(v.SaidUnixMs).UTC()}
}

// detect looks for the plan's kit.
func (c *Config) detect(ctx context.Context, p *radio.Plan) error {
	if p.Kit.Virtual {
		return nil
	}
	found, err := radio.Detect(ctx, p.Kit)
	if err == nil {
		_, err = p.Match(found)
	}
	return c.mistake(err)
}

// RadioReport is what campanile radio check tells.
type RadioReport struct {
	Law        string   `json:"law"`
	Kit        string   `json:"kit"`
	Found      string   `json:"found"` // the kit, or why nobody knows
	Program    string   `json:"program"`
	Band       uint8    `json:"band"`
	DLEARFCN   uint32   `json:"dl_earfcn"`
	ULEARFCN   uint32   `json:"ul_earfcn"`
	DLMHz      float64  `json:"dl_mhz"`
	ULMHz      float64  `json:"ul_mhz"`
	MHz        float64  `json:"bandwidth_mhz"`
	Blocks     int      `json:"resource_blocks"`
	Rate       int      `json:"samples_per_second"`
	TXGain     float64  `json:"tx_gain_db"`
	RXGain     float64  `json:"rx_gain_db"`
	EIRP       *float64 `json:"eirp_dbm"` // not more than this; nil: nothing is transmitted
	DeviceArgs string   `json:"device_args"`
	Notes      []string `json:"notes"`
	OK         bool     `json:"ok"` // it could start now
}

// CheckRadio says what a home's radio would transmit, and whether kit and
// program are there. Its error is a mistake in the configuration.
func CheckRadio(ctx context.Context, c *Config) (r RadioReport, err error) {
	s, err := c.resolve()
	if err != nil {
		return r, err
	}
	p, err := c.planRadio(s)
	if err != nil {
		return r, err
	}
	ch := p.Channel
	r = RadioReport{Law: p.Law(), Kit: p.Kit.Title, Found: "nothing to look for", Band: ch.Band.Number, DLEARFCN: uint32(ch.DL), ULEARFCN: uint32(ch.UL), DLMHz: ch.DLCentre.MHz(), ULMHz: ch.ULCentre.MHz(),
		MHz: p.Bandwidth, Blocks: ch.Width.ResourceBlocks(), Rate: p.Kit.Rate(ch.Width), TXGain: p.TX, RXGain: p.RX, DeviceArgs: p.DeviceArgs, Notes: []string{p.Kit.Note}, OK: true}
	if !p.Kit.Virtual {
		r.EIRP = &p.EIRP
		r.findKit(ctx, p)
	}
	if p.Kit.PPM > 0.25 && p.Clock == profiles.Internal {
		r.Notes = append(r.Notes, fmt.Sprintf("its own clock is good for %v ppm, and LTE asks for 0.05 to 0.25: most phones attach all the same, some do not; a 10 MHz reference mends it", p.Kit.PPM))
	}
	if note := c.plainSCTP(); note != "" {
		r.Notes = append(r.Notes, note)
	}
	if v, err := p.Version(ctx); err != nil {
		r.Program, r.OK = err.Error(), false
	} else {
		r.Program = "srsenb " + v
	}
	return r, nil
}

func (r *RadioReport) findKit(ctx context.Context, p *radio.Plan) {
	found, err := radio.Detect(ctx, p.Kit)
	if err == nil {
		var f profiles.Found
		if f, err = p.Match(found); err == nil {
			r.Found = f.String()
			if f.USB == 2 && p.Kit.NeedsUSB3(p.Channel.Width, p.Antennas) {
				r.Notes, r.OK = append(r.Notes, fmt.Sprintf("it is at a USB 2 port, which is too slow for %v", p.Channel.Width)), false
			}
			return
		}
	}
	r.Found, r.OK = err.Error(), errors.Is(err, radio.ErrNoTool)
}

// RenderRadio writes srsenb's configuration into a folder, "" for the home's,
// and says where.
func RenderRadio(c *Config, dir string) (string, error) {
	s, err := c.resolve()
	if err != nil {
		return "", err
	}
	p, err := c.planRadio(s)
	if err != nil {
		return "", err
	}
	if dir == "" {
		dir = c.path("radio")
	}
	if err := p.WriteFiles(dir, ""); err != nil {
		return "", &config.Error{File: dir, What: err.Error(), Remedy: "choose a folder you may write to"}
	}
	return filepath.Abs(dir)
}
