package gsm

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"campanile.network/3gpp/id"
	"campanile.network/sdr/radio"
)

func network(t *testing.T, s string) id.PLMN {
	t.Helper()
	n, err := id.ParsePLMN(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// example stands on all that has to be stated.
func example() (Config, radio.Config) {
	c, r := DefaultConfig(), radio.DefaultConfig()
	c.Band, c.ARFCN = 900, 51
	r.Kit, r.Basis, r.Country, r.Power = "limesdr-mini", "shielded", "DE", "5 dBm"
	return c, r
}

func TestPlan(t *testing.T) {
	c, r := example()
	p, err := c.Plan(network(t, "001/01"), r)
	if err != nil {
		t.Fatal(err)
	}
	// The kit gives 12 dBm, 5 are stated: 7 dB, in steps of two.
	if p.Attenuation != 8 || p.FullPower != 12 || p.PhoneDBm != 33 || p.BSIC() != 2 {
		t.Errorf("%+v", p)
	}
	for _, f := range []struct {
		band, arfcn int
		down, up    float64
	}{{850, 128, 869.2, 824.2}, {850, 251, 893.8, 848.8}, {900, 51, 945.2, 900.2}, {900, 124, 959.8, 914.8}, {900, 975, 925.2, 880.2}, {1800, 512, 1805.2, 1710.2}, {1800, 885, 1879.8, 1784.8}, {1900, 810, 1989.8, 1909.8}} {
		c.Band, c.ARFCN = f.band, f.arfcn
		p, err := c.Plan(network(t, "001/01"), r)
		if err != nil || p.Down < f.down-.01 || p.Down > f.down+.01 || p.Up < f.up-.01 || p.Up > f.up+.01 {
			t.Errorf("%+v: %v %+v", f, err, p)
		}
	}
}

// Who has not said on what ground, where and how much gets no file to transmit
// with; nor does who has said something else than he may.
func TestPlanRefuses(t *testing.T) {
	for key, change := range map[string]func(*Config, *radio.Config){
		"radio.basis":        func(_ *Config, r *radio.Config) { r.Basis = "" },
		"radio.country":      func(_ *Config, r *radio.Config) { r.Country = "XX" },
		"radio.gsm.band":     func(c *Config, _ *radio.Config) { c.Band = 0 },
		"radio.gsm.band ":    func(c *Config, _ *radio.Config) { c.Band = 901 },
		"radio.power":        func(_ *Config, r *radio.Config) { r.Power = "" },
		"radio.power ":       func(_ *Config, r *radio.Config) { r.Power = "30 dBm" },
		"radio.power  ":      func(_ *Config, r *radio.Config) { r.Power = "-30 dBm" },
		"radio.kit":          func(_ *Config, r *radio.Config) { r.Kit = "zmq" },
		"radio.phone_power":  func(_ *Config, r *radio.Config) { r.PhonePower = "50 dBm" },
		"radio.gsm.arfcn":    func(c *Config, _ *radio.Config) { c.ARFCN = 512 },
		"radio.gsm.arfcn ":   func(c *Config, _ *radio.Config) { c.ARFCN = 0 },
		"radio.gsm.lac":      func(c *Config, _ *radio.Config) { c.LAC = 0xfffe },
		"radio.gsm.cell":     func(c *Config, _ *radio.Config) { c.Cell = 1 << 16 },
		"radio.gsm.ncc":      func(c *Config, _ *radio.Config) { c.NCC = 8 },
		"radio.gsm.bcc":      func(c *Config, _ *radio.Config) { c.BCC = -1 },
		"radio.gsm.name":     func(c *Config, _ *radio.Config) { c.Name = "x'; DROP TABLE CONFIG;--" },
		"radio.gsm.address":  func(c *Config, _ *radio.Config) { c.Address = "0.0.0.0" },
		"radio.gsm.gateway":  func(c *Config, _ *radio.Config) { c.Gateway = "192.168.1.10" },
		"radio.gsm.gateway ": func(c *Config, _ *radio.Config) { c.Address = "192.168.1.20" },
	} {
		c, r := example()
		change(&c, &r)
		_, err := c.Plan(network(t, "001/01"), r)
		var m *radio.Mistake
		if !errors.As(err, &m) || m.Key != strings.TrimSpace(key) {
			t.Errorf("%s: %v", key, err)
		}
	}
	c, r := example()
	if _, err := c.Plan(network(t, "262/01"), r); err == nil || !strings.Contains(err.Error(), "network.plmn") {
		t.Errorf("the network of somebody else: %v", err)
	}
}

func written(t *testing.T, program string) (dir string) {
	t.Helper()
	c, r := example()
	c.LAC, c.Cell, c.NCC, c.Address, c.Gateway = 1007, 10, 3, "192.168.1.20", "192.168.1.10:5060"
	p, err := c.Plan(network(t, "001/01"), r)
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), program)
	if err := p.WriteFiles(program, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestRenderedFilesSayWhatWasPlanned(t *testing.T) {
	for file, lines := range map[string][]string{
		"yatebts/ybts.conf":              {"Radio.Band=900", "Radio.C0=51", "Radio.PowerManager.MinAttenDB=8", "Identity.MCC=001", "Identity.MNC=01", "Identity.LAC=1007", "Identity.CI=10", "Identity.BSIC.NCC=3", "mode=roaming", "reg_sip=192.168.1.10:5060", "my_sip=192.168.1.20"},
		"yatebts/javascript.conf":        {"roaming=roaming.js"},
		"osmocom/osmo-bsc.cfg":           {" network country code 001", "  band GSM900", "  location_area_code 1007", "  cell_identity 10", "  base_station_id_code 26", "   arfcn 51", "   nominal power 12", "   max_power_red 8", "  ms max power 33", " allow-emergency deny"},
		"osmocom/osmo-msc.cfg":           {" mncc external /tmp/msc_mncc", " authentication required"},
		"osmocom/osmo-bts-trx.cfg":       {" band 900"},
		"osmocom/osmo-mgw.cfg":           {" rtp bind-ip 192.168.1.20"},
		"osmocom/osmo-sip-connector.cfg": {" socket-path /tmp/msc_mncc", " local 192.168.1.20 5062", " remote 192.168.1.10 5060"},
	} {
		program, name, _ := strings.Cut(file, "/")
		b, err := os.ReadFile(filepath.Join(written(t, program), name))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range lines {
			if !strings.Contains("\n"+string(b), "\n"+l+"\n") {
				t.Errorf("%s has no line %q:\n%s", file, l, b)
			}
		}
	}
	c, r := example()
	p, _ := c.Plan(network(t, "001/01"), r)
	if _, err := p.Render("asterisk"); err == nil || !strings.Contains(err.Error(), "openbts, yatebts, osmocom") {
		t.Error(err)
	}
}

// SQLite takes what is written for OpenBTS, into a table that is there and into
// none; what was set before is replaced, its comment stays.
func TestOpenBTSDatabase(t *testing.T) {
	path, err := exec.LookPath("sqlite3")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("sqlite3 is not installed: apt-get install sqlite3")
		}
		t.Skip("sqlite3 is not installed: apt-get install sqlite3")
	}
	sql, err := os.ReadFile(filepath.Join(written(t, "openbts"), "openbts.sql"))
	if err != nil {
		t.Fatal(err)
	}
	for name, before := range map[string]string{"new": "", "old": "CREATE TABLE CONFIG ( KEYSTRING TEXT UNIQUE NOT NULL, VALUESTRING TEXT, STATIC INTEGER DEFAULT 0, OPTIONAL INTEGER DEFAULT 0, COMMENTS TEXT DEFAULT '');\n" +
		"INSERT INTO CONFIG VALUES('GSM.Radio.C0','75',1,0,'the channel'),('Control.LUR.OpenRegistration','.*',0,1,''),('Log.Level','NOTICE',0,0,'');\n"} {
		cmd := exec.Command(path, filepath.Join(t.TempDir(), "OpenBTS.db"))
		cmd.Stdin = strings.NewReader(before + string(sql) + "SELECT KEYSTRING || '=' || VALUESTRING || COMMENTS FROM CONFIG;")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		c0 := "GSM.Radio.C0=51"
		if before != "" {
			c0 += "the channel"
		}
		for _, l := range []string{c0, "GSM.Radio.Band=900", "GSM.Identity.MCC=001", "GSM.Identity.LAC=1007", "SIP.Proxy.Registration=192.168.1.10:5060", "SIP.Proxy.SMS=192.168.1.10:5060", "SIP.Local.IP=192.168.1.20", "Control.LUR.OpenRegistration=", "Control.LUR.FailMode=FAIL", "NodeManager.API.PhysicalStatus=0.1", "GSM.Radio.PowerManager.MaxAttenDB=8"} {
			if !strings.Contains("\n"+string(out), "\n"+l+"\n") {
				t.Errorf("%s: no line %q in\n%s", name, l, out)
			}
		}
		if before != "" && !strings.Contains(string(out), "Log.Level=NOTICE") {
			t.Errorf("what is not ours is gone:\n%s", out)
		}
	}
}

