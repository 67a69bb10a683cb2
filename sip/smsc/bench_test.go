package smsc_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/sip/smsc"
)

// atOnce is a path whose phones take everything at once.
type atOnce struct{ taken chan struct{} }

func (atOnce) Registered(id.IMSI) (time.Time, bool) { return time.Time{}, true }
func (p atOnce) Delivered(smsc.Delivery)            { p.taken <- struct{}{} }
func (atOnce) Deliver(_ context.Context, d smsc.Delivery) (sms.RP, error) {
	return &sms.RPAck{Direction: sms.Uplink, Reference: d.Data.Reference}, nil
}

// What a message costs from its submission to its end, on a disk: two writes that
// are waited for, each shared by all of that time.
func BenchmarkMessage(b *testing.B) {
	p := atOnce{make(chan struct{}, 1<<20)}
	c, err := smsc.New(smsc.Options{Dir: b.TempDir() + "/sms.db", Key: [32]byte{3}, Address: must(sms.NewAddress("+882990000")), Directory: allNumbers{},
		Paths: []smsc.NamedPath{{Name: "x", Path: p}}, Limits: smsc.Limits{PerSender: 1 << 30, Burst: 1 << 30, Parallel: 256, PerPhone: 1 << 20}})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Serve(ctx) }()
	b.ReportAllocs()
	b.SetParallelism(128)
	var n atomic.Int64
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := int(n.Add(1))
			s := submit(phoneNumber(i%100_000), fmt.Sprint(i), ref(uint8(i)))
			if _, err := c.Submit(ctx, phoneNumber(200_000+i%50_000), &sms.RPData{Reference: uint8(i), User: must(sms.Append(nil, s))}); err != nil {
				b.Error(err)
				return
			}
			<-p.taken
		}
	})
	b.StopTimer()
	cancel()
	if err := <-done; err != nil {
		b.Error(err)
	}
}
