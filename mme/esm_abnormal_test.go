package mme

import (
	"slices"
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// The abnormal cases of session management on the network's side, each by its
// clause and letter of TS 24.301.

// TS 24.301 §6.4.1.6 a: T3485 expires five times: the request for the default
// bearer is sent as often, then everything of the PDN connection is released.
func TestAbnormal_6_4_1_6_a(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		p.uplink(wants(2, ims))
		item, _ := setUp[*eps.ActivateDefaultEPSBearerContextRequest](p)
		p.standing(item.ERABID)
		for range t3485.sends - 1 {
			began := time.Now()
			if m := down[*eps.ActivateDefaultEPSBearerContextRequest](p); m.EBI != 6 || m.PTI != 2 || time.Since(began) != t3485.wait {
				t.Errorf("after %v: %v", time.Since(began), m)
			}
		}
		if ebis, _ := releases[*eps.ESMStatus](p); !slices.Equal(ebis, []id.EBI{6}) {
			t.Errorf("%v", ebis)
		}
		if b := p.bearers(); len(b) != 1 || w.gw.session(ims) != nil {
			t.Errorf("%+v", b)
		}
		w.counted("PDN connectivity not told", 1)
		p.uplink(&eps.ActivateDefaultEPSBearerContextAccept{EBI: 6}) // too late
		p.erabsGone(6)
		p.e.silent(time.Minute)
		if e := p.connectTo(3, ims); e != 6 {
			t.Errorf("the next has bearer %d", e)
		}
	})
}

// TS 24.301 §6.4.2.6 a: T3485 expires five times for a dedicated bearer.
func TestAbnormal_6_4_2_6_a(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		s, _ := w.gw.only(w)
		ch := w.creates(s, voice(0x700))
		setUp[*eps.ActivateDedicatedEPSBearerContextRequest](p)
		p.standing(6)
		for range t3485.sends - 1 {
			down[*eps.ActivateDedicatedEPSBearerContextRequest](p)
			w.untold(ch)
		}
		releases[*eps.ESMStatus](p)
		w.told(ch, gtpc.UENotResponding)
		if b := p.bearers(); len(b) != 1 {
			t.Errorf("%+v", b)
		}
	})
}

// TS 24.301 §6.4.2.6 b: the phone disconnects the PDN connection on which a
// dedicated bearer is being activated: the activation ends, the disconnection
// goes on.
func TestAbnormal_6_4_2_6_b(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		p.connectTo(2, ims)
		ch := w.creates(w.gw.session(ims), voice(0x700))
		setUp[*eps.ActivateDedicatedEPSBearerContextRequest](p)
		p.standing(7)
		p.uplink(&eps.PDNDisconnectRequest{PTI: 3, Linked: 6})
		if ebis, _ := releases[*eps.ESMStatus](p); !slices.Equal(ebis, []id.EBI{7}) {
			t.Errorf("%v", ebis)
		}
		if _, d := releases[*eps.DeactivateEPSBearerContextRequest](p); d.EBI != 6 || d.PTI != 3 {
			t.Errorf("%v", d)
		}
		w.told(ch, gtpc.TemporarilyRejected)
		p.erabsGone(7)
		p.erabsGone(6)
		p.uplink(&eps.DeactivateEPSBearerContextAccept{EBI: 6})
		if b := p.bearers(); len(b) != 1 || w.gw.session(ims) != nil {
			t.Errorf("%+v", b)
		}
	})
}

// The phone disconnects another PDN connection meanwhile: both are carried out, one
// after the other.
func TestDisconnectOfAnotherWaits(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		p.connectTo(2, ims)
		p.connectTo(3, work)
		ch := w.creates(w.gw.session(ims), voice(0x700))
		setUp[*eps.ActivateDedicatedEPSBearerContextRequest](p)
		p.uplink(&eps.PDNDisconnectRequest{PTI: 4, Linked: 7})
		p.uplink(&eps.PDNDisconnectRequest{PTI: 4, Linked: 7}) // T3492 of the phone
		p.e.silent(time.Second)
		p.standing(8)
		p.uplink(&eps.ActivateDedicatedEPSBearerContextAccept{EBI: 8})
		w.told(ch, gtpc.Accepted)
		if _, d := releases[*eps.DeactivateEPSBearerContextRequest](p); d.EBI != 7 || d.PTI != 4 {
			t.Errorf("%v", d)
		}
		p.erabsGone(7)
		p.uplink(&eps.DeactivateEPSBearerContextAccept{EBI: 7})
		p.e.silent(time.Minute)
		if b := p.bearers(); len(b) != 3 {
			t.Errorf("%+v", b)
		}
	})
}

