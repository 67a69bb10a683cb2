package meter_test

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"campanile.network/3gpp/id"
	"campanile.network/billing/meter"
	"campanile.network/wire/link"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

// stay is what really happened in one segment: the truth of the test.
type stay struct {
	record  *usage.Record
	ul, dl  uint64 // gateway: handed on, sent
	arrived uint64 // of dl, at the tower
	closed  bool
}

// life is a world to which things happen by chance.
type life struct {
	*world
	stays    []*stay
	tickets  int
	counts   map[id.TEID]link.Count // the tower's, cumulative
	mast     *mast
	newest   proof.Voucher // ever sent
	checked  int           // vouchers of the link at hand
	path     string
	accepted map[*stay]bool
}

// crash ends the process as it stands: the meter that goes on has the store as
// it was last committed, and what was in memory is gone.
func (l *life) crash(t *rapid.T) {
	b, err := os.ReadFile(l.options.Path)
	if err != nil {
		t.Fatal(err)
	}
	next := filepath.Join(l.path, time.Now().Format("150405.000000000"))
	if err := os.WriteFile(next, b, 0o600); err != nil {
		t.Fatal(err)
	}
	l.mast.leave()
	l.stop() // what this writes, it writes to the old file
	l.options.Path = next
	l.start()
	l.joinAgain()
}

func (l *life) joinAgain() {
	l.mast, l.checked = l.join(), 0
	synctest.Wait()
	l.tell()
}

// tell reports all the tower's counts, as on every new link.
func (l *life) tell() {
	var all []link.Count
	for _, c := range l.counts {
		all = append(all, c)
	}
	if err := l.mast.conn.Send(link.FromTower{Report: &link.Report{Epoch: 1, Counts: all}}); err != nil {
		l.t.Fatal(err)
	}
	synctest.Wait()
}

// heard checks what was sent since: numbers and promises only rise.
func (l *life) heard(t *rapid.T) {
	_, vouchers, _ := l.mast.heard()
	for _, v := range vouchers[l.checked:] {
		if v == l.newest {
			continue
		}
		if v.Seq <= l.newest.Seq || v.Bytes < l.newest.Bytes || v.Amount.Cmp(l.newest.Amount) < 0 {
			t.Fatalf("%+v was sent after %+v", v, l.newest)
		}
		l.newest = v
	}
	l.checked = len(vouchers)
}

// truth is what may be charged: all uplink, and the downlink that arrived.
func (l *life) truth() (n uint64) {
	for _, s := range l.stays {
		n += s.ul + s.arrived
	}
	return n
}

func (l *life) open(t *rapid.T) *stay {
	var list []*stay
	for _, s := range l.stays {
		if !s.closed {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		t.Skip("no phone is here")
	}
	return rapid.SampledFrom(list).Draw(t, "phone")
}

func (l *life) say(t *rapid.T, s *stay) {
	s.record.UL, s.record.DL, s.record.Closed, s.record.At = s.ul, s.dl, s.closed, time.Now()
	if err := l.meter.Report(l.t.Context(), []usage.Record{*s.record}); err != nil {
		t.Fatal(err)
	}
	l.accepted[s] = s.closed
}

// Phones come, move bytes and go; packets are lost; gateway and tower report,
// twice or late; links break; the process dies at any moment. Whatever comes:
// no voucher takes anything back, none promises more than arrived, and in the
// end all that arrived is promised.
func TestWhateverHappens(t *testing.T) {
	dir := t.TempDir()
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue { // every check writes to a disk; more by asking
		if err := f.Value.Set("25"); err != nil {
			t.Fatal(err)
		}
		defer f.Value.Set(f.DefValue)
	}
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			l := &life{world: newWorld(t), counts: map[id.TEID]link.Count{}, path: dir, accepted: map[*stay]bool{}}
			c, _ := l.ledger.Channel(l.operator.Public(), l.tower)
			c.Prices.PerGB = proof.AmountOf(1_000_000_000) // one abell an octet
			c.Reserve = proof.AmountOf(1 << 60)
			l.ledger.edit(l.tower, func(old *meter.Channel) { *old = c })
			l.joinAgain()
			rt.Repeat(map[string]func(*rapid.T){
				"phone comes": func(t *rapid.T) {
					l.tickets++
					teid := id.TEID(rapid.IntRange(1, 3).Draw(t, "teid")) // few: tunnels are used again
					for _, s := range l.stays {
						if s.record.TEID == teid && !s.closed {
							t.Skip("its tunnel is in use")
						}
					}
					l.stays = append(l.stays, &stay{record: l.record(l.ticket(byte(l.tickets), 1<<40), 1, teid)})
				},
				"bytes": func(t *rapid.T) {
					s := l.open(t)
					ul, dl := rapid.Uint64Range(0, 700_000).Draw(t, "ul"), rapid.Uint64Range(0, 700_000).Draw(t, "dl")
					lost := rapid.Uint64Range(0, dl/10).Draw(t, "lost")
					s.ul, s.dl, s.arrived = s.ul+ul, s.dl+dl, s.arrived+dl-lost
					n := l.counts[s.record.TEID]
					l.counts[s.record.TEID] = link.Count{TEID: s.record.TEID, UL: n.UL + ul, DL: n.DL + dl - lost}
				},
				"gateway reports": func(t *rapid.T) { l.say(t, l.open(t)) },
				"tower reports":   func(*rapid.T) { l.tell() },
				"phone goes": func(t *rapid.T) {
					s := l.open(t)
					s.closed = true
					if rapid.Bool().Draw(t, "told") {
						l.say(t, s)
					}
					l.tell() // the tower speaks before its tunnel is used again
				},
				"time":      func(t *rapid.T) { time.Sleep(time.Duration(rapid.IntRange(1, 20).Draw(t, "s")) * time.Second) },
				"link lost": func(*rapid.T) { l.mast.leave(); l.joinAgain() },
				"restart":   func(*rapid.T) { l.mast.leave(); l.restart(); l.joinAgain() },
				"crash":     l.crash,
				"told again": func(t *rapid.T) {
					maps.DeleteFunc(l.accepted, func(s *stay, c bool) bool { l.say(t, s); return false })
				},
				"": func(t *rapid.T) {
					l.heard(t)
					if l.newest.Bytes > l.truth() {
						t.Fatalf("%d octets are promised, %d arrived", l.newest.Bytes, l.truth())
					}
				},
			})
			for _, s := range l.stays {
				s.closed = true
				l.say(rt, s)
			}
			l.tell()
			time.Sleep(time.Minute)
			l.heard(rt)
			if l.newest.Bytes != l.truth() || l.newest.Amount != proof.AmountOf(l.truth()) {
				rt.Fatalf("at the end %d octets are promised, %d arrived", l.newest.Bytes, l.truth())
			}
			v := l.meter.Snapshot()
			var ul, dl uint64
			for _, s := range l.stays {
				ul, dl = ul+s.ul, dl+s.dl
			}
			if len(l.stays) > 0 && len(v.Towers) == 1 && v.Towers[0].Gateway != (meter.Counts{UL: ul, DL: dl}) {
				rt.Fatalf("gateway %+v, really %d/%d", v.Towers[0].Gateway, ul, dl)
			}
		})
	})
}
