package mme

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/sdr/sim"
)

// testCentre is a message centre that answers as it is told.
type testCentre struct {
	mu     sync.Mutex
	got    []sms.RP
	from   []Sender
	ready  []id.IMSI
	answer func(context.Context, sms.RP) (sms.RP, error) // nil: acknowledges
}

func (c *testCentre) Submit(ctx context.Context, from Sender, m sms.RP) (sms.RP, error) {
	c.mu.Lock()
	c.got, c.from = append(c.got, m), append(c.from, from)
	answer := c.answer
	c.mu.Unlock()
	if answer != nil {
		return answer(ctx, m)
	}
	return nil, nil
}

func (c *testCentre) Ready(imsi id.IMSI) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = append(c.ready, imsi)
}

// readied says how often the centre has learned that a phone is there.
func (c *testCentre) readied() int {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.ready)
}

// playSMS is play with a message centre, and a phone that is attached for short
// messages.
func playSMS(t *testing.T, script func(*world, *testCentre, *phone)) {
	t.Helper()
	centre := &testCentre{}
	play(t, func(o *Options) { o.Messages = centre }, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attachCombined()
		script(w, centre, p)
	})
}

func (p *phone) attachCombined() *eps.AttachAccept {
	p.w.t.Helper()
	m := p.attachRequest()
	m.Type = eps.AttachTypeCombined
	p.initial(m)
	p.authenticate()
	p.information()
	_, a := p.accepted()
	p.setupResponse()
	p.complete()
	p.settled()
	return a
}

// says sends a CP message as the phone.
func (p *phone) says(m sms.CP) {
	p.w.t.Helper()
	p.uplink(&eps.UplinkNASTransport{Container: must(sms.Append(nil, m))})
}

// hears takes a CP message, which must be a T.
func hears[T sms.CP](p *phone) T {
	p.w.t.Helper()
	m := down[*eps.DownlinkNASTransport](p)
	cp, err := sms.ParseCP(m.Container)
	if err != nil {
		p.w.t.Fatalf("the MME's CP message: %v", err)
	}
	v, ok := cp.(T)
	if !ok {
		p.w.t.Fatalf("the MME sent\n%v\nwant %T", cp, v)
	}
	return v
}

// rpOf takes the RP message in a CP-DATA, which must be a T.
func rpOf[T sms.RP](p *phone, m *sms.CPData) T {
	p.w.t.Helper()
	v, ok := must(m.RP()).(T)
	if !ok {
		p.w.t.Fatalf("CP-DATA with\n%v\nwant %T", m, v)
	}
	return v
}

var testSC = must(sms.NewAddress("+491710760000"))

func submitting(ref uint8, text string) *sms.RPData {
	part := must(sms.Split(text, sms.SplitOptions{}))[0]
	tpdu := must(sms.Append(nil, &sms.Submit{Reference: ref, Destination: must(sms.NewAddress("+882990000002")), DCS: part.DCS, User: part.User}))
	return &sms.RPData{Direction: sms.Uplink, Reference: ref, Destination: testSC, User: tpdu}
}

func (p *phone) submits(ti, ref uint8) {
	p.w.t.Helper()
	p.says(&sms.CPData{TI: sms.TI{Value: ti}, User: must(sms.Append(nil, submitting(ref, "ciao")))})
}

// delivering is a short message for a phone.
func delivering(text string) sms.RPData {
	part := must(sms.Split(text, sms.SplitOptions{}))[0]
	return sms.RPData{Originator: testSC, User: must(sms.Append(nil, &sms.Deliver{Originator: must(sms.NewAddress("+882990000001")),
		DCS: part.DCS, Timestamp: sms.NewTimestamp(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)), User: part.User}))}
}

// deliveredSMS is what DeliverSMS came to.
type deliveredSMS struct {
	answer sms.RP
	err    error
	took   time.Duration
}

// deliver calls DeliverSMS.
func (w *world) deliver(imsi id.IMSI, text string) chan deliveredSMS {
	out := make(chan deliveredSMS, 1)
	began := time.Now()
	go func() {
		a, err := w.m.DeliverSMS(context.Background(), imsi, delivering(text))
		out <- deliveredSMS{a, err, time.Since(began)}
	}()
	synctest.Wait()
	return out
}

// takes receives a short message as a phone does.
func (p *phone) takes() {
	p.w.t.Helper()
	m := hears[*sms.CPData](p)
	p.says(&sms.CPAck{TI: m.TI.Reply()})
	d := rpOf[*sms.RPData](p, m)
	p.says(&sms.CPData{TI: m.TI.Reply(), User: must(sms.Append(nil, &sms.RPAck{Direction: sms.Uplink, Reference: d.Reference}))})
	if a := hears[*sms.CPAck](p); a.TI != m.TI {
		p.w.t.Errorf("CP-ACK of %v, want %v", a.TI, m.TI)
	}
}

