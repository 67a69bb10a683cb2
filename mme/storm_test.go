package mme

import (
	"context"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
)

// FuzzStorm lets an eNB that is admitted, and a phone that has keys, send
// whatever they can think of, broken in all ways, beside an eNB and phones that
// behave: these notice nothing, and when the storm is over nothing is left of it.
func FuzzStorm(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		play(t, func(o *Options) { noUpdates(o); strangers(o) }, func(w *world) {
			w.towers[0x7f000] = [32]byte{7}
			s := &storm{w: w, target: 0x7f000, rnd: rand.New(rand.NewPCG(seed, 7))}
			s.healthy = w.phone(w.tower(0x19b))
			s.healthy.attach()
			s.dial()
			for range 8 {
				for range 100 {
					s.gust()
				}
				s.check()
			}
			s.e.a.Abort("the storm is over")
			time.Sleep(10 * time.Minute) // longer than any timer
			synctest.Wait()
			w.phone(s.healthy.e).attach()
			if st := w.m.Stats(); st.ENBs != 1 || st.Connected != 2 || len(w.gw.bad) != 0 {
				t.Errorf("%+v; %v", st, w.gw.bad)
			}
			for _, i := range w.m.UEs() {
				if i.State == Attaching {
					t.Errorf("%+v", i)
				}
			}
		})
	})
}

type storm struct {
	w       *world
	rnd     *rand.Rand
	e       *enbPeer
	mallory *phone
	healthy *phone
	target  uint32        // of handovers
	asked   atomic.Uint32 // of one to the hostile eNB: the MME's id there
}

// dial brings the hostile eNB, and the phone at it.
func (s *storm) dial() {
	s.e = s.w.towerIn(0x7f000, 9)
	s.e.lossy = true
	s.mallory = s.w.phone(s.e)
	s.mallory.attach()
	go func(e *enbPeer) {
		for {
			in, err := e.a.Recv(context.Background())
			if err != nil {
				return
			}
			if p, err := s1ap.Parse(in.Data); err == nil {
				if m, ok := p.Message.(*s1ap.HandoverRequest); ok {
					s.asked.Store(uint32(m.MMEUES1APID))
				}
			}
		}
	}(s.e)
}

// check is a phone that behaves and is served.
func (s *storm) check() {
	s.w.t.Helper()
	p := s.healthy
	p.idle()
	p.initial(p.updateRequest(eps.UpdatePeriodic))
	p.updated()
	p.released()
	p.settled()
	p.request()
	p.setupResponse()
	if i := p.settled(); i.State != Connected {
		s.w.t.Errorf("the phone is %v", i.State)
	}
	if s.e.a.Err() != nil {
		s.dial()
	}
}

// pdu is one message, whole or broken; nil if it cannot be one.
func (s *storm) pdu() []byte {
	m := s.message()
	if s.rnd.IntN(3) == 0 {
		m = s.furtherMessage()
	}
	b, err := s1ap.Append(nil, m)
	if err != nil {
		return nil
	}
	if s.rnd.IntN(3) > 0 {
		b = s.broken(b)
	}
	return b
}

// gust is one message.
func (s *storm) gust() {
	if b := s.pdu(); len(b) > 0 {
		s.e.raw(b)
	}
	if s.rnd.IntN(20) == 0 {
		time.Sleep(time.Duration(s.rnd.IntN(10000)) * time.Millisecond)
	}
	synctest.Wait()
}

// broken flips, drops and doubles octets.
func (s *storm) broken(b []byte) []byte {
	for range 1 + s.rnd.IntN(3) {
		if len(b) == 0 {
			return b
		}
		n := s.rnd.IntN(len(b))
		switch s.rnd.IntN(5) {
		case 0:
			b = b[:n]
		case 1:
			b = append(b[:n:n], b[min(n+1+s.rnd.IntN(4), len(b)):]...)
		case 2:
			b = append(b[:n:n], append([]byte{byte(s.rnd.Uint32())}, b[n:]...)...)
		default:
			b[n] ^= 1 << s.rnd.IntN(8)
		}
	}
	return b
}

// ids are the hostile phone's, the other one's, or anybody's.
func (s *storm) ids() (s1ap.MMEUES1APID, s1ap.ENBUES1APID) {
	switch s.rnd.IntN(6) {
	case 0:
		return s.healthy.mmeID, s.healthy.enbID
	case 2:
		return s1ap.MMEUES1APID(s.asked.Load()), s1ap.ENBUES1APID(s.rnd.IntN(8))
	case 1:
		return s1ap.MMEUES1APID(s.rnd.IntN(300)), s1ap.ENBUES1APID(s.rnd.IntN(8))
	}
	return s.mallory.mmeID, s.mallory.enbID
}

