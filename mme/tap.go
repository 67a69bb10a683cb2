package mme

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/trace"
)

// Trace begins to record the signalling of a phone, which need not be known yet.
// The caller has made sure that he may, and ends it with Recording.Close.
func (m *MME) Trace(imsi id.IMSI, l trace.Limits) (*trace.Recording, error) {
	if m.o.Trace == nil {
		return nil, errors.New("mme: Options.Trace is nil")
	}
	r, err := m.o.Trace.Start(imsi, l)
	if err != nil {
		return nil, err
	}
	m.known.mu.Lock()
	defer m.known.mu.Unlock()
	if u := m.known.byIMSI[imsi]; u != nil {
		for _, p := range u.pdns {
			s := p.session.State()
			m.o.Trace.KnowS11(imsi, s.Local, s.Remote)
		}
	}
	return r, nil
}

// tapUp tells of the message that the eNB is being heard with; it is of a phone's
// connection.
func (e *enb) tapUp(l *leg) {
	if e.m.o.Trace.Active() && e.said != nil {
		l.line.Hear(e.m.o.Trace, trace.Event{Kind: trace.S1AP, Up: true, From: e.a.RemoteAddr(), To: e.a.LocalAddr(), Data: e.said})
	}
}

// tapDown tells of a message to the eNB, of whose phone it may be.
func (e *enb) tapDown(m s1ap.Message, b []byte) {
	t := e.m.o.Trace
	if !t.Active() {
		return
	}
	v := trace.Event{Kind: trace.S1AP, From: e.a.LocalAddr(), To: e.a.RemoteAddr(), Data: b}
	if p, ok := m.(*s1ap.Paging); ok {
		if p.UEPagingID.STMSI != nil {
			if u := e.m.known.find(p.UEPagingID.STMSI.ID().TMSI); u != nil {
				t.Say(u.imsi, v)
			}
		}
		return
	}
	mmeID, enbID := s1ap.UEIDs(m)
	if c, ok := m.(*s1ap.UEContextReleaseCommand); ok && c.UES1APIDs.UES1APIDPair != nil {
		mmeID, enbID = &c.UES1APIDs.UES1APIDPair.MMEUES1APID, &c.UES1APIDs.UES1APIDPair.ENBUES1APID
	}
	var legs []*leg
	switch {
	case mmeID != nil:
		legs = e.m.legs.named(e, new(id.MMEUEID(*mmeID)), nil)
	case enbID != nil:
		legs = e.m.legs.named(e, nil, new(id.ENBUEID(*enbID)))
	}
	if len(legs) != 1 {
		return
	}
	if open, has := keyless(m); has {
		if b, err := s1ap.Append(nil, open); err == nil {
			v.Data, v.Text = b, "the key in this message is shown as zeros"
		} else {
			return
		}
	}
	legs[0].line.Hear(t, v)
}

// keyless is a message without the keys that it has for the eNB, if it has any.
func keyless(m s1ap.Message) (s1ap.Message, bool) {
	switch m := m.(type) {
	case *s1ap.InitialContextSetupRequest:
		c := *m
		c.SecurityKey = s1ap.SecurityKey{}
		return &c, true
	case *s1ap.UEContextModificationRequest:
		if m.SecurityKey == nil {
			return m, false
		}
		c := *m
		c.SecurityKey = new(s1ap.SecurityKey{})
		return &c, true
	case *s1ap.HandoverRequest:
		c := *m
		c.SecurityContext.NextHopParameter = s1ap.SecurityKey{}
		return &c, true
	case *s1ap.PathSwitchRequestAcknowledge:
		c := *m
		c.SecurityContext.NextHopParameter = s1ap.SecurityKey{}
		return &c, true
	}
	return m, false
}

// tapWho tells whose connection a leg is, as far as this goroutine knows.
func (c *conn) tapWho(l *leg) {
	if l != nil && c.m.o.Trace.Active() {
		l.line.Is(c.m.o.Trace, c.ue.imsi)
	}
}

// tapNAS tells of a NAS message without its protection, and what that was worth.
func (c *conn) tapNAS(l *leg, up bool, plain []byte, protected string) {
	t := c.m.o.Trace
	if l == nil || !t.Active() {
		return
	}
	e := trace.Event{Kind: trace.NAS, Up: up, Data: plain, Text: protected}
	if t.Keys(c.ue.imsi) {
		e.Keys = c.ue.keysInWords()
	}
	l.line.Hear(t, e)
}

// tapDrop tells that a NAS message had no effect.
func (c *conn) tapDrop(in *inbound, d drop, err error) {
	if in.leg == nil || !c.m.o.Trace.Active() {
		return
	}
	text := fmt.Sprintf("NAS message of %d octets dropped: %v", len(in.raw), d)
	if err != nil {
		text += ": " + err.Error()
	}
	in.leg.line.Hear(c.m.o.Trace, trace.Event{Kind: trace.Note, Text: text})
}

// headerName is what a security header says of a message that is sent.
func headerName(h nassec.HeaderType) string {
	if h.Ciphered() {
		return "ciphered"
	}
	return "integrity protected"
}

// worth is what a message's protection was, in words.
func (in *inbound) worth() string {
	return map[protection]string{unprotected: "not protected", failed: "its code does not fit", verified: fmt.Sprintf("verified, COUNT %d", in.count)}[in.sec]
}

// keysInWords gives the phone's keys to who has asked for them: what campanile
// decode needs to decipher.
func (u *ue) keysInWords() (out string) {
	u.secMu.Lock()
	defer u.secMu.Unlock()
	for _, k := range []*keyset{u.sec, u.next} {
		if k != nil {
			s := k.use().State()
			out = fmt.Sprintf("K_ASME %s, %v, %v, uplink COUNT %d, downlink COUNT %d", hex.EncodeToString(s.KASME[:]), s.EEA, s.EIA, s.UL, s.DL)
		}
	}
	return out
}

// tapDone tells that a procedure has ended.
func (m *MME) tapDone(u *ue, d ProcedureDone) {
	if !m.o.Trace.Active() {
		return
	}
	imsi := d.UE.IMSI
	if imsi.IsZero() {
		imsi = u.imsi
	}
	text := fmt.Sprintf("%s done in %v", d.Procedure, d.Duration.Round(time.Microsecond))
	if d.Err != "" {
		text = fmt.Sprintf("%s failed after %v: %s: %s", d.Procedure, d.Duration.Round(time.Microsecond), d.Cause, d.Err)
	}
	m.o.Trace.Say(imsi, trace.Event{Kind: trace.Procedure, Text: text})
}
