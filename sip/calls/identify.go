package calls

import (
	"strings"

	"campanile.network/3gpp/id"
	"campanile.network/wire/sip"
)

// identify finds out who calls whom, and whether he may.
func (c *call) identify() error {
	m := c.invite.Request
	if err := c.understood(m); err != nil {
		return err
	}
	d, err := c.w.o.Numbers.Read(m.URI.User)
	if m.URI.User == "" { // OpenBTS has phones in need call nobody
		if _, ok := c.w.o.Registry.Station(c.invite); ok {
			return c.help()
		}
	}
	if err != nil {
		return refuse(484, "unreadable number")
	}
	if d.Kind == KindEmergency {
		return c.help()
	}
	c.dialled = d
	c.record.Dialled = d.World()
	if t := c.w.trunkOf(c.invite.From); t != nil {
		return c.fromTrunk(t, m)
	}
	c.reply(100)
	p, err := c.caller()
	if err != nil {
		return err
	}
	c.from(p)
	if !p.IMSI.IsZero() {
		if !c.w.take(p.IMSI) {
			return refuse(486, "caller has too many calls")
		}
		c.holds = append(c.holds, func() { c.w.give(p.IMSI) })
	}
	return nil
}

// caller asks the registry whose the INVITE is.
func (c *call) caller() (Party, error) {
	ctx, cancel := c.context()
	defer cancel()
	p, ok := c.w.o.Registry.Caller(ctx, c.invite)
	if !ok {
		return p, &ended{why: "caller is not known", status: 403, cause: CauseRejected, by: nobody, told: true}
	}
	return p, nil
}

// from says who the caller is.
func (c *call) from(p Party) {
	c.legs[0].party = p
	c.record.Caller = p.side()
	c.show()
}

// understood refuses what cannot be served whoever sends it.
func (c *call) understood(m *sip.Message) error {
	if m.MaxForwards == 0 {
		return refuse(483, "too many hops")
	}
	for _, v := range m.List("Require") {
		if !strings.EqualFold(v, "timer") {
			r := c.legs[0].respond(m, 420)
			r.Set("Unsupported", v)
			return &ended{why: "extension is not supported", status: 420, cause: CauseInterworking, by: nobody, answer: r}
		}
	}
	if len(m.Body) > 0 && !isSDP(m.ContentType) {
		return refuse(415, "body is no session description")
	}
	if _, ok := m.Lookup("Accept"); ok && sip.Check(m, sip.Capabilities{Answers: []string{"application/sdp"}}) != nil {
		return refuse(406, "no description is wanted in answer")
	}
	if len(m.Contact) > 1 || len(m.Contact) == 0 && !former(m) {
		return refuse(400, "no Contact")
	}
	return c.legs[0].timer.asked(m)
}

// former says that a request is of RFC 2543, where Contact was not a must: From is
// then where the caller is.
func former(m *sip.Message) bool { return m.Via[0].Branch() == "" }

// help is an emergency call: no registration, no balance and no ticket is asked
// for, nothing is counted, and where there is no way out it says so at once, so
// that the phone looks for another network. It must come from a trusted station,
// or from somebody registered.
func (c *call) help() error {
	p, ok := c.w.o.Registry.Station(c.invite)
	if !ok {
		var err error
		if p, err = c.caller(); err != nil {
			return err
		}
	}
	c.record.Emergency = true
	c.dialled = Dialled{Kind: KindEmergency}
	c.w.count(&c.w.stats.emergency)
	c.from(p)
	return nil
}

// fromTrunk is a call that another network brings.
func (c *call) fromTrunk(t *trunk, m *sip.Message) error {
	c.legs[0].trunk = t
	c.from(Party{Access: AccessTrunk, Number: t.callerOf(&c.w.o.Numbers, m)})
	c.record.Caller.Trunk = t.o.Name
	if !t.take(false) {
		return refuse(503, "trunk is full")
	}
	c.holds = append(c.holds, t.give)
	c.reply(100)
	if did, ok := t.o.Numbers[c.dialled.World()]; ok {
		c.dialled.Numbers = []id.MSISDN{did}
	}
	return nil
}

// reply gives the caller a provisional status.
func (c *call) reply(status int) {
	if status == 100 {
		c.w.answer(c.invite, c.invite.Request.Response(100, ""))
		return
	}
	c.w.answer(c.invite, c.legs[0].respond(c.invite.Request, status))
}

// hidden says whether the caller does not want to be known (RFC 3323 §4.2, and
// the name that RFC 3261 §8.1.1.3 gives who has none).
func hidden(m *sip.Message) bool {
	for _, v := range m.Values("Privacy") {
		for p := range strings.FieldsFuncSeq(v, func(r rune) bool { return r == ';' || r == ',' || r == ' ' }) {
			switch strings.ToLower(p) {
			case "id", "user", "header", "full":
				return true
			}
		}
	}
	return strings.EqualFold(m.From.URI.User, "anonymous") || strings.HasSuffix(strings.ToLower(m.From.URI.Host), "anonymous.invalid")
}

// introduce writes into an INVITE who calls: by what the registry knows, never
// by what the caller's From said. A phone's station takes the number from
// P-Associated-URI, P-Asserted-Identity or From, as it is configured: all three
// say the same. Who wants to stay unknown does, but to trunks, which promise to
// keep it (RFC 3325 §7), and to who answers emergencies.
func (c *call) introduce(to *Party, t *trunk) (from sip.Address, more []sip.Header) {
	p := &c.legs[0].party
	shown, host := c.w.international(p.Number), c.w.o.Realm
	secret := hidden(c.invite.Request) && !c.record.Emergency
	if t != nil {
		shown, host = t.format(t.show(p.Number)), t.domain()
	}
	from = sip.Address{URI: sip.URI{Scheme: "sip", User: shown, Host: host}}
	if secret || shown == "" {
		from = sip.Address{Name: "Anonymous", URI: sip.URI{Scheme: "sip", User: "anonymous", Host: "anonymous.invalid"}}
	}
	if secret {
		more = append(more, sip.Header{Name: "Privacy", Value: "id"})
	}
	if shown != "" && (!secret || t != nil) {
		more = append(more, sip.Header{Name: "P-Asserted-Identity", Value: "<sip:" + shown + "@" + host + ">"})
		if to.Access == AccessGSM {
			more = append(more, sip.Header{Name: "P-Associated-URI", Value: "<tel:" + shown + ">"})
		}
	}
	if to.Yate {
		number := c.w.international(to.Number)
		if number == "" {
			number = to.IMSI.Digits() // as it was registered
		}
		more = append(more, sip.Header{Name: "P-Called-Party-ID", Value: "<tel:" + number + `>;imsi="` + to.IMSI.Digits() + `"`})
	}
	return from, more
}

// international writes a number as this network's phones know it: with a plus
// where the operator has a country code, or else the digits alone.
func (w *Switch) international(n id.MSISDN) string {
	if n.IsZero() || w.o.Numbers.Country == "" {
		return n.Digits()
	}
	return "+" + n.Digits()
}
