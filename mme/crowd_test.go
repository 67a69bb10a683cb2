package mme

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
)

// A crowd of phones that do as they like, towers that come and go, a home and a
// gateway that stall: whatever happens, nothing hangs, and when it is quiet
// what the MME believes, what the gateway has and what S1 carries agree.
func TestCrowd(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			play(t, func(o *Options) { o.NetworkName, o.GUTIRequests = "Campanile", 3 }, func(w *world) {
				c := &crowd{w: w, rnd: rand.New(rand.NewPCG(seed, 1)), at: map[*enbPeer]map[s1ap.ENBUES1APID]*phone{}}
				c.run(500)
			})
		})
	}
}

type crowd struct {
	w      *world
	rnd    *rand.Rand
	mu     sync.Mutex
	towers []*enbPeer
	phones []*phone
	at     map[*enbPeer]map[s1ap.ENBUES1APID]*phone
	done   sync.WaitGroup
}

func (c *crowd) run(steps int) {
	c.towers = make([]*enbPeer, 3)
	for n := range c.towers {
		c.w.towers[uint32(n)] = [32]byte{byte(n + 1)}
	}
	for n := range c.towers {
		c.start(n)
	}
	for range 12 {
		c.phones = append(c.phones, c.w.phone(c.towers[0]))
	}
	for range steps {
		c.mu.Lock()
		pause := time.Duration(c.rnd.IntN(900)) * time.Millisecond
		c.mu.Unlock()
		time.Sleep(pause)
		c.mu.Lock()
		c.step(c.phones[c.rnd.IntN(len(c.phones))])
		c.mu.Unlock()
	}
	c.w.home.set(false)
	c.w.gw.delay(0)
	time.Sleep(10 * time.Minute) // longer than any timer
	synctest.Wait()
	c.check()
	for _, e := range c.towers {
		e.a.Abort("end")
	}
	c.done.Wait()
}

// start lets a tower join anew.
func (c *crowd) start(n int) {
	e := c.w.dial()
	e.tac, e.lossy = id.TAC(7+n%2), true
	c.towers[n], c.at[e] = e, map[s1ap.ENBUES1APID]*phone{}
	e.send(e.setupRequest(uint32(n)))
	c.done.Go(func() {
		for {
			in, err := e.a.Recv(context.Background())
			c.mu.Lock()
			if errors.Is(err, io.EOF) && c.towers[n] == e { // made to set up S1 anew
				c.start(n)
			}
			if err != nil {
				c.mu.Unlock()
				return
			}
			if pdu, err := s1ap.Parse(in.Data); err != nil {
				c.w.t.Errorf("the MME sent what does not parse: %v", err)
			} else {
				c.react(e, pdu.Message)
			}
			c.mu.Unlock()
		}
	})
}

// step is something that happens to a phone, or to all.
func (c *crowd) step(p *phone) {
	switch k := c.rnd.IntN(125); {
	case k < 15: // switched on, memory lost
		p.guti, p.sec, p.ksi = nil, nil, eps.NoKSI
		c.camp(p)
		p.initial(p.attachRequest())
		c.place(p)
	case k < 30:
		c.camp(p)
		p.initial(p.attachRequest())
		c.place(p)
	case k < 60 && p.sec != nil:
		c.camp(p)
		p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
		c.place(p)
	case k < 70 && p.guti != nil && p.mmeID != 0:
		kind := eps.DetachEPS
		if k%2 == 0 {
			kind |= eps.DetachSwitchOff
		}
		c.send(p, &s1ap.UplinkNASTransport{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, EUTRANCGI: p.e.cell(), TAI: p.e.tai(),
			NASPDU: p.protect(&eps.DetachRequest{Type: kind, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)}, nassec.IntegrityCiphered)})
	case k < 82 && p.mmeID != 0:
		c.send(p, &s1ap.UEContextReleaseRequest{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkRadioConnectionWithUeLost.Cause()})
	case k < 86:
		for _, s := range c.w.gw.all() {
			c.w.m.DownlinkData(s, 5, 0)
		}
	case k < 89:
		n := c.rnd.IntN(len(c.towers))
		c.towers[n].a.Abort("power cut")
		c.start(n)
	case k < 91:
		c.send(p, &s1ap.Reset{Cause: s1ap.CauseMiscUnspecified.Cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface}})
	case k < 94:
		c.w.home.set(k == 91)
	case k < 97:
		c.w.gw.delay(time.Duration(c.rnd.IntN(3)) * time.Second)
	case k < 112 && p.guti != nil:
		c.camp(p)
		p.initial(p.updateRequest([]eps.UpdateType{eps.UpdateTA, eps.UpdateTA | eps.UpdateActive, eps.UpdatePeriodic, eps.UpdateCombined}[k%4]))
		c.place(p)
	case k < 116 && p.guti != nil && p.mmeID != 0:
		c.send(p, &s1ap.UplinkNASTransport{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, EUTRANCGI: p.e.cell(), TAI: p.e.tai(),
			NASPDU: p.protect(p.updateRequest(eps.UpdatePeriodic), nassec.IntegrityCiphered)})
	case k < 121:
		_ = c.w.m.Detach(p.imsi, NetworkDetach{Type: eps.NetworkDetachType(k % 4)}) // who may be registered or not
	case k < 122:
		g := id.GlobalENBID{PLMN: testPLMN, Type: id.MacroENB, ID: uint32(c.rnd.IntN(len(c.towers)))}
		c.done.Go(func() { _ = c.w.m.Reset(context.Background(), g) })
	default:
		nas := make([]byte, 1+c.rnd.IntN(20))
		for i := range nas {
			nas[i] = byte(c.rnd.Uint32())
		}
		c.camp(p)
		p.initialRaw(append([]byte{0x07}, nas...))
		c.place(p)
	}
}

