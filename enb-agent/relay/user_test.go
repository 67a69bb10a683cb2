package relay_test

import (
	"net/netip"
	"testing"
	"testing/synctest"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/s1ap"
	"campanile.network/enb-agent/relay"
)

func TestPathManagement(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		r.send(r.enbUser, radioAddr, gtpu.AppendEchoRequest(nil, 0xbeef))
		m, ok := r.got(r.enbUser)
		if !ok || m.Type != gtpu.EchoResponse || m.Sequence != 0xbeef {
			t.Errorf("%+v", m)
		}
		b := r.attach(1, 2, 0x1001, 0x2001)

		// A neighbour is told of an unknown tunnel, a stranger is not.
		r.send(r.gwUser, coreAddr, gtpu.AppendGPDU(nil, 0x99, packet(20)))
		m, ok = r.got(r.gwUser)
		if teid, peer, err := gtpu.ErrorIndicationOf(m); !ok || err != nil || teid != 0x99 || peer != coreAddr {
			t.Errorf("%+v: %v, %v, %v", m, teid, peer, err)
		}
		stranger, err := r.net.Listen(netip.MustParseAddrPort("127.0.0.66:2152"))
		if err != nil {
			t.Fatal(err)
		}
		r.send(stranger, coreAddr, gtpu.AppendGPDU(nil, 0x99, packet(20)))
		r.nothing(stranger)
		r.dropped(relay.UnknownTunnel, 2)

		// Nor may he use a tunnel, on either side.
		r.send(stranger, coreAddr, gtpu.AppendGPDU(nil, b.core, packet(20)))
		r.send(stranger, radioAddr, gtpu.AppendGPDU(nil, b.radio, packet(20)))
		r.send(stranger, coreAddr, gtpu.AppendEndMarker(nil, b.core))
		r.send(stranger, radioAddr, gtpu.AppendErrorIndication(nil, b.enb, enbAddr))
		r.nothing(r.enbUser)
		r.nothing(r.gwUser)
		r.dropped(relay.WrongSource, 4)

		// End markers and error indications pass, under the names the far side knows.
		r.send(r.enbUser, radioAddr, gtpu.AppendErrorIndication(nil, b.enb, enbAddr))
		m, ok = r.got(r.gwUser)
		if teid, peer, err := gtpu.ErrorIndicationOf(m); !ok || err != nil || teid != b.core || peer != coreAddr {
			t.Errorf("%+v: %v, %v, %v", m, teid, peer, err)
		}
		r.send(r.gwUser, coreAddr, gtpu.AppendErrorIndication(nil, b.gw, gwAddr))
		m, ok = r.got(r.enbUser)
		if teid, peer, err := gtpu.ErrorIndicationOf(m); !ok || err != nil || teid != b.radio || peer != radioAddr {
			t.Errorf("%+v: %v, %v, %v", m, teid, peer, err)
		}
		r.send(r.gwUser, coreAddr, gtpu.AppendEndMarker(nil, b.core))
		r.expect(r.enbUser, gtpu.EndMarker, b.enb, 0)
		if c := r.count(b.gw); c.UL+c.DL != 0 {
			t.Errorf("signalling was counted: %+v", c)
		}
	})
}

func TestWhatIsNoUserPacket(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		b := r.attach(1, 2, 0x1001, 0x2001)
		for _, d := range [][]byte{nil, {0x30}, make([]byte, 8), {0x30, 255, 0xff, 0xff, 0, 0, 0, 1}} {
			r.send(r.enbUser, radioAddr, d)
		}
		r.dropped(relay.Malformed, 4)
		r.send(r.enbUser, radioAddr, gtpu.AppendGPDU(nil, b.radio, nil))
		r.send(r.enbUser, radioAddr, gtpu.AppendGPDU(nil, b.radio, []byte("not IP")))
		long := packet(40)
		long[3] = 200 // says it is longer than it is
		r.send(r.enbUser, radioAddr, gtpu.AppendGPDU(nil, b.radio, long))
		r.dropped(relay.NotIP, 3)
		r.nothing(r.gwUser)

		// Padding behind the packet does not count; extension headers pass.
		padded := append(packet(40), make([]byte, 8)...)
		m := gtpu.Message{Type: gtpu.GPDU, TEID: b.radio, HasSequence: true, Sequence: 7, Payload: padded}
		if err := m.AddExtension(gtpu.PDCPNumber, []byte{1, 2}); err != nil {
			t.Fatal(err)
		}
		d, err := m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		r.send(r.enbUser, radioAddr, append(d, 0xee, 0xee)) // octets behind the message do not pass
		got, ok := r.got(r.gwUser)
		n := 0
		for range got.Extensions {
			n++
		}
		if !ok || got.TEID != b.gw || got.Sequence != 7 || n != 1 || len(got.Payload) != 48 {
			t.Errorf("%+v", got)
		}
		if c := r.count(b.gw); c.UL != 40 {
			t.Errorf("%+v", c)
		}
	})
}

