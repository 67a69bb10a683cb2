package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"campanile.network/wire/link"
	"campanile.network/wire/proof"
)

// most is how many octets may be unpaid: the fixed part and the permille of
// what was counted. With u unpaid and p paid it solves
// u = fixed + (p+u)*permille/1000, rounded down part by part.
func (a *Agent) most() uint64 {
	share, rest := uint64(a.WindowPermille), 1000-uint64(a.WindowPermille)
	return a.WindowOctets*1000/rest + a.state.Paid/rest*share + a.state.Paid%rest*share/rest
}

// packet is the most that one packet may need of the allowance.
const packet = 65535

// consider looks at the channel and decides whether the tower goes on. spent
// says that a packet may have found the allowance too small.
func (a *Agent) consider(now time.Time, spent bool) {
	a.lookUp()
	most := a.most()
	left := most - min(most, a.state.Unpaid)
	switch {
	case a.serving && (left == 0 || spent && left < packet):
		a.stop(now, most)
	case !a.serving && left >= max(packet, a.WindowOctets/8):
		a.goOn(now)
	case !a.serving:
		a.say(now, a.reason(most))
	}
	if a.serving {
		a.Relay.Allow(a.octets + left)
	}
}

// stop ends opening bearers and relaying. Contexts are released a little
// later: a voucher that is only late costs nobody his connection.
func (a *Agent) stop(now time.Time, most uint64) {
	a.serving, a.stoppedAt, a.released = false, now, false
	a.Relay.Allow(0)
	a.Relay.Refuse(true)
	a.say(now, a.reason(most))
}

func (a *Agent) goOn(now time.Time) {
	a.serving = true
	a.Relay.Refuse(false)
	a.say(now, link.Notice{Code: link.Serving, Text: fmt.Sprintf("vouchers have caught up: serving again, %s unpaid", mega(a.state.Unpaid))})
}

// reason says why the tower has stopped.
func (a *Agent) reason(most uint64) link.Notice {
	lag := fmt.Sprintf("%s behind this tower's count; window %s", mega(a.state.Unpaid), mega(most))
	if a.channel == nil {
		return link.Notice{Code: link.NoChannel, Text: fmt.Sprintf("no channel to be paid from (%s): vouchers lag %s", a.why, lag)}
	}
	if due, err := a.channel.Prices.Charge(a.owed()); err != nil || due.Cmp(a.channel.Reserve) > 0 {
		return link.Notice{Code: link.ReserveSpent, Text: fmt.Sprintf("reserve of channel %d is spent: vouchers lag %s", a.channel.ID, lag)}
	}
	return link.Notice{Code: link.VouchersLag, Text: "vouchers lag " + lag}
}

// owed is what the newest voucher is for, and what has been relayed since.
func (a *Agent) owed() proof.Carried {
	c := a.held[a.state.Channel].Carried
	c.Bytes = a.state.Paid + a.state.Unpaid
	return c
}

// mega is octets in people's words.
func mega(octets uint64) string { return fmt.Sprintf("%.1f MB", float64(octets)/1e6) }

// lookUp finds the channel of the terms in the ledger. What was unpaid in an
// older channel stays unpaid in the new one.
func (a *Agent) lookUp() {
	channel := a.state.Channel
	if a.terms != nil {
		channel = a.terms.Channel
	}
	c, err := a.check(channel)
	if old, ok := a.Ledger.Channel(a.state.Channel); ok && !old.Open { // its last vouchers are worth what the ledger has taken
		a.state.credit(min(a.held[old.ID].Bytes, old.Bytes))
	}
	if a.terms == nil && channel == 0 {
		err = errors.New("no core has offered one yet")
	}
	if err != nil {
		if why := err.Error(); a.channel != nil || a.why != why {
			level := slog.LevelWarn
			if channel == 0 && a.terms == nil {
				level = slog.LevelDebug // at a first start it is always so
			}
			a.Logger.Log(context.Background(), level, "no channel to be paid from", "channel", channel, "reason", why)
			a.why = why
		}
		a.channel = nil
		return
	}
	a.channel = &c
	if c.ID == a.state.Channel {
		return
	}
	a.state.Channel, a.state.Paid = c.ID, max(a.held[c.ID].Bytes, c.Bytes)
	a.Logger.Info("channel", "channel", c.ID, "price_per_gb", c.Prices.PerGB, "reserve", c.Reserve, "unpaid_octets", a.state.Unpaid)
}

