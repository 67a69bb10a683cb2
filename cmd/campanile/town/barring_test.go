package town

import (
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/internal/config"
	"campanile.network/sdr/sim"
	pb "campanile.network/wire/corepb"
)

// A phone that is attached when its subscriber is barred or erased is detached
// and stays off; once unbarred it attaches.
func TestBarredWhileAttached(t *testing.T) {
	ctx := deadline(t)
	w := start(t, ctx, newHome(t, func(c *Config) { c.Radio.Inactivity = config.Duration(time.Second) }), core())
	a := &admin{t: w}
	p := attached(t, ctx, w)
	imsi := w.cards[0].IMSI.Digits()
	set := func(state string) {
		t.Helper()
		if _, err := a.SetSubscriber(ctx, &pb.SetSubscriberRequest{Imsi: imsi, State: state}); err != nil {
			t.Fatalf("%s: %v", state, err)
		}
	}
	detached := func(n uint64) {
		t.Helper()
		eventually(t, ctx, "the phone to be detached", func() bool {
			return p.State() == sim.Deregistered && w.mme.Stats().Procedures["network detach ok"] == n
		})
		eventually(t, ctx, "its session to end", func() bool { return w.gateway.Stats().Sessions == 0 })
	}
	again := func() error { _, err := attach(ctx, p); return err }

	set("barred")
	detached(1)
	wantCause(t, again(), eps.EMMCauseNoSuitableCellsInTrackingArea)
	set("active")
	if err := again(); err != nil {
		t.Fatalf("unbarred: %v", err)
	}
	// An idle phone is paged to be told.
	eventually(t, ctx, "the phone to be idle", func() bool { return p.State() == sim.Idle })
	set("barred")
	detached(2)
	set("active")
	if err := again(); err != nil {
		t.Fatalf("unbarred again: %v", err)
	}
	set("erased")
	detached(3)
	wantCause(t, again(), eps.EMMCauseEPSServicesAndNonEPSServicesNotAllowed)
}
