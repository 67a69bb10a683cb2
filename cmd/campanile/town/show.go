package town

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"campanile.network/billing/meter"
	"campanile.network/console"
	"campanile.network/hss-chain/ledger"
	"campanile.network/mme"
	"campanile.network/wire/proof"
)

// What the roles here have to show; a role that is in another process has
// nothing.

func (t *Town) enbs() []mme.ENBInfo {
	if t.mme == nil {
		return nil
	}
	return t.mme.ENBs()
}

func (t *Town) ues() []mme.UEInfo {
	if t.mme == nil {
		return nil
	}
	return t.mme.UEs()
}

func (t *Town) accounts() []meter.TowerView {
	if t.meter == nil {
		return nil
	}
	return t.meter.Snapshot().Towers
}

// startConsole serves the web page.
func (t *Town) startConsole(context.Context) error {
	if t.cfg.Console.Listen == "" {
		return nil
	}
	changed, _ := t.watch()
	b := &balances{t: t, last: map[ledger.Account]*proof.Amount{}}
	s, err := console.New(console.Options{Listen: t.cfg.Console.Listen, State: func() console.State { return t.state(b) }, Changed: changed,
		Claim: func(ctx context.Context) (string, error) {
			a, err := t.claim(ctx)
			if err != nil {
				return "", err
			}
			if a.IsZero() {
				return "nothing to claim", nil
			}
			return fmt.Sprintf("claimed %s in block %d", bell(a), t.chain.Status().Height), nil
		}, Phones: func(q console.PhoneQuery) (console.PhoneList, error) { return phones{t: t}.list(q, "") }, Phone: phones{t: t}.byID, SetAPNs: t.apnSetter(), SIP: t.consoleSIP(), Logger: t.role("console")})
	if err != nil {
		return t.portTaken(err, "console.listen")
	}
	t.console = s.Addr().String()
	t.serve("balances", b.follow)
	t.serve("console", s.Serve)
	return nil
}

// claim posts what is signed and claims what is earned.
func (t *Town) claim(ctx context.Context) (proof.Amount, error) {
	if t.settler == nil { // the agent is in another process
		return t.cash.Claim(ctx)
	}
	a, err := t.settler.Claim(ctx)
	if err == nil && !a.IsZero() {
		t.logEvent("money", "the tower's owner claimed "+bell(a))
	}
	return a, err
}

// bell gives an amount in BELL with six places, rounded down.
func bell(a proof.Amount) string {
	micro, err := a.MulDiv(1, 1e12)
	if err != nil {
		return a.String() + " abell"
	}
	s := fmt.Sprintf("%07s", micro.String())
	return s[:len(s)-6] + "." + s[len(s)-6:] + " BELL"
}

// Bell gives decimal digits of abell in BELL; what is no number stays as it is.
func Bell(abell string) string {
	a, err := proof.ParseAmount(abell)
	if err != nil {
		return abell
	}
	return bell(a)
}

// balances asks the chain for balances when something has moved, so that
// nobody who shows them waits for it.
type balances struct {
	t *Town

	mu   sync.Mutex
	last map[ledger.Account]*proof.Amount
}

func (b *balances) get(a ledger.Account) *proof.Amount {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last[a]
}

func (b *balances) follow(ctx context.Context) error {
	w := b.t.model.Watch()
	defer w.Close()
	paid := map[uint64]proof.Amount{}
	for _, c := range b.t.model.Channels() {
		paid[c.ID] = c.Paid
	}
	for first := true; ; first = false {
		for _, a := range []ledger.Account{b.t.owner.Address(), b.t.operator.Address()} {
			ask, cancel := context.WithTimeout(ctx, 2*time.Second)
			v, err := b.t.chain.Balance(ask, a)
			cancel()
			b.mu.Lock()
			if b.last[a] = nil; err == nil {
				b.last[a] = &v
			}
			b.mu.Unlock()
		}
		b.t.wake()
		for {
			u, err := w.Next(ctx)
			if err != nil {
				return nil
			}
			b.t.tellPayments(u.Channels, paid)
			if first || !u.Empty() {
				break
			}
			b.t.wake()
		}
	}
}

// tellPayments says what a block paid out of channels.
func (t *Town) tellPayments(channels []ledger.Channel, paid map[uint64]proof.Amount) {
	for _, c := range channels {
		if more, err := c.Paid.Sub(paid[c.ID]); err == nil && !more.IsZero() {
			t.logEvent("money", fmt.Sprintf("channel %d paid %s for voucher %d", c.ID, bell(more), c.Seq))
		}
		paid[c.ID] = c.Paid
	}
}

