package sim_test

import (
	"errors"
	"testing"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/sdr/sim"
)

// What a phone must not believe: each is dropped without an answer, and the
// attach goes on with what is right.
func TestNotBelieved(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		done := w.attach(p)
		u := w.initial()
		u.plain(accept(0x666)) // without any protection (TS 24.301 §4.4.4.2)
		u.plain(securityModeCommand(0))
		u.plain(&eps.IdentityRequest{Type: eps.IdentityTypeIMEISV})
		u.plain(&eps.NetworkDetachRequest{Type: eps.NetworkDetachTypeNoReattach})
		w.silent()
		u.authenticate()

		forged := u.command(nil)
		forged[1] ^= 1 // the MAC
		u.downRaw(forged)
		u.downRaw(u.command(func(m *eps.SecurityModeCommand) { m.KSI = 6 })) // of another key set
		u.downRaw([]byte{0x37, 0, 0, 0, 0, 0, 0x07, 0x5e})                   // no message
		u.downRaw(u.protect(nassec.IntegrityNewContext, &eps.EMMInformation{}))
		w.silent()

		u.secure()
		forged = u.protect(nassec.IntegrityCiphered, accept(0x666))
		forged[2] ^= 1
		u.downRaw(forged)
		u.plain(&eps.AttachReject{Cause: eps.EMMCauseIllegalUE}) // the connection is protected now
		w.silent()
		u.accepted(0x100)
		if r := <-done; r.err != nil || r.s.GUTI != guti(0x100) {
			t.Fatalf("attach: %+v", r)
		}
		replayed := u.protect(nassec.IntegrityCiphered, &eps.IdentityRequest{Type: eps.IdentityTypeIMSI})
		u.downRaw(replayed)
		up[*eps.IdentityResponse](u)
		u.downRaw(replayed)
		w.silent()
		if n := p.Stats(); n.MAC.Load() != 2 || n.Replayed.Load() != 1 || n.Plain.Load() != 5 || n.Undecodable.Load() != 3 || n.Capabilities.Load() != 0 {
			t.Errorf("counted: MAC %d, replayed %d, plain %d, undecodable %d, capabilities %d", n.MAC.Load(), n.Replayed.Load(), n.Plain.Load(), n.Undecodable.Load(), n.Capabilities.Load())
		}
	})
}

// Replayed capabilities that are not the phone's: somebody between wants weaker
// algorithms (TS 24.301 §5.4.3.5). The keys are not taken into use.
func TestReplayedCapabilities(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		done := w.attach(p)
		u := w.initial()
		u.authenticate()
		less := func(m *eps.SecurityModeCommand) {
			m.Capability = eps.NewUENetworkCapability(0, 9).Security(eps.Opt[eps.MSNetworkCapability]{})
		}
		u.downRaw(u.command(less))
		u.sec = nil
		if m := up[*eps.SecurityModeReject](u); m.Cause != eps.EMMCauseUESecurityCapabilitiesMismatch {
			t.Errorf("cause %v", m.Cause)
		}
		u.authenticate()
		u.secure()
		u.accepted(0x100)
		if r := <-done; r.err != nil {
			t.Fatal(r.err)
		}

		// With keys in use already, these protect the reject.
		old := u.sec
		u.down(u.challenge())
		up[*eps.AuthenticationResponse](u)
		u.kasme = u.v.KASME(plmn)
		command := u.command(less)
		u.sec = old
		u.downRaw(command)
		up[*eps.SecurityModeReject](u)
		u.down(&eps.IdentityRequest{Type: eps.IdentityTypeIMSI})
		up[*eps.IdentityResponse](u)
		if n := p.Stats().Capabilities.Load(); n != 2 {
			t.Errorf("%d wrong capabilities counted", n)
		}
	})
}

// The card's own checks (TS 33.102 §6.3.3, TS 24.301 §5.4.2.6).
func TestAuthenticationFailures(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		done := w.attach(w.phone(sim.PhoneOptions{}))
		u := w.initial()
		w.seq = 40
		fails := func(m *eps.AuthenticationRequest, want eps.EMMCause) *eps.AuthenticationFailure {
			t.Helper()
			u.plain(m)
			f := up[*eps.AuthenticationFailure](u)
			if f.Cause != want {
				t.Errorf("cause %v, want %v", f.Cause, want)
			}
			return f
		}
		m := u.challenge()
		m.AUTN[15] ^= 1
		fails(m, eps.EMMCauseMACFailure)
		v := aka.Generate(w.home, aka.RAND{1}, must(aka.MakeSQN(41, 0)), aka.AMF{})
		fails(&eps.AuthenticationRequest{RAND: eps.RAND(v.RAND), AUTN: eps.AUTN(v.AUTN)}, eps.EMMCauseNonEPSAuthenticationUnacceptable)
		u.authenticate()
		w.seq -= 5
		f := fails(u.challenge(), eps.EMMCauseSynchFailure)
		ms, err := aka.VerifyAUTS(w.home, u.v.RAND, aka.AUTS(f.AUTS.V))
		if !f.AUTS.OK || err != nil || ms.SEQ() != 42 {
			t.Errorf("AUTS says %v (%v), want 42", ms, err)
		}
		w.seq = ms.SEQ()
		u.authenticate()
		u.plain(&eps.AuthenticationReject{})
		if r := <-done; !errors.Is(r.err, sim.ErrAuthenticationReject) {
			t.Errorf("attach: %v", r.err)
		}
	})
}

