package observer

import (
	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
)

// Verdict is what is found of a message's authentication code.
type Verdict uint8

// Verdicts.
const (
	NotProtected Verdict = iota // there is no code
	NoKey                       // no key of this phone is known
	Verified                    // the code is right
	Repeated                    // right, and its COUNT was heard before: sent again, relayed, or replayed
	Wrong                       // right under no key that is known of this phone
)

// String says it in words.
func (v Verdict) String() string {
	return [...]string{"not protected", "not checked: no key", "verified", "verified, heard before", "wrong"}[v]
}

// Heard is a NAS message as the observer understood it.
type Heard struct {
	Header eps.SecurityHeader
	MAC    []byte // as it came: 4 octets, 2 of a SERVICE REQUEST, none without protection
	Seq    uint8
	Verdict
	Count    nassec.Count // of Verified and Repeated
	EIA      nassec.EIA   // of Verified and Repeated
	EEA      nassec.EEA   // when Ciphered
	HasEEA   bool         // EEA is known
	Ciphered bool         // it was sent under a header that says so
	Plain    []byte       // the message inside; nil when it stays hidden
	Message  eps.Message  // Plain parsed; nil when Err says why not or it stays hidden
	Err      error
}

// Hear takes the next NAS message of a phone. It returns the phone too: another
// one than p, when the message shows that p is somebody known already.
func (w *Observer) Hear(p *Phone, dir eps.Direction, b []byte) (Heard, *Phone) {
	var h Heard
	if h.Header, h.Err = eps.HeaderOf(b); h.Err != nil {
		return h, p
	}
	switch {
	case h.Header == eps.HeaderPlain:
		h.Plain = b
	case h.Header >= eps.HeaderServiceRequest:
		p = w.serviceRequest(&h, p, b)
	default:
		p = w.protected(&h, p, dir, b)
	}
	if h.Plain == nil || h.Err != nil {
		return h, p
	}
	h.Message, h.Err = eps.Parse(dir, h.Plain)
	if h.Err == nil {
		p = w.learn(&h, p)
	}
	return h, p
}

func (w *Observer) serviceRequest(h *Heard, p *Phone, b []byte) *Phone {
	h.Plain = b
	r, err := nassec.ParseServiceRequest(b)
	if err != nil {
		return p // Parse says why
	}
	h.MAC, h.Seq, h.Verdict = r.MAC[:], r.Sequence, NoKey
	if !p.Secure() {
		return p
	}
	h.Verdict = Wrong
	if n, ok := p.now.verifyShort(r, b[:2]); ok {
		h.verified(p.now, nassec.Uplink, n)
		p.connected, p.hasKeNB = n, true
	}
	return p
}

// introduced is the phone whose GUTI a request that is not ciphered names, p
// if nobody is known by it.
func (w *Observer) introduced(p *Phone, dir eps.Direction, plain []byte) *Phone {
	var who eps.EPSMobileIdentity
	switch m, _ := eps.Parse(dir, plain); m := m.(type) {
	case *eps.AttachRequest:
		who = m.Identity
	case *eps.TrackingAreaUpdateRequest:
		who = m.OldGUTI
	}
	if g, ok := who.GUTI(); ok {
		if q := w.Find(g.STMSI()); q != nil {
			return q
		}
	}
	return p
}

// verified notes that the code is right under c.
func (h *Heard) verified(c *context, d nassec.Direction, n nassec.Count) {
	h.Verdict, h.Count, h.EIA = Verified, n, c.eia
	if c.use(d, n) {
		h.Verdict = Repeated
	}
}

