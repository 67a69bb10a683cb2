package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// call runs a command line as main does.
func call(t *testing.T, args ...string) (out string, code int, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var b bytes.Buffer
	c := root()
	c.SetOut(&b)
	c.SetErr(&b)
	c.SetArgs(args)
	err = c.ExecuteContext(ctx)
	return b.String(), exitCode(err), err
}

// A mistake that does not explain itself names the help of its own command.
func TestHelpIsNamed(t *testing.T) {
	for want, args := range map[string][]string{
		"campanile --help":                {"--nonsense"},
		"campanile decode --help":         {"decode", "--as", "x", "0741"},
		"campanile subscriber add --help": {"subscriber", "add"},
		"campanile sim --help":            {"sim"},
	} {
		c := root()
		c.SetOut(io.Discard)
		c.SetArgs(args)
		ran, err := c.ExecuteContextC(t.Context())
		if err == nil {
			t.Fatalf("%v: no error", args)
		}
		if text := said(ran, err); !strings.HasSuffix(text, "; see "+want) {
			t.Errorf("%v: %q, want %s", args, text, want)
		}
	}
}

func TestCommandLineMistakes(t *testing.T) {
	for _, args := range [][]string{{"nonsense"}, {"up", "extra"}, {"up", "--nonsense"}, {"up", "--log-level", "loud"}, {"subscriber", "add"},
		{"subscriber", "add", "999700000000001"}, {"subscriber", "add", "12x", "--key-file", "x"}, {"subscriber", "import"}, {"radio", "render", "--for", "asterisk"}, {"sim"}} {
		_, code, err := call(t, args...)
		if code != 2 || err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: code %d, %v", args, code, err)
		}
	}
	if _, code, err := call(t, "status", "--home", t.TempDir()); code != 1 || !strings.Contains(err.Error(), "no node is running") {
		t.Errorf("status without a node: code %d, %v", code, err)
	}
	t.Chdir(t.TempDir())
	if err := errors.Join(os.Mkdir("var", 0o700), os.WriteFile("var/campanile.toml", nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := call(t, "status", "--home", t.TempDir()); !strings.HasSuffix(err.Error(), "--home var") {
		t.Errorf("status beside what make run made: %v", err)
	}
	if _, _, err := call(t, "status", "--home", "./var"); strings.Contains(err.Error(), "make run") {
		t.Errorf("status of what make run made: %v", err)
	}
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "campanile.toml"), []byte("role = \"mme\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := call(t, "status", "--home", home); err == nil || !strings.Contains(err.Error(), "campanile mme --home "+home) {
		t.Errorf("status in a role's home without its node: %v", err)
	}
	if _, _, err := call(t, "tower", "list", "--home", home); err == nil || !strings.Contains(err.Error(), "operator's main home") {
		t.Errorf("the operator's verb in a role's home: %v", err)
	}
	if _, code, err := call(t, "init", "--home", filepath.Join(home, "new"), "--address", "10.0.0.1"); code != 2 || !strings.Contains(err.Error(), "--role") {
		t.Errorf("an address of no role: code %d, %v", code, err)
	}
	if out, _, err := call(t, "--help"); err != nil || !strings.Contains(out, "campanile up") {
		t.Errorf("help: %v %s", err, out)
	}
}

