package town

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/internal/logs"
	"campanile.network/sdr/bts"
	"campanile.network/sdr/sim"
	"campanile.network/sip/sipgw"
)

// gsmEnd is the virtual GSM cell and its phones, where there are any.
type gsmEnd struct {
	gsmCards []sim.SIM
	gsmCell  *bts.Cell
}

// btsPort is where OpenBTS speaks SIP.
const btsPort = 5062

// gsmPhones is how many virtual GSM phones there are.
func (t *Town) gsmPhones() int {
	if t.cfg.Radio.Kind != "virtual" || len(t.set.sip.listen) == 0 || t.cfg.Role != "up" {
		return 0
	}
	return t.cfg.Radio.GSMPhones
}

// virtualCell is where the virtual GSM phones are.
func (t *Town) virtualCell() id.CGI { return id.CGI{PLMN: t.set.plmn, LAC: t.cfg.Tower.TAC, CI: 1} }

// addVirtualCell makes the virtual cell one of the gateway's stations: this home's
// tower earns what its phones say and write.
func (t *Town) addVirtualCell(q *sipSettings) {
	if t.gsmPhones() == 0 {
		return
	}
	at := netip.PrefixFrom(t.set.gsmCell, t.set.gsmCell.BitLen())
	q.stations = append(q.stations, sipgw.Station{Name: "virtual", From: []netip.Prefix{at}, Cells: []id.CGI{t.virtualCell()}})
	q.own = append(q.own, true)
}

// startGSM puts the virtual GSM cell on the air and switches its phones on.
func (t *Town) startGSM(context.Context) error {
	if t.gsmPhones() == 0 {
		return nil
	}
	c, err := bts.New(bts.Options{Listen: netip.AddrPortFrom(t.set.gsmCell, btsPort), Gateway: t.set.sip.listen[0], Cell: t.virtualCell(), Log: t.role("gsm")})
	if err != nil {
		return t.portTaken(err, "radio.gsm_cell")
	}
	t.gsmCell = c
	t.serve("GSM cell", c.Serve)
	for i, s := range t.gsmCards {
		p, err := t.gsmPhone(s)
		if err != nil {
			return err
		}
		t.serve(fmt.Sprintf("GSM phone %d", i+1), func(ctx context.Context) error { return t.gsmLife(ctx, i, p) })
	}
	return nil
}

// gsmPhone is a handset with a USIM.
func (t *Town) gsmPhone(s sim.SIM) (*bts.Phone, error) {
	card, err := aka.NewUSIM(aka.USIMOptions{Algorithm: milenage.New(s.K, s.OPc)})
	if err != nil {
		return nil, err
	}
	return bts.NewPhone(bts.PhoneOptions{IMSI: s.IMSI, Card: card, Ring: time.Second, Events: func(e bts.Event) {
		switch e.What {
		case "registered", "stored", "answered", "ended":
			t.add("phone", fmt.Sprintf("GSM phone ..%s: %s %s", e.Phone, e.What, e.Text))
			t.wake()
		}
	}})
}

// Between two things that a virtual GSM phone does.
const (
	betweenTexts = 5 * time.Minute
	betweenCalls = 2 * time.Minute
	callLength   = 6 * time.Second
)

// gsmLife is a GSM phone's day: it registers, the first one writes to the first LTE
// phone and calls the next GSM phone now and then.
func (t *Town) gsmLife(ctx context.Context, i int, p *bts.Phone) error {
	for ctx.Err() == nil {
		err := p.Camp(ctx, t.gsmCell)
		if err == nil {
			break
		}
		t.role("gsm").Warn("a virtual GSM phone is not registered", logs.Error, err)
		rest(ctx, 5*time.Second)
	}
	if i > 0 {
		<-ctx.Done()
	}
	var text, call time.Time
	for ctx.Err() == nil {
		if len(t.cards) > 0 && time.Since(text) > betweenTexts {
			text = time.Now()
			t.gsmSays("a message", p.Send(ctx, t.virtualNumber(0), "Greetings from the GSM cell"))
		}
		rest(ctx, 5*time.Second)
		if len(t.gsmCards) > 1 && time.Since(call) > betweenCalls && ctx.Err() == nil {
			call = time.Now()
			t.gsmSays("a call", t.gsmCall(ctx, p))
		}
		rest(ctx, 10*time.Second)
	}
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	p.Detach(bye)
	return nil
}

// gsmCall is a short call to the second GSM phone.
func (t *Town) gsmCall(ctx context.Context, p *bts.Phone) error {
	c, err := p.Dial(ctx, t.virtualNumber(firstGSM+1))
	if err != nil {
		return err
	}
	rest(ctx, callLength)
	bye, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	return errors.Join(c.Hangup(bye), c.Err())
}

func (t *Town) gsmSays(what string, err error) {
	if err != nil && !t.ending.Load() {
		t.role("gsm").Warn("a virtual GSM phone: "+what+" failed", logs.Error, err)
	}
}
