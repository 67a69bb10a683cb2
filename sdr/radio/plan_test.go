package radio_test

import (
	"encoding/csv"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/sdr/band"
	"campanile.network/sdr/profiles"
	"campanile.network/sdr/radio"
)

// A radio that would transmit does not start before its owner has said on what
// ground, where, in which band and how much; a virtual one needs to say nothing.
func TestNothingIsTransmittedUnasked(t *testing.T) {
	if _, err := virtual().Plan(site(t)); err != nil {
		t.Errorf("a virtual radio: %v", err)
	}
	for _, kit := range profiles.Names() {
		c := lawful()
		if kit == "zmq" {
			continue
		}
		c.Kit = kit
		if _, err := c.Plan(site(t)); err != nil {
			t.Errorf("%s, all stated: %v", kit, err)
		}
		for key, leave := range map[string]func(*radio.Config){
			"radio.basis":   func(c *radio.Config) { c.Basis = "" },
			"radio.country": func(c *radio.Config) { c.Country = "" },
			"radio.band":    func(c *radio.Config) { c.Band = 0 },
			"radio.power":   func(c *radio.Config) { c.Power = "" },
		} {
			c := c
			leave(&c)
			_, err := c.Plan(site(t))
			var m *radio.Mistake
			if !errors.As(err, &m) || m.Key != key || !strings.Contains(m.What, "nobody has stated "+key) || !strings.Contains(m.Remedy, "licence") {
				t.Errorf("%s without %s: %v", kit, key, err)
			}
		}
	}
	c := radio.DefaultConfig()
	c.Kit = "b210"
	if _, err := c.Plan(site(t)); err == nil || !strings.Contains(err.Error(), "radio.basis, radio.country, radio.band, radio.power") {
		t.Errorf("nothing stated: %v", err)
	}
}

