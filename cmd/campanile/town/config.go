// Package town puts the roles together: it reads the configuration and keys of
// a home folder, opens each role with what it needs of the others, and runs
// all of them in one process or one of them alone. It is the only place that
// knows more than one role; it decides nothing that a role decides.
package town

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/gateway"
	"campanile.network/gateway/datapath"
	"campanile.network/internal/config"
	"campanile.network/mme"
	"campanile.network/sdr/gsm"
	"campanile.network/sdr/radio"
	"campanile.network/wire/proof"
)

// Config is campanile.toml. What a file leaves out keeps its default.
type Config struct {
	Role     string        `toml:"role" comment:"What this home is for: \"up\" for everything, or one role."`
	Network  NetworkConfig `toml:"network" comment:"The mobile network: who you are."`
	Tower    TowerConfig   `toml:"tower" comment:"The tower of this machine."`
	Radio    RadioConfig   `toml:"radio" comment:"What is on the air."`
	MME      MMEConfig     `toml:"mme"`
	Pool     PoolConfig    `toml:"pool" comment:"Other MMEs of this network, which take over phones of one that dies."`
	Gateway  GatewayConfig `toml:"gateway"`
	SIP      SIPConfig     `toml:"sip" comment:"GSM cells (OpenBTS, YateBTS), SIP apps, their calls and short messages, see docs/sip.md."`
	Agent    AgentConfig   `toml:"agent" comment:"The agent stands at the tower, between eNB and core."`
	HSS      HSSConfig     `toml:"hss"`
	Billing  BillingConfig `toml:"billing"`
	Chain    ChainConfig   `toml:"chain"`
	Console  ConsoleConfig `toml:"console"`
	Metrics  MetricsConfig `toml:"metrics"`
	Peers    PeersConfig   `toml:"peers" comment:"Where the other roles are, for those that run in a process of their own."`
	file     string
	HomePath string `toml:"-"`
}

// NetworkConfig is the operator.
type NetworkConfig struct {
	Name   string   `toml:"name" comment:"Name of the network, as the ledger and phones show it."`
	PLMN   string   `toml:"plmn" comment:"Country and network code: 001/01 (test), 999/xx (private), or one assigned to you."`
	Ranges []string `toml:"ranges" comment:"First digits of your subscribers' IMSIs; they begin with the PLMN."`
	APN    string   `toml:"apn" comment:"Access point name that subscribers get."`

	MoreAPNs []string `toml:"more_apns" comment:"Further access point names that the gateway serves, such as \"ims\"; who may use them is in each subscription."`

	EmergencyAPN string `toml:"emergency_apn" comment:"Access point name of emergency sessions, \"sos\" is common; empty: there are none. Phones are told of it and look no further: name one only when it has a route to those who answer, and you have tried it. Gateway and MME need the same. See mme.emergency."`
}

// TowerConfig is the tower of this machine.
type TowerConfig struct {
	Name            string          `toml:"name"`
	ENB             string          `toml:"enb" comment:"Global eNB id, PLMN-kind-number."`
	Cell            uint32          `toml:"cell" comment:"E-UTRAN cell identity, 28 bits; of a macro eNB the upper 20 are the eNB id."`
	TAC             uint16          `toml:"tac" comment:"Tracking area code."`
	PricePerGB      string          `toml:"price_per_gb" comment:"What the tower takes for 10^9 octets, in abell (10^18 abell are one BELL)."`
	PricePerMinute  string          `toml:"price_per_minute" comment:"The same for a minute of voice of a GSM phone at it ..."`
	PricePerMessage string          `toml:"price_per_message" comment:"... and for a short message."`
	Reserve         string          `toml:"reserve" comment:"What the operator locks for this tower when it joins, in abell."`
	ClaimEvery      config.Duration `toml:"claim_every" comment:"What the tower has earned is claimed to its owner's account so often; \"0s\": by campanile claim or in the console."`
}

