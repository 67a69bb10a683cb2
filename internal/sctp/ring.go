package sctp

import "sync"

// ring is a queue in a slice that grows by doubling.
type ring[T any] struct {
	buf  []T
	head int
	n    int
}

func (r *ring[T]) push(v T) *T {
	if r.n == len(r.buf) {
		grown := make([]T, max(16, 2*len(r.buf)))
		k := copy(grown, r.buf[r.head:])
		copy(grown[k:], r.buf[:r.head])
		r.buf, r.head = grown, 0
	}
	r.n++
	p := r.at(r.n - 1)
	*p = v
	return p
}

func (r *ring[T]) at(i int) *T { return &r.buf[(r.head+i)&(len(r.buf)-1)] }

func (r *ring[T]) pop() T {
	var zero T
	p := r.at(0)
	v := *p
	*p = zero
	r.head = (r.head + 1) & (len(r.buf) - 1)
	r.n--
	return v
}

// block is a pooled copy of outgoing user data.
type block struct {
	b    []byte
	home *sync.Pool
}

const smallBlock = 256

// blocks hands out buffers of two sizes, so that a queue of short messages does not take a packet's room for each.
type blocks struct{ small, large sync.Pool }

func (s *blocks) get(n, mtu int) *block {
	pool, size := &s.large, mtu
	if n <= smallBlock {
		pool, size = &s.small, smallBlock
	}
	if b, _ := pool.Get().(*block); b != nil {
		return b
	}
	return &block{make([]byte, size), pool}
}

func (b *block) free() { b.home.Put(b) }
