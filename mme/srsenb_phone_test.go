package mme

import (
	"encoding/hex"
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
)

// srsUE is a phone as srsRAN's: what it can do and where it looks is written in
// its own tests.
func (w *world) srsUE(e *enbPeer) *phone {
	p := w.phone(e)
	p.cap = eps.NewUENetworkCapability(0, 1, 2, 3, 9, 10, 11)
	return p
}

// The phone's capabilities are two octets, and it compares what is replayed bit
// by bit; it works with every pair of algorithms that is not EIA0, on air with
// EIA1 and EIA2.
func TestSrsUECapabilities(t *testing.T) {
	for _, alg := range []eps.Algorithms{{Ciphering: 0, Integrity: 1}, {Ciphering: 1, Integrity: 2}, {Ciphering: 2, Integrity: 2}, {Ciphering: 3, Integrity: 3}, {Ciphering: 0, Integrity: 2}} {
		playSrsENB(t, func(o *Options) {
			o.Security = nassec.Policy{EIA: []nassec.EIA{nassec.EIA(alg.Integrity)}, EEA: []nassec.EEA{nassec.EEA(alg.Ciphering)}}
		}, func(w *world) {
			p := w.srsUE(w.tower(0x19b))
			m := p.attachRequest()
			if got := hex.EncodeToString(must(eps.Append(nil, m))); got[len(got)-len("02f07000050201d011d1"):] != "02f07000050201d011d1" {
				t.Fatalf("attach request %s does not end as srsRAN's does", got)
			}
			p.initial(m)
			p.uplink(p.answer(down[*eps.AuthenticationRequest](p)))
			smc := p.secure()
			if smc.Algorithms != alg || smc.KSI != p.ksi {
				t.Errorf("algorithms %v and KSI %v, want %v and %v", smc.Algorithms, smc.KSI, alg, p.ksi)
			}
			if got := hex.EncodeToString(must(eps.Append(nil, smc))); got[8:14] != "02f070" {
				t.Errorf("Security Mode Command %s, want the capabilities f070 replayed", got)
			}
			p.secured()
			p.information()
			p.accepted()
			p.setupResponse()
			p.complete()
			if i := p.settled(); i.State != Connected {
				t.Errorf("%v: the phone is %v", alg, i.State)
			}
		})
	}
}

// The phone gives up a combined result, wants a GUTI for its S-TMSI, and looks
// for an address of the family that it asked for; ESM Information Request comes
// after Security Mode Control and before Attach Accept, when the phone asked
// that its APN be kept back.
func TestSrsUEAttachAccept(t *testing.T) {
	playSrsENB(t, nil, func(w *world) {
		p := w.srsUE(w.tower(0x19b))
		p.initial(p.attachRequest())
		p.authenticate()
		p.information()
		_, a := p.accepted()
		g, ok := a.GUTI.V.GUTI()
		if a.Result != eps.AttachResultEPSOnly || !a.GUTI.OK || !ok || g.GUMMEI != w.m.o.GUMMEI {
			t.Errorf("Attach Accept\n%v", a)
		}
		b := must(eps.Parse(eps.Downlink, a.ESM)).(*eps.ActivateDefaultEPSBearerContextRequest)
		if _, dns := b.PCO.V.Get(eps.Downlink, eps.ContainerDNSv4); b.PTI != 1 || b.EBI != 5 || b.Address.Type != eps.PDNTypeIPv4 || b.Cause.OK || !dns {
			t.Errorf("bearer\n%v", b)
		}
	})
}

// Without an APN in its settings the phone's ESM Information Response has none;
// with a user name it has options for PAP or CHAP, which nobody here asks for.
func TestSrsUEInformation(t *testing.T) {
	pap := eps.PCO{0x80, 0xc0, 0x23, 0x0c, 1, 0, 0, 0x0c, 3, 'c', 'a', 'm', 3, 'p', 'a', 'n'}
	for name, m := range map[string]*eps.ESMInformationResponse{
		"nothing":     {PTI: 1},
		"PAP":         {PTI: 1, APN: eps.Some(must(id.ParseAPN("internet"))), PCO: eps.Some(pap)},
		"PAP, no APN": {PTI: 1, PCO: eps.Some(pap)},
	} {
		t.Run(name, func(t *testing.T) {
			playSrsENB(t, nil, func(w *world) {
				p := w.srsUE(w.tower(0x19b))
				p.initial(p.attachRequest())
				p.authenticate()
				down[*eps.ESMInformationRequest](p)
				p.uplink(m)
				p.accepted()
				p.setupResponse()
				p.complete()
				if i := p.settled(); i.State != Connected {
					t.Errorf("UEInfo %+v", i)
				}
			})
		})
	}
}

