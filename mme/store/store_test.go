package store_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"campanile.network/3gpp/id"
	"campanile.network/internal/sctp"
	"campanile.network/mme"
	"campanile.network/mme/store"
)

func open(t *testing.T, path string) *store.Store {
	t.Helper()
	s, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func eNB(n uint32) mme.Peer {
	plmn, _ := id.ParsePLMN("00101")
	return mme.Peer{ENB: id.GlobalENBID{PLMN: plmn, Type: id.MacroENB, ID: n},
		At:    sctp.Peer{Addrs: []netip.Addr{netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("2001:db8::2")}, Port: 40000, EncapPort: 9899},
		Since: time.Unix(1700000000, 123456789).Add(time.Duration(n) * time.Second).UTC()}
}

// has checks what is remembered.
func has(t *testing.T, s *store.Store, want ...mme.Peer) {
	t.Helper()
	got, err := s.Peers()
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b mme.Peer) int { return int(a.ENB.ID) - int(b.ENB.ID) })
	if len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
		t.Errorf("remembered: %+v\nwant: %+v", got, want)
	}
}

// ok fails the test when a write does.
func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A process that is killed closes nothing: what was said to be stored is there when the file is opened as it lay on the disk.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "mme.db"))
	ok(t, s.Remember(eNB(1)))
	ok(t, s.Remember(eNB(2)))
	ok(t, s.Remember(eNB(3)))
	ok(t, s.Forget(eNB(2)))
	moved := eNB(3)
	moved.At.Addrs, moved.At.EncapPort, moved.Since = moved.At.Addrs[:1], 0, moved.Since.Add(time.Nanosecond)
	ok(t, s.Remember(moved))
	ok(t, s.Forget(eNB(3))) // late: the eNB has another association by now
	ok(t, s.Forget(eNB(9))) // never seen

	b, err := os.ReadFile(filepath.Join(dir, "mme.db"))
	ok(t, err)
	ok(t, os.WriteFile(filepath.Join(dir, "copy.db"), b, 0o644))
	again := open(t, filepath.Join(dir, "copy.db"))
	has(t, again, eNB(1), moved)
	ok(t, again.Forget(eNB(1)))
	has(t, again, moved)
	has(t, s, eNB(1), moved)
	for _, f := range []string{"mme.db", "copy.db"} {
		if i, err := os.Stat(filepath.Join(dir, f)); err != nil || i.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, i.Mode(), err)
		}
	}
}

// Many eNBs set up S1 at once; each is on disk when its Remember returns.
func TestTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mme.db")
	s := open(t, path)
	var want []mme.Peer
	var all sync.WaitGroup
	for n := range uint32(64) {
		want = append(want, eNB(n))
		all.Go(func() {
			if err := s.Remember(eNB(n)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	has(t, s, want...)
}

func TestBounded(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "mme.db"))
	var all sync.WaitGroup
	for n := range uint32(4096) {
		all.Go(func() {
			if err := s.Remember(eNB(n)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if err := s.Remember(eNB(5000)); err == nil || !strings.Contains(err.Error(), "4096 eNBs are remembered") {
		t.Errorf("one too many: %v", err)
	}
	ok(t, s.Remember(eNB(7))) // again
	ok(t, s.Forget(eNB(8)))
	ok(t, s.Remember(eNB(5000)))
}

// refused checks that a file is not opened, and that the error says so well.
func refused(t *testing.T, path string, want error, words ...string) {
	t.Helper()
	s, err := store.Open(path)
	if err == nil {
		s.Close()
		t.Fatal("it was opened")
	}
	if !errors.Is(err, want) {
		t.Errorf("%v, want %v", err, want)
	}
	for _, w := range append(words, path) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%v: does not say %s", err, w)
		}
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mme.db")
	s := open(t, path)
	ok(t, s.Remember(eNB(1)))
	refused(t, path, store.ErrInUse)
	ok(t, s.Close())

	// alter makes a copy of the file, with something else in it.
	alter := func(name string, f func(tx *bbolt.Tx) error) string {
		b, err := os.ReadFile(path)
		ok(t, err)
		other := filepath.Join(dir, name)
		ok(t, os.WriteFile(other, b, 0o600))
		db, err := bbolt.Open(other, 0o600, nil)
		ok(t, err)
		ok(t, db.Update(f))
		ok(t, db.Close())
		return other
	}
	refused(t, alter("newer.db", func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("about")).Put([]byte("schema"), binary.BigEndian.AppendUint32(nil, 7))
	}), store.ErrVersion, "schema 7", "reads 1")
	refused(t, alter("key.db", func(tx *bbolt.Tx) error { return tx.Bucket([]byte("eNBs")).Put([]byte("x"), []byte("{}")) }), store.ErrDamaged)
	refused(t, alter("value.db", func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("eNBs")).Put([]byte("001/01-macro-0x19b"), []byte("{"))
	}), store.ErrDamaged, "0x19b")
	refused(t, alter("half.db", func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("eNBs")) }), store.ErrDamaged)
	refused(t, alter("other.db", func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("aaa"))
		return errors.Join(err, tx.DeleteBucket([]byte("about")))
	}), store.ErrDamaged, "aaa")
	refused(t, filepath.Join(dir, "no", "mme.db"), os.ErrNotExist)
	refused(t, dir, syscall.EISDIR)
}

// A disk that lies, or was pulled: whatever is cut off or overwritten, opening gives an error or what was stored, and never ends the process.
func TestDamaged(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "mme.db")
	s := open(t, path)
	for n := range uint32(60) {
		ok(t, s.Remember(eNB(n)))
	}
	ok(t, s.Close())
	whole, err := os.ReadFile(path)
	ok(t, err)
	found := 0
	try := func(what string, b []byte) {
		p := filepath.Join(dir, strings.ReplaceAll(what, " ", "-"))
		ok(t, os.WriteFile(p, b, 0o600))
		s, err := store.Open(p)
		if err == nil {
			ok(t, s.Close())
			return
		}
		if found++; !errors.Is(err, store.ErrDamaged) {
			t.Errorf("%s: %v", what, err)
		}
	}
	page := os.Getpagesize()
	for n := 1; n < len(whole); n += page - 1 {
		try(fmt.Sprint("cut at ", n), whole[:n])
	}
	for n := 0; n < len(whole); n += page {
		b := bytes.Clone(whole)
		clear(b[n:min(n+page, len(b))])
		try(fmt.Sprint("no page ", n), b)
		b = bytes.Clone(whole)
		for i := n; i < min(n+page, len(b)); i++ {
			b[i] ^= 0xa5
		}
		try(fmt.Sprint("noise ", n), b)
	}
	if found < 3 {
		t.Errorf("%d kinds of damage found", found)
	}
	ok(t, os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600))
	has(t, open(t, filepath.Join(dir, "empty"))) // is a new one
}