func (s *storm) message() s1ap.Message {
	m, n := s.ids()
	cause := s1ap.CauseRadioNetworkUnspecified.Cause()
	item := s1ap.UEAssociatedLogicalS1ConnectionListRes{{MMEUES1APID: &m, ENBUES1APID: &n}, {MMEUES1APID: &m}, {ENBUES1APID: &n}}
	bearer := s1ap.FromAddr(s.e.addr)
	switch s.rnd.IntN(30) {
	case 20, 21:
		return &s1ap.HandoverRequestAcknowledge{MMEUES1APID: m, ENBUES1APID: n, TargetToSourceTransparentContainer: []byte{1},
			ERABAdmittedList: s1ap.ERABAdmittedList{{ERABID: s1ap.ERABID(5 + s.rnd.IntN(2)), TransportLayerAddress: bearer, GTPTEID: s1ap.FromTEID(667)}}}
	case 22:
		return &s1ap.HandoverFailure{MMEUES1APID: m, Cause: cause}
	case 23:
		return &s1ap.ENBStatusTransfer{MMEUES1APID: m, ENBUES1APID: n, ENBStatusTransferTransparentContainer: s1ap.ENBStatusTransferTransparentContainer{
			BearersSubjectToStatusTransferList: s1ap.BearersSubjectToStatusTransferList{{ERABID: 5}}}}
	case 24, 25:
		return &s1ap.HandoverRequired{MMEUES1APID: m, ENBUES1APID: n, Cause: cause, TargetID: s1ap.TargetID{Choice: s1ap.TargetIDChoiceTargeteNBID,
			TargeteNBID: &s1ap.TargeteNBID{GlobalENBID: s.e.setupRequest(0x7f000).GlobalENBID, SelectedTAI: s.e.tai()}}, SourceToTargetTransparentContainer: []byte{1}}
	case 0:
		return &s1ap.Reset{Cause: cause, ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoicePartOfS1Interface, PartOfS1Interface: item}}
	case 1:
		return &s1ap.Reset{Cause: cause, ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface}}
	case 2:
		return &s1ap.ResetAcknowledge{UEAssociatedLogicalS1ConnectionListResAck: s1ap.UEAssociatedLogicalS1ConnectionListResAck(item)}
	case 3:
		return &s1ap.ErrorIndication{MMEUES1APID: &m, ENBUES1APID: &n, Cause: new(s1ap.CauseRadioNetworkUnknownPairUeS1apId.Cause())}
	case 4:
		return &s1ap.UEContextReleaseRequest{MMEUES1APID: m, ENBUES1APID: n, Cause: cause}
	case 5:
		return &s1ap.UEContextReleaseComplete{MMEUES1APID: m, ENBUES1APID: n}
	case 6:
		return &s1ap.InitialContextSetupResponse{MMEUES1APID: m, ENBUES1APID: n,
			ERABSetupListCtxtSURes: s1ap.ERABSetupListCtxtSURes{{ERABID: 5, TransportLayerAddress: bearer, GTPTEID: s1ap.FromTEID(666)}}}
	case 7:
		return &s1ap.InitialContextSetupFailure{MMEUES1APID: m, ENBUES1APID: n, Cause: cause}
	case 8:
		return &s1ap.PathSwitchRequest{SourceMMEUES1APID: m, ENBUES1APID: n, EUTRANCGI: s.e.cell(), TAI: s.e.tai(),
			ERABToBeSwitchedDLList: s1ap.ERABToBeSwitchedDLList{{ERABID: 5, TransportLayerAddress: bearer, GTPTEID: s1ap.FromTEID(666)}}}
	case 9:
		return &s1ap.HandoverRequired{MMEUES1APID: m, ENBUES1APID: n, Cause: cause, TargetID: s1ap.TargetID{Choice: s1ap.TargetIDChoiceTargeteNBID,
			TargeteNBID: &s1ap.TargeteNBID{GlobalENBID: s.e.setupRequest(0x19b).GlobalENBID, SelectedTAI: s.e.tai()}}, SourceToTargetTransparentContainer: []byte{1}}
	case 10:
		return &s1ap.HandoverNotify{MMEUES1APID: m, ENBUES1APID: n, EUTRANCGI: s.e.cell(), TAI: s.e.tai()}
	case 11:
		return &s1ap.HandoverCancel{MMEUES1APID: m, ENBUES1APID: n, Cause: cause}
	case 12:
		return &s1ap.UECapabilityInfoIndication{MMEUES1APID: m, ENBUES1APID: n, UERadioCapability: make([]byte, s.rnd.IntN(20000))}
	case 13:
		return &s1ap.NASNonDeliveryIndication{MMEUES1APID: m, ENBUES1APID: n, NASPDU: []byte{7}, Cause: cause}
	case 14:
		return &s1ap.UEContextSuspendRequest{MMEUES1APID: m, ENBUES1APID: n}
	case 15:
		return &s1ap.ENBConfigurationUpdate{ENBname: "storm", SupportedTAs: s.e.setupRequest(0x7f000).SupportedTAs}
	case 16:
		return s.e.setupRequest(0x7f000)
	case 17:
		return &s1ap.ERABReleaseIndication{MMEUES1APID: m, ENBUES1APID: n, ERABReleasedList: s1ap.ERABList{{ERABID: 5, Cause: cause}}}
	case 18, 19:
		return &s1ap.UplinkNASTransport{MMEUES1APID: m, ENBUES1APID: n, NASPDU: s.nas(), EUTRANCGI: s.e.cell(), TAI: s.e.tai()}
	}
	s.e.lastID++
	first := &s1ap.InitialUEMessage{ENBUES1APID: s1ap.ENBUES1APID(s.rnd.IntN(8)), NASPDU: s.nas(), TAI: s.e.tai(), EUTRANCGI: s.e.cell(), RRCEstablishmentCause: s1ap.RRCEstablishmentCauseMoSignalling}
	if s.rnd.IntN(2) == 0 {
		first.STMSI = s1ap.FromSTMSI(s.mallory.guti.STMSI())
	}
	return first
}

