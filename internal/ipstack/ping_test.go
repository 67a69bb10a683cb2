package ipstack_test

import (
	"bytes"
	"context"
	"net/netip"
	"testing"
	"time"

	"campanile.network/internal/ipstack"
)

// A ping larger than the link goes in fragments and comes back whole, of both
// versions; nobody answers for an address that is no router's.
func TestPing(t *testing.T) {
	for _, c := range []struct{ from, to netip.Addr }{{phone, router}, {phone6, router6}} {
		h := must(ipstack.NewHost(c.from, 0))
		network6(t, h, ipstack.ForwarderOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		for _, n := range []int{0, 56, 1472, 9000} {
			before := h.Counters()
			if err := h.Ping(ctx, c.to, bytes.Repeat([]byte{0xca}, n)); err != nil {
				t.Error(err)
			}
			if after := h.Counters(); (after.OutPackets-before.OutPackets > 1) != (n > 1372) || (after.InPackets-before.InPackets > 1) != (n > 1372) {
				t.Errorf("%d octets: %+v, then %+v", n, before, after)
			}
		}
		ended, end := context.WithCancel(t.Context())
		end()
		if err := h.Ping(ended, c.to.Next().Next(), nil); err == nil {
			t.Error("a stranger answers")
		}
	}
}
