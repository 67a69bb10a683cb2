package meter_test

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/billing/meter"
	"campanile.network/wire/link"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

func TestVoucherEveryStepAndEveryInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.join()
		if terms, _, _ := m.heard(); len(terms) != 1 || terms[0].Channel != 7 || terms[0].Payer != proof.OperatorKey(w.operator.Public()) || terms[0].WindowOctets != 4_000_000 || terms[0].WindowPermille != 10 {
			t.Fatalf("terms %+v", terms)
		}
		r := w.record(w.ticket(1, 1<<30), 1, 0x77)
		w.report(r, 200_000, 100_000)
		if _, vouchers, _ := m.heard(); len(vouchers) != 0 {
			t.Fatalf("a voucher for %d octets before its time", vouchers[0].Bytes)
		}
		time.Sleep(10 * time.Second)
		if v := m.last(); v.Seq != 1 || v.Bytes != 200_000 || v.Amount.String() != "200000000000000" {
			t.Fatalf("after 10 s: %+v; the downlink has not been seen to arrive", v)
		}
		m.says(1, link.Count{TEID: 0x77, UL: 200_000, DL: 100_000})
		w.report(r, 1_300_000, 900_000)
		if v := m.last(); v.Seq != 2 || v.Bytes != 1_400_000 {
			t.Fatalf("after a megabyte: %+v", v)
		}
		m.says(1, link.Count{TEID: 0x77, UL: 1_300_000, DL: 890_000}) // 10 000 octets were lost on the way
		r.Closed = true
		w.report(r, 1_300_000, 900_000)
		if v := m.last(); v.Bytes != 1_300_000+890_000 {
			t.Fatalf("at the segment's end: %+v", v)
		}
		if err := m.conn.Send(link.FromTower{Seen: &link.Seen{Channel: 7, Seq: m.last().Seq}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		v := w.view()
		want := meter.Counts{UL: 1_300_000, DL: 900_000}
		if v.Gateway != want || v.Measured != (meter.Counts{UL: 1_300_000, DL: 890_000}) || v.Counted.Bytes != 2_190_000 || v.Lag.Bytes != 0 || v.Seen != v.Seq || !v.Connected {
			t.Errorf("%+v", v)
		}
		// The root is over the one receipt.
		var tree proof.Tree
		tree.Append(proof.Receipt{Ticket: proof.TicketID{1}, No: 1, UL: 1_300_000, DL: 890_000}.Leaf())
		if m.last().Root != tree.Root() {
			t.Error("the root is not over the segment's receipt")
		}
	})
}

// A record repeated, overtaken or told after the end changes nothing.
func TestRecordsMayBeRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.join()
		r := w.record(w.ticket(1, 1<<30), 1, 0x77)
		m.says(1, link.Count{TEID: 0x77, DL: 5000})
		for range 3 {
			w.report(r, 1000, 5000)
		}
		w.report(r, 500, 2000)
		r.Closed = true
		for range 3 {
			w.report(r, 1000, 5000)
		}
		time.Sleep(10 * time.Minute)
		w.report(r, 1000, 5000)
		w.restart()
		w.report(r, 1000, 5000)
		if v := w.view(); v.Counted.Bytes != 6000 || v.Billed.Bytes != 6000 || v.Seq != 1 || v.Open != 0 {
			t.Errorf("%+v", v)
		}
	})
}

// A restart in the middle neither forgets nor doubles, and numbers go on.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.join()
		r := w.record(w.ticket(1, 1<<30), 1, 0x77)
		w.report(r, 1_000_000, 3_000_000)
		m.says(1, link.Count{TEID: 0x77, UL: 1_000_000, DL: 2_000_000})
		first := m.last()
		w.restart()
		m.leave()
		if _, _, err := m.heard(); err == nil {
			t.Error("the link outlived the meter")
		}
		m = w.join()
		if _, vouchers, _ := m.heard(); len(vouchers) != 1 || vouchers[0] != first {
			t.Fatalf("after the restart the newest voucher is sent again: %+v, not %+v", vouchers, first)
		}
		m.says(1, link.Count{TEID: 0x77, UL: 1_000_000, DL: 3_000_000}) // same epoch: cumulative
		m.says(2, link.Count{TEID: 0x77, UL: 500_000, DL: 500_000})     // the agent has restarted, too
		w.report(r, 1_500_000, 3_500_000)
		v := m.last()
		if v.Seq <= first.Seq || v.Bytes != 5_000_000 {
			t.Errorf("%+v after %+v", v, first)
		}
		if got := w.view(); got.Measured != (meter.Counts{UL: 1_500_000, DL: 3_500_000}) || got.Gateway != got.Measured {
			t.Errorf("%+v", got)
		}
	})
}

