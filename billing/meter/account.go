package meter

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/link"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

// Counts is what was carried: inner IP octets of both directions, milliseconds of
// voice and short messages.
type Counts struct {
	UL, DL   uint64
	VoiceMs  uint64 `json:",omitempty"`
	Messages uint64 `json:",omitempty"`
}

// Sum is the octets of both directions together.
func (o Counts) Sum() uint64 { return o.UL + o.DL }

// Carried is o as a tower is paid for it.
func (o Counts) Carried() proof.Carried {
	return proof.Carried{Bytes: o.Sum(), VoiceMs: o.VoiceMs, Messages: o.Messages}
}

func (o Counts) plus(p Counts) Counts {
	return Counts{o.UL + p.UL, o.DL + p.DL, o.VoiceMs + p.VoiceMs, o.Messages + p.Messages}
}

// less is o without p, and nothing where that is more.
func (o Counts) less(p Counts) Counts {
	return Counts{o.UL - min(p.UL, o.UL), o.DL - min(p.DL, o.DL), o.VoiceMs - min(p.VoiceMs, o.VoiceMs), o.Messages - min(p.Messages, o.Messages)}
}

// most is o as far as p goes.
func (o Counts) most(p Counts) Counts {
	return Counts{min(o.UL, p.UL), min(o.DL, p.DL), min(o.VoiceMs, p.VoiceMs), min(o.Messages, p.Messages)}
}

// account is one tower's. The exported part is what is stored of it.
type account struct {
	tower proof.TowerKey
	accountState
	tree     proof.Tree
	byTEID   map[id.TEID][]*segment // segments not yet final, in the order they began
	pools    map[id.TEID]*pool
	links    uint64      // how often the tower has joined
	reported time.Time   // last report of the tower
	sent     []byte      // the voucher that is stored and may be sent
	told     string      // what was last logged about the reserve
	hearing  notices     // what the tower has said ...
	notices  notices     // ... and what of it is stored
	atOnce   int         // notices stored at once since the last round
	radio    *link.Radio // as the tower said last, and when
	radioAt  time.Time
}

type accountState struct {
	Gateway Counts        // as the gateway counted, whatever came of it
	Tower   Counts        // as the tower counted
	Counted proof.Carried // what counts: arrived, under a ticket
	Channel uint64
	Before  proof.Carried // of Counted, what earlier channels have paid
	Extra   proof.Carried // of the channel, what the ledger knows and this store does not
	Seq     uint64        // of the newest voucher
	Amount  proof.Amount  // of it
	Billed  proof.Carried // of it
	Voucher []byte        // itself
	Seen    uint64        // number of the voucher the tower has confirmed
	Tree    []byte
}

// due is what the channel's voucher should say, were its reserve endless.
func (a *account) due() proof.Carried { return a.Counted.Less(a.Before).Plus(a.Extra) }

// lag is what is due and in no voucher.
func (a *account) lag() proof.Carried { return a.due().Less(a.Billed) }

// segment is one stay of a phone at a tower in one PDN session.
type segment struct {
	key     segmentKey
	account *account
	segmentState
}

type segmentState struct {
	Session uint64
	Ticket  proof.TicketID
	No      uint32
	TEID    id.TEID
	Start   time.Time
	Gateway Counts    // as the gateway counted
	Valid   Counts    // of Gateway, while the ticket was valid
	Arrived uint64    // of Valid.DL, what the tower saw arrive
	Counted Counts    // what counts
	Earlier Counts    // of Counted, what earlier channels have paid
	Closed  time.Time // zero while open
	Parts   []part    `json:",omitempty"` // what of it is of services
}

// receipt is the segment's leaf in the channel's tree.
func (s *segment) receipt() proof.Receipt {
	c := s.Counted.less(s.Earlier)
	return proof.Receipt{Ticket: s.Ticket, No: s.No, UL: c.UL, DL: c.DL, VoiceMs: c.VoiceMs, Messages: c.Messages}
}

func (s *segment) before(o *segment) int {
	return cmp.Or(s.Start.Compare(o.Start), cmp.Compare(s.Session, o.Session), cmp.Compare(s.No, o.No), slices.Compare(s.key[:], o.key[:]))
}

// pool is what a tower saw arrive and send on one tunnel: sums of finished
// runs of the tower's counting, and the run at hand.
type pool struct {
	Epoch   uint64
	Earlier Counts
	Run     Counts
	Given   uint64    // of the downlink sum, what segments were given
	At      time.Time // of the last change
}

// update takes a cumulative count. A new epoch, or a count that has fallen,
// is a run begun anew. It returns the growth.
func (p *pool) update(epoch uint64, o Counts, now time.Time) Counts {
	was := p.Run
	if p.Epoch != epoch || o.UL < was.UL || o.DL < was.DL {
		p.Earlier = p.Earlier.plus(was)
		p.Epoch, was = epoch, Counts{}
	}
	p.Run = o
	grown := Counts{UL: o.UL - was.UL, DL: o.DL - was.DL}
	if grown != (Counts{}) {
		p.At = now
	}
	return grown
}

// ticket is what has been used of one.
type ticket struct {
	Used     proof.Carried
	Cap      proof.Carried
	Over     proof.Carried // what was beyond the cap, for the record
	NotAfter time.Time
}

func newAccount(tower proof.TowerKey) *account {
	return &account{tower: tower, byTEID: map[id.TEID][]*segment{}, pools: map[id.TEID]*pool{}}
}

