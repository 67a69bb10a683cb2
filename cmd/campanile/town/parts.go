package town

import (
	"fmt"
	"slices"
	"strings"

	"campanile.network/internal/config"
)

// rolePart is what one role's home has: sections of the configuration and keys.
type rolePart struct {
	sections []string
	keys     []string // it cannot do without
	of       string   // what it is, in a line
}

// roleParts are the homes there can be. A key is where it must be and nowhere
// else: the operator's with those who sign with it (hss-chain the registry,
// billing vouchers, MME and SIP gateway segments), the authentication centre's with
// hss-chain; gateway and tower have their own.
func roleParts() map[string]rolePart {
	return map[string]rolePart{
		"up":        {[]string{"network", "tower", "radio", "mme", "pool", "gateway", "sip", "agent", "hss", "billing", "chain", "console", "metrics", "peers"}, []string{"operator", "tower", "hss", "hss-hpke"}, "everything"},
		"hss-chain": {[]string{"network", "hss", "chain", "metrics", "peers"}, []string{"operator", "hss", "hss-hpke"}, "the ledger's node and the authentication centre: the operator's main home"},
		"billing":   {[]string{"billing", "metrics", "peers"}, []string{"operator"}, "meter and towers' links"},
		"gateway":   {[]string{"network", "gateway", "metrics", "peers"}, []string{"gateway"}, "SGW and PGW"},
		"mme":       {[]string{"network", "mme", "pool", "metrics", "peers"}, []string{"operator"}, "MME"},
		"sip":       {[]string{"network", "sip", "metrics", "peers"}, []string{"operator"}, "SIP gateway and message centre"},
		"enb-agent": {[]string{"network", "tower", "radio", "agent", "metrics", "peers"}, []string{"tower"}, "a tower's agent"},
	}
}

// RoleNames are the roles a home can be for, all first.
func RoleNames() []string {
	return []string{"up", "hss-chain", "billing", "gateway", "mme", "enb-agent", "sip"}
}

// checkRole finds sections that are not for this home's role: somebody who set
// them would believe they did something.
func (c *Config) checkRole() error {
	p, ok := roleParts()[c.Role]
	if !ok {
		return &config.Error{File: c.file, Line: config.Line(c.file, "role"), What: fmt.Sprintf("role: %q is unknown", c.Role), Remedy: "write one of " + strings.Join(RoleNames(), ", ")}
	}
	for _, s := range roleParts()["up"].sections {
		if n := config.Section(c.file, s); n > 0 && !slices.Contains(p.sections, s) {
			return &config.Error{File: c.file, Line: n, What: fmt.Sprintf("section [%s] is not for a home of role %q", s, c.Role), Remedy: "remove it; this home has " + strings.Join(p.sections, ", ")}
		}
	}
	if config.Section(c.file, "radio") == 0 && c.Role != "up" {
		c.Radio.Kind = "none"
	}
	return nil
}

// mayRun says whether a role may run in this home.
func (c *Config) mayRun(role string) error {
	if c.Role == "up" || c.Role == role || roleParts()[role].of == "" {
		return nil
	}
	return &config.Error{File: c.file, Line: config.Line(c.file, "role"), What: fmt.Sprintf("this home is for %s, not for %s", c.Role, role),
		Remedy: fmt.Sprintf("run campanile %s, or make another home: campanile init --role %s", c.Role, role)}
}

// partOf renders what a role's home has of the configuration.
func (c *Config) partOf(role string) any {
	type part struct {
		Role    string         `toml:"role" comment:"What this home is for; sections of other roles are not wanted here."`
		Network *NetworkConfig `toml:"network" comment:"The mobile network: who you are."`
		Tower   *TowerConfig   `toml:"tower" comment:"The tower of this machine, as the operator has registered it."`
		Radio   *RadioConfig   `toml:"radio" comment:"What is on the air."`
		MME     *MMEConfig     `toml:"mme"`
		Pool    *PoolConfig    `toml:"pool" comment:"Other MMEs of this network, which take over phones of one that dies."`
		Gateway *GatewayConfig `toml:"gateway"`
		SIP     *SIPConfig     `toml:"sip" comment:"GSM cells (OpenBTS, YateBTS), SIP apps, their calls and short messages, see docs/sip.md."`
		Agent   *AgentConfig   `toml:"agent" comment:"The agent stands at the tower, between eNB and core."`
		HSS     *HSSConfig     `toml:"hss"`
		Billing *BillingConfig `toml:"billing"`
		Chain   *ChainConfig   `toml:"chain"`
		Console *ConsoleConfig `toml:"console"`
		Metrics *MetricsConfig `toml:"metrics"`
		Peers   *PeersConfig   `toml:"peers" comment:"Where the roles are, as the others reach them, and by which keys they are known."`
	}
	p := part{Role: role}
	has := func(s string) bool { return slices.Contains(roleParts()[role].sections, s) }
	for _, s := range []struct {
		name string
		set  func()
	}{
		{"network", func() { p.Network = &c.Network }}, {"tower", func() { p.Tower = &c.Tower }}, {"radio", func() { p.Radio = &c.Radio }},
		{"mme", func() { p.MME = &c.MME }}, {"pool", func() { p.Pool = &c.Pool }}, {"gateway", func() { p.Gateway = &c.Gateway }}, {"sip", func() { p.SIP = &c.SIP }}, {"agent", func() { p.Agent = &c.Agent }},
		{"hss", func() { p.HSS = &c.HSS }}, {"billing", func() { p.Billing = &c.Billing }}, {"chain", func() { p.Chain = &c.Chain }},
		{"console", func() { p.Console = &c.Console }}, {"metrics", func() { p.Metrics = &c.Metrics }}, {"peers", func() { p.Peers = &c.Peers }},
	} {
		if has(s.name) {
			s.set()
		}
	}
	return p
}
