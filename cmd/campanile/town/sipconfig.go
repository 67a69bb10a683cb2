package town

import (
	"cmp"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/internal/config"
	"campanile.network/sip/calls"
	"campanile.network/sip/media"
	"campanile.network/sip/selfcare"
	"campanile.network/sip/sipgw"
	"campanile.network/sip/smsc"
	"campanile.network/wire/proof"
)

// SIPConfig is the SIP gateway: GSM cells, SIP apps, calls and short messages.
type SIPConfig struct {
	Listen  []string `toml:"listen" comment:"Addresses and ports for SIP over UDP and TCP; none: there is no gateway, and short messages go between LTE phones alone."`
	TLS     []string `toml:"tls" comment:"Likewise for SIP over TLS, with the certificate of the files below; port 5061 is usual."`
	TLSCert string   `toml:"tls_cert" comment:"Certificate of sip.tls for apps, a PEM file ..."`
	TLSKey  string   `toml:"tls_key" comment:"... and its key."`
	Realm   string   `toml:"realm" comment:"Domain of this network's SIP addresses; empty: hss.realm's, for which passwords of apps are made."`
	MD5     string   `toml:"md5" comment:"\"no\": apps answer with SHA-256. \"yes\": with MD5, too, which is offered behind it. \"only\": with MD5 alone, for apps that give up when they see SHA-256, such as baresip 1.0."`

	Expires    config.Duration `toml:"expires" comment:"How long a registration that names no time is good ..."`
	MaxExpires config.Duration `toml:"max_expires" comment:"... and the longest. YateBTS wants an hour."`
	MaxPhones  int             `toml:"max_registrations" comment:"Registrations at a time."`

	Centre  string `toml:"message_centre" comment:"Number of the message centre, in international form, as phones have it or will see it."`
	Country string `toml:"country" comment:"Prefix of your country, such as \"49\": what is dialled without + is completed with it; empty: numbers are taken as they are."`

	Links    string `toml:"links" comment:"Address and port where MMEs in processes of their own reach the message centre (mutual TLS, keys/operator); empty: none do."`
	Numbers  string `toml:"numbers" comment:"First digits, in international form without a plus, of the numbers of your network. Subscribers who have none give themselves one by a text to 101, if number_digits says ..."`
	Digits   int    `toml:"number_digits" comment:"... how many digits follow; 0: you give all numbers."`
	Language string `toml:"language" comment:"In which the network answers texts and USSD to 100 (help), 101 (number), 102 (balance) and 411 (status): \"en\" or \"de\"."`

	CallsConfig

	Stations []StationConfig `toml:"stations" comment:"GSM base stations (OpenBTS, YateBTS) that are trusted with what they say of their phones, each in a section [[sip.stations]] with name, from (addresses or ranges; put it into a network of your own or a WireGuard tunnel, an address alone proves nothing elsewhere), tls = true for one that shows its tower's key, tower (public key; empty: keys/tower of this home) and cells, ['LAC-CI', ...] in hexadecimal digits as '03ef-000a', the usual one first, and events, where an OpenBTS tells what it measures (usually its port 45160; empty: it is not asked)."`
}

// StationConfig is one of [[sip.stations]].
type StationConfig struct {
	Name  string   `toml:"name"`
	From  []string `toml:"from"`
	TLS   bool     `toml:"tls"`
	Tower string   `toml:"tower"`
	Cells []string `toml:"cells"`

	Events string `toml:"events"`
}

func defaultSIP() SIPConfig {
	return SIPConfig{Listen: []string{"127.0.0.40:5060"}, TLS: []string{}, MD5: "no", Expires: config.Duration(time.Hour), MaxExpires: config.Duration(2 * time.Hour), MaxPhones: 100_000,
		Centre: "+999700000", Language: "en", CallsConfig: defaultCalls(), Stations: []StationConfig{}}
}

// sipSettings are what [sip] says, in types.
type sipSettings struct {
	listen, tls []netip.AddrPort
	cert        *tls.Config
	realm       string
	stations    []sipgw.Station
	own         []bool           // stations whose tower is this home's
	events      []netip.AddrPort // of stations; not valid: none
	policy      sipgw.Policy
	centre      sms.Address
	dial        smsc.DialPlan
	media       media.Options
	calls       calls.Options // numbers, trunks, policy
	numbers     selfcare.Range
	language    string
}

// on says whether there is a gateway.
func (s *sipSettings) on() bool { return len(s.listen)+len(s.tls) > 0 }

