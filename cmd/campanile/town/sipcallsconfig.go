package town

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/internal/config"
	"campanile.network/sip/calls"
	"campanile.network/sip/media"
)

// CallsConfig is the part of [sip] that is about calls.
type CallsConfig struct {
	Media         string          `toml:"media" comment:"Address of this machine for speech (RTP); empty: the first of sip.listen."`
	MediaAnnounce string          `toml:"media_announce" comment:"Under which address the world sees it, where a NAT is between; empty: there is none."`
	MediaPorts    string          `toml:"media_ports" comment:"UDP ports of speech, four of them for each call."`
	Silence       config.Duration `toml:"silence" comment:"A call whose two ends have sent nothing for so long is over."`
	MaxCalls      int             `toml:"max_calls" comment:"Calls at a time; emergency calls are let in beyond."`
	NoAnswer      config.Duration `toml:"no_answer" comment:"How long a phone rings."`
	Codecs        []string        `toml:"codecs" comment:"Speech formats that are let through, such as [\"GSM\", \"PCMA\", \"PCMU\", \"telephone-event\"]; none: all. GSM full rate, PCMA and PCMU are translated into each other."`
	InsistSRTP    bool            `toml:"insist_srtp" comment:"Apps behind TLS are called only if they encrypt speech, too."`

	National       string     `toml:"national" comment:"What is dialled before a national number, such as \"0\" ..."`
	International  string     `toml:"international" comment:"... and before a country's prefix, such as \"00\"; + always does."`
	Short          [][]string `toml:"short" comment:"Short numbers and the number each stands for: [['100', '49170000100'], ...]."`
	Emergency      []string   `toml:"emergency" comment:"Numbers that call for help."`
	EmergencyTrunk string     `toml:"emergency_trunk" comment:"The trunk by which they go out, of anybody, free of charge and without registration. Name one only when you have tried it; without one a phone is told at once to look for another network."`
	EmergencyTo    string     `toml:"emergency_number" comment:"What is dialled there; empty: what the phone dialled."`

	Trunks []TrunkConfig `toml:"trunks" comment:"Ways to other telephone networks, each in a section [[sip.trunks]] with name, proxy (a SIP URI), domain, user, password_file, register (true: it is told where this network is), from (addresses its calls come from, besides the proxy's), rates = [['49', 12], ['', 90]] (first digits of numbers it reaches, and a price by which the cheapest is taken; the next when that fails), max_calls, format ('+', '' or '00' before international numbers), numbers = [['4930123', '49170001'], ...] (its numbers that are called from outside, and the subscriber's number each stands for) and show (number that is shown)."`
}

// TrunkConfig is one of [[sip.trunks]].
type TrunkConfig struct {
	Name         string     `toml:"name"`
	Proxy        string     `toml:"proxy"`
	Domain       string     `toml:"domain"`
	User         string     `toml:"user"`
	PasswordFile string     `toml:"password_file"`
	Register     bool       `toml:"register"`
	From         []string   `toml:"from"`
	Rates        [][]any    `toml:"rates"`
	MaxCalls     int        `toml:"max_calls"`
	Format       string     `toml:"format"`
	Numbers      [][]string `toml:"numbers"`
	Show         string     `toml:"show"`
}

func defaultCalls() CallsConfig {
	return CallsConfig{MediaPorts: "30000-39999", Silence: config.Duration(30 * time.Second), MaxCalls: 1000, NoAnswer: config.Duration(time.Minute), Codecs: []string{},
		Short: [][]string{}, Emergency: []string{"112", "911"}, Trunks: []TrunkConfig{}}
}

