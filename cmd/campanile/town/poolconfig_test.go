package town

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"campanile.network/internal/config"
)

// A mistake in [pool] is told with its key, its line and its remedy.
func TestPoolMistakes(t *testing.T) {
	key := func(n int) string { return strings.Repeat(fmt.Sprintf("%02x", n), 32) }
	good := "1-2 10.81.1.5:7102 " + key(2)
	const listen = "listen = '10.81.1.3:7102'\n"
	for _, c := range []struct {
		text string
		line int
		says string
	}{
		{"[pool]\nmembers = ['" + good + "']\n", 1, "pool.listen: it is empty, and there are members; write address and port where they reach this MME, or remove pool.members"},
		{"[pool]\nlisten = '10.81.1.3'\n", 2, "pool.listen: "},
		{"[pool]\nlisten = '10.81.1.3'\n", 2, "write IP address and port, such as 127.0.0.20:7102, or nothing"},
		{"[pool]\nlisten = '0.0.0.0:7102'\n", 2, "pool.listen: 0.0.0.0:7102: the others could not dial that; write the address"},
		{"[pool]\nlisten = '10.81.1.3:0'\n", 2, "the others could not dial that"},
		{"[pool]\n" + listen + "members = [\n'" + good + "',\n'two'\n]\n", 5, `pool.members: "two" is not MME group and code, address and key; write what campanile mme member prints`},
		{"[pool]\n" + listen + "members = ['1 10.81.1.5:7102 " + key(2) + "']\n", 3, `pool.members: "1" is no MME group (0 to 65535) and code (0 to 255); write what`},
		{"[pool]\n" + listen + "members = ['1-256 10.81.1.5:7102 " + key(2) + "']\n", 3, `"1-256" is no MME group`},
		{"[pool]\n" + listen + "members = ['3-2 10.81.1.5:7102 " + key(2) + "']\n", 3, "pool.members: MME group 3, and this one's is 1; MMEs of a pool have one mme.group"},
		{"[pool]\n" + listen + "members = ['1-1 10.81.1.5:7102 " + key(2) + "']\n", 3, "pool.members: MME code 1 is this one's own, mme.code; write the other MMEs, and not this one"},
		{"[pool]\n" + listen + "members = ['1-2 10.81.1.5 " + key(2) + "']\n", 3, `pool.members: "10.81.1.5" is no address and port to dial`},
		{"[pool]\n" + listen + "members = ['1-2 10.81.1.5:7102 " + key(2)[2:] + "']\n", 3, `is no public key; write what campanile mme member prints`},
		{"[pool]\n" + listen + "members = [\n'" + good + "',\n'1-2 10.81.1.6:7102 " + key(3) + "']\n", 5, "pool.members: MME code 2 stands twice; each MME of a pool has a mme.code of its own"},
		{"[pool]\n" + listen + "members = [\n'" + good + "',\n'1-3 10.81.1.5:7102 " + key(3) + "']\n", 5, "pool.members: 10.81.1.5:7102 stands twice; write each MME once"},
		{"[pool]\n" + listen + "members = [\n'" + good + "',\n'1-3 10.81.1.6:7102 " + key(2) + "']\n", 5, "pool.members: the key of MME code 2 once more; each MME has keys/pool of its own: do not copy it"},
		{"[pool]\n" + listen + "members = ['1-2 10.81.1.3:7102 " + key(2) + "']\n", 3, "pool.members: 10.81.1.3:7102 is pool.listen, this MME's own"},
		{"[pool]\nmember = []\n", 2, `unknown key "pool.member"; did you mean "pool.members"?`},
		{"[peers]\nmore_mmes = ['mme2']\n", 2, `peers.more_mmes: "mme2" is no address, or there already; write the IP address of each further MME of the pool once, without peers.mme`},
		{"[peers]\nmme = '10.81.1.3'\nmore_mmes = ['10.81.1.3']\n", 3, `peers.more_mmes: "10.81.1.3" is no address, or there already`},
		{"[mme]\nname = ''\n", 2, "mme.name: it is empty"},
		{"[mme]\nname = 'café'\n", 2, "mme.name: "},
		{"[mme]\nshared = ['99']\n", 2, "mme.shared: "},
		{"[mme]\nshared = ['999/71', '999/71']\n", 2, "write each further PLMN once, without network.plmn, and at most 31"},
		{"[mme]\nshared = ['999/70']\n", 2, "mme.shared: "},
	} {
		_, err := loaded(t, c.text)
		var m *config.Error
		if !errors.As(err, &m) || !strings.Contains(err.Error(), c.says) || m.Line != c.line {
			t.Errorf("%s: %v, want line %d: %s", c.text, err, c.line, c.says)
		}
	}
	c, err := loaded(t, "[pool]\n"+listen+"members = ['"+good+"', '1-3 [2001:db8::1]:7102 "+key(3)+"']\n[peers]\nmore_mmes = ['10.81.1.5']\n")
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.resolve()
	if err != nil || len(s.poolMembers) != 2 || s.poolMembers[0].in(1) != good || s.poolMembers[1].code != 3 || len(s.mmes()) != 2 {
		t.Errorf("%+v, %v", s.poolMembers, err)
	}
}

// An MME says by what line the others know it, and its key stays as it is.
func TestPoolMember(t *testing.T) {
	c := newHome(t, nil)
	if _, err := PoolMember(c.HomePath); err == nil || !strings.Contains(err.Error(), "pool.listen is empty") || !strings.Contains(err.Error(), ":7102'") {
		t.Errorf("without pool.listen: %v", err)
	}
	file := filepath.Join(c.HomePath, ConfigFile)
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, tail, found := strings.Cut(string(b), "[pool]")
	if !found || !strings.Contains(tail, "listen = ''") || !strings.Contains(tail, "members = []") {
		t.Fatalf("init writes no [pool]: %s", b)
	}
	write := func(members string) {
		t.Helper()
		tail := strings.Replace(strings.Replace(tail, "listen = ''", "listen = '10.81.1.3:7102'", 1), "members = []", "members = ["+members+"]", 1)
		if err := os.WriteFile(file, []byte(head+"[pool]"+tail), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("")
	line, err := PoolMember(c.HomePath)
	again, err2 := PoolMember(c.HomePath)
	if err != nil || err2 != nil || line != again || !strings.HasPrefix(line, "1-1 10.81.1.3:7102 ") || len(strings.Fields(line)[2]) != 64 {
		t.Errorf("%q, %v; again %q, %v", line, err, again, err2)
	}
	if i, err := os.Stat(keyFile(c.HomePath, "pool")); err != nil || i.Mode().Perm() != 0o600 {
		t.Errorf("keys/pool: %v, %v", i, err)
	}

	// Another MME with the same key is a copied home.
	write("'" + strings.Replace(strings.Replace(line, "1-1", "1-2", 1), "10.81.1.3", "10.81.1.5", 1) + "'")
	copied, err := LoadConfig(c.HomePath)
	if err != nil {
		t.Fatal(err)
	}
	town := &Town{stack: newStack(slog.New(slog.DiscardHandler)), cfg: copied}
	if town.set, err = copied.resolve(); err != nil {
		t.Fatal(err)
	}
	if err := town.openPool(); err == nil || !strings.Contains(err.Error(), "MME code 2 has this MME's own key") {
		t.Errorf("a copied key: %v", err)
	}
}
