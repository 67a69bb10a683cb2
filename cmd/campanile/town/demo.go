package town

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"campanile.network/hss-chain/ledger"
	"campanile.network/internal/config"
	"campanile.network/sdr/sim"
	"campanile.network/wire/proof"
)

// DemoOptions say how much the demo's phone moves, in octets of HTTP bodies.
type DemoOptions struct{ Down, Up int }

// DemoResult is what the demo saw. Octets are inner IP octets; amounts are
// decimal digits of abell.
type DemoResult struct {
	Attached           bool         `json:"attached"`
	AttachMS           float64      `json:"attach_ms"`
	IP                 string       `json:"ip"`
	DeliveredUL        uint64       `json:"delivered_ul"` // at the phone's IP interface
	DeliveredDL        uint64       `json:"delivered_dl"`
	CountedGatewayUL   uint64       `json:"counted_gateway_ul"`
	CountedGatewayDL   uint64       `json:"counted_gateway_dl"`
	CountedTowerUL     uint64       `json:"counted_tower_ul"`
	CountedTowerDL     uint64       `json:"counted_tower_dl"`
	VoucherSeq         uint64       `json:"voucher_seq"`
	Paid               proof.Amount `json:"paid"`
	Claimed            proof.Amount `json:"claimed"`
	OwnerBalanceBefore proof.Amount `json:"owner_balance_before"`
	OwnerBalanceAfter  proof.Amount `json:"owner_balance_after"`
	Height             int64        `json:"height"`
}

// Print tells it to a person.
func (r *DemoResult) Print(w io.Writer) {
	fmt.Fprintf(w, "attached   %.0f ms, address %s\n", r.AttachMS, r.IP)
	fmt.Fprintf(w, "           %14s %14s\n", "uplink", "downlink")
	for _, row := range []struct {
		name   string
		ul, dl uint64
	}{{"phone", r.DeliveredUL, r.DeliveredDL}, {"gateway", r.CountedGatewayUL, r.CountedGatewayDL}, {"tower", r.CountedTowerUL, r.CountedTowerDL}} {
		fmt.Fprintf(w, "%-10s %14d %14d octets\n", row.name, row.ul, row.dl)
	}
	fmt.Fprintf(w, "paid       %s by voucher %d\nclaimed    %s in block %d\nowner      %s -> %s abell\n", bell(r.Paid), r.VoucherSeq, bell(r.Claimed), r.Height, r.OwnerBalanceBefore, r.OwnerBalanceAfter)
}

