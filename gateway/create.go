package gateway

import (
	"net/netip"
	"slices"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/internal/logs"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// createRequest is what a Create Session Request says to us.
type createRequest struct {
	imsi    id.IMSI
	mme     gtpc.FTEID
	apn     id.APN
	pdn     uint8
	ebi     id.EBI
	qos     gtpc.QoS
	ambr    gtpc.AMBR
	pco     []byte
	private gtpc.Private
}

// parseCreate reads a Create Session Request (TS 29.274 §7.2.1). The F-TEID is
// first, so that a refusal finds its way.
func parseCreate(m *gtpc.Message) (r createRequest, err error) {
	if r.mme, err = gtpc.ParseFTEID(m.IE(ie.FullyQualifiedTEID, 0)); err != nil {
		return r, err
	}
	if !r.mme.Addr.Is4() {
		return r, gtpc.Refuse(gtpc.MandatoryIEIncorrect, ie.FullyQualifiedTEID, "S11 address %v is not IPv4", r.mme.Addr)
	}
	if e := m.IE(ie.IMSI, 0); e != nil { // else it has no SIM, or one that nobody answers for
		if r.imsi, err = gtpc.ParseIMSI(e); err != nil {
			return r, err
		}
	}
	if r.apn, err = gtpc.ParseAPN(m.IE(ie.AccessPointName, 0)); err != nil {
		return r, err
	}
	if e := m.IE(ie.RATType, 0); e == nil {
		return r, gtpc.Refuse(gtpc.MandatoryIEMissing, ie.RATType, "no RAT type")
	}
	r.pdn = gtpc.PDNIPv4
	if e := m.IE(ie.PDNType, 0); e != nil && len(e.Payload) > 0 {
		r.pdn = e.Payload[0] & 7
	}
	bearer := m.IE(ie.BearerContext, 0)
	if bearer == nil {
		return r, gtpc.Refuse(gtpc.MandatoryIEMissing, ie.BearerContext, "no bearer context to be created")
	}
	if r.ebi, err = gtpc.ParseEBI(gtpc.Find(bearer.ChildIEs, ie.EPSBearerID, 0)); err != nil {
		return r, err
	}
	if r.qos, err = gtpc.ParseQoS(gtpc.Find(bearer.ChildIEs, ie.BearerQoS, 0)); err != nil {
		return r, err
	}
	if e := m.IE(ie.AggregateMaximumBitRate, 0); e != nil {
		if r.ambr, err = gtpc.ParseAMBR(e); err != nil {
			return r, err
		}
	}
	if e := m.IE(ie.ProtocolConfigurationOptions, 0); e != nil {
		r.pco = e.Payload
	}
	if r.private, err = gtpc.ParsePrivate(m.IEs); err != nil {
		return r, gtpc.Refuse(gtpc.InvalidLength, ie.PrivateExtension, "%v", err)
	}
	return r, nil
}

// create answers a Create Session Request.
func (g *Gateway) create(m *gtpc.Message) (*gtpc.Message, error) {
	r, err := parseCreate(m)
	var s *session
	if err == nil {
		s, err = g.admit(m.TEID, r)
	}
	if err != nil {
		return gtpc.New(gtpc.CreateSessionResponse, r.mme.TEID, gtpc.CauseIE(err), g.ep.Recovery()), err
	}
	cause := gtpc.Accepted
	if r.pdn == gtpc.PDNIPv4v6 {
		cause = gtpc.NewPDNTypePreference
	}
	var pco *ie.IE
	if b := answerPCO(r.pco, g.o.DNS, g.o.MTU); b != nil {
		pco = ie.New(ie.ProtocolConfigurationOptions, 0, b)
	}
	g.log.Info("gateway: session created", logs.IMSI, s.ue.imsi, logs.Address, s.addr, "apn", s.apn, logs.TEID, s.teid, "settled", s.lease != nil)
	return gtpc.New(gtpc.CreateSessionResponse, s.ue.mme.TEID,
		ie.NewCause(uint8(cause), 0, 0, 0, nil),
		gtpc.FTEID{Interface: gtpc.IfS11SGW, TEID: s.ue.ctrl, Addr: g.ep.LocalAddr().Addr()}.IE(0),
		gtpc.FTEID{Interface: gtpc.IfS5PGWC, TEID: s.ue.ctrl, Addr: g.ep.LocalAddr().Addr()}.IE(1),
		gtpc.PAA(s.addr), ie.New(ie.APNRestriction, 0, []byte{0}), s.ambr.IE(), pco,
		gtpc.BearerContext(0, gtpc.EBI(s.ebi), gtpc.CauseIE(nil),
			gtpc.FTEID{Interface: gtpc.IfS1USGW, TEID: s.teid, Addr: g.o.S1U}.IE(0),
			gtpc.FTEID{Interface: gtpc.IfS5PGWU, TEID: s.teid, Addr: g.o.S1U}.IE(2),
			s.qos.IE(), gtpc.ChargingID(s.charge)),
		g.ep.Recovery()), nil
}

// admit opens a session; the caller holds mu.
func (g *Gateway) admit(ctrl id.TEID, r createRequest) (*session, error) {
	if r.pdn != gtpc.PDNIPv4 && r.pdn != gtpc.PDNIPv4v6 {
		return nil, gtpc.Refuse(gtpc.PDNTypeNotSupported, ie.PDNType, "PDN type %d: only IPv4 is served", r.pdn)
	}
	if len(g.o.APNs) > 0 && !slices.Contains(g.o.APNs, r.apn) {
		return nil, gtpc.Refuse(gtpc.UnknownAPN, ie.AccessPointName, "APN %v is not served", r.apn)
	}
	urgent := r.apn == g.o.Emergency && !r.apn.IsZero()
	if r.imsi.IsZero() && !urgent {
		return nil, gtpc.Refuse(gtpc.ConditionalIEMissing, ie.IMSI, "no IMSI, and APN %v is not for emergencies", r.apn)
	}
	l, err := g.newLease(r.private.Ticket)
	if err != nil && !urgent {
		return nil, err
	}
	u, err := g.context(ctrl, r)
	if err != nil {
		return nil, err
	}
	s := &session{ue: u, ebi: r.ebi, apn: r.apn, qos: r.qos, ambr: r.ambr, started: time.Now()}
	if err := g.equip(s); err != nil {
		if len(u.sessions) == 0 {
			g.ctrl.Free(u.ctrl)
		}
		return nil, err
	}
	g.lastID++
	g.charging++
	s.id, s.charge = datapath.SessionID(g.lastID), g.charging
	if err := g.put(s); err != nil {
		g.pool.release(s.addr)
		g.teids.Free(s.teid)
		return nil, gtpc.Refuse(gtpc.SystemFailure, 0, "data path: %v", err)
	}
	g.ues[u.ctrl] = u
	if !u.imsi.IsZero() {
		g.byIMSI[u.imsi] = u
	}
	u.sessions[s.ebi] = s
	g.sessions[s.id] = s
	g.take(s, l)
	return s, nil
}

// put makes the session known to the data path.
func (g *Gateway) put(s *session) error {
	if err := g.path.PutSession(datapath.Session{ID: s.id, IPv4: s.addr, Open: true}); err != nil {
		return err
	}
	err := g.path.PutBearer(datapath.Bearer{TEID: s.teid, Session: s.id, Default: true})
	if err != nil {
		g.path.RemoveSession(s.id)
	}
	return err
}

// context finds or makes the phone's context. Without a TEID the phone attaches
// anew and what it had is gone (TS 29.274 §7.2.1); with one it asks for another
// session, and one on the same bearer is replaced.
func (g *Gateway) context(ctrl id.TEID, r createRequest) (*ue, error) {
	if ctrl != 0 {
		u := g.ues[ctrl]
		if u == nil || u.imsi != r.imsi {
			return nil, gtpc.Refuse(gtpc.ContextNotFound, 0, "no phone has control TEID %v", ctrl)
		}
		if old := u.sessions[r.ebi]; old != nil {
			return nil, gtpc.Refuse(gtpc.RequestRejected, 0, "bearer %d is in use", r.ebi)
		}
		u.movesTo(r.mme)
		return u, nil
	}
	if old := g.byIMSI[r.imsi]; old != nil {
		for _, s := range old.sessions {
			g.end(s)
		}
	}
	t, ok := g.ctrl.Alloc()
	if !ok {
		return nil, gtpc.Refuse(gtpc.NoResources, 0, "%d phones are here", len(g.ues))
	}
	return &ue{imsi: r.imsi, ctrl: t, mme: r.mme, sessions: make(map[id.EBI]*session)}, nil
}

// equip gives a session address and TEID.
func (g *Gateway) equip(s *session) (err error) {
	var ok bool
	if s.addr, ok = g.pool.lease(); !ok {
		return gtpc.Refuse(gtpc.AllAddressesOccupied, 0, "all of %v is leased", g.o.Pool)
	}
	if s.teid, ok = g.teids.Alloc(); !ok {
		g.pool.release(s.addr)
		return gtpc.Refuse(gtpc.NoResources, 0, "%d sessions are open", len(g.sessions))
	}
	return nil
}

// peerRestarted ends every session of an MME that has forgotten them
// (TS 23.007 §14.1A.1).
func (g *Gateway) peerRestarted(peer netip.Addr, _ uint8) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := 0
	for _, s := range g.sessions {
		if !s.ended && s.ue.mme.Addr == peer {
			g.end(s)
			n++
		}
	}
	g.log.Warn("gateway: MME has restarted", logs.Peer, peer, "sessions", n)
}
