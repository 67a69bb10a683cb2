package sipgw

import (
	"net/netip"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/home"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/digest"
)

const (
	challengeLife = 30 * time.Second // as at the home
	perAsker      = 8                // open challenges of one subscriber, asked for from one address
)

// asked is a challenge that somebody has been sent. An answer to it counts once,
// from where it was asked for, and for the subscriber it was made for.
type asked struct {
	rand    [16]byte // its nonce is or begins with it
	id      home.ChallengeID
	method  home.Method
	kind    Kind
	imsi    id.IMSI
	station *Station
	from    netip.Addr
	expires time.Time
	decoy   bool // there is no such subscriber; only an answer shows it

	// The answer that it was used up by, and what that got: the same request may
	// come again beside the transaction layer, for old cells have no branches.
	used   answerID
	answer *sip.Message
}

// answerID tells an answer from another one.
type answerID struct {
	callID, response, auts string
	cseq                   uint32
}

func idOf(m *sip.Message, c digest.Credentials) answerID {
	return answerID{m.CallID, c.Response, c.AUTS, m.CSeq.Seq}
}

type asker struct {
	imsi id.IMSI
	from netip.Addr
}

// questions has the open challenges. All live equally long, so the oldest are in
// front of their queue. Of too many the oldest are forgotten, and strangers push out
// strangers alone: whoever floods makes challenges live shorter, and nobody wait.
type questions struct {
	mu       sync.Mutex
	byRAND   map[[16]byte]*asked
	byAsker  map[asker][]*asked
	strange  fifo
	stations fifo
}

// fifo is a queue of challenges, some of which are forgotten already.
type fifo struct {
	list []*asked
	max  int
}

func newQuestions(max int) *questions {
	return &questions{byRAND: map[[16]byte]*asked{}, byAsker: map[asker][]*asked{}, strange: fifo{max: max}, stations: fifo{max: max}}
}

// put enters a challenge. Of too many by one asker the oldest goes.
func (q *questions) put(a *asked, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	f := &q.strange
	if a.station != nil {
		f = &q.stations
	}
	for len(f.list) > 0 && (len(f.list) >= f.max || !f.list[0].expires.After(now)) {
		q.drop(f.list[0])
		f.list[0] = nil
		f.list = f.list[1:]
	}
	k := asker{a.imsi, a.from}
	if mine := q.byAsker[k]; len(mine) >= perAsker {
		q.drop(mine[0])
	}
	q.byRAND[a.rand] = a
	q.byAsker[k] = append(q.byAsker[k], a)
	f.list = append(f.list, a)
}

// forget makes as if a challenge had never been.
func (q *questions) forget(a *asked) {
	q.mu.Lock()
	q.drop(a)
	q.mu.Unlock()
}

func (q *questions) drop(a *asked) {
	if q.byRAND[a.rand] != a {
		return
	}
	delete(q.byRAND, a.rand)
	k := asker{a.imsi, a.from}
	mine := q.byAsker[k]
	for i, o := range mine {
		if o == a {
			mine = append(mine[:i], mine[i+1:]...)
			break
		}
	}
	if len(mine) == 0 {
		delete(q.byAsker, k)
	} else {
		q.byAsker[k] = mine
	}
}

// take gives the challenge that an answer is to, and uses it up. again says that the
// very same answer has been here; answer is what it got, nil: nothing yet.
func (q *questions) take(rand [16]byte, imsi id.IMSI, s *Station, who answerID, now time.Time) (a *asked, again bool, answer *sip.Message) {
	q.mu.Lock()
	defer q.mu.Unlock()
	a = q.byRAND[rand]
	switch {
	case a == nil, !a.expires.After(now), a.imsi != imsi, a.station != s:
		return nil, false, nil
	case a.used == answerID{}:
		a.used = who
		return a, false, nil
	case a.used == who:
		return nil, true, a.answer
	}
	return nil, false, nil
}

// answered keeps what an answer got.
func (q *questions) answered(a *asked, m *sip.Message) {
	q.mu.Lock()
	a.answer = m
	q.mu.Unlock()
}

func (q *questions) open() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.byRAND)
}
