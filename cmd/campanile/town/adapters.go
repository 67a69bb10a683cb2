package town

import (
	"context"
	"errors"
	"fmt"

	"campanile.network/3gpp/id"
	"campanile.network/billing/meter"
	"campanile.network/billing/settle"
	"campanile.network/hss-chain/client"
	"campanile.network/hss-chain/ledger"
	"campanile.network/internal/verify"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

// What one role declares and another has; none of it decides anything.

// towers lets the MME admit who is registered.
type towers struct{ *ledger.Model }

func (t towers) Admit(_ context.Context, enb id.GlobalENBID, _ []id.TAI) (proof.TowerKey, error) {
	r, ok := t.TowerByENB(enb)
	if !ok {
		return proof.TowerKey{}, fmt.Errorf("no tower is registered with eNB %v", enb)
	}
	return r.Key, nil
}

// pathSwitch says whose eNBs are believed that a phone came to them by X2, as
// mme.x2 says.
func (t towers) pathSwitch(x2 string) func(from, to proof.TowerKey) bool {
	return func(from, to proof.TowerKey) bool {
		a, ok := t.Tower(from)
		b, ok2 := t.Tower(to)
		return x2 == x2All || x2 == x2SameOwner && ok && ok2 && a.Owner == b.Owner
	}
}

// homes sends a question to the subscriber's home: this one.
type homes struct {
	*ledger.Model
	self proof.OperatorKey
	own  home.Home
}

func (h homes) Challenge(ctx context.Context, r home.ChallengeRequest) (home.Challenge, error) {
	op, ok := h.Home(r.IMSI)
	if !ok || op.Key != h.self {
		return home.Challenge{}, &home.Error{Code: home.ForeignRange}
	}
	return h.own.Challenge(ctx, r)
}

func (h homes) Prove(ctx context.Context, r home.ProveRequest) (home.Lease, error) {
	return h.own.Prove(ctx, r)
}

func (h homes) Void(ctx context.Context, r home.VoidRequest) ([]home.Voided, error) {
	v, ok := h.own.(home.Voider)
	if !ok {
		return nil, &home.Error{Code: home.Unavailable}
	}
	return v.Void(ctx, r)
}

// openTicket verifies tickets for the gateway.
func openTicket(m *ledger.Model, chainID string, self proof.OperatorKey) func([]byte) (proof.Ticket, error) {
	var nodes verify.Keys
	return func(b []byte) (proof.Ticket, error) {
		t, err := proof.OpenTicketWith(nodes.Verify, chainID, b)
		if err != nil {
			return t, err
		}
		op, ok := m.OperatorByKey(t.Home)
		if _, is := op.Node(t.Node); !ok || !is {
			return t, fmt.Errorf("ticket's node %s is not an HSS node of operator %s", t.Node.Short(), t.Home.Short())
		}
		if t.Serving != self {
			return t, fmt.Errorf("ticket is for operator %s", t.Serving.Short())
		}
		return t, nil
	}
}

// payer is the ledger as billing/meter asks it.
type payer struct{ *ledger.Model }

func (p payer) Channel(op proof.OperatorKey, tower proof.TowerKey) (meter.Channel, bool) {
	c, ok := p.ChannelBetween(op, tower)
	if !ok || c.State != ledger.ChannelOpen {
		return meter.Channel{}, false
	}
	return meter.Channel{ID: c.ID, Prices: c.Prices, Reserve: c.Reserve, Seq: c.Seq, Carried: c.Carried, Promised: c.Promised}, true
}

func (p payer) Tower(k proof.TowerKey) bool {
	_, ok := p.Model.Tower(k)
	return ok
}

func (p payer) HomeNode(op proof.OperatorKey, node proof.NodeKey) bool {
	o, ok := p.OperatorByKey(op)
	_, is := o.Node(node)
	return ok && is
}

// cashier is the chain as those ask it who bring what a tower has: the owner's
// account pays.
type cashier struct {
	chain *client.Client
	owner *client.Account
	model *ledger.Model
}

func (c cashier) Settle(ctx context.Context, voucher []byte) (settle.Settled, error) {
	s, _, err := c.chain.Settle(ctx, c.owner, voucher)
	if errors.Is(err, client.ErrNothingNew) {
		return settle.Settled{}, nil
	}
	if err != nil || len(s) != 1 {
		return settle.Settled{}, err
	}
	return settle.Settled{Channel: s[0].Channel, Paid: s[0].Paid, Owing: s[0].Owing}, nil
}

func (c cashier) Claim(ctx context.Context) (proof.Amount, error) {
	if c.model.Claimable(c.owner.Address()).IsZero() {
		return proof.Amount{}, nil
	}
	a, _, err := c.chain.Claim(ctx, c.owner)
	if errors.Is(err, client.ErrNothingToClaim) {
		return proof.Amount{}, nil
	}
	return a, err
}

func (c cashier) Report(ctx context.Context, statement []byte) error {
	_, err := c.chain.ReportHealth(ctx, c.owner, statement)
	return err
}

func (c cashier) Promised(channel uint64) (proof.Amount, bool) { return promised(c.model, channel) }

func promised(m *ledger.Model, channel uint64) (proof.Amount, bool) {
	ch, ok := m.Channel(channel)
	return ch.Promised, ok && ch.State != ledger.ChannelClosed
}
