package agent_test

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/enb-agent/agent"
	"campanile.network/wire/link"
	"campanile.network/wire/proof"
)

// Vouchers are withheld: the tower stops within its window, says why, releases
// its phones, and goes on when the vouchers come.
func TestVouchersWithheld(t *testing.T) {
	inBubble(t, func(t *testing.T, w *tower) {
		if n := w.core.notice(); n.Code != link.Serving || n.Text != "serving" || n.Number != 1 {
			t.Fatalf("at first: %+v", n)
		}
		w.mast.carry(1, 1_000_000)
		w.tell(link.ToTower{Voucher: w.voucher(1, 1_000_000)})
		through := w.mast.carry(1, 20_000_000)
		if most := uint64(4_050_506); through > most || through < most-65535 {
			t.Errorf("%d octets went through without a voucher", through)
		}
		synctest.Wait()
		refusing, octets, released := w.mast.state()
		if !refusing || released != 0 {
			t.Errorf("refusing %t, released %d times at once", refusing, released)
		}
		if n := w.core.notice(); n.Code != link.VouchersLag || n.Text != "vouchers lag 4.0 MB behind this tower's count; window 4.1 MB" {
			t.Errorf("%+v", n)
		}
		if w.mast.carry(1, 5000) != 0 {
			t.Error("relays on")
		}
		time.Sleep(5 * time.Second)
		if _, _, released := w.mast.state(); released != 1 {
			t.Errorf("released %d times", released)
		}
		// A voucher that leaves too much unpaid changes nothing.
		w.tell(link.ToTower{Voucher: w.voucher(2, 1_200_000)})
		if v := w.agent.Snapshot(); v.Serving || v.Unpaid != octets-1_200_000 {
			t.Errorf("%+v", v)
		}
		w.tell(link.ToTower{Voucher: w.voucher(3, octets)})
		if n := w.core.notice(); n.Code != link.Serving || !strings.Contains(n.Text, "caught up") {
			t.Errorf("%+v", n)
		}
		if w.mast.carry(1, 1_000_000) != 1_000_000 {
			t.Error("does not relay again")
		}
		if refusing, _, _ := w.mast.state(); refusing {
			t.Error("refuses on")
		}
		if v := w.agent.Snapshot(); !v.Serving || v.Seq != 3 || v.Paid != octets {
			t.Errorf("%+v", v)
		}
	})
}

func TestReports(t *testing.T) {
	inBubble(t, func(t *testing.T, w *tower) {
		w.mast.carry(1, 10_000)
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		if n := w.count(1); n != (link.Count{TEID: 1, UL: 5000, DL: 5000}) {
			t.Errorf("after a second: %+v", n)
		}
		w.mast.carry(2, 300_000)
		time.Sleep(50 * time.Millisecond)
		if n := w.count(2); n.UL+n.DL != 300_000 {
			t.Errorf("after a step: %+v", n)
		}
		// The link is lost: counting goes on, and the next link hears everything.
		_, epoch, joins, _ := w.core.now()
		w.cut()
		synctest.Wait()
		w.mast.carry(1, 2000)
		time.Sleep(5 * time.Second)
		if counts, e, j, _ := w.core.now(); j != joins+1 || e != epoch || len(counts) != 2 || counts[1].UL != 6000 {
			t.Errorf("joined %d times, counts %+v", j, counts)
		}
		// What is counted in the last moment is still said.
		w.mast.carry(3, 1000)
		w.stop()
		if n := w.count(3); n.UL != 1000 {
			t.Errorf("at the end: %+v", n)
		}
	})
}

// A core that is away for long is asked ever more rarely, not for ever more.
func TestBackOff(t *testing.T) {
	inBubble(t, func(t *testing.T, w *tower) {
		w.core.fall(true)
		w.cut()
		time.Sleep(time.Hour)
		if w.agent.Snapshot().Connected {
			t.Error("connected to a core that is down")
		}
		w.core.fall(false)
		start := time.Now()
		for !w.agent.Snapshot().Connected {
			time.Sleep(time.Second)
		}
		if d := time.Since(start); d > time.Minute {
			t.Errorf("joined again after %v", d)
		}
	})
}

