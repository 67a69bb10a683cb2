package town

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campanile.network/internal/config"
	"campanile.network/sdr/radio"
)

// withRadio writes a home's configuration with these lines in [radio].
func withRadio(t *testing.T, lines ...string) (string, error) {
	t.Helper()
	home := t.TempDir()
	text := "[radio]\n" + strings.Join(lines, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(home, ConfigFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := LoadConfig(home)
	return home, err
}

// A mistake of a real radio is told with its line and its remedy, and before
// anything starts.
func TestRadioMistakes(t *testing.T) {
	for _, c := range []struct {
		says  string
		line  int
		lines []string
	}{
		{"", 0, []string{`kind = "srsran"`, `kit = "zmq"`, "earfcn = 3350", "bandwidth_mhz = 5.0"}},
		{"", 0, []string{`kit = "b210"`}}, // of another kind nothing is asked
		{"radio.kit: no kit is named", 1, []string{`kind = "srsran"`}},
		{"nobody has stated radio.basis, radio.country, radio.band, radio.power", 1, []string{`kind = "srsran"`, `kit = "b210"`}},
		{"radio.earfcn: 3350 is in band 7, and radio.band is 3", 6, []string{`kind = "srsran"`, `kit = "b210"`, "band = 3", "bandwidth_mhz = 5.0", "earfcn = 3350", `basis = "shielded"`, `country = "DE"`, `power = "0 dBm"`}},
		{`unknown key "radio.erfcn"; did you mean "radio.earfcn"?`, 2, []string{"erfcn = 3350"}},
		{`"gsm" is unknown; write "virtual", "none" or "srsran"`, 2, []string{`kind = "gsm"`}},
	} {
		_, err := withRadio(t, c.lines...)
		var m *config.Error
		if c.says == "" {
			if err != nil {
				t.Errorf("%v: %v", c.lines, err)
			}
		} else if !errors.As(err, &m) || !strings.Contains(err.Error(), c.says) || m.Line != c.line {
			t.Errorf("%v: %v, want line %d: %s", c.lines, err, c.line, c.says)
		}
	}
}

// What check tells is what would be; what render writes is the home's own.
func TestRadioVerbs(t *testing.T) {
	home, err := withRadio(t, `kind = "virtual"`, `kit = "b210"`, `basis = "shielded"`, `country = "DE"`, "band = 7", "earfcn = 3350", "bandwidth_mhz = 5.0", `power = "0 dBm"`, `program = "/nowhere/srsenb"`)
	if err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(home)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.UseRadio("srsran"); err != nil {
		t.Error(err)
	}
	r, err := CheckRadio(t.Context(), c)
	if err != nil || r.OK || len(r.Problems) == 0 || r.DLMHz != 2680 || r.ULMHz != 2560 || r.Blocks != 25 || r.EIRP == nil || *r.EIRP > 0 || !strings.Contains(r.Law, "in DE on the ground of shielded") || !strings.Contains(r.Problems[0], ":10: radio.program: \"/nowhere/srsenb\": no such file or directory; install srsRAN 4G") {
		t.Errorf("%+v %v", r, err)
	}
	at, err := RenderRadio(c, "")
	if err != nil || at != filepath.Join(home, "radio") {
		t.Error(at, err)
	}
	if b, err := os.ReadFile(filepath.Join(at, radio.MainFile)); err != nil || !strings.Contains(string(b), "mme_addr = 127.0.0.11") {
		t.Errorf("%s %v", b, err)
	}
	if err := c.UseRadio("gsm"); err == nil {
		t.Error("a kind that does not exist was taken")
	}
}

// srsenb uses the kernel's SCTP: an agent that does not is told before anything
// starts, and so is a kernel that has none.
func TestRadioNeedsPlainSCTP(t *testing.T) {
	for _, c := range []struct {
		agent, environment string
		kernel             error
		says               string
	}{
		{"auto", "", nil, ""},
		{"kernel", "", nil, ""},
		{"udp", "", nil, `:6: agent.radio_sctp: "udp", but srsenb uses the kernel's SCTP: it will not find the core; write "auto"`},
		{"raw", "", nil, `:6: agent.radio_sctp: "raw", but srsenb uses`},
		{"auto", "", errors.New("protocol not supported"), ":1: radio.program: srsenb needs SCTP of this machine's kernel, which has none (protocol not supported); load it as root with: modprobe sctp"},
		{"udp", "'LD_PRELOAD=/lib/sctp.so'", errors.New("protocol not supported"), ""},
		{"raw", "'LD_PRELOAD=/lib/sctp.so'", nil, ""},
	} {
		home, err := withRadio(t, `kit = "zmq"`, "earfcn = 3350", "environment = ["+c.environment+"]", "[agent]", "radio_sctp = '"+c.agent+"'")
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := LoadConfig(home)
		if err != nil {
			t.Fatal(err)
		}
		switch err := cfg.plainSCTP(c.kernel); {
		case c.says == "" && err != nil, c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)):
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// A radio that cannot start is told before anything else has.
func TestRadioPreflight(t *testing.T) {
	for _, role := range []string{"up", "enb-agent"} {
		home := t.TempDir()
		c := DefaultConfig()
		c.Radio.Kit, c.Radio.EARFCN, c.Radio.Bandwidth, c.Radio.Program = "zmq", 3350, 5, "/nowhere/srsenb"
		if _, err := Init(home, c); err != nil {
			t.Fatal(err)
		}
		cfg, err := LoadConfig(home)
		if err == nil {
			err = cfg.UseRadio("srsran")
		}
		if err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadDir(home)
		if err != nil {
			t.Fatal(err)
		}
		town, err := Open(t.Context(), cfg, role, slog.New(slog.DiscardHandler))
		var m *config.Error
		if !errors.As(err, &m) || m.Line == 0 || !strings.Contains(m.What, "radio.program") || m.Remedy == "" {
			t.Errorf("%s: %v", role, err)
		}
		if err := town.Close(); err != nil {
			t.Error(err)
		}
		if after, err := os.ReadDir(home); err != nil || len(after) != len(before) {
			t.Errorf("%s: the home has %v now, had %v (%v)", role, after, before, err)
		}
	}
}
