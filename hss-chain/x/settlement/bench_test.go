package settlement

import (
	"context"
	"testing"
)

// BenchmarkSettle is the state machine's part of one voucher: signature, two
// shares, records, event.
func BenchmarkSettle(b *testing.B) {
	w := newWorld(b)
	if _, err := w.open(1000); err != nil {
		b.Fatal(err)
	}
	amount := int64(0)
	for b.Loop() {
		b.StopTimer()
		amount++
		v := w.sign(1, 1, amount)
		b.StartTimer()
		if err := w.Do(func(ctx context.Context) error {
			_, err := w.msgs.Settle(ctx, &MsgSettle{Submitter: name(strangerNo), Vouchers: [][]byte{v}})
			return err
		}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "vouchers/s")
}
