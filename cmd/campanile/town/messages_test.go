package town

import (
	"context"
	"slices"
	"strings"
	"testing"

	"campanile.network/3gpp/sms"
	"campanile.network/sdr/sim"
)

// withCentre are core's steps, and the message centre.
func withCentre() []step {
	return slices.Insert(core(), atMME, (*Town).startCentre)
}

// texted sends a text over NAS and gives the answer.
func texted(t *testing.T, ctx context.Context, p *sim.Phone, to, text string, ref uint8) sms.RP {
	t.Helper()
	dest, err := sms.NewAddress(to)
	if err != nil {
		t.Fatal(err)
	}
	part, err := sms.Split(text, sms.SplitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	user, err := sms.Append(nil, &sms.Submit{Reference: ref, Destination: dest, DCS: part[0].DCS, User: part[0].User})
	if err != nil {
		t.Fatal(err)
	}
	rp, err := p.SendSMS(ctx, &sms.RPData{Reference: ref, Destination: dest, User: user})
	if err != nil {
		t.Fatal(err)
	}
	return rp
}

// read gives the texts that a phone has got.
func read(t *testing.T, p *sim.Phone) (all []string) {
	t.Helper()
	for _, d := range p.Received() {
		m, err := d.TPDU()
		if err != nil {
			t.Fatal(err)
		}
		v := m.(*sms.Deliver)
		text, err := v.User.Text(v.DCS)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v.Originator.Number()+": "+text)
	}
	return all
}

// Two LTE phones write to the network and to each other over NAS. What is for the
// one that is off waits, also while the node is down, and comes when it is on again.
func TestMessagesBetweenPhones(t *testing.T) {
	ctx := deadline(t)
	c := newHome(t, func(c *Config) {
		c.Radio.Phones = 2
		c.SIP.Numbers, c.SIP.Digits = "88299", 4
	})
	w := start(t, ctx, c, withCentre())
	on := func(i int) *sim.Phone {
		if err := w.enb.WaitReady(ctx); err != nil {
			t.Fatal(err)
		}
		p, err := w.phone(i)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := attach(ctx, p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	gets := func(p *sim.Phone, want string) {
		t.Helper()
		eventually(t, ctx, want, func() bool {
			return slices.ContainsFunc(read(t, p), func(s string) bool { return strings.Contains(s, want) })
		})
	}
	taken := func(rp sms.RP) {
		t.Helper()
		if _, ok := rp.(*sms.RPAck); !ok {
			t.Fatalf("%v", rp)
		}
	}
	a, b, toA, toB := on(0), on(1), "+"+w.virtualNumber(0), "+"+w.virtualNumber(1)
	taken(texted(t, ctx, a, "101", "0001", 1))
	gets(a, "101: Your number is "+toA)
	taken(texted(t, ctx, a, toB, "are you there?", 2))
	gets(b, toA+": are you there?")
	if e, ok := texted(t, ctx, a, "+882997777", "nobody", 3).(*sms.RPError); !ok || e.Cause != sms.RPCauseUnassignedNumber {
		t.Errorf("%v", e)
	}
	if err := b.Detach(ctx, true); err != nil {
		t.Fatal(err)
	}
	b.SwitchOff()
	eventually(t, ctx, "b is gone", func() bool { _, there := (lteWay{&w.ways}).Registered(w.cards[1].IMSI); return !there })
	taken(texted(t, ctx, a, toB, "call me", 4))
	a.SwitchOff()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	w = start(t, ctx, c, withCentre())
	b = on(1)
	gets(b, toA+": call me")
	if n := len(b.Received()); n != 1 {
		t.Errorf("%d messages", n)
	}
	b.SwitchOff()
	eventually(t, ctx, "nothing waits", func() bool { return w.centre.Stats().Waiting == 0 })
}
