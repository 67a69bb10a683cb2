package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble"
	"github.com/cockroachdb/pebble/vfs"

	"campanile.network/3gpp/id"
	"campanile.network/internal/sctp"
	"campanile.network/mme"
	"campanile.network/mme/store"
)

func open(t testing.TB, path string) *store.Store {
	t.Helper()
	return openWith(t, path, store.Options{Key: [32]byte{1}})
}

func openWith(t testing.TB, path string, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func eNB(n uint32) mme.Peer {
	plmn, _ := id.ParsePLMN("00101")
	return mme.Peer{ENB: id.GlobalENBID{PLMN: plmn, Type: id.MacroENB, ID: n},
		At:    sctp.Peer{Addrs: []netip.Addr{netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("2001:db8::2")}, Port: 40000, EncapPort: 9899},
		Since: time.Unix(1700000000, 123456789).Add(time.Duration(n) * time.Second).UTC()}
}

// has checks what is remembered.
func has(t testing.TB, s *store.Store, want ...mme.Peer) {
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
func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A process that is killed closes nothing: what was said to be stored is there when the folder is opened as it lay on the disk.
func TestKilled(t *testing.T) {
	mem := vfs.NewStrictMem()
	s := openWith(t, "/mme.db", store.Options{FS: mem})
	ok(t, s.Remember(eNB(1)))
	ok(t, s.Remember(eNB(2)))
	ok(t, s.Remember(eNB(3)))
	ok(t, s.Forget(eNB(2)))
	moved := eNB(3)
	moved.At.Addrs, moved.At.EncapPort, moved.Since = moved.At.Addrs[:1], 0, moved.Since.Add(time.Nanosecond)
	ok(t, s.Remember(moved))
	ok(t, s.Forget(eNB(3))) // late: the eNB has another association by now
	ok(t, s.Forget(eNB(9))) // never seen
	ok(t, s.Commit(t.Context(), []mme.Change{phone(1, "one"), phone(2, "two"), phone(3, "three")}))
	ok(t, s.Commit(t.Context(), []mme.Change{phone(1, "one again"), {IMSI: phone(2, "").IMSI}}))
	mem.SetIgnoreSyncs(true)
	ok(t, s.Commit(t.Context(), []mme.Change{phone(3, "never on disk")}))
	_ = s.Close()
	mem.ResetToSyncedState()
	mem.SetIgnoreSyncs(false)

	again := openWith(t, "/mme.db", store.Options{FS: mem})
	has(t, again, eNB(1), moved)
	holds(t, again, "one again", "three")
	if again.Fresh() {
		t.Error("it is fresh")
	}
	ok(t, again.Close())
}

func phone(n int, record string) mme.Change {
	imsi, _ := id.ParseIMSI(fmt.Sprintf("00101%010d", n))
	return mme.Change{IMSI: imsi, Record: []byte(record)}
}

// holds checks what phones are kept.
func holds(t testing.TB, s *store.Store, want ...string) (lost int) {
	t.Helper()
	var mu sync.Mutex
	got := map[string]bool{}
	lost, err := s.Load(func(b []byte) {
		mu.Lock()
		got[string(b)] = true
		mu.Unlock()
	})
	ok(t, err)
	if list := slices.Sorted(maps.Keys(got)); len(list)+len(want) > 0 && !slices.Equal(list, want) {
		t.Errorf("kept: %q, want %q", list, want)
	}
	return lost
}

// Who has the disk and not the key learns neither who the phones are nor what is kept of them; under another key nothing opens, and nothing breaks.
func TestSealed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mme.db")
	s := open(t, dir)
	if !s.Fresh() {
		t.Error("a new one is not fresh")
	}
	ok(t, s.Commit(t.Context(), []mme.Change{phone(1, "a secret of the phone"), phone(2, "another secret")}))
	ok(t, s.Remember(eNB(1)))
	ok(t, s.Close())
	ok(t, filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		for _, word := range []string{"secret", "0010100000", "10.77.0.2"} {
			if bytes.Contains(b, []byte(word)) {
				t.Errorf("%s shows %q", p, word)
			}
		}
		return err
	}))
	var log bytes.Buffer
	other := openWith(t, dir, store.Options{Key: [32]byte{2}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if lost := holds(t, other); lost != 2 || !other.Fresh() || !strings.Contains(log.String(), "sealed under another key") {
		t.Errorf("%d lost, fresh %v; %s", lost, other.Fresh(), log.String())
	}
	has(t, other)
	ok(t, other.Close())
}

// A record that was altered, or moved to another's name, is lost; the others are not.
func TestAltered(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mme.db")
	s := open(t, dir)
	ok(t, s.Commit(t.Context(), []mme.Change{phone(1, "1"), phone(2, "2"), phone(3, "3"), phone(4, "4")}))
	ok(t, s.Close())
	db, err := pebble.Open(dir, &pebble.Options{})
	ok(t, err)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte("u"), UpperBound: []byte("v")})
	ok(t, err)
	var keys, values [][]byte
	for v := it.First(); v; v = it.Next() {
		keys, values = append(keys, bytes.Clone(it.Key())), append(values, bytes.Clone(it.Value()))
	}
	ok(t, it.Close())
	values[0][30] ^= 1
	ok(t, db.Set(keys[0], values[0], pebble.Sync))
	ok(t, db.Set(keys[1], values[2], pebble.Sync))
	ok(t, db.Set(keys[3], []byte("torn"), pebble.Sync))
	ok(t, db.Close())
	s = open(t, dir)
	n := 0
	lost, err := s.Load(func([]byte) { n++ })
	if err != nil || lost != 3 || n != 1 {
		t.Errorf("%d lost, %d read, %v", lost, n, err)
	}
	ok(t, s.Close())
}

