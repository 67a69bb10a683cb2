package calls

import (
	"cmp"
	"fmt"
	"slices"

	"campanile.network/3gpp/id"
	"campanile.network/wire/sip"
)

// way is one way to whom was called: places that ring together, or a trunk.
type way struct {
	to    []Party
	trunk *trunk
}

// forks bounds how many places of one subscriber ring together.
const forks = 8

// route finds the ways to whom was called, the best first.
func (c *call) route() ([]way, error) {
	switch c.dialled.Kind {
	case KindEmergency:
		return c.routeHelp()
	case KindIMSI:
		if c.legs[0].trunk != nil {
			return nil, refuse(404, "trunk called an IMSI")
		}
		return c.routeTo(c.dialled.IMSI, id.MSISDN{})
	}
	ctx, cancel := c.context()
	defer cancel()
	for _, n := range c.dialled.Numbers {
		imsi, err := c.w.o.Registry.Subscriber(ctx, n)
		if err != nil {
			return nil, refuse(500, "directory is away")
		}
		if !imsi.IsZero() {
			c.record.Dialled = n
			return c.routeTo(imsi, n)
		}
	}
	if c.legs[0].trunk != nil { // what came from outside does not go outside at our cost
		return nil, refuse(404, "number is nobody's")
	}
	ways := c.w.outside(c.dialled.World())
	if len(ways) == 0 {
		return nil, refuse(404, "number is nobody's")
	}
	return ways, nil
}

// routeTo is the way to a subscriber: all places where he is reached.
func (c *call) routeTo(imsi id.IMSI, n id.MSISDN) ([]way, error) {
	c.record.Called = Side{IMSI: imsi, Number: n}
	if imsi == c.legs[0].party.IMSI {
		return nil, refuse(486, "called oneself")
	}
	to := c.w.o.Registry.Contacts(imsi)
	if len(to) == 0 {
		e := refuse(480, "called one is not here")
		e.cause = 20 // subscriber absent
		return nil, e
	}
	if !c.w.take(imsi) {
		return nil, refuse(486, "called one has too many calls")
	}
	c.holds = append(c.holds, func() { c.w.give(imsi) })
	return []way{{to: to[:min(len(to), forks)]}}, nil
}

// routeHelp is the way of emergency calls, if one is configured and stands.
func (c *call) routeHelp() ([]way, error) {
	o := c.w.o.Policy.Emergency
	for _, t := range c.w.trunks {
		if t.o.Name != o.Trunk {
			continue
		}
		number := o.Number
		if number == "" {
			number = bare(c.invite.Request.URI.User)
		}
		if number == "" && len(c.w.o.Numbers.Emergency) > 0 {
			number = c.w.o.Numbers.Emergency[0]
		}
		c.record.Called.Trunk = t.o.Name
		return []way{{trunk: t, to: []Party{t.party(number)}}}, nil
	}
	e := refuse(503, "no way for emergency calls")
	e.cause = CauseNoRoute
	return nil, e
}

// outside are the trunks that reach a number: those with the longest prefix of
// it first, of these the cheapest, and last those that have failed just now.
func (w *Switch) outside(n id.MSISDN) []way {
	type choice struct {
		t    *trunk
		rate Rate
		down bool
	}
	var all []choice
	for _, t := range w.trunks {
		if r, ok := t.rate(n); ok {
			all = append(all, choice{t, r, !t.up()})
		}
	}
	slices.SortStableFunc(all, func(a, b choice) int {
		if a.down != b.down {
			if a.down {
				return 1
			}
			return -1
		}
		return cmp.Or(cmp.Compare(len(b.rate.Prefix), len(a.rate.Prefix)), cmp.Compare(a.rate.PerMinute, b.rate.PerMinute))
	})
	var ways []way
	for _, x := range all {
		ways = append(ways, way{trunk: x.t, to: []Party{x.t.party(x.t.format(n))}})
	}
	return ways
}

// place is a dialog to be, with one place of a way.
func (c *call) place(w way, p Party) *leg {
	l := &leg{call: c, side: 1, party: p, trunk: w.trunk, callID: newTag() + "@" + c.w.o.Realm, tag: newTag(), way: p.Target, target: p.URI}
	l.remote = sip.Address{URI: p.URI}
	l.offers = p.Access != AccessGSM // OpenBTS answers 488, and phones have no use for it
	l.local, l.headers = c.introduce(&p, w.trunk)
	l.local.Params.Set("tag", l.tag)
	return l
}

// invitation is the INVITE that a leg begins with.
func (c *call) invitation(l *leg) *sip.Message {
	m := l.request(sip.MethodInvite)
	if f := c.invite.Request.MaxForwards; f > 0 {
		m.MaxForwards = f - 1
	}
	m.Header = append(m.Header, l.headers...)
	if c.record.Emergency {
		if p := &c.legs[0].party; p.Access == AccessGSM { // TS 24.229 §7.2A.4
			m.Add("P-Access-Network-Info", fmt.Sprintf("3GPP-GERAN;cgi-3gpp=%s%s%04x%04x", p.Cell.PLMN.MCC(), p.Cell.PLMN.MNC(), p.Cell.LAC, p.Cell.CI))
		}
		m.Add("Priority", "emergency")
	}
	l.timer.ask(m, c.w.o.Policy.Session)
	m.ContentType, m.Body = sdpType, l.describe()
	return m
}
