package mme

import (
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/home"
)

// rejected takes an Attach Reject and the release after it.
func (p *phone) rejected(cause eps.EMMCause) *eps.AttachReject {
	p.w.t.Helper()
	m := down[*eps.AttachReject](p)
	if m.Cause != cause {
		p.w.t.Errorf("Attach Reject with %v, want %v", m.Cause, cause)
	}
	p.released()
	return m
}

// What a home says and what the phone is told (TS 29.272 annex A).
func TestHomeRefuses(t *testing.T) {
	for _, c := range []struct {
		name  string
		set   func(*world, *phone)
		cause eps.EMMCause
		line  []string
	}{
		{"unknown IMSI in the own range", func(w *world, p *phone) { delete(w.home.subs, p.imsi) }, 8, []string{"EMM cause #8", "unknown subscriber"}},
		{"IMSI of a foreign range", func(w *world, p *phone) { p.imsi = must(id.ParseIMSI("262019876543210")) }, 15, []string{"EMM cause #15", "no home for this range"}},
		{"barred subscriber", func(w *world, p *phone) { w.home.subs[p.imsi].barred = true }, 15, []string{"EMM cause #15", "barred"}},
		{"operator not registered", func(w *world, p *phone) { w.home.refuse = home.NotAuthorised }, 15, []string{"not authorised"}},
		{"too many challenges", func(w *world, p *phone) { w.home.refuse = home.RateLimited }, 22, []string{"EMM cause #22", "too many challenges"}},
		{"home unavailable", func(w *world, p *phone) { w.home.refuse = home.Unavailable }, 17, []string{"EMM cause #17", "home unavailable"}},
		{"home silent", func(w *world, p *phone) { w.home.silent = true }, 17, []string{"EMM cause #17", "home is silent", "took=4s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, nil, func(w *world) {
				p := w.phone(w.tower(0x19b))
				c.set(w, p)
				p.initial(p.attachRequest())
				p.rejected(c.cause)
				w.logged(append(c.line, "procedure failed", "procedure=attach")...)
				w.gw.none(w)
				if n := w.m.Stats().UEs; n != 0 {
					t.Errorf("%d phones are kept", n)
				}
			})
		})
	}
}

// A home that falls silent after RES is no reason to reject the SIM.
func TestHomeSilentAfterRES(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		w.home.mute = true
		p.initial(p.attachRequest())
		p.uplink(p.answer(down[*eps.AuthenticationRequest](p)))
		p.rejected(eps.EMMCauseNetworkFailure)
		w.logged("EMM cause #17", "home is silent")
	})
}

// A challenge that grew old is replaced once; then it is the network's failure.
func TestChallengeExpired(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		w.home.expired = 1
		p.initial(p.attachRequest())
		p.uplink(p.answer(down[*eps.AuthenticationRequest](p)))
		p.authenticate()
		p.information()
		p.accepted()

		q := w.phone(p.e)
		w.home.expired = 2
		q.initial(q.attachRequest())
		q.uplink(q.answer(down[*eps.AuthenticationRequest](q)))
		q.uplink(q.answer(down[*eps.AuthenticationRequest](q)))
		q.rejected(eps.EMMCauseNetworkFailure)
	})
}

// TS 24.301 §5.4.2.7 c: the phone finds the MAC wrong, #20.
func TestAbnormal_5_4_2_7_c(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.card = w.stranger(e, "001010000099999").card
		p.initial(p.attachRequest())
		answer := p.answer(down[*eps.AuthenticationRequest](p))
		if f, ok := answer.(*eps.AuthenticationFailure); !ok || f.Cause != eps.EMMCauseMACFailure {
			t.Fatalf("the phone answers\n%v", answer)
		}
		p.uplink(answer)
		down[*eps.AuthenticationReject](p)
		if cause := p.released(); cause != s1ap.CauseNasAuthenticationFailure.Cause() {
			t.Errorf("released with %v", cause)
		}
		w.logged("authentication reject", "MAC failure (#20)")
	})
}

// TS 24.301 §5.4.2.5: a RES that is not the home's.
func TestWrongRES(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initial(p.attachRequest())
		down[*eps.AuthenticationRequest](p)
		p.uplink(&eps.AuthenticationResponse{RES: []byte{1, 2, 3, 4, 5, 6, 7, 8}})
		down[*eps.AuthenticationReject](p)
		p.released()
		w.logged("authentication reject", "wrong RES")
	})
}