// Each mistake is told by the key that has to be mended.
func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		key, says string
		make      func(*radio.Config, *radio.Site)
	}{
		{"radio.kit", "no kit is named; write one of b200mini", func(c *radio.Config, _ *radio.Site) { c.Kit = "" }},
		{"radio.kit", `no profile of kit "hackrf"`, func(c *radio.Config, _ *radio.Site) { c.Kit = "hackrf" }},
		{"radio.antennas", "2: the Ettus USRP B200mini has 1; write 1", func(c *radio.Config, _ *radio.Site) { c.Kit, c.Antennas = "b200mini", 2 }},
		{"radio.basis", `"pirate" is no ground`, func(c *radio.Config, _ *radio.Site) { c.Basis = "pirate" }},
		{"radio.country", `"Germany" is no country`, func(c *radio.Config, _ *radio.Site) { c.Country = "Germany" }},
		{"radio.country", `"de"; write it in capitals: "DE"`, func(c *radio.Config, _ *radio.Site) { c.Country = "de" }},
		{"network.plmn", `262/01: on the ground of "experimental" a network is 001/01 or 999/xx`, func(_ *radio.Config, s *radio.Site) { s.ENB = enbID(t, "262/01-macro-0x19b") }},
		{"radio.country", `"XX" is no country`, func(c *radio.Config, _ *radio.Site) { c.Country = "XX" }},
		{"radio.country", `"xx" is no country`, func(c *radio.Config, _ *radio.Site) { c.Country = "xx" }},
		{"radio.band", "there is no band 200; srsenb knows the FDD bands 1 to 14, 17 to 28, 30 to 31", func(c *radio.Config, _ *radio.Site) { c.Band = 200 }},
		{"radio.band", "there is no band 263", func(c *radio.Config, _ *radio.Site) { c.Band = 263 }},
		{"radio.band", "there is no band -1", func(c *radio.Config, _ *radio.Site) { c.Band = -1 }},
		{"radio.ul_earfcn", "5 is not in band 7, whose uplink has 20750 to 21449; write 0", func(c *radio.Config, _ *radio.Site) { c.UplinkEARFCN = 5 }},
		{"radio.antennas", "0: the Ettus USRP B210 has 2; write 1 to 2", func(c *radio.Config, _ *radio.Site) { c.Antennas = 0 }},
		{"radio.power", `"100 W" is 50 dBm, on the ground of "cabled"; write at most "20 dBm"`, func(c *radio.Config, _ *radio.Site) { c.Power, c.Basis = "100 W", "cabled" }},
		{"radio.pci", "-1 is no physical cell identity; write 0 to 503", func(c *radio.Config, _ *radio.Site) { c.PCI = -1 }},
		{"radio.earfcn", "3350 is in band 7, and radio.band is 3; band 3 has 1200 to 1949", func(c *radio.Config, _ *radio.Site) { c.Band = 3 }},
		{"radio.earfcn", "12000 is in the downlink of no band; band 7 has 2750 to 3449", func(c *radio.Config, _ *radio.Site) { c.EARFCN = 12000 }},
		{"radio.earfcn", "choose an EARFCN from 2800 to 3400", func(c *radio.Config, _ *radio.Site) { c.EARFCN, c.Bandwidth = 2751, 10 }},
		{"radio.earfcn", "srsenb cannot work in band 38 (TDD", func(c *radio.Config, _ *radio.Site) { c.EARFCN, c.Band = 38000, 38 }},
		{"radio.earfcn", "srsenb cannot work in band 85", func(c *radio.Config, _ *radio.Site) { c.EARFCN, c.Band = 70450, 85 }},
		{"radio.earfcn", "band 7 has no channels of 3 MHz", func(c *radio.Config, _ *radio.Site) { c.Bandwidth = 3 }},
		{"radio.bandwidth_mhz", "7 MHz is no channel bandwidth", func(c *radio.Config, _ *radio.Site) { c.Bandwidth = 7 }},
		{"radio.clock", `"gpsdo": the Ettus USRP B200mini has no such; write one of internal, external`, func(c *radio.Config, _ *radio.Site) { c.Kit, c.Clock = "b200mini", "gpsdo" }},
		{"radio.power", `"loud" is no power`, func(c *radio.Config, _ *radio.Site) { c.Power = "loud" }},
		{"radio.power", "more than a kilowatt", func(c *radio.Config, _ *radio.Site) { c.Power = "2000 W" }},
		{"radio.power", "put an attenuator behind it", func(c *radio.Config, _ *radio.Site) { c.Power = "-90 dBm" }},
		{"radio.tx_gain", "may radiate 19.2 dBm with this antenna, and radio.power allows 10 dBm", func(c *radio.Config, _ *radio.Site) { c.TXGain = "89" }},
		{"radio.tx_gain", "95 dB: the Ettus USRP B210 has 0 to 89.75", func(c *radio.Config, _ *radio.Site) { c.TXGain = "95" }},
		{"radio.tx_gain", `"high" is no gain`, func(c *radio.Config, _ *radio.Site) { c.TXGain = "high" }},
		{"radio.rx_gain", "77 dB: the Ettus USRP B210 has 0 to 76", func(c *radio.Config, _ *radio.Site) { c.RXGain = "77" }},
		{"radio.phone_power", `"50 dBm"`, func(c *radio.Config, _ *radio.Site) { c.PhonePower = "50 dBm" }},
		{"radio.pci", "504", func(c *radio.Config, _ *radio.Site) { c.PCI = 504 }},
		{"radio.root_sequence", "838", func(c *radio.Config, _ *radio.Site) { c.RootSequence = 838 }},
		{"radio.paging_cycle", "33", func(c *radio.Config, _ *radio.Site) { c.PagingCycle = 33 }},
		{"radio.inactivity", "1s; write 1.3s", func(_ *radio.Config, s *radio.Site) { s.Inactivity = time.Second }},
		{"radio.serial", `"1,clock=external" has letters`, func(c *radio.Config, _ *radio.Site) { c.Serial = "1,clock=external" }},
		{"radio.device_args", "has letters", func(c *radio.Config, _ *radio.Site) { c.DeviceArgs = "x\n[enb]" }},
		{"radio.environment", "LD_PRELOAD needs a whole path", func(c *radio.Config, _ *radio.Site) { c.Environment = []string{"LD_PRELOAD=lib.so"} }},
		{"radio.environment", "NAME=value", func(c *radio.Config, _ *radio.Site) { c.Environment = []string{"DEBUG"} }},
		{"radio.program", "no program is named", func(c *radio.Config, _ *radio.Site) { c.Program = "" }},
		{"tower.enb", "srsenb is a macro eNB only", func(_ *radio.Config, s *radio.Site) { s.ENB = enbID(t, "999/70-home-0x19b01") }},
		{"tower.cell", "0x19c01 does not begin with the eNB's id 0x19b", func(_ *radio.Config, s *radio.Site) { s.Cell = 0x19c01 }},
	} {
		config, where := lawful(), site(t)
		c.make(&config, &where)
		_, err := config.Plan(where)
		var m *radio.Mistake
		if !errors.As(err, &m) || m.Key != c.key || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v, want %s: %s", err, c.key, c.says)
		}
	}
}

