// Package profiles knows the radio kits that a hobbyist can buy: what each can
// do, what srsRAN wants to be told about it, and how its vendor's tool finds
// it. Figures are the vendors' unless a comment says otherwise; what a kit
// really radiates has to be measured.
//
// It starts no program and reads no file: it makes arguments, and reads what a
// tool has printed.
package profiles

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"campanile.network/sdr/band"
)

// Gain is a range of gain settings in dB.
type Gain struct{ Min, Max float64 }

// Kit is a model of radio.
type Kit struct {
	Name     string // as configuration says it
	Title    string
	Virtual  bool   // no radio: samples go from program to program
	Device   string // srsRAN's device_name
	args     string // srsRAN's device_args, always
	Low      band.Freq
	High     band.Freq
	MaxRate  int // complex samples a second, each antenna, with all antennas in use
	Antennas int // that transmit and receive at once
	// StandardRates: the filters want rates that are powers of two times 1.92
	// MHz and not srsRAN's shorter ones.
	StandardRates bool
	TX, RX        Gain
	DefaultRX     float64 // dB
	// FullPower is what leaves the socket at the highest gain, in dBm, at the
	// frequency where it is most. LTE's peaks need some 10 dB of it, so the
	// mean power of a cell is less: this is a bound.
	FullPower float64
	PPM       float64 // of its own oscillator; TS 36.104 §6.5.1 asks for 0.05 to 0.25
	Clocks    []string
	Threads   int // of srsRAN's physical layer
	Tool      Tool
	Note      string // for whoever buys or wires it
}

// Clock sources of kits that can choose.
const (
	Internal = "internal"
	External = "external" // 10 MHz at the kit's socket
	GPSDO    = "gpsdo"    // a module in the kit
)

var kits = []Kit{
	{Name: "b200mini", Title: "Ettus USRP B200mini", Device: "UHD", args: "type=b200", Low: 700, High: 60000, MaxRate: 56_000_000, Antennas: 1,
		TX: Gain{0, 89.75}, RX: Gain{0, 76}, DefaultRX: 40, FullPower: 20, PPM: 2, Clocks: []string{Internal, External}, Threads: 3, Tool: FindUHD,
		Note: "sockets TX/RX and RX2: a duplexer, or two antennas; its reference socket takes 10 MHz"},
	{Name: "b210", Title: "Ettus USRP B210", Device: "UHD", args: "type=b200", Low: 700, High: 60000, MaxRate: 30_720_000, Antennas: 2,
		TX: Gain{0, 89.75}, RX: Gain{0, 76}, DefaultRX: 40, FullPower: 20, PPM: 2, Clocks: []string{Internal, External, GPSDO}, Threads: 3, Tool: FindUHD,
		Note: "sockets RF A: TX/RX and RX2; with 2 antennas also RF B; two antennas or a GPSDO need its own power supply"},
	{Name: "limesdr-usb", Title: "LimeSDR-USB", Device: "soapy", args: "driver=lime,rxant=LNAW,txant=BAND1", Low: 1, High: 38000, MaxRate: 30_720_000, Antennas: 2,
		StandardRates: true, TX: Gain{0, 64}, RX: Gain{0, 61}, DefaultRX: 40, FullPower: 12, PPM: 4, Clocks: []string{Internal}, Threads: 3, Tool: FindLime,
		Note: "sockets RX1_W and TX1_1 (with 2 antennas RX2_W and TX2_1); an external 10 MHz needs its clock network changed by hand"},
	{Name: "limesdr-mini", Title: "LimeSDR Mini", Device: "soapy", args: "driver=lime", Low: 100, High: 35000, MaxRate: 30_720_000, Antennas: 1,
		StandardRates: true, TX: Gain{0, 64}, RX: Gain{0, 61}, DefaultRX: 40, FullPower: 12, PPM: 4, Clocks: []string{Internal}, Threads: 3, Tool: FindLime,
		Note: "sockets RX and TX; versions 1 and 2"},
	{Name: "bladerf-micro", Title: "Nuand bladeRF 2.0 micro (xA4, xA9)", Device: "soapy", args: "driver=bladerf", Low: 470, High: 60000, MaxRate: 30_720_000, Antennas: 2,
		TX: Gain{-23, 66}, RX: Gain{-15, 60}, DefaultRX: 30, FullPower: 12, PPM: 1, Clocks: []string{Internal}, Threads: 3, Tool: FindBladeRF,
		Note: "sockets TX1 and RX1 (with 2 antennas TX2 and RX2); 10 MHz at REFIN needs its clock set with bladeRF-cli"},
	{Name: "zmq", Title: "virtual radio over ZMQ", Virtual: true, Device: "zmq", Low: 1, High: 60000, MaxRate: math.MaxInt, Antennas: 1,
		TX: Gain{0, 100}, RX: Gain{0, 100}, DefaultRX: 40, Clocks: []string{Internal}, Threads: 1, Tool: Tool{},
		Note: "nothing is transmitted: an srsUE on the same machine or network takes the samples"},
}

