package mme

import (
	"errors"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
)

// protection is what the security header of a NAS message was worth.
type protection uint8

const (
	unprotected protection = iota
	failed                 // protected with a key this MME does not have, or wrongly
	verified
)

// open takes the protection off a NAS message and decodes it. False: the
// message is dropped and counted, or answered with a status.
func (c *conn) open(in *inbound, raw []byte) bool {
	in.raw = raw
	t, err := nassec.TypeOf(raw)
	switch {
	case err != nil:
		c.drop(in, dropNASHeader, err)
		return false
	case t == nassec.Plain:
		in.plain = raw
	case t == nassec.IntegrityNewContext:
		c.drop(in, dropNASHeader, errors.New("only a network sends a Security Mode Command"))
		return false
	default:
		if !c.unprotect(in, t) {
			return false
		}
	}
	c.tapNAS(in.leg, true, in.plain, in.worth())
	m, err := eps.Parse(eps.Uplink, in.plain)
	if err != nil {
		c.malformed(in, err)
		return false
	}
	in.nas = m
	return in.sec == verified || c.mayBePlain(in)
}

// unprotect checks a protected message. One that fails is still read if it is
// not ciphered: the phone may have lost its context or belong to another MME
// (TS 24.301 §4.4.4.3).
func (c *conn) unprotect(in *inbound, t nassec.HeaderType) bool {
	err := c.ue.each(true, func(k *nassec.Context) error {
		if t >= nassec.ServiceRequestHeader {
			count, err := k.AcceptServiceRequest(in.raw)
			in.plain, in.count = in.raw, count
			return err
		}
		r, err := k.Unprotect(nil, in.raw)
		if err == nil {
			in.plain, in.count = r.Plain, r.Count
		}
		return err
	})
	if err == nil {
		in.sec = verified
		return true
	}
	in.sec = failed
	reason := dropNASMAC
	switch {
	case errors.Is(err, nassec.ErrReplay):
		reason = dropNASReplay
	case errors.Is(err, errNoContext):
		reason = dropNASNoContext
	case !errors.Is(err, nassec.ErrMAC):
		reason = dropNASHeader
	}
	if c.secured || reason == dropNASHeader {
		c.drop(in, reason, err)
		return false
	}
	if t >= nassec.ServiceRequestHeader {
		in.plain = in.raw
		return true
	}
	h, err := nassec.ParseHeader(in.raw)
	if err != nil || t.Ciphered() {
		c.drop(in, reason, err)
		return false
	}
	in.plain = h.Payload
	return true
}

// mayBePlain says whether a message is processed without a fitting code: before
// secure exchange is established these only (TS 24.301 §4.4.4.3), after it none.
func (c *conn) mayBePlain(in *inbound) bool {
	ok := false
	switch m := in.nas.(type) {
	case *eps.AttachRequest, *eps.DetachRequest, *eps.TrackingAreaUpdateRequest, *eps.AuthenticationResponse,
		*eps.AuthenticationFailure, *eps.SecurityModeReject, *eps.DetachAccept:
		ok = true
	case *eps.ServiceRequest, *eps.ExtendedServiceRequest, *eps.ControlPlaneServiceRequest:
		ok = true // answered with SERVICE REJECT #9
	case *eps.IdentityResponse:
		ok = m.Identity.Kind() == eps.KindIMSI
	}
	if ok && !c.secured {
		return true
	}
	c.drop(in, in.sec.reason(), nil)
	return false
}

// reason is the name under which a message that is not verified is dropped.
func (p protection) reason() drop {
	if p == failed {
		return dropNASMAC
	}
	return dropNASUnprotected
}

func (c *conn) drop(in *inbound, d drop, err error) {
	c.m.count.drop(d)
	c.tapDrop(in, d, err)
	c.m.log.Debug("NAS message dropped", "reason", d.String(), "octets", len(in.raw), "err", err)
}

// malformed answers a message that could not be decoded (TS 24.301 §7.4, §7.5).
// An unprotected one is not worth an answer once exchange is secure.
func (c *conn) malformed(in *inbound, err error) {
	c.drop(in, dropNASSyntax, err)
	var e *eps.Error
	if c.secured && in.sec != verified || !errors.As(err, &e) {
		return
	}
	answer := e.Status()
	if c.proc == nil && e.Cause != 0 { // TS 24.301 §5.5.1.2.7 b, §5.5.3.2.7 b, §5.6.1.7 b
		switch e.Message {
		case eps.TypeAttachRequest:
			answer = &eps.AttachReject{Cause: e.Cause}
		case eps.TypeTrackingAreaUpdateRequest:
			answer = &eps.TrackingAreaUpdateReject{Cause: e.Cause}
		case eps.TypeServiceRequest, eps.TypeExtendedServiceRequest:
			answer = &eps.ServiceReject{Cause: e.Cause}
		}
	}
	if answer != nil && c.leg != nil {
		_ = c.send(answer)
	}
}

