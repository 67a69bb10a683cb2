package meter_test

import (
	"testing"
	"testing/synctest"

	"campanile.network/billing/meter"
	"campanile.network/wire/link"
	"campanile.network/wire/usage"
)

var (
	zone = usage.Terms{Name: "town hall", Free: true}
	film = usage.Terms{Name: "films", Group: 10}
)

// services reads what counts by service.
func (w *world) services() map[usage.Terms]meter.Counts {
	out := map[usage.Terms]meter.Counts{}
	for _, s := range w.meter.Snapshot().Services {
		out[s.Terms] = s.Counts
	}
	return out
}

// A free zone's octets are in the tower's voucher and not in the ticket; a rating group's
// are in both, apart; also over a restart, and in whichever order records come.
func TestServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.join()
		r := w.record(w.ticket(1, 10_000), 1, 0x77)
		say := func(ul, dl uint64, classes ...usage.Class) {
			r.Classes = classes
			w.report(r, ul, dl)
		}
		say(1000, 4000, usage.Class{Class: 1, Terms: zone, UL: 300, DL: 2000}, usage.Class{Class: 2, Terms: film, UL: 100, DL: 500})
		m.says(1, link.Count{TEID: 0x77, UL: 1000, DL: 4000})
		w.restart()
		m = w.join()
		say(1000, 4000, usage.Class{Class: 1, Terms: zone, UL: 300, DL: 2000}, usage.Class{Class: 2, Terms: film, UL: 100, DL: 500})
		say(900, 3900, usage.Class{Class: 1, Terms: zone, UL: 299, DL: 1999})
		want := map[usage.Terms]meter.Counts{{}: {UL: 600, DL: 1500}, zone: {UL: 300, DL: 2000}, film: {UL: 100, DL: 500}}
		if got := w.services(); len(got) != 3 || got[zone] != want[zone] || got[film] != want[film] || got[usage.Terms{}] != want[usage.Terms{}] {
			t.Fatalf("%+v, want %+v", got, want)
		}
		// A million octets of the free zone and 7300 of the rest, which fill the ticket.
		say(1000, 1_011_400, usage.Class{Class: 1, Terms: zone, UL: 300, DL: 1_002_000}, usage.Class{Class: 2, Terms: film, UL: 100, DL: 500})
		m.says(1, link.Count{TEID: 0x77, UL: 1000, DL: 1_011_400})
		if v := w.view(); v.Counted.Bytes != 10_000+300+1_002_000 || m.last().Bytes != v.Counted.Bytes {
			t.Errorf("%d octets count, %d are in the voucher", v.Counted.Bytes, m.last().Bytes)
		}
		if got := w.services(); got[zone] != (meter.Counts{UL: 300, DL: 1_002_000}) || got[usage.Terms{}].Sum()+got[film].Sum() != 10_000 {
			t.Errorf("%+v", got)
		}
		over := uint64(0)
		for _, u := range w.meter.Snapshot().Unsettled {
			if u.Reason == meter.OverCap {
				over = u.Counts.Sum()
			}
		}
		if over != 1_012_400-1_012_300 {
			t.Errorf("%d octets over the cap", over)
		}
	})
}

// Classes that say more than the record has, or no end of services, are held to it.
func TestServicesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		m := w.join()
		r := w.record(w.ticket(1, 500), 1, 0x77)
		r.Classes = []usage.Class{{Class: 1, Terms: zone, UL: 1 << 60, DL: 1 << 60}, {Class: 2, Terms: film, UL: 5, DL: 5}}
		w.report(r, 1000, 1000)
		m.says(1, link.Count{TEID: 0x77, UL: 1000, DL: 900})
		if got := w.services(); got[zone] != (meter.Counts{UL: 1000, DL: 900}) || len(got) != 1 {
			t.Errorf("%+v", got)
		}
		for i := range 200 {
			r.Classes = []usage.Class{{Class: 1, Terms: usage.Terms{Group: uint32(i)}, UL: 1}}
			w.report(r, 1001+uint64(i), 1000)
		}
		if got := w.services(); len(got) > 40 || w.view().Counted.Bytes != 1900+200 {
			t.Errorf("%d services, %d octets count", len(got), w.view().Counted)
		}
	})
}
