package gsm

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

//go:embed conf
var templates embed.FS

// Programs are what a cell can be made with.
func Programs() []string { return []string{"openbts", "yatebts", "osmocom"} }

// How says what to do with the files written for a program.
func How(program, dir string) string {
	switch program {
	case "openbts":
		return fmt.Sprintf("on the cell's host: sqlite3 /etc/OpenBTS/OpenBTS.db < %s/openbts.sql; then start OpenBTS and its transceiver, and neither sipauthserve, smqueue nor Asterisk", dir)
	case "yatebts":
		return fmt.Sprintf("on the cell's host: copy %s/ybts.conf and javascript.conf to Yate's configuration, then start Yate", dir)
	}
	return fmt.Sprintf("on the cell's host: copy %s/*.cfg to /etc/osmocom, then start osmo-stp, osmo-hlr, osmo-mgw, osmo-msc, osmo-bsc, osmo-sip-connector, osmo-trx and osmo-bts-trx", dir)
}

// Render writes a program's configuration into memory, by name of file.
func (p *Plan) Render(program string) (map[string][]byte, error) {
	if !slices.Contains(Programs(), program) {
		return nil, fmt.Errorf("gsm: program %q: want one of %s", program, strings.Join(Programs(), ", "))
	}
	t, err := template.New("").Option("missingkey=error").Funcs(template.FuncMap{"sql": quote}).ParseFS(templates, "conf/"+program+"/*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("gsm: %w", err)
	}
	names, err := fs.Glob(templates, "conf/"+program+"/*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("gsm: %w", err)
	}
	out := map[string][]byte{}
	for _, name := range names {
		var b bytes.Buffer
		name = filepath.Base(name)
		if err := t.ExecuteTemplate(&b, name, p); err != nil {
			return nil, fmt.Errorf("gsm: %w", err)
		}
		out[strings.TrimSuffix(name, ".tmpl")] = b.Bytes()
	}
	return out, nil
}

// WriteFiles renders into dir, which is made when absent.
func (p *Plan) WriteFiles(program, dir string) error {
	files, err := p.Render(program)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, b := range files {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// quote makes a string of SQL.
func quote(v any) string { return "'" + strings.ReplaceAll(fmt.Sprint(v), "'", "''") + "'" }

// Setting is one of OpenBTS's configuration keys.
type Setting struct {
	Key   string
	Value any
}

// Settings are what a cell needs of OpenBTS; all else keeps its default.
func (p *Plan) Settings() []Setting {
	return []Setting{
		{"GSM.Radio.Band", p.Band}, {"GSM.Radio.C0", p.ARFCN},
		{"GSM.Radio.PowerManager.MaxAttenDB", p.Attenuation}, {"GSM.Radio.PowerManager.MinAttenDB", p.Attenuation},
		{"GSM.MS.Power.Max", p.PhoneDBm},
		{"GSM.Identity.MCC", p.PLMN.MCC()}, {"GSM.Identity.MNC", p.PLMN.MNC()}, {"GSM.Identity.LAC", p.LAC}, {"GSM.Identity.CI", p.Cell},
		{"GSM.Identity.BSIC.NCC", p.NCC}, {"GSM.Identity.BSIC.BCC", p.BCC}, {"GSM.Identity.ShortName", p.Name},
		{"SIP.Local.IP", p.Local}, {"SIP.Local.Port", 5062}, {"SIP.Realm", ""},
		{"SIP.Proxy.Registration", p.SIP}, {"SIP.Proxy.Speech", p.SIP}, {"SIP.Proxy.SMS", p.SIP}, {"SIP.Proxy.USSD", p.SIP},
		{"SMS.MIMEType", "application/vnd.3gpp.sms"},
		// Who is not ours is sent to another network, and not locked out of all of them
		// (TS 24.008 §4.4.4.7, cause 12); nobody gets in because nobody answers.
		{"Control.LUR.OpenRegistration", ""}, {"Control.LUR.FailMode", "FAIL"},
		{"Control.LUR.404RejectCause", "0x0C"}, {"Control.LUR.UnprovisionedRejectCause", "0x0C"},
		{"NodeManager.API.PhysicalStatus", "0.1"},
	}
}

// BandName is Osmocom's: TS 45.005 §2.
func (p *Plan) BandName() string {
	switch p.Band {
	case 1800:
		return "DCS1800"
	case 1900:
		return "PCS1900"
	}
	return fmt.Sprintf("GSM%d", p.Band)
}

// BSIC is both colour codes in one (TS 23.003 §4.3.2).
func (p *Plan) BSIC() int { return p.NCC<<3 | p.BCC }

// SIPHost is the address of the gateway.
func (p *Plan) SIPHost() string { return p.SIP.Addr().String() }

// SIPPort is its port.
func (p *Plan) SIPPort() uint16 { return p.SIP.Port() }

// Speech are the timeslots that carry calls; the first carries what is common.
func (p *Plan) Speech() []int { return []int{1, 2, 3, 4, 5, 6, 7} }
