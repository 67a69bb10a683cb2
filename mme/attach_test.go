package mme

import (
	"testing"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/wire/proof"
)

// TS 24.301 §5.5.1.2.2 to .4, TS 23.401 §5.3.2.1.
func TestAttachByIMSI(t *testing.T) {
	play(t, func(o *Options) { o.NetworkName = "Campanile" }, func(w *world) {
		p := w.phone(w.tower(0x19b))

		p.initial(p.attachRequest())
		auth := down[*eps.AuthenticationRequest](p)
		if auth.KSI.None() {
			t.Error("Authentication Request without KSI")
		}
		p.uplink(p.answer(auth))

		smc := p.secure()
		if smc.Algorithms != (eps.Algorithms{Ciphering: 2, Integrity: 2}) {
			t.Errorf("algorithms %v, want EEA2 and EIA2", smc.Algorithms)
		}
		p.secured()
		p.information()

		ics, accept := p.accepted()
		if accept.Result != eps.AttachResultEPSOnly || !accept.TAIs.Contains(id.TAI{PLMN: testPLMN, TAC: 7}) {
			t.Errorf("Attach Accept\n%v", accept)
		}
		if want := p.sec.KeNB(0); s1ap.SecurityKey(want) != ics.SecurityKey {
			t.Error("K_eNB is not that of uplink COUNT 0")
		}
		if q := ics.ERABToBeSetupListCtxtSUReq[0]; q.ERABID != 5 || q.ERABLevelQoSParameters.QCI != 9 || q.ERABLevelQoSParameters.AllocationRetentionPriority.PriorityLevel != 8 {
			t.Errorf("E-RAB %+v", q)
		}
		if c := ics.UESecurityCapabilities; c.EncryptionAlgorithms != 0xe000 || c.IntegrityProtectionAlgorithms != 0xe000 {
			t.Errorf("security capabilities %+v", c)
		}
		p.e.send(&s1ap.UECapabilityInfoIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, UERadioCapability: []byte{1, 2, 3}})
		p.setupResponse()
		p.complete()
		if info := down[*eps.EMMInformation](p); info.FullName.V.Text() != "Campanile" {
			t.Errorf("EMM Information\n%v", info)
		}

		i := p.settled()
		s, x := w.gw.only(w)
		if i.State != Connected || i.Address != s.Address || i.Address.String() != p.addr || i.TMSI != p.guti.TMSI || i.Tower != w.towers[0x19b] ||
			i.Segment != 1 || i.Security != "128-EEA2 128-EIA2" || i.Bearers[0].DL != 1 || i.Bearers[0].UL != s.SGW.TEID {
			t.Errorf("UEInfo %+v", i)
		}
		if len(x.segments) != 1 || x.segments[0].Tower != w.towers[0x19b] || x.segments[0].Cell != proof.EUTRAN(id.ECGI{PLMN: testPLMN, ECI: 0x19b01}) || x.segments[0].No != 1 {
			t.Errorf("segments %+v", x.segments)
		}
		if x.enb.TEID != 1 || x.enb.Addr != p.e.addr {
			t.Errorf("eNB's tunnel end %+v", x.enb)
		}
		w.logged("procedure done", "procedure=attach", "imsi=00101········01", "enb=001/01-macro-0x19b")
		w.counted("attach ok", 1)
	})
}

// Attach Complete and Initial Context Setup Response in the other order.
func TestAttachCompleteBeforeContextSetupResponse(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initial(p.attachRequest())
		p.authenticate()
		p.information()
		p.accepted()
		p.complete()
		p.setupResponse()
		if i := p.settled(); i.State != Connected {
			t.Errorf("state %v", i.State)
		}
	})
}

// TS 24.301 §5.5.1.2.4: keys that fit and a live lease need no authentication;
// the old session is replaced.
func TestAttachByGUTI(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		former, first := *p.guti, w.home.asked
		p.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		p.released()
		w.gw.none(w)

		p.initial(p.attachRequest())
		count := p.sec.UL() - 1
		p.information()
		ics, _ := p.accepted()
		if want := p.sec.KeNB(count); s1ap.SecurityKey(want) != ics.SecurityKey {
			t.Error("K_eNB is not that of the attach request's COUNT")
		}
		p.setupResponse()
		p.complete()
		if i := p.settled(); i.State != Connected || *p.guti == former || i.Segment != 2 {
			t.Errorf("UEInfo %+v, former GUTI %v", i, former)
		}
		if w.home.asked != first {
			t.Error("the home was asked though the lease is live")
		}
		if u := w.m.known.find(former.TMSI); u != nil {
			t.Error("the former M-TMSI is still good after Attach Complete")
		}
	})
}

// TS 24.301 §5.4.4: a GUTI this MME did not give.
func TestAttachByUnknownGUTI(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		for _, g := range []id.GUTI{
			{GUMMEI: id.GUMMEI{PLMN: testPLMN, Group: 1, Code: 0x1a}, TMSI: 0x12345678},
			{GUMMEI: id.GUMMEI{PLMN: testPLMN, Group: 9, Code: 0x1a}, TMSI: 0x12345678},
		} {
			before := *p
			p.guti, p.sec, p.ksi = &g, nil, 3
			p.initial(p.attachRequest())
			if m := down[*eps.IdentityRequest](p); m.Type != eps.IdentityTypeIMSI {
				t.Errorf("asked for identity type %v", m.Type)
			}
			p.uplink(&eps.IdentityResponse{Identity: eps.MobileIMSI(p.imsi)})
			if m := down[*eps.AuthenticationRequest](p); m.KSI == 3 {
				t.Error("the KSI the phone has in use is given again")
			} else {
				p.uplink(p.answer(m))
			}
			p.secure()
			p.secured()
			if before.mmeID != 0 {
				before.released()
			}
			p.information()
			p.accepted()
			p.setupResponse()
			p.complete()
			p.settled()
		}
		w.gw.only(w) // the first session went with the second attach
	})
}

// TS 24.301 §4.4.4.3: an attach request whose code fails is authenticated; the
// phone known by that GUTI is not disturbed until then.
func TestAttachByGUTIWithWrongCode(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()

		thief := w.stranger(e, "001010000099999")
		thief.guti = p.guti
		pdu := p.at(e).protect(thief.attachRequest(), nassec.IntegrityProtected)
		pdu[1] ^= 1
		thief.initialRaw(pdu)
		thief.uplink(thief.answer(down[*eps.AuthenticationRequest](thief))) // #20: it has not that phone's key
		down[*eps.IdentityRequest](thief)                                   // TS 24.301 §5.4.2.7 c
		thief.uplink(&eps.IdentityResponse{Identity: eps.MobileIMSI(p.imsi)})
		down[*eps.AuthenticationReject](thief)
		thief.released()

		if i := p.settled(); i.State != Connected {
			t.Errorf("the phone whose GUTI was used is %v", i.State)
		}
		w.gw.only(w)
	})
}
