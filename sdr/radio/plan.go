package radio

import (
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"campanile.network/3gpp/id"
	"campanile.network/sdr/band"
	"campanile.network/sdr/profiles"
)

// Site is which cell the radio is of, and whom it talks to.
type Site struct {
	ENB        id.GlobalENBID // a macro eNB: srsenb has no other kind
	Name       string         // of the tower, as the MME sees it
	Cell       id.ECI
	TAC        id.TAC
	MME        netip.Addr    // where S1AP goes: the agent's side of the air
	Local      netip.Addr    // srsenb's own address
	Inactivity time.Duration // after which a phone goes idle
}

// Plan is a checked Config: what is transmitted, by whom, on what ground.
type Plan struct {
	Config
	Site
	Kit        *profiles.Kit
	Channel    band.Channel
	TX, RX     float64 // gains of the kit, dB
	EIRP       float64 // dBm, that the kit cannot exceed with this gain and antenna; a virtual kit's is -Inf
	PhoneDBm   int     // most that phones may use
	DeviceArgs string
}

// Grounds on which somebody may transmit.
var grounds = []string{"licence", "experimental", "shielded", "cabled"}

// unknown are bands that srsenb 23.04 has in no table.
func unknown(b *band.Band) bool { return b.Number > 71 }

// fddBands names the bands that srsenb can work in: "1 to 14, 17 to 28, ...".
func fddBands() string {
	var out []string
	first, last := 0, -1
	end := func() {
		switch {
		case first == 0:
		case first == last:
			out = append(out, fmt.Sprint(first))
		default:
			out = append(out, fmt.Sprintf("%d to %d", first, last))
		}
	}
	for _, b := range band.All() {
		n := int(b.Number)
		if b.Duplex != band.FDD || unknown(b) {
			continue
		}
		if n != last+1 {
			end()
			first = n
		}
		last = n
	}
	end()
	return strings.Join(out, ", ")
}

// Plan checks everything that can be checked without the kit. Errors are
// *Mistake.
func (c Config) Plan(s Site) (*Plan, error) {
	p := &Plan{Config: c, Site: s, EIRP: math.Inf(-1)}
	for _, check := range []func(*Plan) *Mistake{(*Plan).checkKit, (*Plan).checkLaw, (*Plan).checkChannel, (*Plan).checkCell, (*Plan).checkPower, (*Plan).checkProgram} {
		if m := check(p); m != nil {
			return nil, m
		}
	}
	return p, nil
}

func (p *Plan) checkKit() *Mistake {
	if p.Config.Kit == "" {
		return mistake("kit", "write one of "+strings.Join(profiles.Names(), ", "), "no kit is named")
	}
	k, err := profiles.Named(p.Config.Kit)
	if err != nil {
		return mistake("kit", "", "%v", err)
	}
	p.Kit = k
	if !slices.Contains(k.Clocks, p.Clock) {
		return mistake("clock", "write one of "+strings.Join(k.Clocks, ", "), "%q: the %s has no such", p.Clock, k.Title)
	}
	return nil
}

// checkLaw lets no radio start whose owner has not said on what ground, where
// and how much he transmits.
func (p *Plan) checkLaw() *Mistake {
	if p.Kit.Virtual {
		return nil
	}
	return p.ground(p.ENB.PLMN, "radio.band", p.Band != 0)
}

// CheckGround lets nothing be planned for another radio than srsRAN's whose owner
// has not said on what ground, where and how much he transmits. band names the key
// that says in which band, and stated whether it does. Errors are *Mistake.
func (c Config) CheckGround(n id.PLMN, band string, stated bool) error {
	if m := c.ground(n, band, stated); m != nil {
		return m
	}
	return nil
}

func (c Config) ground(n id.PLMN, band string, stated bool) *Mistake {
	var missing []string
	for _, k := range []struct {
		key     string
		missing bool
	}{{"radio.basis", c.Basis == ""}, {"radio.country", c.Country == ""}, {band, !stated}, {"radio.power", c.Power == ""}} {
		if k.missing {
			missing = append(missing, k.key)
		}
	}
	if len(missing) > 0 {
		return &Mistake{Key: missing[0], What: "this radio would transmit, and nobody has stated " + strings.Join(missing, ", "),
			Remedy: "transmitting needs a licence, a test licence, a shielded room or cables: state which, where, in which band and how much"}
	}
	if !slices.Contains(grounds, c.Basis) {
		return mistake("basis", "write one of "+strings.Join(grounds, ", "), "%q is no ground to transmit on", c.Basis)
	}
	if up := strings.ToUpper(c.Country); up != c.Country && country(up) {
		return mistake("country", fmt.Sprintf("write it in capitals: %q", up), "%q", c.Country)
	}
	if !country(c.Country) {
		return mistake("country", "write the two capital letters of ISO 3166, such as DE", "%q is no country", c.Country)
	}
	if c.Basis != "licence" && !test(n) {
		return &Mistake{Key: "network.plmn", What: fmt.Sprintf("%v: on the ground of %q a network is 001/01 or 999/xx", n, c.Basis),
			Remedy: "phones of a real network would take this one for theirs: change network.plmn, or state the licence under which the number is yours"}
	}
	return nil
}

