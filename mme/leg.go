package mme

import (
	"crypto/rand"
	"encoding/binary"
	"sync"

	"campanile.network/3gpp/id"
	"campanile.network/mme/trace"
)

// leg is one S1 connection of a phone: a UE-associated logical S1-connection
// (TS 36.413 §3.1). Its ids and eNB never change, but that the target of a
// handover says its own only with its answer; its owner may.
type leg struct {
	enb    *enb
	mmeID  id.MMEUEID
	enbID  id.ENBUEID
	stream uint16 // of everything sent to the phone

	line trace.Line // for who traces the phone

	mu    sync.Mutex
	owner *conn
	tai   id.TAI // where the phone is, as the eNB last said
	cell  id.ECGI
}

// deliver puts what the eNB said into the owner's mailbox.
func (l *leg) deliver(msg any) putResult {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner == nil {
		return putClosed
	}
	return l.owner.in.put(inbound{leg: l, msg: msg}, false)
}

// tell puts word of the MME itself into the owner's mailbox.
func (l *leg) tell(word any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner != nil {
		l.owner.in.put(inbound{leg: l, msg: word}, true)
	}
}

// give hands the leg from its owner to another connection, first and whatever
// else has arrived in the same order. False if to has ended.
func (l *leg) give(to *conn, first inbound) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	first.leg, first.msg = l, newLeg{first.msg}
	if to.in.put(first, true) != putOK {
		return false
	}
	for _, in := range l.owner.in.close() {
		to.in.put(in, true)
	}
	l.owner = to
	return true
}

// own makes c the first owner.
func (l *leg) own(c *conn) {
	l.mu.Lock()
	l.owner = c
	l.mu.Unlock()
}

// seen notes where the phone is.
func (l *leg) seen(tai id.TAI, cell id.ECGI) {
	l.mu.Lock()
	l.tai, l.cell = tai, cell
	l.mu.Unlock()
}

// place gives where the phone is.
func (l *leg) place() (id.TAI, id.ECGI) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tai, l.cell
}

// legTable finds legs by MME UE S1AP ID and eNBs by their global id.
type legTable struct {
	mu    sync.RWMutex
	max   int
	byMME map[id.MMEUEID]*leg
	byENB map[*enb]map[id.ENBUEID]*leg
	asked map[id.MMEUEID]*leg // of byMME, targets of handovers that have not answered: without eNB UE S1AP ID
	enbs  map[id.GlobalENBID]*enb
}

// minShare is how many S1 connections an eNB may have at least, if there is room.
const minShare = 1024

func newLegTable(most int) *legTable {
	return &legTable{max: most, byMME: map[id.MMEUEID]*leg{}, byENB: map[*enb]map[id.ENBUEID]*leg{}, asked: map[id.MMEUEID]*leg{}, enbs: map[id.GlobalENBID]*enb{}}
}

// draw gives an MME UE S1AP ID nobody has and nobody can guess: in a PATH SWITCH
// REQUEST an eNB names a phone by it alone (TS 36.413 §8.4.4).
func (t *legTable) draw() id.MMEUEID {
	for {
		var b [4]byte
		rand.Read(b[:]) // does not fail since Go 1.24
		if n := id.MMEUEID(binary.BigEndian.Uint32(b[:])); n != 0 && t.byMME[n] == nil {
			return n
		}
	}
}

// open makes a leg. It also gives the leg that had the same eNB UE S1AP ID, if
// any: the eNB has dropped that one. Nil when the table is full, or the eNB has
// its share: one that opens S1 connections without end leaves room for others.
func (t *legTable) open(e *enb, n id.ENBUEID) (l, former *leg) {
	t.mu.Lock()
	defer t.mu.Unlock()
	former = t.vacate(e, n)
	if t.full(e) {
		return nil, former
	}
	l = t.make(e, t.draw(), n)
	t.byMME[l.mmeID] = l
	return l, former
}

