// Package vault keeps a role's records on disk so that they outlive its process: a folder of Pebble in which every value is sealed under a key that lies
// elsewhere, and every name is hidden. Writes are on disk when they return, and those of one time share a sync. What a record says, and what its loss
// costs, is the role's affair.
package vault

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
	"time"

	"github.com/cockroachdb/pebble"
	"github.com/cockroachdb/pebble/vfs"
)

// kindVersion is the one record in clear: the schema, and a proof of the key.
const kindVersion = 'v'

// Reasons for which a store is not opened.
var (
	ErrInUse   = errors.New("another process has it open")
	ErrVersion = errors.New("it was written by another version of this program")
	ErrDamaged = errors.New("it is damaged, or no store of this role")
)

// Options of a Vault. Key, Role and Of are required.
type Options struct {
	Key    [32]byte     // under which everything is sealed; it is to lie where the store does not
	Role   string       // goes into the keys that are derived, so that stores of two roles under one key have nothing in common
	Of     string       // whose it is, in words: "the MME"
	Schema uint32       // version of names and values; what is in a value may have a version of its own
	Lost   string       // what it costs that a store was sealed under another key, for the log
	Logger *slog.Logger // nil discards
	FS     vfs.FS       // where the folder is; nil: the operating system's
}

// Vault is an open folder. Its methods may be called by several goroutines.
type Vault struct {
	o       Options
	db      *pebble.DB
	s       *sealer
	log     *slog.Logger
	p       *patience
	dead    chan struct{} // closed when nothing is written any more
	once    sync.Once
	commits sync.WaitGroup // under way

	fresh bool
}

// Write is a record to be put, or with no Value to be forgotten.
type Write struct {
	Kind  byte   // not 'v'
	Name  []byte // hidden on disk
	Value []byte
}

// Open opens the folder, or makes it, for its owner only. An error is ErrInUse, ErrVersion or ErrDamaged, or the operating system's. A store that was
// sealed under another key is opened, and nothing in it can be read.
func Open(dir string, o Options) (*Vault, error) {
	v, err := open(dir, o)
	if err != nil {
		return nil, fmt.Errorf("store of %s %s: %w", o.Of, dir, err)
	}
	return v, nil
}

