package mme

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/3gpp/sms"
	"campanile.network/wire/proof"
)

// A tower that is heard no more because it names phones it cannot know gets no more
// tries by setting up S1 anew; others go on.
func TestPathSwitchForgedByNewAssociations(t *testing.T) {
	play(t, nil, func(w *world) {
		w.towers[0x666] = proof.TowerKey{9}
		p := w.phone(w.tower(0x19b))
		p.attach()
		for range 4 {
			evil := w.tower(0x666)
			for range maxMisses / 2 {
				m := p.switchRequest(evil)
				m.SourceMMEUES1APID ^= 1 << 31
				evil.refusedSwitch(m)
			}
			evil.a.Abort("again")
			synctest.Wait()
		}
		evil := w.tower(0x666)
		if got := evil.refusedSwitch(p.switchRequest(evil)); got != s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause() {
			t.Errorf("cause %v", got)
		}
		if i := p.settled(); i.Tower != w.towers[0x19b] {
			t.Errorf("%+v", i)
		}
		p.arrive(w.tower(0x19c))
		time.Sleep(missWhile)
		p.arrive(w.tower(0x666))
	})
}

// Attaches that hang at one eNB leave room for those at others, which are not told to
// hold phones back either.
func TestAttachesAtOneENB(t *testing.T) {
	play(t, func(o *Options) { o.MaxAttaches = 16 }, func(w *world) {
		e, f := w.tower(0x19b), w.tower(0x19c)
		for range 16 {
			p := w.phone(e)
			p.initial(p.attachRequest())
		}
		time.Sleep(20 * time.Second) // they do not answer
		synctest.Wait()
		if s := w.m.Stats().Load; s.Attaches != 12 || s.Refused != 4 || s.Level != 0 {
			t.Errorf("%+v", s)
		}
		w.phone(f).attach()
		f.silent(time.Minute)
		if s := w.m.Stats().Load; s.Attaches != 0 || len(w.m.busy.of) != 0 {
			t.Errorf("%+v, at eNBs %v", s, w.m.busy.of)
		}
	})
}

// A guest, who is here for an emergency call and whom nobody knows, sends no short
// messages, however it attaches afterwards (TS 23.401 §4.3.12).
func TestGuestSendsNoShortMessages(t *testing.T) {
	centre := &testCentre{}
	play(t, func(o *Options) { calls(true)(o); o.Messages = centre }, func(w *world) {
		w.gw.free = must(id.ParseAPN("sos"))
		p := w.phone(w.tower(0x19b))
		m := p.emergencyRequest()
		m.Identity = eps.FromIMEI(testIMEI)
		p.initial(m)
		p.guest()
		p.called()
		synctest.Wait()
		p.submits(0, 1)
		if m := down[*eps.EMMStatus](p); m.Cause != eps.EMMCauseMessageTypeNotCompatibleWithTheProtocolState {
			t.Errorf("%v", m)
		}
		if synctest.Wait(); len(centre.from) != 0 {
			t.Errorf("the centre has a message from %+v", centre.from)
		}
	})
}

// What names itself by a guest's GUTI is asked who it is; the home is not asked about
// nobody.
func TestGUTIOfGuest(t *testing.T) {
	play(t, calls(true), func(w *world) {
		w.gw.free = must(id.ParseAPN("sos"))
		p := w.phone(w.tower(0x19b))
		m := p.emergencyRequest()
		m.Identity = eps.FromIMEI(testIMEI)
		p.initial(m)
		p.guest()
		p.called()
		synctest.Wait()
		q := w.phone(p.e)
		q.guti = p.guti
		q.initial(q.attachRequest())
		if m := down[*eps.IdentityRequest](q); m.Type != eps.IdentityTypeIMSI {
			t.Errorf("%v", m)
		}
	})
}

