package sipgw

import (
	"context"
	"errors"
	"strings"

	"campanile.network/3gpp/id"
	"campanile.network/sip/calls"
	"campanile.network/wire/home"
	"campanile.network/wire/sip/txn"
)

// CallsBy makes the Calls of Options: a switch by o, whose endpoint, realm and
// registry are the gateway's, and whose logger is, where o has none.
func CallsBy(o calls.Options) func(*Gateway) (Calls, error) {
	return func(g *Gateway) (Calls, error) {
		o.Endpoint, o.Realm, o.Registry = g.o.Endpoint, g.o.Realm, registry{g}
		if o.Logger == nil {
			o.Logger = g.log
		}
		return calls.New(o)
	}
}

// registry is what calls ask of the gateway.
type registry struct{ g *Gateway }

// party is a binding as calls know it.
func party(b *Binding) calls.Party {
	p := calls.Party{Access: calls.AccessApp, IMSI: b.IMSI, Number: b.MSISDN, URI: b.RequestURI(), Target: txn.To(b.Flow)}
	if b.Kind.GSM() {
		p.Access, p.Yate, p.Station, p.Cell = calls.AccessGSM, b.Kind == YateBTS, b.Station.Name, b.Cell
	}
	return p
}

func (r registry) Caller(ctx context.Context, s *txn.Server) (calls.Party, bool) {
	b, ok := r.g.Caller(ctx, s)
	if !ok {
		return calls.Party{}, false
	}
	return party(b), true
}

func (r registry) Station(s *txn.Server) (calls.Party, bool) {
	station := r.g.StationOf(s.From)
	if station == nil {
		return calls.Party{}, false
	}
	p := calls.Party{Access: calls.AccessGSM, Station: station.Name, Target: txn.To(s.From)}
	p.Cell, _ = station.cell(s.Request)
	if digits, ok := strings.CutPrefix(s.Request.From.URI.User, "IMSI"); ok {
		p.IMSI, _ = id.ParseIMSI(digits) // zero: it says nothing that can be read
	}
	return p, true
}

func (r registry) Subscriber(ctx context.Context, n id.MSISDN) (id.IMSI, error) {
	if r.g.o.Directory == nil {
		imsi, _ := r.g.table.imsiOf(n)
		return imsi, nil
	}
	imsi, err := r.g.o.Directory.ByNumber(ctx, n)
	if errors.Is(err, home.ErrNobody) {
		return id.IMSI{}, nil
	}
	return imsi, err
}

func (r registry) Contacts(imsi id.IMSI) []calls.Party {
	var all []calls.Party
	for _, b := range r.g.Bindings(imsi) {
		all = append(all, party(b))
	}
	return all
}

// gsm is the binding of a phone that is in a cell, or nil.
func (r registry) gsm(imsi id.IMSI) *Binding {
	for _, b := range r.g.Bindings(imsi) {
		if b.Kind.GSM() {
			return b
		}
	}
	return nil
}

func (r registry) Stay(imsi id.IMSI) calls.Stay {
	if b := r.gsm(imsi); b != nil && b.Stay != nil {
		return b.Stay
	}
	return nil
}

func (r registry) Owns(imsi id.IMSI, f txn.Flow) bool {
	for _, b := range r.g.Bindings(imsi) {
		if b.Flow == f || f.Transport == txn.UDP && b.Flow.Transport == txn.UDP && b.Flow.Remote == f.Remote {
			return true
		}
	}
	return false
}

var errMoved = errors.New("sipgw: nobody registered has moved")

// Moved takes a phone that talks over to the station that has just said so: what
// is for it goes there from now on, before it has registered there.
func (r registry) Moved(imsi id.IMSI, p calls.Party, s *txn.Server) (calls.Party, error) {
	g := r.g
	station, old := g.StationOf(s.From), r.gsm(imsi)
	if station == nil || old == nil {
		return calls.Party{}, errMoved
	}
	lock := g.lock(imsi)
	defer lock.Unlock()
	n := *old
	n.Station, n.Cell, n.Flow = station, p.Cell, s.From
	if len(s.Request.Contact) == 1 {
		n.Contact = s.Request.Contact[0]
	}
	if err := g.enter(&n, old); err != nil {
		return calls.Party{}, err
	}
	left, err := old.Stay, error(nil)
	if !g.table.swap(old, &n) {
		left, err = n.Stay, errMoved
	}
	if left != nil && (err != nil || left != n.Stay) {
		left.Leave()
	}
	if err == nil {
		g.keepMoved(&n)
	}
	return party(&n), err
}
