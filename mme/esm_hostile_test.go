package mme

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/home"
)

// A phone asks for more PDN connections than there are bearer identities, then the
// gateway for a bearer more (TS 24.301 §6.5.1.4, #65).
func TestElevenPDNConnections(t *testing.T) {
	play(t, nil, func(w *world) {
		p := testProfile()
		for i := range 12 {
			p.APNs = append(p.APNs, home.APN{Name: must(id.ParseAPN(fmt.Sprint("net", i))), QCI: 9, ARP: 8, AMBRUL: id.Mbps, AMBRDL: id.Mbps})
		}
		w.home.profile = p
		x := w.phone(w.tower(0x19b))
		x.attach()
		for i := range 10 {
			if e := x.connectTo(eps.PTI(i+2), p.APNs[i].Name); e != id.EBI(i+6) {
				t.Errorf("EPS bearer identity %d", e)
			}
		}
		x.uplink(wants(30, p.APNs[10].Name))
		if m := down[*eps.PDNConnectivityReject](x); m.PTI != 30 || m.Cause != eps.ESMCauseMaximumNumberOfEPSBearersReached {
			t.Errorf("%v", m)
		}
		w.told(w.creates(w.gw.session(internet), voice(0x700)), gtpc.NoResources)
		x.uplink(&eps.BearerResourceAllocationRequest{PTI: 31, Linked: 5, Aggregate: *voice(0).TFT, QoS: eps.EPSQoS{QCI: 5}})
		if m := down[*eps.BearerResourceAllocationReject](x); m.Cause != eps.ESMCauseMaximumNumberOfEPSBearersReached {
			t.Errorf("%v", m)
		}
		x.idle()
		m := x.request()
		if n := len(m.ERABToBeSetupListCtxtSUReq); n != 11 {
			t.Errorf("%d E-RABs", n)
		}
		x.setupAll(m)
		x.settled()
		w.gw.mu.Lock()
		seen := map[uint32]bool{}
		for s, x := range w.gw.sessions {
			last := x.segments[len(x.segments)-1].No
			if seen[last] {
				t.Errorf("%v: segment %d is another session's too", s.APN, last)
			}
			seen[last] = true
		}
		w.gw.mu.Unlock()
	})
}

// A PTI that is in use means one transaction (TS 24.301 §6.3.2, #35); requests that
// come meanwhile wait, so many of them and no more.
func TestPTIInUse(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		p.uplink(wants(2, ims))
		setUp[*eps.ActivateDefaultEPSBearerContextRequest](p)
		p.uplink(wants(2, work))
		if m := down[*eps.PDNConnectivityReject](p); m.PTI != 2 || m.Cause != eps.ESMCausePTIAlreadyInUse {
			t.Errorf("%v", m)
		}
		p.uplink(&eps.PDNDisconnectRequest{PTI: 2, Linked: 5})
		if m := down[*eps.PDNDisconnectReject](p); m.PTI != 2 || m.Cause != eps.ESMCausePTIAlreadyInUse {
			t.Errorf("%v", m)
		}
		for i := range 3 * maxLater {
			p.uplink(&eps.PDNDisconnectRequest{PTI: eps.PTI(i + 3), Linked: 9})
			synctest.Wait()
		}
		w.counted("inbox of the phone full", 2*maxLater)
		p.standing(6)
		p.uplink(&eps.ActivateDefaultEPSBearerContextAccept{EBI: 6})
		for i := range maxLater {
			if m := down[*eps.PDNDisconnectReject](p); m.PTI != eps.PTI(i+3) || m.Cause != eps.ESMCauseInvalidEPSBearerIdentity {
				t.Errorf("%v", m)
			}
		}
		p.e.silent(time.Minute)
	})
}

// Messages of session management that were recorded and are sent again change
// nothing (TS 24.301 §4.4.3.2), nor do unprotected ones.
func TestReplayedSessionManagement(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		p.connectTo(2, ims)
		recorded := p.protect(&eps.PDNDisconnectRequest{PTI: 3, Linked: 6}, nassec.IntegrityCiphered)
		p.uplinkRaw(recorded)
		releases[*eps.DeactivateEPSBearerContextRequest](p)
		p.erabsGone(6)
		p.uplink(&eps.DeactivateEPSBearerContextAccept{EBI: 6})
		p.connectTo(4, ims)
		p.uplinkRaw(recorded)
		plain := p.at(p.e)
		plain.enbID, plain.mmeID, plain.sec = p.enbID, p.mmeID, nil
		plain.uplink(&eps.PDNDisconnectRequest{PTI: 5, Linked: 6})
		plain.uplink(&eps.ESMStatus{EBI: 6, Cause: eps.ESMCauseInvalidEPSBearerIdentity})
		p.e.silent(time.Minute)
		if b := p.bearers(); len(b) != 2 {
			t.Errorf("%+v", b)
		}
		w.counted("NAS replay", 1)
	})
}

