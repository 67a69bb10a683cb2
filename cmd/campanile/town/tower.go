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
	core := t.cfg.Billing.Listen
	if t.meter == nil {
		core = t.cfg.Peers.Billing
	}
	dial, err := agent.Dialer(core, t.keys.tower, t.operatorKey)
	if err != nil {
		return err
	}
	t.agent, err = agent.New(agent.Options{Tower: t.keys.tower.Public(), Operator: t.operatorKey, ChainID: t.chainID, Dial: dial,
		Ledger: payee{t.model}, Relay: r, Path: t.cfg.path("tower.db"), Logger: t.role("tower")})
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
