package vault

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble"
)

// loadParts is into how many parts of equal size a kind is cut for Load. Names on disk
// are pseudorandom, so each has about as many records.
const loadParts = 32

// Load gives the values of all records of a kind to f, by several goroutines at a time,
// each value good until f returns; and the names of those to bad that do not open: they
// were altered, or sealed under another key. It gives how many these are.
func (v *Vault) Load(kind byte, f, bad func([]byte)) (lost int, err error) {
	var (
		readers sync.WaitGroup
		next, n atomic.Int64
		failed  atomic.Pointer[error]
	)
	for range min(runtime.GOMAXPROCS(0), loadParts) {
		readers.Go(func() {
			var record []byte // in the place of the one before
			for i := next.Add(1) - 1; i < loadParts && failed.Load() == nil; i = next.Add(1) - 1 {
				err := v.between(bound(kind, int(i)), bound(kind, int(i)+1), func(key, value []byte) {
					b, err := v.s.open(record[:0], key, value)
					if err != nil {
						n.Add(1)
						bad(key)
						return
					}
					f(b)
					record = b
				})
				if err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	readers.Wait()
	if e := failed.Load(); e != nil {
		err = *e
	}
	return int(n.Load()), err
}

// bound is where a part of a kind begins, and the one before it ends.
func bound(kind byte, part int) []byte {
	switch part {
	case 0:
		return []byte{kind}
	case loadParts:
		return []byte{kind + 1}
	}
	return []byte{kind, byte(part * 256 / loadParts)}
}

// Each gives the names on disk of all records of a kind and their values, good until f
// returns, or why one does not open.
func (v *Vault) Each(kind byte, f func(name, value []byte, err error)) error {
	return v.between([]byte{kind}, []byte{kind + 1}, func(key, value []byte) {
		b, err := v.s.open(nil, key, value)
		f(key, b, err)
	})
}

// between gives all records from one key to before another. Key and value are good
// until f returns.
func (v *Vault) between(from, to []byte, f func(key, value []byte)) error {
	it, err := v.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return why(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		f(it.Key(), it.Value())
	}
	if err := it.Close(); err != nil {
		return why(err)
	}
	return nil
}
