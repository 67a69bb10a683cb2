package mme

import (
	"time"

	"campanile.network/3gpp/eps"
)

// inform is the EMM information procedure (TS 24.301 §5.4.5): the network's
// names and the time where it is. A phone may show them and answers nothing. Nor does
// the message answer anything: it goes without the ATTACH COMPLETE on disk. An MME
// that was killed meanwhile knows the phone as one that was accepted; the same ATTACH
// COMPLETE once more begins nothing there.
func (c *conn) inform() error {
	o := &c.m.o
	if o.NetworkName == "" && o.NetworkShortName == "" {
		return nil
	}
	now := time.Now().In(o.Zone)
	m := &eps.EMMInformation{
		TimeZone: eps.Some(eps.ZoneOf(now)), Time: eps.Some(eps.NewTimeAndZone(now)), DaylightSaving: eps.Some(daylightSaving(now)),
	}
	if o.NetworkName != "" {
		m.FullName = eps.Some(eps.NewNetworkName(o.NetworkName))
	}
	if o.NetworkShortName != "" {
		m.ShortName = eps.Some(eps.NewNetworkName(o.NetworkShortName))
	}
	return c.mention(m)
}

// daylightSaving is by how much the zone of t is adjusted, which its offset
// includes (TS 24.008 §10.5.3.12).
func daylightSaving(t time.Time) eps.DaylightSaving {
	if !t.IsDST() {
		return eps.DaylightSavingNone
	}
	_, summer := t.Zone()
	_, winter := time.Date(t.Year(), 1, 1, 0, 0, 0, 0, t.Location()).Zone()
	if _, july := time.Date(t.Year(), 7, 1, 0, 0, 0, 0, t.Location()).Zone(); july < winter {
		winter = july // the southern half of the world
	}
	if summer-winter >= 2*60*60 {
		return eps.DaylightSavingTwoHours
	}
	return eps.DaylightSavingOneHour
}
