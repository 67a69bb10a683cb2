package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campanile.network/internal/config"
)

type sample struct {
	Name string `toml:"name" comment:"What it is called."`
	MME  struct {
		Port uint16 `toml:"port" comment:"SCTP port."`

		Wait  config.Duration `toml:"wait"`
		Names []string        `toml:"names"`
		Step  int8            `toml:"step"`
		On    bool            `toml:"on"`
	} `toml:"mme"`
}

func TestMistakesNameFileLineAndRemedy(t *testing.T) {
	for in, want := range map[string][]string{
		"name='a'\n[mme]\nprot=1\n":     {"x.toml:3:", `unknown key "mme.prot"`, `did you mean "mme.port"?`},
		"name='a'\ncompletely_else=1\n": {"x.toml:2:", "unknown key", "remove it"},
		"name='a'\n[mme]\nport='no'\n":  {"x.toml:3:", "mme.port", "text", "without quotes"},
		"name='a'\n\n[mme]\nport=-1\n":  {"x.toml:4:", "mme.port: -1 is out of range", "from 0 to 65535"},
		"name='a'\n[mme]\nport=1.5\n":   {"x.toml:3:", "no whole number", "0 to 65535"},
		"name=10\n":                     {"x.toml:1:", "name: 10 stands where text is expected", `write it in quotes: "10"`},
		"name='a'\n[mme]\nwait=10\n":    {"x.toml:3:", "mme.wait", "in quotes"},
		"name='a'\n[mme]\nnames=[1]\n":  {"x.toml:3:", "mme.names", "in quotes"},
		"name='a'\n[mme]\nnames='x'\n":  {"x.toml:3:", "mme.names", "brackets"},
		"name='a'\n[mme]\nstep=-129\n":  {"x.toml:3:", "from -128 to 127"},
		"name='a'\n[mme]\non='true'\n":  {"x.toml:3:", "true or false"},
		"name='a'\n[mme]\nport=70000\n": {"x.toml:3:", "70000", "from 0 to 65535"},
		"name='a\n":                     {"x.toml:1:"},
	} {
		var s sample
		err := config.Parse("x.toml", []byte(in), &s)
		if err == nil {
			t.Errorf("%q taken", in)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: %q lacks %q", in, err, w)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: more than one line: %q", in, err)
		}
	}
}

func TestWrittenConfigIsRead(t *testing.T) {
	f := filepath.Join(t.TempDir(), "a", "c.toml")
	var s, r sample
	s.Name, s.MME.Port = "tower", 36412
	if err := config.Write(f, s); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(f)
	if !strings.Contains(string(b), "# SCTP port.") {
		t.Errorf("comments are lost:\n%s", b)
	}
	for key, want := range map[string]string{"name": "name = 'tower'", "mme.port": "port = 36412"} {
		if n := config.Line(f, key); n < 1 || strings.Split(string(b), "\n")[n-1] != want {
			t.Errorf("%s is on line %d", key, n)
		}
	}
	if n := config.Line(f, "mme.name"); n != 0 {
		t.Errorf("a key that is not there is on line %d", n)
	}
	if err := config.Load(f, &r); err != nil || r.Name != s.Name || r.MME.Port != s.MME.Port {
		t.Errorf("%+v %v", r, err)
	}
	if err := config.Write(f, s); err == nil {
		t.Error("an existing file was overwritten")
	}
	if err := config.Load(f+"x", &r); err == nil || !strings.Contains(err.Error(), "campanile init") {
		t.Errorf("missing file: %v", err)
	}
}

func TestSecret(t *testing.T) {
	f := filepath.Join(t.TempDir(), "keys", "k")
	if _, err := config.Secret(f, 4); err == nil {
		t.Error("missing secret read")
	}
	if err := config.WriteSecret(f, []byte{1, 2, 3, 4}); err != nil {
		t.Fatal(err)
	}
	if b, err := config.Secret(f, 4); err != nil || len(b) != 4 || b[3] != 4 {
		t.Error(b, err)
	}
	if _, err := config.Secret(f, 5); err == nil {
		t.Error("short secret read")
	}
	if err := os.Chmod(f, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Secret(f, 4); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("open secret: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("name='a'\n[mme]\nprot=1\n")
	f.Fuzz(func(t *testing.T, in string) {
		var s sample
		if err := config.Parse("x", []byte(in), &s); err != nil && err.Error() == "" {
			t.Error("error without words")
		}
	})
}
