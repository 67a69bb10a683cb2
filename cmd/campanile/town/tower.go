package town

import (
	"context"
	"fmt"
	"net"
	"net/netip"
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
func (t *Town) startAgent(context.Context) error {
	r, err := t.openRelay()
	if err != nil {
		return err
	}
	t.relay = r
	core := t.cfg.Billing.Listen
	if t.meter == nil {
		core = t.cfg.Peers.Billing
	}
	dial, err := agent.Dialer(core, t.keys.tower, t.operatorKey)
	if err != nil {
		return err
	}
	t.agent, err = agent.New(agent.Options{Tower: t.keys.tower.Public(), Operator: t.operatorKey, ChainID: t.chainID, Dial: dial,
		Ledger: payee{t.model}, Relay: r, Path: t.cfg.path("tower.db"), SeenAs: t.behindNAT(r), Radio: t.radioHealth, Logger: t.role("tower")})
	if err != nil {
		return inUse(t.cfg.HomePath, err)
	}
	t.onEnd("tower store", t.agent.Close)
	t.serve("tower agent", t.agent.Serve)
	t.bound = append(t.bound, fmt.Sprintf("eNBs %v:%d", t.set.agentRadio, s1apPort))
	t.serve("relay", r.Serve)
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
func (t *Town) behindNAT(r *relay.Relay) func(netip.Addr) {
	if t.set.public.IsValid() {
		r.Announce(t.set.public)
	}
	if t.cfg.Agent.Public != "auto" {
		return nil
	}
	var last netip.Addr
	return func(seen netip.Addr) {
		own, err := net.InterfaceAddrs()
		if err != nil || seen == last || seen.IsLoopback() {
			return
		}
		for _, a := range own {
			if p, ok := a.(*net.IPNet); ok && p.IP.Equal(seen.AsSlice()) {
				return
			}
		}
		first := !last.IsValid()
		last = seen
		t.role("tower").Info("behind a NAT: the core sees this tower elsewhere", logs.Address, seen, "own", t.set.agentCore)
		if r.Announce(seen) && !first {
			bounded, done := context.WithTimeout(context.Background(), time.Second)
			defer done()
			r.ReleaseAll(bounded)
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

// openRelay binds the relay's four ends.
func (t *Town) openRelay() (*relay.Relay, error) {
	radio, err := t.endpoint(t.set.toENB)
	if err != nil {
		return nil, err
	}
	core, err := t.endpoint(t.set.toMME)
	if err != nil {
		return nil, err
	}
	l, err := radio.Listen(s1apPort)
	if err != nil {
		return nil, t.portTaken(err, "agent.radio")
	}
	user := func(a netip.Addr, key string) (*net.UDPConn, error) {
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, gtpuPort)))
		return c, t.portTaken(err, key)
	}
	radioUser, err := user(t.set.agentRadio, "agent.radio")
	if err != nil {
		return nil, err
	}
	coreUser, err := user(t.set.agentCore, "agent.core")
	if err != nil {
		radioUser.Close()
		return nil, err
	}
	return relay.New(relay.Options{Radio: l, Core: core, MME: netip.AddrPortFrom(t.set.toMMEAt, s1apPort), RadioUser: radioUser, CoreUser: coreUser, Logger: t.role("tower")})
}

// payee is the ledger as enb-agent/agent asks it.
type payee struct{ *ledger.Model }

func (p payee) Channel(n uint64) (agent.Channel, bool) {
	c, ok := p.Model.Channel(n)
	if !ok {
		return agent.Channel{}, false
	}
	return agent.Channel{ID: c.ID, Payer: c.Operator, Tower: proof.TowerKey(c.Tower), PricePerGB: c.PricePerGB, Reserve: c.Reserve, Bytes: c.Bytes, Open: c.State == ledger.ChannelOpen}, true
}
