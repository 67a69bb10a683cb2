// Package store keeps on disk, in one file, what an MME must still know after it was killed or lost its power: for now, which eNBs have an
// association and have to be called back. It implements [mme.Memory]. It is no configuration and no log: a file that is lost costs phones and eNBs
// an attach or a minute, nothing else.
package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"campanile.network/3gpp/id"
	"campanile.network/internal/sctp"
	"campanile.network/mme"
)

// schema is the version of what is in the file. A program reads its own only.
const schema = 1

// maxPeers bounds the eNBs remembered.
const maxPeers = 4096

// patience is how long a write waits for others to share its commit with.
const patience = 2 * time.Millisecond

var (
	bucketAbout = []byte("about")
	bucketPeers = []byte("eNBs") // global eNB id as text: JSON of peer
	keySchema   = []byte("schema")
)

// Reasons for which a file is not opened.
var (
	ErrInUse   = errors.New("another process has it open")
	ErrVersion = errors.New("it was written by another version of this program")
	ErrDamaged = errors.New("it is damaged, or no store of an MME")
)

// Store is an open file. Its methods may be called by several goroutines; each write is on disk when it returns, and those that come at the same
// time share a commit.
type Store struct{ db *bbolt.DB }

var _ mme.Memory = (*Store)(nil)

// Open opens the file, or makes it, for its owner only. Everything in it is read once: an error is ErrInUse, ErrVersion or ErrDamaged with the
// file's name, or the operating system's.
func Open(path string) (*Store, error) {
	s, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("store of the MME %s: %w", path, err)
	}
	return s, nil
}

func open(path string) (s *Store, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // pages that are missing are found by touching them
	var db *bbolt.DB
	defer func() {
		if r := recover(); r != nil {
			s, err = nil, fmt.Errorf("%w: %v", ErrDamaged, r)
		}
		if err != nil && db != nil {
			_ = db.Close() // the file is of no use anyway
		}
	}()
	db, err = bbolt.Open(path, 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		return nil, why(err)
	}
	db.MaxBatchDelay = patience
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, err
	}
	if err := db.Update(prepare); err != nil {
		return nil, err
	}
	s = &Store{db}
	_, err = s.Peers()
	return s, err
}

// why tells what bbolt means.
func why(err error) error {
	var file *fs.PathError
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return ErrInUse
	case errors.As(err, &file):
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// prepare makes the buckets of a new file and checks the version of one that is not.
func prepare(tx *bbolt.Tx) error {
	if about := tx.Bucket(bucketAbout); about != nil {
		v := about.Get(keySchema)
		switch {
		case len(v) != 4 || tx.Bucket(bucketPeers) == nil:
			return ErrDamaged
		case binary.BigEndian.Uint32(v) != schema:
			return fmt.Errorf("%w: it has schema %d, this one reads %d", ErrVersion, binary.BigEndian.Uint32(v), schema)
		}
		return nil
	}
	if k, _ := tx.Cursor().First(); k != nil {
		return fmt.Errorf("%w: it has a bucket %q", ErrDamaged, k)
	}
	about, err := tx.CreateBucket(bucketAbout)
	if err == nil {
		err = about.Put(keySchema, binary.BigEndian.AppendUint32(nil, schema))
	}
	if err == nil {
		_, err = tx.CreateBucket(bucketPeers)
	}
	return err
}

// Close closes the file. Nothing waits in memory that is not on disk.
func (s *Store) Close() error { return s.db.Close() }

// peer is an eNB as it is stored.
type peer struct {
	Addrs []netip.Addr `json:"addrs"`
	Port  uint16       `json:"port"`
	Encap uint16       `json:"encap,omitempty"`
	Since time.Time    `json:"since"`
}

func keyOf(g id.GlobalENBID) []byte { return []byte(g.String()) }

// Remember implements [mme.Memory].
func (s *Store) Remember(p mme.Peer) error {
	b, err := json.Marshal(peer{p.At.Addrs, p.At.Port, p.At.EncapPort, p.Since})
	if err != nil {
		return fmt.Errorf("store of the MME: eNB %v: %w", p.ENB, err)
	}
	return s.write("eNB "+p.ENB.String(), func(tx *bbolt.Tx) error {
		peers, k := tx.Bucket(bucketPeers), keyOf(p.ENB)
		if peers.Get(k) == nil && peers.Stats().KeyN >= maxPeers {
			return fmt.Errorf("%d eNBs are remembered, more are not", maxPeers)
		}
		return peers.Put(k, b)
	})
}

// Forget implements [mme.Memory].
func (s *Store) Forget(p mme.Peer) error {
	return s.write("eNB "+p.ENB.String(), func(tx *bbolt.Tx) error {
		peers, k := tx.Bucket(bucketPeers), keyOf(p.ENB)
		b := peers.Get(k)
		if b == nil {
			return nil
		}
		if have, err := parse(k, b); err == nil && !have.Since.Equal(p.Since) {
			return nil
		}
		return peers.Delete(k)
	})
}

func (s *Store) write(what string, f func(*bbolt.Tx) error) error {
	if err := s.db.Batch(f); err != nil {
		return fmt.Errorf("store of the MME: %s: %w", what, err)
	}
	return nil
}

// Peers implements [mme.Memory].
func (s *Store) Peers() ([]mme.Peer, error) {
	var all []mme.Peer
	err := s.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketPeers).ForEach(func(k, b []byte) error {
			p, err := parse(k, b)
			all = append(all, p)
			return err
		})
	})
	return all, err
}

func parse(k, b []byte) (mme.Peer, error) {
	g, err := id.ParseGlobalENBID(string(k))
	var p peer
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err == nil && len(p.Addrs) == 0 {
		err = errors.New("it has no address")
	}
	if err != nil {
		return mme.Peer{}, fmt.Errorf("%w: eNB %q: %w", ErrDamaged, k, err)
	}
	return mme.Peer{ENB: g, At: sctp.Peer{Addrs: p.Addrs, Port: p.Port, EncapPort: p.Encap}, Since: p.Since}, nil
}
