package sipgw

import (
	"context"
	"crypto/rand"
	"errors"

	"campanile.network/wire/home"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/digest"
	"campanile.network/wire/sip/txn"
)

// authenticate sees to it that a request is proven, and gives what its home lends
// for it. Without a lease it has answered: with a challenge, a refusal, or what
// the same answer got before. a is to be told what the request gets.
func (g *Gateway) authenticate(ctx context.Context, s *txn.Server, w who, station *Station, c digest.Credentials, has bool) (lease home.Lease, a *asked, ok bool) {
	if !has {
		g.challenge(ctx, s, w, station, w.kind.method(s.Request), nil, false)
		return lease, nil, false
	}
	a, again, answer, err := g.answered(s, w, station, c)
	switch {
	case err != nil:
		g.refuse(s, w, refusalOf(err))
		return lease, nil, false
	case again:
		g.count.repeated.Add(1)
		if answer != nil {
			g.respond(s, answer)
		} // else the first of them is about to be answered
		return lease, nil, false
	case a == nil: // too late, used up, or never asked
		g.challenge(ctx, s, w, station, w.kind.method(s.Request), nil, true)
		return lease, nil, false
	case a.decoy:
		g.refuse(s, w, homeRefused(&home.Error{Code: home.WrongRES, Detail: "nobody has this name"}))
		return lease, nil, false
	case c.Kind() == digest.Resync:
		g.resynchronise(ctx, s, w, station, a, c)
		return lease, nil, false
	}
	lease, err = g.prove(ctx, s, w, a, c)
	if err == nil {
		return lease, a, true
	}
	g.questions.forget(a)
	switch {
	case home.CodeOf(err) == home.Expired:
		g.challenge(ctx, s, w, station, a.method, nil, true)
	case home.CodeOf(err) == home.WrongRES && a.method == home.UMTS && w.kind == YateBTS && sresOnly(c):
		// The phone took the RAND and knows no AUTN: it is no UMTS phone (TS 33.102 §6.8.1.1).
		g.challenge(ctx, s, w, station, home.GSM, nil, false)
	default:
		g.refuse(s, w, refusalOf(err))
	}
	return lease, nil, false
}

// refusalOf is what an error comes to.
func refusalOf(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	return homeRefused(err)
}

func sresOnly(c digest.Credentials) bool {
	res, ok := c.CardResponse()
	return ok && len(res) == 4
}

// method is what the home is asked for: where a cell says that it takes
// AUTN, the phone may check the network.
func (k Kind) method(m *sip.Message) home.Method {
	switch k {
	case App:
		return home.App
	case IMS:
		return home.UMTS
	case YateBTS:
		for _, v := range m.List("Supported") {
			if v == "auth-umts" {
				return home.UMTS
			}
		}
	}
	return home.GSM
}

// answered finds the challenge that credentials answer, and checks that they are
// such as were asked for.
func (g *Gateway) answered(s *txn.Server, w who, station *Station, c digest.Credentials) (a *asked, again bool, answer *sip.Message, err error) {
	rand, _, err := digest.ReadNonce(c.Nonce)
	if err != nil {
		return nil, false, nil, nil // not of ours
	}
	if !w.kind.GSM() && !w.decoy {
		switch {
		case c.Kind() == digest.Card, w.kind == App && c.Kind() == digest.Resync:
			return nil, false, nil, badRequest("Digest Wanted")
		case w.kind == IMS && c.Algorithm != digest.AKAv1MD5,
			w.kind == App && c.Algorithm != digest.SHA256 && (c.Algorithm != digest.MD5 || !g.o.Policy.MD5):
			return nil, false, nil, badRequest("Algorithm Not Offered")
		}
		if u, err := sip.ParseURI(c.URI); err != nil || u.String() != s.Request.URI.String() { // RFC 7616 §3.4.6
			return nil, false, nil, badRequest("Digest of Another Request-URI")
		}
	}
	a, again, answer = g.questions.take(rand, w.imsi, station, idOf(s.Request, c), g.o.Now())
	return a, again, answer, nil
}

