package agent

import (
	"slices"
	"time"

	"campanile.network/wire/link"
	"campanile.network/wire/proof"
)

// View is what an agent shows.
type View struct {
	Tower     proof.TowerKey
	Operator  proof.OperatorKey
	Connected bool          // to the core
	AwaySince time.Time     // that it is not connected; zero when it is
	AwayWhy   string        // in words; empty before the first attempt has failed
	Serving   bool          // relays and opens bearers
	Notice    link.Notice   // its last word
	Channel   uint64        // 0: none
	Prices    proof.Prices  // of the channel
	Reserve   proof.Amount  // of the channel
	Seq       uint64        // of the newest voucher
	Amount    proof.Amount  // of the newest voucher
	Carried   proof.Carried // of the newest voucher
	Paid      uint64        // octets in the newest voucher
	Unpaid    uint64        // octets counted and in no voucher
	Window    uint64        // octets that may be unpaid
	UL, DL    uint64        // octets counted since the agent was made
	Refused   uint64        // vouchers not believed
	Refusal   string        // why, of the last one
}

// Snapshot copies the agent's state.
func (a *Agent) Snapshot() View {
	a.mu.Lock()
	defer a.mu.Unlock()
	v := View{Tower: a.Tower, Operator: a.Operator, Connected: a.connected, Serving: a.serving, Notice: a.notice, Channel: a.state.Channel,
		Paid: a.state.Paid, Unpaid: a.state.Unpaid + a.Relay.Octets() - a.octets, Window: a.most(), Refused: a.refused, Refusal: a.refusal}
	if !a.connected {
		v.AwaySince, v.AwayWhy = a.awaySince, a.awayWhy
	}
	if a.channel != nil {
		v.Prices, v.Reserve = a.channel.Prices, a.channel.Reserve
	}
	if h := a.held[a.state.Channel]; h.signed != nil {
		v.Seq, v.Amount, v.Carried = h.Seq, h.Amount, h.Carried
	}
	for _, c := range a.Relay.Counts() {
		v.UL += c.UL
		v.DL += c.DL
	}
	return v
}

// Vouchers gives the highest signed voucher of each channel, for posting.
func (a *Agent) Vouchers() (list [][]byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, h := range a.held {
		list = append(list, slices.Clone(h.signed))
	}
	return list
}