// Many eNBs set up S1 at once; each is on disk when its Remember returns.
func TestTogether(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "mme.db"))
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
	ok(t, s.Close())
}

func TestBounded(t *testing.T) {
	s := openWith(t, "/mme.db", store.Options{FS: vfs.NewMem()})
	for n := range uint32(4096) {
		ok(t, s.Remember(eNB(n)))
	}
	if err := s.Remember(eNB(5000)); err == nil || !strings.Contains(err.Error(), "4096 eNBs are remembered") {
		t.Errorf("one too many: %v", err)
	}
	ok(t, s.Remember(eNB(7))) // again
	ok(t, s.Forget(eNB(8)))
	ok(t, s.Remember(eNB(5000)))
	ok(t, s.Close())
}

// refused checks that a folder is not opened, and that the error says so well.
func refused(t *testing.T, path string, want error, words ...string) {
	t.Helper()
	s, err := store.Open(path, store.Options{Key: [32]byte{1}})
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
	i, err := os.Stat(path)
	if ok(t, err); i.Mode().Perm() != 0o700 {
		t.Errorf("the folder is %v", i.Mode())
	}

	db, err := pebble.Open(path, &pebble.Options{})
	ok(t, err)
	ok(t, db.Set([]byte("v"), []byte{0, 0, 0, 7, 1}, pebble.Sync))
	ok(t, db.Close())
	refused(t, path, store.ErrVersion, "schema 7", "reads 1")

	other := filepath.Join(dir, "other")
	db, err = pebble.Open(other, &pebble.Options{})
	ok(t, err)
	ok(t, db.Set([]byte("aaa"), []byte("bbb"), pebble.Sync))
	ok(t, db.Close())
	refused(t, other, store.ErrDamaged, "616161")

	file := filepath.Join(dir, "file")
	ok(t, os.WriteFile(file, []byte("what was here before"), 0o600))
	refused(t, file, syscall.ENOTDIR)
}

