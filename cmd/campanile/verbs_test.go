package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// transcript compares what the verbs say beside a running node with testdata/verbs.txt; what
// differs from run to run is left out. GOLDEN=update writes the file anew.
func transcript(t *testing.T, home string) {
	t.Helper()
	blur := strings.NewReplacer(home, "HOME")
	changing := []*regexp.Regexp{regexp.MustCompile(`\b[0-9a-f]{16,64}\b`), regexp.MustCompile(`toml:\d+:`)}
	var b strings.Builder
	for _, line := range []string{
		"ue list --imsi-prefix 00101", "ue list --state asleep", "ue list --limit 5000", "ue show nobody", "ue page 999700000099999", "ue page", "ue detach p99", "ue detach p1 --cause 300",
		"ue trace p1 --for 25h", "ue trace p1 --keys",
		"subscriber list", "subscriber set 999700000000001", "subscriber set 999700000000001 --apn nowhere", "subscriber set 999700000000001 --apn ims,pdn=x", "subscriber set 999700000099999 --apn ims",
		"subscriber import --openbts nowhere.db", "subscriber import --openbts ../../sip/openbts/testdata/sqlite-3.40.1-registry.db",
		"mme drain", "mme undrain", "mme reload", "mme member", "invite --role mme", "invite --role nobody",
	} {
		out, code, err := call(t, append(strings.Fields(line), "--home", home)...)
		if err != nil {
			out += "campanile: " + err.Error() + "\n"
		}
		out = blur.Replace(out)
		for i, r := range changing {
			out = r.ReplaceAllString(out, []string{"HEX", "toml:LINE:"}[i])
		}
		fmt.Fprintf(&b, "$ campanile %s\n%s[%d]\n\n", line, regexp.MustCompile(` +\n`).ReplaceAllString(out, "\n"), code)
	}
	file := filepath.Join("testdata", "verbs.txt")
	if os.Getenv("GOLDEN") == "update" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	have, wanted := strings.Split(b.String(), "\n\n"), strings.Split(string(want), "\n\n")
	for i := range max(len(have), len(wanted)) {
		switch {
		case i >= len(have) || i >= len(wanted):
			t.Errorf("%d verbs were tried, %s has %d", len(have), file, len(wanted))
			return
		case have[i] != wanted[i]:
			t.Errorf("%s has\n%s\nand it is\n%s", file, wanted[i], have[i])
		}
	}
}

// strangers has another user of this machine ask: neither the home nor, where that is open to
// all, the socket lets him, and he is told so.
func strangers(t *testing.T, home string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Log("only root can be another user: not tried")
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "campanile")
	if err := os.Link(self, program); err != nil { // where it was built nobody else may look
		t.Skip(err)
	}
	for dir := home; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, mode := range []os.FileMode{0o755, 0o700} {
		if err := os.Chmod(home, mode); err != nil {
			t.Fatal(err)
		}
		for _, verb := range []string{"status", "ue list", "ue page p1", "ue detach p1", "mme drain"} {
			c := exec.CommandContext(t.Context(), program, append(strings.Fields(verb), "--home", home)...)
			c.Env, c.Dir = append(os.Environ(), "CAMPANILE_TEST_AS=campanile"), "/"
			c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
			if out, err := c.CombinedOutput(); err == nil || !strings.Contains(string(out), "only its owner may") {
				t.Errorf("home %v: another user's campanile %s: %v %s", mode, verb, err, out)
			}
		}
	}
}

// paged pages the phone when it is idle: it comes, and the verb says so.
func paged(t *testing.T, home string) {
	t.Helper()
	for end := time.Now().Add(90 * time.Second); ; <-time.After(100 * time.Millisecond) {
		out, code, err := call(t, "ue", "page", "p1", "--home", home)
		switch {
		case code == 0 && strings.HasPrefix(out, "paging done in "):
			return
		case code == 0 || !strings.Contains(err.Error(), "nothing to page it for") && !strings.Contains(err.Error(), "not registered"):
			t.Fatalf("ue page: code %d, %v\n%s", code, err, out)
		case time.Now().After(end): // it is connected, or attaches again
			t.Fatalf("never idle: %v", err)
		}
	}
}