// RadioConfig says what is on the air.
type RadioConfig struct {
	Kind       string          `toml:"kind" comment:"\"virtual\": an eNB and phones in this process. \"none\": wait for an eNB of yours; set agent.radio_sctp to \"auto\" for it. \"srsran\": a real radio, see docs/radio.md."`
	Phones     int             `toml:"phones" comment:"How many virtual phones."`
	GSMPhones  int             `toml:"gsm_phones" comment:"How many virtual GSM phones there are, at a virtual OpenBTS; as long as there is a SIP gateway, [sip]."`
	GSMCell    string          `toml:"gsm_cell" comment:"Address of that OpenBTS."`
	Inactivity config.Duration `toml:"inactivity" comment:"A phone that moves nothing for so long goes idle."`
	radio.Config
	GSM gsm.Config `toml:"gsm" comment:"A GSM cell of OpenBTS, YateBTS or Osmocom, for campanile radio render --for."`
}

// AgentConfig is the tower's agent.
type AgentConfig struct {
	Radio     string   `toml:"radio" comment:"Address towards the eNB: its MME."`
	Core      string   `toml:"core" comment:"Address towards MME and gateway; \"auto\": whichever this host has on the way there, also when it changes."`
	ENB       string   `toml:"enb" comment:"Address of the eNB; the virtual one takes it."`
	Public    string   `toml:"public" comment:"Address under which the core sees agent.core, where a NAT is between: \"auto\": what the core says; empty: there is none."`
	RadioSCTP string   `toml:"radio_sctp" comment:"As mme.sctp, towards the eNB. Real eNBs speak plain SCTP: \"auto\", or \"raw\" where this machine's kernel has none."`
	CoreSCTP  string   `toml:"core_sctp" comment:"As mme.sctp, towards the MME, which must have the same; through a NAT only \"udp\"."`
	MoreRadio []string `toml:"more_radio" comment:"Further addresses towards the eNB (multi-homing); kernel only."`
	MoreCore  []string `toml:"more_core" comment:"Further addresses towards the MME (multi-homing); kernel only."`
}

// HSSConfig is the authentication centre.
type HSSConfig struct {
	Listen         string          `toml:"listen" comment:"gRPC for serving networks, mutual TLS."`
	TicketValidity config.Duration `toml:"ticket_validity"`
	TicketOctets   uint64          `toml:"ticket_octets" comment:"How much one ticket stands for: octets,"`
	TicketMinutes  uint64          `toml:"ticket_minutes" comment:"minutes of voice of GSM phones,"`
	TicketMessages uint64          `toml:"ticket_messages" comment:"and their short messages."`
	Realm          string          `toml:"realm" comment:"Where passwords of SIP applications are good; empty: the home network domain of the PLMN, ims.mnc...3gppnetwork.org."`
	AllowCOMP128v1 bool            `toml:"allow_comp128v1" comment:"Serve SIMs of COMP128v1, which give their key away to whoever may ask them often enough; each for 32768 challenges."`
}

// BillingConfig is the meter and the tower's link.
type BillingConfig struct {
	Listen        string          `toml:"listen" comment:"Towers dial here, mutual TLS."`
	VoucherEvery  config.Duration `toml:"voucher_every" comment:"A voucher is signed at least so often while traffic flows ..."`
	VoucherOctets uint64          `toml:"voucher_octets" comment:"... and whenever so much is unpaid."`
	PostEvery     config.Duration `toml:"post_every" comment:"The tower posts its best voucher to the chain so often."`
}

// ChainConfig is the embedded chain node.
type ChainConfig struct {
	BlockInterval config.Duration `toml:"block_interval"`
	GRPC          string          `toml:"grpc" comment:"Cosmos gRPC; empty: off."`
	RPC           string          `toml:"rpc" comment:"CometBFT RPC; empty: off."`
	P2P           string          `toml:"p2p" comment:"CometBFT P2P; empty: off, a ledger of its own."`
}

// ConsoleConfig is the web page.
type ConsoleConfig struct {
	Listen string `toml:"listen" comment:"Web console; empty: off."`
}

