package relay_test

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/s1ap"
	"campanile.network/enb-agent/relay"
	"campanile.network/internal/sctp"
)

// What concerns no tunnel passes octet by octet, on its stream.
func TestOtherMessagesPassUnchanged(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		for _, m := range []sctp.Message{
			{Stream: 0, PPID: 18, Data: setupRequest(t)},
			{Stream: 9, PPID: 18, Data: []byte{0xde, 0xad}}, // nonsense: the far end says so
			{Stream: 3, PPID: 77, Data: []byte{1}},
		} {
			for _, way := range [][2]sctp.Association{{r.enb, r.mme}, {r.mme, r.enb}} {
				if err := way[0].Send(t.Context(), m.Stream, m.PPID, m.Data); err != nil {
					t.Fatal(err)
				}
				got, err := way[1].Recv(t.Context())
				if err != nil || got.Stream != m.Stream || got.PPID != m.PPID || !bytes.Equal(got.Data, m.Data) {
					t.Errorf("%+v came as %+v, %v", m, got, err)
				}
			}
		}
		if s := r.relay.Stats(); s.Verbatim != 2 || s.ENBs != 1 || s.Tunnels != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// The walk of one bearer: set up, both directions, release.
func TestBearer(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		b := r.attach(1, 2, 0x1001, 0x2001)
		r.uplink(b, 100)
		r.expect(r.gwUser, gtpu.GPDU, b.gw, 100)
		r.downlink(b, 1400)
		r.expect(r.enbUser, gtpu.GPDU, b.enb, 1400)
		if c := r.count(b.gw); c != (relay.Count{TEID: b.gw, UL: 100, DL: 1400, InUse: true}) {
			t.Errorf("%+v", c)
		}
		if s := r.relay.Stats(); s.Octets != 1500 || s.Packets != 2 || s.UEs != 1 || s.Tunnels != 1 || len(s.Dropped) != 0 {
			t.Errorf("%+v", s)
		}
		tell(r, r.enb, r.mme, &s1ap.UEContextReleaseComplete{MMEUES1APID: 1, ENBUES1APID: 2})
		r.downlink(b, 40) // was under way: it has arrived and counts
		r.nothing(r.enbUser)
		r.uplink(b, 40)
		r.nothing(r.gwUser)
		r.dropped(relay.Released, 2)
		time.Sleep(4 * time.Second)
		r.downlink(b, 40)
		r.dropped(relay.UnknownTunnel, 1)
		if c := r.count(b.gw); c != (relay.Count{TEID: b.gw, UL: 100, DL: 1440}) {
			t.Errorf("%+v", c)
		}
		if s := r.relay.Stats(); s.UEs != 0 || s.Tunnels != 0 {
			t.Errorf("%+v", s)
		}

		// The phone comes back: another context, the same bearer, the count goes on.
		b2 := r.attach(3, 4, b.gw, 0x2002)
		if b2.radio == b.radio || b2.core == b.core {
			t.Error("tunnel numbers are used again")
		}
		r.uplink(b2, 60)
		if c := r.count(b.gw); c.UL != 160 || c.DL != 1440 {
			t.Errorf("%+v", c)
		}
		r.relay.Forget(b.gw) // in use: stays
		if c := r.count(b.gw); c.UL != 160 {
			t.Errorf("%+v", c)
		}
	})
}

