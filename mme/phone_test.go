package mme

import (
	"fmt"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/secret"
)

// phone is a phone and its S1 connection at an eNB; what it does is the
// script's.
type phone struct {
	w     *world
	e     *enbPeer
	imsi  id.IMSI
	card  *aka.USIM
	enbID s1ap.ENBUES1APID
	mmeID s1ap.MMEUES1APID
	ksi   eps.KSI
	kasme secret.Key256
	sec   *nassec.Context // nil: nothing is protected
	guti  *id.GUTI
	addr  string
	teid  uint32
	cap   eps.UENetworkCapability
	kenb  s1ap.SecurityKey // of the last context setup
	plmn  id.PLMN          // that it has chosen; zero: testPLMN
}

// phone is a new subscriber's, switched on at e.
func (w *world) phone(e *enbPeer) *phone {
	w.phones++
	p := w.stranger(e, fmt.Sprintf("0010100000%05d", w.phones))
	s := w.home.add(p.imsi)
	p.card = must(aka.NewUSIM(aka.USIMOptions{Algorithm: s.c}))
	return p
}

// stranger has a SIM no home knows.
func (w *world) stranger(e *enbPeer, imsi string) *phone {
	return &phone{w: w, e: e, imsi: must(id.ParseIMSI(imsi)), ksi: eps.NoKSI, cap: eps.NewUENetworkCapability(0, 1, 2, 3, 9, 10, 11),
		card: must(aka.NewUSIM(aka.USIMOptions{Algorithm: milenage.New(secret.Key128{1}, secret.Key128{})}))}
}

// at is the same phone by a new S1 connection.
func (p *phone) at(e *enbPeer) *phone {
	q := *p
	q.e, q.enbID, q.mmeID = e, 0, 0
	return &q
}

func (p *phone) attachRequest() *eps.AttachRequest {
	pdn := must(eps.Append(nil, &eps.PDNConnectivityRequest{PTI: 1, Request: eps.RequestTypeInitial, PDNType: eps.PDNTypeIPv4,
		InformationTransfer: eps.Some(eps.InformationTransferFlagYes)}))
	m := &eps.AttachRequest{Type: eps.AttachTypeEPS, KSI: p.ksi, Identity: eps.FromIMSI(p.imsi), Capability: p.cap, ESM: pdn}
	if p.guti != nil {
		m.Identity = eps.FromGUTI(*p.guti)
	}
	return m
}

// initial sends a NAS message in an Initial UE Message, integrity protected if
// the phone has keys.
func (p *phone) initial(m eps.Message) {
	p.w.t.Helper()
	p.initialRaw(p.protect(m, nassec.IntegrityProtected))
}

func (p *phone) initialRaw(nas []byte) {
	p.w.t.Helper()
	p.e.lastID++
	p.enbID, p.mmeID = p.e.lastID, 0
	m := &s1ap.InitialUEMessage{ENBUES1APID: p.enbID, NASPDU: nas, TAI: p.e.tai(), EUTRANCGI: p.e.cell(), RRCEstablishmentCause: s1ap.RRCEstablishmentCauseMoData}
	if p.guti != nil {
		m.STMSI = s1ap.FromSTMSI(p.guti.STMSI())
	}
	p.e.send(m)
}

func (p *phone) protect(m eps.Message, h nassec.HeaderType) []byte {
	p.w.t.Helper()
	plain := must(eps.Append(nil, m))
	if p.sec == nil {
		return plain
	}
	return must(p.sec.Protect(nil, h, plain))
}

// uplink sends a NAS message on the connection.
func (p *phone) uplink(m eps.Message) {
	p.w.t.Helper()
	p.uplinkRaw(p.protect(m, nassec.IntegrityCiphered))
}

func (p *phone) uplinkRaw(nas []byte) {
	p.w.t.Helper()
	p.e.send(&s1ap.UplinkNASTransport{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, NASPDU: nas, EUTRANCGI: p.e.cell(), TAI: p.e.tai()})
}