// A K_eNB that is not the phone's fails on the radio: the eNB says so.
func TestWrongKeNB(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		done := w.attach(p)
		u := w.initial()
		u.authenticate()
		u.secure()
		w.send(u.context(u.protect(nassec.IntegrityCiphered, accept(0x100)), u.kenb+1))
		m := next[*s1ap.InitialContextSetupFailure](w)
		if m.Cause != s1ap.CauseRadioNetworkFailureInRadioInterfaceProcedure.Cause() || w.enb.Stats().KeyMismatch.Load() != 1 {
			t.Errorf("cause %v, %d counted", m.Cause, w.enb.Stats().KeyMismatch.Load())
		}
		u.release(m.Cause)
		var released *sim.Released
		if r := <-done; !errors.As(r.err, &released) || released.Cause != m.Cause {
			t.Errorf("attach: %v", r.err)
		}
		w.wantState(p, sim.Deregistered)
	})
}

func TestNoBearer(t *testing.T) {
	for name, spoil := range map[string]func(*s1ap.ERABToBeSetupItemCtxtSUReq){
		"address": func(r *s1ap.ERABToBeSetupItemCtxtSUReq) {
			r.TransportLayerAddress = s1ap.TransportLayerAddress{Bytes: []byte{1}, Len: 8}
		},
		"identity": func(r *s1ap.ERABToBeSetupItemCtxtSUReq) { r.ERABID = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, sim.ENBOptions{}, func(w *world) {
				w.attach(w.phone(sim.PhoneOptions{}))
				u := w.initial()
				u.authenticate()
				u.secure()
				m := u.context(nil, u.kenb)
				spoil(&m.ERABToBeSetupListCtxtSUReq[0])
				w.send(m)
				if m := next[*s1ap.InitialContextSetupFailure](w); m.Cause != s1ap.CauseTransportTransportResourceUnavailable.Cause() {
					t.Errorf("cause %v", m.Cause)
				}
			})
		})
	}
}

// Refusals, and what a phone remembers after each (TS 24.301 §5.5.1.2.5,
// §5.6.1.5).
func TestRejects(t *testing.T) {
	for _, c := range []struct {
		cause eps.EMMCause
		keeps bool
	}{{eps.EMMCauseIllegalUE, false}, {eps.EMMCauseNetworkFailure, true}, {eps.EMMCauseCongestion, true}} {
		t.Run(c.cause.String(), func(t *testing.T) {
			play(t, sim.ENBOptions{}, func(w *world) {
				p := w.phone(sim.PhoneOptions{})
				u := w.idle(p)
				wantRejected := func(err error, what string) {
					t.Helper()
					var r *sim.Rejected
					if !errors.As(err, &r) || r.Cause != c.cause || r.Procedure != what {
						t.Errorf("%v, want %s %v", err, what, c.cause)
					}
				}
				served := do(func() error { return p.ServiceRequest(w.within(time.Minute), s1ap.RRCEstablishmentCauseMoData) })
				u = u.resumed()
				u.plain(&eps.ServiceReject{Cause: c.cause})
				wantRejected((<-served).err, "SERVICE REJECT")
				u.release(s1ap.CauseNasUnspecified.Cause())
				if !c.keeps {
					w.wantState(p, sim.Deregistered)
					u = w.attached(p) // with the IMSI again: initial cannot read another
					u.release(s1ap.CauseRadioNetworkUserInactivity.Cause())
				}
				w.wantState(p, sim.Idle)

				q := w.phone(sim.PhoneOptions{SIM: sim.SIM{IMSI: must(id.ParseIMSI("001010000000002"))}})
				done := w.attach(q)
				u = w.initial()
				u.plain(&eps.AttachReject{Cause: c.cause})
				wantRejected((<-done).err, "ATTACH REJECT")
				w.wantState(q, sim.Deregistered)
			})
		})
	}
}

func TestNetworkDetach(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		p := w.phone(sim.PhoneOptions{})
		u := w.attached(p)
		u.down(&eps.NetworkDetachRequest{Type: eps.NetworkDetachTypeNoReattach})
		up[*eps.DetachAccept](u)
		u.release(s1ap.CauseNasDetach.Cause())
		w.wantState(p, sim.Deregistered)
	})
}

// Messages a phone has no procedure for get EMM STATUS.
func TestStatus(t *testing.T) {
	play(t, sim.ENBOptions{}, func(w *world) {
		u := w.attached(w.phone(sim.PhoneOptions{}))
		for _, m := range []eps.Message{&eps.TrackingAreaUpdateReject{Cause: eps.EMMCauseCongestion}, securityModeCommand(0)} {
			u.down(m)
			if s := up[*eps.EMMStatus](u); s.Cause != eps.EMMCauseMessageTypeNotCompatibleWithTheProtocolState {
				t.Errorf("%v: cause %v", m.MessageType(), s.Cause)
			}
		}
		u.down(&eps.EMMStatus{Cause: eps.EMMCauseCongestion}) // no status for a status
		w.silent()
	})
}
