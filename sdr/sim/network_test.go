package sim_test

import (
	"net/netip"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/secret"
	"campanile.network/sdr/sim"
)

// ue is what the MME knows of a phone.
type ue struct {
	w     *world
	enb   s1ap.ENBUES1APID
	mme   s1ap.MMEUES1APID
	first *s1ap.InitialUEMessage
	v     aka.Vector
	kasme secret.Key256
	sec   *nassec.Context
	count nassec.Count // of the last uplink message
	kenb  nassec.Count // of SECURITY MODE COMPLETE or of the initial message
}

// initial takes the next Initial UE Message.
func (w *world) initial() *ue {
	w.t.Helper()
	m := next[*s1ap.InitialUEMessage](w)
	w.lastID++
	return &ue{w: w, enb: m.ENBUES1APID, mme: w.lastID, first: m}
}

// resumed is a phone known from u that comes with a new connection.
func (u *ue) resumed() *ue {
	u.w.t.Helper()
	n := u.w.initial()
	n.sec, n.kasme = u.sec, u.kasme
	return n
}

func (u *ue) downRaw(nas []byte) {
	u.w.t.Helper()
	u.w.send(&s1ap.DownlinkNASTransport{MMEUES1APID: u.mme, ENBUES1APID: u.enb, NASPDU: nas})
}

// plain sends an unprotected message.
func (u *ue) plain(m eps.Message) { u.w.t.Helper(); u.downRaw(must(eps.Append(nil, m))) }

func (u *ue) protect(h nassec.HeaderType, m eps.Message) []byte {
	return must(u.sec.Protect(nil, h, must(eps.Append(nil, m))))
}

// down sends a message integrity protected and ciphered.
func (u *ue) down(m eps.Message) {
	u.w.t.Helper()
	u.downRaw(u.protect(nassec.IntegrityCiphered, m))
}

// read takes the protection off an uplink message.
func read[T eps.Message](u *ue, pdu []byte) T {
	u.w.t.Helper()
	plain := pdu
	if h := must(nassec.TypeOf(pdu)); h != nassec.Plain {
		if u.sec == nil {
			u.w.t.Fatalf("protected message without keys: %x", pdu)
		}
		r, err := u.sec.Unprotect(nil, pdu)
		if err != nil {
			u.w.t.Fatalf("the phone's protection: %v", err)
		}
		plain, u.count = r.Plain, r.Count
	}
	m, err := eps.Parse(eps.Uplink, plain)
	if err != nil {
		u.w.t.Fatalf("the phone's message: %v", err)
	}
	v, ok := m.(T)
	if !ok {
		u.w.t.Fatalf("the phone sent %v, want %T", m, v)
	}
	return v
}

// up takes the phone's next NAS message, which must be a T.
func up[T eps.Message](u *ue) T {
	u.w.t.Helper()
	m := next[*s1ap.UplinkNASTransport](u.w)
	if m.ENBUES1APID != u.enb || m.MMEUES1APID != u.mme {
		u.w.t.Fatalf("message of %d/%d, want %d/%d", m.MMEUES1APID, m.ENBUES1APID, u.mme, u.enb)
	}
	return read[T](u, m.NASPDU)
}

// challenge makes the home's next vector.
func (u *ue) challenge() *eps.AuthenticationRequest {
	u.w.seq++
	u.v = aka.Generate(u.w.home, aka.RAND{byte(u.w.seq)}, must(aka.MakeSQN(u.w.seq, 0)), aka.AMFEPS())
	return &eps.AuthenticationRequest{KSI: eps.KSI(u.w.seq % 7), RAND: eps.RAND(u.v.RAND), AUTN: eps.AUTN(u.v.AUTN)}
}

// authenticate is TS 24.301 §5.4.2, all well.
func (u *ue) authenticate() {
	u.w.t.Helper()
	u.plain(u.challenge())
	if r := up[*eps.AuthenticationResponse](u); !u.v.XRES.Equal(r.RES) {
		u.w.t.Fatal("wrong RES")
	}
	u.kasme = u.v.KASME(plmn)
}

// securityModeCommand chooses EEA2 and EIA2 and replays what the phone can.
func securityModeCommand(ksi uint8) *eps.SecurityModeCommand {
	return &eps.SecurityModeCommand{Algorithms: eps.Algorithms{Ciphering: 2, Integrity: 2}, KSI: eps.KSI(ksi),
		Capability:    eps.NewUENetworkCapability(0, 1, 2, 3, 9, 10, 11).Security(eps.Opt[eps.MSNetworkCapability]{}),
		IMEISVRequest: eps.Some(eps.IMEISVRequestYes)}
}

