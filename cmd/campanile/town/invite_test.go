package town

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"campanile.network/internal/config"
)

// An invite is read as it was made, or not at all: no digit of it may change
// and none may be missing.
func TestInviteDamaged(t *testing.T) {
	in := Invite{Role: "mme", ChainID: "campanile-1", PLMN: "999/70", Peers: PeersConfig{HSS: "10.0.0.1:7100", OperatorKey: strings.Repeat("5a", 32)}}
	text, err := in.Text()
	if err != nil {
		t.Fatal(err)
	}
	if out, err := ParseInvite(text + "\n"); err != nil || !reflect.DeepEqual(out, in) {
		t.Fatalf("%+v, %v", out, err)
	}
	file := filepath.Join(t.TempDir(), "line")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := ParseInvite(file); err != nil || !reflect.DeepEqual(out, in) {
		t.Fatalf("of a file: %+v, %v", out, err)
	}
	for i := len(inviteHead); i < len(text); i++ {
		b := []byte(text)
		if b[i]++; text[i] == 'z' || text[i] == 'Z' || text[i] == '9' {
			b[i] = 'A'
		}
		for _, bad := range []string{string(b), text[:i], text[:i] + text[i+1:]} {
			var e *config.Error
			if out, err := ParseInvite(bad); !errors.As(err, &e) || e.What != "damaged" {
				t.Fatalf("at %d: %+v, %v", i, out, err)
			}
		}
	}
}

// A home of a role has the folder that a key is to be copied to, and says by
// what address it is to be reached.
func TestRoleHomeBegun(t *testing.T) {
	for _, role := range []string{"billing", "mme", "gateway", "enb-agent"} {
		home := filepath.Join(t.TempDir(), "home")
		r, err := InitRole(home, role, DefaultConfig(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(home, "keys")); err != nil {
			t.Error(err)
		}
		if last := r.Next[len(r.Next)-1]; strings.HasSuffix(last, " --address ADDRESS") != (role != "enb-agent") {
			t.Errorf("%s: %s", role, last)
		}
	}
}

// What the network's access points are called is said once, in the main home: an invite carries it.
func TestInviteCarriesAccessPoints(t *testing.T) {
	c := DefaultConfig()
	c.Network.MoreAPNs, c.Network.EmergencyAPN = []string{"ims", "cameras"}, "sos"
	main, mme := filepath.Join(t.TempDir(), "main"), filepath.Join(t.TempDir(), "mme")
	if _, err := InitRole(main, "hss-chain", c, "", "192.0.2.1"); err != nil {
		t.Fatal(err)
	}
	i, err := MakeInvite(main, "mme", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	line, err := i.Text()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := InitRole(mme, "mme", DefaultConfig(), line, "192.0.2.2"); err != nil {
		t.Fatal(err)
	}
	got, err := LoadConfig(mme)
	if err != nil {
		t.Fatal(err)
	}
	if n := got.Network; !slices.Equal(n.MoreAPNs, c.Network.MoreAPNs) || n.EmergencyAPN != "sos" || n.APN != c.Network.APN {
		t.Errorf("the MME's home has %+v", n)
	}
}