// TS 24.301 §6.4.3.6 a: T3486 expires five times: the bearer stays as it was.
func TestAbnormal_6_4_3_6_a(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		s, _ := w.gw.only(w)
		p.dedicated(s, 0x700)
		q := *voice(0).QoS
		q.QCI = 2
		ch := w.updates(s, s11.BearerContext{EBI: 6, QoS: &q})
		expect[*s1ap.ERABModifyRequest](p.e)
		p.modified(6)
		for range t3486.sends - 1 {
			expect[*s1ap.DownlinkNASTransport](p.e)
		}
		time.Sleep(t3486.wait)
		w.told(ch, gtpc.UENotResponding)
		if b := p.bearers(); len(b) != 2 || b[6].QCI != 1 {
			t.Errorf("%+v", b)
		}
	})
}

// TS 24.301 §6.4.3.6 b: the phone disconnects the PDN connection while one of its
// bearers is modified.
func TestAbnormal_6_4_3_6_b(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		p.connectTo(2, ims)
		s := w.gw.session(ims)
		p.dedicated(s, 0x700)
		q := *voice(0).QoS
		q.QCI = 2
		ch := w.updates(s, s11.BearerContext{EBI: 7, QoS: &q})
		open[*eps.ModifyEPSBearerContextRequest](p, expect[*s1ap.ERABModifyRequest](p.e).ERABToBeModifiedListBearerModReq[0].NASPDU)
		p.uplink(&eps.PDNDisconnectRequest{PTI: 3, Linked: 6})
		ebis, d := releases[*eps.DeactivateEPSBearerContextRequest](p)
		if !slices.Equal(ebis, []id.EBI{6, 7}) || d.EBI != 6 || d.PTI != 3 {
			t.Errorf("%v: %v", ebis, d)
		}
		w.told(ch, gtpc.TemporarilyRejected)
		p.erabsGone(6, 7)
		p.uplink(&eps.DeactivateEPSBearerContextAccept{EBI: 6})
		if b := p.bearers(); len(b) != 1 {
			t.Errorf("%+v", b)
		}
	})
}

// TS 24.301 §6.4.4.5 a: T3495 expires five times: the bearer is deactivated
// without the phone.
func TestAbnormal_6_4_4_5_a(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		s, _ := w.gw.only(w)
		p.dedicated(s, 0x700)
		ch := w.deletes(s, 6)
		releases[*eps.DeactivateEPSBearerContextRequest](p)
		p.erabsGone(6)
		for range t3495.sends - 1 {
			down[*eps.DeactivateEPSBearerContextRequest](p)
		}
		w.untold(ch)
		time.Sleep(t3495.wait)
		w.told(ch, gtpc.Accepted)
		if b := p.bearers(); len(b) != 1 {
			t.Errorf("%+v", b)
		}
	})
}

// TS 24.301 §6.4.4.5 b: the phone disconnects a PDN connection that the network
// is just deactivating: it is ended once.
func TestAbnormal_6_4_4_5_b(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		p.connectTo(2, ims)
		s := w.gw.session(ims)
		r := &s11.BearerRequest{Type: gtpc.DeleteBearerRequest, Session: s, Linked: 6, Cause: gtpc.ReactivationRequested}
		ch := w.asks(r)
		if _, d := releases[*eps.DeactivateEPSBearerContextRequest](p); d.EBI != 6 || d.PTI != 0 || d.Cause != eps.ESMCauseReactivationRequested {
			t.Errorf("%v", d)
		}
		p.uplink(&eps.PDNDisconnectRequest{PTI: 3, Linked: 6})
		p.erabsGone(6)
		p.uplink(&eps.DeactivateEPSBearerContextAccept{EBI: 6})
		w.told(ch, gtpc.Accepted)
		p.e.silent(time.Minute)
		if b := p.bearers(); len(b) != 1 {
			t.Errorf("%+v", b)
		}
		p.uplink(&eps.PDNDisconnectRequest{PTI: 4, Linked: 6}) // and once more, late
		if m := down[*eps.PDNDisconnectReject](p); m.PTI != 4 || m.Cause != eps.ESMCauseInvalidEPSBearerIdentity {
			t.Errorf("%v", m)
		}
	})
}