// Flows and qualities that make no sense are refused here, before the gateway is
// asked (TS 24.301 §6.5.3.4, §6.5.4.4).
func TestNonsenseResources(t *testing.T) {
	udp := eps.FilterComponents{}.With(eps.FilterProtocol, 17)
	filter := func(n, precedence uint8, c eps.FilterComponents) eps.PacketFilter {
		return eps.PacketFilter{Direction: eps.FilterBidirectional, ID: n, Precedence: precedence, Components: c}
	}
	ok := eps.EPSQoS{QCI: 5}
	for _, c := range []struct {
		tft  eps.TFT
		qos  eps.EPSQoS
		want eps.ESMCause
	}{
		{eps.TFT{Operation: eps.TFTDelete}, ok, eps.ESMCauseSemanticErrorInTheTFTOperation},
		{eps.TFT{Operation: eps.TFTCreate}, ok, eps.ESMCauseSyntacticalErrorInTheTFTOperation},
		{eps.TFT{Operation: eps.TFTCreate, Filters: []eps.PacketFilter{filter(1, 1, eps.FilterComponents{0xee, 1, 2})}}, ok, eps.ESMCauseSyntacticalErrorsInPacketFilter},
		{eps.TFT{Operation: eps.TFTCreate, Filters: []eps.PacketFilter{filter(1, 1, nil)}}, ok, eps.ESMCauseSyntacticalErrorsInPacketFilter},
		{eps.TFT{Operation: eps.TFTCreate, Filters: []eps.PacketFilter{filter(1, 1, udp), filter(1, 2, udp)}}, ok, eps.ESMCauseSyntacticalErrorsInPacketFilter},
		{eps.TFT{Operation: eps.TFTCreate, Filters: []eps.PacketFilter{filter(1, 200, udp), filter(2, 200, udp)}}, ok, eps.ESMCauseSemanticErrorsInPacketFilter},
		{*voice(0).TFT, eps.EPSQoS{QCI: 1}, eps.ESMCauseEPSQoSNotAccepted},
		{*voice(0).TFT, eps.EPSQoS{QCI: 1, MaxUL: 1000, GuaranteedUL: 64 * id.Kbps}, eps.ESMCauseEPSQoSNotAccepted},
		{*voice(0).TFT, ok, eps.ESMCauseServiceOptionNotSupported}, // says the gateway
	} {
		play(t, nil, func(w *world) {
			p := w.attached()
			p.uplink(&eps.BearerResourceAllocationRequest{PTI: 3, Linked: 5, Aggregate: c.tft, QoS: c.qos})
			if m := down[*eps.BearerResourceAllocationReject](p); m.PTI != 3 || m.Cause != c.want {
				t.Errorf("%v, %v: %v, want %v", c.tft, c.qos, m.Cause, c.want)
			}
		})
	}
	play(t, nil, func(w *world) {
		p := w.attached()
		s, _ := w.gw.only(w)
		p.dedicated(s, 0x700)
		for _, c := range []struct {
			tft  eps.TFT
			want eps.ESMCause
		}{
			{eps.TFT{Operation: eps.TFTDeleteFilters, Filters: []eps.PacketFilter{{ID: 9}}}, eps.ESMCauseSemanticErrorInTheTFTOperation},
			{eps.TFT{Operation: eps.TFTReplaceFilters, Filters: []eps.PacketFilter{filter(9, 9, udp)}}, eps.ESMCauseSemanticErrorInTheTFTOperation},
			{eps.TFT{Operation: eps.TFTDeleteFilters, Filters: []eps.PacketFilter{{ID: 1}}}, eps.ESMCauseSemanticErrorInTheTFTOperation}, // the last one
		} {
			p.uplink(&eps.BearerResourceModificationRequest{PTI: 3, FilterEBI: 6, Aggregate: c.tft})
			if m := down[*eps.BearerResourceModificationReject](p); m.Cause != c.want {
				t.Errorf("%v: %v, want %v", c.tft, m.Cause, c.want)
			}
		}
		// The gateway is no wiser.
		ch := w.updates(s, s11.BearerContext{EBI: 6, TFT: &eps.TFT{Operation: eps.TFTDeleteFilters, Filters: []eps.PacketFilter{{ID: 9}}}})
		w.told(ch, gtpc.TFTSemantic)
		w.told(w.updates(s, s11.BearerContext{EBI: 12}), gtpc.ContextNotFound)
		bad := voice(0)
		bad.SGW = s11.FTEID{}
		w.told(w.creates(s, bad), gtpc.RequestRejected)
		p.e.silent(time.Minute)
	})
}

