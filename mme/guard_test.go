package mme

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
	"campanile.network/mme/s11"
	"campanile.network/wire/home"
)

// An eNB that takes nothing is given up, and holds up nobody else meanwhile.
func TestStuckENB(t *testing.T) {
	play(t, nil, func(w *world) {
		a, b := sctp.Pipe(sctp.PipeOptions{A: w.l.Addr(), B: netip.MustParseAddrPort("127.0.0.10:9"), Buffer: 300})
		w.l.offer(a)
		e := &enbPeer{w: w, a: b, addr: netip.MustParseAddr("127.0.0.10"), plmn: testPLMN, tac: 7, eci: 0x19b01}
		e.send(e.setupRequest(0x19b))
		expect[*s1ap.S1SetupResponse](e)
		go func() { // until the association ends
			pdu := must(s1ap.Append(nil, &s1ap.UEContextReleaseRequest{MMEUES1APID: 77, ENBUES1APID: 1, Cause: s1ap.CauseRadioNetworkUserInactivity.Cause()}))
			for b.Send(context.Background(), 1, ppid, pdu) == nil {
			}
		}()
		w.phone(w.tower(0x19c)).attach()
		time.Sleep(sendWait)
		synctest.Wait()
		if n := len(w.m.ENBs()); n != 1 {
			t.Errorf("%d eNBs are up", n)
		}
		w.logged("the eNB takes nothing")
	})
}

// A home and a gateway whose values no eNB could be told.
func TestUnusableValues(t *testing.T) {
	change := func(f func(*home.Profile)) func(*world) {
		return func(w *world) { w.home.profile = testProfile(); f(&w.home.profile) }
	}
	session := func(f func(*s11.Session)) func(*world) { return func(w *world) { w.gw.spoil = f } }
	for _, c := range []struct {
		name string
		set  func(*world)
		line string
	}{
		{"no APN", change(func(p *home.Profile) { p.APN = id.APN{} }), "home's profile"},
		{"no QCI", change(func(p *home.Profile) { p.QCI = 0 }), "QCI 0"},
		{"ARP 16", change(func(p *home.Profile) { p.ARP = 16 }), "ARP 16"},
		{"no AMBR", change(func(p *home.Profile) { p.AMBRDL = 0 }), "AMBR"},
		{"no address", session(func(s *s11.Session) { s.Address = netip.Addr{} }), "session cannot be used"},
		{"no tunnel", session(func(s *s11.Session) { s.SGW = s11.FTEID{} }), "session cannot be used"},
		{"ARP 99", session(func(s *s11.Session) { s.QoS.ARP.Level = 99 }), "session cannot be used"},
		{"PCO of 300 octets", session(func(s *s11.Session) { s.PCO = make([]byte, 300) }), "rotocol configuration options"},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, nil, func(w *world) {
				p := w.phone(w.tower(0x19b))
				c.set(w)
				p.initial(p.attachRequest())
				p.uplink(p.answer(down[*eps.AuthenticationRequest](p)))
				if w.gw.spoil != nil {
					p.secure()
					p.secured()
					p.information()
				}
				p.rejected(eps.EMMCauseNetworkFailure)
				w.logged("EMM cause #17", c.line)
				w.gw.none(w)
			})
		})
	}
	t.Run("AMBR beyond all bounds", func(t *testing.T) {
		play(t, nil, func(w *world) {
			change(func(p *home.Profile) { p.AMBRDL, p.AMBRUL = 1<<62, 1<<62 })(w)
			w.phone(w.tower(0x19b)).attach()
		})
	})
}

// NAS COUNTs that run out ask for a new authentication (TS 24.301 §4.4.3.5).
func TestCountsRunOut(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		st := p.sec.State()
		st.UL = nassec.MaxCount - 100
		p.sec = must(nassec.New(st))
		st.Role = nassec.Network
		w.m.known.find(p.guti.TMSI).sec = must(newKeyset(st))
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		p.authenticate()
		expect[*s1ap.InitialContextSetupRequest](p.e)
	})
}

// The eNB gives up the only bearer.
func TestERABReleaseIndication(t *testing.T) {
	play(t, nil, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.e.send(&s1ap.ERABReleaseIndication{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID,
			ERABReleasedList: s1ap.ERABList{{ERABID: 5, Cause: s1ap.CauseRadioNetworkRadioResourcesNotAvailable.Cause()}}})
		p.released()
		if i := p.settled(); i.State != Idle {
			t.Errorf("state %v", i.State)
		}
	})
}

// What a console hears, in order.
func TestEvents(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		p := w.phone(e)
		p.attach()
		p.idle()
		p.request()
		p.setupResponse()
		p.settled()
		p.uplink(&eps.DetachRequest{Type: eps.DetachEPS | eps.DetachSwitchOff, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
		p.released()
		q := w.stranger(e, "262019876543210")
		q.initial(q.attachRequest())
		q.rejected(eps.EMMCauseNoSuitableCellsInTrackingArea)
		e.a.Shutdown(context.Background())
		synctest.Wait()
		var got []string
		for _, v := range w.events {
			switch v := v.(type) {
			case ENBChanged:
				got = append(got, fmt.Sprintf("eNB up=%v %s", v.Up, v.Reason))
			case UEChanged:
				if v.UE.IMSI != p.imsi {
					t.Errorf("event of %v", v.UE.IMSI)
				}
				got = append(got, "UE "+v.UE.State.String())
			case ProcedureDone:
				got = append(got, v.Procedure+" "+v.Cause)
			}
		}
		want := []string{"eNB up=true ", "UE attaching", "UE connected", "attach ", "UE idle", "UE connected", "service request ", "UE deregistered", "detach ",
			"attach EMM cause #15", "eNB up=false eNB shut the association down"}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("events\n%q, want\n%q", got, want)
		}
	})
}

// A random source that fails, and one that repeats itself.
func TestMTMSISource(t *testing.T) {
	play(t, func(o *Options) { o.Rand = repeating{} }, func(w *world) {
		e := w.tower(0x19b)
		w.phone(e).attach()
		p := w.phone(e)
		p.initial(p.attachRequest())
		p.authenticate()
		p.information()
		p.rejected(eps.EMMCauseNetworkFailure)
		w.logged("64 M-TMSIs drawn, none free")
	})
	play(t, func(o *Options) { o.Rand = broken{} }, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.initial(p.attachRequest())
		p.authenticate()
		p.information()
		p.rejected(eps.EMMCauseNetworkFailure)
		w.logged("no entropy")
		w.gw.none(w)
	})
}

type repeating struct{}

func (repeating) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 7
	}
	return len(p), nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("no entropy") }
