package radio_test

import (
	"net/netip"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/sdr/radio"
)

func site(t *testing.T) radio.Site {
	t.Helper()
	enb, err := id.ParseGlobalENBID("999/70-macro-0x19b")
	if err != nil {
		t.Fatal(err)
	}
	return radio.Site{ENB: enb, Name: "first tower", Cell: 0x19b01, TAC: 7, MME: netip.MustParseAddr("127.0.0.11"), Local: netip.MustParseAddr("127.0.0.10"), Inactivity: 10 * time.Second}
}

// lawful is a configuration that may transmit.
func lawful() radio.Config {
	c := radio.DefaultConfig()
	c.Kit, c.Basis, c.Country, c.Band, c.EARFCN, c.Bandwidth, c.Power = "b210", "experimental", "DE", 7, 3350, 5, "10 dBm"
	return c
}

// virtual is one that transmits nothing.
func virtual() radio.Config {
	c := radio.DefaultConfig()
	c.Kit, c.EARFCN, c.Bandwidth = "zmq", 3350, 5
	return c
}

func plan(t *testing.T, c radio.Config) *radio.Plan {
	t.Helper()
	p, err := c.Plan(site(t))
	if err != nil {
		t.Fatal(err)
	}
	return p
}