func TestVouchersNotBelieved(t *testing.T) {
	inBubble(t, func(t *testing.T, w *tower) {
		stranger := proof.NewSigningKey()
		w.ledger.edit(8, func(c *agent.Channel) {
			*c = agent.Channel{ID: 8, Payer: w.operator.Public(), Tower: proof.TowerKey{1}, Prices: proof.Prices{PerGB: w.price}, Reserve: proof.AmountOf(1 << 40), Open: true}
		})
		w.mast.carry(1, 3_000_000)
		good := w.voucher(5, 2_000_000)
		w.tell(link.ToTower{Voucher: good})
		base := proof.Voucher{ChainID: chainID, Channel: 7, Seq: 6, Amount: proof.AmountOf(2_500_000), Carried: proof.Carried{Bytes: 2_500_000}}
		change := func(f func(*proof.Voucher)) proof.Voucher { v := base; f(&v); return v }
		for why, b := range map[string][]byte{
			"signature does not fit":     w.signed(base, stranger),
			"signed for another chain":   w.signed(change(func(v *proof.Voucher) { v.ChainID = "campanile-other" }), w.operator),
			"another tower's":            w.signed(change(func(v *proof.Voucher) { v.Channel = 8 }), w.operator),
			"that cost 2500000":          w.signed(change(func(v *proof.Voucher) { v.Amount = proof.AmountOf(2_499_999) }), w.operator),
			"after number 5":             w.signed(change(func(v *proof.Voucher) { v.Seq = 4 }), w.operator),
			"takes back":                 w.signed(change(func(v *proof.Voucher) { v.Bytes = 1_000_000 }), w.operator),
			"malformed":                  []byte("voucher"),
			"of channel 7 after":         w.signed(change(func(v *proof.Voucher) { v.Seq = 5 }), w.operator), // two with one number
			"voucher 6 of channel 7 tak": w.signed(change(func(v *proof.Voucher) { v.Amount, v.Bytes = proof.AmountOf(1_999_999), 1_999_999 }), w.operator),
		} {
			before := w.agent.Snapshot()
			w.tell(link.ToTower{Voucher: b})
			v := w.agent.Snapshot()
			if v.Refused != before.Refused+1 || !strings.Contains(v.Refusal, why) || v.Seq != 5 || v.Unpaid != 1_000_000 {
				t.Errorf("%q: %+v", why, v)
			}
		}
		if list := w.agent.Vouchers(); len(list) != 1 || string(list[0]) != string(good) {
			t.Errorf("%d vouchers held", len(list))
		}
		w.tell(link.ToTower{Voucher: good}) // said twice is no fault
		if v := w.agent.Snapshot(); !strings.Contains(v.Refusal, "") || v.Unpaid != 1_000_000 || v.Seq != 5 {
			t.Errorf("%+v", v)
		}
		if _, _, _, seen := w.core.now(); seen != (link.Seen{Channel: 7, Seq: 5}) {
			t.Errorf("seen %+v", seen)
		}
	})
}

// A voucher beyond the reserve, or of a channel the ledger has not shown yet,
// waits for the ledger.
func TestVoucherAheadOfTheLedger(t *testing.T) {
	inBubble(t, func(t *testing.T, w *tower) {
		c, _ := w.ledger.Channel(7)
		w.ledger.edit(7, func(c *agent.Channel) { c.ID = 0 })
		w.mast.carry(1, 1_000_000)
		w.tell(link.ToTower{Voucher: w.voucher(1, 1_000_000)})
		if v := w.agent.Snapshot(); v.Seq != 0 || v.Unpaid != 1_000_000 || v.Refused != 0 {
			t.Fatalf("%+v", v)
		}
		c.Reserve = proof.AmountOf(999_999)
		w.ledger.edit(7, func(old *agent.Channel) { *old = c })
		time.Sleep(2 * time.Second)
		if v := w.agent.Snapshot(); v.Seq != 0 {
			t.Fatalf("%+v", v)
		}
		c.Reserve = proof.AmountOf(1_000_000)
		w.ledger.edit(7, func(old *agent.Channel) { *old = c })
		time.Sleep(2 * time.Second)
		if v := w.agent.Snapshot(); v.Seq != 1 || v.Unpaid != 0 {
			t.Fatalf("%+v", v)
		}
	})
}

