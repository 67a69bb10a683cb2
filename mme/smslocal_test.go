package mme

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/sms"
)

// Two phones of one MME write to each other, and to others in vain: who sent it
// learns what became of it.
func TestLocalMessages(t *testing.T) {
	centre := &LocalMessages{}
	play(t, func(o *Options) { o.Messages = centre }, func(w *world) {
		w.home.profile = testProfile()
		w.home.profile.MSISDN = must(id.ParseMSISDN("882990000001"))
		p := w.phone(w.tower(0x19b))
		p.attachCombined()
		w.home.profile.MSISDN = must(id.ParseMSISDN("882990000002"))
		q := w.phone(w.towerIn(0x19c, 8))
		q.attachCombined()
		q.idle()
		if _, err := New(w.m.o); err == nil {
			t.Error("one LocalMessages serves two MMEs")
		}

		p.submits(0, 1)
		hears[*sms.CPAck](p)
		synctest.Wait()
		expect[*s1ap.Paging](q.e)
		q.request()
		q.setupResponse()
		m := hears[*sms.CPData](q)
		q.says(&sms.CPAck{TI: m.TI.Reply()})
		d := rpOf[*sms.RPData](q, m)
		tp := must(d.TPDU()).(*sms.Deliver)
		if d.Originator != testSC || tp.Originator.Number() != "+882990000001" || must(tp.User.Text(tp.DCS)) != "ciao" {
			t.Errorf("%v", m)
		}
		q.says(&sms.CPData{TI: m.TI.Reply(), User: must(sms.Append(nil, &sms.RPAck{Direction: sms.Uplink, Reference: d.Reference}))})
		hears[*sms.CPAck](q)
		a := hears[*sms.CPData](p)
		rpOf[*sms.RPAck](p, a)
		p.says(&sms.CPAck{TI: a.TI.Reply()})
		synctest.Wait()

		ask := func(what string, rp sms.RP) sms.RP {
			t.Helper()
			p.says(&sms.CPData{User: must(sms.Append(nil, rp))})
			hears[*sms.CPAck](p)
			a := hears[*sms.CPData](p)
			p.says(&sms.CPAck{TI: a.TI.Reply()})
			synctest.Wait()
			return must(a.RP())
		}
		refused := func(what string, want sms.RPCause, rp sms.RP) {
			t.Helper()
			if e, ok := ask(what, rp).(*sms.RPError); !ok || e.Cause != want {
				t.Errorf("%s: %v", what, e)
			}
		}
		q.idle() // and does not answer: refused after three pages
		refused("absent", sms.RPCauseDestinationOutOfOrder, submitting(2, "ciao"))
		nobody := submitting(3, "ciao")
		nobody.User = must(sms.Append(nil, &sms.Submit{Destination: must(sms.NewAddress("110"))}))
		refused("nobody", sms.RPCauseUnassignedNumber, nobody)
		command := submitting(4, "ciao")
		command.User = must(sms.Append(nil, &sms.Command{Destination: must(sms.NewAddress("+882990000002"))}))
		refused("command", sms.RPCauseFacilityNotImplemented, command)
		broken := submitting(5, "ciao")
		broken.User = []byte{1, 2, 3}
		refused("broken", sms.RPCauseProtocolError, broken)
		if _, ok := ask("memory", &sms.RPSMMA{Reference: 6}).(*sms.RPAck); !ok {
			t.Error("memory available: no RP-ACK")
		}
	})
}

// Whatever a phone says of short messages, it and others go on.
func TestSMSHostile(t *testing.T) {
	centre := &LocalMessages{}
	play(t, func(o *Options) { o.Messages = centre }, func(w *world) {
		w.home.profile = testProfile()
		w.home.profile.MSISDN = must(id.ParseMSISDN("882990000002")) // it writes to itself
		p := w.phone(w.tower(0x19b))
		p.attachCombined()
		r := rand.New(rand.NewPCG(5, 6))
		ack := must(sms.Append(nil, &sms.RPAck{Direction: sms.Uplink, Reference: 1}))
		good := [][]byte{
			must(sms.Append(nil, &sms.CPData{User: must(sms.Append(nil, submitting(1, "ciao")))})),
			must(sms.Append(nil, &sms.CPData{TI: sms.TI{Value: 1, Flag: true}, User: ack})), must(sms.Append(nil, &sms.CPAck{TI: sms.TI{Flag: true}})),
		}
		answers := 0
		for range 3000 {
			b := slices.Clone(good[r.IntN(len(good))])
			for range r.IntN(4) {
				b[r.IntN(min(len(b), 12))] = byte(r.Uint32())
			}
			if r.IntN(4) == 0 {
				b = b[:2+r.IntN(len(b)-1)]
			}
			p.uplink(&eps.UplinkNASTransport{Container: b})
			answers += p.drain()
		}
		if answers < 1000 {
			t.Errorf("%d answers", answers)
		}
		time.Sleep(2 * time.Minute)
		p.drain()
		p.submits(5, 200) // to itself, all well
		hears[*sms.CPAck](p)
		m := hears[*sms.CPData](p)
		p.says(&sms.CPAck{TI: m.TI.Reply()})
		p.says(&sms.CPData{TI: m.TI.Reply(), User: must(sms.Append(nil, &sms.RPAck{Direction: sms.Uplink, Reference: rpOf[*sms.RPData](p, m).Reference}))})
		hears[*sms.CPAck](p)
		rpOf[*sms.RPAck](p, hears[*sms.CPData](p))
		if i := p.settled(); i.State != Connected {
			t.Errorf("%v", i.State)
		}
	})
}

// drain takes what the MME has to say now.
func (p *phone) drain() (n int) {
	p.w.t.Helper()
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		in, err := p.e.a.Recv(ctx)
		cancel()
		if err != nil {
			return n
		}
		m, ok := must(s1ap.Parse(in.Data)).Message.(*s1ap.DownlinkNASTransport)
		if !ok {
			p.w.t.Fatalf("the MME sent %s", describe(must(s1ap.Parse(in.Data)).Message))
		}
		open[eps.Message](p, m.NASPDU)
		n++
	}
}
