// Package gsm plans a GSM cell of somebody else's making (OpenBTS, YateBTS, the
// Osmocom programs) and writes their configuration out of the one that LTE's
// radio has: so that all of them stand on the same ground, obey the same power,
// and talk to this network's SIP gateway.
//
// It starts no program and reads none's configuration; nothing here transmits.
package gsm

import (
	"fmt"
	"math"
	"net/netip"
	"strings"

	"campanile.network/3gpp/id"
	"campanile.network/sdr/profiles"
	"campanile.network/sdr/radio"
)

// Config is what [radio.gsm] says about a GSM cell; ground, country, power, kit and
// antenna are [radio]'s.
type Config struct {
	Band    int    `toml:"band" comment:"For campanile radio render --for, as all that follows. GSM band that you may use: 850, 900, 1800 or 1900. Ground, country, power, kit and antenna are [radio]'s."`
	ARFCN   int    `toml:"arfcn" comment:"Channel number within it."`
	LAC     int    `toml:"lac" comment:"Location area, 1 to 65279; one of its own for each OpenBTS or YateBTS."`
	Cell    int    `toml:"cell" comment:"Cell identity, 0 to 65535: with the location area it names the cell in segments and bills."`
	NCC     int    `toml:"ncc" comment:"Network colour code, 0 to 7: unlike your neighbours'."`
	BCC     int    `toml:"bcc" comment:"Base station colour code, 0 to 7: unlike those of your own neighbouring cells."`
	Name    string `toml:"name" comment:"What phones show, letters and digits."`
	Address string `toml:"address" comment:"The cell's own address, as the gateway sees it."`
	Gateway string `toml:"gateway" comment:"Address and port of the SIP gateway, as the cell sees it."`
}

// DefaultConfig has all that need not be stated.
func DefaultConfig() Config {
	return Config{LAC: 1000, Cell: 10, BCC: 2, Name: "Campanile", Address: "127.0.0.1", Gateway: "127.0.0.40:5060"}
}

// Plan is a checked cell.
type Plan struct {
	Config
	PLMN        id.PLMN
	Down, Up    float64 // MHz
	Attenuation int     // dB below what the kit can give, so that it radiates no more than stated
	FullPower   int     // dBm, of the kit
	PhoneDBm    int     // most that phones may use
	Local       netip.Addr
	SIP         netip.AddrPort
}

// band is a row of TS 45.005 §2: the first channel, its downlink in MHz, and how far
// above the uplink that is.
type band struct {
	band, first, last int
	down, apart       float64
}

var bands = []band{
	{850, 128, 251, 869.2, 45},
	{900, 1, 124, 935.2, 45},
	{900, 975, 1023, 925.2, 45},
	{1800, 512, 885, 1805.2, 95},
	{1900, 512, 810, 1930.2, 80},
}

// Plan checks everything that can be checked without the kit. Errors are
// *radio.Mistake.
func (c Config) Plan(n id.PLMN, r radio.Config) (*Plan, error) {
	if err := r.CheckGround(n, "radio.gsm.band", c.Band != 0); err != nil {
		return nil, err
	}
	p := &Plan{Config: c, PLMN: n}
	for _, check := range []func(radio.Config) *radio.Mistake{p.checkChannel, p.checkCell, p.checkAddresses, p.checkPower} {
		if m := check(r); m != nil {
			return nil, m
		}
	}
	return p, nil
}

func mistake(key, remedy, format string, args ...any) *radio.Mistake {
	return &radio.Mistake{Key: "radio.gsm." + key, What: fmt.Sprintf(format, args...), Remedy: remedy}
}

func (p *Plan) checkChannel(radio.Config) *radio.Mistake {
	var ranges []string
	for _, b := range bands {
		if b.band != p.Band {
			continue
		}
		if p.ARFCN >= b.first && p.ARFCN <= b.last {
			p.Down = b.down + .2*float64(p.ARFCN-b.first)
			p.Up = p.Down - b.apart
			return nil
		}
		ranges = append(ranges, fmt.Sprintf("%d to %d", b.first, b.last))
	}
	if len(ranges) == 0 {
		return mistake("band", "write 850, 900, 1800 or 1900", "there is no GSM band %d", p.Band)
	}
	return mistake("arfcn", fmt.Sprintf("band %d has %s", p.Band, strings.Join(ranges, " and ")), "%d is not in band %d", p.ARFCN, p.Band)
}

