package mme

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/secret"
	"campanile.network/internal/sctp"
)

// A story is what a phone does, from switched on or registered. Another is another
// entry.
type story struct {
	name       string
	registered bool // it begins with the phone attached and idle
	change     func(*Options)
	tell       func(*crash)
}

func stories() []story {
	return append(bearerStories(), []story{
		{name: "attach", tell: func(c *crash) { c.h.attach() }},
		{name: "GUTI attach", registered: true, tell: func(c *crash) { c.h.attach() }},
		{name: "service request", registered: true, tell: func(c *crash) { c.h.service(); c.h.inactive(); c.h.service() }},
		{name: "update", registered: true, tell: func(c *crash) { c.h.update(eps.UpdateTA) }},
		{name: "periodic update", registered: true, tell: func(c *crash) { c.h.update(eps.UpdatePeriodic) }},
		{name: "active update", registered: true, tell: func(c *crash) { c.h.update(eps.UpdatePeriodic | eps.UpdateActive) }},
		{name: "paging", registered: true, tell: func(c *crash) { c.page() }},
		{name: "GUTI reallocation", registered: true, change: func(o *Options) { o.GUTIRequests = 1 }, tell: func(c *crash) {
			c.h.service()
			c.rest(10 * time.Second)
			c.h.inactive()
			c.h.service()
		}},
		{name: "detach by the phone", registered: true, tell: func(c *crash) { c.h.detach(); c.h.attach() }},
		{name: "switched off", registered: true, tell: func(c *crash) { c.h.switchOff(); c.rest(time.Minute); c.h.attach() }},
		{name: "detach by the network", registered: true, tell: func(c *crash) { c.detachPhone() }},
		{name: "lease renewal", registered: true, change: noUpdates, tell: func(c *crash) { c.rest(5*time.Hour + 30*time.Minute); c.h.service() }},
		{name: "lease renewal by an update", registered: true, change: noUpdates, tell: func(c *crash) { c.rest(5*time.Hour + 30*time.Minute); c.h.update(eps.UpdateTA | eps.UpdateActive) }},
		{name: "lease renewal on a live connection", registered: true, change: noUpdates, tell: func(c *crash) {
			c.h.service()
			c.rest(6 * time.Hour)
			c.h.service()
		}},
		{name: "implicit detach", registered: true, tell: func(c *crash) { c.rest(2 * time.Hour); c.h.attach() }},
		{name: "path switch", registered: true, tell: func(c *crash) { c.move(c.switchPath); c.move(c.switchPath) }},
		{name: "S1 handover", registered: true, tell: func(c *crash) { c.move(c.handOver); c.move(c.handOver) }},
		{name: "attach by IMSI of a registered phone", registered: true, tell: func(c *crash) {
			c.lock(func() { c.h.guti, c.h.sec, c.h.ksi, c.h.registered = nil, nil, eps.NoKSI, false })
			c.h.attach()
		}},
	}...)
}

// The MME is killed after each message that it sends or receives, on S1, S11 and
// towards the home, and after each write. Another starts on what is on the disk,
// the eNB sets up S1 anew, the phone repeats by its timers. Then a registered phone
// has gone on without a new attach, with its address; one that was not could attach;
// the gateway has no session of nobody, also if the phone is never heard of again;
// no NAS COUNT, no K_eNB was used twice.
func TestKilledAnywhere(t *testing.T) {
	for _, s := range stories() {
		t.Run(s.name, func(t *testing.T) {
			n := tellStory(t, s, 0, false)
			for k := 1; k <= n && !t.Failed(); k++ {
				t.Run(fmt.Sprintf("after %d of %d", k, n), func(t *testing.T) { tellStory(t, s, k, false) })
				t.Run(fmt.Sprintf("after %d of %d, and the phone is gone", k, n), func(t *testing.T) { tellStory(t, s, k, true) })
			}
			t.Logf("%d messages and writes", n)
		})
	}
}

// crash is a world in which the MME dies once.
type crash struct {
	w         *world
	h         *handset
	d         *disk
	x         *life
	mu        sync.Mutex // of handset and tower
	e         *enbPeer   // nil while the eNB has no association
	stop      chan struct{}
	all       sync.WaitGroup
	told      map[secret.Key256]*nassec.Context // all that left towards the phone, by K_ASME
	answered  map[secret.Key256]nassec.Count    // the next uplink COUNT when something left, likewise
	there     arrival                           // where a handover brings the phone
	mayAttach bool                              // anew, although registered: the network has detached it
}

