package town

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campanile.network/internal/config"
)

// A GSM cell's files come out of the same section as LTE's; a mistake is told
// with its line.
func TestRenderGSM(t *testing.T) {
	ground := []string{`kit = "b210"`, `basis = "shielded"`, `country = "DE"`, `power = "0 dBm"`}
	home, err := withRadio(t, append(ground, "[radio.gsm]", "band = 1800", "arfcn = 600", "lac = 7")...)
	if err != nil {
		t.Fatal(err)
	}
	c, err := LoadConfig(home)
	if err != nil {
		t.Fatal(err)
	}
	at, err := RenderGSM(c, "openbts", "")
	if err != nil || at != filepath.Join(home, "openbts") {
		t.Error(at, err)
	}
	if b, err := os.ReadFile(filepath.Join(at, "openbts.sql")); err != nil || !strings.Contains(string(b), "VALUESTRING = '600' WHERE KEYSTRING = 'GSM.Radio.C0'") || !strings.Contains(string(b), "'999' WHERE KEYSTRING = 'GSM.Identity.MCC'") {
		t.Errorf("%s %v", b, err)
	}
	home, err = withRadio(t, append(ground, "[radio.gsm]", "band = 900", "arfcn = 600")...)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = LoadConfig(home); err != nil {
		t.Fatal(err)
	}
	_, err = RenderGSM(c, "yatebts", "")
	var m *config.Error
	if !errors.As(err, &m) || m.Line != 8 || !strings.Contains(err.Error(), "radio.gsm.arfcn: 600 is not in band 900; band 900 has 1 to 124 and 975 to 1023") {
		t.Error(err)
	}
}
