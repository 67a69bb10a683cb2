// Package recent is a map that forgets: what is remembered of a conversation
// without end has to be bounded. It is not a cache of anything that could be
// looked up again.
package recent

import "iter"

// Map holds so many entries and forgets the one that was added first when it
// is full. Make it with New.
type Map[K comparable, V any] struct {
	limit   int
	entries map[K]V
	order   []K // each key once, oldest at first
	first   int
}

// New makes a map of at most limit entries.
func New[K comparable, V any](limit int) *Map[K, V] {
	return &Map[K, V]{limit: limit, entries: map[K]V{}}
}

// Get gives an entry.
func (m *Map[K, V]) Get(k K) (V, bool) {
	v, ok := m.entries[k]
	return v, ok
}

// Set adds or replaces an entry; replacing does not make it younger.
func (m *Map[K, V]) Set(k K, v V) {
	if _, known := m.entries[k]; !known {
		if len(m.order) < m.limit {
			m.order = append(m.order, k)
		} else {
			delete(m.entries, m.order[m.first])
			m.order[m.first] = k
			m.first = (m.first + 1) % m.limit
		}
	}
	m.entries[k] = v
}

// Newest gives the keys, youngest first.
func (m *Map[K, V]) Newest() iter.Seq[K] {
	return func(yield func(K) bool) {
		for i := range m.order {
			if !yield(m.order[(m.first+len(m.order)-1-i)%len(m.order)]) {
				return
			}
		}
	}
}
