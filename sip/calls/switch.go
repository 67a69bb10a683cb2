package calls

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// Switch carries calls.
type Switch struct {
	o      Options
	trunks []*trunk
	stop   chan struct{} // closed when Serve ends
	quiet  chan struct{} // closed when it has, and no peer has to hear anything
	once   sync.Once
	wait   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	calls  map[*call]struct{}
	legs   map[string]*leg     // by our tag
	begun  map[string]*call    // by the INVITE's Call-ID, From tag and CSeq
	ours   map[string]struct{} // Call-IDs that we made
	busy   map[id.IMSI]int     // calls of a subscriber
	stats  counts
}

// New makes a switch. Requests get to it by Handle; trunks register and calls
// end in order while Serve runs.
func New(o Options) (*Switch, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	w := &Switch{
		o: o, stop: make(chan struct{}), quiet: make(chan struct{}),
		calls: map[*call]struct{}{}, legs: map[string]*leg{}, begun: map[string]*call{},
		ours: map[string]struct{}{}, busy: map[id.IMSI]int{},
	}
	w.stats.ended = map[string]uint64{}
	for i := range o.Trunks {
		w.trunks = append(w.trunks, newTrunk(w, &w.o.Trunks[i]))
	}
	return w, nil
}

// Serve keeps trunks registered until ctx ends; then it ends all calls, and
// returns when none is left.
func (w *Switch) Serve(ctx context.Context) error {
	var keeping sync.WaitGroup
	for _, t := range w.trunks {
		keeping.Go(func() { t.keep(ctx) })
	}
	<-ctx.Done()
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	close(w.stop)
	keeping.Wait()
	w.wait.Wait()
	w.mu.Lock()
	w.last()
	w.mu.Unlock()
	select { // peers may be told twice that it is over
	case <-w.quiet:
	case <-time.After(byeTime):
	}
	return nil
}

// byeTime is how long the end waits for peers to say that they have heard BYE.
const byeTime = 2 * time.Second

// last says that the switch is at its end and no peer has anything left to say.
// Switch.mu is held.
func (w *Switch) last() {
	if w.closed && len(w.calls)+len(w.legs) == 0 {
		w.once.Do(func() { close(w.quiet) })
	}
}

// Handle takes a request of calls: an INVITE, or anything within a dialog that
// an INVITE made, an ACK too. An INVITE's Handle returns when its call ends.
func (w *Switch) Handle(_ context.Context, s *txn.Server) {
	m := s.Request
	if m.To.Tag() != "" {
		w.within(s)
		return
	}
	switch m.Method {
	case sip.MethodInvite:
		w.begin(s)
	case sip.MethodAck:
	default:
		w.reply(s, 481)
	}
}

// within brings a request to the dialog that it is of.
func (w *Switch) within(s *txn.Server) {
	m := s.Request
	w.mu.Lock()
	l := w.legs[m.To.Tag()]
	w.mu.Unlock()
	switch {
	case l == nil || l.callID != m.CallID:
		w.count(&w.stats.strange)
		w.reply(s, 481)
	case l.call.inbox.put(event{leg: l, server: s}):
	case m.Method == sip.MethodBye: // it crossed ours
		w.reply(s, 200)
	default:
		w.reply(s, 481)
	}
}

// reply answers with nothing but a status.
func (w *Switch) reply(s *txn.Server, status int) {
	if s.Request.Method != sip.MethodAck {
		w.answer(s, s.Request.Response(status, ""))
	}
}

// answer sends an answer; where that fails, the peer's timers see to it.
func (w *Switch) answer(s *txn.Server, r *sip.Message) {
	if s.Respond(r) != nil {
		w.count(&w.stats.unsent)
	}
}

// begin makes a call of an INVITE, and is that call.
func (w *Switch) begin(s *txn.Server) {
	c, status := w.admit(s)
	if c == nil {
		r := s.Request.Response(status, "")
		if status == 503 {
			r.Set("Retry-After", "10")
		}
		w.answer(s, r)
		return
	}
	defer w.wait.Done()
	c.run()
}