// test says whether a PLMN is nobody's: the test network, or a private one
// (ITU-T E.212: 999 is for internal use).
func test(n id.PLMN) bool { return n.MCC() == "999" || n.MCC() == "001" && n.MNC() == "01" }

func (p *Plan) checkChannel() *Mistake {
	w, err := band.ParseBandwidth(p.Bandwidth)
	if err != nil {
		return mistake("bandwidth_mhz", "", "%v", err)
	}
	want, known := band.ByNumber(uint8(p.Band))
	if p.Band != 0 && (!known || p.Band != int(want.Number)) {
		return mistake("band", "srsenb knows the FDD bands "+fddBands(), "there is no band %d", p.Band)
	}
	remedy := "choose one of a band that you may use"
	if known {
		remedy = fmt.Sprintf("band %d has %d to %d", p.Band, want.FirstDL(), want.LastDL())
	}
	b, ok := band.OfDownlink(band.EARFCN(p.EARFCN))
	if !ok {
		return mistake("earfcn", remedy, "%d is in the downlink of no band", p.EARFCN)
	}
	if p.Band != 0 && int(b.Number) != p.Band {
		return mistake("earfcn", remedy, "%d is in band %d, and radio.band is %d", p.EARFCN, b.Number, p.Band)
	}
	if b.Duplex != band.FDD || unknown(b) {
		return mistake("earfcn", "choose an FDD band up to 71", "srsenb cannot work in %v", b)
	}
	if p.Channel, err = band.NewChannel(band.EARFCN(p.EARFCN), band.EARFCN(p.UplinkEARFCN), w); err != nil {
		if _, other := band.NewChannel(band.EARFCN(p.EARFCN), 0, w); p.UplinkEARFCN != 0 && other == nil {
			return mistake("ul_earfcn", "write 0 for the one that goes with the downlink", "%v", err)
		}
		return mistake("earfcn", "", "%v", err)
	}
	if p.Antennas < 1 || p.Antennas > p.Kit.Antennas {
		remedy := "write 1"
		if p.Kit.Antennas > 1 {
			remedy = fmt.Sprintf("write 1 to %d", p.Kit.Antennas)
		}
		return mistake("antennas", remedy, "%d: the %s has %d", p.Antennas, p.Kit.Title, p.Kit.Antennas)
	}
	if err := p.Kit.Check(p.Channel, p.Antennas); err != nil {
		return mistake("kit", "choose another channel, a smaller bandwidth_mhz or another kit", "%v", err)
	}
	p.DeviceArgs, err = p.Kit.Args(profiles.Use{Channel: p.Channel, Serial: p.Serial, Clock: p.Clock, Antennas: p.Antennas,
		TX: p.ZMQTransmit, RX: p.ZMQReceive, Extra: p.Config.DeviceArgs})
	if err != nil {
		return mistake("clock", "", "%v", err)
	}
	return nil
}

// least is the shortest inactivity srsenb takes with our timers (sib.conf:
// T310, T311 and N310), rounded up.
const least = 1300 * time.Millisecond

func (p *Plan) checkCell() *Mistake {
	switch {
	case p.ENB.Type != id.MacroENB:
		return &Mistake{Key: "tower.enb", What: fmt.Sprintf("%v: srsenb is a macro eNB only", p.ENB), Remedy: "write such as 999/70-macro-0x19b"}
	case uint32(p.Cell)>>8 != p.ENB.ID:
		return &Mistake{Key: "tower.cell", What: fmt.Sprintf("%#x does not begin with the eNB's id %#x", uint32(p.Cell), p.ENB.ID)}
	case p.PCI < 0 || p.PCI > 503:
		return mistake("pci", "write 0 to 503", "%d is no physical cell identity", p.PCI)
	case p.RootSequence < 0 || p.RootSequence > 837:
		return mistake("root_sequence", "write 0 to 837", "%d is no root sequence", p.RootSequence)
	case !slices.Contains([]int{32, 64, 128, 256}, p.PagingCycle):
		return mistake("paging_cycle", "write 32, 64, 128 or 256", "%d", p.PagingCycle)
	case p.Inactivity < least || p.Inactivity > 24*time.Hour:
		return mistake("inactivity", fmt.Sprintf("write %v to 24h", least), "%v", p.Inactivity)
	case !p.MME.Is4() || !p.Local.Is4():
		return &Mistake{Key: "agent.enb", What: fmt.Sprintf("%v and %v: srsenb speaks IPv4 only", p.MME, p.Local)}
	}
	return nil
}

