// Package table is the memory that packets are charged in: one record for each
// session (quota, aggregate rates) and one for each bearer (counts, its own
// rates), at fixed places in octets that may be a file, so that they outlive the
// process, or maps of the kernel's, so that programs there charge the same
// records. All of it is changed by atomic operations alone.
//
// It knows no packets and no tunnels; who owns which record is the back end's
// affair.
package table

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"campanile.network/gateway/datapath"
)

// Sizes of the records, octets.
const (
	SessionSize = 64
	BearerSize  = 128
	ClassSize   = (datapath.Classes - 1) * countersSize

	countersSize = 48
)

// Counters are a datapath.Count in shared memory.
type Counters [6]uint64

// Indices into Counters.
const (
	ULOctets = iota
	ULPackets
	DLOctets
	DLPackets
	LostOctets
	LostPackets
)

// Add counts one packet; octets is ULOctets, DLOctets or LostOctets. A process
// that is killed within has counted the octets and not yet the packet.
func (c *Counters) Add(octets int, n int) {
	atomic.AddUint64(&c[octets], uint64(n))
	atomic.AddUint64(&c[octets+1], 1)
}

// Count reads them.
func (c *Counters) Count() datapath.Count {
	get := func(i int) uint64 { return atomic.LoadUint64(&c[i]) }
	return datapath.Count{ULOctets: get(ULOctets), ULPackets: get(ULPackets), DLOctets: get(DLOctets), DLPackets: get(DLPackets), LostOctets: get(LostOctets), LostPackets: get(LostPackets)}
}

func (c *Counters) reset() {
	for i := range c {
		atomic.StoreUint64(&c[i], 0)
	}
}

// Bearer is a bearer's record; it is at the slot of its TEID. Atomic operations
// only.
type Bearer struct {
	TEID     uint32 // whose counts they are; 0: nobody's yet
	Session  uint32 // slot of its session
	Counters Counters
	source   atomic.Uint64 // IPv4 address, two octets of nothing, port; 0: unknown
	UL, DL   Policer       // MBR
	_        [4]uint64
}

// SetSource notes whence the bearer's tower sends, where that is not GTP-U's own
// port; a NAT of IPv6 is not kept.
func (b *Bearer) SetSource(from netip.AddrPort) {
	if !from.Addr().Is4() {
		b.source.Store(0)
		return
	}
	a := from.Addr().As4()
	b.source.Store(uint64(binary.BigEndian.Uint32(a[:]))<<32 | uint64(from.Port()))
}

// Source is what SetSource has noted.
func (b *Bearer) Source() (from netip.AddrPort, ok bool) {
	v := b.source.Load()
	if v == 0 {
		return from, false
	}
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], uint32(v>>32))
	return netip.AddrPortFrom(netip.AddrFrom4(a), uint16(v)), true
}

// Session is a session's record. Atomic operations only.
type Session struct {
	Used      uint64 // octets charged
	Quota     uint64
	Threshold uint64 // 0: none
	ID        uint64 // datapath.SessionID; 0: the record is free
	UL, DL    Policer
}

// Charge adds n octets if the quota allows; the check and the addition are one
// step, so two cores cannot overshoot together. used is what is charged then.
func (s *Session) Charge(n uint64) (ok bool, used uint64) {
	for {
		used := atomic.LoadUint64(&s.Used)
		if quota := atomic.LoadUint64(&s.Quota); used >= quota || n > quota-used {
			return false, used
		}
		if atomic.CompareAndSwapUint64(&s.Used, used, used+n) {
			return true, used + n
		}
	}
}

// Refund takes back what was charged for a packet that was not handed on.
func (s *Session) Refund(n uint64) { atomic.AddUint64(&s.Used, -n) }

// Table is the records.
type Table struct {
	sessions []Session
	bearers  []Bearer
	classes  []Counters // Classes-1 for each bearer; nil: not counted
	start    time.Time
	origin   uint64 // ns at start
	close    func() error
	sync     func() error
}

// New makes a table in memory that ends with the process.
func New(sessions, bearers int, classes bool) *Table {
	t := &Table{sessions: make([]Session, sessions), bearers: make([]Bearer, bearers)}
	if classes {
		t.classes = make([]Counters, bearers*(datapath.Classes-1))
	}
	t.begin()
	return t
}

// Over makes a table of others' memory, at least as aligned as a uint64: so many
// octets of SessionSize, BearerSize and, if classes are counted, ClassSize for
// each bearer.
func Over(sessions, bearers, classes []byte) (*Table, error) {
	if len(sessions)%SessionSize != 0 || len(bearers)%BearerSize != 0 || len(classes) != 0 && len(classes)/ClassSize != len(bearers)/BearerSize || len(sessions) == 0 || len(bearers) == 0 {
		return nil, fmt.Errorf("table: %d, %d and %d octets are no whole records of %d, %d and %d", len(sessions), len(bearers), len(classes), SessionSize, BearerSize, ClassSize)
	}
	t := &Table{
		sessions: unsafe.Slice((*Session)(unsafe.Pointer(&sessions[0])), len(sessions)/SessionSize),
		bearers:  unsafe.Slice((*Bearer)(unsafe.Pointer(&bearers[0])), len(bearers)/BearerSize),
	}
	if len(classes) > 0 {
		t.classes = unsafe.Slice((*Counters)(unsafe.Pointer(&classes[0])), len(classes)/countersSize)
	}
	t.begin()
	return t, nil
}