// Osmocom's own programs read what is written for them.
func TestOsmocomReadsIt(t *testing.T) {
	dir := written(t, "osmocom")
	for _, program := range []string{"osmo-stp", "osmo-hlr", "osmo-mgw", "osmo-msc", "osmo-bsc", "osmo-bts-trx"} {
		t.Run(program, func(t *testing.T) {
			path, err := exec.LookPath(program)
			if err != nil {
				t.Skipf("%s is not installed", program)
			}
			if said, ok := reads(t, path, filepath.Join(dir, program+".cfg")); !ok {
				t.Errorf("%s", said)
			}
			// And it would say so if it could not.
			broken := filepath.Join(t.TempDir(), "broken.cfg")
			if err := os.WriteFile(broken, []byte("nonsense of a configuration\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if said, ok := reads(t, path, broken); ok {
				t.Errorf("it reads nonsense: %s", said)
			}
		})
	}
}

// reads starts a program until it opens its console, which it does after reading.
func reads(t *testing.T, path, config string) (said string, ok bool) {
	cmd := exec.Command(path, "-c", config)
	cmd.Dir = t.TempDir()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	for lines := bufio.NewScanner(r); !ok && lines.Scan(); {
		said += lines.Text() + "\n"
		ok = strings.Contains(lines.Text(), "telnet") // there, or its port is somebody's
	}
	cmd.Process.Kill()
	cmd.Wait()
	return said, ok
}
