package vault_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/vfs"

	"campanile.network/internal/vault"
)

func open(t *testing.T, f vfs.FS, o vault.Options) *vault.Vault {
	t.Helper()
	o.FS, o.Of, o.Lost, o.Schema = f, "the test", "nothing is lost", max(o.Schema, 1)
	v, err := vault.Open("/v", o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// read gives what opens, and how many do not.
func read(t *testing.T, v *vault.Vault, kind byte) (values []string, bad int) {
	t.Helper()
	if err := v.Each(kind, func(_, b []byte, err error) {
		if err != nil {
			bad++
		} else {
			values = append(values, string(b))
		}
	}); err != nil {
		t.Fatal(err)
	}
	var loaded atomic.Int64
	lost, err := v.Load(kind, func([]byte) { loaded.Add(1) }, func([]byte) {})
	if err != nil || lost != bad || int(loaded.Load()) != len(values) {
		t.Errorf("loaded %d, lost %d, %v; one by one %d, %d", loaded.Load(), lost, err, len(values), bad)
	}
	slices.Sort(values)
	return values, bad
}

// What was written is there after a kill, sealed; another key, another role and
// another schema do not read it.
func TestVault(t *testing.T) {
	mem := vfs.NewStrictMem()
	role := vault.Options{Key: [32]byte{1}, Role: "one"}
	v := open(t, mem, role)
	if !v.Fresh() {
		t.Error("a new folder is not fresh")
	}
	want := map[string]string{"a": "first record", "b": "second record", "c": "third record"}
	var writes []vault.Write
	for name, value := range want {
		writes = append(writes, vault.Write{Kind: 'x', Name: []byte(name), Value: []byte(value)})
	}
	writes = append(writes, vault.Write{Kind: 'y', Name: []byte("a"), Value: []byte("other kind")})
	if err := v.Apply(t.Context(), writes); err != nil {
		t.Fatal(err)
	}
	if err := v.Apply(t.Context(), []vault.Write{{Kind: 'y', Name: []byte("a")}}); err != nil {
		t.Fatal(err)
	}
	mem.SetIgnoreSyncs(true)
	_ = v.Apply(t.Context(), []vault.Write{{Kind: 'x', Name: []byte("d"), Value: []byte("never on disk")}})
	_ = v.Close()
	mem.ResetToSyncedState()
	mem.SetIgnoreSyncs(false)

	v = open(t, mem, role)
	got, bad := read(t, v, 'x')
	if all := slices.Sorted(maps.Values(want)); v.Fresh() || bad != 0 || !slices.Equal(got, all) {
		t.Errorf("%v, %d bad", got, bad)
	}
	if got, bad := read(t, v, 'y'); len(got)+bad != 0 {
		t.Errorf("what was forgotten is there: %v", got)
	}
	v.Close()
	for _, other := range []vault.Options{{Key: [32]byte{2}, Role: "one"}, {Key: [32]byte{1}, Role: "two"}} {
		v = open(t, mem, other)
		if got, bad := read(t, v, 'x'); !v.Fresh() || len(got) != 0 || bad != 3 {
			t.Errorf("role %s under another key reads %v", other.Role, got)
		}
		v.Close()
	}
	if _, err := vault.Open("/v", vault.Options{Key: [32]byte{1}, Role: "one", Of: "the test", Schema: 2, FS: mem}); !errors.Is(err, vault.ErrVersion) {
		t.Errorf("another schema: %v", err)
	}
}

// Who gives up waiting for a write leaves it under way: the folder is closed behind it.
func TestCloseWaitsForWrites(t *testing.T) {
	mem := vfs.NewMem()
	for range 50 {
		v := open(t, mem, vault.Options{Key: [32]byte{1}, Role: "one"})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for n := range byte(8) {
			if err := v.Apply(ctx, []vault.Write{{Kind: 'x', Name: []byte{n}, Value: []byte("record")}}); err != nil && !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
	}
	v := open(t, mem, vault.Options{Key: [32]byte{1}, Role: "one"})
	defer v.Close()
	if got, bad := read(t, v, 'x'); len(got) != 8 || bad != 0 {
		t.Errorf("%d records, %d do not open", len(got), bad)
	}
}
