package mme

import (
	"slices"
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// reallocated takes a GUTI Reallocation Command and completes it.
func (p *phone) reallocated() {
	p.w.t.Helper()
	g, _ := down[*eps.GUTIReallocationCommand](p).GUTI.GUTI()
	p.guti = &g
	p.uplink(&eps.GUTIReallocationComplete{})
}

// TS 24.301 §5.4.1: another GUTI after so many service requests, and after a
// while.
func TestGUTIReallocation(t *testing.T) {
	play(t, func(o *Options) { o.GUTIRequests, o.GUTIAge, o.T3412 = 3, 2*time.Hour, -1 }, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		first := *p.guti
		for n := range 3 {
			p.idle()
			p.request()
			p.setupResponse()
			if n < 2 {
				p.e.silent(time.Second)
			}
		}
		p.reallocated()
		if i := p.settled(); i.TMSI != p.guti.TMSI || *p.guti == first || w.m.known.find(first.TMSI) != nil {
			t.Errorf("UEInfo %+v, GUTI %v, was %v", i, p.guti, first)
		}
		w.counted("GUTI reallocation ok", 1)
		p.idle()
		time.Sleep(2 * time.Hour)
		p.request()
		p.setupResponse()
		p.reallocated()
		w.counted("GUTI reallocation ok", 2)
		p.e.silent(time.Minute)
		if i := p.settled(); i.State != Connected {
			t.Errorf("UEInfo %+v", i)
		}
	})
}

// TS 24.301 §5.4.1.6 b: the phone does not answer, as srsRAN's does not. It goes
// on undisturbed, and is paged by both names until it comes by one.
func TestGUTIReallocationUnanswered(t *testing.T) {
	play(t, func(o *Options) { o.GUTIRequests = 1 }, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		p.request()
		p.setupResponse()
		var given id.GUTI
		for range 5 {
			m := down[*eps.GUTIReallocationCommand](p)
			given, _ = m.GUTI.GUTI()
		}
		p.e.silent(time.Minute)
		_, x := w.gw.only(w)
		if i := p.settled(); i.State != Connected || x.enb.TEID == 0 {
			t.Errorf("UEInfo %+v", i)
		}
		w.counted("GUTI reallocation interrupted", 1)
		p.idle()
		s, _ := w.gw.only(w)
		w.m.DownlinkData(s, 5, 0)
		paged := []id.MTMSI{expect[*s1ap.Paging](p.e).UEPagingID.STMSI.ID().TMSI, expect[*s1ap.Paging](p.e).UEPagingID.STMSI.ID().TMSI}
		if !slices.Contains(paged, p.guti.TMSI) || !slices.Contains(paged, given.TMSI) {
			t.Errorf("paged as %v; the phone may be %v or %v", paged, p.guti.TMSI, given.TMSI)
		}
		p.request()
		if w.m.known.find(given.TMSI) != nil || w.m.known.find(p.guti.TMSI) == nil {
			t.Error("the GUTI that the phone did not take is good still, or that which it has is not")
		}
	})
}

// TS 24.301 §5.4.1.6 d: what the phone begins meanwhile comes first.
func TestGUTIReallocationCollides(t *testing.T) {
	for _, what := range []string{"update", "detach", "release"} {
		play(t, func(o *Options) { o.GUTIRequests = 1 }, func(w *world) {
			p := w.phone(w.tower(0x19b))
			p.attach()
			p.idle()
			p.request()
			p.setupResponse()
			down[*eps.GUTIReallocationCommand](p)
			switch what {
			case "update":
				p.uplink(p.updateRequest(eps.UpdateTA))
				down[*eps.TrackingAreaUpdateAccept](p)
				p.e.silent(time.Minute)
				if i := p.settled(); i.State != Connected {
					t.Errorf("UEInfo %+v", i)
				}
			case "detach":
				p.uplink(&eps.DetachRequest{Type: eps.DetachEPS, KSI: p.ksi, Identity: eps.FromGUTI(*p.guti)})
				down[*eps.DetachAccept](p)
				p.released()
				w.gw.none(w)
			case "release":
				p.release()
				if i := p.settled(); i.State != Idle {
					t.Errorf("UEInfo %+v", i)
				}
			}
		})
	}
}

