package sipgw

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/wire/home"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/digest"
	"campanile.network/wire/sip/txn"
)

// register is the registration of a phone or an app, from the first request to
// the answer (RFC 3261 §10.3).
func (g *Gateway) register(ctx context.Context, s *txn.Server, station *Station) {
	m := s.Request
	c, has, err := credentials(m)
	if err != nil {
		w := who{}
		if station != nil { // a stranger is told nothing that is meant for phones, and fills no log
			w.kind = dialect(m)
		}
		g.refuse(s, w, badRequest("Malformed Authorization"))
		return
	}
	w, err := g.identify(ctx, m, station, c)
	if err != nil {
		g.refuse(s, w, refusalOf(err))
		return
	}
	if m.To.URI.User != m.From.URI.User {
		g.refuse(s, w, forbidden)
		return
	}
	if w.kind.GSM() && !has && leaving(m) {
		g.detach(ctx, s, w, station)
		return
	}
	lease, a, ok := g.authenticate(ctx, s, w, station, c, has)
	if !ok {
		return
	}
	answer, err := g.registered(ctx, s, w, station, lease)
	if err != nil {
		g.refuse(s, w, refusalOf(err))
		return
	}
	if w.kind.GSM() {
		cipherKey(answer, w.kind, a.method, lease)
	}
	g.questions.answered(a, answer)
	g.count.registered.Add(1)
	g.log.Info("SIP registration", "imsi", w.imsi, "kind", w.kind, "bindings", len(answer.Contact))
	g.respond(s, answer)
	if g.o.Messages != nil && len(answer.Contact) > 0 {
		g.o.Messages.Ready(w.imsi)
	}
}

// leaving says that a request ends a registration.
func leaving(m *sip.Message) bool {
	if m.ContactStar {
		return m.Expires == 0
	}
	return len(m.Contact) > 0 && expiryOf(m, m.Contact[0]) == 0
}

// expiryOf is how many seconds a contact is wished for, -1 when nothing is said
// (RFC 3261 §10.2.1.1). What cannot be read counts as nothing said (§10.3).
func expiryOf(m *sip.Message, c sip.Address) int64 {
	if n := c.Expires(); n >= 0 {
		return int64(n)
	}
	return int64(m.Expires)
}

// detach is a phone's good bye in a GSM cell (IMSI detach, TS 24.008 §4.3.4). It
// is not authenticated on the radio, and not answered by OpenBTS for a challenge;
// so it counts only from the station where the phone is.
func (g *Gateway) detach(ctx context.Context, s *txn.Server, w who, station *Station) {
	if b := g.gsmAt(w.imsi, station); b != nil {
		g.end(ctx, b, "detached")
	}
	g.reply(s, 200, "")
}

// gsmAt is the phone's binding at a station, or nil.
func (g *Gateway) gsmAt(imsi id.IMSI, station *Station) *Binding {
	for _, b := range g.Bindings(imsi) {
		if b.Kind.GSM() && b.Station == station {
			return b
		}
	}
	return nil
}

// registered enters what a proven request asks for and makes its answer.
func (g *Gateway) registered(ctx context.Context, s *txn.Server, w who, station *Station, lease home.Lease) (*sip.Message, error) {
	m := s.Request
	if m.ContactStar {
		if m.Expires != 0 || len(m.Contact) > 0 {
			return nil, badRequest("Contact * without Expires 0")
		}
		for _, b := range g.table.of(w.imsi, g.o.Now()) {
			if b.Kind == w.kind {
				g.end(ctx, b, "detached")
			}
		}
		return g.welcome(s, w, lease), nil
	}
	if w.kind.GSM() && len(m.Contact) > 1 {
		m.Contact = m.Contact[:1]
	}
	if len(m.Contact) > g.o.Policy.MaxContacts {
		return nil, &refusal{status: 403, reason: "Too Many Contacts", why: errContacts}
	}
	for _, c := range m.Contact {
		if err := g.contactFits(m, c, w.kind); err != nil {
			return nil, err
		}
	}
	for _, c := range m.Contact {
		if err := g.bind(ctx, s, w, station, lease, c); err != nil {
			return nil, err
		}
	}
	return g.welcome(s, w, lease), nil
}