// Downlink of several segments on one tunnel: what arrived is shared out,
// never more than was sent within each, and a late report still counts.
func TestSegmentsOnOneTunnel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tk := w.ticket(1, 1<<30)
		a := w.record(tk, 1, 0x77)
		a.Closed = true
		w.report(a, 0, 1000) // the tower is not connected
		time.Sleep(time.Hour)
		b := w.record(tk, 2, 0x77)
		w.report(b, 0, 500)
		m := w.join()
		m.says(1, link.Count{TEID: 0x77, DL: 1300})
		if v := w.view(); v.Counted.Bytes != 1300 {
			t.Errorf("%+v", v)
		}
		m.says(1, link.Count{TEID: 0x77, DL: 9300}) // more than was ever sent
		b.Closed = true
		w.report(b, 0, 500)
		if v := w.view(); v.Counted.Bytes != 1500 || v.Open != 0 {
			t.Errorf("%+v", v)
		}
	})
}

func TestTicketsCapAndTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.join()
		tk := w.ticket(1, 10_000)
		a, b := w.record(tk, 1, 0x77), w.record(tk, 2, 0x78)
		w.report(a, 4000, 0)
		w.report(b, 5000, 3000)
		m.says(1, link.Count{TEID: 0x78, DL: 3000})
		if v := w.view(); v.Counted.Bytes != 10_000 {
			t.Errorf("beyond the cap: %+v", v)
		}
		late := w.record(w.ticket(2, 1<<30), 1, 0x79)
		w.report(late, 100, 0)
		time.Sleep(7 * time.Hour)
		w.report(late, 900, 0)
		if v := w.view(); v.Counted.Bytes != 10_100 {
			t.Errorf("beyond the time: %+v", v)
		}
		got := fmt.Sprint(w.meter.Snapshot().Unsettled)
		if want := "[{ticket has expired {800 0 0 0}} {ticket is used up {0 2000 0 0}}]"; got != want {
			t.Errorf("unsettled %s, want %s", got, want)
		}
	})
}

func TestNobodyIsChargedWithoutProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		stranger := proof.NewSigningKey()
		try := func(why meter.Reason, change func(tk *proof.Ticket, r *usage.Record)) {
			t.Helper()
			tk := w.ticket(1, 1<<30)
			r := w.record(tk, 1, 0x77)
			change(&tk, r)
			w.report(r, 10, 20)
			w.report(r, 20, 30)
			r.Closed = true
			w.report(r, 20, 30)
			v := w.meter.Snapshot()
			var got meter.Counts
			for _, u := range v.Unsettled {
				if u.Reason == why {
					got = u.Counts
				}
			}
			if got != (meter.Counts{UL: 20, DL: 30}) || len(v.Towers) != 0 {
				t.Errorf("%s: %+v", why, v)
			}
		}
		resign := func(tk *proof.Ticket, r *usage.Record, k proof.SigningKey) {
			tk.Node = k.Public()
			r.Ticket = must[[]byte](t)(tk.Sign(k))
		}
		try(meter.NoTicket, func(_ *proof.Ticket, r *usage.Record) { r.Ticket = nil })
		try(meter.BadTicket, func(_ *proof.Ticket, r *usage.Record) { r.Ticket[5] ^= 1 })
		try(meter.UnknownNode, func(tk *proof.Ticket, r *usage.Record) { resign(tk, r, stranger) })
		try(meter.OtherOperator, func(tk *proof.Ticket, r *usage.Record) { tk.Serving = stranger.Public(); resign(tk, r, w.node) })
		try(meter.NoSegment, func(_ *proof.Ticket, r *usage.Record) { r.Segment = nil })
		try(meter.BadSegment, func(_ *proof.Ticket, r *usage.Record) { r.Segment[9] ^= 1 })
		try(meter.OtherTicket, func(tk *proof.Ticket, r *usage.Record) { r.Segment = w.record(w.ticket(9, 1), 1, 0x77).Segment })
		try(meter.OutOfTime, func(tk *proof.Ticket, r *usage.Record) {
			tk.NotBefore, tk.NotAfter = tk.NotBefore.Add(-9*time.Hour), tk.NotAfter.Add(-9*time.Hour)
			resign(tk, r, w.node)
		})
		mine := w.tower
		try(meter.UnknownTower, func(tk *proof.Ticket, r *usage.Record) {
			w.tower = proof.TowerKey{1}
			r.Segment = w.record(*tk, 3, 0x77).Segment
			w.tower = mine
		})
	})
}