// MetricsConfig is for Prometheus.
type MetricsConfig struct {
	Listen string `toml:"listen" comment:"Prometheus finds what is counted here, under /metrics; empty: off. Each role has a port of its own, 9100 in a home of everything: hss-chain 9101, billing 9102, gateway 9103, mme 9104, enb-agent 9105, sip 9106. Roles run apart in one home take the ports behind this one likewise."`
}

// PeersConfig is for roles on their own.
type PeersConfig struct {
	HSS         string   `toml:"hss" comment:"Address and port of hss-chain."`
	Billing     string   `toml:"billing" comment:"Address and port of billing."`
	MME         string   `toml:"mme" comment:"Address of the MME; empty: mme.address."`
	MoreMMEs    []string `toml:"more_mmes" comment:"Addresses of the further MMEs of a pool, for gateway and towers: a tower's eNB is brought to the first that answers, peers.mme before these."`
	Gateway     string   `toml:"gateway" comment:"Address of the gateway; empty: gateway.address."`
	SIP         string   `toml:"sip" comment:"Address and port of sip.links where SIP gateway and message centre are, for an MME; empty: its phones' short messages reach its other phones alone."`
	OperatorKey string   `toml:"operator_key" comment:"The operator's public key; empty: that of keys/operator."`
	HSSKey      string   `toml:"hss_key" comment:"The authentication centre's public key; empty: that of keys/hss."`
	Pass        string   `toml:"pass" comment:"The operator's word for this gateway's own key; empty where keys/operator is."`
}

// DefaultConfig is what campanile init writes.
func DefaultConfig() Config {
	return Config{
		Role:    "up",
		Network: NetworkConfig{Name: "Campanile", PLMN: "999/70", Ranges: []string{"99970"}, APN: "internet"},
		Tower: TowerConfig{Name: "first tower", ENB: "999/70-macro-0x19b", Cell: 0x19b01, TAC: 7,
			PricePerGB: "500000000000000000", PricePerMinute: "10000000000000000", PricePerMessage: "1000000000000000", Reserve: "100000000000000000000", ClaimEvery: config.Duration(20 * time.Second)},
		Radio:   RadioConfig{Kind: "virtual", Phones: 1, GSMPhones: 2, GSMCell: "127.0.0.50", Inactivity: config.Duration(10 * time.Second), Config: radio.DefaultConfig(), GSM: gsm.DefaultConfig()},
		MME:     defaultMME(),
		Gateway: defaultGateway(),
		SIP:     defaultSIP(),
		Agent:   AgentConfig{Radio: "127.0.0.11", Core: "127.0.0.12", ENB: "127.0.0.10", RadioSCTP: "udp", CoreSCTP: "udp", MoreRadio: []string{}, MoreCore: []string{}},
		HSS:     HSSConfig{Listen: "127.0.0.1:7100", TicketValidity: config.Duration(6 * time.Hour), TicketOctets: 1 << 30, TicketMinutes: 600, TicketMessages: 1000},
		Billing: BillingConfig{Listen: "127.0.0.1:7101", VoucherEvery: config.Duration(10 * time.Second), VoucherOctets: 1 << 20, PostEvery: config.Duration(10 * time.Second)},
		Chain:   ChainConfig{BlockInterval: config.Duration(time.Second), GRPC: "127.0.0.1:9090"},
		Console: ConsoleConfig{Listen: "127.0.0.1:8080"},
		Metrics: MetricsConfig{Listen: "127.0.0.1:9100"},
		Pool:    PoolConfig{Members: []string{}},
		Peers:   PeersConfig{HSS: "127.0.0.1:7100", Billing: "127.0.0.1:7101", MoreMMEs: []string{}},
	}
}

// ConfigFile is the name of the configuration in a home folder.
const ConfigFile = "campanile.toml"

// LoadConfig reads the configuration of a home folder. Errors are
// *config.Error.
func LoadConfig(home string) (*Config, error) {
	c := DefaultConfig()
	c.HomePath, c.file = home, filepath.Join(home, ConfigFile)
	if err := config.Load(c.file, &c); err != nil {
		return nil, err
	}
	if err := c.checkRole(); err != nil {
		return nil, err
	}
	if _, err := c.resolve(); err != nil {
		return nil, err
	}
	return &c, nil
}