func TestReserveSpentAndNoChannel(t *testing.T) {
	inBubble(t, func(t *testing.T, w *tower) {
		c, _ := w.ledger.Channel(7)
		c.Reserve = proof.AmountOf(2_000_000)
		w.ledger.edit(7, func(old *agent.Channel) { *old = c })
		w.mast.carry(1, 2_000_000)
		w.tell(link.ToTower{Voucher: w.voucher(1, 2_000_000)})
		w.mast.carry(1, 20_000_000) // the window is granted all the same
		if n := w.core.notice(); n.Code != link.ReserveSpent || !strings.Contains(n.Text, "reserve of channel 7 is spent") {
			t.Errorf("%+v", n)
		}
		if _, octets, _ := w.mast.state(); octets < 5_900_000 || octets > 6_100_000 {
			t.Errorf("%d octets went through", octets)
		}
		c.Open = false
		w.ledger.edit(7, func(old *agent.Channel) { *old = c })
		time.Sleep(2 * time.Second)
		if n := w.core.notice(); n.Code != link.NoChannel || !strings.Contains(n.Text, "channel 7 is closed") {
			t.Errorf("%+v", n)
		}
		// Another channel, another voucher: what was unpaid is asked for there.
		w.ledger.edit(9, func(c *agent.Channel) {
			*c = agent.Channel{ID: 9, Payer: w.operator.Public(), Tower: w.key, Prices: proof.Prices{PerGB: w.price}, Reserve: proof.AmountOf(50_000_000), Open: true}
		})
		unpaid := w.agent.Snapshot().Unpaid
		w.tell(link.ToTower{Terms: w.terms(9)})
		if v := w.agent.Snapshot(); v.Channel != 9 || v.Unpaid != unpaid || v.Serving {
			t.Errorf("%+v", v)
		}
		w.tell(link.ToTower{Voucher: w.signed(proof.Voucher{ChainID: chainID, Channel: 9, Seq: 1, Amount: proof.AmountOf(unpaid), Carried: proof.Carried{Bytes: unpaid}}, w.operator)})
		if v := w.agent.Snapshot(); !v.Serving || v.Unpaid != 0 {
			t.Errorf("%+v", v)
		}
		if list := w.agent.Vouchers(); len(list) != 2 {
			t.Errorf("%d vouchers held", len(list))
		}
	})
}

// Terms that are not the ledger's, the operator's or the chain's are not taken.
func TestTermsAreCompared(t *testing.T) {
	for want, change := range map[string]func(*link.Terms){
		"the ledger says 1000000000":              func(m *link.Terms) { m.Prices.PerGB = proof.AmountOf(1) },
		"the ledger does not know channel 77":     func(m *link.Terms) { m.Channel = 77 },
		"the core offers none":                    func(m *link.Terms) { m.Channel = 0 },
		"channel 8 is paid by":                    func(m *link.Terms) { m.Channel = 8 },
		"vouchers lag":                            func(m *link.Terms) { m.ChainID, m.Channel = "campanile-other", 77 }, // refused: the old terms stay
		"vouchers lag 4.0 MB behind this tower's": func(m *link.Terms) { m.Payer, m.Channel = proof.OperatorKey{1}, 77 },
	} {
		inBubble(t, func(t *testing.T, w *tower) {
			w.ledger.edit(8, func(c *agent.Channel) {
				*c = agent.Channel{ID: 8, Payer: proof.OperatorKey{9}, Tower: w.key, Prices: proof.Prices{PerGB: w.price}, Open: true}
			})
			terms := w.terms(7)
			change(terms)
			w.tell(link.ToTower{Terms: terms})
			w.mast.carry(1, 20_000_000)
			if n := w.core.notice(); !strings.Contains(n.Text, want) {
				t.Errorf("%q: %+v", want, n)
			}
		})
	}
}

