package town

import (
	"slices"
	"testing"
)

// The virtual GSM cell of make run: its phones register, and are shown masked.
func TestVirtualGSMCell(t *testing.T) {
	ctx := deadline(t)
	c := newHome(t, func(c *Config) { c.Radio.GSMPhones = 2 })
	steps := slices.Insert(slices.Insert(core(), atLinks+4, (*Town).startSIP, (*Town).startGSM), atLinks+3, (*Town).startCentre)
	w := start(t, ctx, c, steps)
	eventually(t, ctx, "both phones are registered", func() bool { return w.sip.Stats().Registered["OpenBTS"] == 2 })
	v := w.sipView(1)
	if v.Known != 2 || len(v.Phones) != 1 || v.Phones[0].Cell != w.virtualCell().String() || v.Phones[0].IMSI != "99970········01" && v.Phones[0].IMSI != "99970········02" {
		t.Errorf("%+v", v)
	}
	if len(v.Stations) != 1 || v.Stations[0].Tower != c.Tower.Name || v.Stations[0].Phones != 2 || v.Stations[0].Heard.IsZero() {
		t.Errorf("%+v", v.Stations)
	}
}