func (w *world) acknowledged(out chan deliveredSMS) {
	w.t.Helper()
	r := <-out
	if _, ok := r.answer.(*sms.RPAck); !ok || r.err != nil {
		w.t.Errorf("delivered: %v, %v", r.answer, r.err)
	}
}

// TS 24.011 §5.3, §6.3, annex B: from the phone, in connected mode and out of idle
// mode; the centre learns who sent it.
func TestSMSFromPhone(t *testing.T) {
	centre := &testCentre{}
	play(t, func(o *Options) { o.Messages = centre }, func(w *world) {
		w.home.profile = testProfile()
		w.home.profile.MSISDN = must(id.ParseMSISDN("882990000001"))
		p := w.phone(w.tower(0x19b))
		p.attachCombined()
		for n := range uint8(3) {
			if n == 2 {
				p.idle()
				p.request()
				p.setupResponse()
			}
			p.submits(n, 40+n)
			if a := hears[*sms.CPAck](p); a.TI != (sms.TI{Value: n, Flag: true}) {
				t.Errorf("CP-ACK of %v", a.TI)
			}
			m := hears[*sms.CPData](p)
			if a := rpOf[*sms.RPAck](p, m); a.Reference != 40+n || a.Direction != sms.Downlink {
				t.Errorf("%+v", a)
			}
			p.says(&sms.CPAck{TI: m.TI.Reply()})
			synctest.Wait()
		}
		if len(centre.got) != 3 || centre.from[0] != (Sender{p.imsi, w.home.profile.MSISDN}) {
			t.Fatalf("the centre has %v from %v", centre.got, centre.from)
		}
		if text := must(must(centre.got[2].(*sms.RPData).TPDU()).(*sms.Submit).User.Text(sms.DCS7Bit)); text != "ciao" {
			t.Errorf("the centre has %q", text)
		}
		p.e.silent(time.Minute)
		w.counted("short message from phone ok", 3)
	})
}

// What the centre refuses, and what it fails to do.
func TestSMSRefused(t *testing.T) {
	playSMS(t, func(w *world, centre *testCentre, p *phone) {
		for _, c := range []struct {
			name   string
			answer func(context.Context, sms.RP) (sms.RP, error)
			want   sms.RPCause
			after  time.Duration
		}{
			{"refused", func(context.Context, sms.RP) (sms.RP, error) {
				return &sms.RPError{Cause: sms.RPCauseUnassignedNumber}, nil
			}, sms.RPCauseUnassignedNumber, 0},
			{"broken", func(context.Context, sms.RP) (sms.RP, error) { return nil, errors.New("no disk") }, sms.RPCauseNetworkOutOfOrder, 0},
			{"absurd", func(_ context.Context, m sms.RP) (sms.RP, error) { return m, nil }, sms.RPCauseNetworkOutOfOrder, 0},
			{"silent", func(ctx context.Context, _ sms.RP) (sms.RP, error) { <-ctx.Done(); return nil, ctx.Err() }, sms.RPCauseNetworkOutOfOrder, tr2nWait},
		} {
			centre.answer = c.answer
			began := time.Now()
			p.submits(1, 7)
			hears[*sms.CPAck](p)
			m := hears[*sms.CPData](p)
			if e := rpOf[*sms.RPError](p, m); e.Cause != c.want || e.Reference != 7 || time.Since(began) != c.after {
				t.Errorf("%s: %v after %v", c.name, e, time.Since(began))
			}
			p.says(&sms.CPAck{TI: m.TI.Reply()})
			synctest.Wait()
		}
	})
}

// A CP-ACK of the network's is lost: the phone repeats its CP-DATA and the centre
// has the message once. The phone's own is lost: TC1* repeats (TS 24.011
// §5.3.2.1), and ends.
func TestSMSFromPhoneAcknowledgementsLost(t *testing.T) {
	playSMS(t, func(w *world, centre *testCentre, p *phone) {
		centre.answer = func(ctx context.Context, _ sms.RP) (sms.RP, error) {
			select {
			case <-time.After(5 * time.Second):
			case <-ctx.Done():
			}
			return nil, nil
		}
		p.submits(1, 7)
		hears[*sms.CPAck](p)
		p.submits(1, 7)
		hears[*sms.CPAck](p)
		for range tc1.sends {
			began := time.Now()
			rpOf[*sms.RPAck](p, hears[*sms.CPData](p))
			if d := time.Since(began); d > tc1.wait {
				t.Errorf("repeated after %v", d)
			}
		}
		p.e.silent(time.Minute)
		if len(centre.got) != 1 {
			t.Errorf("the centre has it %d times", len(centre.got))
		}
		w.counted("short message from phone not delivered", 1)
	})
}

