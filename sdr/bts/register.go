package bts

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/secret"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/digest"
)

// maxAsked is how many challenges a phone answers for one thing: one, one after
// AUTS, and one when its SIM is none of UMTS.
const maxAsked = 4

// Camp is a location update in a cell: the card answers the gateway's challenge. A
// refusal is a *Rejected. A phone that was in another cell is in that one no more,
// which nobody is told.
func (p *Phone) Camp(ctx context.Context, c *Cell) error {
	p.busy.Lock()
	defer p.busy.Unlock()
	key := p.o.IMSI.Digits()
	c.mu.Lock()
	c.phones[key] = p
	c.mu.Unlock()
	m, kc, err := c.register(ctx, p, int(c.o.Period/time.Second))
	if err == nil {
		err = c.welcomed(p, m, kc)
	}
	p.mu.Lock()
	old := p.cell
	p.mu.Unlock()
	if err != nil {
		if old != c {
			c.leave(p)
		}
		c.count(func(s *Stats) { s.Refused++ })
		return err
	}
	p.mu.Lock()
	p.cell, p.associated, p.asserted = c, m.Get("P-Associated-URI"), m.Get("P-Asserted-Identity")
	p.mu.Unlock()
	if old != nil && old != c {
		old.leave(p)
	}
	c.count(func(s *Stats) { s.Registrations++ })
	p.tell(c, "registered", "", p.Number())
	return nil
}

func (c *Cell) leave(p *Phone) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if key := p.o.IMSI.Digits(); c.phones[key] == p {
		delete(c.phones, key)
	}
}

// Detach is an IMSI detach: the phone is switched off, and the cell says so
// without a challenge, for there is nobody left to answer one.
func (p *Phone) Detach(ctx context.Context) error {
	p.busy.Lock()
	defer p.busy.Unlock()
	c, err := p.on()
	if err != nil {
		return err
	}
	p.mu.Lock()
	p.cell = nil
	p.mu.Unlock()
	c.leave(p)
	p.tell(c, "detached", "", "")
	m, err := c.ask(ctx, c.registration(p, 0))
	if err == nil && m.Status/100 != 2 {
		err = &Rejected{Status: m.Status, Reason: m.Reason}
	}
	return err
}

// Vanish switches the phone off without a word: its battery is out.
func (p *Phone) Vanish() {
	p.mu.Lock()
	c := p.cell
	p.cell = nil
	p.mu.Unlock()
	if c != nil {
		c.leave(p)
	}
}

// registration is a REGISTER for so many seconds.
func (c *Cell) registration(p *Phone, seconds int) *sip.Message {
	whose, registrar := at(p.user(), c.o.Gateway), at("", c.o.Gateway)
	if c.o.Realm != "" { // To and From have the realm for their host then
		whose = sip.URI{Scheme: "sip", User: p.user(), Host: c.o.Realm}
	}
	callID := c.callID // one for all phones
	if c.o.Dialect == YateBTS {
		callID = c.newCallID()
	}
	m := c.request(p, sip.MethodRegister, registrar, c.named(whose), c.named(whose), callID)
	contact := sip.Address{URI: at(p.user(), c.at)}
	contact.Params.Set("expires", strconv.Itoa(seconds))
	if c.o.Dialect == YateBTS {
		if d := p.o.IMEI.Digits(); len(d) >= 15 {
			contact.Params = append(contact.Params, sip.Param{Name: "+sip.instance", Value: "<urn:gsma:imei:" + d[:8] + "-" + d[8:14] + "-" + d[14:] + ">", HasValue: true, Quoted: true}, sip.Param{Name: "+g.3gpp.smsip"})
		}
		m.Expires = seconds
		if seconds > 0 {
			m.Add("Supported", "auth-gsm,auth-umts,reg-tmsi")
		}
	}
	m.Contact = []sip.Address{contact}
	return m
}

// register sends REGISTERs until one is taken or refused, and gives the Kc that
// the card has made.
func (c *Cell) register(ctx context.Context, p *Phone, seconds int) (*sip.Message, secret.Key64, error) {
	return c.proven(ctx, p, func() *sip.Message { return c.registration(p, seconds) })
}

// proven sends a request, and again with what the card says to a challenge.
func (c *Cell) proven(ctx context.Context, p *Phone, build func() *sip.Message) (m *sip.Message, kc secret.Key64, err error) {
	authorization := ""
	for range maxAsked {
		r := build()
		if authorization != "" {
			r.Add("Authorization", authorization)
		}
		if m, err = c.ask(ctx, r); err != nil {
			return nil, kc, fmt.Errorf("bts: %s: %w", r.Method, err)
		}
		challenge := m.Get("WWW-Authenticate")
		if m.Status != 401 || challenge == "" {
			return m, kc, nil
		}
		if authorization, kc, err = c.answer(p, r, challenge); err != nil {
			return nil, kc, err
		}
	}
	return nil, kc, &Rejected{Status: 401, Reason: "challenged again and again", Cause: 4}
}

