package calls

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// transcript is what was said on the network, in order. Random words in it are
// numbered in the order in which they come up.
type transcript struct {
	mu       sync.Mutex
	lines    bytes.Buffer
	names    map[netip.AddrPort]string
	seen     map[string]string
	branches int
}

func (t *transcript) name(at netip.AddrPort, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.names == nil {
		t.names, t.seen = map[netip.AddrPort]string{}, map[string]string{}
	}
	t.names[at] = name
}

func (t *transcript) add(from, to netip.AddrPort, b []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	who := func(a netip.AddrPort) string {
		if n, ok := t.names[a]; ok {
			return n
		}
		return "gateway"
	}
	fmt.Fprintf(&t.lines, "---- %s to %s\n%s\n", who(from), who(to), t.plain(string(b)))
}

// random finds what is made at random: the gateway's tags, branches and Call-IDs,
// and the ids of its descriptions.
var random = regexp.MustCompile(`[A-Z2-7]{26}|z9hG4bK[-A-Za-z0-9]+|o=campanile [0-9]+`)

func (t *transcript) plain(s string) string {
	s = random.ReplaceAllStringFunc(s, func(w string) string {
		if t.seen == nil {
			t.seen = map[string]string{}
		}
		if t.seen[w] == "" {
			kind := "random"
			if strings.HasPrefix(w, "z9hG4bK") {
				kind = "z9hG4bK-branch"
			} else if strings.HasPrefix(w, "o=") {
				kind = "o=campanile session"
			}
			t.seen[w] = fmt.Sprintf("%s-%d", kind, len(t.seen)+1)
		}
		return t.seen[w]
	})
	return strings.ReplaceAll(s, "\r\n", "\n")
}

// golden holds the transcript against the one that is committed; UPDATE=golden
// writes it.
func (t *transcript) golden(tt *testing.T, name string) {
	tt.Helper()
	t.mu.Lock()
	got := t.lines.String()
	t.mu.Unlock()
	file := filepath.Join("testdata", name+".golden")
	if os.Getenv("UPDATE") == "golden" {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			tt.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		tt.Fatal(err)
	}
	if got == string(want) {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			tt.Fatalf("%s, line %d: %q, want %q (UPDATE=golden writes it anew)", file, i+1, at(g, i), at(w, i))
		}
	}
}

func at(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return ""
}