// Rates beyond what S1AP and NAS can say do not stop anything.
func TestBoundlessRates(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		s, _ := w.gw.only(w)
		b := voice(0x700)
		b.QoS = &gtpc.QoS{QCI: 1, ARP: gtpc.ARP{Level: 15}, MBRUL: 1 << 50, MBRDL: 1 << 50, GBRUL: 1 << 50, GBRDL: 1 << 50}
		ch := w.creates(s, b)
		item, _ := setUp[*eps.ActivateDedicatedEPSBearerContextRequest](p)
		if r := item.ERABLevelQoSParameters.GBRQosInformation.ERABMaximumBitrateUL; r != 10_000_000_000 {
			t.Errorf("%d bit/s", r)
		}
		p.standing(6)
		p.uplink(&eps.ActivateDedicatedEPSBearerContextAccept{EBI: 6})
		w.told(ch, gtpc.Accepted)
		w.told(w.creates(&s11.Session{}, voice(1)), gtpc.ContextNotFound)
	})
}

// A phone that has given up bearers asks for its others at once: the update's
// active flag (TS 24.301 §5.5.3.2.4), an extended service request (§5.6.1.4.1).
func TestBearersGivenUpByThePhone(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		p.connectTo(2, ims)
		p.connectTo(3, work)
		p.dedicated(w.gw.session(internet), 0x700)
		p.idle()
		m := p.updateRequest(eps.UpdateTA | eps.UpdateActive)
		m.Bearers = eps.Some(eps.BearerStatus(0).With(5).With(7).With(12))
		p.initial(m)
		if a := down[*eps.TrackingAreaUpdateAccept](p); a.Bearers.V != eps.BearerStatus(0).With(5).With(7) {
			t.Errorf("%v", a)
		}
		req := expect[*s1ap.InitialContextSetupRequest](p.e)
		if n := len(req.ERABToBeSetupListCtxtSUReq); n != 2 {
			t.Errorf("%d E-RABs", n)
		}
		p.mmeID, p.kenb = req.MMEUES1APID, req.SecurityKey
		p.setupAll(req)
		if b := p.bearers(); len(b) != 2 || w.gw.session(ims) != nil || !slices.Contains(w.gw.said, "drop [8]") {
			t.Errorf("%+v; %v", b, w.gw.said)
		}
		p.idle()
		x := &eps.ExtendedServiceRequest{Type: eps.ServiceTypePacket, KSI: p.ksi, MTMSI: eps.MobileTMSI(p.guti.TMSI), Bearers: eps.Some(eps.BearerStatus(0).With(7))}
		p.initial(x)
		req = expect[*s1ap.InitialContextSetupRequest](p.e)
		if n := len(req.ERABToBeSetupListCtxtSUReq); n != 1 || req.ERABToBeSetupListCtxtSUReq[0].ERABID != 7 {
			t.Errorf("%+v", req.ERABToBeSetupListCtxtSUReq)
		}
		p.mmeID, p.kenb = req.MMEUES1APID, req.SecurityKey
		p.setupAll(req)
		if i := p.settled(); i.State != Connected || i.APN != work {
			t.Errorf("%v, APN %v", i.State, i.APN)
		}
		p.idle()
		x.Bearers = eps.Some(eps.BearerStatus(0).With(9))
		p.initial(x)
		if m := down[*eps.ServiceReject](p); m.Cause != eps.EMMCauseNoEPSBearerContextActivated {
			t.Errorf("%v", m)
		}
		p.released()
		p.settled()
		w.gw.none(w)
	})
}