// admit enters a call, or says why not. What it refuses costs next to nothing.
func (w *Switch) admit(s *txn.Server) (*call, int) {
	m := s.Request
	key := m.CallID + "\x00" + m.From.Tag() + "\x00" + m.CSeq.String()
	w.mu.Lock()
	defer w.mu.Unlock()
	_, mine := w.ours[m.CallID]
	switch {
	case w.closed:
		return nil, 503
	case mine || w.begun[key] != nil: // a loop, or a fork that was merged (RFC 3261 §8.2.2.2)
		w.stats.loops++
		return nil, 482
	case len(w.calls) >= w.o.Policy.MaxCalls && !w.asksHelp(m):
		w.stats.full++
		return nil, 503
	}
	c := newCall(w, s, key)
	w.calls[c] = struct{}{}
	w.begun[key] = c
	w.legs[c.legs[0].tag] = c.legs[0]
	w.wait.Add(1)
	w.stats.begun++
	return c, 0
}

// asksHelp says whether an INVITE looks like an emergency call; who sent it is
// looked at later. Their number is bounded, too, to twice what else is allowed.
func (w *Switch) asksHelp(m *sip.Message) bool {
	d, err := w.o.Numbers.Read(m.URI.User)
	return (m.URI.User == "" || err == nil && d.Kind == KindEmergency) && len(w.calls) < 2*w.o.Policy.MaxCalls
}

// enter makes a leg that we call known.
func (w *Switch) enter(l *leg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.legs[l.tag] = l
	w.ours[l.callID] = struct{}{}
}

// forget ends what peers may say within a dialog.
func (w *Switch) forget(l *leg) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.legs, l.tag)
	if l.side == 1 {
		delete(w.ours, l.callID)
	}
	w.last()
}

// take counts a call of a subscriber, if he may have one more.
func (w *Switch) take(imsi id.IMSI) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[imsi] >= w.o.Policy.PerSubscriber {
		return false
	}
	w.busy[imsi]++
	return true
}

func (w *Switch) give(imsi id.IMSI) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy[imsi]--; w.busy[imsi] <= 0 {
		delete(w.busy, imsi)
	}
}

// leave ends a call's being counted.
func (w *Switch) leave(c *call, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.calls, c)
	delete(w.begun, c.key)
	w.stats.ended[why]++
	w.last()
}

func (w *Switch) count(n *uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*n++
}

// counts are guarded by Switch.mu.
type counts struct {
	begun, answered, emergency   uint64
	full, loops, strange, unsent uint64
	handovers, digits, seconds   uint64
	ended                        map[string]uint64
}

// Stats are counts since New, and what is now.
type Stats struct {
	Begun     uint64            // INVITEs that were let in
	Answered  uint64            // calls
	Emergency uint64            // calls that asked for help
	Full      uint64            // refused for there were too many calls
	Loops     uint64            // INVITEs that had been here before
	Strange   uint64            // requests within no dialog that is known
	Unsent    uint64            // messages that could not be sent
	Handovers uint64            // calls that went on at another cell
	Digits    uint64            // keys that were passed on
	Voice     time.Duration     // spoken, answered calls together
	Ended     map[string]uint64 // calls, by how they ended
	Calls     int               // now
	Trunks    []TrunkStatus
}

// Stats gives the counts.
func (w *Switch) Stats() Stats {
	w.mu.Lock()
	n := w.stats
	s := Stats{
		Begun: n.begun, Answered: n.answered, Emergency: n.emergency, Full: n.full, Loops: n.loops, Strange: n.strange,
		Unsent: n.unsent, Handovers: n.handovers, Digits: n.digits, Voice: time.Duration(n.seconds) * time.Millisecond,
		Ended: maps.Clone(n.ended), Calls: len(w.calls),
	}
	w.mu.Unlock()
	for _, t := range w.trunks {
		s.Trunks = append(s.Trunks, t.status())
	}
	return s
}

// Calls are the calls of now, the oldest first; numbers mask themselves.
func (w *Switch) Calls() []Record {
	w.mu.Lock()
	all := slices.Collect(maps.Keys(w.calls))
	w.mu.Unlock()
	shown := make([]Record, len(all))
	for i, c := range all {
		shown[i] = *c.shown.Load()
	}
	slices.SortFunc(shown, func(a, b Record) int { return cmp.Or(a.Start.Compare(b.Start), cmp.Compare(a.ID, b.ID)) })
	return shown
}