func TestERABsComeAndGo(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		b := r.attach(1, 2, 0x1001, 0x2001)
		req := tell(r, r.mme, r.enb, &s1ap.ERABSetupRequest{MMEUES1APID: 1, ENBUES1APID: 2, ERABToBeSetupListBearerSUReq: s1ap.ERABToBeSetupListBearerSUReq{
			{ERABID: 6, ERABLevelQoSParameters: quality, TransportLayerAddress: address(gwAddr), GTPTEID: s1ap.FromTEID(0x1006), NASPDU: []byte{1}},
			{ERABID: 7, ERABLevelQoSParameters: quality, TransportLayerAddress: address(gwAddr), GTPTEID: s1ap.FromTEID(0x1007), NASPDU: []byte{1}},
		}})
		six, seven := req.ERABToBeSetupListBearerSUReq[0].GTPTEID.ID(), req.ERABToBeSetupListBearerSUReq[1].GTPTEID.ID()
		if six == seven || six == b.radio || six == 0 {
			t.Fatalf("tunnels %v, %v, %v", b.radio, six, seven)
		}
		tell(r, r.enb, r.mme, &s1ap.ERABSetupResponse{MMEUES1APID: 1, ENBUES1APID: 2,
			ERABSetupListBearerSURes:         s1ap.ERABSetupListBearerSURes{{ERABID: 6, TransportLayerAddress: address(enbAddr), GTPTEID: s1ap.FromTEID(0x2006)}},
			ERABFailedToSetupListBearerSURes: s1ap.ERABList{{ERABID: 7, Cause: s1ap.CauseMiscUnspecified.Cause()}}})
		r.uplink(bearer{radio: six}, 50)
		r.expect(r.gwUser, gtpu.GPDU, 0x1006, 50)
		r.uplink(bearer{radio: seven}, 50)
		r.nothing(r.gwUser)

		// The gateway's end moves.
		mod := tell(r, r.mme, r.enb, &s1ap.ERABModifyRequest{MMEUES1APID: 1, ENBUES1APID: 2, ERABToBeModifiedListBearerModReq: s1ap.ERABToBeModifiedListBearerModReq{
			{ERABID: 6, ERABLevelQoSParameters: quality, NASPDU: []byte{1}, IEExtensions: &s1ap.ERABToBeModifyItemBearerModReqExtIEs{
				TransportInformation: &s1ap.TransportInformation{TransportLayerAddress: address(gwAddr), ULGTPTEID: s1ap.FromTEID(0x1666)}}}}})
		if got := mod.ERABToBeModifiedListBearerModReq[0].IEExtensions.TransportInformation; got.ULGTPTEID.ID() != six {
			t.Errorf("the eNB is told of another tunnel: %+v", got)
		}
		r.uplink(bearer{radio: six}, 70)
		r.expect(r.gwUser, gtpu.GPDU, 0x1666, 70)
		if a, b := r.count(0x1006), r.count(0x1666); a.UL != 50 || a.InUse || b.UL != 70 || !b.InUse {
			t.Errorf("%+v, %+v", a, b)
		}
		tell(r, r.enb, r.mme, &s1ap.ERABReleaseResponse{MMEUES1APID: 1, ENBUES1APID: 2,
			ERABReleaseListBearerRelComp: s1ap.ERABReleaseListBearerRelComp{{ERABID: 6}}})
		r.uplink(bearer{radio: six}, 70)
		r.nothing(r.gwUser)
		r.uplink(b, 30)
		r.expect(r.gwUser, gtpu.GPDU, b.gw, 30)
	})
}

