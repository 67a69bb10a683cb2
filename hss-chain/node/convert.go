package node

import (
	"errors"
	"fmt"

	"cosmossdk.io/math"

	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/ledger"
	"campanile.network/hss-chain/x/settlement"
	"campanile.network/hss-chain/x/subscriber"
	"campanile.network/hss-chain/x/tower"
	"campanile.network/wire/proof"
)

// converter turns the chain's records into the ledger's, gathering errors: the
// modules have checked every record, so an error here is a fault of ours.
type converter struct{ err error }

func (c *converter) fail(err error) {
	if err != nil {
		c.err = errors.Join(c.err, err)
	}
}

func (c *converter) amount(v math.Int) proof.Amount {
	if v.IsNil() {
		return proof.Amount{}
	}
	a, err := proof.ParseAmount(v.String())
	c.fail(err)
	return a
}

func (c *converter) key(b []byte) (k [32]byte) {
	if len(b) != len(k) {
		c.fail(fmt.Errorf("%x: want 32 octets", b))
		return k
	}
	return [32]byte(b)
}

func (c *converter) plmn(s string) id.PLMN {
	p, err := id.ParsePLMN(s)
	c.fail(err)
	return p
}

func (c *converter) operator(o subscriber.Operator) ledger.Operator {
	v := ledger.Operator{Account: ledger.Account(o.Account), Key: c.key(o.Key), Name: o.Name, Version: o.Version}
	for _, p := range o.PLMNs {
		v.PLMNs = append(v.PLMNs, c.plmn(p))
	}
	for _, r := range o.Ranges {
		v.Ranges = append(v.Ranges, ledger.Range(r))
	}
	for _, n := range o.HSSNodes {
		v.Nodes = append(v.Nodes, ledger.HSSNode{Key: c.key(n.Key), HPKE: n.HPKEPublicKey, IND: uint8(n.INDSlot), Endpoint: n.Endpoint})
	}
	for _, p := range o.Prices {
		v.Prices = append(v.Prices, ledger.Price{Class: c.class(p.Class), PerGB: c.amount(p.PerGB)})
	}
	return v
}

func (c *converter) class(name string) proof.Class {
	for k := proof.Proven; k <= proof.Grace; k++ {
		if k.String() == name {
			return k
		}
	}
	c.fail(fmt.Errorf("ticket class %q", name))
	return 0
}

func (c *converter) subscriber(s subscriber.Subscriber) ledger.Subscriber {
	v := ledger.Subscriber{
		Operator: ledger.Account(s.Operator), State: ledger.SubscriberState(s.State),
		Plan: s.Plan, Version: s.Version, Epoch: s.Epoch,
	}
	if len(s.ID) != len(v.ID) {
		c.fail(fmt.Errorf("subscriber id %x", s.ID))
		return v
	}
	v.ID = id.SubscriberID(s.ID)
	if len(s.BlobHash) != 0 {
		v.BlobHash = c.key(s.BlobHash)
	}
	return v
}

func (c *converter) tower(t tower.Tower) ledger.Tower {
	enb, err := id.MakeGlobalENBID(c.plmn(t.ENB.PLMN), id.ENBType(t.ENB.Type-tower.ENBMacro), t.ENB.Value)
	c.fail(err)
	v := ledger.Tower{
		Key: c.key(t.Key), Owner: ledger.Account(t.Owner), Name: t.Name, ENB: enb,
		Shares: c.shares(t.Shares), Prices: c.prices(t.Prices), Version: t.Version,
	}
	for _, cell := range t.Cells {
		v.Cells = append(v.Cells, id.ECGI{PLMN: c.plmn(cell.PLMN), ECI: id.ECI(cell.ECI)})
	}
	if h := t.Health; h != nil {
		v.Health = ledger.Health{State: proof.RadioState(h.State), Since: h.Since, Restarts: h.Restarts, Said: h.Said, Heard: h.Heard}
	}
	return v
}

func (c *converter) prices(p tower.Prices) proof.Prices {
	return proof.Prices{PerGB: c.amount(p.PerGB), PerMinute: c.amount(p.PerMinute), PerMessage: c.amount(p.PerMessage)}
}

func (c *converter) shares(list []tower.Share) (v []ledger.Share) {
	for _, s := range list {
		v = append(v, ledger.Share{Account: ledger.Account(s.Address), Weight: s.Weight})
	}
	return v
}

func (c *converter) channel(ch settlement.Channel) ledger.Channel {
	return ledger.Channel{
		ID: ch.ID, Payer: ledger.Account(ch.Payer), Owner: ledger.Account(ch.Owner),
		Operator: c.key(ch.OperatorKey), Tower: c.key(ch.TowerKey),
		Prices: c.prices(ch.Prices), Shares: c.shares(ch.Shares),
		Reserve: c.amount(ch.Reserve), Promised: c.amount(ch.Promised), Paid: c.amount(ch.Paid), Returned: c.amount(ch.Returned),
		Seq: ch.Seq, Carried: proof.Carried{Bytes: ch.Carried.Bytes, VoiceMs: ch.Carried.VoiceMs, Messages: ch.Carried.Messages}, Root: c.key(ch.Root),
		State: ledger.ChannelState(ch.State), ClosesAt: ch.ClosesAt,
	}
}
