package client

import (
	"context"
	"slices"

	"campanile.network/hss-chain/ledger"
	"campanile.network/hss-chain/x/keyproof"
	"campanile.network/hss-chain/x/subscriber"
	"campanile.network/hss-chain/x/tower"
	"campanile.network/wire/proof"
)

// batch is how many subscribers go into one transaction: a quarter of what a
// block may execute.
const batch = subscriber.MaxBatch

// RegisterOperator makes the account an operator with this key. Account, Key
// and Version of o are filled in. Refusals: ErrExists; a range that is taken.
func (c *Client) RegisterOperator(ctx context.Context, by *Account, key proof.SigningKey, o ledger.Operator) (Receipt, error) {
	public := key.Public()
	return c.submit(ctx, job{what: "register operator", by: by, gas: operatorGas(o), msg: &subscriber.MsgRegisterOperator{
		Account: string(by.address), Key: public[:],
		KeyProof: keyproof.Sign(key.Ed25519(), keyproof.Operator, c.node.ChainID(), string(by.address)),
		Name:     o.Name, PLMNs: plmns(o), Ranges: ranges(o), HSSNodes: nodes(o), Prices: prices(o),
	}})
}

// UpdateOperator replaces everything the operator has said about itself. The
// key may be another than before; open channels keep the old one.
func (c *Client) UpdateOperator(ctx context.Context, by *Account, key proof.SigningKey, o ledger.Operator) (Receipt, error) {
	public := key.Public()
	return c.submit(ctx, job{what: "update operator", by: by, gas: operatorGas(o), msg: &subscriber.MsgUpdateOperator{
		Account: string(by.address), Key: public[:],
		KeyProof: keyproof.Sign(key.Ed25519(), keyproof.Operator, c.node.ChainID(), string(by.address)),
		Name:     o.Name, PLMNs: plmns(o), Ranges: ranges(o), HSSNodes: nodes(o), Prices: prices(o),
	}})
}

// AddSubscribers enters subscribers of the operator `by`, any number: they go in
// batches, each whole or not at all. After an error those of earlier batches
// are in; what the ledger has need not be sent again. Operator and Version are
// filled in. The receipt is the last batch's. Refusals: ErrExists, ErrUnknown.
func (c *Client) AddSubscribers(ctx context.Context, by *Account, epoch uint64, subs []ledger.Subscriber) (r Receipt, err error) {
	for part := range slices.Chunk(subs, batch) {
		m := &subscriber.MsgAddSubscribers{Operator: string(by.address), Epoch: epoch}
		for _, s := range part {
			m.Subscribers = append(m.Subscribers, subscriber.NewSubscriber{
				ID: s.ID[:], State: subscriber.SubscriberState(s.State), Plan: s.Plan, BlobHash: s.BlobHash[:],
			})
		}
		if r, err = c.submit(ctx, job{what: "add subscribers", by: by, gas: batchGas(len(part)), msg: m}); err != nil {
			return r, err
		}
	}
	return r, nil
}

// UpdateSubscriber replaces state, plan, epoch and blob of subscribers, in
// batches as AddSubscribers does. Version must be the recorded one plus 1; an
// erased one has no plan and a zero blob hash. Refusals: ErrUnknown; a version
// that is not the next; another operator's.
func (c *Client) UpdateSubscriber(ctx context.Context, by *Account, subs ...ledger.Subscriber) (r Receipt, err error) {
	for part := range slices.Chunk(subs, batch) {
		m := &subscriber.MsgUpdateSubscribers{Operator: string(by.address)}
		for _, s := range part {
			change := subscriber.SubscriberChange{
				ID: s.ID[:], State: subscriber.SubscriberState(s.State), Plan: s.Plan, Version: s.Version, Epoch: s.Epoch,
			}
			if s.State != ledger.Erased || s.BlobHash != [32]byte{} {
				change.BlobHash = s.BlobHash[:]
			}
			m.Changes = append(m.Changes, change)
		}
		if r, err = c.submit(ctx, job{what: "update subscribers", by: by, gas: batchGas(len(part)), msg: m}); err != nil {
			return r, err
		}
	}
	return r, nil
}

// RegisterTower enters a tower under its key, owned by the account. Key, Owner
// and Version of t are filled in; no Shares means all for the owner. Refusals:
// ErrExists; an eNB identity that is taken.
func (c *Client) RegisterTower(ctx context.Context, owner *Account, key proof.SigningKey, t ledger.Tower) (Receipt, error) {
	return c.RegisterTowerKey(ctx, owner, key.Public(), keyproof.Sign(key.Ed25519(), keyproof.Tower, c.node.ChainID(), string(owner.address)), t)
}

// RegisterTowerKey is RegisterTower for a tower whose key is elsewhere;
// keyProof is its own for this owner and chain.
func (c *Client) RegisterTowerKey(ctx context.Context, owner *Account, key proof.TowerKey, keyProof []byte, t ledger.Tower) (Receipt, error) {
	return c.submit(ctx, job{what: "register tower", by: owner, gas: towerGas(t), msg: &tower.MsgRegisterTower{
		Owner: string(owner.address), Key: key[:], KeyProof: keyProof,
		Name: t.Name, ENB: enb(t), Cells: cells(t), Shares: shares(t), Prices: tariff(t.Prices),
	}})
}

// UpdateTower replaces what the owner has said about the tower t.Key. Prices and
// shares bind channels opened later.
func (c *Client) UpdateTower(ctx context.Context, owner *Account, t ledger.Tower) (Receipt, error) {
	return c.submit(ctx, job{what: "update tower", by: owner, gas: towerGas(t), msg: &tower.MsgUpdateTower{
		Owner: string(owner.address), Key: t.Key[:],
		Name: t.Name, ENB: enb(t), Cells: cells(t), Shares: shares(t), Prices: tariff(t.Prices),
	}})
}

// ReportHealth shows the chain what a tower says about its radio, as
// proof.Health.Sign made it. Anybody may. Refusals: ErrUnknown, ErrNothingNew;
// one that comes too soon or is not the tower's.
func (c *Client) ReportHealth(ctx context.Context, by *Account, statement []byte) (Receipt, error) {
	gas := uint64(gasChannel)
	if h, err := proof.OpenHealth(c.node.ChainID(), statement); err == nil && c.node.Ledger != nil {
		if t, ok := c.node.Ledger.Tower(h.Tower); ok {
			gas = towerGas(t)
		}
	}
	return c.submit(ctx, job{what: "report health", by: by, gas: gas, msg: &tower.MsgReportHealth{Submitter: string(by.address), Statement: statement}})
}