// TS 24.301 §5.4.2.7 e: a synchronisation failure is repaired with AUTS.
func TestAbnormal_5_4_2_7_e(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		w.home.subs[p.imsi].seq = 0 // the home was restored from an old copy
		p.idle()
		w.m.known.find(p.guti.TMSI).lease = nil

		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		answer := p.answer(down[*eps.AuthenticationRequest](p))
		if f, ok := answer.(*eps.AuthenticationFailure); !ok || f.Cause != eps.EMMCauseSynchFailure || !f.AUTS.OK {
			t.Fatalf("the phone answers\n%v", answer)
		}
		p.uplink(answer)
		p.authenticate()
		ics := expect[*s1ap.InitialContextSetupRequest](p.e)
		if want := p.sec.KeNB(0); s1ap.SecurityKey(want) != ics.SecurityKey {
			t.Error("K_eNB is not that of Security Mode Complete")
		}
		w.counted("resynchronisation ok", 1)
	})
}

// TS 24.301 §5.4.2.7 e: a second synchronisation failure in a row, of a replayed
// AUTN, ends in AUTHENTICATION REJECT.
func TestAbnormal_5_4_2_7_e_Twice(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		w.home.replay = true
		q := p.at(p.e)
		q.guti, q.sec, q.ksi = nil, nil, eps.NoKSI
		q.initial(q.attachRequest())
		for range 2 {
			answer := q.answer(down[*eps.AuthenticationRequest](q))
			if f, ok := answer.(*eps.AuthenticationFailure); !ok || f.Cause != eps.EMMCauseSynchFailure {
				t.Fatalf("the phone answers\n%v", answer)
			}
			q.uplink(answer)
		}
		down[*eps.AuthenticationReject](q)
		q.released()
		w.logged("Synch failure (#21), again after resynchronisation")
		if i := p.settled(); i.State != Connected {
			t.Errorf("the phone as it was before is %v", i.State)
		}
	})
}

// AUTS that no key of this subscriber made.
func TestForgedAUTS(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initial(p.attachRequest())
		down[*eps.AuthenticationRequest](p)
		p.uplink(&eps.AuthenticationFailure{Cause: eps.EMMCauseSynchFailure, AUTS: eps.Some(eps.AUTS{1})})
		down[*eps.AuthenticationReject](p)
		p.released()
	})
}

// A ticket that is not for this ledger is not used.
func TestTicketOfAnotherChain(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		w.home.otherChain = true
		p.initial(p.attachRequest())
		p.uplink(p.answer(down[*eps.AuthenticationRequest](p)))
		p.rejected(eps.EMMCauseNetworkFailure)
		w.logged("home's ticket", "signed for another chain")
	})
}

// TS 24.301 §5.4.2.7 b: T3460 expires five times, and T3470 (§5.4.4.6 b); then the
// connection is released.
func TestAbnormal_5_4_2_7_b(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		began := time.Now()
		p.initial(p.attachRequest())
		for range 5 {
			down[*eps.AuthenticationRequest](p)
		}
		p.released()
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("gave up after %v, want 5 times 6 s", took)
		}
		w.logged("cause=released", "T3460 expired 5 times")

		p.guti = &id.GUTI{GUMMEI: w.m.o.GUMMEI, TMSI: 1}
		p.initial(p.attachRequest())
		for range 5 {
			down[*eps.IdentityRequest](p)
		}
		p.released()
		w.logged("T3470 expired 5 times")
	})
}

// TS 24.301 §6.6.1.2.6 a: no ESM information.
func TestNoESMInformation(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initial(p.attachRequest())
		p.authenticate()
		for range 3 {
			down[*eps.ESMInformationRequest](p)
		}
		m := p.rejected(eps.EMMCauseESMFailure)
		if inner := must(eps.Parse(eps.Downlink, m.ESM.V)).(*eps.PDNConnectivityReject); inner.Cause != eps.ESMCauseESMInformationNotReceived || inner.PTI != 1 {
			t.Errorf("inside: %v", inner)
		}
	})
}

// TS 24.301 §5.5.1.2.7 c: Attach Accept is repeated when T3450 expires, then given
// up.
func TestAbnormal_5_5_1_2_7_c(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initial(p.attachRequest())
		p.authenticate()
		p.information()
		p.accepted()
		p.setupResponse()
		for range 4 {
			down[*eps.AttachAccept](p)
		}
		p.released()
		w.logged("T3450 expired 5 times")
		if i := p.settled(); i.State != Deregistered {
			t.Errorf("state %v", i.State)
		}
		w.gw.none(w)
	})
}

// The phone refuses the security mode (TS 24.301 §5.4.3.5).
func TestSecurityModeReject(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initial(p.attachRequest())
		p.uplink(p.answer(down[*eps.AuthenticationRequest](p)))
		p.secure()
		p.sec = nil
		p.uplink(&eps.SecurityModeReject{Cause: eps.EMMCauseUESecurityCapabilitiesMismatch})
		p.released()
		w.logged("rejects the security mode")
	})
}