// Named finds a kit.
func Named(name string) (*Kit, error) {
	i := slices.IndexFunc(kits, func(k Kit) bool { return k.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no profile of kit %q: there are %s", name, strings.Join(Names(), ", "))
	}
	return &kits[i], nil
}

// Names lists the kits.
func Names() (out []string) {
	for _, k := range kits {
		out = append(out, k.Name)
	}
	return out
}

// All lists the kits.
func All() []Kit { return slices.Clone(kits) }

// Rates of srsRAN 4G in samples a second: its own, and those of the standard's
// FFT sizes (TS 36.104 annex E), which it takes when told.
var (
	shortRates    = map[band.Bandwidth]int{band.MHz1_4: 1_920_000, band.MHz3: 3_840_000, band.MHz5: 5_760_000, band.MHz10: 11_520_000, band.MHz15: 15_360_000, band.MHz20: 23_040_000}
	standardRates = map[band.Bandwidth]int{band.MHz1_4: 1_920_000, band.MHz3: 3_840_000, band.MHz5: 7_680_000, band.MHz10: 15_360_000, band.MHz15: 23_040_000, band.MHz20: 30_720_000}
)

// Rate is the sample rate of a cell on this kit, each antenna.
func (k *Kit) Rate(w band.Bandwidth) int {
	if k.StandardRates {
		return standardRates[w]
	}
	return shortRates[w]
}

// usb2 is what USB 2 carries in practice, both directions together, in octets
// a second.
const usb2 = 35_000_000

// NeedsUSB3 says whether a cell's samples (4 octets, both ways) are more than
// USB 2 can carry.
func (k *Kit) NeedsUSB3(w band.Bandwidth, antennas int) bool {
	return !k.Virtual && k.Rate(w)*antennas*4*2 > usb2
}

// Check says why the kit cannot carry a channel, naming what of the two is
// wrong; nil: it can.
func (k *Kit) Check(c band.Channel, antennas int) error {
	if antennas < 1 || antennas > k.Antennas {
		return fmt.Errorf("%d antennas: the %s has %d", antennas, k.Title, k.Antennas)
	}
	if k.Virtual {
		return nil
	}
	for _, f := range []band.Freq{c.DLCentre, c.ULCentre} {
		if f < k.Low || f > k.High {
			return fmt.Errorf("%v: the %s reaches from %v to %v", f, k.Title, k.Low, k.High)
		}
	}
	if r := k.Rate(c.Width); r > k.MaxRate {
		return fmt.Errorf("%v need %.2f million samples a second: the %s makes %.2f", c.Width, float64(r)/1e6, k.Title, float64(k.MaxRate)/1e6)
	}
	return nil
}

// Power bounds what leaves the socket at a gain, in dBm. A virtual kit has none.
func (k *Kit) Power(txGain float64) float64 { return k.FullPower - (k.TX.Max - txGain) }

// GainFor is the highest gain, in whole dB, whose bound is not above a power
// in dBm at the socket; an error when even the lowest is.
func (k *Kit) GainFor(dbm float64) (float64, error) {
	g := math.Min(math.Floor(k.TX.Max), math.Floor(k.TX.Max-k.FullPower+dbm))
	if g < k.TX.Min {
		return 0, fmt.Errorf("%.1f dBm at the socket: the %s may still give %.1f at its lowest gain; put an attenuator behind it and say so in amplifier_db", dbm, k.Title, k.Power(k.TX.Min))
	}
	return g, nil
}

// Use is how a kit is put to use.
type Use struct {
	Channel  band.Channel
	Serial   string // of one among several; empty: the first
	Clock    string // one of the kit's Clocks; empty: internal
	Antennas int
	TX, RX   string // ZMQ endpoints of a virtual kit
	Extra    string // appended, comma-separated
}

// Args makes srsRAN's device_args.
func (k *Kit) Args(u Use) (string, error) {
	list := []string{}
	if k.args != "" {
		list = append(list, k.args)
	}
	if u.Clock != "" && u.Clock != Internal {
		if !slices.Contains(k.Clocks, u.Clock) {
			return "", fmt.Errorf("clock %q: the %s has %s", u.Clock, k.Title, strings.Join(k.Clocks, ", "))
		}
		list = append(list, "clock="+u.Clock)
	}
	if u.Serial != "" {
		list = append(list, "serial="+u.Serial)
	}
	switch {
	case k.Virtual:
		list = append(list, "fail_on_disconnect=true", "tx_port="+u.TX, "rx_port="+u.RX, "id=enb", fmt.Sprintf("base_srate=%d", k.Rate(u.Channel.Width)))
	case k.Name == "limesdr-mini" && u.Channel.DLCentre >= 20000:
		list = append(list, "rxant=LNAH", "txant=BAND1")
	case k.Name == "limesdr-mini":
		list = append(list, "rxant=LNAW", "txant=BAND2")
	case k.Device == "UHD" && u.Channel.Width < band.MHz5:
		list = append(list, "send_frame_size=512", "recv_frame_size=512") // short frames: less delay at low rates
	case k.Device == "UHD" && u.Antennas > 1 && u.Channel.Width >= band.MHz15:
		list = append(list, "num_send_frames=64", "num_recv_frames=64")
	}
	if u.Extra != "" {
		list = append(list, u.Extra)
	}
	return strings.Join(list, ","), nil
}