// settings are a Config's values in their types.
type settings struct {
	plmn                                     id.PLMN
	apn                                      id.APN
	moreAPNs                                 []id.APN
	enb                                      id.GlobalENBID
	cell                                     id.ECGI
	tai                                      id.TAI
	prices                                   proof.Prices
	reserve                                  proof.Amount
	mme, gateway, agentRadio, agentCore, eNB netip.Addr
	gsmCell                                  netip.Addr // of the virtual one
	public                                   netip.Addr // of the agent's core side, behind a NAT
	toMMEAt, gatewayAt                       netip.Addr // where the others find MME and gateway
	operatorKey, hssKey                      [32]byte   // zero: of the files
	s1ap, toENB, toMME, fromENB              sctpEnd
	emergency                                id.APN         // zero: there are no emergency sessions
	mmeOptions                               mme.Options    // what [mme] says, and nothing else
	poolListen                               netip.AddrPort // zero: there is no pool of MMEs
	poolMembers                              []poolMember
	moreMMEs                                 []netip.Addr    // beside toMMEAt
	gatewayOptions                           gateway.Options // what [gateway] says, likewise
	pool                                     netip.Prefix
	router                                   netip.Addr
	services                                 []datapath.Service
	portal                                   portal
	sip                                      sipSettings
}

// resolve checks every value; the error names the key.
func (c *Config) resolve() (s settings, err error) {
	bad := func(key string, err error, remedy string) error {
		section, _, _ := strings.Cut(key, ".") // of a key that the file leaves at its default
		return &config.Error{File: c.file, Line: cmp.Or(config.Line(c.file, key), config.Section(c.file, section)), What: plainKey(key) + ": " + err.Error(), Remedy: remedy}
	}
	if s.plmn, err = id.ParsePLMN(c.Network.PLMN); err != nil {
		return s, bad("network.plmn", err, "write country and network code, such as 999/70")
	}
	if s.apn, err = id.ParseAPN(c.Network.APN); err != nil {
		return s, bad("network.apn", err, "")
	}
	if s.moreAPNs, err = parseAPNs(c.Network.MoreAPNs, s.apn); err != nil {
		return s, bad("network.more_apns", err, "name each once, such as \"ims\"")
	}
	if s.enb, err = id.ParseGlobalENBID(c.Tower.ENB); err != nil {
		return s, bad("tower.enb", err, "")
	}
	eci, err := id.MakeECI(c.Tower.Cell)
	if err != nil {
		return s, bad("tower.cell", err, "")
	}
	s.cell, s.tai = id.ECGI{PLMN: s.plmn, ECI: eci}, id.TAI{PLMN: s.plmn, TAC: id.TAC(c.Tower.TAC)}
	for _, a := range []struct {
		key, text string
		into      *proof.Amount
	}{{"tower.price_per_gb", c.Tower.PricePerGB, &s.prices.PerGB}, {"tower.price_per_minute", c.Tower.PricePerMinute, &s.prices.PerMinute}, {"tower.price_per_message", c.Tower.PricePerMessage, &s.prices.PerMessage}, {"tower.reserve", c.Tower.Reserve, &s.reserve}} {
		if *a.into, err = proof.ParseAmount(a.text); err != nil {
			return s, bad(a.key, err, "write whole abell in quotes")
		}
	}
	for _, a := range []struct {
		key, text string
		into      *netip.Addr
	}{{"peers.mme", cmp.Or(c.Peers.MME, c.MME.Address), &s.toMMEAt}, {"peers.gateway", cmp.Or(c.Peers.Gateway, c.Gateway.Address), &s.gatewayAt}, {"mme.address", c.MME.Address, &s.mme}, {"gateway.address", c.Gateway.Address, &s.gateway}, {"gateway.router", c.Gateway.Router, &s.router},
		{"agent.radio", c.Agent.Radio, &s.agentRadio}, {"agent.core", foundOut(c.Agent.Core), &s.agentCore}, {"agent.enb", c.Agent.ENB, &s.eNB}, {"radio.gsm_cell", c.Radio.GSMCell, &s.gsmCell}} {
		if *a.into, err = netip.ParseAddr(a.text); err != nil {
			return s, bad(a.key, err, "write an IP address")
		}
	}
	for _, k := range []struct {
		key, text string
		into      *[32]byte
	}{{"peers.operator_key", c.Peers.OperatorKey, &s.operatorKey}, {"peers.hss_key", c.Peers.HSSKey, &s.hssKey}} {
		if b, err := hex.DecodeString(k.text); err != nil || len(b) != 32 && len(b) != 0 {
			return s, bad(k.key, errors.New("no public key"), "write its 64 hexadecimal digits")
		} else if len(b) == 32 {
			*k.into = [32]byte(b)
		}
	}
	if c.Role == "up" && c.Agent.Core == "auto" {
		return s, bad("agent.core", errors.New("\"auto\" is for a tower on a host of its own"), "write an IP address of this machine")
	}
	if a := c.Agent.Public; a != "" && a != "auto" {
		if s.public, err = netip.ParseAddr(a); err != nil {
			return s, bad("agent.public", err, "write an IP address, \"auto\" or nothing")
		}
	}
	if s.pool, err = netip.ParsePrefix(c.Gateway.Pool); err != nil {
		return s, bad("gateway.pool", err, "write an address range, such as 10.45.0.0/16")
	}
	if err := c.checkChoices(bad); err != nil {
		return s, err
	}
	if c.Network.EmergencyAPN != "" {
		if s.emergency, err = id.ParseAPN(c.Network.EmergencyAPN); err != nil {
			return s, bad("network.emergency_apn", err, "")
		}
	}
	if s.emergency == s.apn {
		return s, bad("network.emergency_apn", errors.New("it is subscribers' as well, network.apn"), "give emergency sessions another, which needs no ticket")
	}
	if s.mmeOptions, err = c.MME.options(s, bad); err != nil {
		return s, err
	}
	if s.gatewayOptions, err = c.Gateway.options(s, bad); err != nil {
		return s, err
	}
	if s.services, s.gatewayOptions.Classes, err = c.Gateway.services(bad); err != nil {
		return s, err
	}
	if s.portal, err = c.Gateway.portal(s, bad); err != nil {
		return s, err
	}
	if err := c.resolvePool(&s, bad); err != nil {
		return s, err
	}
	if err := c.resolveSIP(&s, bad); err != nil {
		return s, err
	}
	if err := c.resolveSCTP(&s, bad); err != nil {
		return s, err
	}
	if err := c.checkNames(s, bad); err != nil {
		return s, err
	}
	return s, c.checkRadio(s)
}