// open ranges over the segments that are not final.
func (a *account) open() iter.Seq[*segment] {
	return func(yield func(*segment) bool) {
		for _, list := range a.byTEID {
			for _, s := range list {
				if !yield(s) {
					return
				}
			}
		}
	}
}

func (m *Meter) account(tower proof.TowerKey) *account {
	a := m.accounts[tower]
	if a == nil {
		a = newAccount(tower)
		m.accounts[tower] = a
		m.changed.accounts[a] = true
	}
	return a
}

func (m *Meter) add(s *segment) {
	m.segments[s.key] = s
	list := append(s.account.byTEID[s.TEID], s)
	slices.SortFunc(list, (*segment).before)
	s.account.byTEID[s.TEID] = list
}

func (m *Meter) drop(s *segment) {
	delete(m.segments, s.key)
	a := s.account
	list := slices.DeleteFunc(a.byTEID[s.TEID], func(o *segment) bool { return o == s })
	if len(list) == 0 {
		delete(a.byTEID, s.TEID)
		return
	}
	a.byTEID[s.TEID] = list
}

// count lets what a segment carried count: of free services all, of the others as far
// as its ticket goes; the rest is put on record. What has come of downlink is taken to be of
// free services first.
func (m *Meter) count(s *segment, o Counts) {
	a := s.account
	if o == (Counts{}) {
		return
	}
	t, free := m.tickets[s.Ticket], m.deal(s, o, true)
	o = o.less(free)
	left := t.Cap.Less(t.Used)
	took := o.most(Counts{UL: left.Bytes, DL: left.Bytes, VoiceMs: left.VoiceMs, Messages: left.Messages})
	took.DL = min(took.DL, left.Bytes-took.UL)
	t.Used = t.Used.Plus(took.Carried())
	m.tally(usage.Terms{}, took.less(m.deal(s, took, false)))
	s.Counted = s.Counted.plus(took).plus(free)
	a.Counted = a.Counted.Plus(took.Carried()).Plus(free.Carried())
	if over := o.less(took); over != (Counts{}) {
		if t.Over == (proof.Carried{}) {
			m.Logger.Warn("ticket used up", "ticket", s.Ticket, "cap", t.Cap, "tower", a.tower.Short())
		}
		t.Over = t.Over.Plus(over.Carried())
		m.excuse(OverCap, over)
	}
	m.changed.tickets[s.Ticket] = true
	m.changed.segments[s] = true
	m.changed.accounts[a] = true
}

// share gives what has arrived on a tunnel to its segments, oldest first, none
// more than the gateway sent within it.
func (m *Meter) share(a *account, teid id.TEID) {
	p := a.pools[teid]
	if p == nil {
		return
	}
	sum := p.Earlier.DL + p.Run.DL
	left := sum - min(sum, p.Given)
	for _, s := range a.byTEID[teid] {
		took := min(left, s.Valid.DL-s.Arrived)
		if took == 0 {
			continue
		}
		left -= took
		p.Given += took
		s.Arrived += took
		m.changed.pools[poolKey{a, teid}] = true
		m.count(s, Counts{DL: took})
	}
}

// patience is how long a closed segment waits for a tower that is not heard.
const patience = 7 * 24 * time.Hour

// finish makes closed segments final whose downlink has all arrived, or whose
// tower has spoken since and will not say more.
func (m *Meter) finish(a *account, now time.Time) {
	var over []*segment
	for s := range a.open() {
		if !s.Closed.IsZero() && (s.Arrived == s.Valid.DL || a.reported.Sub(s.Closed) > m.Linger || now.Sub(s.Closed) > patience) {
			over = append(over, s)
		}
	}
	slices.SortFunc(over, (*segment).before)
	for _, s := range over {
		if s.Counted != s.Earlier {
			a.tree.Append(s.receipt().Leaf())
		}
		m.drop(s)
		m.bury(s.key, m.tickets[s.Ticket].NotAfter)
		m.changed.segments[s] = true
		m.changed.accounts[a] = true
	}
}

// bury remembers that a segment is final, so that a record told again is known
// for what it is, as long as anybody could tell it.
func (m *Meter) bury(k segmentKey, last time.Time) {
	m.done[k] = last.Add(2 * patience)
	m.changed.done[k] = true
}

// silence is for how long a tunnel is remembered: longer than a tower repeats
// itself. With a tower that has had very many it is shortSilence, and what it
// repeats is news; no segment gets more of it than the gateway sent.
const (
	silence      = 24 * time.Hour
	shortSilence = time.Minute
)

// prunePools forgets tunnels without segments that have been silent for so long.
func (m *Meter) prunePools(a *account, now time.Time, silent time.Duration) {
	for teid, p := range a.pools {
		if len(a.byTEID[teid]) == 0 && now.Sub(p.At) > silent {
			delete(a.pools, teid)
			m.changed.pools[poolKey{a, teid}] = true
		}
	}
}

// prune forgets tickets and final segments long after anybody could still
// report under them.
func (m *Meter) prune(now time.Time) {
	used := map[proof.TicketID]bool{}
	for _, s := range m.segments {
		used[s.Ticket] = true
	}
	for id, t := range m.tickets {
		if !used[id] && now.Sub(t.NotAfter) > 2*patience {
			delete(m.tickets, id)
			m.changed.tickets[id] = true
		}
	}
	for k, until := range m.done {
		if now.After(until) {
			delete(m.done, k)
			m.changed.done[k] = true
		}
	}
	for k, l := range m.loose {
		if now.Sub(l.At) > patience {
			m.excuse(l.Reason, l.Count)
			delete(m.loose, k)
			m.changed.loose[k] = true
		}
	}
}