// A disk that lies, or was pulled: whatever file is cut off or overwritten, opening gives an error or what was stored, and never ends the process.
func TestDamaged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mme.db")
	for range 2 {
		s := open(t, dir)
		for n := range 60 {
			ok(t, s.Commit(t.Context(), []mme.Change{phone(n, strings.Repeat("x", 200))}))
		}
		ok(t, s.Close())
	}
	files, err := os.ReadDir(dir)
	ok(t, err)
	found, read := 0, 0
	for _, f := range files {
		whole, err := os.ReadFile(filepath.Join(dir, f.Name()))
		ok(t, err)
		for _, b := range [][]byte{nil, whole[:len(whole)/2], bytes.Repeat([]byte{0xa5}, len(whole))} {
			copied := filepath.Join(t.TempDir(), "mme.db")
			ok(t, os.CopyFS(copied, os.DirFS(dir)))
			ok(t, os.WriteFile(filepath.Join(copied, f.Name()), b, 0o600))
			s, err := store.Open(copied, store.Options{Key: [32]byte{1}})
			if err != nil {
				if found++; !errors.Is(err, store.ErrDamaged) {
					t.Errorf("%s: %v", f.Name(), err)
				}
				continue
			}
			n := 0
			var mu sync.Mutex
			if _, err := s.Load(func([]byte) { mu.Lock(); n++; mu.Unlock() }); err != nil {
				found++
			}
			read += n
			_ = s.Close()
		}
	}
	if found == 0 || read == 0 {
		t.Errorf("damage was found %d times, %d records read", found, read)
	}
}

// fullFS is a disk that fills up.
type fullFS struct {
	vfs.FS
	bad *atomic.Value // holder
}

type holder struct{ err error }

type fullFile struct {
	vfs.File
	bad *atomic.Value
}

func (f fullFS) Create(name string) (vfs.File, error) {
	v, err := f.FS.Create(name)
	return fullFile{v, f.bad}, err
}

func (f fullFile) Write(b []byte) (int, error) {
	if err := f.bad.Load().(holder).err; err != nil {
		n, _ := f.File.Write(b[:len(b)/2])
		return n, err
	}
	return f.File.Write(b)
}

// A full disk holds a write up until there is room; the writer goes when he likes, and finds what he has written.
func TestFull(t *testing.T) {
	bad := &atomic.Value{}
	bad.Store(holder{})
	mem := vfs.NewStrictMem()
	var log bytes.Buffer
	s := openWith(t, "/mme.db", store.Options{FS: fullFS{mem, bad}, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	ok(t, s.Commit(t.Context(), []mme.Change{phone(1, "before")}))
	bad.Store(holder{syscall.ENOSPC})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Commit(ctx, []mme.Change{phone(2, "on a full disk")}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("a write on a full disk: %v", err)
	}
	bad.Store(holder{})
	ok(t, s.Commit(t.Context(), []mme.Change{phone(3, "room again")}))
	holds(t, s, "before", "on a full disk", "room again")
	ok(t, s.Close())
	mem.ResetToSyncedState()
	again := openWith(t, "/mme.db", store.Options{FS: mem})
	holds(t, again, "before", "on a full disk", "room again")
	ok(t, again.Close())
	if !strings.Contains(log.String(), "cannot be written") || !strings.Contains(log.String(), "written again") {
		t.Error(log.String())
	}
}

// A sync that fails ends the store, and not the process: nobody knows what is on the disk.
func TestFailed(t *testing.T) {
	mem := &syncFS{FS: vfs.NewMem()}
	s := openWith(t, "/mme.db", store.Options{FS: mem})
	ok(t, s.Commit(t.Context(), []mme.Change{phone(1, "before")}))
	mem.bad.Store(true)
	for range 3 {
		if err := s.Commit(t.Context(), []mme.Change{phone(2, "lost")}); err == nil || !strings.Contains(err.Error(), "start the MME anew") {
			t.Errorf("a write to a disk that fails: %v", err)
		}
	}
	ok(t, s.Close())
}

type syncFS struct {
	vfs.FS
	bad atomic.Bool
}

type syncFile struct {
	vfs.File
	f *syncFS
}

func (f *syncFS) Create(name string) (vfs.File, error) {
	v, err := f.FS.Create(name)
	return syncFile{v, f}, err
}

func (f syncFile) Sync() error {
	if f.f.bad.Load() {
		return syscall.EIO
	}
	return f.File.Sync()
}

func (f syncFile) SyncData() error { return f.Sync() }

func (f syncFile) SyncTo(int64) (bool, error) { return true, f.Sync() }
