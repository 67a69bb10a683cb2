// Package imports has only a test: who may import whom.
package imports

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "campanile.network/"

// rule: non-test files of packages under a folder may import, of this module,
// only what begins with one of ours, and of others only what begins with one of
// theirs (the standard library always).
type rule struct {
	under  string
	ours   []string
	theirs []string
	reason string
}

var role = []string{"3gpp/", "wire/", "internal/"}

// The first rule whose folder fits a package is the one that holds.
var rules = []rule{
	{"3gpp/", []string{"3gpp/"}, nil, "the standards are a library for anybody: bytes in, values out"},
	{"wire/proof", []string{"3gpp/"}, nil, "the chain verifies with this code: nothing in it may vary"},
	{"wire/sip", []string{"3gpp/", "wire/"}, nil, "a SIP stack reads what strangers send: nothing but the standard library and what is ours"},
	{"wire/", []string{"3gpp/", "wire/", "internal/peertls"}, []string{"github.com/wmnsk/go-gtp", "google.golang.org/"}, "what roles say to each other holds no state of a role"},
	{"internal/", []string{"internal/"}, anyone, "plumbing that knows no telecom and no role"},
	{"mme", append(role, "mme/"), light, "a role knows no other role; cmd joins them"},
	{"gateway/datapath/xdp", append(role, "gateway/"), append([]string{"github.com/cilium/ebpf", "github.com/vishvananda/netlink"}, light...), "a role knows no other role; only this one speaks with the kernel's packet programs"},
	{"gateway", append(role, "gateway/"), light, "a role knows no other role; cmd joins them"},
	{"enb-agent/", append(role, "enb-agent/"), light, "a role knows no other role; cmd joins them"},
	{"billing/rating", []string{"3gpp/", "wire/proof"}, nil, "the chain may rate with this code: nothing in it may vary"},
	{"billing/", append(role, "billing/"), light, "a role knows no other role; cmd joins them"},
	{"sip/codec", nil, nil, "speech is arithmetic: samples in, octets out"},
	{"sip/media", []string{"sip/codec"}, []string{"github.com/pion/srtp/v3", "golang.org/x/sys"}, "it carries packets, knows no SIP and no subscriber"},
	{"sip/", append(role, "sip/"), light, "a role knows no other role; cmd joins them"},
	{"sdr/", append(role, "sdr/"), light, "a role knows no other role; cmd joins them"},
	{"decode", append(role, "decode/"), light, "it reads what roles say and is none itself"},
	{"console", append(role, "console/"), light, "the console shows what it is given"},
	{"hss-chain/ledger", role, light, "what the chain said, as plain data: the attach path reads it"},
	{"hss-chain/hss", append(role, "hss-chain/ledger"), light, "the authentication centre never waits for consensus"},
	{"hss-chain/x/", []string{"3gpp/", "wire/proof", "billing/rating", "hss-chain/x/"}, anyone, "modules are a state machine: nothing in them may vary"},
	{"hss-chain/", append(role, "hss-chain/"), anyone, "the only door to Cosmos"},
	{"cmd/", []string{""}, anyone, "where roles meet"},
}

var (
	anyone = []string{""}
	light  = []string{"github.com/wmnsk/go-gtp", "google.golang.org/", "golang.org/x/", "go.etcd.io/bbolt", "github.com/cockroachdb/pebble"}
)

func TestImportDirections(t *testing.T) {
	root := filepath.Join("..", "..")
	seen := 0
	used := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if name := d.Name(); rel != "." && (name == "testdata" || strings.HasPrefix(name, ".") || name == "var" || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		seen++
		check(t, rel, path, used)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 20 {
		t.Fatalf("looked at %d files only", seen)
	}
	for _, r := range rules {
		if !used[r.under] {
			t.Errorf("no package is under the rule for %s", r.under)
		}
	}
}

func check(t *testing.T, rel, path string, used map[string]bool) {
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), rel, src, parser.ImportsOnly)
	if err != nil {
		t.Errorf("%s: %v", rel, err)
		return
	}
	pkg := filepath.ToSlash(filepath.Dir(rel)) + "/"
	for _, r := range rules {
		if !strings.HasPrefix(pkg, strings.TrimSuffix(r.under, "/")+"/") {
			continue
		}
		used[r.under] = true
		for _, spec := range f.Imports {
			if p, _ := strconv.Unquote(spec.Path.Value); !r.allows(p) {
				t.Errorf("%s imports %s, but under %s: %s", rel, p, r.under, r.reason)
			}
		}
		return
	}
	t.Errorf("%s: no rule says whom it may import", rel)
}

func (r rule) allows(p string) bool {
	list := r.theirs
	own, ours := strings.CutPrefix(p+"/", module)
	if ours {
		p, list = own, r.ours
	} else if first, _, _ := strings.Cut(p, "/"); !strings.Contains(first, ".") {
		return true // standard library
	}
	for _, prefix := range list {
		if strings.HasPrefix(p, prefix) || strings.HasPrefix(p+"/", strings.TrimSuffix(prefix, "/")+"/") {
			return true
		}
	}
	return false
}

func TestRulesBite(t *testing.T) {
	for _, c := range []struct {
		r    rule
		path string
		want bool
	}{
		{rules[0], "fmt", true},
		{rules[0], "campanile.network/3gpp/id", true},
		{rules[0], "campanile.network/wire/proof", false},
		{rules[0], "golang.org/x/sys", false},
		{rules[5], "campanile.network/gateway", false},
		{rules[5], "campanile.network/mme/s11", true},
		{rules[5], "github.com/cosmos/cosmos-sdk/types", false},
	} {
		if got := c.r.allows(c.path); got != c.want {
			t.Errorf("%s imports %s: %t, want %t", c.r.under, c.path, got, c.want)
		}
	}
}