// check compares the core's word with the ledger.
func (a *Agent) check(id uint64) (Channel, error) {
	if id == 0 {
		return Channel{}, errors.New("the core offers none")
	}
	c, ok := a.Ledger.Channel(id)
	switch {
	case !ok:
		return c, fmt.Errorf("the ledger does not know channel %d", id)
	case c.Tower != a.Tower:
		return c, fmt.Errorf("channel %d is another tower's", id)
	case c.Payer != a.Operator:
		return c, fmt.Errorf("channel %d is paid by %s, not by the core's operator", id, c.Payer.Short())
	case !c.Open:
		return c, fmt.Errorf("channel %d is closed", id)
	case a.terms != nil && a.terms.Prices != c.Prices:
		return c, fmt.Errorf("the core offers %v for channel %d, the ledger says %v", a.terms.Prices, id, c.Prices)
	}
	return c, nil
}

// errLater is a voucher that the ledger may cover in a block or two.
var errLater = errors.New("agent: not covered yet")

// believe checks a voucher against the ledger and against the one it replaces.
func (a *Agent) believe(b []byte) (proof.Voucher, error) {
	v, err := proof.PeekVoucher(b)
	if err != nil {
		return v, err
	}
	c, ok := a.Ledger.Channel(v.Channel)
	if !ok {
		return v, fmt.Errorf("%w: the ledger does not know channel %d", errLater, v.Channel)
	}
	if c.Tower != a.Tower {
		return v, fmt.Errorf("channel %d is another tower's", v.Channel)
	}
	if v, err = proof.OpenVoucher(a.ChainID, c.Payer, b); err != nil {
		return v, err
	}
	due, err := c.Prices.Charge(v.Carried)
	old := a.held[v.Channel]
	switch {
	case err != nil:
		return v, err
	case v.Amount.Cmp(due) < 0:
		return v, fmt.Errorf("voucher %d of channel %d promises %v for %v that cost %v", v.Seq, v.Channel, v.Amount, v.Carried, due)
	case v.Amount.Cmp(c.Reserve) > 0:
		return v, fmt.Errorf("%w: voucher %d promises %v, the reserve of channel %d is %v", errLater, v.Seq, v.Amount, v.Channel, c.Reserve)
	case old.signed == nil:
		return v, nil
	case v == old.Voucher:
		return v, nil
	case v.Seq <= old.Seq:
		return v, fmt.Errorf("voucher %d of channel %d after number %d", v.Seq, v.Channel, old.Seq)
	case v.Amount.Cmp(old.Amount) < 0 || !v.Covers(old.Carried):
		return v, fmt.Errorf("voucher %d of channel %d takes back what number %d promised", v.Seq, v.Channel, old.Seq)
	}
	return v, nil
}

// voucher takes a voucher: it is stored before it counts.
func (a *Agent) voucher(b []byte) error {
	v, err := a.believe(b)
	switch {
	case errors.Is(err, errLater):
		if a.pending == nil {
			a.Logger.Info("voucher waits", "reason", err)
		}
		a.pending = b
		return nil
	case err != nil:
		a.refused++
		a.refusal = err.Error()
		a.Logger.Warn("voucher refused", "err", err)
		return nil
	}
	if a.held[v.Channel].signed != nil && v == a.held[v.Channel].Voucher {
		a.poke() // say again that it has been seen
		return nil
	}
	next := a.state
	if v.Channel == next.Channel {
		bytes := v.Bytes
		if c, _ := a.Ledger.Channel(v.Channel); !c.Open { // kept to be posted, but perhaps too late
			bytes = min(bytes, c.Bytes)
		}
		next.credit(bytes)
	}
	if err := a.store.keep(v.Channel, b, next); err != nil {
		return err
	}
	a.held[v.Channel], a.state, a.stored = held{v, b}, next, next
	a.Logger.Debug("voucher", "channel", v.Channel, "seq", v.Seq, "octets", v.Bytes, "amount", v.Amount, "unpaid_octets", next.Unpaid)
	a.poke()
	return nil
}

// hear takes what the core says.
func (a *Agent) hear(m link.ToTower) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.take()
	if m.Terms != nil {
		if m.Terms.ChainID != a.ChainID || m.Terms.Payer != a.Operator {
			a.Logger.Warn("terms refused", "chain_id", m.Terms.ChainID, "payer", m.Terms.Payer.Short())
			return
		}
		a.terms = m.Terms
		if a.SeenAs != nil && m.Terms.SeenAs.IsValid() {
			a.SeenAs(m.Terms.SeenAs)
		}
	}
	if m.Heard != nil {
		a.heardTo(*m.Heard)
	}
	a.lookUp()
	if m.Voucher != nil {
		if err := a.voucher(m.Voucher); err != nil {
			a.Logger.Error("agent", "err", err)
		}
	}
	a.consider(time.Now(), false)
}