// tellStory tells a story to an MME that dies after k messages and writes of it,
// and perhaps the phone's battery with it. It gives how many there were.
func tellStory(t *testing.T, s story, k int, both bool) (n int) {
	synctest.Test(t, func(t *testing.T) {
		c := &crash{d: newDisk(), x: newLife(0), stop: make(chan struct{}), told: map[secret.Key256]*nassec.Context{}, answered: map[secret.Key256]nassec.Count{}}
		c.w = makeWorld(t, s.change)
		c.w.o.NetworkName = "Campanile"
		c.w.mortal(&c.w.o, c.d, c.x)
		c.w.start(c.w.l)
		defer c.w.end()
		c.h = &handset{c: c, phone: c.w.phone(nil), wake: make(chan struct{}, 1), has: map[id.EBI]string{}}
		c.all.Go(c.tower)
		if s.registered {
			c.h.attach()
			c.h.inactive()
			c.rest(time.Second)
		}
		before := c.x.count()
		if k > 0 {
			c.x.die(before + k)
			c.all.Go(func() { c.restart(both) })
		}
		s.tell(c)
		c.rest(30 * time.Second)
		n = c.x.count() - before
		if c.h.gone {
			c.checkGone()
		} else {
			c.check()
		}
		close(c.stop)
		c.lock(func() { c.e.a.Abort("end") })
		c.all.Wait()
	})
	return n
}

func (x *life) count() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.n
}

func (x *life) die(after int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.ends = after
}

// restart starts another MME when the first has died. What that one still does is
// for nobody. gone says that the phone is off from then on.
func (c *crash) restart(gone bool) {
	select {
	case <-c.x.ended:
	case <-c.stop:
		return
	}
	c.mu.Lock()
	stop, served := c.w.stop, c.w.served
	c.w.l.Close()
	c.d = c.d.cut()
	c.w.mortal(&c.w.o, c.d, newLife(0))
	c.w.start(c.w.l)
	c.checkCounts()
	c.h.gone = gone
	c.mu.Unlock()
	c.x.bury()
	stop()
	<-served
}

func (c *crash) lock(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *crash) rest(d time.Duration) { time.Sleep(d) }

// tower is the eNB: it sets up S1 whenever it has no association.
func (c *crash) tower() {
	for {
		select {
		case <-c.stop:
			return
		case <-time.After(time.Second):
		}
		c.mu.Lock()
		open := c.w.open
		c.mu.Unlock()
		e := c.dial(open)
		if e == nil {
			continue
		}
		for {
			in, err := e.a.Recv(context.Background())
			if err != nil {
				break
			}
			c.lock(func() { c.react(e, must(s1ap.Parse(in.Data)).Message) })
		}
		c.lock(func() {
			if c.e == e {
				c.e, c.h.connected, c.h.linked = nil, false, false
				c.h.poke()
			}
		})
	}
}

// dial opens an association and sets up S1; nil if nobody answers.
func (c *crash) dial(open func(netip.AddrPort) sctp.Association) *enbPeer {
	c.w.enbPort++
	remote := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.10"), 40000+c.w.enbPort)
	e := &enbPeer{w: c.w, a: open(remote), addr: remote.Addr(), plmn: testPLMN, tac: 7, eci: id.ECI(0x19b01), lossy: true, lastID: s1ap.ENBUES1APID(c.w.enbPort) << 8}
	e.send(e.setupRequest(0x19b))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err := e.a.Recv(ctx); err != nil {
		e.a.Abort("no answer")
		return nil
	}
	c.lock(func() { c.e, c.h.e = e, e })
	return e
}

// react is what the eNB does by itself, and hands to the phone.
func (c *crash) react(e *enbPeer, m s1ap.Message) {
	h := c.h
	c.w.newKey(m)
	switch m := m.(type) {
	case *s1ap.DownlinkNASTransport:
		c.leaves(m.NASPDU)
		if h.at(e, m.ENBUES1APID) {
			h.mmeID = m.MMEUES1APID
			h.hear(m.NASPDU)
		}
	case *s1ap.InitialContextSetupRequest:
		nas := m.ERABToBeSetupListCtxtSUReq[0].NASPDU
		c.leaves(nas)
		if h.at(e, m.ENBUES1APID) {
			h.mmeID = m.MMEUES1APID
			if want := h.sec.KeNB(h.start); s1ap.SecurityKey(want) != m.SecurityKey {
				c.w.t.Error("K_eNB is not the phone's")
			}
			h.secure = true
			h.setupAll(m)
			h.radio(m)
			h.hear(nas)
			h.connected = true
		}
	case *s1ap.UEContextModificationRequest:
		e.send(&s1ap.UEContextModificationResponse{MMEUES1APID: m.MMEUES1APID, ENBUES1APID: m.ENBUES1APID})
	case *s1ap.ERABSetupRequest, *s1ap.ERABReleaseCommand:
		c.reactBearers(e, m)
	case *s1ap.HandoverRequest, *s1ap.HandoverCommand, *s1ap.PathSwitchRequestAcknowledge:
		c.moves(e, m)
	case *s1ap.UEContextReleaseCommand:
		pair := m.UES1APIDs.UES1APIDPair
		if h.at(e, pair.ENBUES1APID) {
			h.linked, h.connected = false, false
		}
		e.send(&s1ap.UEContextReleaseComplete{MMEUES1APID: pair.MMEUES1APID, ENBUES1APID: pair.ENBUES1APID})
	case *s1ap.Paging:
		if h.guti != nil && h.guti.STMSI() == m.UEPagingID.STMSI.ID() && !h.linked && h.registered && !h.gone {
			h.link(func() { h.initialRaw(must(h.sec.AppendServiceRequest(nil))) })
		}
	}
	h.poke()
}

