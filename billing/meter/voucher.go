package meter

import (
	"fmt"
	"slices"
	"time"

	"campanile.network/billing/rating"
	"campanile.network/wire/proof"
)

// gap is by how much the number of vouchers jumps when the ledger knows a
// higher one than this store: more than could have been signed and not posted.
const gap = 1 << 20

// sign makes the next voucher of an account when its count has risen. It is
// sent after it has been stored.
func (m *Meter) sign(a *account, now time.Time) {
	ch, ok := m.Ledger.Channel(m.self, a.tower)
	if !ok {
		if a.due() != (proof.Carried{}) {
			m.tell(a, "no channel to this tower: what it carries is counted and not promised")
		}
		return
	}
	m.take(a, ch)
	due, trouble := a.due(), ""
	covered := rating.Covered(ch.Reserve, ch.Prices, a.Billed, due)
	if covered != due {
		trouble = fmt.Sprintf("reserve of channel %d is spent: %v covers %v; due are %v", ch.ID, ch.Reserve, covered, due)
	}
	m.tell(a, trouble)
	if covered == a.Billed {
		return
	}
	amount, err := ch.Prices.Charge(covered)
	if err != nil {
		m.Logger.Error("voucher not made", "tower", a.tower.Short(), "err", err)
		return
	}
	v := proof.Voucher{ChainID: m.ChainID, Channel: ch.ID, Seq: a.Seq + 1, Amount: amount, Carried: covered, Root: a.root()}
	b, err := v.Sign(m.Operator)
	if err != nil {
		m.Logger.Error("voucher not made", "tower", a.tower.Short(), "err", err)
		return
	}
	a.Seq, a.Amount, a.Billed, a.Voucher = v.Seq, v.Amount, v.Carried, b
	m.changed.accounts[a] = true
	m.Logger.Debug("voucher", "tower", a.tower.Short(), "channel", ch.ID, "seq", v.Seq, "carried", v.Carried, "amount", v.Amount, "at", now)
}

// tell logs what stands in the way of a tower's money, once.
func (m *Meter) tell(a *account, text string) {
	if a.told == text {
		return
	}
	a.told = text
	if text != "" {
		m.Logger.Warn(text, "tower", a.tower.Short())
	}
}

// take makes ch the account's channel. What an earlier channel did not promise
// is carried over. What the ledger has seen beyond this store is believed, and
// this store's counting goes on top of it.
func (m *Meter) take(a *account, ch Channel) {
	switch a.Channel {
	case ch.ID:
	case 0:
		a.Channel = ch.ID
		m.changed.accounts[a] = true
	default:
		m.change(a, ch.ID)
	}
	if ch.Promised.Cmp(a.Amount) <= 0 {
		return
	}
	m.Logger.Warn("the ledger has seen a higher voucher than this store: going on from there",
		"tower", a.tower.Short(), "channel", ch.ID, "ledger_seq", ch.Seq, "seq", a.Seq)
	if more := ch.Carried.Less(a.Billed); more != (proof.Carried{}) {
		a.Extra = a.Extra.Plus(more)
		a.tree.Append(unknown(more).Leaf())
	}
	a.Seq, a.Billed, a.Amount, a.Voucher = max(a.Seq, ch.Seq)+gap, ch.Carried.Plus(a.Billed.Less(ch.Carried)), ch.Promised, nil
	m.changed.accounts[a] = true
}

// change begins another channel. Its first leaf is what was carried over,
// under no ticket.
func (m *Meter) change(a *account, channel uint64) {
	strange := a.Billed.Most(a.Extra)
	a.Before = a.Before.Plus(a.Billed.Less(strange))
	a.Extra = a.Extra.Less(strange)
	a.Channel, a.Seq, a.Billed, a.Amount, a.Voucher, a.Seen = channel, 0, proof.Carried{}, proof.Amount{}, nil, 0
	a.tree = proof.Tree{}
	for s := range a.open() {
		s.Earlier = s.Counted
		m.changed.segments[s] = true
	}
	if carry := a.due(); carry != (proof.Carried{}) {
		a.tree.Append(unknown(carry).Leaf())
	}
	m.changed.accounts[a] = true
}

// unknown is a receipt under no ticket.
func unknown(c proof.Carried) proof.Receipt {
	return proof.Receipt{UL: c.Bytes, VoiceMs: c.VoiceMs, Messages: c.Messages}
}

// root is over all receipts of the channel: final ones, then those of open
// segments as they are now.
func (a *account) root() [32]byte {
	var open []*segment
	for s := range a.open() {
		if s.Counted != s.Earlier {
			open = append(open, s)
		}
	}
	slices.SortFunc(open, (*segment).before)
	t := a.tree.Clone()
	for _, s := range open {
		t.Append(s.receipt().Leaf())
	}
	return t.Root()
}
