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
	var missing []string
	for _, k := range []struct {
		key     string
		missing bool
	}{{"radio.basis", p.Basis == ""}, {"radio.country", p.Country == ""}, {"radio.band", p.Band == 0}, {"radio.power", p.Power == ""}} {
		if k.missing {
			missing = append(missing, k.key)
		}
	}
	if len(missing) > 0 {
		return &Mistake{Key: missing[0], What: "this radio would transmit, and nobody has stated " + strings.Join(missing, ", "),
			Remedy: "transmitting needs a licence, a test licence, a shielded room or cables: state which, where, in which band and how much"}
	}
	if !slices.Contains(grounds, p.Basis) {
		return mistake("basis", "write one of "+strings.Join(grounds, ", "), "%q is no ground to transmit on", p.Basis)
	}
	if len(p.Country) != 2 || strings.ContainsFunc(p.Country, func(r rune) bool { return r > 'Z' || !unicode.IsUpper(r) }) {
		return mistake("country", "write the two capital letters of ISO 3166, such as DE", "%q is no country", p.Country)
	}
	if n := p.ENB.PLMN; p.Basis != "licence" && !test(n) {
		return &Mistake{Key: "network.plmn", What: fmt.Sprintf("%v: on the ground of %q a network is 001/01 or 999/xx", n, p.Basis),
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
	b, ok := band.OfDownlink(band.EARFCN(p.EARFCN))
	if !ok {
		return mistake("earfcn", "", "%d is in the downlink of no band", p.EARFCN)
	}
	if p.Band != 0 && b.Number != p.Band {
		remedy := ""
		if want, ok := band.ByNumber(p.Band); ok {
			remedy = fmt.Sprintf("band %d has %d to %d", p.Band, want.FirstDL(), want.LastDL())
		}
		return mistake("earfcn", remedy, "%d is in band %d, and radio.band is %d", p.EARFCN, b.Number, p.Band)
	}
	if b.Duplex != band.FDD || unknown(b) {
		return mistake("earfcn", "choose an FDD band up to 71", "srsenb cannot work in %v", b)
	}
	if p.Channel, err = band.NewChannel(band.EARFCN(p.EARFCN), band.EARFCN(p.UplinkEARFCN), w); err != nil {
		return mistake("earfcn", "", "%v", err)
	}
	if err := p.Kit.Check(p.Channel, p.Antennas); err != nil {
		return mistake("kit", "", "%v", err)
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
	case p.PCI > 503:
		return mistake("pci", "write 0 to 503", "%d", p.PCI)
	case p.RootSequence > 837:
		return mistake("root_sequence", "write 0 to 837", "%d", p.RootSequence)
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
			return mistake("phone_power", "write -30 dBm to 33 dBm", "%q", p.PhonePower)
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

func (p *Plan) checkEIRP(auto bool) *Mistake {
	allowed, err := p.Power.DBm()
	if err != nil {
		return mistake("power", "", "%v", err)
	}
	if allowed > 60 {
		return mistake("power", "a hobbyist's tower has some 10 dBm", "%q is more than a kilowatt", p.Power)
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
