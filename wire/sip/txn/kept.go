package txn

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// kept is what is left of transactions that have only to repeat one message, or
// to keep silent, until a timer: octets in a ring, oldest first, without a
// pointer for the collector to follow. When the ring is full, the oldest go.
type kept struct {
	ring       []byte
	limit      int
	head, tail uint64 // of what is in use, counted from the beginning of time
	index      map[key]uint64
	early      uint64 // forgotten before their time
}

// An entry is: key (16), expiry (8), address (16), port (2), socket (2), length
// (4), message. An entry with no socket fills the ring up to its end.
const (
	keptHead    = 48
	keptFiller  = 0xffff
	keptMinimum = 1 << 16
)

func newKept(limit int) kept {
	return kept{limit: max(limit, keptMinimum), index: make(map[key]uint64)}
}

// add keeps a message (none: silence) that answers whatever has the key.
func (k *kept) add(id key, now, expiry time.Duration, to netip.AddrPort, socket int, message []byte) {
	need := uint64(keptHead+len(message)+7) &^ 7
	if need > uint64(k.limit)/2 {
		return
	}
	k.room(need, now)
	b := k.at(k.head)
	binary.LittleEndian.PutUint64(b, id[0])
	binary.LittleEndian.PutUint64(b[8:], id[1])
	binary.LittleEndian.PutUint64(b[16:], uint64(expiry))
	a := to.Addr().As16()
	copy(b[24:], a[:])
	binary.LittleEndian.PutUint16(b[40:], to.Port())
	binary.LittleEndian.PutUint16(b[42:], uint16(socket))
	binary.LittleEndian.PutUint32(b[44:], uint32(len(message)))
	copy(b[keptHead:], message)
	k.index[id] = k.head
	k.head += need
}

// find gives what answers a key; the message is valid until the next add.
func (k *kept) find(id key, now time.Duration) (to netip.AddrPort, socket int, message []byte, ok bool) {
	at, ok := k.index[id]
	if !ok {
		return
	}
	b := k.at(at)
	if time.Duration(binary.LittleEndian.Uint64(b[16:])) <= now {
		return to, 0, nil, false
	}
	to = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[24:40])).Unmap(), binary.LittleEndian.Uint16(b[40:]))
	n := binary.LittleEndian.Uint32(b[44:])
	return to, int(binary.LittleEndian.Uint16(b[42:])), b[keptHead : keptHead+n], true
}

func (k *kept) at(pos uint64) []byte { return k.ring[pos%uint64(len(k.ring)):] }

// room makes need octets free at head, in one piece.
func (k *kept) room(need uint64, now time.Duration) {
	if k.ring == nil {
		k.ring = make([]byte, keptMinimum)
	}
	for k.tail < k.head && k.expired(now) {
		k.drop()
	}
	for {
		size := uint64(len(k.ring))
		gap := size - k.head%size
		free := size - (k.head - k.tail)
		switch {
		case gap >= need && free >= need:
			return
		case gap < need && free >= gap: // the rest of the ring is too short
			if gap >= keptHead {
				b := k.at(k.head)
				binary.LittleEndian.PutUint16(b[42:], keptFiller)
			}
			k.head += gap
		case 2*len(k.ring) <= k.limit:
			k.grow()
		default:
			k.early++
			k.drop()
		}
	}
}

func (k *kept) expired(now time.Duration) bool {
	size, filler := k.oldest()
	_ = size
	return filler || time.Duration(binary.LittleEndian.Uint64(k.at(k.tail)[16:])) <= now
}

// oldest is the length of the oldest entry, and whether it only fills.
func (k *kept) oldest() (size uint64, filler bool) {
	b := k.at(k.tail)
	if len(b) < keptHead || binary.LittleEndian.Uint16(b[42:]) == keptFiller {
		return uint64(len(b)), true
	}
	return uint64(keptHead+int(binary.LittleEndian.Uint32(b[44:]))+7) &^ 7, false
}

func (k *kept) drop() {
	size, filler := k.oldest()
	if !filler {
		b := k.at(k.tail)
		id := key{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
		if k.index[id] == k.tail {
			delete(k.index, id)
		}
	}
	k.tail += size
}

// grow doubles the ring.
func (k *kept) grow() {
	old := *k
	k.ring = make([]byte, 2*len(old.ring))
	k.head, k.tail = 0, 0
	clear(k.index)
	for old.tail < old.head {
		size, filler := old.oldest()
		if !filler {
			b := old.at(old.tail)[:size]
			copy(k.ring[k.head:], b)
			k.index[key{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}] = k.head
			k.head += size
		}
		old.tail += size
	}
}
