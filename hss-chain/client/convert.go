package client

import (
	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/ledger"
	"campanile.network/hss-chain/x/settlement"
	"campanile.network/hss-chain/x/subscriber"
	"campanile.network/hss-chain/x/tower"
	"campanile.network/wire/proof"
)

// Gas a transaction may take, by what it says: measured, with room to spare
// (TestGas). The transactions of a block get at most app.MaxBlockGas together.
const (
	gasBase       = 100_000
	gasChannel    = 300_000
	gasVoucher    = 40_000
	gasShare      = 9_000
	maxShares     = 16
	gasSubscriber = 12_000
	gasItem       = 8_000 // a range, a PLMN, a price; a tenth of a node
	gasCell       = 2_000 // or a share of a tower
)

func batchGas(n int) uint64 { return gasBase + gasSubscriber*uint64(n) }

func operatorGas(o ledger.Operator) uint64 {
	return gasChannel + gasItem*uint64(len(o.PLMNs)+len(o.Ranges)+10*len(o.Nodes)+len(o.Prices))
}

func towerGas(t ledger.Tower) uint64 {
	return gasChannel + gasCell*uint64(len(t.Cells)+len(t.Shares))
}

// voucherGas depends on how many shares the voucher's channel has; without a
// ledger, or for a channel it does not know, that is taken to be the most.
func (c *Client) voucherGas(vouchers ...[]byte) uint64 {
	gas := uint64(gasBase)
	for _, b := range vouchers {
		n := maxShares
		if v, err := proof.PeekVoucher(b); err == nil && c.node.Ledger != nil {
			if ch, ok := c.node.Ledger.Channel(v.Channel); ok {
				n = len(ch.Shares)
			}
		}
		gas += gasVoucher + gasShare*uint64(n)
	}
	return gas
}

func digits(p id.PLMN) string { return p.MCC() + p.MNC() }

func plmns(o ledger.Operator) (list []string) {
	for _, p := range o.PLMNs {
		list = append(list, digits(p))
	}
	return list
}

func ranges(o ledger.Operator) (list []string) {
	for _, r := range o.Ranges {
		list = append(list, string(r))
	}
	return list
}

func nodes(o ledger.Operator) (list []subscriber.HSSNode) {
	for _, n := range o.Nodes {
		list = append(list, subscriber.HSSNode{Key: n.Key[:], HPKEPublicKey: n.HPKE, INDSlot: uint32(n.IND), Endpoint: n.Endpoint})
	}
	return list
}

func prices(o ledger.Operator) (list []subscriber.Price) {
	for _, p := range o.Prices {
		list = append(list, subscriber.Price{Class: p.Class.String(), PerGB: settlement.IntOf(p.PerGB)})
	}
	return list
}

func enb(t ledger.Tower) tower.GlobalENB {
	return tower.GlobalENB{PLMN: digits(t.ENB.PLMN), Type: tower.ENBMacro + tower.ENBType(t.ENB.Type), Value: t.ENB.ID}
}

func cells(t ledger.Tower) (list []tower.Cell) {
	for _, c := range t.Cells {
		list = append(list, tower.Cell{PLMN: digits(c.PLMN), ECI: uint32(c.ECI)})
	}
	return list
}

func shares(t ledger.Tower) (list []tower.Share) {
	for _, s := range t.Shares {
		list = append(list, tower.Share{Address: string(s.Account), Weight: s.Weight})
	}
	return list
}

func tariff(p proof.Prices) tower.Prices {
	return tower.Prices{PerGB: settlement.IntOf(p.PerGB), PerMinute: settlement.IntOf(p.PerMinute), PerMessage: settlement.IntOf(p.PerMessage)}
}
