// Package store keeps on disk what an MME must still know after it was killed or lost its power: its phones, and which eNBs have an association and
// have to be called back. It implements [mme.Store] and [mme.Memory] on Pebble. Everything in it is sealed under a key that lies elsewhere, for it
// holds the keys of phones' traffic. It is no configuration, no log and no register of subscribers: what is lost costs phones an attach.
package store

import (
	"bytes"
	"context"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"github.com/cockroachdb/pebble"
	"github.com/cockroachdb/pebble/vfs"

	"campanile.network/3gpp/id"
	"campanile.network/mme"
)

// schema is the version of the keys and of how values are sealed. What is in a value has a version of its own.
const schema = 1

// Kinds of records: the first octet of a key. The rest is a name that says nothing to who has not the store's key.
const (
	kindVersion = 'v' // one: the schema, in clear, and a proof of the store's key
	kindENB     = 'e'
	kindPhone   = 'u'
)

// Reasons for which a store is not opened.
var (
	ErrInUse   = errors.New("another process has it open")
	ErrVersion = errors.New("it was written by another version of this program")
	ErrDamaged = errors.New("it is damaged, or no store of an MME")
)

// errDead says that the disk has failed in a way after which nobody knows what is on it.
var errDead = errors.New("the disk did not write what it had taken: end the MME, see to the disk, and start the MME anew")

// Options of a store. Key is required.
type Options struct {
	Key    [32]byte     // under which everything is sealed; it is to lie where the store does not
	Logger *slog.Logger // nil discards
	FS     vfs.FS       // where the folder is; nil: the operating system's
}

// Store is an open folder. Its methods may be called by several goroutines; what they write is on disk when they return, and those that write at the
// same time share one sync.
type Store struct {
	db   *pebble.DB
	s    *sealer
	log  *slog.Logger
	p    *patience
	dead chan struct{} // closed when nothing is written any more
	once sync.Once

	fresh bool

	mu    sync.Mutex
	peers map[id.GlobalENBID]mme.Peer
}

var (
	_ mme.Memory = (*Store)(nil)
	_ mme.Store  = (*Store)(nil)
)

// Open opens the folder, or makes it, for its owner only. An error is ErrInUse, ErrVersion or ErrDamaged with the folder's name, or the operating
// system's. A store that was sealed under another key is opened, and nothing in it can be read.
func Open(dir string, o Options) (*Store, error) {
	s, err := open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("store of the MME %s: %w", dir, err)
	}
	return s, nil
}

func open(dir string, o Options) (*Store, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if err := makeDir(o.FS, dir); err != nil {
		return nil, err
	}
	sealer, err := newSealer(o.Key)
	if err != nil {
		return nil, err
	}
	s := &Store{s: sealer, log: o.Logger, p: newPatience(o.Logger), dead: make(chan struct{})}
	s.db, err = s.openDB(dir, o.FS)
	if err != nil {
		return nil, why(err)
	}
	err = s.prepare()
	if err == nil {
		err = s.loadPeers()
	}
	if err != nil {
		s.db.Close()
		return nil, err
	}
	return s, nil
}

// makeDir makes the folder so that a power cut does not unmake it.
func makeDir(f vfs.FS, dir string) error {
	if err := f.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	parent, err := f.OpenDir(f.PathDir(dir))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// memTable is how much is held in memory before it is sorted into files: a phone's records of one attach become one there. Pebble keeps two or three.
const memTable = 4 << 20

// openDB opens Pebble. Values are sealed and do not compress; the keys of phones that come again and again are few octets.
func (s *Store) openDB(dir string, f vfs.FS) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	o := &pebble.Options{FS: patientFS{f, s.p}, Logger: (*pebbleLog)(s), FormatMajorVersion: pebble.FormatNewest, MemTableSize: memTable, MaxOpenFiles: 256}
	o.Levels = make([]pebble.LevelOptions, 7)
	for i := range o.Levels {
		o.Levels[i].Compression = pebble.NoCompression
	}
	return pebble.Open(dir, o)
}