// camp moves a phone to some tower.
func (c *crowd) camp(p *phone)  { p.e = c.towers[c.rnd.IntN(len(c.towers))] }
func (c *crowd) place(p *phone) { c.at[p.e][p.enbID] = p }

func (c *crowd) send(p *phone, m s1ap.Message) {
	_ = p.e.a.Send(context.Background(), 1, ppid, must(s1ap.Append(nil, m))) // the tower may be gone
}

// react is what a tower and a phone do by themselves.
func (c *crowd) react(e *enbPeer, m s1ap.Message) {
	switch m := m.(type) {
	case *s1ap.DownlinkNASTransport:
		if p := c.at[e][m.ENBUES1APID]; p != nil && p.e == e && p.enbID == m.ENBUES1APID {
			p.mmeID = m.MMEUES1APID
			c.hear(p, m.NASPDU)
		}
	case *s1ap.InitialContextSetupRequest:
		c.w.newKey(m)
		p := c.at[e][m.ENBUES1APID]
		if p == nil || p.e != e || p.enbID != m.ENBUES1APID {
			return
		}
		p.mmeID = m.MMEUES1APID
		if c.rnd.IntN(10) == 0 {
			c.send(p, &s1ap.InitialContextSetupFailure{MMEUES1APID: p.mmeID, ENBUES1APID: p.enbID, Cause: s1ap.CauseRadioNetworkUnspecified.Cause()})
			return
		}
		p.setupResponse()
		c.hear(p, m.ERABToBeSetupListCtxtSUReq[0].NASPDU)
	case *s1ap.UEContextReleaseCommand:
		pair := m.UES1APIDs.UES1APIDPair
		if p := c.at[e][pair.ENBUES1APID]; p != nil && p.e == e && p.enbID == pair.ENBUES1APID {
			p.mmeID = 0
		}
		delete(c.at[e], pair.ENBUES1APID)
		if c.rnd.IntN(10) > 0 {
			_ = e.a.Send(context.Background(), 1, ppid, must(s1ap.Append(nil, &s1ap.UEContextReleaseComplete{MMEUES1APID: pair.MMEUES1APID, ENBUES1APID: pair.ENBUES1APID})))
		}
	case *s1ap.Reset:
		if c.rnd.IntN(3) > 0 {
			_ = e.a.Send(context.Background(), 0, ppid, must(s1ap.Append(nil, &s1ap.ResetAcknowledge{})))
		}
	case *s1ap.Paging:
		for _, p := range c.phones {
			if p.guti != nil && p.guti.STMSI() == m.UEPagingID.STMSI.ID() && p.sec != nil && p.mmeID == 0 && c.rnd.IntN(3) > 0 {
				p.e = e
				p.initialRaw(must(p.sec.AppendServiceRequest(nil)))
				c.place(p)
			}
		}
	}
}

