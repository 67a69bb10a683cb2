package town

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"campanile.network/billing/settle"
	"campanile.network/enb-agent/agent"
	"campanile.network/enb-agent/relay"
	"campanile.network/hss-chain/ledger"
	"campanile.network/internal/logs"
	"campanile.network/wire/proof"
)

// startAgent opens what stands at the tower: relay, agent and the owner's
// cashier.
func (t *Town) startAgent(ctx context.Context) error {
	w, err := t.openWay(ctx)
	if err != nil {
		return err
	}
	r, err := t.openRelay(w)
	if err != nil {
		return err
	}
	t.relay, w.relay = r, r
	core := t.cfg.Billing.Listen
	if t.meter == nil {
		core = t.cfg.Peers.Billing
	}
	dial, err := agent.Dialer(core, t.keys.tower, t.operatorKey)
	if err != nil {
		return err
	}
	t.agent, err = agent.New(agent.Options{Tower: t.keys.tower.Public(), Operator: t.operatorKey, ChainID: t.chainID, Dial: w.link(dial),
		Ledger: payee{t.model}, Relay: r, Path: t.cfg.path("tower.db"), SeenAs: t.behindNAT(w), Radio: t.radioHealth, Logger: t.role("tower")})
	if err != nil {
		return inUse(t.cfg.HomePath, err)
	}
	t.onEnd("tower store", t.agent.Close)
	t.serve("tower agent", t.agent.Serve)
	t.bound = append(t.bound, fmt.Sprintf("eNBs %v:%d", t.set.agentRadio, s1apPort))
	t.serve("relay", r.Serve)
	if w.auto() {
		t.serve("own address", w.follow)
	}
	t.settler, err = settle.New(settle.Options{Chain: t.cash, Holder: t.agent, Every: time.Duration(t.cfg.Billing.PostEvery), Logger: t.role("tower")})
	if err != nil {
		return err
	}
	t.serve("cashier", t.settler.Serve)
	if every := time.Duration(t.cfg.Tower.ClaimEvery); every > 0 && t.owner != nil {
		t.serve("claims", func(ctx context.Context) error { return t.claimEvery(ctx, every) })
	}
	return nil
}

// behindNAT gives what is done with the address under which the core sees this
// tower, where the configuration wants it to be found out: an address that is
// none of this machine's own is a NAT's. Bearers that an older address was
// announced for are given up; their phones come back.
func (t *Town) behindNAT(w *way) func(netip.Addr) {
	if t.set.public.IsValid() {
		w.relay.Announce(t.set.public)
	}
	if t.cfg.Agent.Public != "auto" {
		return nil
	}
	var last netip.Addr // of the NAT
	return func(seen netip.Addr) {
		own, err := net.InterfaceAddrs()
		if err != nil || seen.IsLoopback() {
			return
		}
		first := !last.IsValid()
		if slices.ContainsFunc(own, func(a net.Addr) bool { p, ok := a.(*net.IPNet); return ok && p.IP.Equal(seen.AsSlice()) }) {
			if first { // never behind a NAT
				return
			}
			seen = w.address() // not any more
		} else if seen != last {
			last = seen
			t.role("tower").Info("behind a NAT: the core sees this tower elsewhere", logs.Address, seen, "own", w.address())
		}
		if w.relay.Announce(seen) && !first {
			bounded, done := context.WithTimeout(context.Background(), time.Second)
			defer done()
			w.relay.ReleaseAll(bounded)
		}
	}
}

// claimEvery claims what has been earned, the first time as soon as there is
// something.
func (t *Town) claimEvery(ctx context.Context, every time.Duration) error {
	w := t.model.Watch()
	defer w.Close()
	for ; ctx.Err() == nil; rest(ctx, every) {
		for t.model.Claimable(t.owner.Address()).IsZero() {
			if _, err := w.Next(ctx); err != nil {
				return nil
			}
		}
		if _, err := t.claim(ctx); err != nil && ctx.Err() == nil {
			t.role("tower").Warn("claim", logs.Error, err)
		}
	}
	return nil
}

// openRelay binds the relay's two ends towards eNBs, and joins it to the way to
// the core.
func (t *Town) openRelay(w *way) (*relay.Relay, error) {
	radio, err := t.endpoint(t.set.toENB)
	if err != nil {
		return nil, err
	}
	l, err := radio.Listen(s1apPort)
	if err != nil {
		return nil, t.portTaken(err, "agent.radio")
	}
	user, err := listenUser(t.set.agentRadio)
	if err != nil {
		return nil, t.portTaken(err, "agent.radio")
	}
	var more []netip.AddrPort
	for _, a := range t.set.moreMMEs {
		more = append(more, netip.AddrPortFrom(a, s1apPort))
	}
	return relay.New(relay.Options{Radio: l, Core: wayEndpoint{w}, MME: netip.AddrPortFrom(t.set.toMMEAt, s1apPort), MoreMMEs: more, RadioUser: user, CoreUser: wayUser{w}, Logger: t.role("tower")})
}

// payee is the ledger as enb-agent/agent asks it.
type payee struct{ *ledger.Model }

func (p payee) Channel(n uint64) (agent.Channel, bool) {
	c, ok := p.Model.Channel(n)
	if !ok {
		return agent.Channel{}, false
	}
	return agent.Channel{ID: c.ID, Payer: c.Operator, Tower: proof.TowerKey(c.Tower), Prices: c.Prices, Reserve: c.Reserve, Bytes: c.Carried.Bytes, Open: c.State == ledger.ChannelOpen}, true
}
