package sipgw

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// Gateway is the registrar and the door of messages. Its methods may be called by
// several goroutines.
type Gateway struct {
	o         Options
	log       *slog.Logger
	table     *table
	questions *questions
	spare     *spare
	records   *records
	reports   reports
	carried   carried
	calls     Calls
	count     counters
	heard     []atomic.Pointer[heard] // of each station
	locks     [64]sync.Mutex          // a subscriber's registrations are entered one after the other
	tagKey    [16]byte                // To tags are made with it, the same for a request that comes again
}

// New makes a Gateway, with the registrations that Options.Store has.
func New(o Options) (*Gateway, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	g := &Gateway{o: o, log: o.Logger, table: newTable(o.Policy), questions: newQuestions(o.Policy.MaxChallenges), spare: newSpare()}
	rand.Read(g.tagKey[:])
	g.records, g.heard = &records{v: o.Store}, make([]atomic.Pointer[heard], len(o.Stations))
	if err := g.restore(); err != nil {
		return nil, err
	}
	if o.Calls != nil {
		var err error
		if g.calls, err = o.Calls(g); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// Endpoint is what the gateway is served by.
func (g *Gateway) Endpoint() *txn.Endpoint { return g.o.Endpoint }

// Realm is the domain of addresses that are given out.
func (g *Gateway) Realm() string { return g.o.Realm }

// sweepEvery is how often registrations are looked through for those that are
// over. What is over does not count before that, either.
const sweepEvery = 5 * time.Second

// Serve answers requests until ctx ends. Calls end first, for peers have to hear
// of it. When it returns, nothing it started is running.
func (g *Gateway) Serve(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	below, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	parts := []func(context.Context) error{g.sweep}
	if g.calls != nil {
		parts = append(parts, g.calls.Serve)
	}
	ends, endpoint := make(chan error, len(parts)), make(chan error, 1)
	for _, f := range parts {
		go func() { ends <- f(ctx) }()
	}
	go func() {
		defer stop()
		endpoint <- g.o.Endpoint.Serve(below, g.handle)
	}()
	var errs []error
	for range parts {
		errs = append(errs, <-ends)
		stop()
	}
	end()
	return errors.Join(append(errs, <-endpoint)...)
}

// sweep ends registrations whose time is over.
func (g *Gateway) sweep(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			for _, b := range g.table.expired(g.o.Now()) {
				g.end(ctx, b, "expired")
			}
		}
	}
}

// Bindings gives where a subscriber is reached now: a GSM phone first, then the
// newest.
func (g *Gateway) Bindings(imsi id.IMSI) []*Binding { return g.table.of(imsi, g.o.Now()) }

// handle is where every request comes in.
func (g *Gateway) handle(ctx context.Context, s *txn.Server) {
	m := s.Request
	g.count.request(m.Method)
	station := g.StationOf(s.From)
	if station != nil {
		g.hear(station, m)
	} else if (g.calls == nil || !g.calls.Trusts(s.From)) && distrust(m) {
		g.count.distrusted.Add(1)
	}
	switch m.Method {
	case sip.MethodAck: // of a 2xx, or of nothing
		g.toCalls(ctx, s)
		return
	case sip.MethodInvite, sip.MethodBye, sip.MethodInfo, sip.MethodUpdate, sip.MethodPrack, sip.MethodRefer:
		if !ussdInvite(m) {
			g.toCalls(ctx, s)
			return
		}
	}
	if !g.acceptable(s) {
		return
	}
	switch m.Method {
	case sip.MethodRegister:
		g.register(ctx, s, station)
	case sip.MethodMessage:
		g.message(ctx, s, station)
	case sip.MethodInvite:
		g.ussd(ctx, s, station)
	case sip.MethodOptions:
		g.options(s)
	default:
		g.unsupported(s)
	}
}

// toCalls hands a request on, or says that there are no calls.
func (g *Gateway) toCalls(ctx context.Context, s *txn.Server) {
	switch {
	case g.calls != nil:
		g.calls.Handle(ctx, s)
	case s.Request.Method == sip.MethodAck: // nobody answers an ACK
	case s.Request.Method == sip.MethodInvite:
		g.reply(s, 503, "No Calls Here")
	default:
		g.reply(s, 481, "")
	}
}

// reply answers with a status and more header fields; an empty reason is the
// standard's phrase.
func (g *Gateway) reply(s *txn.Server, status int, reason string, more ...sip.Header) {
	m := g.response(s.Request, status, reason)
	for _, h := range more {
		m.Add(h.Name, h.Value)
	}
	g.respond(s, m)
}

// response begins an answer with a To tag, which is the same when the request
// comes again.
func (g *Gateway) response(r *sip.Message, status int, reason string) *sip.Message {
	m := r.Response(status, reason)
	if m.To.Tag() == "" && status > 100 {
		m.To.Params.Set("tag", g.tag(r))
	}
	return m
}

func (g *Gateway) respond(s *txn.Server, m *sip.Message) {
	g.count.status(m.Status)
	if err := s.Respond(m); err != nil {
		g.count.unsent.Add(1)
		g.log.Debug("a SIP answer was not sent", "status", m.Status, "err", err)
	}
}

// tag makes a To tag of what names a request.
func (g *Gateway) tag(r *sip.Message) string {
	h := keyed(g.tagKey[:], r.CallID, r.From.Tag(), string(r.CSeq.Method), r.CSeq.String())
	return hex.EncodeToString(h[:8])
}

// lock is held by whoever enters or ends a subscriber's registration.
func (g *Gateway) lock(imsi id.IMSI) *sync.Mutex {
	l := &g.locks[keyed(g.tagKey[:], imsi.Digits())[0]%64]
	l.Lock()
	return l
}