// Demo does the main job once in a fresh temporary home: a cell comes up, a
// phone attaches and moves octets, all three count the same, the tower is paid
// and its owner claims. It fails unless every step held.
func Demo(ctx context.Context, o DemoOptions, log *slog.Logger) (r DemoResult, err error) {
	home, err := os.MkdirTemp("", "campanile-demo-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(home)
	return demoIn(ctx, demoConfig(home), o, log)
}

func demoIn(ctx context.Context, c Config, o DemoOptions, log *slog.Logger) (r DemoResult, err error) {
	if _, err := Init(c.HomePath, c); err != nil {
		return r, err
	}
	steps := []step{(*Town).openAccounts, (*Town).openLedger, (*Town).startChain, (*Town).openHSS, (*Town).register, (*Town).startMeter, (*Town).startLinks,
		(*Town).startGateway, (*Town).startHomeServer, (*Town).startMME, (*Town).startAgent, (*Town).startRadio}
	t, err := open(ctx, &c, "demo", log, steps)
	if t != nil {
		defer func() { err = errors.Join(err, t.Close()) }()
	}
	if err != nil {
		return r, err
	}
	return t.demo(ctx, o)
}

// demoConfig uses addresses that no campanile up has, so that both may run.
func demoConfig(home string) Config {
	c := DefaultConfig()
	c.HomePath, c.file = home, filepath.Join(home, ConfigFile)
	net := fmt.Sprintf("127.%d.%d.", 1+rand.IntN(254), rand.IntN(256))
	c.Radio.GSMPhones, c.Radio.GSMCell = 0, net+"50"
	c.Agent.ENB, c.Agent.Radio, c.Agent.Core = net+"10", net+"11", net+"12"
	c.MME.Address, c.Gateway.Address, c.Gateway.DataPath = net+"20", net+"30", "netstack"
	c.HSS.Listen, c.Billing.Listen = net+"1:7100", net+"1:7101"
	c.Peers = PeersConfig{HSS: c.HSS.Listen, Billing: c.Billing.Listen}
	c.SIP.Listen = []string{net + "40:5060"}
	c.Console.Listen, c.Metrics.Listen, c.Chain.GRPC = "", "", ""
	c.Chain.BlockInterval = config.Duration(300 * time.Millisecond)
	c.Billing.VoucherEvery, c.Billing.PostEvery = config.Duration(time.Second), config.Duration(time.Minute)
	c.Radio.Inactivity, c.Tower.ClaimEvery = 0, 0
	return c
}

// demo is the main job, told in its order.
func (t *Town) demo(ctx context.Context, o DemoOptions) (r DemoResult, err error) {
	if r.OwnerBalanceBefore, err = t.chain.Balance(ctx, t.owner.Address()); err != nil {
		return r, err
	}
	if err := t.enb.WaitReady(ctx); err != nil {
		return r, err
	}
	p, err := t.phone(0)
	if err != nil {
		return r, err
	}
	defer p.SwitchOff()
	s, err := attach(ctx, p)
	if err != nil {
		return r, fmt.Errorf("attach: %w", err)
	}
	r.Attached, r.AttachMS, r.IP = true, float64(s.Took.Microseconds())/1000, s.Address.String()
	if err := transfer(ctx, p, t.set.router, o.Down, o.Up); err != nil {
		return r, fmt.Errorf("transfer: %w", err)
	}
	if err := quiet(ctx, p); err != nil {
		return r, err
	}
	if err := p.Detach(ctx, false); err != nil {
		return r, fmt.Errorf("detach: %w", err)
	}
	r.DeliveredUL, r.DeliveredDL = p.Counted()
	if err := t.counted(ctx, &r); err != nil {
		return r, err
	}
	return r, t.paid(ctx, &r)
}

// quiet waits until the last connection has closed: nothing has moved for a
// while.
func quiet(ctx context.Context, p *sim.Phone) error {
	for last := [2]uint64{}; ; {
		ul, dl := p.Counted()
		if now := [2]uint64{ul, dl}; now == last {
			return nil
		} else {
			last = now
		}
		rest(ctx, 300*time.Millisecond)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// counted waits until the session has drained and everything is in a voucher
// that the tower has, then reads all counts.
func (t *Town) counted(ctx context.Context, r *DemoResult) error {
	for {
		for _, v := range t.accounts() {
			r.CountedGatewayUL, r.CountedGatewayDL = v.Gateway.UL, v.Gateway.DL
			own := t.agent.Snapshot()
			r.CountedTowerUL, r.CountedTowerDL = own.UL, own.DL
			if v.Open == 0 && v.Lag == (proof.Carried{}) && v.Seq > 0 && v.Seen == v.Seq {
				r.VoucherSeq = v.Seq
				return r.equal()
			}
		}
		rest(ctx, 50*time.Millisecond)
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for the last voucher: %w; %+v", ctx.Err(), t.accounts())
		}
	}
}

func (r *DemoResult) equal() error {
	phone, gateway, tower := [2]uint64{r.DeliveredUL, r.DeliveredDL}, [2]uint64{r.CountedGatewayUL, r.CountedGatewayDL}, [2]uint64{r.CountedTowerUL, r.CountedTowerDL}
	if phone != gateway || gateway != tower || phone == [2]uint64{} {
		return fmt.Errorf("counts differ: phone %d, gateway %d, tower %d octets up and down", phone, gateway, tower)
	}
	return nil
}

// paid posts the voucher, claims, and checks the money.
func (t *Town) paid(ctx context.Context, r *DemoResult) (err error) {
	if r.Claimed, err = t.claim(ctx); err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	ch, ok := t.model.ChannelBetween(t.operatorKey, t.keys.tower.Public())
	if !ok {
		return errors.New("the channel is gone")
	}
	r.Paid = ch.Paid
	if r.OwnerBalanceAfter, err = t.chain.Balance(ctx, t.owner.Address()); err != nil {
		return err
	}
	_, r.Height, _ = t.model.Head()
	want, err := r.OwnerBalanceBefore.Add(r.Claimed)
	if err != nil {
		return err
	}
	if r.Paid.IsZero() || r.Paid != r.Claimed || r.OwnerBalanceAfter != want || ch.State != ledger.ChannelOpen {
		return fmt.Errorf("money does not add up: paid %v, claimed %v, owner %v -> %v", r.Paid, r.Claimed, r.OwnerBalanceBefore, r.OwnerBalanceAfter)
	}
	return nil
}