// Uplink may come before the eNB's answer has: from the eNB, nobody else.
func TestUplinkBeforeTheAnswer(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		req := tell(r, r.mme, r.enb, contextSetup(1, 2, 0x1001))
		b := bearer{radio: req.ERABToBeSetupListCtxtSUReq[0].GTPTEID.ID(), gw: 0x1001}
		r.uplink(b, 44)
		r.expect(r.gwUser, gtpu.GPDU, b.gw, 44)
	})
}

// With loss on the backhaul each end counts what it knows: uplink what was
// sent to the gateway, downlink what arrived from it.
func TestLossOnTheBackhaul(t *testing.T) {
	n := 0
	lossy := func(from, to netip.AddrPort, b []byte) int {
		if from.Addr() == coreAddr || to.Addr() == coreAddr {
			if n++; n%3 == 0 {
				return 0
			}
		}
		return 1
	}
	inBubble(t, lossy, func(t *testing.T, r *rig) {
		b := r.attach(1, 2, 0x1001, 0x2001)
		var ul, dl uint64
		for range 100 {
			r.uplink(b, 100)
			if m, ok := r.got(r.gwUser); ok {
				ul += uint64(len(m.Payload))
			}
			r.downlink(b, 100)
			if m, ok := r.got(r.enbUser); ok {
				dl += uint64(len(m.Payload))
			}
		}
		c := r.count(b.gw)
		if c.UL != 10_000 || ul >= 10_000 || c.DL != dl || dl >= 10_000 {
			t.Errorf("counted %+v; delivered uplink %d, downlink %d", c, ul, dl)
		}
	})
}

// The allowance ends relaying to the octet, and refusing ends opening bearers.
func TestAllowance(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		b := r.attach(1, 2, 0x1001, 0x2001)
		r.relay.Allow(1000)
		r.uplink(b, 600)
		r.expect(r.gwUser, gtpu.GPDU, b.gw, 600)
		r.downlink(b, 401)
		r.nothing(r.enbUser)
		r.downlink(b, 400)
		r.expect(r.enbUser, gtpu.GPDU, b.enb, 400)
		r.uplink(b, 20)
		r.nothing(r.gwUser)
		r.dropped(relay.Closed, 2)
		select {
		case <-r.relay.Spent():
		default:
			t.Error("nobody is told that the allowance is spent")
		}
		if c := r.count(b.gw); c.UL != 600 || c.DL != 400 || r.relay.Octets() != 1000 {
			t.Errorf("%+v, %d octets", c, r.relay.Octets())
		}

		r.relay.Refuse(true)
		fail := refuse[*s1ap.InitialContextSetupFailure](r, contextSetup(3, 4, 0x1003))
		if fail.MMEUES1APID != 3 || fail.ENBUES1APID != 4 || fail.Cause != s1ap.CauseTransportTransportResourceUnavailable.Cause() {
			t.Errorf("%+v", fail)
		}
		setup := refuse[*s1ap.ERABSetupResponse](r, &s1ap.ERABSetupRequest{MMEUES1APID: 1, ENBUES1APID: 2, ERABToBeSetupListBearerSUReq: s1ap.ERABToBeSetupListBearerSUReq{
			{ERABID: 6, ERABLevelQoSParameters: quality, TransportLayerAddress: address(gwAddr), GTPTEID: s1ap.FromTEID(0x1006), NASPDU: []byte{1}}}})
		if len(setup.ERABFailedToSetupListBearerSURes) != 1 || setup.ERABFailedToSetupListBearerSURes[0].ERABID != 6 || len(setup.ERABSetupListBearerSURes) != 0 {
			t.Errorf("%+v", setup)
		}
		if r.relay.ReleaseAll(t.Context()) != 1 {
			t.Error("one context was to be released")
		}
		ask := hear[*s1ap.UEContextReleaseRequest](r, r.mme)
		if ask.MMEUES1APID != 1 || ask.ENBUES1APID != 2 || ask.Cause != s1ap.CauseTransportTransportResourceUnavailable.Cause() {
			t.Errorf("%+v", ask)
		}
		if r.relay.ReleaseAll(t.Context()) != 0 {
			t.Error("asked twice")
		}
		if s := r.relay.Stats(); s.Refused != 2 {
			t.Errorf("%+v", s)
		}

		r.relay.Refuse(false)
		r.relay.Allow(2000)
		r.uplink(b, 20)
		r.expect(r.gwUser, gtpu.GPDU, b.gw, 20)
		r.attach(5, 6, 0x1005, 0x2005)
	})
}

// refuse sends a request of the MME that the relay answers itself; the eNB
// hears nothing of it.
func refuse[M s1ap.Message](r *rig, m s1ap.Message) M {
	r.t.Helper()
	b, err := s1ap.Append(nil, m)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.mme.Send(r.t.Context(), 1, 18, b); err != nil {
		r.t.Fatal(err)
	}
	got := hear[M](r, r.mme)
	synctest.Wait()
	tell(r, r.mme, r.enb, &s1ap.DownlinkNASTransport{MMEUES1APID: 1, ENBUES1APID: 2, NASPDU: []byte{7}}) // and nothing before it
	return got
}
