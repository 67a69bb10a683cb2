package town

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"campanile.network/console"
	"campanile.network/hss-chain/ledger"
	"campanile.network/internal/config"
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

// mistake points at the line of the configuration that a radio's error names:
// of a key that is not there, at its section.
func (c *Config) mistake(err error) error {
	var m *radio.Mistake
	if !errors.As(err, &m) {
		return err
	}
	section, _, _ := strings.Cut(m.Key, ".")
	line := cmp.Or(config.Line(c.file, m.Key), config.Section(c.file, m.Key[:max(strings.LastIndexByte(m.Key, '.'), 0)]), config.Section(c.file, section))
	return &config.Error{File: c.file, Line: line, What: m.Key + ": " + m.What, Remedy: m.Remedy}
}

// checkRadio finds mistakes of a real radio before anything starts.
func (c *Config) checkRadio(s settings) error {
	if c.Radio.Kind != srsRAN {
		return nil
	}
	_, err := c.planRadio(s)
	return err
}

// plainSCTP says why srsenb will not reach the agent, given why the kernel has
// no SCTP or nil: it uses the kernel's, and so has the agent to. What somebody
// sets in its environment may bring it another.
func (c *Config) plainSCTP(kernel error) error {
	switch t := sctp.Transport(c.Agent.RadioSCTP); {
	case len(c.Radio.Environment) > 0:
		return nil
	case kernel != nil:
		return c.mistake(&radio.Mistake{Key: "radio.program", What: fmt.Sprintf("srsenb needs SCTP of this machine's kernel, which has none (%v)", kernel),
			Remedy: "load it as root with: modprobe sctp (Ubuntu: apt install linux-modules-extra-$(uname -r)), or preload a library that has SCTP in radio.environment"})
	case t == sctp.TransportAuto || t == sctp.TransportKernel:
		return nil
	}
	return c.mistake(&radio.Mistake{Key: "agent.radio_sctp", What: fmt.Sprintf("%q, but srsenb uses the kernel's SCTP: it will not find the core", c.Agent.RadioSCTP), Remedy: `write "auto"`})
}

// A look is what there is to find out about a real radio before it starts.
type look struct {
	found    string  // the kit, or why nobody knows
	program  string  // srsenb and its version
	problems []error // each has to be mended first
}

// lookAt finds the plan's kit and program, and asks whether they will find the
// core. Nothing is transmitted.
func (c *Config) lookAt(ctx context.Context, p *radio.Plan) look {
	l := look{found: "nothing to look for", program: "not found"}
	bad := func(err error) { l.problems = append(l.problems, c.mistake(err)) }
	if v, err := p.Version(ctx); err != nil {
		bad(err)
	} else {
		l.program = "srsenb " + v
	}
	if err := c.plainSCTP(sctp.KernelAvailable()); err != nil {
		bad(err)
	}
	if _, err := p.Render(c.path("radio"), ""); err != nil {
		bad(err)
	}
	if p.Kit.Virtual {
		return l
	}
	found, err := radio.Detect(ctx, p.Kit)
	if errors.Is(err, radio.ErrNoTool) {
		l.found = "nobody has looked: " + err.Error()
		return l
	}
	var f profiles.Found
	if err == nil {
		f, err = p.Match(found)
	}
	if err != nil {
		l.found = "not found"
		bad(err)
		return l
	}
	if l.found = f.String(); f.USB == 2 && p.Kit.NeedsUSB3(p.Channel.Width, p.Antennas) {
		bad(&radio.Mistake{Key: "radio.bandwidth_mhz", What: fmt.Sprintf("the kit is at a USB 2 port, which is too slow for %v", p.Channel.Width), Remedy: "plug it into a USB 3 port, or write a smaller one"})
	}
	return l
}

// preflightRadio finds out before anything starts whether the real radio can,
// where the configuration has one.
func (t *Town) preflightRadio(ctx context.Context) error {
	if t.cfg.Radio.Kind != srsRAN {
		return nil
	}
	p, err := t.cfg.planRadio(t.set)
	if err != nil {
		return err
	}
	l := t.cfg.lookAt(ctx, p)
	if len(l.problems) > 0 {
		return l.problems[0]
	}
	t.role("radio").Info("found", "program", l.program, "kit", l.found)
	return nil
}

// startSrsran puts the real radio on the air, where the configuration has one.
func (t *Town) startSrsran(context.Context) error {
	if t.cfg.Radio.Kind != srsRAN {
		return nil
	}
	p, err := t.cfg.planRadio(t.set)
	if err != nil {
		return err
	}
	log := t.role("radio")
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
	Problems   []string `json:"problems"` // to be mended before it can start
	OK         bool     `json:"ok"`       // there are none
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
	ch, l := p.Channel, c.lookAt(ctx, p)
	r = RadioReport{Law: p.Law(), Kit: p.Kit.Title, Found: l.found, Program: l.program, Band: ch.Band.Number, DLEARFCN: uint32(ch.DL), ULEARFCN: uint32(ch.UL), DLMHz: ch.DLCentre.MHz(), ULMHz: ch.ULCentre.MHz(),
		MHz: p.Bandwidth, Blocks: ch.Width.ResourceBlocks(), Rate: p.Kit.Rate(ch.Width), TXGain: p.TX, RXGain: p.RX, DeviceArgs: p.DeviceArgs, Notes: []string{p.Kit.Note}, Problems: []string{}, OK: len(l.problems) == 0}
	if !p.Kit.Virtual {
		r.EIRP = &p.EIRP
	}
	if p.Kit.PPM > 0.25 && p.Clock == profiles.Internal {
		r.Notes = append(r.Notes, fmt.Sprintf("its own clock is good for %v ppm, and LTE asks for 0.05 to 0.25: most phones attach all the same, some do not; a 10 MHz reference mends it", p.Kit.PPM))
	}
	for _, err := range l.problems {
		r.Problems = append(r.Problems, err.Error())
	}
	return r, nil
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

// RenderGSM writes the configuration of a GSM cell's program into a folder, ""
// for the home's, and says where.
func RenderGSM(c *Config, program, dir string) (string, error) {
	s, err := c.resolve()
	if err != nil {
		return "", err
	}
	p, err := c.Radio.GSM.Plan(s.plmn, c.Radio.Config)
	if err != nil {
		return "", c.mistake(err)
	}
	if dir == "" {
		dir = c.path(program)
	}
	if err := p.WriteFiles(program, dir); err != nil {
		return "", &config.Error{File: dir, What: err.Error(), Remedy: "choose a folder you may write to"}
	}
	return filepath.Abs(dir)
}
