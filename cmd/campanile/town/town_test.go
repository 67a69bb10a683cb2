package town

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/hss-chain/hss"
	"campanile.network/sdr/sim"
)

// core are the steps of a town without phones and faces.
func core() []step {
	return []step{(*Town).openAccounts, (*Town).openLedger, (*Town).startChain, (*Town).openHSS, (*Town).register, (*Town).startMeter, (*Town).startLinks,
		(*Town).startGateway, (*Town).startHomeServer, (*Town).startMME, (*Town).startAgent, (*Town).startRadio}
}

// replace gives the steps with one exchanged.
func replace(steps []step, at int, by step) []step {
	out := append([]step(nil), steps...)
	out[at] = by
	return out
}

// Places in core.
const (
	atChain = 2
	atHSS   = 3
	atLinks = 6
	atMME   = 9
)

func logger(t *testing.T) *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	return slog.New(slog.DiscardHandler)
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// newHome makes a home in a fresh folder.
func newHome(t *testing.T, change func(*Config)) *Config {
	t.Helper()
	c := demoConfig(t.TempDir())
	if change != nil {
		change(&c)
	}
	if _, err := Init(c.HomePath, c); err != nil {
		t.Fatal(err)
	}
	return &c
}

// start opens steps of a home; the test's end closes them.
func start(t *testing.T, ctx context.Context, c *Config, steps []step) *Town {
	t.Helper()
	return startNamed(t, ctx, c, "test", steps)
}