// mmes are the addresses from which the gateway takes S11.
func (s *settings) mmes() (out []netip.Prefix) {
	for _, a := range append([]netip.Addr{s.toMMEAt}, s.moreMMEs...) {
		out = append(out, netip.PrefixFrom(a, a.BitLen()))
	}
	return out
}

// foundOut is an address that is not known before: unspecified.
func foundOut(address string) string {
	if address == "auto" {
		return netip.IPv4Unspecified().String()
	}
	return address
}

func (c *Config) checkChoices(bad func(string, error, string) error) error {
	if k := c.Radio.Kind; k != "virtual" && k != "none" && k != srsRAN {
		return bad("radio.kind", fmt.Errorf("%q is unknown", k), `write "virtual", "none" or "srsran"`)
	}
	if err := c.Gateway.checkPath(bad); err != nil {
		return err
	}
	if l := c.Metrics.Listen; l != "" {
		if _, err := netip.ParseAddrPort(l); err != nil {
			return bad("metrics.listen", err, "write IP address and port, such as 127.0.0.1:9100, or nothing")
		}
	}
	for key, n := range map[string]int{"radio.phones": c.Radio.Phones, "radio.gsm_phones": c.Radio.GSMPhones} {
		if n < 0 || n > 1000 {
			return bad(key, fmt.Errorf("%d", n), "write 0 to 1000")
		}
	}
	return nil
}