func (p *Plan) checkCell(radio.Config) *radio.Mistake {
	switch {
	case p.LAC < 1 || p.LAC > 0xfeff: // TS 23.003 §4.1: 0000 and FFFE are nobody's; OpenBTS has none from FF00
		return mistake("lac", "write 1 to 65279", "%d is no location area", p.LAC)
	case p.Cell < 0 || p.Cell > 0xffff:
		return mistake("cell", "write 0 to 65535", "%d is no cell identity", p.Cell)
	case p.NCC < 0 || p.NCC > 7:
		return mistake("ncc", "write 0 to 7", "%d is no colour code", p.NCC)
	case p.BCC < 0 || p.BCC > 7:
		return mistake("bcc", "write 0 to 7", "%d is no colour code", p.BCC)
	case p.Name == "" || len(p.Name) > 20 || strings.ContainsFunc(p.Name, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	}):
		return mistake("name", "write 1 to 20 letters and digits", "%q", p.Name)
	}
	return nil
}

func (p *Plan) checkAddresses(radio.Config) *radio.Mistake {
	var err error
	if p.Local, err = netip.ParseAddr(p.Address); err != nil || !p.Local.Is4() || p.Local.IsUnspecified() {
		return mistake("address", "write such as 192.168.1.20", "%q is no IPv4 address of a cell", p.Address)
	}
	if p.SIP, err = netip.ParseAddrPort(p.Gateway); err != nil || !p.SIP.Addr().Is4() || p.SIP.Addr().IsUnspecified() || p.SIP.Port() == 0 {
		return mistake("gateway", "write such as 192.168.1.10:5060", "%q is no IPv4 address and port", p.Gateway)
	}
	if p.SIP.Addr().IsLoopback() && !p.Local.IsLoopback() {
		return mistake("gateway", "write the gateway's address as the cell reaches it", "%s is the cell's own host, and the cell is at %s", p.SIP, p.Local)
	}
	return nil
}

// indoors is the most that a box or cables are good for, in dBm.
const indoors = 20

// checkPower attenuates as much as keeps the kit within what the owner has stated.
func (p *Plan) checkPower(r radio.Config) *radio.Mistake {
	kit, err := profiles.Named(r.Kit)
	if err != nil {
		return &radio.Mistake{Key: "radio.kit", What: err.Error()}
	}
	if kit.Virtual {
		return &radio.Mistake{Key: "radio.kit", What: fmt.Sprintf("the kit %q carries LTE only", r.Kit), Remedy: "write the kit that the GSM cell has"}
	}
	allowed, err := r.Power.DBm()
	if err != nil {
		return &radio.Mistake{Key: "radio.power", What: err.Error()}
	}
	if (r.Basis == "shielded" || r.Basis == "cabled") && allowed > indoors {
		return &radio.Mistake{Key: "radio.power", What: fmt.Sprintf("%q is %.0f dBm, on the ground of %q", r.Power, allowed, r.Basis),
			Remedy: fmt.Sprintf("write at most \"%d dBm\", a home's base station has no more", indoors)}
	}
	p.FullPower = int(math.Ceil(kit.FullPower))
	p.Attenuation = max(int(math.Ceil(kit.FullPower+r.Amplifier+r.AntennaGain-allowed)), 0)
	p.Attenuation += p.Attenuation % 2 // Osmocom's steps
	if p.Attenuation > 40 {
		return &radio.Mistake{Key: "radio.power", What: fmt.Sprintf("%s is %d dB less than the %s gives with this antenna", r.Power, p.Attenuation, kit.Title),
			Remedy: "these programs attenuate by 40 dB at most: put an attenuator behind the kit and say so in radio.amplifier_db"}
	}
	p.PhoneDBm = 33 // power class 4 at 900 MHz (TS 45.005 §4.1.1)
	if p.Band >= 1800 {
		p.PhoneDBm = 30
	}
	if r.PhonePower != "" {
		v, err := r.PhonePower.DBm()
		if err != nil || v < 0 || v > 39 {
			return &radio.Mistake{Key: "radio.phone_power", What: fmt.Sprintf("%q is no power of a GSM phone", r.PhonePower), Remedy: `write such as "5 dBm", up to "39 dBm"`}
		}
		p.PhoneDBm = min(p.PhoneDBm, int(v))
	}
	p.PhoneDBm -= (p.PhoneDBm + 1) % 2 // 5, 7, ... 33: the steps of TS 45.005 §4.1.1
	return nil
}
