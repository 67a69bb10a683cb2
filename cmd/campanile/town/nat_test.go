package town

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campanile.network/internal/config"
)

// What gateway.nat may be, and with what; the rules are for the pools of those IP versions
// alone, and take the place of what was there.
func TestNATConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), ConfigFile)
	load := func(text string) error {
		c := DefaultConfig()
		c.file = file
		if err := os.WriteFile(file, []byte("[gateway]\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := config.Load(file, &c); err != nil {
			return err
		}
		_, err := c.resolve()
		return err
	}
	for text, want := range map[string]string{
		"nat = 'nat44'":                     "",
		"nat = 'both'\npool6 = 'fd45::/48'": "",
		"nat = 'nat66'":                     "no phone has such an address",
		"nat = 'nat66'\npool6 = 'fd45::/48'\ndata_path = 'xdp'": "past what translates it",
		"nat = 'masquerade'": "gateway.nat",
	} {
		if err := load(text); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	rules := natRules([]string{"10.45.0.0/16", "10.46.0.0/16"}, nil)
	if !strings.HasPrefix(rules, "add table inet campanile_nat\ndelete table inet campanile_nat\n") || !strings.Contains(rules, "ip saddr { 10.45.0.0/16, 10.46.0.0/16 } oifname != \"campanile0\" masquerade") ||
		strings.Contains(rules, "ip6") {
		t.Error(rules)
	}
	if rules = natRules(nil, []string{"fd45::/48"}); !strings.Contains(rules, "ip6 saddr { fd45::/48 }") || strings.Contains(rules, " ip saddr") {
		t.Error(rules)
	}
	if rules = natRules(nil, nil); strings.Contains(rules, "chain") {
		t.Error(rules)
	}
}