// nas is a message of the hostile phone, with its keys or none, in its name or
// the other one's.
func (s *storm) nas() []byte {
	p := s.mallory
	g := eps.FromGUTI(*p.guti)
	if s.rnd.IntN(2) == 0 {
		g = eps.FromGUTI(*s.healthy.guti)
	}
	var m eps.Message
	switch s.rnd.IntN(18) {
	case 0:
		r := p.attachRequest()
		r.Identity = g
		m = r
	case 1:
		r := p.updateRequest(eps.UpdateType(s.rnd.IntN(16)))
		r.OldGUTI, r.LastTAI = g, eps.Some(id.TAI{PLMN: testPLMN, TAC: 7})
		m = r
	case 2:
		r := p.updateRequest(eps.UpdateTA | eps.UpdateActive)
		r.Bearers = eps.Some(eps.BearerStatus(s.rnd.Uint32()))
		m = r
	case 3:
		m = &eps.DetachRequest{Type: eps.DetachType(s.rnd.IntN(16)), KSI: p.ksi, Identity: g}
	case 4:
		m = &eps.DetachAccept{}
	case 5:
		m = &eps.TrackingAreaUpdateComplete{}
	case 6:
		m = &eps.GUTIReallocationComplete{}
	case 7:
		m = &eps.AuthenticationFailure{Cause: eps.EMMCauseSynchFailure, AUTS: eps.Some(eps.AUTS{1})}
	case 8:
		m = &eps.SecurityModeReject{Cause: eps.EMMCauseUESecurityCapabilitiesMismatch}
	case 9:
		m = &eps.IdentityResponse{Identity: eps.MobileIMSI(s.healthy.imsi)}
	case 10:
		m = &eps.AttachComplete{ESM: []byte{0x52, 0, 0xc2}}
	case 11:
		m = &eps.PDNConnectivityRequest{PTI: eps.PTI(s.rnd.IntN(256)), Request: eps.RequestTypeInitial, PDNType: eps.PDNTypeIPv4}
	case 12:
		return must(p.sec.AppendServiceRequest(nil))
	case 13, 14, 15, 16:
		m = s.sessionMessage()
	default:
		r := p.attachRequest()
		r.Identity = eps.FromIMSI(p.imsi)
		m = r
	}
	plain, err := eps.Append(nil, m)
	if err != nil {
		return []byte{7}
	}
	if s.rnd.IntN(3) == 0 {
		plain = s.broken(plain)
	}
	if len(plain) == 0 || s.rnd.IntN(3) == 0 {
		return append([]byte{7}, plain...)[min(1, len(plain)):]
	}
	return must(p.sec.Protect(nil, nassec.HeaderType(1+s.rnd.IntN(2)), plain))
}
