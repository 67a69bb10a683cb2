package mme

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/wire/gtpc"
)

// page takes a Paging message.
func (e *enbPeer) page() *s1ap.Paging { e.w.t.Helper(); return expect[*s1ap.Paging](e) }

// A phone is looked for where it was, then in its tracking areas, then everywhere;
// when it comes no more is looked for.
func TestPagingEscalation(t *testing.T) {
	areas := func(o *Options) {
		o.Paging, o.Areas = nil, [][]id.TAI{{{PLMN: testPLMN, TAC: 7}, {PLMN: testPLMN, TAC: 8}}}
	}
	play(t, areas, func(w *world) {
		w.towers[0x19d] = [32]byte{3}
		last, near, far := w.tower(0x19b), w.towerIn(0x19c, 8), w.towerIn(0x19d, 9)
		p := w.phone(last)
		p.attach()
		p.idle()
		s, _ := w.gw.only(w)
		w.m.DownlinkData(s, 5, 0)
		began := time.Now()
		var said []string
		for _, x := range []struct {
			e     *enbPeer
			times int
		}{{last, 4}, {near, 3}, {far, 1}} {
			for range x.times {
				m := x.e.page()
				said = append(said, fmt.Sprintf("%x %v %d", uint32(x.e.eci), time.Since(began), len(m.TAIList)))
			}
		}
		want := "[19b01 0s 2 19b01 3s 2 19b01 8s 2 19b01 13s 1 19c01 13s 2 19c01 13s 2 19c01 13s 1 19d01 13s 1]"
		if got := fmt.Sprint(said); got != want { // of those that wait, the time is that of the reading
			t.Errorf("paged %v, want %v", got, want)
		}
		last.silent(time.Minute)
		if synctest.Wait(); w.gw.failed != 1 {
			t.Errorf("the gateway was told %d times", w.gw.failed)
		}

		w.m.DownlinkData(s, 5, 0) // found in the second stage
		last.page()
		q := p.at(near)
		near.page()
		q.request()
		q.setupResponse()
		last.page()
		last.silent(time.Minute)
		far.silent(time.Minute)
		w.counted("paging ok", 1)
		q.idle()

		near.a.Abort("gone") // where it was there is nobody: no time is lost
		synctest.Wait()
		w.m.DownlinkData(s, 5, 0)
		began = time.Now()
		last.page()
		if d := time.Since(began); d != 0 {
			t.Errorf("paged after %v", d)
		}
	})
	for _, stages := range [][]PagingStage{{{PageAll + 1, 1, time.Second}}, {{PageAll, 0, time.Second}}, {{PageAll, 1, 0}}} {
		o := Options{Paging: stages}
		if _, err := o.complete(); err == nil || checkPaging(stages) == nil {
			t.Errorf("%v: %v", stages, err)
		}
	}
}

// TS 23.401 §5.3.4.3: the priority of a page is that of the bearer.
func TestPagingPriority(t *testing.T) {
	play(t, func(o *Options) { o.PagingPriority = func(arp uint8) uint8 { return arp / 2 } }, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		s, _ := w.gw.only(w)
		w.m.DownlinkData(s, 5, 0)
		if m := p.e.page(); m.PagingPriority == nil || *m.PagingPriority != s1ap.PagingPriorityPriolevel4 { // of ARP 8
			t.Errorf("%v", m)
		}
	})
}

// TS 24.301 §5.6.2.2.2: by IMSI, until it attaches.
func TestPagingByIMSI(t *testing.T) {
	play(t, nil, func(w *world) {
		e, f := w.tower(0x19b), w.towerIn(0x19c, 8)
		p := w.phone(e)
		if err := w.m.PageIMSI(p.imsi); err != nil {
			t.Fatal(err)
		}
		for _, at := range []*enbPeer{e, f} {
			m := at.page()
			if got := fmt.Sprintf("%x", []byte(m.UEPagingID.IMSI)); got != "00010100000000f1" || m.UEPagingID.Choice != s1ap.UEPagingIDChoiceIMSI || len(m.TAIList) != 1 {
				t.Errorf("%+v, IMSI %s, choice %v", m, got, m.UEPagingID.Choice)
			}
		}
		p.attach()
		f.silent(time.Minute)
		if err := w.m.PageIMSI(p.imsi); !errors.Is(err, ErrRegistered) {
			t.Errorf("%v", err)
		}
	})
}

// attachAsking attaches with what ask changes in the request.
func (p *phone) attachAsking(ask func(*eps.AttachRequest)) *eps.AttachAccept {
	p.w.t.Helper()
	m := p.attachRequest()
	ask(m)
	p.initial(m)
	p.authenticate()
	p.information()
	_, a := p.accepted()
	p.setupResponse()
	p.complete()
	p.settled()
	return a
}