// TS 24.301 §6.5.1.7 a: the same request for a PDN connection again, before the
// phone has accepted: it is answered again and the procedure goes on. A different
// one for what the phone has already is refused.
func TestAbnormal_6_5_1_7_a(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		ask := wants(2, ims)
		p.uplink(ask)
		setUp[*eps.ActivateDefaultEPSBearerContextRequest](p)
		p.uplink(ask)
		if m := down[*eps.ActivateDefaultEPSBearerContextRequest](p); m.EBI != 6 || m.PTI != 2 {
			t.Errorf("%v", m)
		}
		p.standing(6)
		p.uplink(&eps.ActivateDefaultEPSBearerContextAccept{EBI: 6})
		p.uplink(wants(3, ims))
		if m := down[*eps.PDNConnectivityReject](p); m.PTI != 3 || m.Cause != eps.ESMCauseMultiplePDNConnectionsForAGivenAPNNotAllowed {
			t.Errorf("%v", m)
		}
		if n := len(p.bearers()); n != 2 {
			t.Errorf("%d bearers", n)
		}
	})
}

// A PDN disconnection of what is not there, and of the last PDN connection.
func TestPDNDisconnectRejected_6_5_2_4(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		s, _ := w.gw.only(w)
		p.dedicated(s, 0x700)
		for linked, want := range map[id.EBI]eps.ESMCause{5: eps.ESMCauseLastPDNDisconnectionNotAllowed, 6: eps.ESMCauseInvalidEPSBearerIdentity, 9: eps.ESMCauseInvalidEPSBearerIdentity} {
			p.uplink(&eps.PDNDisconnectRequest{PTI: 3, Linked: linked})
			if m := down[*eps.PDNDisconnectReject](p); m.PTI != 3 || m.Cause != want {
				t.Errorf("bearer %d: %v", linked, m)
			}
		}
		if n := len(p.bearers()); n != 2 {
			t.Errorf("%d bearers", n)
		}
	})
}

// TS 24.301 §6.5.3.6 a: bearer resources for an unknown bearer.
func TestAbnormal_6_5_3_6_a(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		p.uplink(&eps.BearerResourceAllocationRequest{PTI: 3, Linked: 6, Aggregate: *voice(0).TFT, QoS: eps.EPSQoS{QCI: 5}})
		if m := down[*eps.BearerResourceAllocationReject](p); m.PTI != 3 || m.Cause != eps.ESMCauseInvalidEPSBearerIdentity {
			t.Errorf("%v", m)
		}
	})
}

// TS 24.301 §6.5.4.6 a: a modification of the resources of an unknown bearer.
func TestAbnormal_6_5_4_6_a(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		p.uplink(&eps.BearerResourceModificationRequest{PTI: 3, FilterEBI: 6, Aggregate: eps.TFT{Operation: eps.TFTDelete}})
		if m := down[*eps.BearerResourceModificationReject](p); m.PTI != 3 || m.Cause != eps.ESMCauseInvalidEPSBearerIdentity {
			t.Errorf("%v", m)
		}
	})
}

// TS 24.301 §6.6.1.2.6 a: T3489 expires three times for a further PDN connection:
// it is refused, the phone stays.
func TestAbnormal_6_6_1_2_6_a(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.attached()
		m := wants(2, ims)
		m.InformationTransfer = eps.Some(eps.InformationTransferFlagYes)
		p.uplink(m)
		for range t3489.sends {
			if r := down[*eps.ESMInformationRequest](p); r.PTI != 2 {
				t.Errorf("%v", r)
			}
		}
		if r := down[*eps.PDNConnectivityReject](p); r.PTI != 2 || r.Cause != eps.ESMCauseESMInformationNotReceived {
			t.Errorf("%v", r)
		}
		if i := p.settled(); i.State != Connected || len(i.Bearers) != 1 {
			t.Errorf("%v, %d bearers", i.State, len(i.Bearers))
		}
	})
}