// An HSS node whose registration comes a block late loses nothing.
func TestChargedOnceTheLedgerKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		node := proof.NodeKey(w.node.Public())
		home := w.ledger.nodes[node]
		delete(w.ledger.nodes, node)
		r := w.record(w.ticket(1, 1<<30), 1, 0x77)
		w.report(r, 100, 0)
		w.ledger.nodes[node] = home
		w.report(r, 150, 0)
		if v := w.meter.Snapshot(); len(v.Unsettled) != 0 || v.Towers[0].Counted.Bytes != 150 {
			t.Errorf("%+v", v)
		}
	})
}

func TestNeverAboveTheReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.join()
		r := w.record(w.ticket(1, 1<<40), 1, 0x77)
		w.report(r, 60_000_000, 0) // the reserve covers 50 MB
		v := m.last()
		if v.Bytes != 50_000_000 || v.Amount != w.ledger.channels[w.tower].Reserve {
			t.Fatalf("%+v", v)
		}
		if got := w.view(); got.Lag.Bytes != 10_000_000 || !strings.Contains(got.Trouble, "reserve of channel 7 is spent") {
			t.Errorf("%+v", got)
		}
		w.report(r, 61_000_000, 0)
		time.Sleep(time.Minute)
		if m.last() != v {
			t.Errorf("%+v after the reserve was spent", m.last())
		}
		c, _ := w.ledger.Channel(w.operator.Public(), w.tower)
		c.Reserve = must[proof.Amount](t)(c.Reserve.Add(c.Reserve))
		w.ledger.edit(w.tower, func(old *meter.Channel) { *old = c })
		time.Sleep(10 * time.Second)
		if v := m.last(); v.Bytes != 61_000_000 || v.Seq != 2 || w.view().Trouble != "" {
			t.Errorf("after a top-up: %+v, %+v", v, w.view())
		}
	})
}

// The channel is closed and another one opened: what was not promised in the
// old one is promised in the new one.
func TestNextChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.join()
		r := w.record(w.ticket(1, 1<<40), 1, 0x77)
		w.report(r, 2_000_000, 0)
		synctest.Wait()
		c, _ := w.ledger.Channel(w.operator.Public(), w.tower)
		w.ledger.edit(w.tower, func(c *meter.Channel) { c.ID = 0 })
		w.report(r, 5_000_000, 0)
		time.Sleep(10 * time.Second)
		terms, _, _ := m.heard()
		if v := m.last(); v.Bytes != 2_000_000 || !strings.Contains(w.view().Trouble, "no channel") || terms[len(terms)-1].Channel != 0 {
			t.Fatalf("without a channel: %+v, %+v, terms %+v", v, w.view(), terms)
		}
		c.ID = 8
		w.ledger.edit(w.tower, func(old *meter.Channel) { *old = c })
		time.Sleep(10 * time.Second)
		terms, _, _ = m.heard()
		if v := m.last(); v.Channel != 8 || v.Seq != 1 || v.Bytes != 3_000_000 || terms[len(terms)-1].Channel != 8 {
			t.Fatalf("%+v, terms %+v", v, terms)
		}
		w.report(r, 6_000_000, 0)
		if v := m.last(); v.Channel != 8 || v.Bytes != 4_000_000 {
			t.Errorf("%+v", v)
		}
	})
}