// vacate removes the leg that has an eNB UE S1AP ID and gives it.
func (t *legTable) vacate(e *enb, n id.ENBUEID) *leg {
	former := t.byENB[e][n]
	if former != nil {
		t.remove(former)
	}
	return former
}

func (t *legTable) full(e *enb) bool {
	return len(t.byMME) >= t.max || len(t.byENB[e]) >= max(t.max/4, minShare)
}

func (t *legTable) make(e *enb, m id.MMEUEID, n id.ENBUEID) *leg {
	l := &leg{enb: e, mmeID: m, enbID: n, stream: e.ueStream(m)}
	t.put(l)
	return l
}

func (t *legTable) put(l *leg) {
	if t.byENB[l.enb] == nil {
		t.byENB[l.enb] = map[id.ENBUEID]*leg{}
	}
	t.byENB[l.enb][l.enbID] = l
}

func (t *legTable) remove(l *leg) {
	if t.byMME[l.mmeID] == l {
		delete(t.byMME, l.mmeID)
		delete(t.asked, l.mmeID)
	}
	if own := t.byENB[l.enb]; own[l.enbID] == l {
		delete(own, l.enbID)
		if len(own) == 0 {
			delete(t.byENB, l.enb)
		}
	}
}

// close forgets a leg.
func (t *legTable) close(l *leg) {
	t.mu.Lock()
	t.remove(l)
	t.mu.Unlock()
}

// pair is the answer to a pair of ids in a message of an eNB.
type pair int

const (
	pairFits    pair = iota
	pairUnknown      // no such MME UE S1AP ID
	pairForeign      // it is another eNB's
	pairDiffers      // it has another eNB UE S1AP ID
)

// find looks up the ids of a message from e (TS 36.413 §10.6).
func (t *legTable) find(e *enb, m id.MMEUEID, n id.ENBUEID) (*leg, pair) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if l := t.byENB[e][n]; l != nil && l.mmeID == m { // during a path switch two have one MME UE S1AP ID
		return l, pairFits
	}
	l := t.byMME[m]
	switch {
	case l == nil:
		return nil, pairUnknown
	case l.enb != e:
		return nil, pairForeign
	}
	return l, pairDiffers
}

// named gives the legs of e that a pair of ids names by either id; a nil id
// names none.
func (t *legTable) named(e *enb, m *id.MMEUEID, n *id.ENBUEID) []*leg {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var out []*leg
	if m != nil {
		if l := t.byMME[*m]; l != nil && l.enb == e {
			out = append(out, l)
		}
	}
	if n != nil {
		if l := t.byENB[e][*n]; l != nil && (len(out) == 0 || out[0] != l) {
			out = append(out, l)
		}
	}
	return out
}

// of gives all legs of an eNB.
func (t *legTable) of(e *enb) []*leg {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]*leg, 0, len(t.byENB[e]))
	for _, l := range t.byENB[e] {
		out = append(out, l)
	}
	for _, l := range t.asked {
		if l.enb == e {
			out = append(out, l)
		}
	}
	return out
}

// count tells how many legs an eNB has.
func (t *legTable) count(e *enb) int {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.byENB[e])
}

// join notes that an eNB is up and gives the association it had before.
func (t *legTable) join(e *enb, g id.GlobalENBID) (former *enb) {
	t.mu.Lock()
	defer t.mu.Unlock()
	former = t.enbs[g]
	t.enbs[g] = e
	return former
}

// leave forgets an eNB; false if it has joined by another association since.
func (t *legTable) leave(e *enb, g id.GlobalENBID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.enbs[g] != e {
		return false
	}
	delete(t.enbs, g)
	return true
}

// enb finds an eNB; nil if there is none.
func (t *legTable) enb(g id.GlobalENBID) *enb {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.enbs[g]
}

func (t *legTable) all() []*enb {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]*enb, 0, len(t.enbs))
	for _, e := range t.enbs {
		out = append(out, e)
	}
	return out
}

func (t *legTable) size() (enbs, legs int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.enbs), len(t.byMME)
}