// hear is a phone's answer to a NAS message; now and then there is none.
func (c *crowd) hear(p *phone, pdu []byte) {
	if len(pdu) == 0 || c.rnd.IntN(25) == 0 {
		return
	}
	t := must(nassec.TypeOf(pdu))
	plain := pdu
	switch {
	case t == nassec.IntegrityNewContext:
		h := must(nassec.ParseHeader(pdu))
		smc := must(eps.Parse(eps.Downlink, h.Payload)).(*eps.SecurityModeCommand)
		sec := must(nassec.New(nassec.State{Role: nassec.Phone, KSI: uint8(smc.KSI), KASME: p.kasme, EEA: nassec.EEA(smc.Algorithms.Ciphering), EIA: nassec.EIA(smc.Algorithms.Integrity)}))
		if _, err := sec.Unprotect(nil, pdu); err != nil {
			return // of an authentication that is over
		}
		p.sec = sec
		p.secured()
		return
	case t != nassec.Plain:
		if p.sec == nil {
			return
		}
		r, err := p.sec.Unprotect(nil, pdu)
		if errors.Is(err, nassec.ErrReplay) {
			c.w.t.Errorf("a downlink NAS COUNT is used twice")
		}
		if err != nil {
			return
		}
		plain = r.Plain
	}
	switch m := must(eps.Parse(eps.Downlink, plain)).(type) {
	case *eps.AuthenticationRequest:
		p.uplink(p.answer(m))
	case *eps.IdentityRequest:
		p.uplink(&eps.IdentityResponse{Identity: eps.MobileIMSI(p.imsi)})
	case *eps.ESMInformationRequest:
		p.uplink(&eps.ESMInformationResponse{PTI: m.PTI})
	case *eps.AttachAccept:
		g, _ := m.GUTI.V.GUTI()
		p.guti = &g
		p.complete()
	case *eps.TrackingAreaUpdateAccept:
		if g, ok := m.GUTI.V.GUTI(); ok {
			p.guti = &g
			p.uplink(&eps.TrackingAreaUpdateComplete{})
		}
	case *eps.GUTIReallocationCommand:
		g, _ := m.GUTI.GUTI()
		p.guti = &g
		p.uplink(&eps.GUTIReallocationComplete{})
	case *eps.TrackingAreaUpdateReject:
		p.uplinkRaw(p.protect(p.attachRequest(), nassec.IntegrityProtected))
	case *eps.ServiceReject:
		p.guti, p.sec, p.ksi = nil, nil, eps.NoKSI
		p.uplink(p.attachRequest())
	case *eps.NetworkDetachRequest:
		p.uplink(&eps.DetachAccept{})
	}
}

// check compares the three views.
func (c *crowd) check() {
	t := c.w.t
	connected, sessions := 0, map[string]bool{}
	for _, i := range c.w.m.UEs() {
		switch i.State {
		case Attaching:
			t.Errorf("a phone is attaching for ten minutes: %+v", i)
		case Connected:
			connected++
		}
		if i.State == Connected || i.State == Idle {
			sessions[i.Address.String()] = true
		}
	}
	for _, u := range c.w.m.known.all() {
		if i := u.show(nil); (i.State == Connected) != (u.owner != nil && c.w.m.legs.byMME[u.owner.leg.mmeID] == u.owner.leg) {
			t.Errorf("phone %s is %v, since %v, %q; its owner is %+v", i.IMSI.Digits(), i.State, i.Since, i.Reason, u.owner)
		}
	}
	s := c.w.m.Stats()
	if s.Connected != connected {
		t.Errorf("%d S1 connections, %d phones connected", s.Connected, connected)
	}
	if s.ENBs != len(c.towers) {
		t.Errorf("%d eNBs, want %d", s.ENBs, len(c.towers))
	}
	for _, x := range c.w.gw.all() {
		if !sessions[x.Address.String()] {
			t.Errorf("the gateway has a session of nobody: %v", x.Address)
		}
		delete(sessions, x.Address.String())
	}
	if len(sessions) != 0 {
		t.Errorf("phones without session at the gateway: %v", sessions)
	}
	for _, b := range c.w.gw.bad {
		t.Errorf("gateway: %s", b)
	}
	t.Logf("%v, dropped %v", s.Procedures, s.Dropped)
}

func (h *testHome) set(silent bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.silent = silent
}

func (g *testGateway) delay(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.slow = d
}

func (g *testGateway) hush(silent bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.silent = silent
}

func (g *testGateway) all() []*s11.Session {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []*s11.Session
	for s := range g.sessions {
		out = append(out, s)
	}
	return out
}