func (p *Plan) checkPower() *Mistake {
	rx, auto, err := p.RXGain.DB()
	if err != nil {
		return mistake("rx_gain", "", "%v", err)
	}
	if p.RX = rx; auto {
		p.RX = p.Kit.DefaultRX
	}
	if p.RX < p.Kit.RX.Min || p.RX > p.Kit.RX.Max {
		return mistake("rx_gain", "", "%v dB: the %s has %v to %v", p.RX, p.Kit.Title, p.Kit.RX.Min, p.Kit.RX.Max)
	}
	p.PhoneDBm = 23 // power class 3 (TS 36.101 §6.2.2)
	if p.PhonePower != "" {
		v, err := p.PhonePower.DBm()
		if err != nil || v < -30 || v > 33 { // TS 36.331 §6.3.4, P-Max
			return mistake("phone_power", `write such as "23 dBm", from -30 dBm to 33 dBm`, "%q is no power of a phone", p.PhonePower)
		}
		p.PhoneDBm = int(math.Floor(v))
	}
	tx, auto, err := p.TXGain.DB()
	if err != nil {
		return mistake("tx_gain", "", "%v", err)
	}
	if p.TX = tx; p.Kit.Virtual {
		if auto {
			p.TX = 80 // as if on the air; it scales nothing
		}
		return nil
	}
	return p.checkEIRP(auto)
}

// indoors is the most that a box or cables are good for, in dBm: the power of a
// home base station (TS 36.104 §6.2.1).
const indoors = 20

func (p *Plan) checkEIRP(auto bool) *Mistake {
	allowed, err := p.Power.DBm()
	if err != nil {
		return mistake("power", "", "%v", err)
	}
	if allowed > 60 {
		return mistake("power", "a hobbyist's tower has some 10 dBm", "%q is more than a kilowatt", p.Power)
	}
	if (p.Basis == "shielded" || p.Basis == "cabled") && allowed > indoors {
		return mistake("power", fmt.Sprintf("write at most \"%d dBm\", a home's base station has no more", indoors), "%q is %.0f dBm, on the ground of %q", p.Power, allowed, p.Basis)
	}
	if math.Abs(p.AntennaGain) > 40 || math.Abs(p.Amplifier) > 100 || math.IsNaN(p.AntennaGain+p.Amplifier) {
		return mistake("antenna_gain_dbi", "", "%v dBi behind %v dB: there is no such thing", p.AntennaGain, p.Amplifier)
	}
	behind := p.Amplifier + p.AntennaGain
	if auto {
		if p.TX, err = p.Kit.GainFor(allowed - behind); err != nil {
			return mistake("power", "", "%v", err)
		}
	}
	if p.TX < p.Kit.TX.Min || p.TX > p.Kit.TX.Max {
		return mistake("tx_gain", "", "%v dB: the %s has %v to %v", p.TX, p.Kit.Title, p.Kit.TX.Min, p.Kit.TX.Max)
	}
	p.EIRP = p.Kit.Power(p.TX) + behind
	if p.EIRP > allowed {
		return mistake("tx_gain", `write "auto", or an attenuator into amplifier_db`,
			"at %v dB the %s may radiate %.1f dBm with this antenna, and radio.power allows %s", p.TX, p.Kit.Title, p.EIRP, p.Power)
	}
	return nil
}

// forbidden are letters that would leave their place in a configuration file.
func forbidden(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '#' || r == '"' || r == '\\' })
}

func (p *Plan) checkProgram() *Mistake {
	for key, s := range map[string]string{"serial": p.Serial, "device_args": p.Config.DeviceArgs, "zmq_tx": p.ZMQTransmit, "zmq_rx": p.ZMQReceive} {
		if forbidden(s) || key != "device_args" && strings.ContainsAny(s, ", ") {
			return mistake(key, "", "%q has letters that do not belong there", s)
		}
	}
	if p.Program == "" {
		return mistake("program", `write "srsenb"`, "no program is named")
	}
	for _, e := range p.Environment {
		name, value, ok := strings.Cut(e, "=")
		if !ok || name == "" || strings.ContainsRune(e, 0) {
			return mistake("environment", "write \"NAME=value\"", "%q", e)
		}
		if name == "LD_PRELOAD" && !filepath.IsAbs(value) {
			return mistake("environment", "", "%q: LD_PRELOAD needs a whole path", e)
		}
	}
	return nil
}

// Law is the plan's ground for a person to read.
func (p *Plan) Law() string {
	if p.Kit.Virtual {
		return "virtual radio: nothing is transmitted"
	}
	return fmt.Sprintf("transmits in band %d in %s on the ground of %s, at most %s (stated by the owner)", p.Channel.Band.Number, p.Country, p.Basis, p.Power)
}