func (w *Observer) protected(h *Heard, p *Phone, dir eps.Direction, b []byte) *Phone {
	e, err := eps.ParseProtected(b)
	if err != nil {
		h.Err = err
		return p
	}
	n := nassec.Header{Type: nassec.HeaderType(e.Header), MAC: e.MAC, Sequence: e.Sequence, Payload: e.Payload}
	h.MAC, h.Seq, h.Ciphered = e.MAC[:], e.Sequence, e.Header.Ciphered()
	d, body := direction(dir), b[5:]
	if e.Header == eps.HeaderIntegrityNew && dir == eps.Downlink {
		h.Plain = e.Payload
		w.command(h, p, n, body)
		return p
	}
	if !h.Ciphered && !p.Secure() {
		p = w.introduced(p, dir, e.Payload)
	}
	p, c := w.check(h, p, d, n, body)
	switch {
	case !h.Ciphered:
		h.Plain = e.Payload
	case c != nil && c.known && h.Verdict != Wrong:
		h.Plain = c.decipher(d, h.Count, e.Payload)
		h.EEA, h.HasEEA = c.eea, !c.noEEA
	case c != nil && !c.noEEA:
		h.EEA, h.HasEEA = c.eea, true
		if c.eea == nassec.EEA0 {
			h.Plain = e.Payload
		}
	default: // null ciphering is told by a payload that reads
		if _, err := eps.Parse(dir, e.Payload); err == nil {
			h.Plain = e.Payload
			h.EEA, h.HasEEA = nassec.EEA0, true
		}
	}
	return p
}

// check verifies the code under the contexts the message may belong to, and
// returns the one it does, or without a key the one with its algorithms.
func (w *Observer) check(h *Heard, p *Phone, d nassec.Direction, n nassec.Header, body []byte) (*Phone, *context) {
	h.Verdict = NoKey
	for _, c := range []*context{p.now, p.before} {
		if c == nil || !c.known {
			continue
		}
		h.Verdict = Wrong
		if count, ok := c.verify(d, n, body, 0); ok {
			h.verified(c, d, count)
			if c == p.now && d == nassec.Uplink {
				p.before = nil // the phone has taken the new context into use
			}
			return p, c
		}
	}
	if q, c := w.search(h, p, d, n, body); c != nil {
		return q, c
	}
	return p, p.now
}

// search looks for the context of a message that fits none of its phone: under
// keys that were given or derived while the Security Mode Command was not
// seen, and in the contexts of phones whose new S-TMSI was not seen.
func (w *Observer) search(h *Heard, p *Phone, d nassec.Direction, n nassec.Header, body []byte) (*Phone, *context) {
	if p.searches == maxSearches {
		return p, nil
	}
	if c, count, tried := w.fit(p, d, n, body); c != nil {
		h.verified(c, d, count)
		w.adopt(p, c)
		return p, c
	} else if tried {
		h.Verdict = Wrong
	}
	p.searches++
	if p.Secure() {
		return p, nil
	}
	for q := range w.secure.Newest() {
		if q == p || !q.Secure() {
			continue
		}
		if count, ok := q.now.verify(d, n, body, 0); ok {
			h.verified(q.now, d, count)
			return q, q.now
		}
	}
	return p, nil
}

// fit is the context, under a key that p may use, in which the code is right;
// tried says that there were keys.
func (w *Observer) fit(p *Phone, d nassec.Direction, n nassec.Header, body []byte) (c *context, count nassec.Count, tried bool) {
	eias := []nassec.EIA{nassec.EIA2, nassec.EIA1, nassec.EIA3}
	if w.o.EIA != nil {
		eias = []nassec.EIA{*w.o.EIA}
	}
	for _, k := range w.candidates(p, anyKSI) {
		tried = true
		for _, eia := range eias {
			c, err := newContext(k, nassec.EEA0, eia)
			if err != nil {
				continue
			}
			c.next = [2]nassec.Count{nassec.Uplink: w.o.UL, nassec.Downlink: w.o.DL}
			count, ok := c.verify(d, n, body, maxOverflow)
			if !ok {
				continue
			}
			c.noEEA = true
			if w.o.EEA != nil && c.cipher(*w.o.EEA) != nil {
				c.noEEA = true
			}
			return c, count, true
		}
	}
	return nil, 0, tried
}

// adopt makes c the context of p.
func (w *Observer) adopt(p *Phone, c *context) {
	p.before, p.now = p.now, c
	w.secure.Set(p, struct{}{})
}