// contactFits refuses contacts that could not be kept or reached, and times that
// are too short (RFC 3261 §10.3).
func (g *Gateway) contactFits(m *sip.Message, c sip.Address, k Kind) error {
	switch {
	case c.URI.Scheme != "sip" && c.URI.Scheme != "sips":
		return badRequest("Contact Is No SIP URI")
	case len(c.URI.String()) > 512 || len(c.Params) > 16:
		return badRequest("Contact Too Long")
	}
	e := expiryOf(m, c)
	if shortest := int64(g.o.Policy.MinExpires / time.Second); !k.GSM() && e > 0 && e < shortest {
		return &refusal{status: 423, why: errors.New("an interval of " + strconv.FormatInt(e, 10) + " s"), minExpires: shortest}
	}
	return nil
}

// lifetime is how long a contact is kept: what it wishes, within what is allowed.
func (g *Gateway) lifetime(m *sip.Message, c sip.Address) time.Duration {
	e := expiryOf(m, c)
	if e < 0 {
		return g.o.Policy.Expires
	}
	return max(g.o.Policy.MinExpires, min(g.o.Policy.MaxExpires, time.Duration(e)*time.Second))
}

// bind enters one contact, or takes it out.
func (g *Gateway) bind(ctx context.Context, s *txn.Server, w who, station *Station, lease home.Lease, c sip.Address) error {
	m, now := s.Request, g.o.Now()
	kept, err := sip.ParseAddress(c.String()) // a message's values share its text, which is not to be kept
	if err != nil {
		return badRequest("Contact Cannot Be Read")
	}
	b := &Binding{IMSI: w.imsi, MSISDN: lease.Profile.MSISDN, Kind: w.kind, Contact: kept, Flow: s.From,
		Ticket: lease.Ticket, Registered: now, Expires: now.Add(g.lifetime(m, c)), callID: strings.Clone(m.CallID), cseq: m.CSeq.Seq}
	if w.kind.GSM() {
		known := false
		b.Station = station
		if b.Cell, known = station.cell(m); !known {
			g.count.otherCell.Add(1)
			g.log.Warn("a station speaks for a cell that is not its own", "station", station.Name, "said", fmt.Sprintf("%.100s", m.Get("P-Access-Network-Info")))
		}
		b.Phy = physical(m.Get("P-PHY-Info"))
	}
	if expiryOf(m, c) == 0 {
		for _, old := range g.table.of(w.imsi, now) {
			if old.place() == b.place() && old.Kind == b.Kind && old.Station == b.Station {
				g.end(ctx, old, "detached")
			}
		}
		return nil
	}
	g.makeRoom(ctx, b)
	lock := g.lock(w.imsi)
	defer lock.Unlock()
	before := g.table.at(b)
	if err := g.enter(b, before); err != nil {
		return err
	}
	old, err := g.table.put(b, now)
	if err == nil {
		if err = g.records.put(ctx, b); err != nil {
			g.log.Error("a registration is not written", "err", err)
			g.table.remove(b)
			err = noStore
		}
	}
	left := old
	if err != nil {
		left = b
	}
	if left != nil && left.Stay != nil && (left != old || left.Stay != b.Stay) && (left != b || before == nil || before.Stay != b.Stay) {
		left.Stay.Leave()
	}
	switch {
	case errors.Is(err, errOrder):
		return badRequest("Out of Order")
	case errors.Is(err, errFull), errors.Is(err, errContacts):
		return &refusal{status: 503, cause: Congestion, retry: time.Minute, why: err}
	case err != nil:
		return err
	}
	g.o.Endpoint.Know(b.Flow, b.Expires)
	if old != nil {
		g.unknow(old)
	}
	return nil
}

// unknow takes the first place among senders away from where an app was registered,
// unless it still is, by another contact. A station has its place by its address.
func (g *Gateway) unknow(b *Binding) {
	for _, o := range g.table.of(b.IMSI, g.o.Now()) {
		if o.Flow == b.Flow {
			return
		}
	}
	if b.Station == nil {
		g.o.Endpoint.Know(b.Flow, time.Time{})
	}
}

