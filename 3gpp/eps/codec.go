package eps

import (
	"fmt"

	"campanile.network/3gpp/id"
)

// Direction tells who sent a message. One message type octet may mean two
// messages: DETACH REQUEST has a different content in each direction.
type Direction bool

// The two directions.
const (
	Uplink   Direction = false // from the UE
	Downlink Direction = true  // from the network
)

// MessageType is a message type octet (TS 24.301 §9.8) with the octet that
// tells its protocol before it: 0x07 EMM, 0x02 ESM, 0xc7 SERVICE REQUEST.
type MessageType uint16

// String is the spec's name of the message.
func (t MessageType) String() string {
	if s := t.name(); s != "" {
		return s
	}
	if t>>8 == pdESM {
		return fmt.Sprintf("ESM message type 0x%02x", uint8(t))
	}
	return fmt.Sprintf("EMM message type 0x%02x", uint8(t))
}

// PTI is a procedure transaction identity (TS 24.301 §9.4): 0 is none, 255 is
// reserved.
type PTI uint8

// A Message is a plain NAS message, a pointer to one of this package's
// structs. Its String is a tree with the spec's names; subscribers'
// identities in it are masked.
type Message interface {
	MessageType() MessageType
	String() string
	table() *table
	rest() *Unparsed
}

// ESM is a session management message.
type ESM interface {
	Message
	Header() (id.EBI, PTI)
	setHeader(id.EBI, PTI)
}

// Opt is an element that need not be there: OK says that V is.
type Opt[T any] struct {
	V  T
	OK bool
}

// Some is an element that is there.
func Some[T any](v T) Opt[T] { return Opt[T]{v, true} }

// An element is the value of an information element. decode gets the value
// part alone, a half octet in bits 1 to 4 of one octet, and may keep a part
// of it; encode appends what decode reads.
type element interface {
	decode(b []byte) error
	encode(dst []byte) []byte
	String() string
}

type format uint8

const (
	half format = iota // type 1 without IEI, bits 1 to 4 first
	v
	lv
	lve
	tv1 // type 1 with IEI in bits 5 to 8
	tv
	tlv
	tlve
)

// A row is a row of a message's table. min and max count octets of the value
// part. A spare half octet has no get. has, of an optional element, tells
// whether it is there.
type row struct {
	name     string
	format   format
	iei      uint8
	optional bool
	min, max uint32
	get      func(Message) (el element, has *bool)
}

type table struct {
	name             string
	uplink, downlink bool
	rows             []row
}

// mandatory is the number of rows before the first optional one.
func (t *table) mandatory() int {
	for i := range t.rows {
		if t.rows[i].optional {
			return i
		}
	}
	return len(t.rows)
}

const (
	pdESM = 0x2 // TS 24.007 §11.2.3.1.1
	pdEMM = 0x7
)

// Append appends m in its canonical form, elements in the order of the table.
// It fails if a mandatory element has no value or a value does not fit, naming
// the element; dst is then returned as it was.
func Append(dst []byte, m Message) ([]byte, error) {
	if m == nil {
		return dst, problem("no message to append")
	}
	t := m.table()
	out := appendHeader(dst, m)
	high := false
	for i := range t.rows {
		row := &t.rows[i]
		if row.format == half {
			var el element
			if row.get != nil {
				el, _ = row.get(m)
			}
			out = appendHalf(out, el, high)
			high = !high
			continue
		}
		el, has := row.get(m)
		if has != nil && !*has {
			continue
		}
		var n int
		if out, n = appendElement(out, row, el); n < int(row.min) || n > int(row.max) {
			return dst, fmt.Errorf("%v: %s: %d octets, want %d to %d", m.MessageType(), row.name, n, row.min, row.max)
		}
	}
	return append(out, m.rest().Octets...), nil
}

func appendHeader(dst []byte, m Message) []byte {
	t := m.MessageType()
	switch {
	case t == TypeServiceRequest:
		return append(dst, byte(t>>8))
	case t>>8 == pdESM:
		ebi, pti := m.(ESM).Header()
		return append(dst, byte(ebi)<<4|pdESM, byte(pti), byte(t))
	}
	return append(dst, pdEMM, byte(t))
}

func appendHalf(dst []byte, el element, high bool) []byte {
	n := len(dst)
	if el != nil {
		dst = el.encode(dst)
	} else {
		dst = append(dst, 0)
	}
	val := dst[n] & 15
	if high {
		dst[n-1] |= val << 4
		return dst[:n]
	}
	dst[n] = val
	return dst
}

// appendElement tells how many octets the value has.
func appendElement(dst []byte, row *row, el element) ([]byte, int) {
	head := 0
	switch row.format {
	case tv1:
		n := len(dst)
		dst = el.encode(dst)
		dst[n] = row.iei | dst[n]&15
		return dst, 1
	case tv:
		dst = append(dst, row.iei)
	case lv:
		dst, head = append(dst, 0), 1
	case tlv:
		dst, head = append(dst, row.iei, 0), 1
	case lve:
		dst, head = append(dst, 0, 0), 2
	case tlve:
		dst, head = append(dst, row.iei, 0, 0), 2
	}
	start := len(dst)
	dst = el.encode(dst)
	n := len(dst) - start
	switch head {
	case 1:
		dst[start-1] = byte(n)
	case 2:
		dst[start-2], dst[start-1] = byte(n>>8), byte(n)
	}
	return dst, n
}
