package tally_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/vfs"

	"campanile.network/3gpp/id"
	"campanile.network/internal/vault"
	"campanile.network/sip/tally"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

const chainID = "campanile-test"

// sink is an operator's meter: it keeps the highest count of each segment.
type sink struct {
	mu    sync.Mutex
	fails error
	had   map[string]usage.Record
}

func (s *sink) Report(_ context.Context, records []usage.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil {
		return s.fails
	}
	for _, r := range records {
		old := s.had[string(r.Segment)]
		if r.Voice < old.Voice || r.Messages < old.Messages || old.Closed && (r.Voice != old.Voice || r.Messages != old.Messages) {
			return fmt.Errorf("%v, %d, %t after %v, %d, %t", r.Voice, r.Messages, r.Closed, old.Voice, old.Messages, old.Closed)
		}
		s.had[string(r.Segment)] = r
	}
	return nil
}

// world is a tally that can be killed, and who it tells.
type world struct {
	*tally.Tally
	t        *testing.T
	fs       *vfs.MemFS
	store    *vault.Vault
	operator proof.SigningKey
	node     proof.SigningKey
	sink     sink
	change   func(*tally.Options)
	end      func()
}

func within(t *testing.T, change func(*tally.Options), body func(*testing.T, *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, fs: vfs.NewStrictMem(), operator: proof.NewSigningKey(), node: proof.NewSigningKey(), sink: sink{had: map[string]usage.Record{}}, change: change}
		w.begin()
		body(t, w)
		w.end()
		w.store.Close()
	})
}

func (w *world) begin() {
	var err error
	if w.store, err = vault.Open("/tally.db", vault.Options{Key: [32]byte{1}, Role: "tally", Of: "the tally", Schema: 1, FS: w.fs}); err != nil {
		w.t.Fatal(err)
	}
	o := tally.Options{Store: w.store, Sink: &w.sink, Operator: w.operator, ChainID: chainID}
	if w.change != nil {
		w.change(&o)
	}
	if w.Tally, err = tally.New(o); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error)
	go func() { done <- w.Serve(ctx) }()
	w.end = func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
	}
}

// kill is kill -9 and another start.
func (w *world) kill() {
	w.fs.SetIgnoreSyncs(true)
	w.sink.mu.Lock()
	w.sink.fails = errors.New("the process is dead")
	w.sink.mu.Unlock()
	w.end()
	w.store.Close()
	w.fs.ResetToSyncedState()
	w.fs.SetIgnoreSyncs(false)
	w.sink.mu.Lock()
	w.sink.fails = nil
	w.sink.mu.Unlock()
	w.begin()
}

// settle lets everything be stored and told.
func (w *world) settle() {
	time.Sleep(2 * time.Second)
	synctest.Wait()
}

func (w *world) ticket(n byte) []byte {
	now := time.Now().Truncate(time.Second)
	b, err := proof.Ticket{ChainID: chainID, ID: proof.TicketID{n}, Node: w.node.Public(), Serving: w.operator.Public(), Class: proof.Asserted,
		NotBefore: now, NotAfter: now.Add(6 * time.Hour), Cap: proof.Carried{VoiceMs: 1 << 40, Messages: 1 << 40}}.Sign(w.node)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *world) enter(ticket []byte, cell uint16) *tally.Stay {
	w.t.Helper()
	s, err := w.Enter(ticket, proof.TowerKey{byte(cell)}, w.cell(cell))
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) cell(n uint16) proof.Cell {
	plmn, err := id.ParsePLMN("00101")
	if err != nil {
		w.t.Fatal(err)
	}
	return proof.GERAN(id.CGI{PLMN: plmn, LAC: 1, CI: n})
}

// told is what the sink has of a cell, over all segments there, and how many are closed.
func (w *world) told(cell uint16) (sum proof.Carried, closed int) {
	w.t.Helper()
	w.sink.mu.Lock()
	defer w.sink.mu.Unlock()
	for _, r := range w.sink.had {
		tk, err1 := proof.OpenTicket(chainID, r.Ticket)
		sg, err2 := proof.OpenSegment(chainID, w.operator.Public(), r.Segment)
		if err := errors.Join(err1, err2); err != nil || sg.Ticket != tk.ID {
			w.t.Fatalf("a record of ticket %v, segment of %v: %v", tk.ID, sg.Ticket, err)
		}
		if sg.Cell != w.cell(cell) {
			continue
		}
		sum = sum.Plus(proof.Carried{VoiceMs: uint64(r.Voice.Milliseconds()), Messages: r.Messages})
		if r.Closed {
			closed++
		}
	}
	return sum, closed
}

