package sipgw

import (
	"context"
	"strings"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/sip/txn"
)

// Caller says who sends a request that is no registration: the binding of a phone
// at the station that it comes from, or of an app that has proven this request.
// An app that has not registered gets a binding for this request alone. If ok is
// false, Caller has answered the request, with a challenge or a refusal.
//
// A phone in a GSM cell cannot answer a challenge when it calls. So what a station
// says counts for the phones that are registered there, and for no others.
func (g *Gateway) Caller(ctx context.Context, s *txn.Server) (b *Binding, ok bool) {
	station := g.StationOf(s.From)
	if station != nil {
		if imsi, gsm := g.phoneAt(s); gsm {
			if b := g.gsmAt(imsi, station); b != nil {
				return g.moved(b, s, station), true
			}
			g.count.strangers.Add(1)
			g.reply(s, 403, "Not Registered at This Station")
			return nil, false
		}
	}
	if b := g.byConnection(ctx, s); b != nil {
		return b, true
	}
	c, has, err := credentials(s.Request)
	if err != nil {
		g.reply(s, 400, "Malformed Authorization")
		return nil, false
	}
	w, err := g.identify(ctx, s.Request, nil, c)
	if err != nil {
		g.refuse(s, w, refusalOf(err))
		return nil, false
	}
	lease, _, ok := g.authenticate(ctx, s, w, nil, c, has)
	if !ok {
		return nil, false
	}
	for _, b := range g.Bindings(w.imsi) {
		if !b.Kind.GSM() && (b.Flow == s.From || b.Flow.Remote == s.From.Remote) {
			return b, true
		}
	}
	b = &Binding{IMSI: w.imsi, MSISDN: lease.Profile.MSISDN, Kind: w.kind, Flow: s.From, Expires: g.o.Now(), Ticket: lease.Ticket}
	b.Contact.URI = s.Request.From.URI
	if len(s.Request.Contact) > 0 {
		b.Contact = s.Request.Contact[0]
	}
	return b, true
}

// phoneAt reads which GSM phone a station speaks for: OpenBTS writes its IMSI, and
// YateBTS the number that the phone was registered with. gsm is false when From
// names neither, as that of an app in a station's network.
func (g *Gateway) phoneAt(s *txn.Server) (imsi id.IMSI, gsm bool) {
	user := s.Request.From.URI.User
	if digits, ok := strings.CutPrefix(user, "IMSI"); ok {
		imsi, _ = id.ParseIMSI(digits)
		return imsi, true
	}
	if n, err := id.ParseMSISDN(user); err == nil {
		if imsi, ok := g.table.imsiOf(n); ok && g.gsmAt(imsi, g.StationOf(s.From)) != nil {
			return imsi, true
		}
		// YateBTS has a phone without a number under its IMSI.
		if imsi, err := id.ParseIMSI(n.Digits()); err == nil && g.gsmAt(imsi, g.StationOf(s.From)) != nil {
			return imsi, true
		}
	}
	return imsi, false
}

// moved notes what a station says of a phone's radio beside another request, and
// the cell when the station has several.
func (g *Gateway) moved(b *Binding, s *txn.Server, station *Station) *Binding {
	m := s.Request
	said, phy := m.Get("P-Access-Network-Info"), m.Get("P-PHY-Info")
	if said == "" && phy == "" {
		return b
	}
	n := *b
	if said != "" {
		known := false
		if n.Cell, known = station.cell(m); !known {
			g.count.otherCell.Add(1)
			n.Cell = b.Cell
		}
	}
	if phy != "" {
		n.Phy = physical(phy)
	}
	if n.Cell == b.Cell && n.Phy == b.Phy {
		return b
	}
	lock := g.lock(b.IMSI)
	defer lock.Unlock()
	if n.Cell != b.Cell {
		if err := g.enter(&n, b); err != nil {
			g.log.Error("a phone's new cell is not counted", "imsi", b.IMSI, "err", err)
			n.Cell, n.Stay = b.Cell, b.Stay
		}
	}
	if !g.table.swap(b, &n) {
		if n.Stay != nil && n.Stay != b.Stay {
			n.Stay.Leave()
		}
		return b
	}
	if b.Stay != nil && n.Stay != b.Stay {
		b.Stay.Leave()
	}
	if n.Cell != b.Cell {
		g.keepMoved(&n)
	}
	return &n
}

// keepMoved writes where a phone is that has moved without registering. It answers
// nothing, so a disk that is slow does not hold the phone's request up for long.
func (g *Gateway) keepMoved(b *Binding) {
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	if err := g.records.put(ctx, b); err != nil {
		g.log.Warn("after a restart a phone would be where it was before", "imsi", b.IMSI, "err", err)
	}
}

// byConnection is an app that has registered over this very TLS connection: it has
// proven itself there, and nobody else can write into it.
func (g *Gateway) byConnection(ctx context.Context, s *txn.Server) *Binding {
	if s.From.Transport != txn.TLS {
		return nil
	}
	w, err := g.subscriber(ctx, s.Request.From.URI.User, App)
	if err != nil || w.decoy {
		return nil
	}
	for _, b := range g.Bindings(w.imsi) {
		if b.Flow == s.From && !b.Kind.GSM() {
			return b
		}
	}
	return nil
}
