package agent_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/wire/link"
)

// copied is a store as a process that is killed now leaves it.
func copied(t *testing.T, path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(t.TempDir(), "store.db")
	if err := os.WriteFile(next, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return next
}

// Tower and core are killed, and the link is cut, at any time: what the tower
// had to say is known once each and in order.
func TestNoticesOnceAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newTogether(t)
		chance := rand.New(rand.NewPCG(1, 2))
		states, said := link.RadioStates(), 0
		var state atomic.Pointer[string]
		g.stop()
		g.tower.options.Radio = func() (link.Radio, bool) {
			if s := state.Load(); s != nil {
				return link.Radio{State: *s}, true
			}
			return link.Radio{}, false
		}
		g.start()
		for range 300 {
			switch chance.IntN(6) {
			case 0, 1:
				said++
				state.Store(&states[said%len(states)])
			case 2: // the tower's process is killed
				path := copied(t, g.tower.options.Path)
				g.stop()
				g.tower.options.Path = path
				g.start()
			case 3: // the core's is
				path := copied(t, g.options.Path)
				g.end()
				g.options.Path = path
				if chance.IntN(2) == 0 {
					said++
					state.Store(&states[said%len(states)])
					time.Sleep(2 * time.Second)
				}
				g.run()
			}
			time.Sleep(time.Duration(1000+chance.IntN(200)) * time.Millisecond)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		m := g.meter.Snapshot().Towers[0]
		if m.Said != uint64(said+1) || m.Missed != 0 || len(m.Notices) != 16 {
			t.Errorf("%d notices known, %d missed; %d said", m.Said, m.Missed, said+1)
		}
		for i, n := range m.Notices {
			if at := said + 1 - len(m.Notices) + i; n.Number != uint64(at+1) || n.Text != "radio: "+states[at%len(states)] {
				t.Errorf("%d: %+v", i, n)
			}
		}
		if m.Notice.Code != link.Serving || m.Notice.Number != 1 {
			t.Errorf("the last word is %+v", m.Notice)
		}
	})
}

// A core that is away for very long misses the oldest, never the last word, and
// what is kept does not grow.
func TestNoticesAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, w *tower) {
		w.stop()
		w.core.fall(true)
		var changes atomic.Int64
		w.options.Radio = func() (link.Radio, bool) {
			return link.Radio{State: "failing", LastError: fmt.Sprint("trouble ", changes.Load())}, true
		}
		w.start()
		for range 600 {
			changes.Add(1)
			time.Sleep(2 * time.Second)
		}
		w.core.mu.Lock()
		before := len(w.core.notices)
		w.core.mu.Unlock()
		w.core.fall(false)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		w.core.mu.Lock()
		defer w.core.mu.Unlock()
		heard := w.core.notices[before:]
		if len(heard) != 256 || heard[0].Code != link.Serving || heard[1].Number != heard[255].Number-254 || heard[255].Number < 600 {
			t.Errorf("%d notices, from %+v and %+v", len(heard), heard[0], heard[1])
		}
	})
}

// A core that confirms what was never said, or of another store, changes
// nothing that is to be said.
func TestNoticesConfirmedFalsely(t *testing.T) {
	inBubble(t, func(t *testing.T, w *tower) {
		first := w.core.notice()
		w.tell(link.ToTower{Heard: &link.Heard{Epoch: first.Epoch + 1, Number: 1000}})
		w.tell(link.ToTower{Heard: &link.Heard{Epoch: first.Epoch, Number: 1<<64 - 1}})
		w.mast.carry(1, 20_000_000)
		if n := w.core.notice(); n.Code != link.VouchersLag || n.Number != first.Number+1 {
			t.Errorf("%+v after %+v", n, first)
		}
		// A store put back from a backup: the core knows more than was said.
		w.tell(link.ToTower{Heard: &link.Heard{Epoch: first.Epoch, Number: 50}})
		w.tell(link.ToTower{Voucher: w.voucher(1, 20_000_000)})
		if n := w.core.notice(); n.Code != link.Serving || n.Number != 51 {
			t.Errorf("%+v", n)
		}
	})
}
