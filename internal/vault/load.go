package vault

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble"
)

// loadChunk is how many records a goroutine gets at a time to open and read.
const loadChunk = 512

// chunk is some records as they stand on disk. It is filled again when it was read:
// a million records leave no garbage.
type chunk struct {
	octets []byte   // of all, each a key and a value
	ends   [][2]int // of each key and value
}

func (c *chunk) add(key, value []byte) {
	c.octets = append(append(c.octets, key...), value...)
	c.ends = append(c.ends, [2]int{len(c.octets) - len(value), len(c.octets)})
}

// Load gives the values of all records of a kind to f, by several goroutines at a time,
// each good until f returns; and the names of those to bad that do not open: they were
// altered, or sealed under another key. It gives how many these are.
func (v *Vault) Load(kind byte, f, bad func([]byte)) (lost int, err error) {
	var n64 atomic.Int64
	var readers sync.WaitGroup
	n := runtime.GOMAXPROCS(0)
	work, free := make(chan *chunk, n), make(chan *chunk, 2*n+1)
	for range cap(free) {
		free <- &chunk{}
	}
	for range n {
		readers.Go(func() {
			var record []byte
			for c := range work {
				record = v.read(c, record, f, func(name []byte) { n64.Add(1); bad(name) })
				c.octets, c.ends = c.octets[:0], c.ends[:0]
				free <- c
			}
		})
	}
	next := <-free
	err = v.each(kind, func(key, value []byte) {
		if next.add(key, value); len(next.ends) == loadChunk {
			work <- next
			next = <-free
		}
	})
	work <- next
	close(work)
	readers.Wait()
	return int(n64.Load()), err
}

// read gives the records of a chunk to f, each in the place of the one before, which
// it gives back.
func (v *Vault) read(c *chunk, record []byte, f, bad func([]byte)) []byte {
	at := 0
	for _, end := range c.ends {
		key, value := c.octets[at:end[0]], c.octets[end[0]:end[1]]
		at = end[1]
		b, err := v.s.open(record[:0], key, value)
		if err != nil {
			bad(key)
			continue
		}
		f(b)
		record = b
	}
	return record
}

// Each gives the names on disk of all records of a kind and their values, good until f
// returns, or why one does not open.
func (v *Vault) Each(kind byte, f func(name, value []byte, err error)) error {
	return v.each(kind, func(key, value []byte) {
		b, err := v.s.open(nil, key, value)
		f(key, b, err)
	})
}

// each gives all records of a kind. Key and value are good until f returns.
func (v *Vault) each(kind byte, f func(key, value []byte)) error {
	it, err := v.db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
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
