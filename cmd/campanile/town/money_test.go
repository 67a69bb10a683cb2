package town

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"campanile.network/3gpp/eps"
	"campanile.network/internal/config"
	"campanile.network/internal/peertls"
	"campanile.network/mme"
	"campanile.network/sdr/sim"
	"campanile.network/wire/home"
	"campanile.network/wire/link"
	"campanile.network/wire/proof"
)

// miser is a core that keeps its vouchers.
type miser struct{ link.Core }

func (m miser) Join(key proof.TowerKey, c link.Conn[link.FromTower, link.ToTower]) error {
	return m.Core.Join(key, tightConn{c})
}

type tightConn struct {
	link.Conn[link.FromTower, link.ToTower]
}

func (c tightConn) Send(m link.ToTower) error {
	if m.Voucher != nil {
		return nil
	}
	return c.Conn.Send(m)
}

// startMiserLinks is startLinks with vouchers withheld.
func startMiserLinks(t *Town, _ context.Context) error {
	tls, err := peertls.Server(t.keys.operator.Ed25519(), func([32]byte) error { return nil })
	if err != nil {
		return err
	}
	return t.serveGRPC(service{name: "tower links", listen: t.cfg.Billing.Listen, key: "billing.listen", cert: tls, calls: 16,
		register: func(s *grpc.Server) { link.Register(s, miser{t.meter}) }})
}

// stopped reads why the phone's tower does not serve, as the MME shows it.
func stopped(w *Town) string {
	for _, u := range w.mme.UEs() {
		if u.Notice != "" {
			return u.Notice
		}
	}
	return ""
}

// Vouchers withheld: the tower stops within its window, and the phone's
// session says why.
func TestVouchersWithheld(t *testing.T) {
	ctx := deadline(t)
	w := start(t, ctx, newHome(t, nil), replace(core(), atLinks, startMiserLinks))
	p := attached(t, ctx, w)
	wantStop(t, ctx, w, p, "voucher")
}

// An empty reserve: attach is allowed, the tower serves to its window.
func TestEmptyReserve(t *testing.T) {
	ctx := deadline(t)
	w := start(t, ctx, newHome(t, func(c *Config) { c.Tower.Reserve = "1" }), core())
	p := attached(t, ctx, w)
	wantStop(t, ctx, w, p, "reserve")
}

// wantStop moves more than the window and wants the tower to have stopped in
// it, for a reason that has the word.
func wantStop(t *testing.T, ctx context.Context, w *Town, p *sim.Phone, word string) {
	t.Helper()
	moving, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	if err := transfer(moving, p, w.set.router, 8_000_000, 0); err == nil {
		t.Error("8 MB came through unpaid")
	}
	eventually(t, ctx, "a notice on the phone's session", func() bool { return strings.Contains(stopped(w), word) })
	t.Log(stopped(w))
	own := w.agent.Snapshot()
	if sum := own.UL + own.DL; sum < 3_000_000 || sum > window(sum) {
		t.Errorf("tower carried %d octets unpaid; its window is %d", sum, window(sum))
	}
	ul, dl := p.Counted()
	if own.DL < dl || own.UL > ul {
		t.Errorf("tower counted %d up and %d down, phone %d and %d", own.UL, own.DL, ul, dl)
	}
}

// silent is a home that answers no RES.
type silent struct{ home.Home }

func (silent) Prove(ctx context.Context, _ home.ProveRequest) (home.Lease, error) {
	<-ctx.Done()
	return home.Lease{}, ctx.Err()
}

// HSS silent after RES: #17, never an Authentication Reject.
func TestSilentHome(t *testing.T) {
	ctx := deadline(t)
	w := start(t, ctx, newHome(t, nil), replace(core(), atHSS, func(t *Town, ctx context.Context) error {
		err := t.openHSS(ctx)
		t.home = silent{t.home}
		return err
	}))
	if err := w.enb.WaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	p, err := w.phone(0)
	if err != nil {
		t.Fatal(err)
	}
	defer p.SwitchOff()
	_, err = attach(ctx, p)
	wantCause(t, err, eps.EMMCauseNetworkFailure)
}