// resolve reads what is about calls.
func (q CallsConfig) resolve(p *sipSettings, bad mistake) (err error) {
	p.calls.OneAddress = q.Media != ""
	if p.media, err = q.media(p, bad); err != nil {
		return err
	}
	o := &p.calls
	o.Policy = calls.Policy{MaxCalls: q.MaxCalls, NoAnswer: time.Duration(q.NoAnswer), Formats: q.Codecs, InsistSRTP: q.InsistSRTP,
		Emergency: calls.Emergency{Trunk: q.EmergencyTrunk, Number: q.EmergencyTo}}
	if len(q.Codecs) == 0 {
		o.Policy.Formats = nil
	}
	for _, name := range q.Codecs {
		if name == "" || strings.ContainsAny(name, " /,;") {
			return bad("sip.codecs", fmt.Errorf("%q is no name of a speech format", name), `write names such as "GSM", "PCMA", "PCMU", "AMR" or "opus", or leave it empty: all`)
		}
	}
	switch {
	case q.MaxCalls < 1 || q.MaxCalls > 100_000:
		return bad("sip.max_calls", fmt.Errorf("%d", q.MaxCalls), "write 1 to 100000")
	case o.Policy.NoAnswer < 5*time.Second || o.Policy.NoAnswer > 4*time.Minute:
		return bad("sip.no_answer", fmt.Errorf("%v", o.Policy.NoAnswer), "write 5s to 4m")
	}
	o.Numbers = calls.Numbers{Country: p.dial.Country, National: q.National, International: q.International, Emergency: q.Emergency, Short: map[string]string{}}
	for _, s := range q.Short {
		if len(s) != 2 {
			return bad("sip.short", fmt.Errorf("%q", s), "write pairs of a short number and the number it stands for: [['100', '49170000100']]")
		}
		if _, twice := o.Numbers.Short[s[0]]; twice || s[0] == "" || strings.Trim(s[0], "0123456789*#") != "" {
			return bad("sip.short", fmt.Errorf("%q is no short number, or stands there twice", s[0]), "write digits, * and #, each short number once")
		}
		o.Numbers.Short[s[0]] = s[1]
	}
	if err := o.Numbers.Check(); err != nil {
		return bad("sip.national", err, "write digits in sip.national, sip.international, sip.short and sip.emergency")
	}
	if strings.Trim(q.EmergencyTo, "0123456789*#+") != "" {
		return bad("sip.emergency_number", fmt.Errorf("%q is no number", q.EmergencyTo), "write digits, or nothing")
	}
	names := map[string]bool{}
	for i, t := range q.Trunks {
		trunk, key, err := t.trunk()
		if err == nil && (t.Name == "" || names[t.Name]) {
			key, err = "name", fmt.Errorf("%q is empty or taken", t.Name)
		}
		if err != nil {
			return bad(fmt.Sprintf("sip.trunks[%d].%s", i+1, key), fmt.Errorf("trunk %d: %w", i+1, err), trunkRemedy(key))
		}
		names[t.Name] = true
		o.Trunks = append(o.Trunks, trunk)
	}
	if q.EmergencyTrunk != "" && !names[q.EmergencyTrunk] {
		return bad("sip.emergency_trunk", fmt.Errorf("there is no trunk %q", q.EmergencyTrunk), "write the name of one of [[sip.trunks]], or nothing")
	}
	return nil
}

// media reads where speech goes.
func (q CallsConfig) media(p *sipSettings, bad mistake) (o media.Options, err error) {
	if !p.on() {
		return o, nil
	}
	o.Address = append(append([]netip.AddrPort{}, p.listen...), p.tls...)[0].Addr()
	if q.Media != "" {
		if o.Address, err = netip.ParseAddr(q.Media); err != nil {
			return o, bad("sip.media", err, "write an IP address of this machine, or nothing")
		}
	}
	if o.Address.IsUnspecified() {
		return o, bad("sip.media", fmt.Errorf("%v is no address to send speech to", o.Address), "write an IP address of this machine")
	}
	if q.MediaAnnounce != "" {
		a, err := netip.ParseAddr(q.MediaAnnounce)
		if err != nil {
			return o, bad("sip.media_announce", err, "write an IP address, or nothing")
		}
		o.Announce = map[netip.Addr]netip.Addr{o.Address: a}
	}
	low, high, _ := strings.Cut(q.MediaPorts, "-")
	first, err1 := strconv.ParseUint(low, 10, 16)
	last, err2 := strconv.ParseUint(high, 10, 16)
	if o.Low, o.High = uint16(first), uint16(last); err1 != nil || err2 != nil || first < 1024 || last < first {
		return o, bad("sip.media_ports", fmt.Errorf("%q is no range of ports", q.MediaPorts), "write the first and the last port, 1024 to 65535, such as '30000-39999'")
	}
	if from, to := (first+1)&^1, (last+1)&^1; to < from+4 { // each leg has an even one and the next
		return o, bad("sip.media_ports", fmt.Errorf("%q is too few ports for a call", q.MediaPorts), "a call takes four, the first an even one: write such as '30000-39999'")
	}
	if o.Silence = time.Duration(q.Silence); o.Silence < 5*time.Second || o.Silence > time.Hour {
		return o, bad("sip.silence", fmt.Errorf("%v", o.Silence), "write 5s to 1h")
	}
	return o, nil
}

