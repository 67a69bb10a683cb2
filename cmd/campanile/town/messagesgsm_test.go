package town

import (
	"context"
	"slices"
	"strings"
	"testing"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/sdr/sim"
	"campanile.network/sip/smsc"
)

// numbered attaches an LTE phone that has a number.
func (t *Town) numbered(test *testing.T, ctx context.Context, i int, number string) *sim.Phone {
	test.Helper()
	n, err := id.ParseMSISDN(number)
	if err != nil {
		test.Fatal(err)
	}
	if err := t.directory.Assign(ctx, t.cards[i].IMSI, n); err != nil {
		test.Fatal(err)
	}
	if err := t.enb.WaitReady(ctx); err != nil {
		test.Fatal(err)
	}
	p, err := t.phone(i)
	if err != nil {
		test.Fatal(err)
	}
	if _, err := attach(ctx, p); err != nil {
		test.Fatal(err)
	}
	test.Cleanup(p.SwitchOff)
	return p
}

func got(t *testing.T, ctx context.Context, p *sim.Phone, want string) {
	t.Helper()
	eventually(t, ctx, want, func() bool {
		return slices.ContainsFunc(read(t, p), func(s string) bool { return strings.Contains(s, want) })
	})
}

// A GSM phone writes to an LTE phone over NAS, and back; a text of several parts
// and 300 characters arrives whole; a GSM phone that was off gets its message when
// it camps again.
func TestMessagesBetweenGSMAndLTE(t *testing.T) {
	ctx := deadline(t)
	g := newGSMTown(t, ctx)
	old := g.phones(1)[0]
	if err := old.Camp(ctx, g.cells[0]); err != nil {
		t.Fatal(err)
	}
	lte := g.numbered(t, ctx, 0, "99970777")
	if err := old.Send(ctx, "99970777", "from the hill"); err != nil {
		t.Fatal(err)
	}
	got(t, ctx, lte, "+99970001: from the hill")
	long := strings.Repeat("Ще трохи, 😀. ", 22)
	for i, p := range must(sms.Split(long, sms.SplitOptions{Reference: 5})) {
		to := must(sms.NewAddress("99970001"))
		rp, err := lte.SendSMS(ctx, &sms.RPData{Reference: uint8(i), Destination: to, User: must(sms.Append(nil, &sms.Submit{Reference: uint8(i), Destination: to, DCS: p.DCS, User: p.User}))})
		if _, ok := rp.(*sms.RPAck); err != nil || !ok {
			t.Fatalf("%v, %v", rp, err)
		}
	}
	has := func(want string) func() bool {
		return func() bool { s, err := old.Texts(); return err == nil && slices.Contains(s, want) }
	}
	eventually(t, ctx, "the long text", has(long))
	if err := old.Detach(ctx); err != nil {
		t.Fatal(err)
	}
	if rp, ok := texted(t, ctx, lte, "+99970001", "are you there?", 9).(*sms.RPAck); !ok {
		t.Fatalf("%v", rp)
	}
	if err := old.Camp(ctx, g.cells[1]); err != nil {
		t.Fatal(err)
	}
	eventually(t, ctx, "the message that waited", has("are you there?"))
	if s, err := old.USSD(ctx, "*100#"); err != nil || !strings.Contains(s, "Your number is +99970001.") {
		t.Errorf("%q, %v", s, err)
	}
}

// An MME in another process than the message centre, as far as either can tell.
func TestMessagesOverLink(t *testing.T) {
	ctx := deadline(t)
	c := newHome(t, func(c *Config) {
		c.SIP.Links = strings.TrimSuffix(c.Agent.ENB, "10") + "43:7103"
		c.Peers.SIP = c.SIP.Links
	})
	w := start(t, ctx, c, slices.Insert(core(), atMME, (*Town).startCentre, (*Town).dialCentre))
	p := w.numbered(t, ctx, 0, "99970777")
	eventually(t, ctx, "the MME has joined", func() bool { return w.hub.MMEs() == 1 })
	if rp, ok := texted(t, ctx, p, "+99970777", "to myself", 1).(*sms.RPAck); !ok {
		t.Fatalf("%v", rp)
	}
	got(t, ctx, p, "to myself")
	d := smsc.Delivery{IMSI: w.cards[0].IMSI, Data: p.Received()[0]}
	d.Data.Direction = sms.Downlink
	if _, ok := (linkWay{w.hub}).Registered(d.IMSI); !ok {
		t.Error("the link does not know the phone")
	}
	if rp, err := (linkWay{w.hub}).Deliver(ctx, d); err != nil || rp.MessageType() != sms.TypeRPAck {
		t.Errorf("%v, %v", rp, err)
	}
	if text := strings.Join(statusLines(w), "\n"); !strings.Contains(text, "MMEs: 1 have joined") || !strings.Contains(text, "the message centre at "+c.Peers.SIP+" is there") {
		t.Error(text)
	}
}

func statusLines(w *Town) (all []string) {
	for _, p := range w.status().Parts {
		all = append(all, p.Name+": "+p.Text)
	}
	return all
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