func enbID(t *testing.T, s string) id.GlobalENBID {
	t.Helper()
	v, err := id.ParseGlobalENBID(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// With a licence the network may have its own number.
func TestOwnNumber(t *testing.T) {
	c, s := lawful(), site(t)
	c.Basis, s.ENB = "licence", enbID(t, "262/98-macro-0x19b")
	p, err := c.Plan(s)
	if err != nil {
		t.Fatal(err)
	}
	if want := "transmits in band 7 in DE on the ground of licence, at most 10 dBm (stated by the owner)"; p.Law() != want {
		t.Errorf("%q", p.Law())
	}
}

// What the kit can give, times antenna and amplifier, stays within what was
// stated, and the gain that is chosen makes the most of it.
func TestPower(t *testing.T) {
	for _, c := range []struct {
		power         radio.Power
		gain          radio.Level
		antenna, amp  float64
		wantTX, wants float64
	}{
		{"10 dBm", "auto", 0, 0, 79, 9.25},
		{"10 mW", "auto", 0, 0, 79, 9.25},
		{"0.01 W", "auto", 6, 0, 73, 9.25},
		{"10 dBm", "auto", 6, -30, 89, -4.75},
		{"10 dBm", "60", 6, 0, 60, -3.75},
		{"40 dBm", "auto", 9, 30, 70, 39.25},
	} {
		k := lawful()
		k.Power, k.TXGain, k.AntennaGain, k.Amplifier = c.power, c.gain, c.antenna, c.amp
		if p := plan(t, k); p.TX != c.wantTX || p.EIRP != c.wants {
			t.Errorf("%+v: gain %v, EIRP %v", c, p.TX, p.EIRP)
		}
	}
	for s, want := range map[radio.Power]float64{"10 dBm": 10, "-3.5 dBm": -3.5, "100 mW": 20, "2 W": 33.0103, "+7dBm": 7} {
		if v, err := s.DBm(); err != nil || v < want-0.001 || v > want+0.001 {
			t.Errorf("%s: %v %v", s, v, err)
		}
	}
	for _, s := range []radio.Power{"10", "", "dBm", "-1 W", "nan dBm", "inf W", "10 dB", "ten dBm", "1e400 W"} {
		if v, err := s.DBm(); err == nil {
			t.Errorf("%q taken for %v dBm", s, v)
		}
	}
}

// srsenb has a table of bands of its own. Where it errs or knows nothing, it is
// told frequencies, or not started.
func TestWhatSrsenbBelieves(t *testing.T) {
	b, err := os.ReadFile("testdata/srsran-4g-23.04-lte_bands.csv")
	if err != nil {
		t.Fatal(err)
	}
	r := csv.NewReader(strings.NewReader(string(b)))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil || len(rows) < 50 {
		t.Fatal(len(rows), err)
	}
	known := map[uint8]bool{}
	var errs []string
	for _, row := range rows {
		var v [5]float64
		for i, s := range row {
			if v[i], err = strconv.ParseFloat(s, 64); err != nil {
				t.Fatal(err)
			}
		}
		b, ok := band.ByNumber(uint8(v[0]))
		if !ok || b.DLOffset != band.EARFCN(v[2]) {
			t.Errorf("band %v: we have %v", row, b)
			continue
		}
		if b.Duplex == band.FDD {
			known[b.Number] = true
			if b.DLLow.MHz() != v[1] || b.ULOffset != band.EARFCN(v[3]) || b.DLLow.Hz() != uint64((v[1]*10)+0.5)*100_000 || b.ULLow != band.Freq((v[1]-v[4])*10+0.5) {
				errs = append(errs, row[0])
			}
		}
	}
	if strings.Join(errs, " ") != "22" {
		t.Errorf("srsenb errs in bands %v; band 22 was known", errs)
	}
	for _, b := range band.All() {
		c := lawful()
		c.Band, c.EARFCN, c.Bandwidth = int(b.Number), uint32(b.FirstDL())+100, 5
		if b.DLHigh-b.DLLow < 130 {
			c.EARFCN = uint32(b.FirstDL()) + uint32(b.DLHigh-b.DLLow)/2
		}
		p, err := c.Plan(site(t))
		if (err == nil) != known[b.Number] {
			t.Errorf("%v: %v", b, err)
		}
		if err == nil {
			files, err := p.Render("/x", "")
			if err != nil || !strings.Contains(string(files["rr.conf"]), "dl_freq = "+strconv.FormatUint(p.Channel.DLCentre.Hz(), 10)+".0;") ||
				!strings.Contains(string(files["rr.conf"]), "ul_freq = "+strconv.FormatUint(p.Channel.ULCentre.Hz(), 10)+".0;") {
				t.Errorf("%v: frequencies are not in rr.conf, %v", b, err)
			}
		}
	}
}