// trunk is the trunk as calls know it; key is what an error is about.
func (t TrunkConfig) trunk() (out calls.Trunk, key string, err error) {
	out = calls.Trunk{Name: t.Name, Proxy: t.Proxy, Domain: t.Domain, User: t.User, Register: t.Register, MaxCalls: t.MaxCalls, Format: t.Format, Numbers: map[id.MSISDN]id.MSISDN{}}
	if t.PasswordFile != "" {
		b, err := os.ReadFile(t.PasswordFile)
		if err != nil {
			return out, "password_file", err
		}
		out.Password = calls.Password(strings.TrimSpace(string(b)))
	}
	for _, text := range t.From {
		p, err := netip.ParsePrefix(text)
		if a, err2 := netip.ParseAddr(text); err2 == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return out, "from", err
		}
		out.From = append(out.From, p.Masked())
	}
	for _, r := range t.Rates {
		if len(r) != 2 {
			return out, "rates", errors.New("a rate is first digits and a price")
		}
		prefix, ok := r[0].(string)
		price, ok2 := r[1].(int64)
		if !ok || !ok2 || price < 0 || strings.Trim(prefix, "0123456789") != "" {
			return out, "rates", fmt.Errorf("%v is no rate", r)
		}
		if slices.ContainsFunc(out.Rates, func(o calls.Rate) bool { return o.Prefix == prefix }) {
			return out, "rates", fmt.Errorf("%q has two prices", prefix)
		}
		out.Rates = append(out.Rates, calls.Rate{Prefix: prefix, PerMinute: uint64(price)})
	}
	for _, n := range t.Numbers {
		if len(n) != 2 {
			return out, "numbers", fmt.Errorf("%q is no pair", n)
		}
		a, err := id.ParseMSISDN(n[0])
		if err != nil {
			return out, "numbers", err
		}
		if _, twice := out.Numbers[a]; twice {
			return out, "numbers", fmt.Errorf("%s stands there twice", n[0])
		}
		if out.Numbers[a], err = id.ParseMSISDN(n[1]); err != nil {
			return out, "numbers", err
		}
	}
	if t.Show != "" {
		if out.Show, err = id.ParseMSISDN(t.Show); err != nil {
			return out, "show", err
		}
	}
	switch {
	case t.MaxCalls < 0:
		return out, "max_calls", fmt.Errorf("%d", t.MaxCalls)
	case strings.ContainsAny(t.User, " <>@\""):
		return out, "user", fmt.Errorf("%q is no user name", t.User)
	case t.Domain != "" && !isDomain(t.Domain):
		return out, "domain", fmt.Errorf("%q is no domain", t.Domain)
	case t.Register && (t.User == "" || t.PasswordFile == ""):
		return out, "register", errors.New("to register it needs user and password_file")
	case t.Format != "" && t.Format != "+" && t.Format != "00":
		return out, "format", fmt.Errorf("%q is unknown", t.Format)
	}
	if err := out.Check(); err != nil {
		return out, "proxy", err
	}
	return out, "", nil
}

// trunkRemedy says what is to be written at a key of a trunk.
func trunkRemedy(key string) string {
	return map[string]string{
		"name":          "give each trunk a name of its own",
		"proxy":         "write where it is reached, such as proxy = 'sip:sip.provider.example'",
		"domain":        "write a name such as provider.example, or leave it out: the proxy's",
		"user":          "write the name that the provider gave you, without its domain",
		"password_file": "name a file that has the provider's password and nothing else",
		"register":      "write both, or leave register out",
		"from":          "write addresses or ranges, such as 192.0.2.0/24; the proxy's own need not be there",
		"rates":         "write pairs of first digits and a whole price: [['49', 12], ['', 90]]",
		"max_calls":     "write how many calls at a time, or leave it out: any number",
		"format":        "write '+', '00' or ''",
		"numbers":       "write pairs of digits, the trunk's number and the subscriber's: [['4930123', '49170001']]",
		"show":          "write the number in digits, such as '4930123'",
	}[key]
}
