package load

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"sync"
	"time"

	"campanile.network/wire/sip"
	"campanile.network/wire/sip/digest"
	"campanile.network/wire/sip/txn"
)

// plain is the least that a registrar and proxy does, on txn alone: what is
// left of the gateway's cost when its own work is taken away. It stays between
// the ends of a call as two dialogs.
type plain struct {
	e      *txn.Endpoint
	secret []byte
	mu     sync.Mutex
	where  map[string]txn.Target
	calls  map[string]*side // by Call-ID and tag of the end that is to be written to
}

// side is one end of a call as the other end's messages find it.
type side struct {
	m     sip.Message // From, To, Call-ID, URI, Route of requests towards it
	seq   uint32
	to    txn.Target
	other *side
	key   string
}

func newPlain(e *txn.Endpoint) *plain {
	p := &plain{e: e, secret: make([]byte, 16), where: make(map[string]txn.Target), calls: make(map[string]*side)}
	_, _ = rand.Read(p.secret)
	return p
}

func (p *plain) handle(ctx context.Context, s *txn.Server) {
	switch m := s.Request; {
	case m.Method == sip.MethodRegister:
		p.register(s)
	case m.Method == sip.MethodInvite && m.To.Tag() == "":
		p.call(ctx, s)
	case m.Method == sip.MethodMessage:
		p.text(ctx, s)
	case m.Method == sip.MethodBye:
		p.bye(ctx, s)
	case m.Method == sip.MethodAck:
	default:
		_ = s.Reply(501, "")
	}
}

func (p *plain) nonce(t string) string {
	h := hmac.New(sha256.New, p.secret)
	h.Write([]byte(t))
	return t + hex.EncodeToString(h.Sum(nil)[:8])
}

func (p *plain) register(s *txn.Server) {
	m := s.Request
	user := m.From.URI.User
	c, err := digest.ParseCredentials(m.Get("Authorization"))
	fresh := err == nil && len(c.Nonce) > 16 && p.nonce(c.Nonce[:len(c.Nonce)-16]) == c.Nonce
	a := digest.Answer{Credentials: c, Method: "REGISTER"}
	if !fresh || !a.VerifyPassword(c.Username, "load.test", "secret"+strings.TrimPrefix(c.Username, "0010110000")) {
		r := m.Response(401, "")
		r.Add("WWW-Authenticate", digest.Challenge{Realm: "load.test", Nonce: p.nonce(hex.EncodeToString([]byte(time.Now().Format("150405"))))}.String())
		_ = s.Respond(r)
		return
	}
	p.mu.Lock()
	p.where[user] = txn.To(s.From)
	p.mu.Unlock()
	r := m.Response(200, "")
	r.Contact = m.Contact
	r.Contact[0].Params.Set("expires", "3600")
	_ = s.Respond(r)
}

func (p *plain) find(user string) (txn.Target, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.where[user]
	return t, ok
}

func (p *plain) text(ctx context.Context, s *txn.Server) {
	m := s.Request
	to, ok := p.find(m.URI.User)
	if !ok {
		_ = s.Reply(404, "")
		return
	}
	out := *m
	out.Via = nil
	out.CallID = "t" + m.CallID
	p.e.RequestFunc(ctx, &out, func(_ *txn.Client, r *sip.Message, err error) {
		if r != nil && r.Status >= 200 {
			_ = s.Reply(r.Status, "")
		} else if err != nil {
			_ = s.Reply(504, "")
		}
	}, to)
}

func (p *plain) call(ctx context.Context, s *txn.Server) {
	m := s.Request
	to, ok := p.find(m.URI.User)
	if !ok {
		_ = s.Reply(404, "")
		return
	}
	host, port := p.e.SentBy(to)
	contact := sip.Address{URI: sip.URI{Scheme: "sip", User: "load", Host: host, Port: port}}
	caller := &side{to: txn.To(s.From), seq: 0}
	callee := &side{to: to, seq: 1, other: caller}
	caller.other = callee
	out := sip.NewRequest(sip.MethodInvite, sip.URI{Scheme: "sip", User: m.URI.User, Host: to.Flow.Remote.Addr().String(), Port: int(to.Flow.Remote.Port())})
	out.From, out.To, out.CallID, out.CSeq.Seq = m.From, m.To, "b"+m.CallID, 1
	out.Contact, out.ContentType, out.Body = []sip.Address{contact}, m.ContentType, m.Body
	callee.m = *out
	callee.m.Body, callee.m.ContentType = nil, ""
	p.e.RequestFunc(ctx, out, func(c *txn.Client, r *sip.Message, err error) {
		switch {
		case r == nil && err != nil:
			_ = s.Reply(504, "")
		case r == nil:
		default:
			a := m.Response(r.Status, r.Reason)
			a.To.SetTag(r.To.Tag())
			a.Contact, a.ContentType, a.Body = []sip.Address{contact}, r.ContentType, r.Body
			if r.Status/100 == 2 {
				callee.m.To = r.To
				callee.m.URI = r.Contact[0].URI
				callee.m.Method, callee.m.CSeq.Method = sip.MethodAck, sip.MethodAck
				ack := callee.m
				callee.key = m.CallID
				p.mu.Lock()
				p.calls[callee.key] = callee
				p.mu.Unlock()
				s.OnAck(func(*sip.Message, error) { _ = c.Ack(&ack, callee.to) })
			}
			_ = s.Respond(a)
		}
	}, to)
}

func (p *plain) bye(ctx context.Context, s *txn.Server) {
	p.mu.Lock()
	d := p.calls[s.Request.CallID]
	delete(p.calls, s.Request.CallID)
	p.mu.Unlock()
	if d == nil {
		_ = s.Reply(481, "")
		return
	}
	_ = s.Reply(200, "")
	bye := d.m
	bye.Method, bye.CSeq = sip.MethodBye, sip.CSeq{Seq: d.seq + 1, Method: sip.MethodBye}
	p.e.RequestFunc(ctx, &bye, func(*txn.Client, *sip.Message, error) {}, d.to)
}
