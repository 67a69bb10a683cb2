package relay_test

import (
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

func switched(mme s1ap.MMEUES1APID, enb s1ap.ENBUES1APID, gw id.TEID) *s1ap.PathSwitchRequestAcknowledge {
	return &s1ap.PathSwitchRequestAcknowledge{MMEUES1APID: mme, ENBUES1APID: enb, SecurityContext: s1ap.SecurityContext{},
		ERABToBeSwitchedULList: s1ap.ERABToBeSwitchedULList{{ERABID: 5, TransportLayerAddress: address(gwAddr), GTPTEID: s1ap.FromTEID(gw)}}}
}

// arrive is the path switch of a phone that comes from another relay's eNB.
func (r *rig) arrive(mme s1ap.MMEUES1APID, enb s1ap.ENBUES1APID, gw, en id.TEID) bearer {
	r.t.Helper()
	req := tell(r, r.enb, r.mme, pathSwitch(mme, enb, en))
	item := req.ERABToBeSwitchedDLList[0]
	if a, _ := item.TransportLayerAddress.Addr(); a != coreAddr || item.GTPTEID.ID() == en {
		r.t.Fatalf("the gateway is told to send to %v", a)
	}
	b := bearer{core: item.GTPTEID.ID(), enb: en, gw: gw}
	r.downlink(b, 60) // before the MME has answered
	r.expect(r.enbUser, gtpu.GPDU, en, 60)
	ack := tell(r, r.mme, r.enb, switched(mme, enb, gw))
	back := ack.ERABToBeSwitchedULList[0]
	if a, _ := back.TransportLayerAddress.Addr(); a != radioAddr || back.GTPTEID.ID() == gw {
		r.t.Fatalf("the eNB is told to send to %v", a)
	}
	b.radio = back.GTPTEID.ID()
	return b
}

// TS 36.413 §8.4.4: a phone comes from an eNB behind another relay; all that it
// moves is counted here, under its gateway's name.
func TestPathSwitchFromElsewhere(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		b := r.arrive(1, 2, 0x1001, 0x2001)
		r.uplink(b, 40)
		r.expect(r.gwUser, gtpu.GPDU, b.gw, 40)
		r.downlink(b, 50)
		r.expect(r.enbUser, gtpu.GPDU, b.enb, 50)
		if c := r.count(b.gw); c.UL != 40 || c.DL != 110 || !c.InUse || r.relay.Octets() != 150 {
			t.Errorf("%+v", c)
		}
		tell(r, r.enb, r.mme, &s1ap.UEContextReleaseComplete{MMEUES1APID: 1, ENBUES1APID: 2})
		time.Sleep(5 * time.Second)
		if s, c := r.relay.Stats(), r.count(b.gw); s.UEs != 0 || s.Tunnels != 0 || c.InUse {
			t.Errorf("%+v; %+v", s, c)
		}

		// What the MME refuses leaves nothing.
		tell(r, r.enb, r.mme, pathSwitch(3, 4, 0x2003))
		tell(r, r.mme, r.enb, &s1ap.PathSwitchRequestFailure{MMEUES1APID: 3, ENBUES1APID: 4, Cause: s1ap.CauseRadioNetworkUnspecified.Cause()})
		time.Sleep(5 * time.Second)
		if s := r.relay.Stats(); s.UEs != 0 || s.Tunnels != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// A phone leaves by X2: the gateway's End Marker is all that is heard of it here
// (TS 29.281 §7.3.2).
func TestEndMarkerEndsBearer(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *rig) {
		b := r.attach(1, 2, 0x1001, 0x2001)
		other := r.attach(3, 4, 0x1003, 0x2003)
		r.send(r.enbUser, radioAddr, gtpu.AppendEndMarker(nil, b.radio)) // an eNB's ends nothing
		r.expect(r.gwUser, gtpu.EndMarker, b.gw, 0)
		r.downlink(b, 30)
		r.expect(r.enbUser, gtpu.GPDU, b.enb, 30)

		r.send(r.gwUser, coreAddr, gtpu.AppendEndMarker(nil, b.core))
		r.expect(r.enbUser, gtpu.EndMarker, b.enb, 0)
		r.downlink(b, 30) // late
		r.expect(r.enbUser, gtpu.GPDU, b.enb, 30)
		r.uplink(b, 20) // was under way
		r.expect(r.gwUser, gtpu.GPDU, b.gw, 20)
		time.Sleep(5 * time.Second)
		if s, c := r.relay.Stats(), r.count(b.gw); s.UEs != 1 || s.Tunnels != 1 || c.InUse || c.DL != 60 || c.UL != 20 {
			t.Errorf("%+v; %+v", s, c)
		}
		r.downlink(other, 20)
		r.expect(r.enbUser, gtpu.GPDU, other.enb, 20)
		b = r.arrive(1, 5, 0x1001, 0x2005) // it comes back
		r.uplink(b, 40)
		r.expect(r.gwUser, gtpu.GPDU, b.gw, 40)
		if c := r.count(b.gw); c.UL != 60 || c.DL != 120 {
			t.Errorf("%+v", c)
		}

		r.send(r.gwUser, coreAddr, gtpu.AppendEndMarker(nil, b.core)) // and again, and back at once
		r.expect(r.enbUser, gtpu.EndMarker, b.enb, 0)
		b = r.arrive(1, 6, 0x1001, 0x2006)
		time.Sleep(5 * time.Second)
		r.downlink(b, 25)
		r.expect(r.enbUser, gtpu.GPDU, b.enb, 25)
		if s := r.relay.Stats(); s.UEs != 2 || s.Tunnels != 2 {
			t.Errorf("%+v", s)
		}
	})
}