// send sends a NAS message, protected once exchange is secure.
func (c *conn) send(m eps.Message) error {
	b, err := c.encode(m)
	if err != nil {
		return err
	}
	return c.transport(b)
}

// mention sends a NAS message that answers nothing and rests on nothing but its
// COUNT, which is reserved mostly.
func (c *conn) mention(m eps.Message) error {
	c.ue.secMu.Lock()
	short := c.ue.sec == nil || c.ue.sec.short()
	c.ue.secMu.Unlock()
	if short || !c.secured {
		return c.send(m)
	}
	plain, err := eps.Append(make([]byte, 0, 128), m)
	if err != nil {
		return err
	}
	b, err := c.seal(c.ue.sec, nassec.IntegrityCiphered, plain)
	if err != nil {
		return err
	}
	return c.transport(b)
}

// encode makes a NAS PDU, protected once exchange is secure.
func (c *conn) encode(m eps.Message) ([]byte, error) {
	plain, err := eps.Append(make([]byte, 0, 128), m)
	if err != nil || !c.secured {
		c.tapNAS(c.leg, false, plain, "not protected")
		return plain, err
	}
	return c.protect(c.ue.sec, nassec.IntegrityCiphered, plain)
}

// protect makes a protected NAS message, once what it rests on is on disk.
func (c *conn) protect(k *keyset, h nassec.HeaderType, plain []byte) ([]byte, error) {
	if err := c.commitNAS(); err != nil {
		return nil, err
	}
	return c.seal(k, h, plain)
}

// seal makes a protected NAS message.
func (c *conn) seal(k *keyset, h nassec.HeaderType, plain []byte) ([]byte, error) {
	c.tapNAS(c.leg, false, plain, headerName(h))
	c.spoke = true
	c.ue.secMu.Lock()
	defer c.ue.secMu.Unlock()
	return k.use().Protect(make([]byte, 0, len(plain)+8), h, plain)
}

// transport is Downlink NAS Transport (TS 36.413 §8.6.2.2).
func (c *conn) transport(pdu []byte) error {
	if c.leg == nil {
		return &lost{"no S1 connection"}
	}
	copy(c.said[1:], c.said[:])
	c.said[0] = pdu
	return c.toENB(&s1ap.DownlinkNASTransport{MMEUES1APID: s1ap.MMEUES1APID(c.leg.mmeID), ENBUES1APID: s1ap.ENBUES1APID(c.leg.enbID), NASPDU: pdu})
}

// toENB sends an S1AP message on the leg in use.
func (c *conn) toENB(m s1ap.Message) error {
	if c.leg == nil {
		return &lost{"no S1 connection"}
	}
	c.tapWho(c.leg)
	if err := c.leg.enb.send(c.leg.stream, m); err != nil {
		return &lost{"not sent to the eNB: " + err.Error()}
	}
	return nil
}

// located notes where the eNB says that the phone is.
func (l *leg) located(m *s1ap.UplinkNASTransport) {
	tai, err := m.TAI.ID()
	cell, err2 := m.EUTRANCGI.ID()
	if err == nil && err2 == nil {
		l.seen(tai, cell)
	}
}

// readable gives the plain NAS message inside an initial one without checking
// its protection: initial messages are not ciphered (TS 24.301 §4.4.5).
func readable(raw []byte) ([]byte, error) {
	t, err := nassec.TypeOf(raw)
	if err != nil || t == nassec.Plain || t >= nassec.ServiceRequestHeader {
		return raw, err
	}
	h, err := nassec.ParseHeader(raw)
	return h.Payload, err
}

// named gives the M-TMSI of this MME by which an initial message names its
// phone: in the message, or beside it in S1AP.
func (m *MME) named(nas eps.Message, s *s1ap.STMSI) (id.MTMSI, bool) {
	if n, ok := nas.(*eps.ExtendedServiceRequest); ok {
		if t, ok := n.MTMSI.TMSI(); ok {
			return t, s == nil || s.ID().Code == m.o.GUMMEI.Code
		}
	}
	identity := identityOf(nas)
	if g, ok := identity.GUTI(); ok {
		return g.TMSI, m.own(g.GUMMEI)
	}
	if s != nil && identity.Kind() == eps.NoIdentity {
		v := s.ID()
		return v.TMSI, v.Code == m.o.GUMMEI.Code
	}
	return 0, false
}

// identityOf is how an initial message names its phone.
func identityOf(nas eps.Message) (identity eps.EPSMobileIdentity) {
	switch n := nas.(type) {
	case *eps.AttachRequest:
		identity = n.Identity
		if n.AdditionalGUTI.OK { // the other is of another radio's network (TS 24.301 §5.5.1.2.2)
			identity = n.AdditionalGUTI.V
		}
	case *eps.TrackingAreaUpdateRequest:
		identity = n.OldGUTI
		if n.AdditionalGUTI.OK {
			identity = n.AdditionalGUTI.V
		}
	case *eps.DetachRequest:
		identity = n.Identity
	}
	return identity
}