// leaves checks what leaves towards the phone, heard or not: no COUNT twice.
func (c *crash) leaves(pdu []byte) {
	m := c.clear(pdu)
	if _, ok := m.(*eps.EMMInformation); ok {
		return // it answers nothing
	}
	if k := c.h.sec; k != nil && len(pdu) > 0 {
		c.answered[k.State().KASME] = k.UL()
	} else if k != nil { // a context setup answers what K_eNB derives from
		c.answered[k.State().KASME] = max(c.h.start+1, c.answered[k.State().KASME])
	}
}

// clear gives what a NAS message says, nil if there is none.
func (c *crash) clear(pdu []byte) eps.Message {
	switch {
	case len(pdu) == 0:
		return nil
	case must(nassec.TypeOf(pdu)) == nassec.Plain:
		return must(eps.Parse(eps.Downlink, pdu))
	case must(nassec.TypeOf(pdu)) == nassec.IntegrityNewContext && c.told[c.h.kasme] == nil:
		c.told[c.h.kasme] = c.h.context(pdu)
	}
	for _, k := range c.told {
		switch r, err := k.Unprotect(nil, pdu); {
		case err == nil:
			return must(eps.Parse(eps.Downlink, r.Plain))
		case errors.Is(err, nassec.ErrReplay):
			c.w.t.Error("a downlink NAS COUNT is used twice")
			return nil
		}
	}
	c.w.t.Errorf("protected with keys the phone never had: %x", pdu)
	return nil
}

// page is a gateway that has data for the phone until it comes.
func (c *crash) page() {
	for range 50 {
		for _, s := range c.w.gw.all() {
			c.lock(func() { c.w.m.DownlinkData(s, 5, 0) })
		}
		c.rest(20 * time.Second)
		if c.h.is(func() bool { return c.h.connected || c.h.gone }) {
			return
		}
		c.h.lose()
	}
	c.w.t.Error("the phone is not reached")
}

// detachPhone is somebody who wants the phone detached, and says so until it is.
func (c *crash) detachPhone() {
	for range 50 {
		var err error
		c.lock(func() { err = c.w.m.Detach(c.h.imsi, NetworkDetach{Type: eps.NetworkDetachTypeNoReattach}) })
		c.rest(30 * time.Second)
		if c.h.is(func() bool { return c.h.gone }) {
			return
		}
		if err != nil && c.h.is(func() bool { return c.h.registered }) {
			c.mayAttach = true // the MME died before it could tell the phone
			c.h.service()
			return
		}
		if !c.h.is(func() bool { return c.h.registered }) {
			c.h.attach()
			return
		}
		c.h.lose()
	}
	c.w.t.Error("the phone is not detached")
}

// checkCounts is the rule of uplink COUNTs: what was answered is on the disk.
func (c *crash) checkCounts() {
	for _, u := range c.w.m.known.all() {
		for _, k := range []*keyset{u.sec, u.next} {
			if k != nil && k.State().UL < c.answered[k.State().KASME] {
				c.w.t.Errorf("the MME would accept uplink COUNT %d again, of %d that it has answered", k.State().UL, c.answered[k.State().KASME])
			}
		}
	}
}

// checkGone is when a phone that is gone is detached implicitly.
func (c *crash) checkGone() {
	c.rest(26 * time.Hour)
	synctest.Wait()
	if s := c.w.m.Stats(); len(c.w.gw.all()) != 0 || s.Registered != 0 || s.Connected != 0 {
		c.w.t.Errorf("long after the phone has gone: %+v; the gateway has %v", s, c.w.gw.all())
	}
}

// check compares phone, MME and gateway when all is quiet, and then whether a
// registered phone is served.
func (c *crash) check() {
	t, h := c.w.t, c.h
	if h.is(func() bool { return h.registered }) {
		h.service()
	}
	c.rest(10 * time.Minute)
	synctest.Wait()
	sessions := c.w.gw.all()
	want := []string{h.addr}
	for _, a := range h.has {
		if a != "" {
			want = append(want, a)
		}
	}
	var got []string
	for _, s := range sessions {
		got = append(got, s.Address.String())
	}
	slices.Sort(want)
	slices.Sort(got)
	if h.registered && !slices.Equal(got, want) || !h.registered && len(sessions) != 0 {
		t.Errorf("phone registered %v with %v; the gateway has %v, was asked %v", h.registered, h.addr, sessions, c.w.gw.said)
	}
	if all := c.w.m.UEs(); len(all) != 1 || (all[0].State == Connected) != h.connected {
		t.Errorf("the phone is connected: %v; the MME has %+v", h.connected, all)
	}
	for _, b := range c.w.gw.bad {
		t.Errorf("gateway: %s", b)
	}
}
