//go:build linux

package xdp

import (
	"fmt"
	"iter"
	"net/netip"
	"sync"
	"sync/atomic"
	"unsafe"

	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
)

// session is what the bearers of one have together; it is at the slot of its record.
// mu orders all that is done to it and them, and may be held for a grace. There may
// be a million: neither it nor a bearer has pointers.
type session struct {
	mu                      sync.Mutex
	id                      datapath.SessionID // 0: nobody's
	v6                      [8]byte
	v4                      [4]byte
	bearers                 uint32 // slot of the first, plus one
	has4, has6              bool
	open, outPass, filtered bool // filtered: the programs have filters of it
}

// bearer is at the slot of its TEID. Who looks for one reads teid and session
// before he can lock the session, which guards all else.
type bearer struct {
	teid    atomic.Uint32 // 0: nobody's
	session atomic.Uint32 // slot
	next    uint32        // of the session: slot plus one
	hop     uint32        // 0: none
	tunnel  id.TEID       // the peer's
	far     [16]byte      // the peer, if there is one
	six     bool          // it is IPv6

	isDefault, captured bool
	fast                bool // the programs know it
}

func (b *bearer) slot() uint32 { return datapath.Slot(id.TEID(b.teid.Load())) }

// peer is the other end of the tunnel; invalid: the phone is idle.
func (b *bearer) peer() netip.Addr {
	switch {
	case b.six:
		return netip.AddrFrom16(b.far)
	case b.far == [16]byte{}:
		return netip.Addr{}
	}
	return netip.AddrFrom16(b.far).Unmap()
}

// place is the slot of a session.
func (p *Path) place(s *session) uint32 {
	return uint32((uintptr(unsafe.Pointer(s)) - uintptr(unsafe.Pointer(&p.sessions[0]))) / unsafe.Sizeof(*s))
}

// session finds a session and locks it.
func (p *Path) session(id datapath.SessionID) (*session, error) {
	if slot, ok := p.Path.SessionSlot(id); ok {
		s := &p.sessions[slot]
		s.mu.Lock()
		if s.id == id {
			return s, nil
		}
		s.mu.Unlock()
	}
	return nil, fmt.Errorf("%w: session %d", datapath.ErrUnknown, id)
}

// locked finds a bearer and locks its session.
func (p *Path) locked(teid id.TEID) (*session, *bearer, error) {
	if slot := datapath.Slot(teid); teid != 0 && int(slot) < len(p.bearers) {
		b := &p.bearers[slot]
		i := b.session.Load()
		s := &p.sessions[i]
		s.mu.Lock()
		if b.session.Load() == i && b.teid.Load() == uint32(teid) {
			return s, b, nil
		}
		s.mu.Unlock()
	}
	return nil, nil, fmt.Errorf("%w: %v", datapath.ErrUnknown, teid)
}

// each are the bearers of a session, in the order in which they were put.
func (p *Path) each(s *session) iter.Seq[*bearer] {
	return func(yield func(*bearer) bool) {
		for i := s.bearers; i != 0; i = p.bearers[i-1].next {
			if !yield(&p.bearers[i-1]) {
				return
			}
		}
	}
}

// join makes a bearer a session's last.
func (p *Path) join(s *session, b *bearer, teid id.TEID) {
	end := &s.bearers
	for *end != 0 {
		end = &p.bearers[*end-1].next
	}
	*end, b.next = datapath.Slot(teid)+1, 0
	b.session.Store(p.place(s))
	b.teid.Store(uint32(teid))
}

// part takes a bearer out of its session; nobody finds it any more.
func (p *Path) part(s *session, b *bearer) {
	for at := &s.bearers; *at != 0; at = &p.bearers[*at-1].next {
		if *at == b.slot()+1 {
			*at = b.next
			break
		}
	}
	b.teid.Store(0)
}

// policy is a bearer's; the slow path keeps it.
func (p *Path) policy(b *bearer) *datapath.Policy { return p.Path.Policy(id.TEID(b.teid.Load())) }

// PutSession implements datapath.Path.
func (p *Path) PutSession(d datapath.Session) error {
	if err := p.Path.PutSession(d); err != nil {
		return err
	}
	slot, _ := p.Path.SessionSlot(d.ID)
	atomic.StoreUint64(&p.k.alarms[slot], 0)
	s := &p.sessions[slot]
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id, s.open, s.outPass, s.filtered, s.bearers = d.ID, d.Open, false, false, 0
	s.has4, s.has6, s.v4, s.v6 = d.IPv4.IsValid(), d.IPv6.IsValid(), [4]byte{}, [8]byte{}
	if s.has4 {
		s.v4 = d.IPv4.As4()
	}
	if s.has6 {
		s.v6 = first8(d.IPv6.Addr())
	}
	return nil
}

// UpdateSession implements datapath.Path.
func (p *Path) UpdateSession(d datapath.Session) error {
	s, err := p.session(d.ID)
	if err != nil {
		return err
	}
	defer s.mu.Unlock()
	if err := p.Path.UpdateSession(d); err != nil {
		return err
	}
	s.open = d.Open
	p.reflag(s)
	return nil
}