func (w *world) want(cell uint16, ms, messages uint64, closed int) {
	w.t.Helper()
	if got, n := w.told(cell); got != (proof.Carried{VoiceMs: ms, Messages: messages}) || n != closed {
		w.t.Errorf("cell %d: told %v, %d segments closed; want %d ms, %d messages, %d closed", cell, got, n, ms, messages, closed)
	}
}

// A call that is handed over is split at the cells it was at, to the millisecond.
func TestCallAcrossCells(t *testing.T) {
	within(t, nil, func(t *testing.T, w *world) {
		tk := w.ticket(1)
		one := w.enter(tk, 1)
		if again := w.enter(tk, 1); again != one {
			t.Error("the same cell is another stay")
		}
		call := one.Call()
		call.Add(time.Second)
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		w.want(1, 1000, 0, 0)
		two := w.enter(tk, 2) // the phone is registered there before the call is
		call.Add(time.Second)
		call.End(234*time.Millisecond + 999*time.Microsecond)
		call.End(time.Second)
		next := two.Call()
		next.End(66 * time.Millisecond)
		if err := two.Message(2); err != nil {
			t.Error(err)
		}
		two.Leave()
		two.Leave()
		if two.Message(1); two.Call() == nil {
			t.Error("no call")
		}
		w.settle()
		w.want(1, 2234, 0, 1)
		w.want(2, 66, 2, 1)
		if s := w.Stats(); s != (tally.Stats{}) {
			t.Errorf("left: %+v", s)
		}
		for n := range 3 { // each stay is a segment of its own
			w.enter(tk, 1).Message(n)
		}
	})
}

// A kill loses the voice of the last second at most, no message that was said to be
// counted, and doubles nothing; the stay goes on when the phone is known again.
func TestKilled(t *testing.T) {
	within(t, nil, func(t *testing.T, w *world) {
		tk := w.ticket(1)
		var messages, least, most uint64
		for range 20 {
			s := w.enter(tk, 1)
			c := s.Call()
			for range 3 {
				c.Add(700 * time.Millisecond)
				time.Sleep(700 * time.Millisecond)
				if err := s.Message(1); err != nil {
					t.Fatal(err)
				}
				messages++
			}
			least, most = least+1100, most+2100
			w.kill()
		}
		w.enter(tk, 1).Leave()
		w.settle()
		got, _ := w.told(1)
		if got.Messages != messages || got.VoiceMs < least || got.VoiceMs > most {
			t.Errorf("told %v; %d messages were counted, and %d to %d ms", got, messages, least, most)
		}
		if n := len(w.sink.had); n != 1 {
			t.Errorf("%d segments for one stay", n)
		}
	})
}

// Billing is away: nothing is lost, and it is told when it is back, also by another
// process.
func TestBillingAway(t *testing.T) {
	within(t, nil, func(t *testing.T, w *world) {
		w.sink.fails = errors.New("away")
		for n := range byte(50) {
			s := w.enter(w.ticket(n), uint16(n))
			c := s.Call()
			c.End(time.Duration(n) * time.Second)
			if err := s.Message(1); err != nil {
				t.Fatal(err)
			}
			s.Leave()
		}
		time.Sleep(time.Hour)
		if s := w.Stats(); s.Stays != 50 || s.Untold != 50 {
			t.Errorf("%+v", s)
		}
		w.kill()
		w.settle()
		for n := range uint16(50) {
			w.want(n, uint64(n)*1000, 1, 1)
		}
		if s := w.Stats(); s.Stays != 0 {
			t.Errorf("%+v", s)
		}
		w.kill()
		w.sink.mu.Lock()
		before := maps.Clone(w.sink.had)
		w.sink.mu.Unlock()
		w.settle()
		if !slices.Equal(slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(w.sink.had))) {
			t.Error("what was told is told anew under another name")
		}
	})
}

// A stay that nobody ends is over when its ticket is; there are never more than there may
// be, and what is no ticket opens none.
func TestBounds(t *testing.T) {
	within(t, func(o *tally.Options) { o.MaxStays = 2 }, func(t *testing.T, w *world) {
		w.enter(w.ticket(1), 1).Message(1)
		w.enter(w.ticket(2), 1)
		if _, err := w.Enter(w.ticket(3), proof.TowerKey{}, w.cell(1)); !errors.Is(err, tally.ErrFull) {
			t.Errorf("a third: %v", err)
		}
		if _, err := w.Enter([]byte("no ticket"), proof.TowerKey{}, w.cell(1)); !errors.Is(err, proof.ErrMalformed) {
			t.Errorf("no ticket: %v", err)
		}
		time.Sleep(6*time.Hour + 2*time.Minute)
		w.settle()
		w.want(1, 0, 1, 1)
		if s := w.Stats(); s != (tally.Stats{}) {
			t.Errorf("left: %+v", s)
		}
	})
}