// A restart neither forgets what is unpaid nor counts it twice.
func TestRestart(t *testing.T) {
	inBubble(t, func(t *testing.T, w *tower) {
		w.mast.carry(1, 3_000_000)
		w.tell(link.ToTower{Voucher: w.voucher(1, 1_000_000)})
		time.Sleep(1100 * time.Millisecond)
		synctest.Wait()
		before := w.agent.Snapshot()
		_, epoch, _, _ := w.core.now()
		for range 3 {
			w.stop()
			w.mast = newMast()
			w.options.Relay = w.mast
			w.start()
		}
		v := w.agent.Snapshot()
		if v.Unpaid != 2_000_000 || v.Paid != before.Paid || v.Seq != 1 || v.Channel != 7 {
			t.Errorf("%+v after %+v", v, before)
		}
		w.mast.carry(1, 500_000)
		time.Sleep(time.Second)
		if counts, e, _, _ := w.core.now(); e != epoch || counts[1].UL+counts[1].DL != 3_500_000 {
			t.Errorf("counting begins anew: %+v", counts)
		}
		if through := w.mast.carry(1, 20_000_000); through < 1_450_000 || through > 1_560_000 {
			t.Errorf("%d octets went through: the window was not what was left of it", through)
		}
		// Even when the core is away, and with no terms heard.
		w.stop()
		w.core.fall(true)
		w.mast = newMast()
		w.options.Relay = w.mast
		w.start()
		if through := w.mast.carry(1, 20_000_000); through != 0 {
			t.Errorf("%d octets went through", through)
		}
	})
}

// The tower's store is lost: the ledger's voucher is where paying goes on; the
// old vouchers do not pay new octets.
func TestLostStore(t *testing.T) {
	inBubble(t, func(t *testing.T, w *tower) {
		w.stop()
		c, _ := w.ledger.Channel(7)
		c.Bytes = 30_000_000
		w.ledger.edit(7, func(old *agent.Channel) { *old = c })
		w.options.Path = filepath.Join(t.TempDir(), "new.db")
		w.mast = newMast()
		w.options.Relay = w.mast
		w.start()
		w.mast.carry(1, 1_000_000)
		w.tell(link.ToTower{Voucher: w.voucher(99, 30_000_000)})
		if v := w.agent.Snapshot(); v.Unpaid != 1_000_000 || v.Paid != 30_000_000 {
			t.Errorf("%+v", v)
		}
		w.tell(link.ToTower{Voucher: w.voucher(100, 30_600_000)})
		if v := w.agent.Snapshot(); v.Unpaid != 400_000 {
			t.Errorf("%+v", v)
		}
	})
}

// A payer who closes his channel and goes on signing is not served: such a
// voucher counts when the ledger has taken it, and not before.
func TestVouchersOfAClosedChannel(t *testing.T) {
	inBubble(t, func(t *testing.T, w *tower) {
		w.mast.carry(1, 1_000_000)
		w.tell(link.ToTower{Voucher: w.voucher(1, 1_000_000)})
		w.ledger.edit(7, func(c *agent.Channel) { c.Open, c.Bytes = false, 1_000_000 })
		var through uint64
		for seq := uint64(2); seq < 20; seq++ {
			through += w.mast.carry(1, 1_000_000)
			time.Sleep(2 * time.Second)
			w.tell(link.ToTower{Voucher: w.voucher(seq, seq*1_000_000)})
		}
		if v := w.agent.Snapshot(); v.Serving || through > 4_100_000 {
			t.Fatalf("carried %d octets for vouchers nobody pays: %+v", through, v)
		}
		if len(w.agent.Vouchers()) != 1 || w.agent.Snapshot().Amount != proof.AmountOf(19_000_000) {
			t.Error("the highest voucher is not kept for posting")
		}
		w.ledger.edit(7, func(c *agent.Channel) { c.Bytes = 19_000_000 }) // it came in time
		time.Sleep(3 * time.Second)
		if v := w.agent.Snapshot(); v.Unpaid != 0 || !v.Serving {
			t.Errorf("the ledger has taken the voucher: %+v", v)
		}
	})
}
