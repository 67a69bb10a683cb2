package mme

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
	"campanile.network/sdr/sim"
)

// simENB is an eNB of sdr/sim, without user plane, in this world.
func (w *world) simENB(ctx context.Context, enbID uint32, tac id.TAC, o sim.ENBOptions) *sim.ENB {
	o.ID = id.GlobalENBID{PLMN: testPLMN, Type: id.MacroENB, ID: enbID}
	o.TAI, o.Cell, o.Name = id.TAI{PLMN: testPLMN, TAC: tac}, id.ECI(enbID<<8|1), fmt.Sprint("sim", enbID)
	e := must(sim.NewENB(o))
	w.ends.Go(func() {
		_ = e.Serve(ctx, func(context.Context) (sctp.Association, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.enbPort++
			return w.open(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.10"), 40000+w.enbPort)), nil
		})
	})
	if err := e.WaitReady(ctx); err != nil {
		w.t.Fatal(err)
	}
	return e
}

func (w *world) simPhone(e *sim.ENB, o sim.PhoneOptions) *sim.Phone {
	w.phones++
	imsi := must(id.ParseIMSI(fmt.Sprintf("0010100000%05d", w.phones)))
	s := w.home.add(imsi)
	o.SIM, o.ENB = sim.SIM{IMSI: imsi, K: s.k, OPc: s.opc}, e
	return must(sim.NewPhone(o))
}

// simLife is what one simulated phone goes through.
type simLife struct {
	w    *world
	ctx  context.Context
	p    *sim.Phone
	imsi id.IMSI
	enbs []*sim.ENB
	late uint64 // messages for connections that were being released
}

// playSim is play with two eNBs in two tracking areas, and a phone.
func playSim(t *testing.T, change func(*Options), eo sim.ENBOptions, po sim.PhoneOptions, script func(*simLife)) {
	t.Helper()
	play(t, change, func(w *world) {
		ctx, stop := context.WithCancel(context.Background())
		defer w.ends.Wait()
		defer stop()
		l := &simLife{w: w, ctx: ctx, enbs: []*sim.ENB{w.simENB(ctx, 0x19b, 7, eo), w.simENB(ctx, 0x19c, 8, eo)}}
		l.p = w.simPhone(l.enbs[0], po)
		l.imsi = must(id.ParseIMSI("001010000000001"))
		defer l.p.SwitchOff()
		script(l)
		l.noFaults()
	})
}

func (l *simLife) ok(what string, err error) {
	l.w.t.Helper()
	if err != nil {
		l.w.t.Fatalf("%s: %v", what, err)
	}
}

func (l *simLife) is(what string, want State) UEInfo {
	l.w.t.Helper()
	i := l.w.info(l.imsi)
	if i.State != want {
		l.w.t.Errorf("%s: %+v", what, i)
	}
	return i
}

// noFaults checks what phone and eNBs check.
func (l *simLife) noFaults() {
	l.w.t.Helper()
	st := l.p.Stats()
	if n := st.MAC.Load() + st.Replayed.Load() + st.Plain.Load() + st.Capabilities.Load() + st.Changed.Load() + st.Undecodable.Load(); n != 0 {
		l.w.t.Errorf("the phone finds %d faults: %d MAC, %d replayed, %d plain, %d undecodable", n, st.MAC.Load(), st.Replayed.Load(), st.Plain.Load(), st.Undecodable.Load())
	}
	for _, x := range l.enbs {
		if st := x.Stats(); st.KeyMismatch.Load()+st.SyntaxErrors.Load() != 0 || st.ErrorIndications.Load() > l.late {
			l.w.t.Errorf("the eNB: %d keys, %d syntax errors, %d error indications", st.KeyMismatch.Load(), st.SyntaxErrors.Load(), st.ErrorIndications.Load())
		}
	}
}

// A phone made by others, through nearly all that can happen to it: neither side
// finds fault with the other.
func TestSimulatedPhone(t *testing.T) {
	playSim(t, func(o *Options) { o.GUTIRequests, o.NetworkName = 5, "Campanile" }, sim.ENBOptions{}, sim.PhoneOptions{}, func(l *simLife) {
		s, err := l.p.Attach(l.ctx)
		l.ok("attach", err)
		l.is("attached", Connected)
		l.ok("rest", l.p.Rest(l.ctx))
		l.ok("move", l.p.MoveTo(l.ctx, l.enbs[1], 0))
		if i := l.is("moved", Idle); i.TAI.TAC != 8 {
			t.Errorf("moved: %+v", i)
		}
		time.Sleep(5 * time.Hour) // periodic updates keep it
		l.is("a while later", Idle)
		session, _ := l.w.gw.only(l.w)
		l.w.m.DownlinkData(session, 5, 0)
		time.Sleep(time.Second)
		l.is("paged", Connected)
		l.ok("update in connected mode", l.p.Update(l.ctx, eps.UpdateTA))
		l.is("updated", Connected)
		for range 4 {
			l.ok("rest", l.p.Rest(l.ctx))
			l.ok("service", l.p.ServiceRequest(l.ctx, s1ap.RRCEstablishmentCauseMoData))
		}
		time.Sleep(time.Second)
		l.w.counted("GUTI reallocation ok", 1)
		if g, _ := l.p.GUTI(); g == s.GUTI || l.is("reallocated", Connected).TMSI != g.TMSI {
			t.Errorf("the phone is %v", g)
		}
		l.orders()
		if l.p.Network().FullName != "Campanile" {
			t.Errorf("the phone shows %q", l.p.Network().FullName)
		}
		for what, n := range l.w.m.Stats().Dropped {
			if strings.HasPrefix(what, "NAS") {
				t.Errorf("%d times: %s", n, what)
			}
		}
	})
}

// orders are an operator's: reset, detach of the connected and of the idle phone.
func (l *simLife) orders() {
	l.w.t.Helper()
	l.ok("reset", l.w.m.Reset(l.ctx, id.GlobalENBID{PLMN: testPLMN, Type: id.MacroENB, ID: 0x19c}))
	l.is("reset", Idle)
	l.ok("update", l.p.Update(l.ctx, eps.UpdateTA|eps.UpdateActive))
	l.is("updated and active", Connected)
	l.ok("detach", l.w.m.Detach(l.imsi, NetworkDetach{}))
	time.Sleep(time.Minute) // it attaches again by itself
	l.is("attached again", Connected)
	l.ok("rest", l.p.Rest(l.ctx))
	l.ok("detach", l.w.m.Detach(l.imsi, NetworkDetach{Type: eps.NetworkDetachTypeNoReattach}))
	time.Sleep(time.Minute)
	l.is("detached", Deregistered)
	l.w.gw.none(l.w)
}

// srsRAN's eNB and phone, which know neither Reset nor updates nor GUTI
// reallocation.
func TestSimulatedSrsRAN(t *testing.T) {
	playSim(t, func(o *Options) { o.GUTIRequests = 2 }, sim.ENBOptions{SRSENB: true, Redial: 10 * time.Second}, sim.PhoneOptions{SRSUE: true}, func(l *simLife) {
		_, err := l.p.Attach(l.ctx)
		l.ok("attach", err)
		for range 3 {
			l.ok("rest", l.p.Rest(l.ctx))
			l.ok("service", l.p.ServiceRequest(l.ctx, s1ap.RRCEstablishmentCauseMoData))
		}
		time.Sleep(time.Minute)
		l.is("after a GUTI that it does not take", Connected)

		l.ok("rest", l.p.Rest(l.ctx))
		time.Sleep(2 * time.Hour)
		l.is("two hours later, without updates", Deregistered)
		l.late = 1 // it attaches by the connection on which it is rejected, and again after the release
		_ = l.p.ServiceRequest(l.ctx, s1ap.RRCEstablishmentCauseMoData)
		time.Sleep(time.Minute)
		l.is("back", Connected)

		l.ok("reset", l.w.m.Reset(l.ctx, id.GlobalENBID{PLMN: testPLMN, Type: id.MacroENB, ID: 0x19b}))
		time.Sleep(time.Minute)
		if n := l.enbs[0].Stats().Setups.Load(); n != 2 {
			t.Errorf("the eNB has set up S1 %d times", n)
		}
		l.ok("service", l.p.ServiceRequest(l.ctx, s1ap.RRCEstablishmentCauseMoData))
		l.is("after the reset", Connected)
		l.ok("detach", l.w.m.Detach(l.imsi, NetworkDetach{}))
		time.Sleep(time.Minute)
		l.is("attached again", Connected)
	})
}