// What a gateway says, and what of the phone's request is refused before.
func TestSessionRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*world)
		req  eps.PDNConnectivityRequest
		emm  eps.EMMCause
		esm  eps.ESMCause
	}{
		{"no addresses left", func(w *world) { w.gw.refuse = &gtpc.CauseError{Cause: gtpc.AllAddressesOccupied} }, eps.PDNConnectivityRequest{}, 19, eps.ESMCauseInsufficientResources},
		{"IPv6 from a gateway with IPv4", func(w *world) { w.gw.refuse = &gtpc.CauseError{Cause: gtpc.PDNTypeNotSupported} }, eps.PDNConnectivityRequest{PDNType: eps.PDNTypeIPv6}, 19, eps.ESMCausePDNTypeIPv4OnlyAllowed},
		{"gateway does not answer", func(w *world) { w.gw.refuse = gtpc.ErrNoAnswer }, eps.PDNConnectivityRequest{}, 17, 0},
		{"gateway silent", func(w *world) { w.gw.hush(true) }, eps.PDNConnectivityRequest{}, 17, 0},
		{"another APN", nil, eps.PDNConnectivityRequest{APN: eps.Some(must(id.ParseAPN("ims")))}, 19, eps.ESMCauseMissingOrUnknownAPN},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, nil, func(w *world) {
				p := w.phone(w.tower(0x19b))
				if c.set != nil {
					c.set(w)
				}
				c.req.PTI, c.req.Request = 7, eps.RequestTypeInitial
				if c.req.PDNType == 0 {
					c.req.PDNType = eps.PDNTypeIPv4
				}
				m := p.attachRequest()
				m.ESM = must(eps.Append(nil, &c.req))
				p.initial(m)
				p.authenticate()
				r := p.rejected(c.emm)
				if r.ESM.OK != (c.esm != 0) {
					t.Fatalf("Attach Reject\n%v", r)
				}
				if c.esm != 0 {
					if inner := must(eps.Parse(eps.Downlink, r.ESM.V)).(*eps.PDNConnectivityReject); inner.Cause != c.esm || inner.PTI != 7 {
						t.Errorf("inside: %v, want %v", inner, c.esm)
					}
				}
				w.gw.none(w)
			})
		})
	}
}

// TS 24.301 §6.2.2: both families asked for, one granted.
func TestIPv4v6GetsIPv4(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		m := p.attachRequest()
		m.ESM = must(eps.Append(nil, &eps.PDNConnectivityRequest{PTI: 1, Request: eps.RequestTypeInitial, PDNType: eps.PDNTypeIPv4v6}))
		p.initial(m)
		p.authenticate()
		_, a := p.accepted()
		if b := must(eps.Parse(eps.Downlink, a.ESM)).(*eps.ActivateDefaultEPSBearerContextRequest); b.Cause.V != eps.ESMCausePDNTypeIPv4OnlyAllowed || b.Address.Type != eps.PDNTypeIPv4 {
			t.Errorf("bearer %v", b)
		}
	})
}

// TS 36.413 §8.3.1.3: the eNB cannot set up the context: the attach fails and nothing
// stays.
func TestAbnormal_36413_8_3_1_3(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initial(p.attachRequest())
		p.authenticate()
		p.information()
		p.accepted()
		p.e.send(&s1ap.InitialContextSetupFailure{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause()})
		p.released()
		w.logged("could not set up the context", "radio-connection-with-ue-lost")
		w.gw.none(w)
	})
}

// No algorithm in common; an emergency attach; a combined attach.
func TestAttachTypesAndCapabilities(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.cap = eps.NewUENetworkCapability(0, 8)
		p.initial(p.attachRequest())
		p.uplink(p.answer(down[*eps.AuthenticationRequest](p)))
		p.rejected(eps.EMMCauseUESecurityCapabilitiesMismatch)

		q := w.phone(e)
		m := q.attachRequest()
		m.Type = eps.AttachTypeEmergency
		q.initial(m)
		q.rejected(eps.EMMCauseNoSuitableCellsInTrackingArea)

		r := w.phone(e)
		m = r.attachRequest()
		m.Type = eps.AttachTypeCombined
		r.initial(m)
		r.authenticate()
		r.information()
		if _, a := r.accepted(); a.Result != eps.AttachResultEPSOnly || a.Cause.V != eps.EMMCauseCSDomainNotAvailable {
			t.Errorf("Attach Accept\n%v", a)
		}
	})
}

func TestOptions(t *testing.T) {
	_, err := New(Options{Name: "Käse"})
	for _, want := range []string{"no PLMN", "ChainID", "Operator", "Home", "Gateway", "Towers", "PrintableString"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error does not name %q: %v", want, err)
		}
	}
}
