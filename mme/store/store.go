// Package store keeps on disk what an MME must still know after it was killed or lost its power: its phones, and which eNBs have an association and
// have to be called back. It implements [mme.Store] and [mme.Memory] in a [vault.Vault], sealed, for it holds the keys of phones' traffic. It is no
// configuration, no log and no register of subscribers: what is lost costs phones an attach.
package store

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/vfs"

	"campanile.network/3gpp/id"
	"campanile.network/internal/vault"
	"campanile.network/mme"
)

// schema is the version of the keys and of how values are sealed. What is in a value has a version of its own.
const schema = 1

// Kinds of records.
const (
	kindENB   = 'e'
	kindPhone = 'u'
)

// Reasons for which a store is not opened.
var (
	ErrInUse   = vault.ErrInUse
	ErrVersion = vault.ErrVersion
	ErrDamaged = vault.ErrDamaged
)

// Options of a store. Key is required.
type Options struct {
	Key    [32]byte     // under which everything is sealed; it is to lie where the store does not
	Logger *slog.Logger // nil discards
	FS     vfs.FS       // where the folder is; nil: the operating system's
}

// Store is an open folder. Its methods may be called by several goroutines; what they write is on disk when they return, and those that write at the
// same time share one sync.
type Store struct {
	v   *vault.Vault
	log *slog.Logger

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
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	v, err := vault.Open(dir, vault.Options{Key: o.Key, Role: "mme", Of: "the MME", Schema: schema, Lost: "its phones attach anew", Logger: o.Logger, FS: o.FS})
	if err != nil {
		return nil, err
	}
	s := &Store{v: v, log: o.Logger}
	if err := s.loadPeers(); err != nil {
		v.Close()
		return nil, fmt.Errorf("store of the MME %s: %w", dir, err)
	}
	return s, nil
}

// Fresh says that nothing was kept over from an earlier run: the store is new, or was sealed under another key.
func (s *Store) Fresh() bool { return s.v.Fresh() }

// Close closes the folder. Nothing waits in memory that is not on disk.
func (s *Store) Close() error { return s.v.Close() }

// Commit implements [mme.Store].
func (s *Store) Commit(ctx context.Context, changes []mme.Change) error {
	writes := make([]vault.Write, len(changes))
	for i, c := range changes {
		writes[i] = vault.Write{Kind: kindPhone, Name: []byte(c.IMSI.Digits()), Value: c.Record}
	}
	return s.v.Apply(ctx, writes)
}

// Load implements [mme.Store].
func (s *Store) Load(f func([]byte)) (lost int, err error) {
	return s.v.Load(kindPhone, f, func(name []byte) {
		s.log.Warn("a phone's record does not open: it was altered, or sealed under another key; the phone attaches anew", "record", fmt.Sprintf("%x", name))
	})
}

// Memory is how many octets of the heap hold what was written last and what was read
// last. It is bounded, whatever is in the store.
func (s *Store) Memory() uint64 { return s.v.Memory() }
