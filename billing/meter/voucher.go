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
		if a.due() > 0 {
			m.tell(a, "no channel to this tower: octets are counted and not promised")
		}
		return
	}
	m.take(a, ch)
	octets := a.due()
	if most := rating.Covered(ch.Reserve, ch.PricePerGB); octets > most {
		m.tell(a, fmt.Sprintf("reserve of channel %d is spent: %v covers %d octets, %d are due", ch.ID, ch.Reserve, most, octets))
		octets = most
	} else {
		m.tell(a, "")
	}
	if octets <= a.Bytes {
		return
	}
	amount, err := rating.Charge(octets, ch.PricePerGB)
	if err != nil {
		m.Logger.Error("voucher not made", "tower", a.tower.Short(), "err", err)
		return
	}
	v := proof.Voucher{ChainID: m.ChainID, Channel: ch.ID, Seq: a.Seq + 1, Amount: amount, Bytes: octets, Root: a.root()}
	b, err := v.Sign(m.Operator)
	if err != nil {
		m.Logger.Error("voucher not made", "tower", a.tower.Short(), "err", err)
		return
	}
	a.Seq, a.Amount, a.Bytes, a.Voucher = v.Seq, v.Amount, v.Bytes, b
	m.changed.accounts[a] = true
	m.Logger.Debug("voucher", "tower", a.tower.Short(), "channel", ch.ID, "seq", v.Seq, "octets", v.Bytes, "amount", v.Amount, "at", now)
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
	if ch.Bytes > a.Bytes {
		a.Extra += ch.Bytes - a.Bytes
		a.tree.Append(proof.Receipt{UL: ch.Bytes - a.Bytes}.Leaf())
	}
	a.Seq, a.Bytes, a.Amount, a.Voucher = max(a.Seq, ch.Seq)+gap, ch.Bytes, ch.Promised, nil
	m.changed.accounts[a] = true
}

// change begins another channel. Its first leaf is what was carried over,
// under no ticket.
func (m *Meter) change(a *account, channel uint64) {
	unknown := min(a.Bytes, a.Extra)
	a.Before += a.Bytes - unknown
	a.Extra -= unknown
	a.Channel, a.Seq, a.Bytes, a.Amount, a.Voucher, a.Seen = channel, 0, 0, proof.Amount{}, nil, 0
	a.tree = proof.Tree{}
	for s := range a.open() {
		s.Earlier = s.Counted
		m.changed.segments[s] = true
	}
	if carry := a.due(); carry > 0 {
		a.tree.Append(proof.Receipt{UL: carry}.Leaf())
	}
	m.changed.accounts[a] = true
}

// root is over all receipts of the channel: final ones, then those of open
// segments as they are now.
func (a *account) root() [32]byte {
	var open []*segment
	for s := range a.open() {
		if r := s.receipt(); r.UL+r.DL > 0 {
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