// resolveSIP checks [sip].
func (c *Config) resolveSIP(s *settings, bad mistake) (err error) {
	q, p := c.SIP, &s.sip
	for _, l := range []struct {
		key  string
		text []string
		into *[]netip.AddrPort
	}{{"sip.listen", q.Listen, &p.listen}, {"sip.tls", q.TLS, &p.tls}} {
		for _, text := range l.text {
			a, err := netip.ParseAddrPort(text)
			if err != nil {
				return bad(l.key, err, "write IP addresses with ports, such as 127.0.0.40:5060")
			}
			if slices.Contains(p.listen, a) || slices.Contains(p.tls, a) {
				return bad(l.key, fmt.Errorf("%v stands there twice", a), "write each address and port once, in sip.listen or in sip.tls")
			}
			*l.into = append(*l.into, a)
		}
	}
	p.realm = cmp.Or(q.Realm, c.realm(s.plmn))
	if !isDomain(p.realm) {
		return bad("sip.realm", fmt.Errorf("%q is no domain", p.realm), "write a name such as sip.example.org, or nothing")
	}
	if err := c.resolveSIPTLS(p, bad); err != nil {
		return err
	}
	if p.policy, err = q.policy(bad); err != nil {
		return err
	}
	if p.centre, err = sms.NewAddress(q.Centre); err != nil || !strings.HasPrefix(q.Centre, "+") {
		return bad("sip.message_centre", fmt.Errorf("%q is no number in international form", q.Centre), "write a number such as '+49170000000'")
	}
	if strings.Trim(q.Country, "0123456789") != "" || len(q.Country) > 4 {
		return bad("sip.country", fmt.Errorf("%q is no prefix of a country", q.Country), "write digits such as '49', or nothing")
	}
	p.dial.Country = q.Country
	if err := q.CallsConfig.resolve(p, bad); err != nil {
		return err
	}
	if q.Links != "" {
		if _, err := netip.ParseAddrPort(q.Links); err != nil {
			return bad("sip.links", err, "write IP address and port, such as 127.0.0.1:7103, or nothing")
		}
	}
	if err := q.resolveNumbers(p, bad); err != nil {
		return err
	}
	return c.resolveStations(s, bad)
}

func (c *Config) resolveSIPTLS(p *sipSettings, bad mistake) error {
	if len(p.tls) == 0 {
		return nil
	}
	for _, f := range []struct{ key, file string }{{"sip.tls_cert", c.SIP.TLSCert}, {"sip.tls_key", c.SIP.TLSKey}} {
		if f.file == "" {
			return bad(f.key, errors.New("it is empty, and sip.tls is not"), "name the PEM file, or leave sip.tls empty")
		}
	}
	pair, err := tls.LoadX509KeyPair(c.SIP.TLSCert, c.SIP.TLSKey)
	if err != nil {
		return bad("sip.tls_cert", err, "name a PEM certificate and the key that belongs to it")
	}
	// Whoever shows a key is asked for nothing else: stations are known by theirs.
	p.cert = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
	return nil
}

// policy is what [sip] says of registrations.
func (q SIPConfig) policy(bad mistake) (p sipgw.Policy, err error) {
	if q.MD5 != "no" && q.MD5 != "yes" && q.MD5 != "only" {
		return p, bad("sip.md5", fmt.Errorf("%q is unknown", q.MD5), `write "no", "yes" or "only"`)
	}
	p = sipgw.Policy{MD5: q.MD5 != "no", OnlyMD5: q.MD5 == "only", Expires: time.Duration(q.Expires), MaxExpires: time.Duration(q.MaxExpires), MinExpires: time.Minute, MaxBindings: q.MaxPhones}
	switch {
	case p.MaxExpires < 24*time.Minute || p.MaxExpires > 30*24*time.Hour:
		return p, bad("sip.max_expires", fmt.Errorf("%v", p.MaxExpires), "write 24m, phones' usual periodic update, to 720h")
	case p.Expires < time.Minute || p.Expires > p.MaxExpires:
		return p, bad("sip.expires", fmt.Errorf("%v", p.Expires), fmt.Sprintf("write 1m to sip.max_expires, %v", p.MaxExpires))
	case q.MaxPhones < 1 || q.MaxPhones > 10_000_000:
		return p, bad("sip.max_registrations", fmt.Errorf("%d", q.MaxPhones), "write 1 to 10000000")
	}
	return p, nil
}