// An S1 handover between two eNBs behind one relay, with direct forwarding.
func TestS1Handover(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		b := r.attach(1, 2, 0x1001, 0x2001)
		r.uplink(b, 40)
		r.expect(r.gwUser, gtpu.GPDU, b.gw, 40)
		enb2, mme2 := r.call()
		req := tell(r, mme2, enb2, &s1ap.HandoverRequest{MMEUES1APID: 9, HandoverType: s1ap.HandoverTypeIntralte, Cause: s1ap.CauseRadioNetworkHandoverDesirableForRadioReason.Cause(),
			UEAggregateMaximumBitrate:          s1ap.UEAggregateMaximumBitrate{UEaggregateMaximumBitRateDL: 1, UEaggregateMaximumBitRateUL: 1},
			ERABToBeSetupListHOReq:             s1ap.ERABToBeSetupListHOReq{{ERABID: 5, TransportLayerAddress: address(gwAddr), GTPTEID: s1ap.FromTEID(b.gw), ERABLevelQoSParameters: quality}},
			SourceToTargetTransparentContainer: []byte{1}})
		radio2 := req.ERABToBeSetupListHOReq[0].GTPTEID.ID()
		if a, _ := req.ERABToBeSetupListHOReq[0].TransportLayerAddress.Addr(); a != radioAddr || radio2 == b.radio {
			t.Fatalf("%+v", req.ERABToBeSetupListHOReq)
		}
		ack := tell(r, enb2, mme2, &s1ap.HandoverRequestAcknowledge{MMEUES1APID: 9, ENBUES1APID: 77, TargetToSourceTransparentContainer: []byte{1},
			ERABAdmittedList: s1ap.ERABAdmittedList{{ERABID: 5, TransportLayerAddress: address(enbAddr), GTPTEID: s1ap.FromTEID(0x3001),
				DLTransportLayerAddress: address(enbAddr), DLGTPTEID: new(s1ap.FromTEID(0x3f01))}}})
		item := ack.ERABAdmittedList[0]
		if item.GTPTEID.ID() == 0x3001 || item.DLGTPTEID.ID() == 0x3f01 || item.DLGTPTEID.ID() == item.GTPTEID.ID() {
			t.Fatalf("%+v", item)
		}
		cmd := tell(r, r.mme, r.enb, &s1ap.HandoverCommand{MMEUES1APID: 1, ENBUES1APID: 2, HandoverType: s1ap.HandoverTypeIntralte, TargetToSourceTransparentContainer: []byte{1},
			ERABSubjecttoDataForwardingList: s1ap.ERABSubjecttoDataForwardingList{{ERABID: 5, DLTransportLayerAddress: item.DLTransportLayerAddress, DLGTPTEID: item.DLGTPTEID}}})
		fwd := cmd.ERABSubjecttoDataForwardingList[0]
		if a, _ := fwd.DLTransportLayerAddress.Addr(); a != radioAddr {
			t.Fatalf("the source eNB forwards to %v", a)
		}
		// The new leg carries both directions and counts on the same bearer.
		b2 := bearer{radio: radio2, core: item.GTPTEID.ID(), enb: 0x3001, gw: b.gw}
		r.uplink(b2, 20)
		r.expect(r.gwUser, gtpu.GPDU, b.gw, 20)
		r.downlink(b2, 30)
		r.expect(r.enbUser, gtpu.GPDU, 0x3001, 30)
		tell(r, r.enb, r.mme, &s1ap.UEContextReleaseComplete{MMEUES1APID: 1, ENBUES1APID: 2})
		if c := r.count(b.gw); c.UL != 60 || c.DL != 30 || !c.InUse {
			t.Errorf("%+v", c)
		}
	})
}

// A handover out of LTE, with forwarding: the eNB forwards through the relay.
func TestForwardingElsewhere(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		r.attach(1, 2, 0x1001, 0x2001)
		m := tell(r, r.mme, r.enb, &s1ap.DownlinkS1cdma2000tunnelling{MMEUES1APID: 1, ENBUES1APID: 2, Cdma2000PDU: []byte{1},
			ERABSubjecttoDataForwardingList: s1ap.ERABSubjecttoDataForwardingList{{ERABID: 5, DLTransportLayerAddress: address(gwAddr), DLGTPTEID: new(s1ap.FromTEID(0x7001))}}})
		fwd := m.ERABSubjecttoDataForwardingList[0]
		if a, _ := fwd.DLTransportLayerAddress.Addr(); a != radioAddr || fwd.DLGTPTEID.ID() == 0x7001 {
			t.Fatalf("the eNB forwards to %v", a)
		}
		r.uplink(bearer{radio: fwd.DLGTPTEID.ID()}, 33)
		r.expect(r.gwUser, gtpu.GPDU, 0x7001, 33)
		if c := r.count(0x7001); c != (relay.Count{}) {
			t.Errorf("what is forwarded counts: %+v", c)
		}
	})
}

