package mme

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
)

// bearerStories are stories of session management for TestKilledAnywhere.
func bearerStories() []story {
	subscribed := func(o *Options) {
		w := &world{home: o.Home.(*testHome)}
		w.severalAPNs()
	}
	return []story{
		{name: "further PDN connection", registered: true, change: subscribed, tell: func(c *crash) { c.h.connectTo(ims) }},
		{name: "PDN disconnection", registered: true, change: subscribed, tell: func(c *crash) { c.h.connectTo(ims); c.h.disconnect() }},
		{name: "dedicated bearer", registered: true, change: subscribed, tell: func(c *crash) { c.dedicated() }},
	}
}

// react is what the eNB does with bearers by itself.
func (c *crash) reactBearers(e *enbPeer, m s1ap.Message) {
	h := c.h
	switch m := m.(type) {
	case *s1ap.ERABSetupRequest:
		nas := m.ERABToBeSetupListBearerSUReq[0].NASPDU
		c.leaves(nas)
		if h.at(e, m.ENBUES1APID) {
			h.standing(m.ERABToBeSetupListBearerSUReq[0].ERABID)
			h.hear(nas)
		}
	case *s1ap.ERABReleaseCommand:
		if len(m.NASPDU) > 0 {
			c.leaves(m.NASPDU)
		}
		if h.at(e, m.ENBUES1APID) {
			h.erabsGone(id.EBI(m.ERABToBeReleasedList[0].ERABID))
			for i := range m.ERABToBeReleasedList {
				delete(h.has, id.EBI(m.ERABToBeReleasedList[i].ERABID))
			}
			h.hear(m.NASPDU)
		}
	}
}

// session is what the phone does with a message of session management.
func (h *handset) session(m eps.Message) {
	switch m := m.(type) {
	case *eps.ActivateDefaultEPSBearerContextRequest:
		h.has[m.EBI] = m.Address.IPv4.String()
		h.say(&eps.ActivateDefaultEPSBearerContextAccept{EBI: m.EBI})
	case *eps.ActivateDedicatedEPSBearerContextRequest:
		h.has[m.EBI] = ""
		h.say(&eps.ActivateDedicatedEPSBearerContextAccept{EBI: m.EBI})
	case *eps.DeactivateEPSBearerContextRequest:
		delete(h.has, m.EBI)
		h.say(&eps.DeactivateEPSBearerContextAccept{EBI: m.EBI})
	case *eps.PDNDisconnectReject: // it is gone already
		delete(h.has, 6)
	}
}

// radio gives up bearers that the eNB has not set up (TS 24.301 §6.4.4.6).
func (h *handset) radio(m *s1ap.InitialContextSetupRequest) {
	for e := range h.has {
		if !slices.ContainsFunc(m.ERABToBeSetupListCtxtSUReq, func(i s1ap.ERABToBeSetupItemCtxtSUReq) bool { return id.EBI(i.ERABID) == e }) {
			delete(h.has, e)
		}
	}
}

// connectTo opens a PDN connection, again by T3482 until it stands.
func (h *handset) connectTo(apn id.APN) {
	h.asks("further PDN connection", func(pti eps.PTI) eps.Message { return wants(pti, apn) }, func() bool { return h.has[6] != "" })
}

// disconnect closes it, again by T3492.
func (h *handset) disconnect() {
	h.asks("PDN disconnection", func(pti eps.PTI) eps.Message { return &eps.PDNDisconnectRequest{PTI: pti, Linked: 6} }, func() bool { return h.has[6] == "" })
}

func (h *handset) asks(what string, m func(eps.PTI) eps.Message, done func() bool) {
	for pti := eps.PTI(10); pti < 60; pti++ {
		h.service()
		if h.is(func() bool { return h.gone }) {
			return
		}
		h.c.lock(func() {
			if h.connected && h.c.e != nil {
				h.say(m(pti))
			}
		})
		h.c.rest(8 * time.Second)
		if h.is(done) {
			return
		}
	}
	h.c.w.t.Errorf("%s: the phone gives up", what)
}

// dedicated is a gateway that wants a bearer until it has it, and then ends it.
func (c *crash) dedicated() {
	ask := func(r s11.BearerRequest) gtpc.Cause {
		for range 50 {
			if c.h.is(func() bool { return c.h.gone }) {
				return gtpc.UnableToPageUE
			}
			all := c.w.gw.all()
			if len(all) == 0 {
				return gtpc.ContextNotFound
			}
			again := r
			again.Session = all[0]
			ch := make(chan s11.BearerAnswer, 1)
			again.Reply = func(a s11.BearerAnswer) { ch <- a }
			c.lock(func() { c.w.m.BearerRequest(&again) })
			select {
			case a := <-ch:
				if a.Cause.OK() {
					return a.Cause
				}
			case <-time.After(12 * time.Second): // T3-RESPONSE, N3 times
			}
			c.rest(10 * time.Second)
			c.h.lose()
		}
		c.w.t.Error("the gateway gives up")
		return gtpc.SystemFailure
	}
	ask(s11.BearerRequest{Type: gtpc.CreateBearerRequest, Linked: 5, Bearers: []s11.BearerContext{voice(0x700)}})
	c.h.service()
	ask(s11.BearerRequest{Type: gtpc.DeleteBearerRequest, Bearers: []s11.BearerContext{{EBI: 6}, {EBI: 7}}})
}

// What a phone's several PDN connections and bearers are to the MME comes back from
// its record.
func TestRestartKeepsBearers(t *testing.T) {
	d := newDisk()
	play(t, func(o *Options) { o.Store = d }, func(w *world) {
		p := w.attached()
		p.connectTo(2, ims)
		s := w.gw.session(ims)
		p.dedicated(s, 0x700)
		p.idle()
		time.Sleep(2 * leftWait)
		before := w.info(p.imsi)
		w.again(d)
		p.e = w.tower(0x19b)
		after := w.info(p.imsi)
		before.Reason, after.Reason = "", ""
		if !equalInfo(before, after) || len(after.Bearers) != 3 {
			t.Errorf("before the restart\n%+v\nafter it\n%+v", before, after)
		}
		m := p.request()
		if q := m.ERABToBeSetupListCtxtSUReq[2].ERABLevelQoSParameters; len(m.ERABToBeSetupListCtxtSUReq) != 3 || q.GBRQosInformation == nil {
			t.Errorf("%+v", m.ERABToBeSetupListCtxtSUReq)
		}
		p.setupAll(m)
		p.settled()
		// The template is known, too: a filter that it has can be deleted only if another is left.
		ch := w.updates(w.gw.session(ims), s11.BearerContext{EBI: 7, TFT: &eps.TFT{Operation: eps.TFTDeleteFilters, Filters: []eps.PacketFilter{{ID: 1}}}})
		synctest.Wait()
		w.told(ch, gtpc.TFTSemantic)
		p.uplink(&eps.PDNDisconnectRequest{PTI: 4, Linked: 6})
		if ebis, _ := releases[*eps.DeactivateEPSBearerContextRequest](p); !slices.Equal(ebis, []id.EBI{6, 7}) {
			t.Errorf("%v", ebis)
		}
	})
}
