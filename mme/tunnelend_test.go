package mme

import (
	"net/netip"
	"testing"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/s1ap"
)

// badEnds are addresses to which no bearer may go: the gateway's own, where its
// packets would come back as the phone's uplink for ever, those of many, and none.
var badEnds = []netip.Addr{netip.MustParseAddr("127.0.0.30"), netip.MustParseAddr("::ffff:127.0.0.30"), netip.IPv4Unspecified(), netip.IPv6Unspecified(),
	netip.MustParseAddr("224.0.0.1"), netip.MustParseAddr("255.255.255.255"), netip.IPv6LinkLocalAllNodes()}

// An eNB names such an address in every message that has one, and the gateway never
// hears of it (TS 36.413 §8.2.1.2, §8.3.1.2, §8.4.2.2, §8.4.4.2).
func TestTunnelEndThatIsNone(t *testing.T) {
	for _, bad := range badEnds {
		t.Run(bad.String(), func(t *testing.T) { testTunnelEnd(t, bad) })
	}
}

func testTunnelEnd(t *testing.T, bad netip.Addr) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		w.severalAPNs()
		p := w.phone(e)
		good := e.addr
		p.attach()

		m := p.switchRequest(f) // a path switch
		m.ERABToBeSwitchedDLList[0].TransportLayerAddress = s1ap.FromAddr(bad)
		if got := f.refusedSwitch(m); got != s1ap.CauseTransportUnspecified.Cause() {
			t.Errorf("the path switch ends with %v", got)
		}
		p.teid-- // which stays

		h, _ := p.prepare(f) // a handover
		ready := h.ready()
		ready.ERABAdmittedList[0].TransportLayerAddress = s1ap.FromAddr(bad)
		f.send(ready)
		if got := p.failed(); got != s1ap.CauseRadioNetworkHoFailureInTargetEPCENBOrTargetSystem.Cause() {
			t.Errorf("the handover fails with %v", got)
		}
		h.unprepared()
		p.stays(7)

		e.addr = bad
		p.uplink(wants(2, ims)) // another bearer
		item, _ := setUp[*eps.ActivateDefaultEPSBearerContextRequest](p)
		p.standing(item.ERABID)
		if r := down[*eps.PDNConnectivityReject](p); r.Cause != eps.ESMCauseNetworkFailure {
			t.Errorf("rejected with %v", r.Cause)
		}
		p.idle()

		p.request() // the context
		p.setupResponse()
		p.released()
		if i := p.settled(); i.State != Idle {
			t.Errorf("the phone is %v", i.State)
		}
		_, x := w.gw.only(w)
		if e.addr = good; x.enb.TEID != 0 {
			t.Errorf("the gateway was told %v", x.enb)
		}
		p.request()
		p.setupResponse()
		if p.settled(); x.enb.Addr != good {
			t.Errorf("the gateway was told %v", x.enb)
		}
	})
}

// The source is not told to forward to such an address (TS 36.413 §8.4.1.2).
func TestForwardingEndThatIsNone(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		p.attach()
		m, r := p.prepareDirect(f)
		if x := r.ERABToBeSetupListHOReq[0].IEExtensions; x != nil {
			t.Errorf("forwarding is said not to be possible: %+v", x)
		}
		a := m.ready()
		a.ERABAdmittedList[0].DLTransportLayerAddress, a.ERABAdmittedList[0].DLGTPTEID = s1ap.FromAddr(badEnds[0]), new(s1ap.FromTEID(77))
		f.send(a)
		if l := expect[*s1ap.HandoverCommand](e).ERABSubjecttoDataForwardingList; len(l) != 0 {
			t.Errorf("forwarding %+v", l)
		}
		m.notify()
		m.left()
		p.stays(8)
	})
}

// prepareDirect is prepare between eNBs that reach each other.
func (p *phone) prepareDirect(f *enbPeer) (*moving, *s1ap.HandoverRequest) {
	p.w.t.Helper()
	r := p.required(f)
	r.DirectForwardingPathAvailability = new(s1ap.DirectForwardingPathAvailabilityDirectPathAvailable)
	p.e.send(r)
	q := expect[*s1ap.HandoverRequest](f)
	m := &moving{p, *p}
	f.lastID++
	m.there.e, m.there.mmeID, m.there.enbID = f, q.MMEUES1APID, f.lastID
	m.there.teid++
	return m, q
}

// A target that admits a bearer it was not asked for, one that is being set up at the
// source, gets nothing (TS 36.413 §8.4.2.2).
func TestHandoverAdmitsWhatWasNotAsked(t *testing.T) {
	play(t, nil, func(w *world) {
		p, f := w.attached(), w.towerIn(0x19c, 8)
		p.uplink(wants(2, ims))
		setUp[*eps.ActivateDefaultEPSBearerContextRequest](p)
		m, r := p.prepare(f)
		if n := len(r.ERABToBeSetupListHOReq); n != 1 {
			t.Errorf("%d bearers are to be handed over", n)
		}
		a := m.ready()
		m.admit(a, 5, 6)
		f.send(a)
		if got := p.failed(); got != s1ap.CauseRadioNetworkHoFailureInTargetEPCENBOrTargetSystem.Cause() {
			t.Errorf("the handover fails with %v", got)
		}
		m.unprepared()
		p.standing(6)
		p.uplink(&eps.ActivateDefaultEPSBearerContextAccept{EBI: 6})
		if i := p.settled(); i.State != Connected || len(i.Bearers) != 2 || i.Bearers[1].ENB != p.e.addr {
			t.Errorf("%+v", i)
		}
	})
}