func startNamed(t *testing.T, ctx context.Context, c *Config, name string, steps []step) *Town {
	t.Helper()
	w, err := open(ctx, c, name, logger(t), steps)
	t.Cleanup(func() {
		if w == nil {
			return
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// attached brings the town's first phone up.
func attached(t *testing.T, ctx context.Context, w *Town) *sim.Phone {
	t.Helper()
	if err := w.enb.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	p, err := w.phone(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := attach(ctx, p); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.SwitchOff)
	return p
}

// eventually waits for a condition of the real world.
func eventually(t *testing.T, ctx context.Context, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for !ok() {
		rest(ctx, 20*time.Millisecond)
		if ctx.Err() != nil {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func wantCause(t *testing.T, err error, want eps.EMMCause) {
	t.Helper()
	var r *sim.Rejected
	if !errors.As(err, &r) || r.Cause != want {
		t.Errorf("got %v, want %v", err, want)
	}
}

// Everyone who is not to be served is told why, with the cause that does him
// no harm elsewhere.
func TestWhoIsNotServed(t *testing.T) {
	ctx := deadline(t)
	w := start(t, ctx, newHome(t, nil), core())
	if err := w.enb.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	try := func(s sim.SIM) error {
		p, err := sim.NewPhone(sim.PhoneOptions{SIM: s, ENB: w.enb, Log: w.role("phone")})
		if err != nil {
			t.Fatal(err)
		}
		defer p.SwitchOff()
		_, err = attach(ctx, p)
		return err
	}
	card := w.cards[0]
	other := card
	other.IMSI, _ = id.ParseIMSI("999709999999999")
	wantCause(t, try(other), eps.EMMCauseEPSServicesAndNonEPSServicesNotAllowed) // unknown in our own range
	other.IMSI, _ = id.ParseIMSI("262011234567890")
	wantCause(t, try(other), eps.EMMCauseNoSuitableCellsInTrackingArea) // somebody else's subscriber
	other = card
	other.K[0] ^= 1
	if err := try(other); !errors.Is(err, sim.ErrAuthenticationReject) { // the phone said #20
		t.Errorf("wrong key: %v", err)
	}
	v, _ := w.hss.Find(card.IMSI)
	rec, _ := w.model.Subscriber(v)
	rec.State, rec.Version = 2, rec.Version+1
	if _, err := w.chain.UpdateSubscriber(ctx, w.operator, rec); err != nil {
		t.Fatal(err)
	}
	wantCause(t, try(card), eps.EMMCauseNoSuitableCellsInTrackingArea) // barred
	rec.State, rec.Version = 1, rec.Version+1
	if _, err := w.chain.UpdateSubscriber(ctx, w.operator, rec); err != nil {
		t.Fatal(err)
	}
	if err := try(card); err != nil {
		t.Errorf("unbarred: %v", err)
	}
}

// What a load run calls attached, the MME calls attached.
func TestLoad(t *testing.T) {
	ctx := deadline(t)
	w := start(t, ctx, newHome(t, nil), core())
	if err := w.enb.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	const phones = 20
	first, err := id.ParseIMSI("999700000001000")
	if err != nil {
		t.Fatal(err)
	}
	k := secret.Key128{7}
	subs := make([]hss.Subscription, phones)
	for i := range subs {
		subs[i] = hss.Subscription{K: k, OPc: k, SQN: hss.Array32, DIF: aka.DIFFor(0, aka.TickAt(time.Now())), Profile: w.profile()}
		if subs[i].IMSI, err = id.ParseIMSI(fmt.Sprintf("99970%010d", 1000+i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := w.subscribe(ctx, subs, "test"); err != nil {
		t.Fatal(err)
	}
	r, err := sim.Load(ctx, sim.LoadOptions{ENBs: []*sim.ENB{w.enb}, First: first, K: k, OPc: k, UEs: phones, Rate: 100, Detach: true})
	if err != nil || r.Attached != phones || r.Failed != 0 || r.P50 <= 0 || r.Max < r.P99 {
		t.Errorf("%+v %v", r, err)
	}
	eventually(t, ctx, "the MME to have seen the same", func() bool {
		p := w.mme.Stats().Procedures
		return p["attach ok"] == phones && p["detach ok"] == phones
	})
}

// A configuration that says something new about operator or tower changes the
// ledger at the next start.
func TestChangedConfig(t *testing.T) {
	ctx := deadline(t)
	c := newHome(t, nil)
	first, err := open(ctx, c, "test", logger(t), core()[:5])
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	c.Tower.Name, c.Tower.PricePerGB, c.Network.Name = "second", "7", "Town"
	second := start(t, ctx, c, core()[:5])
	tower, _ := second.model.Tower(second.keys.tower.Public())
	op, _ := second.model.OperatorByKey(second.keys.operator.Public())
	if tower.Name != "second" || tower.Prices.PerGB.String() != "7" || op.Name != "Town" || tower.Version != 2 || op.Version != 2 {
		t.Errorf("%+v\n%+v", tower, op)
	}
}

// An eNB that nobody has registered gets S1 Setup Failure.
func TestUnregisteredTower(t *testing.T) {
	ctx := deadline(t)
	w := start(t, ctx, newHome(t, nil), core()[:11])
	w.set.enb.ID++
	w.set.cell.ECI += 0x100
	if err := w.startRadio(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, ctx, "S1 Setup Failure", func() bool { return w.enb.Refused() != nil })
	if err := w.enb.Refused(); !strings.Contains(err.Error(), "S1 Setup Failure") {
		t.Error(err)
	}
}

// TS 23.401 §4.3.12: an emergency attach with a SIM that nobody knows works where
// the configuration has an APN for it and says that it is for anyone, and only
// there.
func TestEmergencyAttachOfStranger(t *testing.T) {
	for name, say := range map[string]func(*Config){
		"off":         nil,
		"subscribers": func(c *Config) { c.Network.EmergencyAPN = "sos" },
		"anyone":      func(c *Config) { c.Network.EmergencyAPN, c.MME.Emergency = "sos", "anyone" },
	} {
		t.Run(name, func(t *testing.T) {
			ctx := deadline(t)
			w := start(t, ctx, newHome(t, say), core())
			if err := w.enb.WaitReady(ctx); err != nil {
				t.Fatal(err)
			}
			card := w.cards[0]
			var err error
			if card.IMSI, err = id.ParseIMSI("999709999999999"); err != nil {
				t.Fatal(err)
			}
			p, err := sim.NewPhone(sim.PhoneOptions{SIM: card, ENB: w.enb, Emergency: true, Log: w.role("phone")})
			if err != nil {
				t.Fatal(err)
			}
			defer p.SwitchOff()
			s, err := p.Attach(ctx)
			switch name {
			case "anyone":
				if err != nil || s.APN.String() != "sos" || !s.Address.IsValid() {
					t.Errorf("%+v, %v", s, err)
				}
			case "subscribers":
				wantCause(t, err, eps.EMMCauseEPSServicesAndNonEPSServicesNotAllowed)
			default:
				wantCause(t, err, eps.EMMCauseNoSuitableCellsInTrackingArea)
			}
		})
	}
}