// down reads the MME's next message, a Downlink NAS Transport for this phone.
func down[T eps.Message](p *phone) T {
	p.w.t.Helper()
	m := expect[*s1ap.DownlinkNASTransport](p.e)
	if m.ENBUES1APID != p.enbID || p.mmeID != 0 && m.MMEUES1APID != p.mmeID {
		p.w.t.Fatalf("message for UE ids %d/%d, phone has %d/%d", m.MMEUES1APID, m.ENBUES1APID, p.mmeID, p.enbID)
	}
	p.mmeID = m.MMEUES1APID
	return open[T](p, m.NASPDU)
}

// open takes protection off as a phone does: what it has keys for must be
// protected, but for what TS 24.301 §4.4.4.2 lists.
func open[T eps.Message](p *phone, pdu []byte) T {
	p.w.t.Helper()
	plain := pdu
	if h := must(nassec.TypeOf(pdu)); h != nassec.Plain {
		if p.sec == nil {
			p.w.t.Fatalf("protected message for a phone without keys: %x", pdu)
		}
		r, err := p.sec.Unprotect(nil, pdu)
		if err != nil {
			p.w.t.Fatalf("the MME's protection: %v", err)
		}
		plain = r.Plain
	}
	m, err := eps.Parse(eps.Downlink, plain)
	if err != nil {
		p.w.t.Fatalf("the MME's NAS message: %v", err)
	}
	v, ok := m.(T)
	if !ok {
		p.w.t.Fatalf("the MME sent\n%v\nwant %T", m, v)
	}
	return v
}

// answer authenticates, with the card, and gives the phone's answer.
func (p *phone) answer(m *eps.AuthenticationRequest) eps.Message {
	plmn := testPLMN
	if !p.plmn.IsZero() {
		plmn = p.plmn
	}
	res, kasme, err := p.card.AuthenticateEPS(aka.RAND(m.RAND), aka.AUTN(m.AUTN), plmn)
	if err == nil {
		p.kasme, p.ksi = kasme, m.KSI
		return &eps.AuthenticationResponse{RES: res.Bytes()}
	}
	cause, _ := aka.Cause(err)
	f := &eps.AuthenticationFailure{Cause: eps.EMMCause(cause)}
	if s, ok := err.(*aka.SynchFailure); ok {
		f.AUTS = eps.Some(eps.AUTS(s.AUTS))
	}
	return f
}

// secure takes a Security Mode Command and gives its keys to the phone.
func (p *phone) secure() *eps.SecurityModeCommand {
	p.w.t.Helper()
	m := expect[*s1ap.DownlinkNASTransport](p.e)
	h := must(nassec.ParseHeader(m.NASPDU))
	if h.Type != nassec.IntegrityNewContext {
		p.w.t.Fatalf("Security Mode Command with header type %d", h.Type)
	}
	plain := must(eps.Parse(eps.Downlink, h.Payload))
	smc, ok := plain.(*eps.SecurityModeCommand)
	if !ok {
		p.w.t.Fatalf("the MME sent\n%v\nwant Security Mode Command", plain)
	}
	if got, want := smc.Capability, p.cap.Security(eps.Opt[eps.MSNetworkCapability]{}); got != want {
		p.w.t.Errorf("replayed capabilities %v, want %v", got, want)
	}
	p.sec = must(nassec.New(nassec.State{Role: nassec.Phone, KSI: uint8(smc.KSI), KASME: p.kasme,
		EEA: nassec.EEA(smc.Algorithms.Ciphering), EIA: nassec.EIA(smc.Algorithms.Integrity)}))
	if _, err := p.sec.Unprotect(nil, m.NASPDU); err != nil {
		p.w.t.Fatalf("Security Mode Command: %v", err)
	}
	return smc
}