// TS 24.301 §5.3.11, §5.5.1.2.4: a phone that asks for an active time sleeps after
// it, is not paged then, and stays registered for as long as its T3412 extended
// says; the next update is a new question.
func TestPowerSavingMode(t *testing.T) {
	play(t, func(o *Options) { o.PSM = 24 * time.Hour }, func(w *world) {
		p := w.phone(w.tower(0x19b))
		a := p.attachAsking(func(m *eps.AttachRequest) {
			m.T3324 = eps.Some(eps.NewGPRSTimer(10 * time.Second))
			m.T3412Extended = eps.Some(eps.NewGPRSTimer3(100 * time.Hour))
		})
		active, _ := a.T3324.V.Duration()
		periodic, _ := a.T3412Extended.V.Duration()
		if !a.T3324.OK || active != 10*time.Second || !a.T3412Extended.OK || periodic != 24*time.Hour {
			t.Errorf("granted %v and %v", a.T3324, a.T3412Extended)
		}
		s, _ := w.gw.only(w)
		p.idle()
		time.Sleep(9 * time.Second)
		if c := w.m.DownlinkData(s, 5, 0); c != gtpc.Accepted {
			t.Errorf("awake: %v", c)
		}
		p.e.page()
		p.request()
		p.setupResponse()
		p.settled()
		p.idle()
		time.Sleep(11 * time.Second)
		if wait := w.m.Waiting(s, 5).Buffer; wait != 24*time.Hour+reachableMargin-11*time.Second {
			t.Errorf("the gateway is to keep packets for %v", wait)
		}
		p.e.silent(23 * time.Hour)
		if c := w.m.DownlinkData(s, 5, 0); c != gtpc.Accepted {
			t.Errorf("asleep: %v", c)
		}
		p.e.silent(time.Hour)
		if i := p.settled(); i.State != Idle {
			t.Errorf("a day later: %v", i.State)
		}
		p.initial(p.updateRequest(eps.UpdateTA)) // its lease has ended
		p.authenticate()
		if m := down[*eps.TrackingAreaUpdateAccept](p); m.T3324.OK || m.T3412Extended.OK {
			t.Errorf("granted what was not asked for: %v", m)
		}
		expect[*s1ap.InitialContextSetupRequest](p.e)
		p.setupResponse() // what the gateway has kept comes though the phone has not asked for bearers
		p.uplink(&eps.TrackingAreaUpdateComplete{})
		p.settled()
		p.idle()
		time.Sleep(time.Minute)
		if c, w := w.m.DownlinkData(s, 5, 0), w.m.Waiting(s, 5); c != gtpc.Accepted || w != (gtpc.Waiting{}) {
			t.Errorf("after an update without: %v, %+v", c, w)
		}
		p.e.page()
		time.Sleep(2 * time.Hour)
		if i := p.settled(); i.State != Deregistered {
			t.Errorf("two hours later: %v", i.State)
		}
	})
	play(t, nil, func(w *world) { // by default nobody sleeps
		a := w.phone(w.tower(0x19b)).attachAsking(func(m *eps.AttachRequest) {
			m.T3324, m.ExtendedDRX = eps.Some(eps.NewGPRSTimer(10*time.Second)), eps.Some(eps.NewExtendedDRX(time.Minute, 5*time.Second, false))
		})
		if a.T3324.OK || a.T3412Extended.OK || a.ExtendedDRX.OK {
			t.Errorf("%v", a)
		}
	})
}

// TS 24.301 §5.3.12, TS 36.304 §7.3: a phone with extended DRX is paged when it
// listens, a second before its window begins and while it lasts.
func TestExtendedDRX(t *testing.T) {
	play(t, func(o *Options) { o.EDRX, o.Rand = time.Minute, repeated(0x5a) }, func(w *world) {
		p := w.phone(w.tower(0x19b))
		a := p.attachAsking(func(m *eps.AttachRequest) {
			m.ExtendedDRX = eps.Some(eps.NewExtendedDRX(time.Hour, 5*time.Second, false))
		})
		cycle, window := 4*hyperFrame, 5120*time.Millisecond
		if !a.ExtendedDRX.OK || a.ExtendedDRX.V.Cycle() != cycle || a.ExtendedDRX.V.Window(false) != window {
			t.Errorf("granted %v", a.ExtendedDRX)
		}
		start := windowStart(p.guti.TMSI, 4)
		offset := func(t time.Time) time.Duration { return (t.Sub(time.Unix(0, 0))%cycle - start + cycle) % cycle }
		p.idle()
		s, _ := w.gw.only(w)
		for n := range 20 {
			time.Sleep(time.Duration(n) * 1900 * time.Millisecond)
			asked := time.Now()
			w.m.DownlinkData(s, 5, 0)
			keep := w.m.Waiting(s, 5).Buffer
			m := p.e.page()
			at := offset(time.Now())
			if waited := time.Since(asked); waited == 0 && keep != 0 || waited > 0 && keep != waited+pagingTime(w.m.o.Paging) {
				t.Errorf("paged after %v, and the gateway is to keep packets for %v", waited, keep)
			}
			if waited := time.Since(asked); at >= window && at < cycle-pagingLead || waited > cycle {
				t.Errorf("paged %v after the beginning of its window, having waited %v", at, waited)
			}
			if i := m.PagingEDRXInformation; i == nil || i.PagingEDRXCycle != s1ap.PagingEDRXCycleHf4 || *i.PagingTimeWindow != 3 {
				t.Errorf("%v", m)
			}
			p.request()
			p.setupResponse()
			p.settled()
			p.idle()
		}
	})
}

// repeated is an endless stream of one octet, then of those that follow.
type repeated byte

func (r repeated) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(r) + byte(i)
	}
	return len(b), nil
}

// The frame check sequence of TS 36.304 §B is CRC-32 with the bits the other way
// round.
func TestFrameCheck(t *testing.T) {
	for _, v := range []uint32{0, 0xffffffff, 0x01020304, 0x5a5b5c5d, 0x80000000} {
		var turned [4]byte
		binary.LittleEndian.PutUint32(turned[:], bits.Reverse32(v))
		if got, want := frameCheck(v), bits.Reverse32(crc32.ChecksumIEEE(turned[:])); got != want {
			t.Errorf("%08x: %08x, want %08x", v, got, want)
		}
	}
}
