package sms

import (
	"container/list"
	"slices"
	"time"
)

// A Peer is between whom a message goes: references of parts are unique only
// within it. A phone leaves To zero.
type Peer struct{ From, To Address }

// JoinLimits bound what a Joiner keeps. Zero fields have defaults.
type JoinLimits struct {
	Parts   int           // of all messages: 4096
	PerPeer int           // parts between two: 512
	Age     time.Duration // since the last part came: 24 h
}

// A Joiner keeps the parts of messages until they are whole. It is bounded in
// number and age, and not safe for use by several goroutines.
type Joiner struct {
	limits JoinLimits
	byKey  map[joinKey]*list.Element
	order  list.List // of *Incomplete, the longest without news first
	parts  int
	peers  map[Peer]int // parts of each
}

// A message is named by its total too: a part that contradicts the others in
// that belongs to another message.
type joinKey struct {
	peer      Peer
	reference uint16
	wide      bool
	total     uint8
}

// Incomplete is a message of which parts are missing.
type Incomplete struct {
	Peer      Peer
	Reference uint16
	Wide      bool
	Total     uint8
	Parts     []Part    // that came, in their order
	Last      time.Time // when the last of them came
}

func (m *Incomplete) key() joinKey { return joinKey{m.Peer, m.Reference, m.Wide, m.Total} }

// NewJoiner makes a Joiner.
func NewJoiner(limits JoinLimits) *Joiner {
	limits = JoinLimits{positive(limits.Parts, 4096), positive(limits.PerPeer, 512), positive(limits.Age, 24*time.Hour)}
	return &Joiner{limits: limits, byKey: map[joinKey]*list.Element{}, peers: map[Peer]int{}}
}

// positive is v if it is positive, else what stands for it.
func positive[T int | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// Len is how many parts are kept.
func (j *Joiner) Len() int { return j.parts }

// Add takes a part that came at now. It gives the message, its parts in order,
// if this part makes it whole or is all of it, and what was given up: messages
// too old, the oldest where a limit is reached, and one whose reference was
// used again before it was whole. A part that came already changes nothing. The
// Joiner keeps p's octets.
func (j *Joiner) Add(now time.Time, peer Peer, p Part) (whole []Part, lost []Incomplete) {
	lost = j.Expire(now)
	c, ok := p.concatenation()
	if !ok || c.Total == 1 {
		return []Part{p}, lost
	}
	m := Incomplete{Peer: peer, Reference: c.Reference, Wide: c.Wide, Total: c.Total}
	e := j.byKey[m.key()]
	at := 0
	if e != nil {
		var same bool
		parts := e.Value.(*Incomplete).Parts
		at, same = slices.BinarySearchFunc(parts, c.Number, func(p Part, n uint8) int { return int(p.number()) - int(n) })
		if same && parts[at].equal(p) {
			return nil, lost
		}
		if same {
			lost, e, at = append(lost, j.remove(e)), nil, 0
		}
	}
	if e == nil {
		e = j.order.PushBack(&m)
		j.byKey[m.key()] = e
	}
	kept := e.Value.(*Incomplete)
	kept.Parts = slices.Insert(kept.Parts, at, p)
	kept.Last = now
	j.order.MoveToBack(e)
	j.parts++
	j.peers[peer]++
	if len(kept.Parts) == int(c.Total) {
		return j.remove(e).Parts, lost
	}
	return nil, append(lost, j.shrink(peer)...)
}

// Expire gives up the messages of which no part came within the age, counted
// from now.
func (j *Joiner) Expire(now time.Time) []Incomplete {
	var lost []Incomplete
	for e := j.order.Front(); e != nil && now.Sub(e.Value.(*Incomplete).Last) >= j.limits.Age; e = j.order.Front() {
		lost = append(lost, j.remove(e))
	}
	return lost
}

// shrink gives up messages until the limits hold, of peer first.
func (j *Joiner) shrink(peer Peer) []Incomplete {
	var lost []Incomplete
	for e := j.order.Front(); e != nil && j.peers[peer] > j.limits.PerPeer; {
		next := e.Next()
		if e.Value.(*Incomplete).Peer == peer {
			lost = append(lost, j.remove(e))
		}
		e = next
	}
	for j.parts > j.limits.Parts {
		lost = append(lost, j.remove(j.order.Front()))
	}
	return lost
}

func (j *Joiner) remove(e *list.Element) Incomplete {
	m := j.order.Remove(e).(*Incomplete)
	delete(j.byKey, m.key())
	j.parts -= len(m.Parts)
	if j.peers[m.Peer] -= len(m.Parts); j.peers[m.Peer] == 0 {
		delete(j.peers, m.Peer)
	}
	return *m
}