// makeRoom ends the oldest registration of a subscriber who has as many as he may: an
// app whose address changes leaves some behind that nobody is at.
func (g *Gateway) makeRoom(ctx context.Context, b *Binding) {
	all := g.table.of(b.IMSI, g.o.Now())
	if len(all) < g.o.Policy.MaxContacts || g.table.at(b) != nil {
		return
	}
	oldest := slices.MinFunc(all, func(a, b *Binding) int { return a.Registered.Compare(b.Registered) })
	g.end(ctx, oldest, "too many contacts")
}

// enter has what a GSM phone does counted at its cell from now on. A phone that
// was there under the same ticket stays.
func (g *Gateway) enter(b, old *Binding) error {
	switch {
	case g.o.Tally == nil || b.Station == nil || len(b.Ticket) == 0:
		return nil
	case old != nil && b.Station == old.Station && b.Cell == old.Cell && bytes.Equal(b.Ticket, old.Ticket):
		b.Stay = old.Stay
		return nil
	}
	stay, err := g.o.Tally.Enter(b.Ticket, b.Station.Tower, b.Cell)
	if err != nil {
		return &refusal{status: 503, cause: NetworkFailure, retry: 30 * time.Second, why: fmt.Errorf("what the phone does would not be counted: %w", err)}
	}
	b.Stay = stay
	return nil
}

// end takes a binding out, for a reason.
func (g *Gateway) end(ctx context.Context, b *Binding, why string) {
	lock := g.lock(b.IMSI)
	defer lock.Unlock()
	if !g.table.remove(b) {
		return
	}
	if err := g.records.forget(ctx, b); err != nil {
		g.log.Error("a registration that is over stays on disk until it expires", "err", err)
	}
	if b.Stay != nil {
		b.Stay.Leave()
	}
	g.unknow(b)
	g.count.ended.Add(1)
	g.log.Info("SIP registration ended", "imsi", b.IMSI, "kind", b.Kind, "why", why)
}

// welcome is the 200 to a registration: all contacts with what is left of their
// time, and the subscriber's number.
func (g *Gateway) welcome(s *txn.Server, w who, lease home.Lease) *sip.Message {
	m := g.response(s.Request, 200, "")
	now := g.o.Now()
	for _, b := range g.table.of(w.imsi, now) {
		if b.Kind.GSM() != w.kind.GSM() {
			continue
		}
		c := b.Contact
		left := strconv.Itoa(int(b.Expires.Sub(now).Round(time.Second) / time.Second))
		c.Params.Set("expires", left)
		m.Contact = append(m.Contact, c)
	}
	number := lease.Profile.MSISDN.Digits()
	switch {
	case w.kind == YateBTS:
		// It takes a registration without a number for one that failed.
		if number == "" {
			number = w.imsi.Digits()
		}
		m.Add("P-Associated-URI", "<tel:+"+number+`>;imsi="`+w.imsi.Digits()+`"`)
	case number != "" && w.kind == OpenBTS:
		m.Add("P-Associated-URI", "<tel:+"+number+">")
	case number != "":
		m.Add("P-Associated-URI", "<sip:+"+number+"@"+g.o.Realm+">, <tel:+"+number+">")
	}
	return m
}

// cipherKey gives Kc to the cell in which the phone has earned it, where its
// program looks for it. Of a UMTS challenge it is c3 of CK and IK (TS 33.102
// §6.8.1.2).
func cipherKey(m *sip.Message, k Kind, method home.Method, l home.Lease) {
	kc := l.Kc
	if method == home.UMTS {
		kc = aka.C3(l.CK, l.IK)
	}
	if k == OpenBTS {
		m.Add("Authentication-Info", digest.BareInfo(kc))
		return
	}
	info, _ := digest.ParseInfo(digest.BareInfo(kc))
	m.Add("P-GSM-Kc", info.CNonce)
}