// why tells what Pebble means.
func why(err error) error {
	var file *fs.PathError
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EACCES) && strings.Contains(err.Error(), "LOCK"), strings.Contains(err.Error(), "lock held by current process"):
		return ErrInUse
	case errors.Is(err, ErrDamaged):
		return err
	case errors.As(err, &file) && !errors.Is(err, os.ErrNotExist):
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// prepare writes the version of a store that is new, and checks it otherwise.
func (s *Store) prepare() error {
	proof := s.s.name(kindVersion, []byte("key"))
	v, closer, err := s.db.Get([]byte{kindVersion})
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		it, err := s.db.NewIter(nil)
		if err != nil {
			return why(err)
		}
		if it.First() {
			err = fmt.Errorf("%w: it has a key %x and no version", ErrDamaged, it.Key())
		}
		if err = errors.Join(err, it.Close()); err != nil {
			return err
		}
		s.fresh = true
	case err != nil:
		return why(err)
	default:
		v = bytes.Clone(v)
		closer.Close()
		if len(v) < 4 {
			return fmt.Errorf("%w: version %x", ErrDamaged, v)
		}
		if n := binary.BigEndian.Uint32(v); n != schema {
			return fmt.Errorf("%w: it has schema %d, this one reads %d", ErrVersion, n, schema)
		}
		if hmac.Equal(v[4:], proof) {
			return nil
		}
		s.fresh = true
		s.log.Error("the MME's store was sealed under another key: what is in it cannot be read, its phones attach anew. If the former key file is to be had, put it back")
	}
	return s.db.Set([]byte{kindVersion}, append(binary.BigEndian.AppendUint32(nil, schema), proof...), pebble.Sync)
}

// Memory is how many octets of the heap hold what was written last and what was read
// last. It is bounded, whatever is in the store.
func (s *Store) Memory() uint64 {
	m := s.db.Metrics()
	return m.MemTable.Size + m.MemTable.ZombieSize + uint64(m.BlockCache.Size)
}

// Fresh says that nothing was kept over from an earlier run: the store is new, or was sealed under another key.
func (s *Store) Fresh() bool { return s.fresh }

// Close closes the folder. Nothing waits in memory that is not on disk.
func (s *Store) Close() error {
	if s.p.failing() || s.isDead() {
		return nil // what is under way will not end; the operating system closes
	}
	return s.db.Close()
}

func (s *Store) isDead() bool {
	select {
	case <-s.dead:
		return true
	default:
		return false
	}
}

// apply writes a batch and waits until it is on disk, or nobody knows any more.
func (s *Store) apply(ctx context.Context, b *pebble.Batch) error {
	if s.isDead() {
		return errDead
	}
	done := make(chan error, 1)
	go func() { done <- b.Commit(pebble.Sync) }() // does not end when Pebble gives up, see pebbleLog
	select {
	case err := <-done:
		return errors.Join(err, b.Close())
	case <-s.dead:
		return errDead
	case <-ctx.Done():
		return fmt.Errorf("store of the MME: %w: %s", ctx.Err(), s.p.word())
	}
}

// Commit implements [mme.Store].
func (s *Store) Commit(ctx context.Context, changes []mme.Change) error {
	b := s.db.NewBatchWithSize(len(changes) * 1024)
	for _, c := range changes {
		key := s.s.name(kindPhone, []byte(c.IMSI.Digits()))
		var err error
		if c.Record == nil {
			err = b.Delete(key, nil)
		} else {
			err = b.Set(key, s.s.seal(key, c.Record), nil)
		}
		if err != nil {
			return fmt.Errorf("store of the MME: %w", err)
		}
	}
	return s.apply(ctx, b)
}

// pebbleLog hears of Pebble. What it cannot go on after ends the goroutine it is in and the store, but not the process.
type pebbleLog Store

// Infof tells nothing: Pebble says when it tidies up.
func (l *pebbleLog) Infof(string, ...any) {}

// Fatalf ends the store.
func (l *pebbleLog) Fatalf(format string, args ...any) {
	l.once.Do(func() {
		l.log.Error("the MME's store has failed: phones are refused until the MME is started anew", "err", fmt.Sprintf(format, args...))
		close(l.dead)
	})
	runtime.Goexit()
}