// APN and PDN type against subscription and gateway (TS 24.301 §6.5.1.4, §6.2.2).
func TestAPNAndPDNType(t *testing.T) {
	v6 := netip.MustParseAddr("2001:db8:1:2:a:b:c:d")
	give := func(cause gtpc.Cause, v4, v6 netip.Addr) func(*s11.Session) {
		return func(s *s11.Session) { s.Cause, s.Address, s.IPv6 = cause, v4, v6 }
	}
	v4 := netip.MustParseAddr("10.45.9.9")
	for _, c := range []struct {
		name  string
		asked eps.PDNType
		has   home.PDNType
		gives func(*s11.Session) // nil: an IPv4 address
		want  eps.ESMCause       // of the reject, or in the accept
		taken eps.PDNType        // 0: rejected
	}{
		{"IPv6, IPv4 subscribed", eps.PDNTypeIPv6, home.PDNIPv4, nil, eps.ESMCausePDNTypeIPv4OnlyAllowed, 0},
		{"IPv4, IPv6 subscribed", eps.PDNTypeIPv4, home.PDNIPv6, nil, eps.ESMCausePDNTypeIPv6OnlyAllowed, 0},
		{"both, IPv4 subscribed", eps.PDNTypeIPv4v6, home.PDNIPv4, nil, eps.ESMCausePDNTypeIPv4OnlyAllowed, eps.PDNTypeIPv4},
		{"both, IPv6 subscribed", eps.PDNTypeIPv4v6, home.PDNIPv6, give(16, netip.Addr{}, v6), eps.ESMCausePDNTypeIPv6OnlyAllowed, eps.PDNTypeIPv6},
		{"both, one at a time subscribed", eps.PDNTypeIPv4v6, home.PDNEither, nil, eps.ESMCauseSingleAddressBearersOnlyAllowed, eps.PDNTypeIPv4},
		{"both, the gateway gives IPv6", eps.PDNTypeIPv4v6, home.PDNBoth, give(18, netip.Addr{}, v6), eps.ESMCausePDNTypeIPv6OnlyAllowed, eps.PDNTypeIPv6},
		{"both, the gateway gives single addresses", eps.PDNTypeIPv4v6, home.PDNAny, give(19, v4, netip.Addr{}), eps.ESMCauseSingleAddressBearersOnlyAllowed, eps.PDNTypeIPv4},
		{"both", eps.PDNTypeIPv4v6, home.PDNBoth, give(16, v4, v6), 0, eps.PDNTypeIPv4v6},
		{"IPv6", eps.PDNTypeIPv6, home.PDNAny, give(16, netip.Addr{}, v6), 0, eps.PDNTypeIPv6},
		{"IPv4, the gateway gives IPv6", eps.PDNTypeIPv4, home.PDNAny, give(16, netip.Addr{}, v6), eps.ESMCauseNetworkFailure, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, nil, func(w *world) {
				w.severalAPNs()
				w.home.profile.APNs[0].PDN = c.has
				p := w.phone(w.tower(0x19b))
				p.attach()
				w.gw.spoil = c.gives
				m := wants(2, ims)
				m.PDNType = c.asked
				p.uplink(m)
				if c.taken == 0 {
					if r := down[*eps.PDNConnectivityReject](p); r.Cause != c.want {
						t.Errorf("%v, want %v", r.Cause, c.want)
					}
					p.settled()
					w.gw.only(w)
					return
				}
				_, a := setUp[*eps.ActivateDefaultEPSBearerContextRequest](p)
				if a.Cause.V != c.want || a.Address.Type != c.taken || a.Address.Type != eps.PDNTypeIPv4 && a.Address.IID != [8]byte{0, 10, 0, 11, 0, 12, 0, 13} {
					t.Errorf("%v, cause %v, want %v", a.Address, a.Cause.V, c.want)
				}
			})
		})
	}
}

// A fixed address is asked of the gateway (TS 29.274 §7.2.1); an APN that is not in
// the subscription, an APN in a row with the same one, an unknown gateway's APN.
func TestAPNRules(t *testing.T) {
	play(t, nil, func(w *world) {
		w.severalAPNs()
		w.home.profile.APNs[0].IPv4 = netip.MustParseAddr("10.99.0.7")
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.connectTo(2, ims)
		w.gw.mu.Lock()
		asked := w.gw.asked
		w.gw.mu.Unlock()
		if asked.Address.IPv4 != netip.MustParseAddr("10.99.0.7") || asked.APN != ims || asked.QCI != 5 || asked.AMBR.DL != 2*id.Mbps || asked.Beside == nil || asked.Beside.APN != internet {
			t.Errorf("%+v", asked)
		}
		for apn, want := range map[string]eps.ESMCause{"elsewhere": eps.ESMCauseMissingOrUnknownAPN, "ims": eps.ESMCauseMultiplePDNConnectionsForAGivenAPNNotAllowed} {
			p.uplink(wants(3, must(id.ParseAPN(apn))))
			if m := down[*eps.PDNConnectivityReject](p); m.Cause != want {
				t.Errorf("%s: %v", apn, m.Cause)
			}
		}
		w.gw.refuse = &gtpc.CauseError{Cause: gtpc.UnknownAPN}
		p.uplink(wants(3, work))
		if m := down[*eps.PDNConnectivityReject](p); m.Cause != eps.ESMCauseMissingOrUnknownAPN {
			t.Errorf("%v", m.Cause)
		}
		m := wants(4, work)
		m.Request = eps.RequestTypeHandover
		p.uplink(m)
		if m := down[*eps.PDNConnectivityReject](p); m.Cause != eps.ESMCausePDNConnectionDoesNotExist {
			t.Errorf("%v", m.Cause)
		}
	})
}