// begin forgets the virtual times of another run: the clock may have begun anew.
func (t *Table) begin() {
	t.start, t.origin = time.Now(), monotonic()
	for i := range t.sessions {
		t.sessions[i].UL.tat.Store(0)
		t.sessions[i].DL.tat.Store(0)
	}
	for i := range t.bearers {
		t.bearers[i].UL.tat.Store(0)
		t.bearers[i].DL.tat.Store(0)
	}
}

// Sessions is how many session records there are.
func (t *Table) Sessions() int { return len(t.sessions) }

// Bearers is how many bearer records there are.
func (t *Table) Bearers() int { return len(t.bearers) }

// Session gives a record by its slot.
func (t *Table) Session(slot uint32) *Session { return &t.sessions[slot] }

// Bearer gives a record by its slot.
func (t *Table) Bearer(slot uint32) *Bearer { return &t.bearers[slot] }

// Class gives the counters of a bearer's class, 1 to datapath.Classes-1; nil
// where classes are not counted.
func (t *Table) Class(slot uint32, class uint8) *Counters {
	if t.classes == nil {
		return nil
	}
	return &t.classes[int(slot)*(datapath.Classes-1)+int(class)-1]
}

// Classes says that they are counted.
func (t *Table) Classes() bool { return t.classes != nil }

// Usage reads a bearer's counts.
func (t *Table) Usage(slot uint32) datapath.Usage {
	u := datapath.Usage{Count: t.bearers[slot].Counters.Count()}
	if t.classes == nil {
		return u
	}
	u.Class[0] = u.Count
	for c := uint8(1); c < datapath.Classes; c++ {
		u.Class[c] = t.Class(slot, c).Count()
		u.Class[0] = u.Class[0].Sub(u.Class[c])
	}
	return u
}

// TakeBearer makes the record of a slot that of teid: its counts begin at 0, or
// go on if resume is set and they are that TEID's.
func (t *Table) TakeBearer(slot, teid, session uint32, resume bool) *Bearer {
	b := &t.bearers[slot]
	if !resume || atomic.LoadUint32(&b.TEID) != teid {
		atomic.StoreUint32(&b.TEID, 0)
		b.Counters.reset()
		b.source.Store(0)
		for c := uint8(1); c < datapath.Classes && t.classes != nil; c++ {
			t.Class(slot, c).reset()
		}
	}
	atomic.StoreUint32(&b.Session, session)
	atomic.StoreUint32(&b.TEID, teid)
	return b
}

// TakeSession makes a record that of a session: what it used begins at 0 or, if
// resume is set and it is that session's, goes on.
func (t *Table) TakeSession(slot uint32, id uint64, resume bool) *Session {
	s := &t.sessions[slot]
	if !resume || atomic.LoadUint64(&s.ID) != id {
		atomic.StoreUint64(&s.ID, 0)
		atomic.StoreUint64(&s.Used, 0)
	}
	atomic.StoreUint64(&s.Quota, datapath.NoQuota)
	atomic.StoreUint64(&s.Threshold, 0)
	atomic.StoreUint64(&s.ID, id)
	return s
}

// FreeSession gives a record back.
func (t *Table) FreeSession(slot uint32) { atomic.StoreUint64(&t.sessions[slot].ID, 0) }

// Sync writes what is in a file to its disk, which bounds what a power cut loses;
// the death of the process loses nothing.
func (t *Table) Sync() error {
	if t.sync == nil {
		return nil
	}
	return t.sync()
}

// Close gives the memory back; nobody may use a record afterwards.
func (t *Table) Close() error {
	if t.close == nil {
		return nil
	}
	return t.close()
}

// ErrFile says that a file is no table, or one of another shape.
var ErrFile = errors.New("table: not a table of this shape")

// Charged is how many octets were charged.
func (s *Session) Charged() uint64 { return atomic.LoadUint64(&s.Used) }

// Spent says that nothing more can be charged.
func (s *Session) Spent() bool { return s.Charged() >= atomic.LoadUint64(&s.Quota) }

// Limit is the threshold, 0 for none.
func (s *Session) Limit() uint64 { return atomic.LoadUint64(&s.Threshold) }

// Owner is the session whose record it is, 0 if it is free.
func (s *Session) Owner() uint64 { return atomic.LoadUint64(&s.ID) }

// SetQuota changes the bounds of what may be charged.
func (s *Session) SetQuota(octets, threshold uint64) {
	atomic.StoreUint64(&s.Threshold, threshold)
	atomic.StoreUint64(&s.Quota, octets)
}

// Lasting says that the table outlives the process.
func (t *Table) Lasting() bool { return t.sync != nil }