// resolveStations reads [[sip.stations]].
func (c *Config) resolveStations(s *settings, bad mistake) error {
	taken := map[id.CGI]int{} // by which station, from 1
	for i, q := range c.SIP.Stations {
		at := func(what string, err error, remedy string) error {
			return bad(fmt.Sprintf("sip.stations[%d].%s", i+1, what), fmt.Errorf("station %d: %w", i+1, err), remedy)
		}
		st := sipgw.Station{Name: q.Name, TLS: q.TLS}
		if q.Name == "" {
			return at("name", errors.New("it has no name"), "give each station one")
		}
		for _, text := range q.From {
			p, err := netip.ParsePrefix(text)
			if a, err2 := netip.ParseAddr(text); err2 == nil {
				p, err = netip.PrefixFrom(a, a.BitLen()), nil
			}
			if err != nil {
				return at("from", err, "write addresses or ranges, such as 10.9.0.0/24")
			}
			if p.Bits() == 0 {
				return at("from", fmt.Errorf("everybody would be this station by %s", text), "write its addresses or ranges, such as 10.9.0.0/24")
			}
			if name := trunkAt(s.sip.calls.Trunks, p); name != "" {
				return at("from", fmt.Errorf("%s is of trunk %q, too", text, name), "write each address at a station or at a trunk")
			}
			st.From = append(st.From, p.Masked())
		}
		if st.TLS && len(s.sip.tls) == 0 {
			return at("tls", errors.New("it comes over TLS, and sip.tls is empty"), "write an address into sip.tls, such as 10.9.0.1:5061, or leave tls out")
		}
		if len(st.From) == 0 && !st.TLS {
			return at("from", errors.New("nobody would be this station"), "write its addresses, or tls = true")
		}
		if q.Tower != "" {
			b, err := hex.DecodeString(q.Tower)
			if err != nil || len(b) != 32 {
				return at("tower", errors.New("no public key"), "write its 64 hexadecimal digits, or nothing for this home's tower")
			}
			st.Tower = proof.TowerKey(b)
		}
		for _, text := range q.Cells {
			cell, err := parseCGI(s.plmn, text)
			if err != nil {
				return at("cells", err, "write location area code and cell identity in hexadecimal digits, such as '03ef-000a'")
			}
			if by := taken[cell]; by != 0 {
				return at("cells", fmt.Errorf("%q is a cell of station %d already", text, by), "write each cell once: what it carries is counted for one tower")
			}
			taken[cell] = i + 1
			st.Cells = append(st.Cells, cell)
		}
		if len(st.Cells) == 0 {
			return at("cells", errors.New("none"), "write its cells, such as ['03ef-000a']")
		}
		events, err := eventsOf(q.Events, st.From)
		if err != nil {
			return at("events", err, "write the station's address and the port of its NodeManager's events, such as 10.9.0.2:45160, or nothing")
		}
		s.sip.events = append(s.sip.events, events)
		s.sip.stations, s.sip.own = append(s.sip.stations, st), append(s.sip.own, q.Tower == "")
		if err := sipgw.CheckStations(s.sip.stations); err != nil {
			return at("name", err, "each station has a name, addresses and a key that no other has")
		}
	}
	return nil
}

// trunkAt names the trunk that has addresses of a station's; empty: none has.
func trunkAt(trunks []calls.Trunk, p netip.Prefix) string {
	for _, t := range trunks {
		if slices.ContainsFunc(t.From, p.Overlaps) {
			return t.Name
		}
	}
	return ""
}

// isDomain says whether a text is labels with dots between.
func isDomain(text string) bool {
	for label := range strings.SplitSeq(strings.ToLower(text), ".") {
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || label == "" || strings.Trim(label, "-") != label {
			return false
		}
	}
	return len(text) <= 253
}

// plainKey is a key as people write it: sip.trunks[2].name is sip.trunks.name,
// and which of them is meant the error's line and text say.
func plainKey(key string) string {
	head, rest, ok := strings.Cut(key, "[")
	if _, tail, closed := strings.Cut(rest, "]"); ok && closed {
		return head + tail
	}
	return key
}

// eventsOf reads where a station tells what it measures: at an address it is trusted at.
func eventsOf(text string, from []netip.Prefix) (a netip.AddrPort, err error) {
	if text == "" {
		return a, nil
	}
	if a, err = netip.ParseAddrPort(text); err != nil {
		return a, err
	}
	if len(from) > 0 && !slices.ContainsFunc(from, func(p netip.Prefix) bool { return p.Contains(a.Addr()) }) {
		return a, fmt.Errorf("%s is none of its addresses %v", a.Addr(), from)
	}
	return a, nil
}

// parseCGI reads LAC-CI in hexadecimal digits.
func parseCGI(p id.PLMN, text string) (c id.CGI, err error) {
	l, i, ok := strings.Cut(text, "-")
	lac, err1 := strconv.ParseUint(l, 16, 16)
	ci, err2 := strconv.ParseUint(i, 16, 16)
	if !ok || err1 != nil || err2 != nil {
		return c, fmt.Errorf("%q is no cell", text)
	}
	if lac == 0 || lac == 0xfffe { // TS 23.003 §4.1
		return c, fmt.Errorf("%q is no cell: the location areas 0000 and fffe say that there is none", text)
	}
	return id.CGI{PLMN: p, LAC: uint16(lac), CI: uint16(ci)}, nil
}
