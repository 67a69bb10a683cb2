package mme

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/secret"
	"campanile.network/wire/home"
)

// TS 24.301 §5.6.1.4, TS 23.401 §5.3.4.1: idle, then active again.
func TestServiceRequest(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.e.send(&s1ap.UECapabilityInfoIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, UERadioCapability: []byte{1, 2, 3}})
		p.idle()
		i := p.settled()
		if _, x := w.gw.only(w); i.State != Idle || x.enb.TEID != 0 || i.Bearers[0].DL != 0 {
			t.Errorf("idle phone: %+v, eNB's tunnel end at the gateway %+v", i, x.enb)
		}

		ics := p.request()
		if want := p.sec.KeNB(p.sec.UL() - 1); s1ap.SecurityKey(want) != ics.SecurityKey {
			t.Error("K_eNB is not that of the Service Request's COUNT")
		}
		if ics.ERABToBeSetupListCtxtSUReq[0].NASPDU != nil || !slices.Equal(ics.UERadioCapability, []byte{1, 2, 3}) {
			t.Errorf("Initial Context Setup Request %+v", ics)
		}
		p.setupResponse()
		i = p.settled()
		if _, x := w.gw.only(w); i.State != Connected || i.Segment != 2 || len(x.segments) != 2 || x.segments[1].No != 2 || x.enb.TEID != 2 {
			t.Errorf("active phone: %+v, session %+v", i, x)
		}
		w.logged("procedure done", `procedure="service request"`)
		w.gw.none2(w)
	})
}

// none2 checks that the gateway was shown nothing wrong.
func (g *testGateway) none2(w *world) {
	w.t.Helper()
	for _, b := range g.bad {
		w.t.Errorf("gateway: %s", b)
	}
}

// TS 24.301 §5.6.1.5: unknown after a restart. The phone waits for the release
// (§5.3.1.2, T3440), which comes at once, and attaches by a new connection.
func TestServiceRequestOfUnknownPhone(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.guti = &id.GUTI{GUMMEI: w.m.o.GUMMEI, TMSI: 77}
		p.sec = must(nassec.New(nassec.State{Role: nassec.Phone, KSI: 1, KASME: secret.Key256{1}, EIA: nassec.EIA2}))
		asked := time.Now()
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		p.sec = nil
		if m := down[*eps.ServiceReject](p); m.Cause != eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork {
			t.Errorf("rejected with %v", m.Cause)
		}
		p.released()
		if d := time.Since(asked); d != 0 {
			t.Errorf("released after %v, want at once", d)
		}
		p.guti = nil
		p.attach()
	})
}

// A wrong short code does not disturb the phone (TS 24.301 §4.4.4.3).
func TestServiceRequestWithWrongCode(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		thief := p.at(e)
		thief.initialRaw([]byte{0xc7, byte(p.ksi) << 5, 1, 2})
		thief.sec = nil
		if m := down[*eps.ServiceReject](thief); m.Cause != eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork {
			t.Errorf("rejected with %v", m.Cause)
		}
		thief.released()
		if i := p.settled(); i.State != Connected {
			t.Errorf("the phone is %v", i.State)
		}
	})
}

// A lease near its end is renewed before bearers are set up, and the gateway
// gets the new ticket.
func TestLeaseRenewedAtServiceRequest(t *testing.T) {
	play(t, noUpdates, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		_, x := w.gw.only(w)
		first := x.ticket.ID
		p.idle()
		time.Sleep(5*time.Hour + 30*time.Minute) // of 6 h: less than a tenth is left

		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		auth := down[*eps.AuthenticationRequest](p)
		if auth.KSI == p.ksi {
			t.Error("the same KSI is given again")
		}
		p.uplink(p.answer(auth))
		p.secure()
		p.secured()
		ics := expect[*s1ap.InitialContextSetupRequest](p.e)
		if want := p.sec.KeNB(0); s1ap.SecurityKey(want) != ics.SecurityKey {
			t.Error("K_eNB is not that of Security Mode Complete")
		}
		p.setupResponse()
		if i := p.settled(); i.State != Connected || i.Segment != 1 || x.ticket.ID == first || i.Ticket != x.ticket.ID {
			t.Errorf("UEInfo %+v, ticket at the gateway %v, the first %v", i, x.ticket.ID, first)
		}
		w.gw.none2(w)

		// Home away: what is left of a lease is used up, an ended one is not.
		p.idle()
		w.home.refuse = home.Unavailable
		time.Sleep(5*time.Hour + 30*time.Minute)
		p.request()
		p.setupResponse()
		p.settled()
		p.idle()
		time.Sleep(time.Hour)
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		if m := down[*eps.ServiceReject](p); m.Cause != eps.EMMCauseNetworkFailure {
			t.Errorf("rejected with %v", m.Cause)
		}
		p.released()
		w.logged("going on with what is left")
	})
}

