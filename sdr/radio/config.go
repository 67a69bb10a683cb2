// Package radio runs a real LTE radio: srsRAN's srsenb on a kit that a
// hobbyist can buy. It checks what is asked for against the bands, the kit and
// the law before anything is transmitted, writes srsenb's configuration, starts
// the program, watches it, starts it again when it dies, and says how it does.
//
// It is no eNB and no driver, and it knows neither core nor ledger: it is told
// where the MME is (at a tower: the agent) and tells its health to whoever asks.
package radio

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Config is what [radio] says about a real radio. What the law wants to be
// stated has no default: such a radio does not start.
type Config struct {
	Kit          string   `toml:"kit" comment:"For kind \"srsran\", as all that follows. Your kit: \"b200mini\", \"b210\", \"limesdr-usb\", \"limesdr-mini\", \"bladerf-micro\", or \"zmq\" (a virtual radio: nothing is transmitted)."`
	Basis        string   `toml:"basis" comment:"On what ground you transmit: \"licence\", \"experimental\" (a test licence), \"shielded\" (a closed metal box), \"cabled\" (wires and attenuators). Nothing is transmitted before you say so."`
	Country      string   `toml:"country" comment:"Where the antenna stands, two letters such as \"DE\"."`
	Band         int      `toml:"band" comment:"E-UTRA band that you may use."`
	EARFCN       uint32   `toml:"earfcn" comment:"Downlink channel number within it."`
	UplinkEARFCN uint32   `toml:"ul_earfcn" comment:"Uplink channel number; 0: the one that goes with it."`
	Bandwidth    float64  `toml:"bandwidth_mhz" comment:"1.4, 3, 5, 10, 15 or 20."`
	Power        Power    `toml:"power" comment:"The most you may radiate (EIRP), such as \"10 dBm\" or \"100 mW\"."`
	PhonePower   Power    `toml:"phone_power" comment:"The most that phones may radiate; empty: 23 dBm, which is what they have."`
	AntennaGain  float64  `toml:"antenna_gain_dbi" comment:"Gain of the antenna, less what the cable takes."`
	Amplifier    float64  `toml:"amplifier_db" comment:"Gain of an amplifier behind the kit; of an attenuator less than 0."`
	TXGain       Level    `toml:"tx_gain" comment:"The kit's gain in dB, such as \"60\", or \"auto\": the highest at which the kit cannot radiate more than power says."`
	RXGain       Level    `toml:"rx_gain" comment:"The kit's gain in the uplink, in dB, or \"auto\"."`
	Antennas     int      `toml:"antennas" comment:"1, or 2 (both transmit the same, TM2)."`
	PCI          int      `toml:"pci" comment:"Physical cell identity, 0 to 503: unlike those of your neighbours, also by its remainder of 3."`
	RootSequence int      `toml:"root_sequence" comment:"PRACH root sequence, 0 to 837: unlike those of your neighbours."`
	PagingCycle  int      `toml:"paging_cycle" comment:"Phones that are idle listen every so many frames of 10 ms: 32, 64, 128 or 256. More saves their battery, less reaches them sooner."`
	Serial       string   `toml:"serial" comment:"Serial number of one kit among several; empty: the first that is found."`
	Clock        string   `toml:"clock" comment:"\"internal\", \"external\" (10 MHz at the kit's socket) or \"gpsdo\", as the kit has it."`
	DeviceArgs   string   `toml:"device_args" comment:"Appended to what srsRAN's driver is told."`
	ZMQTransmit  string   `toml:"zmq_tx" comment:"For the kit \"zmq\": where its samples are fetched."`
	ZMQReceive   string   `toml:"zmq_rx" comment:"For the kit \"zmq\": where it fetches the phone's samples."`
	Program      string   `toml:"program" comment:"srsRAN 4G's eNB: a path, or a name to be found in PATH."`
	Environment  []string `toml:"environment" comment:"Set for it, such as \"LD_PRELOAD=/path/lib.so\" where the kernel has no SCTP."`
}

// DefaultConfig has all that need not be stated.
func DefaultConfig() Config {
	return Config{TXGain: "auto", RXGain: "auto", Antennas: 1, PCI: 1, RootSequence: 128, PagingCycle: 64, Clock: "internal",
		ZMQTransmit: "tcp://127.0.0.1:2000", ZMQReceive: "tcp://127.0.0.1:2001", Program: "srsenb", Environment: []string{}}
}

// Power is what is radiated, as people and licences write it: "10 dBm",
// "100 mW", "2 W". Empty: not stated.
type Power string

// DBm is p in dBm.
func (p Power) DBm() (float64, error) {
	number, unit := strings.TrimRight(string(p), "dBmWw "), strings.TrimLeft(string(p), "+-.0123456789 ")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	switch {
	case err != nil || math.IsNaN(v) || math.IsInf(v, 0):
	case unit == "dBm":
		return v, nil
	case unit == "mW" && v > 0:
		return 10 * math.Log10(v), nil
	case unit == "W" && v > 0:
		return 10*math.Log10(v) + 30, nil
	}
	return 0, fmt.Errorf("%q is no power: write such as \"10 dBm\", \"100 mW\" or \"2 W\"", string(p))
}

// Level is a gain in dB, or "auto".
type Level string

// DB is l in dB; auto: it is to be chosen.
func (l Level) DB() (v float64, auto bool, err error) {
	if l == "auto" {
		return 0, true, nil
	}
	if v, err = strconv.ParseFloat(string(l), 64); err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return 0, false, fmt.Errorf("%q is no gain: write a number of dB, or \"auto\"", string(l))
	}
	return v, false, nil
}

// Mistake is a setting that a person has to mend before the radio may start.
type Mistake struct {
	Key    string // "radio.band"
	What   string
	Remedy string
}

func (m *Mistake) Error() string {
	s := m.Key + ": " + m.What
	if m.Remedy != "" {
		s += "; " + m.Remedy
	}
	return s
}

func mistake(key, remedy, format string, args ...any) *Mistake {
	return &Mistake{Key: "radio." + key, What: fmt.Sprintf(format, args...), Remedy: remedy}
}