// The store is lost: the ledger's voucher is where counting goes on.
func TestLostStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.report(w.record(w.ticket(1, 1<<40), 1, 0x77), 2_000_000, 0)
		c, _ := w.ledger.Channel(w.operator.Public(), w.tower)
		c.Seq, c.Carried.Bytes = 1, 2_000_000
		c.Promised = must[proof.Amount](t)(c.Prices.Charge(c.Carried))
		w.ledger.edit(w.tower, func(old *meter.Channel) { *old = c })
		w.stop()
		w.options.Path = filepath.Join(t.TempDir(), "new.db")
		w.start()
		m := w.join()
		w.report(w.record(w.ticket(2, 1<<40), 1, 0x78), 1_500_000, 0)
		if v := m.last(); v.Bytes != 3_500_000 || v.Seq <= 2 {
			t.Errorf("%+v", v)
		}
	})
}

func TestWhoMayJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		known := w.tower
		w.tower = proof.TowerKey{0xee}
		m := w.join()
		if _, _, err := m.heard(); err == nil || !strings.Contains(err.Error(), "is not registered on "+chainID) {
			t.Errorf("a stranger is told %v", err)
		}
		w.tower = known
		old := w.join()
		synctest.Wait()
		young := w.join()
		_, _, first := old.heard()
		if _, _, second := young.heard(); first == nil || second != nil {
			t.Errorf("the older link: %v; the younger: %v", first, second)
		}
	})
}

func TestOtherPeoplesStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.stop()
		for _, change := range []func(*meter.Options){
			func(o *meter.Options) { o.ChainID = "campanile-other" },
			func(o *meter.Options) { o.Operator = proof.NewSigningKey() },
		} {
			o := w.options
			change(&o)
			if m, err := meter.New(o); err == nil || !strings.Contains(err.Error(), w.path) {
				t.Errorf("taken: %v, %v", m, err)
			}
		}
	})
}

// A phone that attaches again and again uses up tunnels; those that have fallen
// silent make room, and downlink by a new one counts.
func TestVeryManyTunnels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.join()
		many := make([]link.Count, 65536)
		for i := range many {
			many[i] = link.Count{TEID: id.TEID(0x10000 + i), UL: 1}
		}
		m.says(1, many...)
		time.Sleep(2 * time.Minute)
		r := w.record(w.ticket(1, 1<<30), 1, 0x77)
		w.report(r, 0, 500_000)
		m.says(1, link.Count{TEID: 0x77, DL: 500_000})
		if v := w.view(); v.Counted.Bytes != 500_000 {
			t.Errorf("%d octets count, want 500000", v.Counted.Bytes)
		}
	})
}

// A tower may say what it likes as often as it likes; the log does not grow with it.
func TestTalkativeTower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.stop()
		var log strings.Builder
		w.options.Logger = slog.New(slog.NewTextHandler(&log, nil))
		w.start()
		m := w.join()
		for i := range 1000 {
			if err := m.conn.Send(link.FromTower{Notice: &link.Notice{Code: link.NoChannel, Text: fmt.Sprint(i), Epoch: 1, Number: uint64(i + 1)}}); err != nil {
				t.Fatal(err)
			}
		}
		m.leave()
		w.stop()
		if n := strings.Count(log.String(), "tower says"); n == 0 || n > 48 {
			t.Errorf("%d lines for 1000 notices", n)
		}
		if v := w.meter.Snapshot().Towers[0]; v.Notice.Text != "999" || v.Said != 1000 || len(v.Notices) != 16 {
			t.Errorf("the last word is %q of %d, %d kept", v.Notice.Text, v.Said, len(v.Notices))
		}
	})
}