// state is what the console shows.
func (t *Town) state(b *balances) console.State {
	c := t.chain.Status()
	s := console.State{
		Network: console.Network{Name: t.cfg.Network.Name, PLMN: t.cfg.Network.PLMN, Operator: t.operatorKey, Law: t.law(), S1AP: transportLines(t.transports), DataPath: t.path.String(), Pool: t.poolMembers()},
		Chain:   console.Chain{ID: c.ChainID, Height: c.Height, Time: c.Time, Running: c.Running, Validators: c.Validators},
	}
	view := t.meter.Snapshot()
	for _, u := range view.Unsettled {
		s.Unsettled = append(s.Unsettled, console.Unsettled{Reason: string(u.Reason), Octets: console.Octets{UL: u.Counts.UL, DL: u.Counts.DL}})
	}
	s.Towers, s.Carried = t.showTowers(view)
	s.Phones = t.showPhones()
	owner := t.owner.Address()
	s.Accounts = []console.Account{
		{Name: "tower owner", Address: string(owner), Balance: b.get(owner), Claimable: t.model.Claimable(owner), Claims: true},
		{Name: "operator", Address: string(t.operator.Address()), Balance: b.get(t.operator.Address()), Claimable: t.model.Claimable(t.operator.Address())},
	}
	for _, e := range t.list() {
		s.Events = append(s.Events, console.Event{At: e.at, Kind: e.kind, Text: e.text})
	}
	return s
}

func (t *Town) law() string {
	if t.cfg.Radio.Kind == "virtual" {
		return "virtual radio: nothing is transmitted"
	}
	if r := t.radio.Load(); r != nil {
		return r.Plan.Law()
	}
	return "transmitting needs a licence or a shielded room: that is for you to have"
}

func (t *Town) showTowers(view meter.View) (out []console.Tower, carried console.Octets) {
	air := map[proof.TowerKey]mme.ENBInfo{}
	for _, e := range t.enbs() {
		air[e.Tower] = e
	}
	tally := map[proof.TowerKey]meter.TowerView{}
	for _, v := range view.Towers {
		tally[v.Tower] = v
		carried.UL += v.Gateway.UL
		carried.DL += v.Gateway.DL
	}
	for _, w := range t.model.Towers() {
		e, on := air[w.Key]
		v := tally[w.Key]
		r := console.Tower{Key: w.Key, Name: w.Name, ENB: w.ENB.String(), OnAir: on, Since: e.Since, Notice: e.Notice, Linked: v.Connected,
			Self: w.Owner == t.owner.Address(), Phones: e.UEs, PricePerGB: w.Prices.PerGB, PricePerMinute: w.Prices.PerMinute, PricePerMessage: w.Prices.PerMessage, Tally: console.Tally{
				Gateway: console.Octets{UL: v.Gateway.UL, DL: v.Gateway.DL}, Tower: console.Octets{UL: v.Measured.UL, DL: v.Measured.DL},
				Counted: v.Counted.Bytes, VoiceMs: v.Counted.VoiceMs, Messages: v.Counted.Messages,
				Billed: v.Billed.Bytes, Lag: v.Lag.Bytes, Window: window(v.Counted.Bytes), Seq: v.Seq, Seen: v.Seen, Amount: v.Amount, Trouble: v.Trouble}}
		r.Radio, r.Told = showRadio(v.Radio), showTold(w.Health)
		if !on {
			r.Reason = "no eNB has connected as this tower yet"
		}
		for _, c := range w.Cells {
			r.Cells = append(r.Cells, c.String())
		}
		if c, ok := t.model.ChannelBetween(t.operatorKey, w.Key); ok {
			r.Channel = &console.Channel{ID: c.ID, State: c.State.String(), Reserve: c.Reserve, Promised: c.Promised, Paid: c.Paid}
		}
		out = append(out, r)
	}
	return out, carried
}

// window is the lag at which a tower stops: 4 MB and 1 % of what it counted.
func window(counted uint64) uint64 { return 4_000_000 + counted/100 }

func (t *Town) showPhones() []console.Phone {
	names, sessions := t.towerNames(), t.sessions()
	var out []console.Phone
	for _, u := range t.ues() {
		p := console.Phone{IMSI: u.IMSI, State: u.State.String(), Since: u.Since, Address: u.Address, APN: u.APN.String(), Security: u.Security,
			Tower: names[u.Tower], Cell: u.Cell.String(), TicketUntil: u.TicketUntil, Reason: u.Reason, Notice: u.Notice, Ref: phoneID(u.Number)}
		if d, ok := t.mme.Phone(u.IMSI); ok && u.State == mme.Idle {
			p.Heard, p.UpdateDue = utc(d.Heard), utc(d.Update)
		}
		if !u.TicketUntil.IsZero() {
			p.Ticket = u.Ticket.String()
		}
		for _, b := range u.Bearers {
			s := sessions[b.Address]
			p.Bearers = append(p.Bearers, console.Bearer{EBI: uint8(b.EBI), QCI: uint8(b.QCI), Active: b.DL != 0, Settled: s.Settled,
				Octets: console.Octets{UL: s.Count.ULOctets, DL: s.Count.DLOctets}, ULPackets: s.Count.ULPackets, DLPackets: s.Count.DLPackets})
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b console.Phone) int { return cmp.Compare(a.IMSI.Digits(), b.IMSI.Digits()) })
	return out
}
