package town

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/hss-chain/hss"
	"campanile.network/sdr/bts"
	"campanile.network/wire/proof"
)

// gsmTown is a town with a SIP gateway and two GSM cells, of which the town's tower has one
// and another tower the other.
type gsmTown struct {
	*Town
	t     *testing.T
	ctx   context.Context
	cells [2]*bts.Cell
	other proof.TowerKey // of the second cell
}

func cgi(t testing.TB, ci uint16) id.CGI {
	t.Helper()
	plmn, err := id.ParsePLMN("99970")
	if err != nil {
		t.Fatal(err)
	}
	return id.CGI{PLMN: plmn, LAC: 0x3ef, CI: ci}
}

func newGSMTown(t *testing.T, ctx context.Context) *gsmTown {
	t.Helper()
	g := &gsmTown{t: t, ctx: ctx, other: proof.NewSigningKey().Public()}
	var net string
	c := newHome(t, func(c *Config) {
		net = strings.TrimSuffix(c.Agent.ENB, "10")
		c.SIP.Stations = []StationConfig{{Name: "hill", From: []string{net + "41"}, Cells: []string{"03ef-000a"}}, {Name: "valley", From: []string{net + "42"}, Tower: g.other.String(), Cells: []string{"03ef-000b"}}}
	})
	// Messages are there before the MME is, and SIP after it.
	steps := slices.Insert(slices.Insert(core(), atLinks+4, (*Town).startSIP), atLinks+3, (*Town).startCentre)
	g.Town = start(t, ctx, c, steps)
	for i, ci := range []uint16{10, 11} {
		var err error
		g.cells[i], err = bts.New(bts.Options{Listen: netip.MustParseAddrPort(fmt.Sprintf("%s4%d:5062", net, 1+i)), Gateway: netip.MustParseAddrPort(net + "40:5060"), Cell: cgi(t, ci), Log: g.role("cell")})
		if err != nil {
			t.Fatal(err)
		}
		cell := g.cells[i]
		serving, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- cell.Serve(serving) }()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	return g
}

// phones subscribes GSM phones with numbers 99970001, 99970002, ...
func (g *gsmTown) phones(n int) (list []*bts.Phone) {
	g.t.Helper()
	var subs []hss.Subscription
	for i := range n {
		imsi, err := id.ParseIMSI(fmt.Sprintf("9997099%08d", i+1))
		if err != nil {
			g.t.Fatal(err)
		}
		s := hss.Subscription{IMSI: imsi, Algorithm: hss.COMP128v3, K: secret.Key128{byte(i + 1), 7}, SQN: hss.Array32, Profile: g.profile()}
		if s.Profile.MSISDN, err = id.ParseMSISDN(fmt.Sprintf("9997000%d", i+1)); err != nil {
			g.t.Fatal(err)
		}
		p, err := bts.NewPhone(bts.PhoneOptions{IMSI: imsi, Card: bts.COMP128(3, s.K)})
		if err != nil {
			g.t.Fatal(err)
		}
		subs, list = append(subs, s), append(list, p)
	}
	if _, _, err := g.subscribe(g.ctx, subs, "gsm"); err != nil {
		g.t.Fatal(err)
	}
	return list
}

// A call, a handover and short messages of GSM phones stand in what their towers earn, each
// at its cell, in vouchers and on the ledger.
func TestGSMEarns(t *testing.T) {
	ctx := deadline(t)
	g := newGSMTown(t, ctx)
	p := g.phones(2)
	for i := range p {
		if err := p[i].Camp(ctx, g.cells[0]); err != nil {
			t.Fatal(err)
		}
	}
	if n := p[0].Number(); n != "99970001" {
		t.Errorf("the phone is told that its number is %q", n)
	}
	if err := p[0].Send(ctx, "99970002", "ding dong"); err != nil {
		t.Fatal(err)
	}
	eventually(t, ctx, "the message is there", func() bool { s, _ := p[1].Texts(); return len(s) == 1 && s[0] == "ding dong" })
	began := time.Now()
	call, err := p[0].Dial(ctx, "99970002")
	if err != nil {
		t.Fatal(err)
	}
	rest(ctx, 2*time.Second)
	if err := call.Move(ctx, g.cells[1]); err != nil {
		t.Fatalf("handover: %v", err)
	}
	rest(ctx, time.Second)
	if err := call.Hangup(ctx); err != nil {
		t.Fatal(err)
	}
	most := uint64(time.Since(began).Milliseconds())
	if h := call.Heard(); h.Received == 0 {
		t.Errorf("nothing was heard after the handover: %+v", h)
	}
	for i := range p {
		if err := p[i].Detach(ctx); err != nil {
			t.Error(err)
		}
	}
	// The caller was 2 s and the called 3 s at the first cell; the caller 1 s at the other,
	// whose tower nobody has registered. The message counts twice: from a phone, and to one.
	var got proof.Carried
	eventually(t, ctx, "calls and messages in a voucher", func() bool {
		for _, v := range g.accounts() {
			if v.Tower == g.keys.tower.Public() {
				got = v.Billed
				return v.Open == 0 && v.Lag == (proof.Carried{}) && v.Seen == v.Seq && v.Billed.Messages == 2 && v.Billed.VoiceMs > 4800
			}
		}
		return false
	})
	if got.VoiceMs < 4900 || got.VoiceMs > 2*most || got.Bytes != 0 || got.Messages != 2 {
		t.Errorf("the tower is promised money for %v of a call of %d ms", got, most)
	}
	var loose uint64
	for _, u := range g.meter.Snapshot().Unsettled {
		if u.Reason != "segment's tower is not registered" {
			t.Errorf("nobody pays for %+v", u)
		}
		loose += u.Counts.VoiceMs
	}
	if loose < 900 || loose > most {
		t.Errorf("%d ms at the tower that is not registered, want a second", loose)
	}
	want, err := g.set.prices.Charge(got)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.claim(ctx); err != nil {
		t.Fatal(err)
	}
	c, ok := g.model.ChannelBetween(g.operatorKey, g.keys.tower.Public())
	if !ok || c.Carried != got || c.Promised != want || c.Paid != want || want.IsZero() {
		t.Errorf("the ledger has %+v of the channel, want %v for %v", c, want, got)
	}
}

// A subscriber asks what is left, by USSD and by a message, and is told what his ticket still
// stands for.
func TestBalance(t *testing.T) {
	ctx := deadline(t)
	g := newGSMTown(t, ctx)
	p := g.phones(2)
	for i := range p {
		if err := p[i].Camp(ctx, g.cells[0]); err != nil {
			t.Fatal(err)
		}
	}
	left := func() string {
		s, err := p[0].USSD(ctx, "*102#")
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	if s := left(); !strings.Contains(s, "1000") || !strings.Contains(s, "600") {
		t.Errorf("of a new ticket is left: %q", s)
	}
	if err := p[0].Send(ctx, "99970002", "one less"); err != nil {
		t.Fatal(err)
	}
	eventually(t, ctx, "one message less", func() bool { return strings.Contains(left(), "999") })
	if err := p[0].Send(ctx, "102", "?"); err != nil {
		t.Fatal(err)
	}
	eventually(t, ctx, "an answer", func() bool {
		s, _ := p[0].Texts()
		return len(s) == 1 && strings.Contains(s[0], "600") && strings.Contains(s[0], "99")
	})
}
