package gateway

import (
	"encoding/binary"
	"net/netip"
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
	peer    gtpc.FTEID // control plane of the MME or SGW
	pgw     gtpc.FTEID // that the MME names; zero: none
	user    *ie.IE     // user plane of the SGW, from one
	apn     id.APN
	pdn     uint8
	dual    bool // Dual Address Bearer Flag
	paa     gtpc.Address
	ebi     id.EBI
	qos     gtpc.QoS
	ambr    gtpc.AMBR
	pco     []byte
	place   []*ie.IE
	private gtpc.Private
}

// dualAddress is the Dual Address Bearer Flag in an Indication's first octet
// (TS 29.274 §8.12).
const dualAddress = 0x80

// parseCreate reads a Create Session Request (TS 29.274 §7.2.1). The F-TEID is
// first, so that a refusal finds its way.
func parseCreate(m *gtpc.Message) (r createRequest, err error) {
	if r.peer, err = gtpc.ParseFTEID(m.IE(ie.FullyQualifiedTEID, 0)); err != nil {
		return r, err
	}
	if k := r.peer.Interface; k != gtpc.IfS11MME && k != gtpc.IfS5SGWC {
		return r, gtpc.Refuse(gtpc.MandatoryIEIncorrect, ie.FullyQualifiedTEID, "sender's F-TEID is of interface type %d, neither an MME's nor an SGW's", k)
	}
	if e := m.IE(ie.FullyQualifiedTEID, 1); e != nil {
		if r.pgw, err = gtpc.ParseFTEID(e); err != nil {
			return r, err
		}
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
	if err := r.parseAddress(m); err != nil {
		return r, err
	}
	if err := r.parseBearer(m); err != nil {
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
	r.place = placed(m)
	if r.private, err = gtpc.ParsePrivate(m.IEs); err != nil {
		return r, gtpc.Refuse(gtpc.InvalidLength, ie.PrivateExtension, "%v", err)
	}
	return r, nil
}

// parseAddress reads the PDN type, the address asked for, and whether the MME has
// both on one bearer.
func (r *createRequest) parseAddress(m *gtpc.Message) (err error) {
	r.pdn = gtpc.PDNIPv4
	if e := m.IE(ie.PDNType, 0); e != nil && len(e.Payload) > 0 {
		r.pdn = e.Payload[0] & 7
	}
	if e := m.IE(ie.Indication, 0); e != nil && len(e.Payload) > 0 {
		r.dual = e.Payload[0]&dualAddress != 0
	}
	if e := m.IE(ie.PDNAddressAllocation, 0); e != nil && r.pdn >= gtpc.PDNIPv4 && r.pdn <= gtpc.PDNIPv4v6 {
		r.paa, err = gtpc.ParseAddress(e)
	}
	return err
}

func (r *createRequest) parseBearer(m *gtpc.Message) (err error) {
	bearer := m.IE(ie.BearerContext, 0)
	if bearer == nil {
		return gtpc.Refuse(gtpc.MandatoryIEMissing, ie.BearerContext, "no bearer context to be created")
	}
	if r.ebi, err = gtpc.ParseEBI(gtpc.Find(bearer.ChildIEs, ie.EPSBearerID, 0)); err != nil {
		return err
	}
	if r.qos, err = gtpc.ParseQoS(gtpc.Find(bearer.ChildIEs, ie.BearerQoS, 0)); err != nil {
		return err
	}
	if r.peer.Interface == gtpc.IfS5SGWC {
		r.user = gtpc.Find(bearer.ChildIEs, ie.FullyQualifiedTEID, sgwUser)
	}
	return err
}

// Instances of the SGW's and the PGW's user plane in bearer contexts that are created
// (TS 29.274 tables 7.2.1-2, 7.2.2-2).
const sgwUser, pgwUser = 2, 2

// create answers a Create Session Request, or has another gateway asked first.
func (g *Gateway) create(peer netip.AddrPort, m *gtpc.Message) (*gtpc.Message, error) {
	r, err := parseCreate(m)
	if err == nil && r.peer.Interface == gtpc.IfS5SGWC && !within(g.o.Gateways, peer.Addr()) {
		err = gtpc.Refuse(gtpc.RequestRejected, 0, "%v is no gateway that may use this one", peer.Addr())
	}
	var s *session
	var cause gtpc.Cause
	if err == nil {
		s, cause, err = g.admit(m.TEID, &r)
	}
	if err == nil && s.up != nil {
		return g.askPGW(peer, m, r, s)
	}
	if err == nil {
		err = g.open(s)
	}
	if err != nil {
		return g.refuseCreate(r, err), err
	}
	return g.created(s, r, cause, answerPCO(r.pco, s.net.DNS, s.net.MTU)), nil
}

func (g *Gateway) refuseCreate(r createRequest, err error) *gtpc.Message {
	return gtpc.New(gtpc.CreateSessionResponse, r.peer.TEID, gtpc.CauseIE(err), g.ep.Recovery())
}

// created is the answer that grants a session (TS 29.274 §7.2.2).
func (g *Gateway) created(s *session, r createRequest, cause gtpc.Cause, options []byte) *gtpc.Message {
	b := s.first()
	var pco *ie.IE
	if options != nil {
		pco = ie.New(ie.ProtocolConfigurationOptions, 0, options)
	}
	g.log.Info("gateway: session created", logs.IMSI, s.ue.imsi, logs.Address, s.shown(), "apn", s.apn, logs.TEID, b.teid, "settled", s.lease != nil)
	here := g.ep.LocalAddr().Addr()
	own := gtpc.FTEID{Interface: gtpc.IfS11SGW, TEID: s.ue.ctrl, Addr: here}.IE(0)
	pgw, user := gtpc.FTEID{Interface: gtpc.IfS5PGWC, TEID: s.ue.ctrl, Addr: here}, gtpc.FTEID{Interface: gtpc.IfS5PGWU, TEID: b.teid, Addr: g.o.S1U}
	s1u := gtpc.FTEID{Interface: gtpc.IfS1USGW, TEID: b.teid, Addr: g.o.S1U}.IE(0)
	switch {
	case s.ue.s5():
		own, s1u = nil, nil
	case s.up != nil:
		pgw, user = s.up.pgw, b.pgw
	}
	return gtpc.New(gtpc.CreateSessionResponse, s.ue.peer.TEID,
		ie.NewCause(uint8(cause), 0, 0, 0, nil), own, pgw.IE(1),
		s.addr.IE(), ie.New(ie.APNRestriction, 0, []byte{0}), s.ambr.IE(), pco,
		gtpc.BearerContext(0, gtpc.EBI(s.ebi), gtpc.CauseIE(nil), s1u, user.IE(pgwUser), b.qos.IE(), gtpc.ChargingID(b.charge)),
		g.ep.Recovery())
}

// admit makes a session, with what it needs of this gateway's; nobody sees it before
// open. The caller holds mu.
func (g *Gateway) admit(ctrl id.TEID, r *createRequest) (*session, gtpc.Cause, error) {
	n, err := g.findNetwork(r.apn)
	if err != nil {
		return nil, 0, err
	}
	if r.peer.Interface == gtpc.IfS11MME && r.peer.Addr.Is4() != g.ep.LocalAddr().Addr().Is4() {
		return nil, 0, gtpc.Refuse(gtpc.MandatoryIEIncorrect, ie.FullyQualifiedTEID, "S11 address %v is of another family than this gateway's", r.peer.Addr)
	}
	urgent := r.apn == g.o.Emergency && !r.apn.IsZero()
	if r.imsi.IsZero() && !urgent {
		return nil, 0, gtpc.Refuse(gtpc.ConditionalIEMissing, ie.IMSI, "no IMSI, and APN %v is not for emergencies", r.apn)
	}
	var l *lease
	if r.peer.Interface != gtpc.IfS5SGWC {
		if l, err = g.newLease(r.private.Ticket); err != nil && !urgent {
			return nil, 0, err
		}
	}
	u, err := g.context(ctrl, *r)
	if err != nil {
		return nil, 0, err
	}
	s := &session{ue: u, ebi: r.ebi, apn: r.apn, net: n, ambr: r.ambr, started: time.Now(), bearers: map[id.EBI]*bearer{}, making: map[*bearer]struct{}{}, lease: l}
	cause, err := g.equip(s, *r)
	if err != nil {
		if len(u.sessions) == 0 && g.ues[u.ctrl] != u {
			g.ctrl.Free(u.ctrl)
		}
		return nil, 0, err
	}
	return s, cause, nil
}

// context finds or makes the phone's context. Without a TEID the phone attaches
// anew and what it had is gone; with one it asks for another session, and a bearer
// of that identity that it had is gone (TS 29.274 §7.2.1).
func (g *Gateway) context(ctrl id.TEID, r createRequest) (*ue, error) {
	if ctrl != 0 && r.peer.Interface == gtpc.IfS11MME {
		u := g.ues[ctrl]
		if u == nil || u.imsi != r.imsi || u.s5() {
			return nil, gtpc.Refuse(gtpc.ContextNotFound, 0, "no phone has control TEID %v", ctrl)
		}
		g.makeRoom(u, r.ebi)
		if g.ues[ctrl] == u { // else that was all it had
			u.movesTo(r.peer)
			return u, nil
		}
	}
	old := g.byIMSI[r.imsi]
	if r.peer.Interface == gtpc.IfS5SGWC {
		old = g.remote[remoteKey{r.imsi, r.ebi}]
	}
	if old != nil {
		for _, s := range old.sessions {
			g.tellPGW(s)
			g.end(s)
		}
	}
	t, ok := g.ctrl.Alloc()
	if !ok {
		return nil, gtpc.Refuse(gtpc.NoResources, 0, "%d phones are here", len(g.ues))
	}
	return &ue{imsi: r.imsi, ctrl: t, peer: r.peer, sessions: make(map[id.EBI]*session)}, nil
}

// makeRoom ends what a phone has under a bearer identity that its MME gives another
// session: the MME has forgotten it.
func (g *Gateway) makeRoom(u *ue, ebi id.EBI) {
	b := u.bearer(ebi)
	switch {
	case b == nil:
	case b == b.s.first():
		g.tellPGW(b.s)
		g.end(b.s)
	default:
		g.endBearer(b)
	}
}

// grant gives a session addresses. Those of the phone's own session before may still
// drain: if there is no other, that is over now.
func (g *Gateway) grant(s *session, r createRequest) (a gtpc.Address, cause gtpc.Cause, err error) {
	a, cause, err = s.net.grant(r.imsi, r.pdn, r.paa, r.dual)
	if err == nil || r.imsi.IsZero() {
		return a, cause, err
	}
	over := false
	for _, d := range g.draining {
		if d.s != nil && d.b == nil && d.s.ended && d.s.net == s.net && d.s.ue.imsi == r.imsi {
			g.finish(d.s)
			over = true
		}
	}
	if over {
		return s.net.grant(r.imsi, r.pdn, r.paa, r.dual)
	}
	return a, cause, err
}

// equip gives a session its default bearer, and addresses or a PGW.
func (g *Gateway) equip(s *session, r createRequest) (cause gtpc.Cause, err error) {
	elsewhere, err := g.choosePGW(s, r)
	if err != nil {
		return 0, err
	}
	b := &bearer{s: s, ebi: r.ebi, qos: r.qos}
	if s.ue.s5() {
		if b.tunnel, err = g.tunnelEnd(r.user); err != nil {
			return 0, err
		}
		s.reached = true
	}
	if !elsewhere.IsValid() {
		if s.addr, cause, err = g.grant(s, r); err != nil {
			return 0, err
		}
	}
	var ok bool
	if b.teid, ok = g.teids.AllocAt(g.slotOf(s.addr.IPv4)); ok && elsewhere.IsValid() {
		s.up = &upstream{pgw: gtpc.FTEID{Interface: gtpc.IfS5PGWC, Addr: elsewhere}}
		if s.up.ctrl, ok = g.ctrl.Alloc(); ok {
			if b.up, ok = g.teids.Alloc(); !ok {
				g.ctrl.Free(s.up.ctrl)
			}
		}
		if !ok {
			g.teids.Free(b.teid)
		}
	}
	if !ok {
		s.net.release(s.addr)
		return 0, gtpc.Refuse(gtpc.NoResources, 0, "%d sessions are open", len(g.sessions))
	}
	g.lastID++
	g.charging++
	s.id, b.number, b.charge = datapath.SessionID(g.lastID), g.lastID, g.charging
	s.bearers[s.ebi] = b
	return cause, nil
}

// slotOf is where a data path that has the first pool finds an address at once: the
// slot of its place there. Others have none.
func (g *Gateway) slotOf(a netip.Addr) uint32 {
	if pools := g.networks[0].IPv4; len(pools) > 0 && pools[0].Contains(a) {
		first, at := pools[0].Addr().As4(), a.As4()
		return binary.BigEndian.Uint32(at[:]) - binary.BigEndian.Uint32(first[:])
	}
	return ^uint32(0)
}

// discard gives back what equip has given to a session that is not opened.
func (g *Gateway) discard(s *session) {
	b := s.first()
	g.teids.Free(b.teid)
	if s.up != nil {
		g.teids.Free(b.up)
		g.ctrl.Free(s.up.ctrl)
	} else {
		s.net.release(s.addr)
	}
	if len(s.ue.sessions) == 0 && g.ues[s.ue.ctrl] != s.ue {
		g.ctrl.Free(s.ue.ctrl)
	}
}

// open makes a session live.
func (g *Gateway) open(s *session) error {
	b, l := s.first(), s.lease
	s.lease = nil
	err := g.putSession(s, false)
	if err == nil {
		if err = g.putBearer(b, false); err != nil {
			g.path.RemoveSession(s.id)
		}
	}
	if err != nil {
		g.discard(s)
		return gtpc.Refuse(gtpc.SystemFailure, 0, "data path: %v", err)
	}
	s.ue.sessions[s.ebi] = s
	g.enter(s)
	g.take(s, l)
	if s.ue.s5() {
		g.beginSegment(b, nil, datapath.Usage{})
	}
	g.touch(s)
	return nil
}

// enter puts a session into the tables by which it is found.
func (g *Gateway) enter(s *session) {
	u := s.ue
	g.ues[u.ctrl] = u
	switch {
	case u.s5():
		g.remote[remoteKey{u.imsi, s.ebi}] = u
	case !u.imsi.IsZero():
		g.byIMSI[u.imsi] = u
	}
	if s.up != nil {
		g.uplinks[s.up.ctrl] = s
	}
	g.sessions[s.id] = s
}