// What was sent to a phone by somebody who has given up meanwhile leaves nothing behind
// when the next message comes.
func TestShortMessageGivenUp(t *testing.T) {
	playSMS(t, func(w *world, _ *testCentre, p *phone) {
		p.idle()
		w.gw.delay(5 * time.Second)
		p.request()
		p.setupResponse() // the gateway holds the phone's connection up
		synctest.Wait()
		c := w.m.known.byIMSI[p.imsi].owner
		ctx, cancel := context.WithCancel(context.Background())
		gone := make(chan error, 1)
		go func() { _, err := w.m.DeliverSMS(ctx, p.imsi, delivering("never")); gone <- err }()
		synctest.Wait()
		cancel()
		if err := <-gone; err != context.Canceled {
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		w.gw.delay(0)
		former := c.sms.mt
		out := w.deliver(p.imsi, "ciao")
		p.takes()
		w.acknowledged(out)
		if former == nil || former == c.sms.mt || former.cut.Err() == nil {
			t.Error("the former message's transaction has not ended")
		}
		p.submits(0, 1)
		hears[*sms.CPAck](p)
	})
}

// A gateway that says all the time that it holds data for a phone says it once.
func TestDataWaitingOnce(t *testing.T) {
	b := newMailbox(4)
	for range 100 {
		if b.put(inbound{msg: dataWaiting{}}, true) != putOK {
			t.Fatal("not taken")
		}
		b.put(inbound{msg: smsOut{}}, true)
	}
	if len(b.queue) != 101 {
		t.Errorf("%d in the mailbox", len(b.queue))
	}
	b.take()
	b.put(inbound{msg: dataWaiting{}}, true)
	if n := len(b.close()); n != 101 {
		t.Errorf("%d were left", n)
	}
}

// An eNB with more tracking areas than one Paging names is told of all (TS 36.413
// §9.1.6).
func TestPagingInManyAreas(t *testing.T) {
	shared := must(id.ParsePLMN("00102"))
	play(t, func(o *Options) {
		o.Shared, o.Paging = []id.PLMN{shared}, []PagingStage{{PageAll, 1, time.Second}}
	}, func(w *world) {
		e := w.dial()
		m := e.setupRequest(0x19b)
		m.SupportedTAs = nil
		for n := range 256 {
			m.SupportedTAs = append(m.SupportedTAs, s1ap.SupportedTAsItem{TAC: s1ap.FromTAC(id.TAC(n)), BroadcastPLMNs: s1ap.BPLMNs{s1ap.FromPLMN(testPLMN), s1ap.FromPLMN(shared)}})
		}
		e.send(m)
		expect[*s1ap.S1SetupResponse](e)
		p := w.phone(e)
		p.attach()
		s, _ := w.gw.only(w)
		p.idle()
		w.m.DownlinkData(s, 5, 0)
		paged := map[s1ap.TAI]bool{}
		for range 2 {
			for _, i := range expect[*s1ap.Paging](e).TAIList {
				paged[i.TAI] = true
			}
		}
		if len(paged) != 512 {
			t.Errorf("paged in %d tracking areas", len(paged))
		}
	})
}

// An eNB that says nonsense all the time does not fill the log.
func TestLogIsBounded(t *testing.T) {
	play(t, nil, func(w *world) {
		e := w.tower(0x19b)
		for n := range 2000 {
			e.send(&s1ap.UEContextReleaseRequest{MMEUES1APID: 77, ENBUES1APID: s1ap.ENBUES1APID(n), Cause: s1ap.CauseMiscUnspecified.Cause()})
			e.send(&s1ap.ErrorIndication{Cause: new(s1ap.CauseMiscHardwareFailure.Cause())})
		}
		synctest.Wait()
		w.mu.Lock()
		lines := strings.Count(w.log.String(), "\n")
		w.mu.Unlock()
		if lines > 3*allowanceBurst {
			t.Errorf("%d lines in the log", lines)
		}
		w.counted("unknown MME UE S1AP ID", 2000)
		e.drain()
	})
}
