package profiles_test

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"campanile.network/sdr/band"
	"campanile.network/sdr/profiles"
)

func channel(t *testing.T, dl band.EARFCN, w band.Bandwidth) band.Channel {
	t.Helper()
	c, err := band.NewChannel(dl, 0, w)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func kit(t *testing.T, name string) *profiles.Kit {
	t.Helper()
	k, err := profiles.Named(name)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// What vendors' tools have printed on other people's machines, and here where
// nothing is plugged in.
func TestVendorsTools(t *testing.T) {
	for file, c := range map[string]struct {
		tool  profiles.Tool
		kit   string
		want  []string
		count int
	}{
		"uhd_find_devices-f4exb-sdrangel-issue-2724.txt": {profiles.FindUHD, "b210", []string{"B210, serial someserial"}, 1},
		"uhd_find_devices-debian-4.3.0-none.txt":         {profiles.FindUHD, "b210", nil, 0},
		"LimeUtil-f4exb-sdrangel-issue-373.txt":          {profiles.FindLime, "limesdr-usb", []string{"LimeSDR-USB, serial 0009081C05C11B21, USB 3"}, 1},
		"LimeUtil-myriadrf-LimeSuite-issue-310.txt":      {profiles.FindLime, "limesdr-mini", []string{"LimeSDR Mini, serial 1D4257CA11494A, USB 3"}, 5},
		"LimeUtil-debian-22.09-none.txt":                 {profiles.FindLime, "limesdr-mini", nil, 0},
		"bladeRF-cli-Nuand-bladeRF-pull-611.txt":         {profiles.FindBladeRF, "bladerf-micro", []string{"Nuand bladeRF 2.0, serial <redacted>"}, 1},
		"bladeRF-cli-debian-2022.11-none.txt":            {profiles.FindBladeRF, "bladerf-micro", nil, 0},
	} {
		b, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		found, err := c.tool.Parse(string(b))
		if err != nil || len(found) != c.count {
			t.Errorf("%s: %v %v", file, found, err)
			continue
		}
		for i, w := range c.want {
			if found[i].String() != w {
				t.Errorf("%s: %v, want %s", file, found[i], w)
			}
		}
		for _, f := range found {
			for _, k := range profiles.All() {
				if k.Is(f) != (k.Name == c.kit) {
					t.Errorf("%v is a %s: %t", f, k.Name, k.Is(f))
				}
			}
		}
	}
	for _, tool := range []profiles.Tool{profiles.FindUHD, profiles.FindLime, profiles.FindBladeRF} {
		if _, err := tool.Parse("libusb: error: access denied\n"); !errors.Is(err, profiles.ErrOutput) {
			t.Errorf("%s: nonsense is %v", tool.Program, err)
		}
	}
}

func TestWhatAKitCannot(t *testing.T) {
	for _, c := range []struct {
		kit      string
		dl       band.EARFCN
		w        band.Bandwidth
		antennas int
		want     string
	}{
		{"b210", 3350, band.MHz10, 2, ""},
		{"zmq", 3350, band.MHz20, 1, ""},
		{"zmq", 3350, band.MHz20, 2, "2 antennas: the virtual radio over ZMQ has 1"},
		{"b200mini", 3350, band.MHz10, 2, "2 antennas: the Ettus USRP B200mini has 1"},
		{"limesdr-mini", 6900, band.MHz10, 1, "3540 MHz: the LimeSDR Mini reaches from 10 MHz to 3500 MHz"},
		{"limesdr-usb", 3350, band.MHz20, 1, ""},
	} {
		err := kit(t, c.kit).Check(channel(t, c.dl, c.w), c.antennas)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %d %v: %v, want %q", c.kit, c.dl, c.w, err, c.want)
		}
	}
	slow := *kit(t, "b210")
	slow.MaxRate = 10_000_000
	if err := slow.Check(channel(t, 3350, band.MHz10), 1); err == nil || !strings.Contains(err.Error(), "11.52 million samples") {
		t.Error(err)
	}
	if _, err := profiles.Named("hackrf"); err == nil || !strings.Contains(err.Error(), "b200mini, b210, limesdr-usb") {
		t.Error(err)
	}
}

func TestArguments(t *testing.T) {
	for _, c := range []struct {
		kit  string
		use  profiles.Use
		want string
	}{
		{"b210", profiles.Use{Channel: channel(t, 3350, band.MHz5)}, "type=b200"},
		{"b210", profiles.Use{Channel: channel(t, 1300, band.MHz3), Clock: "gpsdo", Serial: "31A"}, "type=b200,clock=gpsdo,serial=31A,send_frame_size=512,recv_frame_size=512"},
		{"b210", profiles.Use{Channel: channel(t, 3350, band.MHz15), Antennas: 2, Extra: "master_clock_rate=15.36e6"}, "type=b200,num_send_frames=64,num_recv_frames=64,master_clock_rate=15.36e6"},
		{"limesdr-mini", profiles.Use{Channel: channel(t, 3350, band.MHz5)}, "driver=lime,rxant=LNAH,txant=BAND1"},
		{"limesdr-mini", profiles.Use{Channel: channel(t, 6300, band.MHz5)}, "driver=lime,rxant=LNAW,txant=BAND2"},
		{"zmq", profiles.Use{Channel: channel(t, 3350, band.MHz5), TX: "tcp://*:2000", RX: "tcp://localhost:2001"},
			"fail_on_disconnect=true,tx_port=tcp://*:2000,rx_port=tcp://localhost:2001,id=enb,base_srate=5760000"},
	} {
		if got, err := kit(t, c.kit).Args(c.use); err != nil || got != c.want {
			t.Errorf("%s: %q %v, want %q", c.kit, got, err, c.want)
		}
	}
	if _, err := kit(t, "limesdr-mini").Args(profiles.Use{Clock: "gpsdo"}); err == nil || !strings.Contains(err.Error(), "the LimeSDR Mini has internal") {
		t.Error(err)
	}
}

// The gain that is chosen never promises more than was allowed, and one more
// would.
func TestGain(t *testing.T) {
	for _, k := range profiles.All() {
		if k.Virtual {
			continue
		}
		for p := k.Power(k.TX.Min); p < k.FullPower+5; p += 0.7 {
			g, err := k.GainFor(p)
			if err != nil || g < k.TX.Min || g > k.TX.Max || k.Power(g) > p {
				t.Fatalf("%s, %.1f dBm: gain %.2f gives %.2f, %v", k.Name, p, g, k.Power(g), err)
			}
			if more := g + 1; more <= k.TX.Max && k.Power(more) <= p {
				t.Fatalf("%s, %.1f dBm: gain %.2f would do, %.2f was chosen", k.Name, p, more, g)
			}
		}
		if _, err := k.GainFor(k.Power(k.TX.Min) - 1); err == nil || !strings.Contains(err.Error(), "attenuator") {
			t.Errorf("%s: %v", k.Name, err)
		}
	}
}

// Every profile is whole, and the table says what USB 2 is good for.
func TestProfiles(t *testing.T) {
	var usb2 []string
	for _, k := range profiles.All() {
		if k.Title == "" || k.Device == "" || k.Low == 0 || k.High <= k.Low || k.Antennas < 1 || k.TX.Max <= k.TX.Min || k.RX.Max <= k.RX.Min ||
			k.DefaultRX < k.RX.Min || k.DefaultRX > k.RX.Max || k.Threads < 1 || k.Note == "" || !slices.Contains(k.Clocks, profiles.Internal) || k.Virtual == (k.Tool.Program != "") {
			t.Errorf("%+v", k)
		}
		for _, w := range []band.Bandwidth{band.MHz1_4, band.MHz3, band.MHz5, band.MHz10, band.MHz15, band.MHz20} {
			if r := k.Rate(w); uint64(r) < w.Occupied() || r > k.MaxRate || r%1_920_000 != 0 {
				t.Errorf("%s: %v at %d samples a second", k.Name, w, r)
			}
		}
		if !k.NeedsUSB3(band.MHz3, 1) {
			usb2 = append(usb2, k.Name)
		}
		if k.NeedsUSB3(band.MHz10, 1) == k.Virtual {
			t.Errorf("%s: 10 MHz over USB 2", k.Name)
		}
	}
	if len(usb2) != len(profiles.All()) {
		t.Errorf("3 MHz over USB 2: only %v", usb2)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"uhd_find_devices-f4exb-sdrangel-issue-2724.txt", "LimeUtil-myriadrf-LimeSuite-issue-310.txt", "bladeRF-cli-Nuand-bladeRF-pull-611.txt"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, tool := range []profiles.Tool{profiles.FindUHD, profiles.FindLime, profiles.FindBladeRF} {
			found, err := tool.Parse(s)
			if err != nil && found != nil || len(found) > 33 {
				t.Errorf("%s: %v %v", tool.Program, found, err)
			}
		}
	})
}
