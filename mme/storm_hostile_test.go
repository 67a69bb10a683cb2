package mme

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
)

// recorder keeps some of what eNBs that behave have sent, but gives it out only
// when it has been answered long ago: before, it is as good as the original.
type recorder struct {
	rest time.Duration
	mu   sync.Mutex
	all  []recorded
	next int
}

type recorded struct {
	at  time.Time
	pdu []byte
}

const maxRecorded = 4096

func (r *recorder) keep(pdu []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	x := recorded{time.Now(), slices.Clone(pdu)}
	if len(r.all) < maxRecorded {
		r.all = append(r.all, x)
		return
	}
	r.all[r.next] = x
	r.next = (r.next + 1) % maxRecorded
}

// pick gives one; nil if there is none yet.
func (r *recorder) pick(rnd *rand.Rand) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) == 0 {
		return nil
	}
	x := r.all[rnd.IntN(len(r.all))]
	if time.Since(x.at) < r.rest {
		return nil
	}
	return slices.Clone(x.pdu)
}

// tap is an eNB's end of an association, heard by a recorder.
type tap struct {
	sctp.Association
	r *recorder
}

func (a tap) Send(ctx context.Context, stream uint16, ppid uint32, pdu []byte) error {
	a.r.keep(pdu)
	return a.Association.Send(ctx, stream, ppid, pdu)
}

// breath paces a hostile eNB, so that the MME is not merely busy; false at the end.
func (s *liveStorm) breath(e *enbPeer, i int) bool {
	s.sent.Add(1)
	if i%20 != 0 {
		return e.a.Err() == nil
	}
	select {
	case <-time.After(10 * time.Millisecond):
		return true
	case <-e.a.Done():
		return false
	}
}

// deaf reads what the MME sends, and does nothing about it.
func deaf(e *enbPeer) {
	e.w.ends.Go(func() {
		for {
			if _, err := e.a.Recv(context.Background()); err != nil {
				return
			}
		}
	})
}

// keyed is an eNB with a phone that has keys.
func (s *liveStorm) keyed(h *world, rnd *rand.Rand) {
	x := &storm{w: h, rnd: rnd, target: 0x100}
	x.e = h.towerIn(mine(h), 9)
	x.e.lossy = true
	p := h.phone(x.e)
	p.initial(p.attachRequest())
	p.authenticate()
	p.information()
	p.accepted()
	p.setupResponse()
	p.complete()
	x.mallory = p
	deaf(x.e)
	x.healthy = s.victim(h, rnd)
	for i := range 50 + rnd.IntN(300) {
		if i%10 == 0 {
			x.healthy = s.victim(h, rnd)
		}
		b := x.pdu()
		if rnd.IntN(8) == 0 {
			b = s.mutated(x, rnd)
		}
		if len(b) > 0 {
			x.e.raw(b)
		}
		if !s.breath(x.e, i) {
			return
		}
	}
}

// victim is a phone that behaves, as far as others know of it.
func (s *liveStorm) victim(h *world, rnd *rand.Rand) *phone {
	p := h.stranger(nil, "001010000000001")
	p.guti = &id.GUTI{GUMMEI: s.w.o.GUMMEI}
	all := s.w.m.known.all()
	if len(all) > 0 {
		u := all[rnd.IntN(len(all))]
		i := u.show(nil)
		p.imsi, p.guti.TMSI = i.IMSI, i.TMSI
	}
	p.mmeID, p.enbID = s.connection()
	return p
}

// connection gives the identities of some S1 connection that stands.
func (s *liveStorm) connection() (s1ap.MMEUES1APID, s1ap.ENBUES1APID) {
	s.w.m.legs.mu.Lock()
	defer s.w.m.legs.mu.Unlock()
	for _, l := range s.w.m.legs.byMME {
		return s1ap.MMEUES1APID(l.mmeID), s1ap.ENBUES1APID(l.enbID)
	}
	return 1, 1
}

// echo is an eNB that sends what it has seen others send, mutated.
func (s *liveStorm) echo(h *world, rnd *rand.Rand) {
	x := &storm{w: h, rnd: rnd, e: h.towerIn(mine(h), id.TAC(7+rnd.IntN(3)))}
	x.e.lossy = true
	deaf(x.e)
	s.echoes(x, rnd, 1000+rnd.IntN(3000))
}

// stranger does the same without S1 Setup.
func (s *liveStorm) stranger(h *world, rnd *rand.Rand) {
	x := &storm{w: h, rnd: rnd, e: h.dial()}
	x.e.lossy = true
	deaf(x.e)
	s.echoes(x, rnd, 1+rnd.IntN(300))
}

func (s *liveStorm) echoes(x *storm, rnd *rand.Rand, n int) {
	for i := range n {
		b := s.mutated(x, rnd)
		stream, payload := uint16(rnd.IntN(3)), uint32(ppid)
		if rnd.IntN(200) == 0 {
			stream, payload = uint16(rnd.IntN(16)), rnd.Uint32()
		}
		if len(b) > 0 {
			_ = x.e.a.Send(context.Background(), stream, payload, b) // the MME may have ended it
		}
		if !s.breath(x.e, i) {
			return
		}
	}
}

