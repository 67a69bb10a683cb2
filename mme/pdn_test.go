package mme

import (
	"slices"
	"testing"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// A phone connects to two more APNs, uses all three after an idle time, and
// disconnects one (TS 24.301 §6.5.1, §6.5.2).
func TestSeveralPDNConnections(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		if e := p.connectTo(2, ims); e != 6 {
			t.Errorf("EPS bearer identity %d", e)
		}
		if e := p.connectTo(3, work); e != 7 {
			t.Errorf("EPS bearer identity %d", e)
		}
		if b := p.bearers(); len(b) != 3 || b[6].APN != ims || b[6].QCI != 5 || b[7].DL == 0 || b[7].Address == b[6].Address || b[7].Linked != 7 {
			t.Errorf("%+v", b)
		}
		w.gw.mu.Lock()
		for s, x := range w.gw.sessions {
			if len(x.segments) != 1 || x.enb.TEID == 0 {
				t.Errorf("%v: %d segments, tunnel %v", s.APN, len(x.segments), x.enb)
			}
		}
		w.gw.mu.Unlock()

		p.idle()
		m := p.request()
		if len(m.ERABToBeSetupListCtxtSUReq) != 3 {
			t.Errorf("%d E-RABs", len(m.ERABToBeSetupListCtxtSUReq))
		}
		if a := m.UEAggregateMaximumBitrate; a.UEaggregateMaximumBitRateDL != s1ap.BitRate(100*id.Mbps) {
			t.Errorf("UE-AMBR %v", a)
		}
		p.setupAll(m)
		if b := p.bearers(); b[5].DL == 0 || b[6].DL == 0 || b[7].DL == 0 {
			t.Errorf("%+v", b)
		}

		p.uplink(&eps.PDNDisconnectRequest{PTI: 4, Linked: 6})
		ebis, d := releases[*eps.DeactivateEPSBearerContextRequest](p)
		if !slices.Equal(ebis, []id.EBI{6}) || d.EBI != 6 || d.PTI != 4 || d.Cause != eps.ESMCauseRegularDeactivation {
			t.Errorf("%v: %v", ebis, d)
		}
		p.uplink(&eps.DeactivateEPSBearerContextAccept{EBI: 6})
		p.erabsGone(6)
		if b := p.bearers(); len(b) != 2 || w.gw.session(ims) != nil {
			t.Errorf("%+v; at the gateway %v", b, w.gw.session(ims))
		}
		w.counted("PDN disconnect ok", 1)
		if e := p.connectTo(5, ims); e != 6 { // the identity is free again
			t.Errorf("EPS bearer identity %d", e)
		}
		p.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		p.released()
		p.settled()
		w.gw.none(w)
	})
}

// setupAll is the eNB's response to a context setup, all well but for the bearers
// that fail.
func (p *phone) setupAll(req *s1ap.InitialContextSetupRequest, fail ...id.EBI) {
	p.w.t.Helper()
	m := &s1ap.InitialContextSetupResponse{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID}
	for i := range req.ERABToBeSetupListCtxtSUReq {
		e := req.ERABToBeSetupListCtxtSUReq[i].ERABID
		if slices.Contains(fail, id.EBI(e)) {
			m.ERABFailedToSetupListCtxtSURes = append(m.ERABFailedToSetupListCtxtSURes, s1ap.ERABItem{ERABID: e, Cause: s1ap.CauseRadioNetworkRadioResourcesNotAvailable.Cause()})
			continue
		}
		p.teid++
		m.ERABSetupListCtxtSURes = append(m.ERABSetupListCtxtSURes, s1ap.ERABSetupItemCtxtSURes{ERABID: e,
			TransportLayerAddress: s1ap.FromAddr(p.e.addr), GTPTEID: s1ap.FromTEID(id.TEID(p.teid))})
	}
	p.e.send(m)
}