// answer has the card answer a challenge, and gives the Authorization.
func (c *Cell) answer(p *Phone, r *sip.Message, challenge string) (string, secret.Key64, error) {
	ch, err := digest.ParseChallenge(challenge)
	if err != nil {
		return "", secret.Key64{}, fmt.Errorf("bts: the challenge %q: %w", challenge, err)
	}
	rand, autn, err := digest.ReadNonce(ch.Nonce)
	if err != nil {
		return "", secret.Key64{}, fmt.Errorf("bts: the challenge %q: %w", challenge, err)
	}
	p.card.Lock()
	defer p.card.Unlock()
	if c.o.Dialect == YateBTS {
		return p.yate(ch, rand, autn)
	}
	sres, kc := p.o.Card.AuthenticateGSM(rand)
	text := hex.EncodeToString(sres[:])
	if c.o.Realm != "" {
		// Its quality of protection is said and not used: the form of RFC 2069.
		a := digest.Credentials{Username: p.user(), Realm: c.o.Realm, Nonce: ch.Nonce, URI: "sip:" + c.o.Realm}
		response := a.For(string(r.Method), nil).Compute(digest.MD5.HA1(a.Username, a.Realm, text))
		return fmt.Sprintf(`Digest realm="%s", username="%s", nonce="%s", uri="%s", response="%s", algorithm=MD5, qop="auth" `, a.Realm, a.Username, a.Nonce, a.URI, response), kc, nil
	}
	if c.o.Dialect == OpenBTSOld {
		short := strings.TrimLeft(text[:7], "0") + text[7:]
		return "Digest, nonce=" + ch.Nonce + ", uri=" + p.o.IMSI.Digits() + ", response=" + short, kc, nil
	}
	return fmt.Sprintf(`Digest nonce="%s", uri="%s", response="%s"`, ch.Nonce, p.o.IMSI.Digits(), text), kc, nil
}

// yate answers as YateBTS does, which reads no other algorithm than AKAv1-MD5, and
// that only at the end of the field.
func (p *Phone) yate(ch digest.Challenge, rand [16]byte, autn *[16]byte) (string, secret.Key64, error) {
	if ch.Algorithm != digest.AKAv1MD5 {
		return "", secret.Key64{}, fmt.Errorf("bts: YateBTS was asked for %v", ch.Algorithm)
	}
	head := "Digest "
	if ch.Realm != "" {
		head += `realm="` + ch.Realm + `", `
	}
	head += fmt.Sprintf(`uri="%s", nonce="%s", `, p.o.IMSI.Digits(), ch.Nonce)
	u, ok := p.o.Card.(usim)
	if autn == nil || !ok {
		sres, kc := p.o.Card.AuthenticateGSM(rand)
		return head + fmt.Sprintf(`response="%x", algorithm=AKAv1-MD5`, [4]byte(sres)), kc, nil
	}
	a, err := u.Authenticate(rand, *autn)
	var synch *aka.SynchFailure
	switch {
	case errors.As(err, &synch):
		return head + fmt.Sprintf(`auts="%s", algorithm=AKAv1-MD5`, digest.WriteAUTS(synch.AUTS)), secret.Key64{}, nil
	case err != nil:
		return "", secret.Key64{}, fmt.Errorf("bts: the card: %w", err)
	}
	return head + fmt.Sprintf(`response="%x", algorithm=AKAv1-MD5`, a.RES.Bytes()), aka.C3(a.CK, a.IK), nil
}

// welcomed checks what comes with a 200 as the cell's program does.
func (c *Cell) welcomed(p *Phone, m *sip.Message, kc secret.Key64) error {
	if m.Status/100 != 2 {
		return &Rejected{Status: m.Status, Reason: m.Reason, Cause: rejectCause(m)}
	}
	given := m.Get("P-GSM-Kc")
	if i, err := digest.ParseInfo(m.Get("Authentication-Info")); err == nil && given == "" {
		given = i.CNonce
	}
	if b, err := hex.DecodeString(given); err == nil && len(b) == len(kc) && !kc.Equal(secret.Key64(b)) {
		c.count(func(s *Stats) { s.WrongKc++ })
		return errors.New("bts: the gateway's Kc is not the card's: the phone would not be understood")
	}
	if c.o.Dialect != YateBTS {
		return nil
	}
	// YateBTS takes what it cannot read here for a failure.
	v := m.Get("P-Associated-URI")
	if !strings.Contains(v, `imsi="`+p.o.IMSI.Digits()+`"`) || !strings.Contains(v, "+"+number(v)) || number(v) == "" {
		return fmt.Errorf("bts: YateBTS finds no number and no IMSI in P-Associated-URI %q", v)
	}
	return nil
}
