package client

import (
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/hss-chain/ledger"
	"campanile.network/wire/proof"
)

// BenchmarkVouchers settles vouchers of 100 channels, 100 in a transaction and
// one transaction in a block, through the whole chain: signed transaction,
// mempool, consensus of one, state on disk, ledger model.
func BenchmarkVouchers(b *testing.B) {
	r := run(b, time.Millisecond)
	ctx := b.Context()
	o, _ := big(b)
	if _, err := r.RegisterOperator(ctx, r.operator, r.key, o); err != nil {
		b.Fatal(err)
	}
	const towers = 100
	var channels []uint64
	for i := range uint32(towers) {
		key := proof.NewSigningKey()
		tw := ledger.Tower{Name: "roof", ENB: id.GlobalENBID{PLMN: plmn(b), Type: id.MacroENB, ID: i},
			Cells: []id.ECGI{{PLMN: plmn(b), ECI: id.ECI(i << 8)}}, Prices: proof.Prices{PerGB: proof.AmountOf(1)}}
		if _, err := r.RegisterTower(ctx, r.owner, key, tw); err != nil {
			b.Fatal(err)
		}
		n, _, err := r.OpenChannel(ctx, r.operator, key.Public(), proof.AmountOf(1e18))
		if err != nil {
			b.Fatal(err)
		}
		channels = append(channels, n)
	}
	seq := uint64(0)
	for b.Loop() {
		b.StopTimer()
		seq++
		vouchers := make([][]byte, towers)
		for i, n := range channels {
			var err error
			v := proof.Voucher{ChainID: r.node.ChainID(), Channel: n, Seq: seq, Amount: proof.AmountOf(1e9 * seq), Carried: proof.Carried{Bytes: seq}}
			if vouchers[i], err = v.Sign(r.key); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		if _, _, err := r.Settle(ctx, r.operator, vouchers...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(towers)*float64(b.N)/b.Elapsed().Seconds(), "vouchers/s")
}

// BenchmarkSubmit is one small transaction after the other, each waiting for
// its block.
func BenchmarkSubmit(b *testing.B) {
	r := run(b, time.Millisecond)
	for b.Loop() {
		if _, err := r.Send(b.Context(), r.operator, r.owner.Address(), proof.AmountOf(1)); err != nil {
			b.Fatal(err)
		}
	}
}