// prove brings an answer to the home.
func (g *Gateway) prove(ctx context.Context, s *txn.Server, w who, a *asked, c digest.Credentials) (home.Lease, error) {
	r := home.ProveRequest{ID: a.id, Serving: g.o.Serving}
	if c.Kind() == digest.Card {
		res, ok := c.CardResponse()
		if !ok {
			return home.Lease{}, badRequest("Malformed Response")
		}
		r.RES = res
	} else {
		answer := c.For(string(s.Request.Method), s.Request.Body)
		r.Digest = &answer
	}
	return g.o.Home.Prove(ctx, r)
}

// resynchronise goes on after AUTS (TS 33.102 §6.3.5).
func (g *Gateway) resynchronise(ctx context.Context, s *txn.Server, w who, station *Station, a *asked, c digest.Credentials) {
	_, auts, ok := c.Resynchronisation()
	if !ok || a.method != home.UMTS {
		g.refuse(s, w, badRequest("Malformed AUTS"))
		return
	}
	g.challenge(ctx, s, w, station, home.UMTS, &home.Resync{RAND: a.rand, AUTS: auts}, false)
}

// challenge asks the home for a challenge and hands it on in the asker's dialect.
func (g *Gateway) challenge(ctx context.Context, s *txn.Server, w who, station *Station, method home.Method, resync *home.Resync, stale bool) {
	if w.kind == IMS && !g.spared(s, w) {
		g.refuse(s, w, tooOften)
		return
	}
	now := g.o.Now()
	a := &asked{method: method, kind: w.kind, imsi: w.imsi, station: station, from: s.From.Remote.Addr(), expires: now.Add(challengeLife), decoy: w.decoy}
	var c home.Challenge
	var err error
	if !w.decoy {
		c, err = g.o.Home.Challenge(ctx, home.ChallengeRequest{IMSI: w.imsi, PLMN: g.o.PLMN, Serving: g.o.Serving, Method: method, Resync: resync})
		if home.CodeOf(err) == home.NotSubscribed && method == home.UMTS && w.kind == YateBTS {
			g.challenge(ctx, s, w, station, home.GSM, nil, stale)
			return
		}
	}
	if !w.kind.GSM() && nobody(err) {
		a.decoy, a.imsi, err = true, w.imsi, nil
	}
	if a.decoy {
		rand.Read(c.RAND[:])
		c.Realm = g.o.Realm
	}
	if err != nil {
		g.refuse(s, w, homeRefused(err))
		return
	}
	a.rand, a.id = c.RAND, c.ID
	g.questions.put(a, now)
	g.count.challenges.Add(1)
	m := g.response(s.Request, 401, "")
	for _, v := range g.inDialect(w.kind, method, c, stale) {
		m.Add("WWW-Authenticate", v)
	}
	g.respond(s, m)
}

// nobody says that the home knows no such app; who asks is not told.
func nobody(err error) bool {
	switch home.CodeOf(err) {
	case home.UnknownSubscriber, home.ForeignRange, home.NotSubscribed:
		return true
	}
	return false
}

// inDialect writes a challenge as its asker reads it.
func (g *Gateway) inDialect(k Kind, method home.Method, c home.Challenge, stale bool) []string {
	var autn *[16]byte
	if method == home.UMTS {
		autn = &c.AUTN
	}
	switch k {
	case OpenBTS:
		return []string{digest.Bare(c.RAND)}
	case YateBTS:
		return []string{digest.Challenge{Realm: g.o.Realm, Nonce: digest.AKANonce(c.RAND, autn), Algorithm: digest.AKAv1MD5}.String()}
	case IMS:
		return []string{digest.Challenge{Realm: g.o.Realm, Nonce: digest.AKANonce(c.RAND, autn), Algorithm: digest.AKAv1MD5, QOP: digest.Auth, Stale: stale}.String()}
	}
	realm := c.Realm
	if realm == "" {
		realm = g.o.Realm
	}
	app := digest.Challenge{Realm: realm, Nonce: digest.HexNonce(c.RAND), Algorithm: digest.SHA256, QOP: digest.Auth, Stale: stale}
	values := []string{app.String()}
	if g.o.Policy.MD5 {
		app.Algorithm = digest.MD5
		if g.o.Policy.OnlyMD5 {
			values = nil
		}
		values = append(values, app.String())
	}
	return values
}
