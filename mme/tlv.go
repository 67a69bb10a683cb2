package mme

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/mme/s11"
	"campanile.network/wire/proof"
)

// table is how a T is written: rows of tag, length and value. Only what is not
// zero is written. A table is never to use a tag for two things: what has been on
// somebody's disk must not be misread.
type table[T any] []row[T]

// row is one field. put appends a whole row, header included, or nothing.
type row[T any] struct {
	tag  uint8
	name string
	put  func(b []byte, v *T) []byte
	get  func(r *tlvReader, v *T)
}

// codec is how a value looks in a row. get reads all of r.
type codec[V any] struct {
	put func([]byte, V) []byte
	get func(*tlvReader) V
}

// errRecord says that a record cannot be read.
var errRecord = errors.New("phone's record")

// tlvReader reads a row's value; the first error stays. A million records make no
// garbage: what is read and not kept is in its place in the reader.
type tlvReader struct {
	b   []byte
	err error

	imsi    id.IMSI // whose record it is, once that row is read
	lease   *lease  // the last that was read
	state   s11.State
	restore restorer
}

// restorer makes of what was written what it was.
type restorer struct {
	ticket  func(raw []byte) (proof.Ticket, error)
	session func(s11.State) (*s11.Session, error)
	apns    *apns      // of all records; may be nil
	readers *sync.Pool // of those that have been used; may be nil
}

// reader gives one for a record, which is to be given back by done.
func (s restorer) reader(record []byte) (r *tlvReader) {
	if s.readers != nil {
		r, _ = s.readers.Get().(*tlvReader)
	}
	if r == nil {
		r = &tlvReader{}
	}
	*r = tlvReader{b: record, restore: s}
	return r
}

func (r *tlvReader) done() {
	if r.restore.readers != nil {
		r.restore.readers.Put(r)
	}
}

func (r *tlvReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %w", errRecord, fmt.Errorf(format, args...))
	}
}

// take gives the next n octets, or zeros if there are fewer.
func (r *tlvReader) take(n int) []byte {
	if len(r.b) < n {
		r.fail("%d octets, want %d", len(r.b), n)
		return make([]byte, n)
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *tlvReader) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || v > limit {
		r.fail("number %x is none, or above %d", r.b[:min(len(r.b), 10)], limit)
		return 0
	}
	r.b = r.b[n:]
	return v
}

// rowHeader is tag and length of a row.
const rowHeader = 3

func appendRow(b []byte, tag uint8, value func([]byte) []byte) []byte {
	b = append(b, tag, 0, 0)
	at := len(b)
	b = value(b)
	binary.BigEndian.PutUint16(b[at-2:], uint16(len(b)-at))
	return b
}

// append appends every row of v.
func (t table[T]) append(b []byte, v *T) []byte {
	for i := range t {
		b = t[i].put(b, v)
	}
	return b
}

// read reads rows until r is empty.
func (t table[T]) read(r *tlvReader, v *T) {
	rest := r.b
	for len(rest) > 0 && r.err == nil {
		r.b = rest
		tag := r.take(1)[0]
		n := int(binary.BigEndian.Uint16(r.take(2)))
		value := r.take(n)
		rest = r.b
		if r.err != nil {
			return
		}
		at := t.find(tag)
		if at == nil {
			r.fail("row %d is unknown: a newer campanile wrote it", tag)
			return
		}
		r.b = value
		at.get(r, v)
		if r.err == nil && len(r.b) > 0 {
			r.fail("%d octets too many", len(r.b))
		}
		if r.err != nil {
			r.err = fmt.Errorf("%s: %w", at.name, r.err)
		}
	}
	r.b = nil
}

// find gives the row of a tag; rows are in the order of their tags, mostly
// without gaps.
func (t table[T]) find(tag uint8) *row[T] {
	for i := min(int(tag), len(t)) - 1; i >= 0; i-- {
		if t[i].tag == tag {
			return &t[i]
		}
	}
	return nil
}

// field is a row of a comparable value.
func field[T any, V comparable](tag uint8, name string, at func(*T) *V, c codec[V]) row[T] {
	return row[T]{tag, name,
		func(b []byte, v *T) []byte {
			var zero V
			if *at(v) == zero {
				return b
			}
			return appendRow(b, tag, func(b []byte) []byte { return c.put(b, *at(v)) })
		},
		func(r *tlvReader, v *T) { *at(v) = c.get(r) }}
}

// list is a row for each element, most of them at most.
func list[T, V any](tag uint8, name string, most int, at func(*T) *[]V, c codec[V]) row[T] {
	return row[T]{tag, name,
		func(b []byte, v *T) []byte {
			for _, e := range *at(v) {
				b = appendRow(b, tag, func(b []byte) []byte { return c.put(b, e) })
			}
			return b
		},
		func(r *tlvReader, v *T) {
			if len(*at(v)) >= most {
				r.fail("more than %d", most)
				return
			}
			*at(v) = append(*at(v), c.get(r))
		}}
}

// octets is a row of octets, most of them at most.
func octets[T any](tag uint8, name string, most int, at func(*T) *[]byte) row[T] {
	return row[T]{tag, name,
		func(b []byte, v *T) []byte {
			if len(*at(v)) == 0 {
				return b
			}
			return appendRow(b, tag, func(b []byte) []byte { return append(b, *at(v)...) })
		},
		func(r *tlvReader, v *T) {
			if len(r.b) > most {
				r.fail("%d octets, want at most %d", len(r.b), most)
				return
			}
			*at(v) = append([]byte(nil), r.take(len(r.b))...)
		}}
}

// nested is a codec of what has a table of its own.
func nested[V any](t table[V]) codec[*V] {
	return codec[*V]{
		func(b []byte, v *V) []byte { return t.append(b, v) },
		func(r *tlvReader) *V {
			v := new(V)
			t.read(r, v)
			return v
		}}
}

// number is a codec of an unsigned number up to limit.
func number[V ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~int](limit uint64) codec[V] {
	return codec[V]{
		func(b []byte, v V) []byte { return binary.AppendUvarint(b, uint64(v)) },
		func(r *tlvReader) V { return V(r.uvarint(limit)) }}
}

// truth is a codec of what is said by its being there.
func truth() codec[bool] {
	return codec[bool]{
		func(b []byte, _ bool) []byte { return b },
		func(*tlvReader) bool { return true }}
}

// instant is a codec of a time, to the nanosecond, between 1970 and 2262.
func instant() codec[time.Time] {
	return codec[time.Time]{
		func(b []byte, v time.Time) []byte { return binary.AppendUvarint(b, uint64(max(v.UnixNano(), 0))) },
		func(r *tlvReader) time.Time { return time.Unix(0, int64(r.uvarint(1<<63-1))) }}
}

// parsed is a codec of what has a text form.
func parsed[V any](text func(V) string, parse func(string) (V, error)) codec[V] {
	return rest(func(b []byte, v V) []byte { return append(b, text(v)...) }, func(b []byte) (V, error) { return parse(string(b)) })
}

// fixed is a codec of what has n octets.
func fixed[V any](n int, put func([]byte, V) []byte, get func([]byte) (V, error)) codec[V] {
	return codec[V]{put, func(r *tlvReader) V {
		v, err := get(r.take(n))
		if err != nil {
			r.fail("%w", err)
		}
		return v
	}}
}

// rest is a codec of what takes all octets of its row.
func rest[V any](put func([]byte, V) []byte, get func([]byte) (V, error)) codec[V] {
	return codec[V]{put, func(r *tlvReader) V {
		v, err := get(r.take(len(r.b)))
		if err != nil {
			r.fail("%w", err)
		}
		return v
	}}
}