// command takes a Security Mode Command: the algorithms it brings, and the key
// under which its code is right (TS 24.301 §5.4.3.2).
func (w *Observer) command(h *Heard, p *Phone, n nassec.Header, body []byte) {
	m, err := eps.Parse(eps.Downlink, h.Plain)
	smc, ok := m.(*eps.SecurityModeCommand)
	if err != nil || !ok {
		h.Verdict = NoKey
		return
	}
	h.Verdict = NoKey
	eea, eia := nassec.EEA(smc.Algorithms.Ciphering), nassec.EIA(smc.Algorithms.Integrity)
	for _, k := range w.candidates(p, smc.KSI.Value()) {
		c, err := newContext(k, eea, eia)
		if err != nil {
			continue
		}
		if p.now != nil && p.now.known && p.now.key.kasme.Equal(k.kasme) {
			c.next, c.heard = p.now.next, p.now.heard // the same key: the counts go on
		}
		h.Verdict = Wrong
		if count, ok := c.verify(nassec.Downlink, n, body, 1); ok {
			h.verified(c, nassec.Downlink, count)
			w.adopt(p, c)
			return
		}
	}
	if h.Verdict == NoKey { // the algorithms are something, too
		p.before, p.now = p.now, &context{eea: eea, eia: eia}
	}
}

// learn takes from a message what it says of the phone.
func (w *Observer) learn(h *Heard, p *Phone) *Phone {
	right := h.Verdict == Verified || h.Verdict == Repeated
	switch m := h.Message.(type) {
	case *eps.AttachRequest:
		p = w.identified(h, p, m.Identity)
	case *eps.TrackingAreaUpdateRequest:
		p = w.identified(h, p, m.OldGUTI)
	case *eps.IdentityResponse:
		if i, ok := m.Identity.IMSI(); ok {
			p = w.named(p, i)
		}
	case *eps.AuthenticationRequest:
		w.challenge(p, m)
	case *eps.SecurityModeComplete:
		if right {
			p.connected, p.hasKeNB = h.Count, true
		}
	case *eps.SecurityModeReject:
		if p.before != nil {
			p.now, p.before = p.before, nil
		}
	case *eps.AttachAccept:
		w.allocated(p, m.GUTI)
	case *eps.TrackingAreaUpdateAccept:
		w.allocated(p, m.GUTI)
	case *eps.GUTIReallocationCommand:
		w.allocated(p, eps.Some(m.GUTI))
	}
	return p
}

// identified takes an attach or tracking area update request.
func (w *Observer) identified(h *Heard, p *Phone, who eps.EPSMobileIdentity) *Phone {
	if h.Verdict == Verified || h.Verdict == Repeated {
		p.connected, p.hasKeNB = h.Count, true
	}
	if i, ok := who.IMSI(); ok {
		return w.named(p, i)
	}
	return p
}

// named is the phone with that IMSI: p, unless one was known before and p is
// still nobody.
func (w *Observer) named(p *Phone, i id.IMSI) *Phone {
	if known, ok := w.byIMSI.Get(i); ok && known != p && !p.Secure() {
		if !p.PLMN.IsZero() {
			known.PLMN = p.PLMN
		}
		return known
	}
	p.IMSI = i
	w.byIMSI.Set(i, p)
	return p
}

// allocated notes a phone's new S-TMSI.
func (w *Observer) allocated(p *Phone, who eps.Opt[eps.EPSMobileIdentity]) {
	if g, ok := who.V.GUTI(); ok && who.OK {
		w.byTMSI.Set(g.STMSI(), p)
	}
}

// Fits reports whether the code of a protected message is right for that
// direction under what is known of p; no COUNT is used.
func (w *Observer) Fits(p *Phone, dir eps.Direction, b []byte) bool {
	e, err := eps.ParseProtected(b)
	if err != nil {
		return false
	}
	n := nassec.Header{Type: nassec.HeaderType(e.Header), MAC: e.MAC, Sequence: e.Sequence, Payload: e.Payload}
	if p.Secure() {
		_, ok := p.now.verify(direction(dir), n, b[5:], maxOverflow)
		return ok
	}
	c, _, _ := w.fit(p, direction(dir), n, b[5:])
	return c != nil
}