// command gives the Security Mode Command for the keys just agreed, and takes
// these into use.
func (u *ue) command(edit func(*eps.SecurityModeCommand)) []byte {
	ksi := uint8(u.w.seq % 7)
	u.sec = must(nassec.New(nassec.State{Role: nassec.Network, KSI: ksi, KASME: u.kasme, EEA: 2, EIA: 2}))
	m := securityModeCommand(ksi)
	if edit != nil {
		edit(m)
	}
	return u.protect(nassec.IntegrityNewContext, m)
}

// secure is TS 24.301 §5.4.3, all well.
func (u *ue) secure() {
	u.w.t.Helper()
	u.downRaw(u.command(nil))
	if m := up[*eps.SecurityModeComplete](u); !m.IMEISV.OK {
		u.w.t.Error("SECURITY MODE COMPLETE without the IMEISV that was asked for")
	}
	u.kenb = u.count
}

func guti(n uint32) id.GUTI { return id.GUTI{GUMMEI: gummei, TMSI: id.MTMSI(n)} }

// accept makes ATTACH ACCEPT.
func accept(tmsi uint32) *eps.AttachAccept {
	inner := must(eps.Append(nil, &eps.ActivateDefaultEPSBearerContextRequest{EBI: 5, PTI: 1, QoS: eps.EPSQoS{QCI: 9}, APN: must(id.ParseAPN("internet")),
		Address: eps.IPv4Address(netip.MustParseAddr("10.1.0.2")), PCO: eps.Some(eps.PCO{}.WithDNS(netip.MustParseAddr("10.1.0.1")))}))
	return &eps.AttachAccept{Result: eps.AttachResultEPSOnly, T3412: eps.GPRSTimer(eps.TimerDeactivated), TAIs: eps.NewTAIList(tai), ESM: inner,
		GUTI: eps.Some(eps.FromGUTI(guti(tmsi)))}
}

// context makes an Initial Context Setup Request under the key of count.
func (u *ue) context(nas []byte, count nassec.Count) *s1ap.InitialContextSetupRequest {
	return &s1ap.InitialContextSetupRequest{
		MMEUES1APID: u.mme, ENBUES1APID: u.enb,
		UEAggregateMaximumBitrate: s1ap.UEAggregateMaximumBitrate{UEaggregateMaximumBitRateDL: 1e6, UEaggregateMaximumBitRateUL: 1e6},
		ERABToBeSetupListCtxtSUReq: s1ap.ERABToBeSetupListCtxtSUReq{{ERABID: 5,
			ERABLevelQoSParameters: s1ap.ERABLevelQoSParameters{QCI: 9, AllocationRetentionPriority: s1ap.AllocationAndRetentionPriority{PriorityLevel: 8}},
			TransportLayerAddress:  s1ap.FromAddr(u.w.gateway), GTPTEID: s1ap.FromTEID(77), NASPDU: nas}},
		SecurityKey: s1ap.SecurityKey(u.sec.KeNB(count)),
	}
}

// accepted takes the phone through the end of an attach.
func (u *ue) accepted(tmsi uint32) *s1ap.InitialContextSetupResponse {
	u.w.t.Helper()
	u.w.send(u.context(u.protect(nassec.IntegrityCiphered, accept(tmsi)), u.kenb))
	r := next[*s1ap.InitialContextSetupResponse](u.w)
	up[*eps.AttachComplete](u)
	return r
}

// serve gives the phone its bearers back.
func (u *ue) serve() {
	u.w.t.Helper()
	u.w.send(u.context(nil, must(u.sec.AcceptServiceRequest(u.first.NASPDU))))
	next[*s1ap.InitialContextSetupResponse](u.w)
}

func (u *ue) release(c s1ap.Cause) {
	u.w.t.Helper()
	u.w.send(&s1ap.UEContextReleaseCommand{Cause: c, UES1APIDs: s1ap.UES1APIDs{Choice: s1ap.UES1APIDsChoiceUES1APIDPair,
		UES1APIDPair: &s1ap.UES1APIDPair{MMEUES1APID: u.mme, ENBUES1APID: u.enb}}})
	if m := next[*s1ap.UEContextReleaseComplete](u.w); m.ENBUES1APID != u.enb || m.MMEUES1APID != u.mme {
		u.w.t.Errorf("release of %d/%d complete, want %d/%d", m.MMEUES1APID, m.ENBUES1APID, u.mme, u.enb)
	}
}

// attached is a phone that has attached and still has its connection.
func (w *world) attached(p *sim.Phone) *ue {
	w.t.Helper()
	done := w.attach(p)
	u := w.initial()
	u.authenticate()
	u.secure()
	u.accepted(0x100)
	if r := <-done; r.err != nil {
		w.t.Fatal(r.err)
	}
	w.wantState(p, sim.Connected)
	return u
}

// idle is a phone that has attached and lost its connection for inactivity.
func (w *world) idle(p *sim.Phone) *ue {
	w.t.Helper()
	u := w.attached(p)
	u.release(s1ap.CauseRadioNetworkUserInactivity.Cause())
	w.wantState(p, sim.Idle)
	return u
}