// Consensus halted: attach, count and voucher go on, also after a restart of
// the process; what was promised is posted when blocks return.
func TestConsensusHalted(t *testing.T) {
	ctx := deadline(t)
	c := newHome(t, func(c *Config) { c.Billing.PostEvery = config.Duration(time.Second) })
	running, halt := context.WithCancel(ctx)
	defer halt()
	first, err := open(ctx, c, "test", logger(t), replace(core(), atChain, func(t *Town, ctx context.Context) error {
		t.halted = make(chan struct{})
		t.serve("chain", func(ctx context.Context) error { // a chain that stops before its time
			stop := context.AfterFunc(ctx, halt)
			defer stop()
			return errors.Join(t.node.Serve(running), hang(ctx))
		})
		return t.chainReady(ctx)
	}))
	if err != nil {
		t.Fatal(err)
	}
	halt()
	eventually(t, ctx, "consensus to halt", func() bool { return !first.chain.Status().Running })
	carry := func(w *Town, octets int) uint64 {
		t.Helper()
		before := promisedOffChain(w)
		p := attached(t, ctx, w)
		if err := transfer(ctx, p, w.set.router, octets, 0); err != nil {
			t.Fatal(err)
		}
		eventually(t, ctx, "a voucher for it", func() bool { return promisedOffChain(w) >= before+uint64(octets) })
		if err := p.Detach(ctx, false); err != nil {
			t.Fatal(err)
		}
		p.SwitchOff()
		return promisedOffChain(w)
	}
	carry(first, 1_500_000)
	if ch := channel(t, first); !ch.Paid.IsZero() {
		t.Errorf("a halted chain paid %v", ch.Paid)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	// The process starts again, and the chain does not.
	second := start(t, ctx, c, replace(core(), atChain, func(*Town, context.Context) error { return nil }))
	sum := carry(second, 1_200_000)
	if sum < 2_700_000 {
		t.Errorf("vouchers cover %d octets after the restart", sum)
	}
	if err := errors.Join(second.startChain(ctx), second.chainReady(ctx)); err != nil {
		t.Fatal(err)
	}
	eventually(t, ctx, "the voucher to be posted", func() bool { return channel(t, second).Bytes >= sum })
	if a, err := second.claim(ctx); err != nil || a.IsZero() {
		t.Errorf("claimed %v: %v", a, err)
	}
}

// hang waits for the end of ctx.
func hang(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func promisedOffChain(w *Town) (octets uint64) {
	for _, v := range w.accounts() {
		octets += v.Billed.Bytes
	}
	return octets
}

type channelState struct {
	Paid  proof.Amount
	Bytes uint64
}

func channel(t *testing.T, w *Town) channelState {
	t.Helper()
	c, ok := w.model.ChannelBetween(w.keys.operator.Public(), w.keys.tower.Public())
	if !ok {
		t.Fatal("no channel")
	}
	return channelState{c.Paid, c.Carried.Bytes}
}

// Every role in a process of its own, all on their own sockets: the same job.
func TestRolesApart(t *testing.T) {
	ctx := deadline(t)
	c := newHome(t, nil)
	parts := map[string]*Town{}
	for _, role := range []string{"hss-chain", "billing", "gateway", "mme", "enb-agent"} {
		steps := roles()[role]
		if role == "hss-chain" {
			steps = steps[:len(steps)-1] // no admin socket: its path may be too long here
		}
		parts[role] = startNamed(t, ctx, c, role, steps)
	}
	radio := start(t, ctx, c, []step{(*Town).startRadio})
	radio.cards = parts["hss-chain"].cards
	p := attached(t, ctx, radio)
	if err := transfer(ctx, p, radio.set.router, 1_000_000, 100_000); err != nil {
		t.Fatal(err)
	}
	if err := quiet(ctx, p); err != nil {
		t.Fatal(err)
	}
	if err := p.Detach(ctx, false); err != nil {
		t.Fatal(err)
	}
	ul, dl := p.Counted()
	eventually(t, ctx, "equal counts in a voucher", func() bool {
		for _, v := range parts["billing"].accounts() {
			return v.Open == 0 && v.Lag == (proof.Carried{}) && v.Gateway.UL == ul && v.Gateway.DL == dl && v.Measured == v.Gateway
		}
		return false
	})
	if err := parts["enb-agent"].settler.Post(ctx); err != nil {
		t.Fatal(err)
	}
	if a, err := parts["hss-chain"].claim(ctx); err != nil || a.IsZero() {
		t.Errorf("claimed %v: %v", a, err)
	}
}

// A second start goes on with the same ledger and balances.
func TestSecondStart(t *testing.T) {
	ctx := deadline(t)
	c := newHome(t, nil)
	first, err := open(ctx, c, "test", logger(t), core())
	if err != nil {
		t.Fatal(err)
	}
	r, err := first.demo(ctx, DemoOptions{Down: 500_000, Up: 50_000})
	if err != nil {
		t.Fatal(err)
	}
	id := first.chainID
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := start(t, ctx, c, core())
	if err := second.chainReady(ctx); err != nil {
		t.Fatal(err)
	}
	b, err := second.chain.Balance(ctx, second.owner.Address())
	if err != nil || b != r.OwnerBalanceAfter || second.chainID != id {
		t.Errorf("ledger %s, balance %v, %v; want %s, %v", second.chainID, b, err, id, r.OwnerBalanceAfter)
	}
	if _, h, _ := second.model.Head(); h < r.Height {
		t.Errorf("height %d after %d", h, r.Height)
	}
	attached(t, ctx, second)
	if n := len(second.model.Towers()); n != 1 {
		t.Errorf("%d towers", n)
	}
	eventually(t, ctx, "the MME to see the attach complete", func() bool {
		ues := second.mme.UEs()
		return len(ues) == 1 && ues[0].State == mme.Connected
	})
}
