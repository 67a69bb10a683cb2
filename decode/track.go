package decode

import (
	"net/netip"
	"slices"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/decode/internal/recent"
	"campanile.network/decode/observer"
)

// maxLegs is how many UE-associated connections are remembered.
const maxLegs = 65536

// tracker knows which S1AP messages are of one phone: by the ids that eNB and
// MME gave it (TS 36.413 §9.2.3.3, §9.2.3.4). An eNB's id holds in its
// association, an MME's in all of that MME's, so a handover is followed.
type tracker struct {
	watch  *observer.Observer
	byENB  *recent.Map[enbKey, *leg]
	byMME  *recent.Map[mmeKey, *leg]
	alone  *observer.Phone // of NAS messages without S1AP
	hidden int             // messages that stayed ciphered

	association int
	src, dst    netip.AddrPort
	mmes        *recent.Map[int, netip.Addr] // by association
}

type enbKey struct {
	association int
	id          s1ap.ENBUES1APID
}

type mmeKey struct {
	mme netip.Addr
	id  s1ap.MMEUES1APID
}

// leg is a UE-associated logical S1-connection.
type leg struct {
	phone *observer.Phone
	enb   *s1ap.ENBUES1APID
	mme   *s1ap.MMEUES1APID
}

func (l *leg) is(id uint32) bool {
	return l.enb != nil && uint32(*l.enb) == id || l.mme != nil && uint32(*l.mme) == id
}

func newTracker(w *observer.Observer) *tracker {
	return &tracker{watch: w, byENB: recent.New[enbKey, *leg](maxLegs), byMME: recent.New[mmeKey, *leg](maxLegs),
		mmes: recent.New[int, netip.Addr](maxLegs), alone: w.NewPhone(id.PLMN{})}
}

// at says where the next message is: its association and the two ends.
func (t *tracker) at(association int, src, dst netip.AddrPort) {
	t.association, t.src, t.dst = association, src, dst
}

// mme is the address of the association's MME, as far as messages have shown.
func (t *tracker) mme(m s1ap.Message) netip.Addr {
	switch m.(type) {
	case *s1ap.S1SetupRequest, *s1ap.InitialUEMessage, *s1ap.UplinkNASTransport, *s1ap.PathSwitchRequest, *s1ap.HandoverRequestAcknowledge:
		t.mmes.Set(t.association, t.dst.Addr())
	case *s1ap.S1SetupResponse, *s1ap.DownlinkNASTransport, *s1ap.InitialContextSetupRequest, *s1ap.HandoverRequest:
		t.mmes.Set(t.association, t.src.Addr())
	}
	a, _ := t.mmes.Get(t.association)
	return a
}

// leg is the connection that a message belongs to, nil if to none. fault is what
// was wrong with the message, nil if nothing.
func (t *tracker) leg(m s1ap.Message, fault *s1ap.SyntaxError) *leg {
	mmeID, enbID := s1ap.UEIDs(m)
	if unread(fault, mmeID, s1ap.IDMMEUES1APID) {
		mmeID = nil
	}
	if unread(fault, enbID, s1ap.IDENBUES1APID) {
		enbID = nil
	}
	mme := t.mme(m)
	if mmeID == nil && enbID == nil {
		return nil
	}
	var l *leg
	if first, ok := m.(*s1ap.InitialUEMessage); ok {
		l = &leg{phone: t.begins(first)}
	}
	if l == nil && enbID != nil {
		l, _ = t.byENB.Get(enbKey{t.association, *enbID})
	}
	if l == nil && mmeID != nil {
		l, _ = t.byMME.Get(mmeKey{mme, *mmeID})
	}
	if l == nil {
		l = &leg{phone: t.watch.NewPhone(id.PLMN{})}
	}
	if enbID != nil {
		l.enb = new(*enbID)
		t.byENB.Set(enbKey{t.association, *enbID}, l)
	}
	if mmeID != nil {
		l.mme = new(*mmeID)
		t.byMME.Set(mmeKey{mme, *mmeID}, l)
	}
	return l
}

// unread says of a mandatory UE id that it was not in the message or may not have
// been: it is 0 then, which may be another phone's.
func unread[T ~uint32](fault *s1ap.SyntaxError, v *T, ie s1ap.ProtocolIEID) bool {
	if fault == nil || v == nil || *v != 0 {
		return false
	}
	return fault.Transfer != nil || slices.ContainsFunc(fault.IEs, func(d s1ap.IEDiagnostic) bool {
		return d.ID == ie && d.Error == s1ap.Missing
	})
}

// begins is the phone of an Initial UE Message.
func (t *tracker) begins(m *s1ap.InitialUEMessage) *observer.Phone {
	var p *observer.Phone
	if m.STMSI != nil {
		p = t.watch.Find(m.STMSI.ID())
	}
	plmn, _ := m.TAI.PLMNidentity.ID() // a broken one is no network
	if p == nil {
		p = t.watch.NewPhone(plmn)
	}
	p.PLMN = plmn
	return p
}

// hear takes a NAS message of a phone and keeps who it turned out to be.
func (t *tracker) hear(p **observer.Phone, dir eps.Direction, b []byte) observer.Heard {
	h, who := t.watch.Hear(*p, dir, b)
	*p = who
	if h.Plain == nil && h.Err == nil {
		t.hidden++
	}
	return h
}