// After paging the phone's service request says mt-Access; it is answered by
// the context setup only, for the phone knows no Service Accept. The eNB asks
// the phone for its radio capability each time, whether the MME gave it or not,
// and says it before its own answer.
func TestSrsUEServiceRequest(t *testing.T) {
	playSrsENB(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.srsUE(e)
		p.attach()
		s, _ := w.gw.only(w)
		for _, cause := range []s1ap.RRCEstablishmentCause{s1ap.RRCEstablishmentCauseMtAccess, s1ap.RRCEstablishmentCauseMoData} {
			p.idle()
			if cause == s1ap.RRCEstablishmentCauseMtAccess {
				w.m.DownlinkData(s, 5, 0)
				if m := expect[*s1ap.Paging](e); m.UEPagingID.STMSI.ID() != p.guti.STMSI() {
					t.Errorf("Paging %+v", m)
				}
			}
			count := p.sec.UL()
			e.lastID++
			p.enbID = e.lastID
			e.send(&s1ap.InitialUEMessage{ENBUES1APID: p.enbID, NASPDU: must(p.sec.AppendServiceRequest(nil)), TAI: e.tai(), EUTRANCGI: e.cell(),
				RRCEstablishmentCause: cause, STMSI: s1ap.FromSTMSI(p.guti.STMSI())})
			m := expect[*s1ap.InitialContextSetupRequest](e)
			if want := p.sec.KeNB(count); m.ERABToBeSetupListCtxtSUReq[0].NASPDU != nil || m.SecurityKey != s1ap.SecurityKey(want) {
				t.Errorf("%v: %s", cause, describe(m))
			}
			p.mmeID = m.MMEUES1APID
			e.send(&s1ap.UECapabilityInfoIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, UERadioCapability: []byte{4, 5, 6}})
			p.setupResponse()
			e.silent(time.Second)
			if i := p.settled(); i.State != Connected {
				t.Errorf("%v: the phone is %v", cause, i.State)
			}
		}
	})
}

// A phone that is stopped says so once, integrity protected and not ciphered, and
// listens to nothing but the release.
func TestSrsUESwitchOff(t *testing.T) {
	playSrsENB(t, nil, func(w *world) {
		p := w.srsUE(w.tower(0x19b))
		p.attach()
		p.uplinkRaw(p.protect(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)}, nassec.IntegrityProtected))
		p.released()
		if i := p.settled(); i.State != Deregistered {
			t.Errorf("state %v", i.State)
		}
		p.e.silent(time.Minute)
		w.gw.none(w)
	})
}

// The phone never sends a tracking area update, whatever T3412 says: a day of
// silence later it is unreachable or detached, is told so when it wants
// something, and attaches.
func TestSrsUENeverUpdates(t *testing.T) {
	for _, t3412 := range []time.Duration{0, 54 * time.Minute} {
		playSrsENB(t, func(o *Options) { o.T3412 = t3412 }, func(w *world) {
			e := w.tower(0x19b)
			p := w.srsUE(e)
			p.attach()
			time.Sleep(3 * time.Hour) // connected, it is not missed
			if i := p.settled(); i.State != Connected {
				t.Fatalf("T3412 %v: connected, the phone is %v", t3412, i.State)
			}
			p.idle()
			time.Sleep(25 * time.Hour)
			w.gw.none(w)
			p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
			p.rejectedService()
			if i := p.settled(); i.State != Connected {
				t.Errorf("T3412 %v: the phone is %v", t3412, i.State)
			}
			w.gw.only(w)
		})
	}
}

// Told to attach again, the phone accepts, waits two seconds and comes with its
// GUTI and keys by a new connection.
func TestSrsUEDetachedByNetwork(t *testing.T) {
	playSrsENB(t, nil, func(w *world) {
		p := w.srsUE(w.tower(0x19b))
		p.attach()
		if err := w.m.Detach(p.imsi, NetworkDetach{}); err != nil {
			t.Fatal(err)
		}
		down[*eps.NetworkDetachRequest](p)
		p.uplink(&eps.DetachAccept{})
		p.released()
		w.gw.none(w)
		time.Sleep(2 * time.Second)
		p.initial(p.attachRequest())
		if w.home.asked > 1 {
			p.authenticate()
		}
		p.information()
		p.accepted()
		p.setupResponse()
		p.complete()
		if i := p.settled(); i.State != Connected {
			t.Errorf("state %v", i.State)
		}
	})
}

// The eNB finds the ids of a message unknown, or is sent a second context while
// it sets up the first: the one ends the connection, the other the procedure. A
// message that it could not read it can only say so about.
func TestSrsENBErrorIndications(t *testing.T) {
	playSrsENB(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p, q := w.srsUE(e), w.srsUE(e)
		p.attach()
		q.attach()
		e.send(&s1ap.ErrorIndication{Cause: new(s1ap.CauseProtocolTransferSyntaxError.Cause())})
		if i := p.settled(); i.State != Connected {
			t.Errorf("after an error that names nobody the phone is %v", i.State)
		}
		e.send(&s1ap.ErrorIndication{MMEUES1APID: &p.mmeID, ENBUES1APID: &p.enbID, Cause: new(s1ap.CauseRadioNetworkUnknownPairUeS1apId.Cause())})
		if i := p.settled(); i.State != Idle { // the eNB has released it by itself
			t.Errorf("the phone that the eNB has released is %v", i.State)
		}
		p.request()
		e.send(&s1ap.ErrorIndication{MMEUES1APID: &p.mmeID, ENBUES1APID: &p.enbID, Cause: new(s1ap.CauseProtocolMessageNotCompatibleWithReceiverState.Cause())})
		p.released()
		if i := p.settled(); i.State != Idle {
			t.Errorf("the phone whose context was not set up is %v", i.State)
		}
		if i := q.settled(); i.State != Connected {
			t.Errorf("another phone is %v", i.State)
		}
	})
}