// setups is an eNB that does nothing but set up S1, also as others.
func (s *liveStorm) setups(h *world, rnd *rand.Rand) {
	x := &storm{w: h, rnd: rnd, e: h.dial()}
	x.e.lossy = true
	deaf(x.e)
	for i := range 1 + rnd.IntN(20) {
		m := x.e.setupRequest(mine(h))
		switch rnd.IntN(8) {
		case 0:
			m = x.e.setupRequest(0x100 + rnd.Uint32N(stormTowers))
		case 1:
			m = x.e.setupRequest(rnd.Uint32N(1 << 20))
		case 2:
			for range 256 {
				m.SupportedTAs = append(m.SupportedTAs, m.SupportedTAs[0])
			}
		}
		b, err := s1ap.Append(nil, m)
		if err != nil {
			continue
		}
		if rnd.IntN(2) == 0 {
			b = x.broken(b)
		}
		if len(b) > 0 {
			x.e.raw(b)
		}
		if !s.breath(x.e, 20*i) {
			return
		}
	}
}

// mutated is a recorded message, as it was or changed at one level or several.
func (s *liveStorm) mutated(x *storm, rnd *rand.Rand) []byte {
	b := s.seen.pick(rnd)
	if b == nil {
		return nil
	}
	for range 1 + rnd.IntN(2) {
		switch rnd.IntN(12) {
		case 0: // as it was: replayed
		case 1, 2, 3:
			b = x.broken(b)
		case 4:
			b = append(b, make([]byte, rnd.IntN(120<<10-len(b)))...)
		default:
			head, list := elements(b)
			if len(list) == 0 {
				return x.broken(b)
			}
			b = join(head, s.mutatedElements(x, rnd, list))
		}
	}
	return b
}

// element is an element of an S1AP message, whose value is not looked into.
type element struct {
	id    uint16
	crit  byte
	value []byte
}

// The elements that are of interest.
const (
	elementMMEID = 0
	elementENBID = 8
	elementNAS   = 26
)

func (s *liveStorm) mutatedElements(x *storm, rnd *rand.Rand, list []element) []element {
	n := rnd.IntN(len(list))
	switch rnd.IntN(12) {
	case 0:
		return slices.Delete(list, n, n+1)
	case 1:
		return slices.Insert(list, n, list[n])
	case 2:
		rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	case 3:
		list[n].crit = byte(rnd.IntN(3)) << 6
	case 4:
		list[n].id = uint16(rnd.IntN(400))
	case 5:
		list[n].value = make([]byte, rnd.IntN(60<<10))
	case 6: // another message's
		if _, other := elements(s.seen.pick(rnd)); len(other) > 0 {
			return append(list, other[rnd.IntN(len(other))])
		}
	case 7:
		m, n := s.connection()
		for i := range list {
			switch list[i].id {
			case elementMMEID:
				list[i].value = binary.BigEndian.AppendUint32([]byte{0xc0}, uint32(m))
			case elementENBID:
				list[i].value = append([]byte{0x80}, byte(n>>16), byte(n>>8), byte(n))
				if rnd.IntN(4) == 0 {
					list[i].value = []byte{0, byte(rnd.IntN(256))}
				}
			}
		}
	case 8, 9, 10:
		for i := range list {
			if list[i].id == elementNAS {
				list[i].value = octetString(mutatedNAS(x, rnd, list[i].value))
			}
		}
	default:
		list[n].value = x.broken(list[n].value)
	}
	return list
}

// mutatedNAS changes the NAS message in an element.
func mutatedNAS(x *storm, rnd *rand.Rand, value []byte) []byte {
	_, nas, ok := length(value)
	if !ok || len(nas) < 7 {
		return value
	}
	switch rnd.IntN(8) {
	case 0: // the code
		nas[1+rnd.IntN(4)] ^= 1 << rnd.IntN(8)
	case 1: // the count
		nas[5]++
	case 2: // the security header
		nas[0] = byte(rnd.IntN(16))<<4 | nas[0]&15
	case 3: // without protection
		nas = nas[6:]
	case 4:
		nas = append(nas, make([]byte, rnd.IntN(5000))...)
	case 5: // message type
		nas[len(nas)-1-rnd.IntN(min(len(nas)-1, 20))] = byte(rnd.Uint32())
	case 6:
		return x.broken(nas)
	}
	return nas
}

// elements takes an S1AP message apart: what is before its elements, and these; no
// elements if it cannot be read.
func elements(b []byte) (head []byte, list []element) {
	if len(b) < 4 {
		return nil, nil
	}
	n, body, ok := length(b[3:])
	if !ok || n < 3 {
		return nil, nil
	}
	head = slices.Clone(b[:3])
	for body = body[3:]; len(body) > 4; {
		e := element{id: binary.BigEndian.Uint16(body), crit: body[2]}
		n, rest, ok := length(body[3:])
		if !ok {
			return head, list
		}
		e.value = slices.Clone(rest[:n])
		list, body = append(list, e), rest[n:]
	}
	return head, list
}

// length reads a length determinant (X.691 §11.9) of less than 16384.
func length(b []byte) (n int, rest []byte, ok bool) {
	switch {
	case len(b) > 0 && b[0] < 0x80:
		n, rest = int(b[0]), b[1:]
	case len(b) > 1 && b[0] < 0xc0:
		n, rest = int(b[0]&0x3f)<<8|int(b[1]), b[2:]
	default:
		return 0, nil, false
	}
	return n, rest, n <= len(rest)
}

// octetString is b behind its length; more than 16383 octets are cut off.
func octetString(b []byte) []byte {
	b = b[:min(len(b), 1<<14-1)]
	if len(b) < 0x80 {
		return append([]byte{byte(len(b))}, b...)
	}
	return append([]byte{0x80 | byte(len(b)>>8), byte(len(b))}, b...)
}

func join(head []byte, list []element) []byte {
	body := []byte{0, byte(len(list) >> 8), byte(len(list))}
	for _, e := range list {
		body = append(binary.BigEndian.AppendUint16(body, e.id), e.crit)
		body = append(body, octetString(e.value)...)
	}
	return append(slices.Clone(head), octetString(body)...)
}
