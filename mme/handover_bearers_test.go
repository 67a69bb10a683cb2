package mme

import (
	"slices"
	"testing"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// threeBearers is a phone with a dedicated bearer (6) on its first PDN connection
// (5), and another PDN connection (7).
func (w *world) threeBearers() *phone {
	w.t.Helper()
	p := w.attached()
	s, _ := w.gw.only(w)
	if p.dedicated(s, 0x700) != 6 || p.connectTo(9, ims) != 7 {
		w.t.Fatal("other bearer identities")
	}
	return p
}

// admit makes the target take these bearers.
func (m *moving) admit(a *s1ap.HandoverRequestAcknowledge, ebis ...s1ap.ERABID) {
	a.ERABAdmittedList = nil
	for _, e := range ebis {
		a.ERABAdmittedList = append(a.ERABAdmittedList, s1ap.ERABAdmittedItem{ERABID: e, TransportLayerAddress: s1ap.FromAddr(m.there.e.addr), GTPTEID: s1ap.FromTEID(0x4000 + id.TEID(e))})
	}
}

// moved checks the bearers of a phone that has moved, and that the gateway has
// been told of those that are no more.
func (p *phone) moved(dropped string, sessions int, ebis ...id.EBI) {
	p.w.t.Helper()
	has := p.bearers()
	for _, e := range ebis {
		if has[e].DL != 0x4000+id.TEID(e) {
			p.w.t.Errorf("bearer %d: %+v", e, has[e])
		}
	}
	g := p.w.gw
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(has) != len(ebis) || len(g.sessions) != sessions || slices.Contains(g.said, "drop [6]") != (dropped != "") || len(g.bad) != 0 {
		p.w.t.Errorf("bearers %+v, %d sessions; the gateway was asked %v; %v", has, len(g.sessions), g.said, g.bad)
	}
}

// TS 36.413 §8.4.2.2, TS 23.401 §5.5.1.2.2: what the target does not admit is
// released: a dedicated bearer alone, with a default bearer its PDN connection.
func TestHandoverPartialAdmission(t *testing.T) {
	for _, c := range []struct {
		admits   []s1ap.ERABID
		left     []id.EBI
		dropped  string
		sessions int
	}{
		{[]s1ap.ERABID{5, 6, 7}, []id.EBI{5, 6, 7}, "", 2},
		{[]s1ap.ERABID{5, 7}, []id.EBI{5, 7}, "drop [6]", 2},
		{[]s1ap.ERABID{7}, []id.EBI{7}, "", 1},
		{[]s1ap.ERABID{6, 7}, []id.EBI{7}, "", 1},
	} {
		play(t, nil, func(w *world) {
			p := w.threeBearers()
			f := w.towerIn(0x19c, 8)
			m, r := p.prepare(f)
			if len(r.ERABToBeSetupListHOReq) != 3 {
				t.Errorf("%+v", r.ERABToBeSetupListHOReq)
			}
			a := m.ready()
			m.admit(a, c.admits...)
			if !slices.Contains(c.admits, 6) {
				a.ERABFailedtoSetupListHOReqAck = s1ap.ERABFailedtoSetupListHOReqAck{{ERABID: 6, Cause: s1ap.CauseRadioNetworkNotSupportedQCIValue.Cause()}}
			}
			f.send(a)
			cmd := expect[*s1ap.HandoverCommand](p.e)
			if len(cmd.ERABtoReleaseListHOCmd) != 3-len(c.admits) {
				t.Errorf("admits %v: %+v", c.admits, cmd.ERABtoReleaseListHOCmd)
			}
			for i := range cmd.ERABtoReleaseListHOCmd {
				want := s1ap.CauseRadioNetworkPartialHandover.Cause()
				if cmd.ERABtoReleaseListHOCmd[i].ERABID == 6 {
					want = s1ap.CauseRadioNetworkNotSupportedQCIValue.Cause()
				}
				if cmd.ERABtoReleaseListHOCmd[i].Cause != want {
					t.Errorf("admits %v: %+v", c.admits, cmd.ERABtoReleaseListHOCmd[i])
				}
			}
			m.notify()
			m.left()
			p.moved(c.dropped, c.sessions, c.left...)
		})
	}
}

// Without any default bearer the phone stays where it is (TS 23.401 §5.5.1.2.3).
func TestHandoverNoDefaultBearer(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.threeBearers()
		f := w.towerIn(0x19c, 8)
		m, _ := p.prepare(f)
		a := m.ready()
		m.admit(a, 6)
		f.send(a)
		if got := p.failed(); got != s1ap.CauseRadioNetworkHoFailureInTargetEPCENBOrTargetSystem.Cause() {
			t.Errorf("cause %v", got)
		}
		m.unprepared()
		if b := p.bearers(); len(b) != 3 {
			t.Errorf("%+v", b)
		}
	})
}

// TS 36.413 §8.4.4.2: bearers that are not in the list are released; one that the
// phone has not is told to be.
func TestPathSwitchPartial(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.threeBearers()
		f := w.towerIn(0x19c, 8)
		r := p.switchRequest(f)
		r.ERABToBeSwitchedDLList = nil
		for _, e := range []s1ap.ERABID{7, 5, 9} {
			r.ERABToBeSwitchedDLList = append(r.ERABToBeSwitchedDLList,
				s1ap.ERABToBeSwitchedDLItem{ERABID: e, TransportLayerAddress: s1ap.FromAddr(f.addr), GTPTEID: s1ap.FromTEID(0x4000 + id.TEID(e))})
		}
		f.send(r)
		ack := expect[*s1ap.PathSwitchRequestAcknowledge](f)
		if u, x := ack.ERABToBeSwitchedULList, ack.ERABToBeReleasedList; len(u) != 2 || u[0].ERABID != 7 || len(x) != 1 || x[0].ERABID != 9 {
			t.Errorf("%+v", ack)
		}
		p.e, p.enbID = f, r.ENBUES1APID
		p.moved("drop [6]", 2, 5, 7)
	})
}