func (p *phone) secured() {
	p.w.t.Helper()
	p.uplinkRaw(p.protect(&eps.SecurityModeComplete{IMEISV: eps.Some(eps.MobileIMEI(must(id.ParseIMEI("3534900698733153"))))}, nassec.CipheredNewContext))
}

// authenticate is Authentication and Security Mode Control, all well.
func (p *phone) authenticate() {
	p.w.t.Helper()
	p.uplink(p.answer(down[*eps.AuthenticationRequest](p)))
	p.secure()
	p.secured()
}

// accepted takes the Initial Context Setup Request with the Attach Accept.
func (p *phone) accepted() (*s1ap.InitialContextSetupRequest, *eps.AttachAccept) {
	p.w.t.Helper()
	m := expect[*s1ap.InitialContextSetupRequest](p.e)
	a := open[*eps.AttachAccept](p, m.ERABToBeSetupListCtxtSUReq[0].NASPDU)
	g, _ := a.GUTI.V.GUTI()
	p.guti, p.mmeID, p.kenb = &g, m.MMEUES1APID, m.SecurityKey
	bearer := must(eps.Parse(eps.Downlink, a.ESM)).(*eps.ActivateDefaultEPSBearerContextRequest)
	p.addr = bearer.Address.IPv4.String()
	return m, a
}

func (p *phone) setupResponse() {
	p.w.t.Helper()
	p.teid++
	p.e.send(&s1ap.InitialContextSetupResponse{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID,
		ERABSetupListCtxtSURes: s1ap.ERABSetupListCtxtSURes{{ERABID: 5, TransportLayerAddress: s1ap.FromAddr(p.e.addr), GTPTEID: s1ap.FromTEID(id.TEID(p.teid))}}})
}

func (p *phone) complete() {
	p.w.t.Helper()
	p.uplink(&eps.AttachComplete{ESM: must(eps.Append(nil, &eps.ActivateDefaultEPSBearerContextAccept{EBI: 5}))})
}

// information answers the ESM Information Request.
func (p *phone) information() {
	p.w.t.Helper()
	m := down[*eps.ESMInformationRequest](p)
	p.uplink(&eps.ESMInformationResponse{PTI: m.PTI, APN: eps.Some(must(id.ParseAPN("internet")))})
}

// attach is the whole procedure, all well, by IMSI.
func (p *phone) attach() {
	p.w.t.Helper()
	p.initial(p.attachRequest())
	p.authenticate()
	p.information()
	p.accepted()
	p.setupResponse()
	p.complete()
	p.settled()
}

// settled waits until the MME has done what the last message asks.
func (p *phone) settled() UEInfo { p.w.t.Helper(); return p.w.info(p.imsi) }

// released takes the UE Context Release Command and completes it.
func (p *phone) released() s1ap.Cause {
	p.w.t.Helper()
	m := expect[*s1ap.UEContextReleaseCommand](p.e)
	pair := m.UES1APIDs.UES1APIDPair
	if pair == nil || pair.ENBUES1APID != p.enbID || p.mmeID != 0 && pair.MMEUES1APID != p.mmeID {
		p.w.t.Fatalf("release of %+v, phone has %d/%d", pair, p.mmeID, p.enbID)
	}
	p.e.send(&s1ap.UEContextReleaseComplete{MMEUES1APID: pair.MMEUES1APID, ENBUES1APID: p.enbID})
	return m.Cause
}

// release is release by inactivity.
func (p *phone) release() {
	p.w.t.Helper()
	p.e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()})
	p.released()
}

// idle is release by inactivity, and the MME at rest.
func (p *phone) idle() {
	p.w.t.Helper()
	p.release()
	p.settled()
}

// request is a service request up to the Initial Context Setup Request.
func (p *phone) request() *s1ap.InitialContextSetupRequest {
	p.w.t.Helper()
	p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
	m := expect[*s1ap.InitialContextSetupRequest](p.e)
	p.mmeID, p.kenb = m.MMEUES1APID, m.SecurityKey
	return m
}