// TS 24.301 §5.4.5: names and time, after attach and update.
func TestEMMInformation(t *testing.T) {
	const summer = 3 * time.Hour
	names := func(o *Options) {
		o.NetworkName, o.NetworkShortName, o.Zone = "Campanile di Venezia", "Campanile", time.FixedZone("", int(summer/time.Second))
	}
	play(t, names, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		check := func() {
			t.Helper()
			m := down[*eps.EMMInformation](p)
			if m.FullName.V.String() == "" || m.ShortName.V != eps.NewNetworkName("Campanile") || m.TimeZone.V != 12 || m.Time.V != eps.NewTimeAndZone(time.Now().In(w.m.o.Zone)) || m.DaylightSaving.V != eps.DaylightSavingNone {
				t.Errorf("told\n%v", m)
			}
		}
		check()
		p.idle()
		p.initial(p.updateRequest(eps.UpdateTA))
		down[*eps.TrackingAreaUpdateAccept](p)
		check()
		p.released()
	})
}

// Zones whose summer time is an hour, two, half an hour, and in January.
func TestDaylightSaving(t *testing.T) {
	for _, c := range []struct {
		zone  string
		month time.Month
		want  eps.DaylightSaving
	}{
		{"Europe/Rome", 7, 1}, {"Europe/Rome", 1, 0}, {"Australia/Sydney", 1, 1}, {"Australia/Sydney", 7, 0},
		{"Antarctica/Troll", 7, 2}, {"Australia/Lord_Howe", 1, 1}, {"UTC", 7, 0},
	} {
		l, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Skipf("no time zones here: %v", err)
		}
		if got := daylightSaving(time.Date(2026, c.month, 15, 12, 0, 0, 0, l)); got != c.want {
			t.Errorf("%s in %v: %v, want %v", c.zone, c.month, got, c.want)
		}
	}
}

// The list of areas: the eNB's, the group's, never more than 16.
func TestTrackingAreaLists(t *testing.T) {
	tai := func(tac id.TAC) id.TAI { return id.TAI{PLMN: testPLMN, TAC: tac} }
	var group []id.TAI
	for n := range id.TAC(16) {
		group = append(group, tai(100+n))
	}
	play(t, func(o *Options) { o.Areas = [][]id.TAI{group} }, func(w *world) {
		e, f := w.towerIn(0x19b, 7), w.towerIn(0x19c, 115)
		w.m.legs.all()
		p, q := w.phone(e), w.phone(f)
		p.initial(p.attachRequest())
		p.authenticate()
		p.information()
		if _, a := p.accepted(); !slices.Equal(areas(eps.Some(a.TAIs)), []id.TAC{7}) {
			t.Errorf("areas %v", a.TAIs)
		}
		m := q.attachRequest()
		m.LastTAI = eps.Some(tai(7))
		q.initial(m)
		q.authenticate()
		q.information()
		if _, a := q.accepted(); len(a.TAIs.All()) != 16 || a.TAIs.All()[0] != tai(115) || !a.TAIs.Contains(tai(7)) {
			t.Errorf("areas %v", a.TAIs)
		}
	})
	if err := checkAreas([][]id.TAI{{tai(1)}, {tai(2), tai(1)}}); err == nil {
		t.Error("an area in two groups is taken")
	}
	if err := checkAreas([][]id.TAI{append(group, tai(1))}); err == nil {
		t.Error("a group of 17 is taken")
	}
}

// A phone that has not confirmed a GUTI and is assigned one again is still known
// by the one it has (TS 24.301 §5.4.1.6, §5.5.3.2.7 c).
func TestGUTIUnconfirmedTwice(t *testing.T) {
	play(t, func(o *Options) { o.GUTIRequests = 1 }, func(w *world) {
		p := w.phone(w.tower(0x19b))
		p.attach()
		p.idle()
		p.request()
		p.setupResponse()
		for range 5 {
			down[*eps.GUTIReallocationCommand](p)
		}
		p.e.silent(time.Minute)
		p.uplink(p.updateRequest(eps.UpdatePeriodic)) // in the same connection
		for range 5 {
			down[*eps.TrackingAreaUpdateAccept](p)
		}
		p.released()
		p.settled()
		p.request()
		p.setupResponse()
		if i := p.settled(); i.State != Connected {
			t.Errorf("the phone is %v", i.State)
		}
	})
}
