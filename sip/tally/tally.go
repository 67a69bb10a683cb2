package tally

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"campanile.network/internal/logs"
	"campanile.network/internal/vault"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

// Options of a Tally. The first four are required.
type Options struct {
	Store    *vault.Vault     // the caller closes it after Serve has returned
	Sink     usage.Sink       // who is told
	Operator proof.SigningKey // signs segments; its public half is the serving operator in tickets
	ChainID  string

	Every    time.Duration // counts are stored and told so often; 0 means 1 s
	MaxStays int           // at once; 0 means 65536
	Logger   *slog.Logger  // nil discards
}

// ErrFull says that there are as many stays as there may be.
var ErrFull = errors.New("tally: too many stays at once")

// Tally is the stays of an operator's GSM phones. Its methods may be called by several
// goroutines.
type Tally struct {
	o Options

	writing sync.Mutex // held while stays are written; before mu
	mu      sync.Mutex
	stays   map[*Stay]bool
	at      map[proof.TicketID]*Stay // where the ticket's phone is now
	dirty   map[*Stay]bool           // not stored as it is
	failing bool                     // the sink, as was logged
}

// New makes a Tally of what the store has.
func New(o Options) (*Tally, error) {
	switch {
	case o.Store == nil || o.Sink == nil:
		return nil, errors.New("tally: no store, or nobody to tell")
	case o.Operator.Ed25519() == nil || o.ChainID == "":
		return nil, errors.New("tally: no operator key, or no chain-id")
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.MaxStays == 0 {
		o.MaxStays = 65536
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	t := &Tally{o: o, stays: map[*Stay]bool{}, at: map[proof.TicketID]*Stay{}, dirty: map[*Stay]bool{}}
	return t, t.load()
}

// Stay is one phone's time at one cell under one ticket.
type Stay struct {
	t       *Tally
	ticket  proof.Ticket
	segment proof.Segment
	record         // as it is
	stored  record // as it is on disk
	told    record // as the sink has it
	calls   int    // that may still add to it
}

// Enter says that a ticket's phone is at a cell of a tower. Where it was before ends with
// the last call there; where it is already goes on, also after a restart. The caller has
// the ticket from the phone's home. Errors: ErrFull, or what is wrong with the ticket.
func (t *Tally) Enter(ticket []byte, tower proof.TowerKey, cell proof.Cell) (*Stay, error) {
	tk, err := proof.PeekTicket(t.o.ChainID, ticket)
	if err != nil {
		return nil, fmt.Errorf("tally: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.at[tk.ID]
	if was != nil && was.segment.Tower == tower && was.segment.Cell == cell {
		return was, nil
	}
	if len(t.stays) >= t.o.MaxStays {
		return nil, ErrFull
	}
	now := time.Now()
	sg := proof.Segment{ChainID: t.o.ChainID, Ticket: tk.ID, No: number(tk, now), Tower: tower, Cell: cell, Start: now.Truncate(time.Millisecond)}
	if was != nil {
		sg.No = max(sg.No, was.segment.No+1)
	}
	signed, err := sg.Sign(t.o.Operator)
	if err != nil {
		return nil, fmt.Errorf("tally: %w", err)
	}
	s := &Stay{t: t, ticket: tk, segment: sg, record: record{Ticket: string(ticket), Segment: string(signed)}}
	t.leave(was)
	t.stays[s], t.at[tk.ID] = true, s
	return s, nil
}

// number counts the segments of a ticket: by the tenth of a second, so that it goes on
// after a restart.
func number(tk proof.Ticket, now time.Time) uint32 {
	return uint32(min(max(1, now.Sub(tk.NotBefore)/(100*time.Millisecond)), math.MaxUint32/2))
}

// Leave says that the phone is there no more. Calls that are still on are counted to
// their end.
func (s *Stay) Leave() {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	s.t.leave(s)
}

func (t *Tally) leave(s *Stay) {
	if s == nil || !t.stays[s] {
		return
	}
	if t.at[s.ticket.ID] == s {
		delete(t.at, s.ticket.ID)
	}
	t.end(s)
}

// end closes a stay that nothing can be added to any more. One that nothing was added to
// is forgotten.
func (t *Tally) end(s *Stay) {
	if t.at[s.ticket.ID] == s || s.calls > 0 || s.Closed {
		return
	}
	if s.VoiceMs == 0 && s.Messages == 0 {
		delete(t.stays, s)
		return
	}
	s.Closed = true
	t.dirty[s] = true
}

// Cell is where the stay is.
func (s *Stay) Cell() proof.Cell { return s.segment.Cell }

// Tower is whose cell it is.
func (s *Stay) Tower() proof.TowerKey { return s.segment.Tower }

// Message counts n short messages from or to the phone, and returns when they are on
// disk, or with why they are not; they are counted all the same, and written as soon as
// that is possible. A stay that has ended counts no more.
func (s *Stay) Message(n int) error {
	t := s.t
	t.mu.Lock()
	if n <= 0 || s.Closed || !t.stays[s] {
		t.mu.Unlock()
		return nil
	}
	s.Messages += uint64(n)
	want := s.Messages
	t.dirty[s] = true
	t.mu.Unlock()
	return t.write(func() bool { return s.stored.Messages >= want })
}

// Call is a call of a phone, during its stay at a cell.
type Call struct {
	s     *Stay
	ended bool
}

// Call begins to count a call.
func (s *Stay) Call() *Call {
	s.t.mu.Lock()
	defer s.t.mu.Unlock()
	if s.Closed || !s.t.stays[s] {
		return &Call{s: s, ended: true}
	}
	s.calls++
	return &Call{s: s}
}

// Add counts d more of the call, in whole milliseconds. It is to be called every second
// or so, for what is not added yet is lost with the process.
func (c *Call) Add(d time.Duration) {
	c.s.t.mu.Lock()
	defer c.s.t.mu.Unlock()
	c.add(d)
}

func (c *Call) add(d time.Duration) {
	if ms := d.Milliseconds(); !c.ended && ms > 0 {
		c.s.VoiceMs += uint64(ms)
		c.s.t.dirty[c.s] = true
	}
}

// End adds the last of the call, which is over or goes on at another cell.
func (c *Call) End(d time.Duration) {
	t := c.s.t
	t.mu.Lock()
	defer t.mu.Unlock()
	c.add(d)
	if !c.ended {
		c.ended = true
		c.s.calls--
		t.end(c.s)
	}
}

// Stats is what a Tally has at present.
type Stats struct {
	Stays  int    // not told to their end
	Untold uint64 // of them, what the sink does not have as it is
	Why    string // the store's trouble, or nothing
}

// Stats looks.
func (t *Tally) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := Stats{Stays: len(t.stays), Why: t.o.Store.Failing()}
	for s := range t.stays {
		if s.record != s.told && (s.VoiceMs > 0 || s.Messages > 0) {
			out.Untold++
		}
	}
	return out
}

// Serve stores and tells counts until ctx ends, and then once more.
func (t *Tally) Serve(ctx context.Context) error {
	tick := time.NewTicker(t.o.Every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			t.round(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			t.round(last)
			return nil
		}
	}
}

// grace is for how long after its ticket's end a stay is kept that nobody has ended.
const grace = time.Minute

func (t *Tally) round(ctx context.Context) {
	now := time.Now()
	t.mu.Lock()
	for s := range t.stays {
		if now.Sub(s.ticket.NotAfter) > grace {
			t.leave(s)
		}
	}
	t.mu.Unlock()
	if err := t.write(nil); err != nil {
		t.o.Logger.Warn("counts of calls and messages are not written", logs.Error, err)
	}
	t.tell(ctx)
}