// CS fallback is not here; packet services are (TS 24.301 §5.6.1.5).
func TestExtendedServiceRequest(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		p.initial(&eps.ExtendedServiceRequest{Type: eps.ServiceTypeMOCSFallback, KSI: p.ksi, MTMSI: eps.MobileTMSI(p.guti.TMSI)})
		if m := down[*eps.ServiceReject](p); m.Cause != eps.EMMCauseCSDomainNotAvailable {
			t.Errorf("rejected with %v", m.Cause)
		}
		p.released()
		p.initial(&eps.ExtendedServiceRequest{Type: eps.ServiceTypePacket, KSI: p.ksi, MTMSI: eps.MobileTMSI(p.guti.TMSI)})
		p.mmeID = expect[*s1ap.InitialContextSetupRequest](p.e).MMEUES1APID
		p.setupResponse()
		p.settled()
		p.uplink(&eps.ExtendedServiceRequest{Type: eps.ServiceTypeMOCSFallback, KSI: p.ksi, MTMSI: eps.MobileTMSI(p.guti.TMSI)})
		if m := down[*eps.ServiceReject](p); m.Cause != eps.EMMCauseCSDomainNotAvailable {
			t.Errorf("connected, rejected with %v", m.Cause)
		}
		p.e.silent(time.Minute)
		if i := p.settled(); i.State != Connected {
			t.Errorf("%v", i.State)
		}
		w.counted("extended service request EMM cause #18", 2)
	})
}

// A tower's notice reaches the sessions it stopped.
func TestTowerNotice(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		p, q := w.phone(e), w.phone(f)
		p.attach()
		q.attach()
		const text = "vouchers lag 4.2 MB behind the tower's own count; window 4.0 MB"
		w.m.Notice(w.towers[0x19b], text)
		if i := p.settled(); i.Notice != text {
			t.Errorf("the phone's session says %q", i.Notice)
		}
		if i := q.settled(); i.Notice != "" {
			t.Errorf("a phone of another tower says %q", i.Notice)
		}
		for _, i := range w.m.ENBs() {
			if (i.Notice == text) != (i.Tower == w.towers[0x19b]) {
				t.Errorf("eNB %v says %q", i.ID, i.Notice)
			}
		}
		p.idle()
		if i := p.settled(); i.Notice != text {
			t.Errorf("idle, the session says %q", i.Notice)
		}
		w.m.Notice(w.towers[0x19b], "")
		p.request()
		p.setupResponse()
		if i := p.settled(); i.Notice != "" {
			t.Errorf("served again, the session says %q", i.Notice)
		}
	})
}

// Serve ends with SHUTDOWN and leaves nothing running (synctest would say).
func TestStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		e := w.tower(0x19b)
		p, q := w.phone(e), w.phone(e)
		p.attach()
		q.initial(q.attachRequest())
		down[*eps.AuthenticationRequest](q)
		w.stop()
		if in, err := e.a.Recv(context.Background()); err == nil {
			t.Errorf("the MME sent %x", in.Data)
		}
		w.end()
		if !w.l.isClosed() {
			t.Error("the listener is open")
		}
	})
}

// What is under way when the MME stops may end; nothing begins any more.
func TestStopLetsProceduresEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		e := w.tower(0x19b)
		p, q, r := w.phone(e), w.phone(e), w.phone(e)
		q.attach()
		q.idle()
		p.initial(p.attachRequest())
		auth := down[*eps.AuthenticationRequest](p)
		w.stop()
		synctest.Wait()
		r.initial(r.attachRequest()) // not heard
		s, _ := w.gw.only(w)
		w.m.DownlinkData(s, 5, 0) // nor is anybody paged
		p.uplink(p.answer(auth))
		p.secure()
		p.secured()
		p.information()
		p.accepted()
		p.setupResponse()
		p.complete()
		began := time.Now()
		if in, err := e.a.Recv(context.Background()); !errors.Is(err, io.EOF) {
			t.Errorf("the MME sent %x, %v; want SHUTDOWN", in.Data, err)
		}
		w.end()
		if time.Since(began) > time.Second {
			t.Errorf("the stop took %v after the last phone's procedure", time.Since(began))
		}
		w.logged("procedure done", "procedure=attach", p.imsi.String())
		if len(w.gw.sessions) != 2 {
			t.Errorf("%d sessions", len(w.gw.sessions))
		}
	})
}

func (l *listener) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// Sixteen bits can be guessed; not many times.
func TestGuessedServiceRequests(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		p.idle()
		for n := range maxGuesses {
			thief := p.at(e)
			thief.sec = nil
			thief.initialRaw([]byte{0xc7, byte(p.ksi) << 5, 0xff, byte(n)})
			down[*eps.ServiceReject](thief)
			thief.released()
		}
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		sec := p.sec
		p.sec = nil
		if m := down[*eps.ServiceReject](p); m.Cause != eps.EMMCauseUEIdentityCannotBeDerivedByTheNetwork {
			t.Errorf("rejected with %v", m.Cause)
		}
		p.released()
		p.sec = sec
		time.Sleep(guessWhile + 1)
		p.request()
	})
}