func open(dir string, o Options) (*Vault, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if err := makeDir(o.FS, dir); err != nil {
		return nil, err
	}
	sealer, err := newSealer(o.Key, o.Role)
	if err != nil {
		return nil, err
	}
	v := &Vault{o: o, s: sealer, log: o.Logger, p: newPatience(o.Logger, o.Of), dead: make(chan struct{})}
	v.db, err = v.openDB(dir, o.FS)
	if err != nil {
		return nil, why(err)
	}
	if err = v.prepare(); err != nil {
		v.db.Close()
		return nil, err
	}
	return v, nil
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

// memTable is how much is held in memory before it is sorted into files: what is written several times in a short while becomes one record there. Pebble
// keeps two or three.
const memTable = 4 << 20

// block is how much is read and written of a file at once: what is here is read from one end to the other, at a start.
const block = 64 << 10

// openDB opens Pebble. Values are sealed and do not compress; the keys of records that come again and again are few octets.
func (v *Vault) openDB(dir string, f vfs.FS) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			db, err = nil, fmt.Errorf("%w: %v", ErrDamaged, r)
		}
	}()
	o := &pebble.Options{FS: patientFS{f, v.p}, Logger: (*pebbleLog)(v), FormatMajorVersion: pebble.FormatNewest, MemTableSize: memTable, MaxOpenFiles: 256}
	o.Levels = make([]pebble.LevelOptions, 7)
	for i := range o.Levels {
		o.Levels[i].Compression, o.Levels[i].BlockSize = pebble.NoCompression, block
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
func (v *Vault) prepare() error {
	proof := v.s.name(kindVersion, []byte("key"))
	b, closer, err := v.db.Get([]byte{kindVersion})
	switch {
	case errors.Is(err, pebble.ErrNotFound):
		it, err := v.db.NewIter(nil)
		if err != nil {
			return why(err)
		}
		if it.First() {
			err = fmt.Errorf("%w: it has a key %x and no version", ErrDamaged, it.Key())
		}
		if err = errors.Join(err, it.Close()); err != nil {
			return err
		}
		v.fresh = true
	case err != nil:
		return why(err)
	default:
		b = bytes.Clone(b)
		closer.Close()
		if len(b) < 4 {
			return fmt.Errorf("%w: version %x", ErrDamaged, b)
		}
		if n := binary.BigEndian.Uint32(b); n != v.o.Schema {
			return fmt.Errorf("%w: it has schema %d, this one reads %d", ErrVersion, n, v.o.Schema)
		}
		if hmac.Equal(b[4:], proof) {
			return nil
		}
		v.fresh = true
		v.log.Error(v.o.Of + "'s store was sealed under another key: what is in it cannot be read, " + v.o.Lost + ". If the former key file is to be had, put it back")
	}
	return v.db.Set([]byte{kindVersion}, append(binary.BigEndian.AppendUint32(nil, v.o.Schema), proof...), pebble.Sync)
}

// Fresh says that nothing was kept over from an earlier run: the store is new, or was sealed under another key.
func (v *Vault) Fresh() bool { return v.fresh }

// Failing says why nothing is written at present, or nothing.
func (v *Vault) Failing() string {
	if v.isDead() {
		return v.errDead().Error()
	}
	return v.p.word()
}

// Memory is how many octets of the heap hold what was written last and what was read
// last. It is bounded, whatever is in the store.
func (v *Vault) Memory() uint64 {
	m := v.db.Metrics()
	return m.MemTable.Size + m.MemTable.ZombieSize + uint64(m.BlockCache.Size)
}

// Close closes the folder, when writes have ended whose callers did not wait for them.
// Nothing waits in memory that is not on disk.
func (v *Vault) Close() error {
	idle := make(chan struct{})
	go func() { v.commits.Wait(); close(idle) }()
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for !v.p.failing() && !v.isDead() {
		select {
		case <-idle:
			return v.db.Close()
		case <-v.dead:
		case <-look.C:
		}
	}
	return nil // what is under way will not end; the operating system closes
}

func (v *Vault) isDead() bool {
	select {
	case <-v.dead:
		return true
	default:
		return false
	}
}

// errDead says that the disk has failed in a way after which nobody knows what is on it.
func (v *Vault) errDead() error {
	return fmt.Errorf("the disk did not write what it had taken: end %[1]s, see to the disk, and start %[1]s anew", v.o.Of)
}

// Apply writes records, all or none, and waits until they are on disk, or nobody knows any more.
func (v *Vault) Apply(ctx context.Context, writes []Write) error {
	size := 0
	for _, w := range writes {
		size += len(w.Value) + 128
	}
	b := v.db.NewBatchWithSize(size)
	for _, w := range writes {
		key := v.s.name(w.Kind, w.Name)
		var err error
		if w.Value == nil {
			err = b.Delete(key, nil)
		} else {
			err = b.Set(key, v.s.seal(key, w.Value), nil)
		}
		if err != nil {
			return fmt.Errorf("store of %s: %w", v.o.Of, err)
		}
	}
	return v.commit(ctx, b)
}

func (v *Vault) commit(ctx context.Context, b *pebble.Batch) error {
	if v.isDead() {
		return v.errDead()
	}
	done := make(chan error, 1)
	v.commits.Add(1)
	go func() { // does not end when Pebble gives up, see pebbleLog
		defer v.commits.Done()
		done <- b.Commit(pebble.Sync)
	}()
	select {
	case err := <-done:
		return errors.Join(err, b.Close())
	case <-v.dead:
		return v.errDead()
	case <-ctx.Done():
		return fmt.Errorf("store of %s: %w: %s", v.o.Of, ctx.Err(), v.p.word())
	}
}

// pebbleLog hears of Pebble. What it cannot go on after ends the goroutine it is in and the store, but not the process.
type pebbleLog Vault

// Infof tells nothing: Pebble says when it tidies up.
func (l *pebbleLog) Infof(string, ...any) {}

// Fatalf ends the store.
func (l *pebbleLog) Fatalf(format string, args ...any) {
	l.once.Do(func() {
		l.log.Error(l.o.Of+"'s store has failed: phones are refused until it is started anew", "err", fmt.Sprintf(format, args...))
		close(l.dead)
	})
	runtime.Goexit()
}