// Each mistake in a home is one line that names file, line and remedy; exit 2.
func TestConfigMistakes(t *testing.T) {
	edit := func(t *testing.T, home, old, now string) {
		t.Helper()
		f := filepath.Join(home, "campanile.toml")
		b, err := os.ReadFile(f)
		if err != nil || !strings.Contains(string(b), old) {
			t.Fatalf("%q is not in %s: %v", old, f, err)
		}
		if err := os.WriteFile(f, []byte(strings.Replace(string(b), old, now, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		spoil func(*testing.T, string)
		want  []string
	}{
		"unknown key":    {func(t *testing.T, h string) { edit(t, h, "price_per_gb", "price_per_bg") }, []string{"campanile.toml:", "tower.price_per_bg", `did you mean "tower.price_per_gb"`}},
		"wrong type":     {func(t *testing.T, h string) { edit(t, h, "code = 1", "code = 'one'") }, []string{"campanile.toml:", "code"}},
		"bad value":      {func(t *testing.T, h string) { edit(t, h, "'999/70'", "'99/7'") }, []string{"campanile.toml", "network.plmn", "such as 999/70"}},
		"bad duration":   {func(t *testing.T, h string) { edit(t, h, "block_interval = '1s'", "block_interval = 'soon'") }, []string{"campanile.toml:", "soon"}},
		"bad cell":       {func(t *testing.T, h string) { edit(t, h, "cell = 105217", "cell = 1") }, []string{"campanile.toml:", "tower.cell", "105217"}},
		"bad range":      {func(t *testing.T, h string) { edit(t, h, "ranges = ['99970']", "ranges = ['00101']") }, []string{"campanile.toml:", "network.ranges", "99970"}},
		"bad choice":     {func(t *testing.T, h string) { edit(t, h, "kind = 'virtual'", "kind = 'magic'") }, []string{"radio.kind", "magic", `"virtual", "none" or "srsran"`}},
		"bad algorithm":  {func(t *testing.T, h string) { edit(t, h, "'128-EEA1'", "'AES'") }, []string{"campanile.toml:", "mme.ciphering", `"AES" is unknown`, "128-EEA2"}},
		"bad transport":  {func(t *testing.T, h string) { edit(t, h, "\nsctp = 'udp'", "\nsctp = 'tcp'") }, []string{"campanile.toml:", "mme.sctp", `"auto", "kernel", "raw" or "udp"`}},
		"multi-homed":    {func(t *testing.T, h string) { edit(t, h, "more_radio = []", "more_radio = ['127.0.0.13']") }, []string{"campanile.toml:", "agent.more_radio", "agent.radio_sctp", `"kernel"`}},
		"missing secret": {func(t *testing.T, h string) { os.Remove(filepath.Join(h, "keys", "operator")) }, []string{"keys/operator", "missing", "backup"}},
		"open secret":    {func(t *testing.T, h string) { os.Chmod(filepath.Join(h, "keys", "tower"), 0o644) }, []string{"keys/tower", "chmod 600"}},
		"no home":        {func(t *testing.T, h string) { os.Remove(filepath.Join(h, "campanile.toml")) }, []string{"campanile.toml", "no such file", "campanile init"}},
	} {
		t.Run(name, func(t *testing.T) {
			home := filepath.Join(t.TempDir(), "home")
			if _, _, err := call(t, "init", "--home", home); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, home)
			_, code, err := call(t, "up", "--home", home)
			if code != 2 || err == nil {
				t.Fatalf("code %d, %v", code, err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q lacks %q", err, w)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
		})
	}
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	home := filepath.Join(t.TempDir(), "home")
	if _, _, err := call(t, "init", "--home", home); err != nil {
		t.Fatal(err)
	}
	f := filepath.Join(home, "campanile.toml")
	b, _ := os.ReadFile(f)
	s := strings.NewReplacer("127.0.0.1:7101", l.Addr().String(), "grpc = '127.0.0.1:9090'", "grpc = ''").Replace(string(b))
	if err := os.WriteFile(f, []byte(s), 0o600); err != nil {
		t.Fatal(err)
	}
	_, code, err := call(t, "up", "--home", home, "--log-level", "error")
	if code != 2 || !strings.Contains(err.Error(), "billing.listen") || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("code %d, %v", code, err)
	}
}

func TestInitTwice(t *testing.T) {
	home := filepath.Join(t.TempDir(), "home")
	out, _, err := call(t, "init", "--home", home, "--json")
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		ChainID string `json:"chain_id"`
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil || !strings.HasPrefix(r.ChainID, "campanile-") {
		t.Errorf("%s: %v", out, err)
	}
	if _, code, err := call(t, "init", "--home", home); code != 2 || !strings.Contains(err.Error(), "already") {
		t.Errorf("second init: code %d, %v", code, err)
	}
}