// An X2 handover between two eNBs behind one relay: the tunnels move.
func TestPathSwitch(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		b := r.attach(1, 2, 0x1001, 0x2001)
		enb2, mme2 := r.call()
		req := tell(r, enb2, mme2, &s1ap.PathSwitchRequest{ENBUES1APID: 55, SourceMMEUES1APID: 1,
			ERABToBeSwitchedDLList: s1ap.ERABToBeSwitchedDLList{{ERABID: 5, TransportLayerAddress: address(enbAddr), GTPTEID: s1ap.FromTEID(0x5001)}},
			EUTRANCGI:              s1ap.EUTRANCGI{PLMNidentity: s1ap.PLMNidentity{0, 0xf1, 0x10}, CellID: 1}, TAI: s1ap.TAI{PLMNidentity: s1ap.PLMNidentity{0, 0xf1, 0x10}}})
		if req.ERABToBeSwitchedDLList[0].GTPTEID.ID() != b.core {
			t.Errorf("the gateway is told of another tunnel: %+v", req.ERABToBeSwitchedDLList)
		}
		tell(r, mme2, enb2, &s1ap.PathSwitchRequestAcknowledge{MMEUES1APID: 1, ENBUES1APID: 55, SecurityContext: s1ap.SecurityContext{}})
		r.expect(r.enbUser, gtpu.EndMarker, b.enb, 0)
		r.downlink(b, 30)
		r.expect(r.enbUser, gtpu.GPDU, 0x5001, 30)
		r.uplink(b, 20) // on the tunnel the eNB got from its neighbour
		r.expect(r.gwUser, gtpu.GPDU, b.gw, 20)
		// The old eNB's end of the context is none of the bearer's business.
		tell(r, r.enb, r.mme, &s1ap.UEContextReleaseComplete{MMEUES1APID: 1, ENBUES1APID: 2})
		r.downlink(b, 30)
		r.expect(r.enbUser, gtpu.GPDU, 0x5001, 30)
		tell(r, enb2, mme2, &s1ap.UEContextReleaseComplete{MMEUES1APID: 1, ENBUES1APID: 55})
		r.downlink(b, 30)
		r.nothing(r.enbUser)
	})
}

// Nobody opens tunnels from the wrong end, or answers what was not asked.
func TestWrongEnd(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		req := tell(r, r.enb, r.mme, contextSetup(1, 2, 0x1001)) // an eNB playing the MME
		if a, _ := req.ERABToBeSetupListCtxtSUReq[0].TransportLayerAddress.Addr(); a != gwAddr {
			t.Error("rewritten")
		}
		tell(r, r.enb, r.mme, &s1ap.InitialContextSetupResponse{MMEUES1APID: 1, ENBUES1APID: 2,
			ERABSetupListCtxtSURes: s1ap.ERABSetupListCtxtSURes{{ERABID: 5, TransportLayerAddress: address(netip.MustParseAddr("8.8.8.8")), GTPTEID: s1ap.FromTEID(1)}}})
		if s := r.relay.Stats(); s.Tunnels != 0 || s.UEs != 0 {
			t.Errorf("%+v", s)
		}
		b := r.attach(1, 2, 0x1001, 0x2001)
		tell(r, r.mme, r.enb, &s1ap.InitialContextSetupResponse{MMEUES1APID: 1, ENBUES1APID: 2, // an MME playing the eNB
			ERABSetupListCtxtSURes: s1ap.ERABSetupListCtxtSURes{{ERABID: 5, TransportLayerAddress: address(netip.MustParseAddr("8.8.8.8")), GTPTEID: s1ap.FromTEID(1)}}})
		tell(r, r.mme, r.enb, &s1ap.UEContextReleaseComplete{MMEUES1APID: 1, ENBUES1APID: 2})
		r.uplink(b, 40)
		r.expect(r.gwUser, gtpu.GPDU, b.gw, 40)
		r.downlink(b, 40)
		r.expect(r.enbUser, gtpu.GPDU, b.enb, 40)
	})
}