// TS 24.011 §5.4: a phone that has more to send does not acknowledge the last
// answer but goes on under another transaction identifier.
func TestSMSFromPhoneInARow(t *testing.T) {
	playSMS(t, func(w *world, centre *testCentre, p *phone) {
		for n := range uint8(4) {
			p.submits(n%2, n)
			hears[*sms.CPAck](p)
			rpOf[*sms.RPAck](p, hears[*sms.CPData](p))
		}
		p.says(&sms.CPAck{TI: sms.TI{Value: 1}})
		p.e.silent(time.Minute)
		w.counted("short message from phone ok", 4)
	})
}

// TS 24.011 §9: what is not understood is answered.
func TestSMSProtocolErrors(t *testing.T) {
	playSMS(t, func(w *world, centre *testCentre, p *phone) {
		cp := func(hex ...byte) { p.uplink(&eps.UplinkNASTransport{Container: hex}) }
		cp(0x19, 0x7f)
		if e := hears[*sms.CPError](p); e.Cause != sms.CPCauseMessageTypeNonExistent || e.TI != (sms.TI{Value: 1, Flag: true}) {
			t.Errorf("%v", e)
		}
		cp(0x19, 0x01, 9, 1) // cut off
		if e := hears[*sms.CPError](p); e.Cause != sms.CPCauseInvalidMandatoryInformation {
			t.Errorf("%v", e)
		}
		p.says(&sms.CPData{TI: sms.TI{Value: 3, Flag: true}, User: []byte{2, 1}}) // of no transaction of the network's
		if e := hears[*sms.CPError](p); e.Cause != sms.CPCauseInvalidTI || e.TI != (sms.TI{Value: 3}) {
			t.Errorf("%v", e)
		}
		p.says(&sms.CPData{TI: sms.TI{Value: 2}, User: []byte{0, 9, 0, 7}}) // RP-DATA cut off
		hears[*sms.CPAck](p)
		m := hears[*sms.CPData](p)
		if e := rpOf[*sms.RPError](p, m); e.Cause != sms.RPCauseInvalidMandatoryInformation || e.Reference != 9 {
			t.Errorf("%v", e)
		}
		p.says(&sms.CPAck{TI: m.TI.Reply()})
		p.says(&sms.CPData{TI: sms.TI{Value: 2}, User: must(sms.Append(nil, &sms.RPAck{Direction: sms.Uplink, Reference: 5}))})
		hears[*sms.CPAck](p)
		m = hears[*sms.CPData](p)
		if e := rpOf[*sms.RPError](p, m); e.Cause != sms.RPCauseInvalidReference || e.Reference != 5 {
			t.Errorf("%v", e)
		}
		p.says(&sms.CPAck{TI: m.TI.Reply()})
		cp(0x79, 0x01, 2, 0, 1)                  // TI 7 is reserved
		p.says(&sms.CPAck{TI: sms.TI{Value: 5}}) // of nothing
		p.e.silent(time.Minute)
		if len(centre.got) != 0 {
			t.Errorf("the centre has %v", centre.got)
		}
		w.counted("short message protocol", 7)
	})
	play(t, nil, func(w *world) { // nobody takes short messages
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.submits(1, 1)
		if m := down[*eps.EMMStatus](p); m.Cause != eps.EMMCauseMessageTypeNotCompatibleWithTheProtocolState {
			t.Errorf("%v", m)
		}
	})
}

// A phone made by others, both ways, through idle mode and another cell.
func TestSMSOfSimulatedPhone(t *testing.T) {
	centre := &testCentre{}
	playSim(t, func(o *Options) { o.Messages = centre }, sim.ENBOptions{}, sim.PhoneOptions{SMS: true}, func(l *simLife) {
		_, err := l.p.Attach(l.ctx)
		l.ok("attach", err)
		for n := range uint8(3) {
			a, err := l.p.SendSMS(l.ctx, submitting(n, "ciao"))
			l.ok("short message", err)
			if a, ok := a.(*sms.RPAck); !ok || a.Reference != n {
				t.Errorf("answered with %v", a)
			}
			_, err = l.w.m.DeliverSMS(l.ctx, l.imsi, delivering("ciao"))
			l.ok("delivery", err)
			l.ok("rest", l.p.Rest(l.ctx))
			if n == 1 {
				l.ok("move", l.p.MoveTo(l.ctx, l.enbs[1], 0))
			}
			_, err = l.w.m.DeliverSMS(l.ctx, l.imsi, delivering("paged"))
			l.ok("delivery to the idle phone", err)
			l.ok("rest", l.p.Rest(l.ctx))
		}
		if got := l.p.Received(); len(got) != 6 || len(centre.got) != 3 {
			t.Errorf("the phone has %v, the centre %v", got, centre.got)
		}
		l.w.counted("short message to phone ok", 6)
	})
}
