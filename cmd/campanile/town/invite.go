package town

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"campanile.network/hss-chain/client"
	"campanile.network/hss-chain/x/keyproof"
	"campanile.network/internal/config"
	"campanile.network/internal/peertls"
	"campanile.network/wire/proof"
)

// Invite is what another host needs to know of the core it is to join: names,
// public keys and addresses, and a gateway's pass. It holds no secret.
type Invite struct {
	Role    string   `json:"role"`
	ChainID string   `json:"chain"`
	Network string   `json:"network"`
	PLMN    string   `json:"plmn"`
	APN     string   `json:"apn"`
	APNs    []string `json:"apns,omitempty"` // further ones
	Urgent  string   `json:"sos,omitempty"`  // APN of emergency sessions; may be empty
	SCTP    string   `json:"sctp"`           // of the MME
	Owner   string   `json:"owner"`          // account that registers towers
	Peers   PeersConfig
}

// inviteHead is what an invite's text begins with.
const inviteHead = "campanile-invite-2:"

// Text is the invite on one line, to be pasted. A checksum finds what pasting
// spoils: a key with a wrong digit would only be seen as a core that refuses.
func (i Invite) Text() (string, error) {
	b, err := json.Marshal(i)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return inviteHead + base64.RawURLEncoding.EncodeToString(b), err
}

// ParseInvite reads an invite's text, or the file that has it.
func ParseInvite(text string) (i Invite, err error) {
	bad := func(what string) error {
		return &config.Error{File: "invite", What: what, Remedy: "paste all of the line that campanile invite printed, or name the file it is in"}
	}
	if !strings.HasPrefix(text, inviteHead) {
		b, err := os.ReadFile(text)
		if err != nil {
			return i, bad(fmt.Sprintf("neither an invite nor a file (%v)", err))
		}
		text = string(b)
	}
	code, ok := strings.CutPrefix(strings.TrimSpace(text), inviteHead)
	b, err := base64.RawURLEncoding.Strict().DecodeString(code)
	n := len(b) - 4
	if !ok || err != nil || n < 0 || binary.BigEndian.Uint32(b[n:]) != crc32.ChecksumIEEE(b[:n]) || json.Unmarshal(b[:n], &i) != nil {
		return i, bad("damaged")
	}
	return i, nil
}

// MakeInvite invites a role on another host to the core whose main home this
// is; key is the public key of a gateway that is to be admitted, for so many
// days.
func MakeInvite(home, role, key string, days int) (i Invite, err error) {
	c, err := LoadConfig(home)
	if err != nil {
		return i, err
	}
	if c.Role != "up" && c.Role != "hss-chain" {
		return i, &config.Error{File: c.file, What: "a home of role " + c.Role + " invites nobody", Remedy: "run this in the operator's main home, hss-chain's"}
	}
	if p := roleParts()[role]; p.of == "" || role == "up" || role == "hss-chain" {
		return i, &config.Error{File: "--role", What: fmt.Sprintf("%q joins no core", role), Remedy: "write billing, gateway, mme, enb-agent or sip"}
	}
	if c.Role == "up" {
		c.Peers.MME, c.Peers.Gateway = or(c.Peers.MME, c.MME.Address), or(c.Peers.Gateway, c.Gateway.Address)
	}
	if err := c.reachable(); err != nil {
		return i, err
	}
	k, err := c.loadKeys()
	if err != nil {
		return i, err
	}
	owner, err := client.LoadAccount(c.path("chain", "accounts", "owner.key"))
	if err != nil {
		return i, err
	}
	i = Invite{Role: role, Network: c.Network.Name, PLMN: c.Network.PLMN, APN: c.Network.APN, APNs: c.Network.MoreAPNs, Urgent: c.Network.EmergencyAPN, SCTP: c.MME.SCTP, Owner: string(owner.Address()), Peers: c.Peers}
	if i.ChainID, err = chainID(home); err != nil {
		return i, err
	}
	op, node := k.operator.Public(), k.hss.Public()
	i.Peers.OperatorKey, i.Peers.HSSKey = hex.EncodeToString(op[:]), hex.EncodeToString(node[:])
	if role == "gateway" {
		b, err := hex.DecodeString(key)
		if err != nil || len(b) != 32 {
			return i, &config.Error{File: "--key", What: "no public key", Remedy: "give the 64 hexadecimal digits that campanile init --role gateway printed on its host"}
		}
		pass, err := peertls.Pass(k.operator.Ed25519(), [32]byte(b), role, time.Now().AddDate(0, 0, days))
		if err != nil {
			return i, err
		}
		i.Peers.Pass = hex.EncodeToString(pass)
	}
	return i, nil
}

// reachable finds addresses that only this machine reaches. They do for a core
// that is all on loopback by its owner's word, in homes of its roles.
func (c *Config) reachable() error {
	local := 0
	var first *config.Error
	peers := []struct{ key, text string }{{"peers.hss", c.Peers.HSS}, {"peers.billing", c.Peers.Billing}, {"peers.mme", c.Peers.MME}, {"peers.gateway", c.Peers.Gateway}}
	for _, p := range peers {
		host := p.text
		if h, _, err := net.SplitHostPort(p.text); err == nil {
			host = h
		}
		if a, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !a.IsLoopback() && !a.IsUnspecified()) {
			continue
		}
		if local++; first == nil {
			first = &config.Error{File: c.file, Line: config.Line(c.file, p.key), What: fmt.Sprintf("%s = %q: no other host reaches it", p.key, p.text),
				Remedy: "write there by what address the others reach it, let the role listen on it, and invite again"}
		}
	}
	if first == nil || c.Role == "hss-chain" && local == len(peers) {
		return nil
	}
	return first
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// chainID reads the genesis.
func chainID(home string) (string, error) {
	b, err := os.ReadFile(filepath.Join(home, "chain", "config", "genesis.json"))
	if err != nil {
		return "", err
	}
	var g struct {
		ChainID string `json:"chain_id"`
	}
	if err := json.Unmarshal(b, &g); err != nil {
		return "", fmt.Errorf("genesis: %w", err)
	}
	return g.ChainID, nil
}

// RoleHome is a home for one role that has been made, or begun.
type RoleHome struct {
	Home string   `json:"home"`
	Role string   `json:"role"`
	Addr string   `json:"address,omitempty"` // of a tower, towards the core
	Key  string   `json:"key,omitempty"`     // public, of a role that has its own
	Next []string `json:"next"`              // what is to be done, a line each
}

// InitRole makes a home for one role: its sections of the configuration and no
// key but its own. address is what the others reach this host by. c has what
// the command line said otherwise than the defaults.
func InitRole(home, role string, c Config, invite, address string) (r RoleHome, err error) {
	p, ok := roleParts()[role]
	if !ok {
		return r, &config.Error{File: "--role", What: fmt.Sprintf("%q is unknown", role), Remedy: "write one of " + strings.Join(RoleNames(), ", ")}
	}
	if Exists(home) && role == "gateway" && invite != "" {
		return RoleHome{Home: home, Role: role, Next: []string{"campanile gateway --home " + home}}, renewPass(home, invite)
	}
	if Exists(home) {
		return r, &config.Error{File: filepath.Join(home, ConfigFile), What: "there is a home here already", Remedy: "use it, or choose another folder"}
	}
	if err := os.MkdirAll(filepath.Dir(keyFile(home, "operator")), 0o700); err != nil {
		return r, &config.Error{File: home, What: err.Error(), Remedy: "choose a folder you may write to"}
	}
	r = RoleHome{Home: home, Role: role}
	c.Role, c.HomePath, c.file = role, home, filepath.Join(home, ConfigFile)
	c.Metrics.Listen = portOf(c.Metrics.Listen, role) // homes of several roles may be on one host
	if role == "hss-chain" {
		return r, c.initMain(&r, address)
	}
	var own proof.SigningKey
	if p.keys[0] != "operator" {
		if own, err = ownKey(home, p.keys[0]); err != nil {
			return r, err
		}
		pub := own.Public()
		r.Key = hex.EncodeToString(pub[:])
	}
	if invite == "" {
		return r, c.notInvited(&r)
	}
	i, err := ParseInvite(invite)
	if err != nil {
		return r, err
	}
	if i.Role != role {
		return r, &config.Error{File: "invite", What: "it is for " + i.Role, Remedy: c.inviteRemedy()}
	}
	if err := c.takeInvite(i, address); err != nil {
		return r, err
	}
	if role == "enb-agent" {
		r.Addr = c.Agent.Core
		if mme, err := netip.ParseAddr(i.Peers.MME); err == nil && r.Addr == "auto" {
			if a, err := towards(mme); err == nil {
				r.Addr = a.String()
			}
		}
	}
	if _, err := c.resolve(); err != nil {
		return r, err
	}
	if err := config.Write(c.file, c.partOf(role)); err != nil {
		return r, writeError(home, err)
	}
	return r, c.nextSteps(&r, i, own)
}

// ownKey opens a role's own key, or makes it.
func ownKey(home, name string) (k proof.SigningKey, err error) {
	if _, err := os.Stat(keyFile(home, name)); errors.Is(err, os.ErrNotExist) {
		if err := makeKeys(home, name); err != nil {
			return k, err
		}
	}
	b, err := config.Secret(keyFile(home, name), 32)
	if err != nil {
		return k, err
	}
	return proof.SigningKeyFromSeed([32]byte(b)), nil
}

// initMain makes the operator's main home.
func (c *Config) initMain(r *RoleHome, address string) error {
	a, err := ownAddress(address)
	if err != nil {
		return err
	}
	c.HSS.Listen = netip.AddrPortFrom(a, 7100).String()
	c.Peers = PeersConfig{HSS: c.HSS.Listen, Billing: netip.AddrPortFrom(a, 7101).String(), MME: or(c.Peers.MME, address), Gateway: or(c.Peers.Gateway, address)}
	if _, err := c.resolve(); err != nil {
		return err
	}
	if err := makeKeys(r.Home, roleParts()[r.Role].keys...); err != nil {
		return err
	}
	if _, err := makeChain(r.Home); err != nil {
		return err
	}
	if err := config.Write(c.file, c.partOf(r.Role)); err != nil {
		return writeError(r.Home, err)
	}
	r.Next = []string{
		"set in [peers] of " + c.file + " where billing, mme and gateway will be, if not here",
		"campanile hss-chain --home " + r.Home,
		"campanile invite --role billing|mme|enb-agent|sip --home " + r.Home + "   (a line to paste at that host)",
	}
	return nil
}

// ownAddress reads --address.
func ownAddress(text string) (netip.Addr, error) {
	a, err := netip.ParseAddr(text)
	if err != nil {
		return a, &config.Error{File: "--address", What: fmt.Sprintf("%q is no IP address", text), Remedy: "give the one by which the other hosts reach this one"}
	}
	return a, nil
}

// notInvited says how to get an invite.
func (c *Config) notInvited(r *RoleHome) error {
	ask := "campanile invite --role " + r.Role
	if r.Role == "gateway" {
		ask += " --key " + r.Key
	}
	r.Next = []string{"the operator runs in the main home: " + ask,
		fmt.Sprintf("then here, with the line it prints: campanile init --role %s --home %s --invite LINE", r.Role, r.Home)}
	if r.Role != "enb-agent" {
		r.Next[1] += " --address ADDRESS"
	}
	return nil
}

// takeInvite fills in what the invite says and this host's address.
func (c *Config) takeInvite(i Invite, address string) error {
	c.Peers, c.Network = i.Peers, NetworkConfig{Name: i.Network, PLMN: i.PLMN, APN: i.APN, MoreAPNs: append([]string{}, i.APNs...), EmergencyAPN: i.Urgent, Ranges: []string{strings.ReplaceAll(i.PLMN, "/", "")}}
	if c.Role == "gateway" && i.Peers.Pass == "" {
		return &config.Error{File: "invite", What: "it has no pass for this gateway's key", Remedy: c.inviteRemedy()}
	}
	a, err := ownAddress(address)
	switch {
	case c.Role == "enb-agent" && address == "":
		address = "auto"
	case err != nil:
		return err
	}
	switch c.Role {
	case "billing":
		c.Billing.Listen = netip.AddrPortFrom(a, 7101).String()
	case "mme":
		c.MME.Address, c.MME.SCTP, c.Peers.MME, c.Peers.MoreMMEs = address, i.SCTP, "", []string{}
	case "gateway":
		c.Gateway.Address, c.Peers.Gateway = address, ""
	case "sip":
		c.SIP.Listen, c.SIP.Links = []string{netip.AddrPortFrom(a, 5060).String()}, netip.AddrPortFrom(a, 7103).String()
	case "enb-agent":
		c.Radio.Kind, c.Agent.Core, c.Agent.CoreSCTP, c.Agent.Public = "none", address, i.SCTP, "auto"
	}
	return nil
}

// registerFile keeps the line by which the operator registers a tower.
const registerFile = "register-tower.txt"

// nextSteps says what is left to do before the role can run.
func (c *Config) nextSteps(r *RoleHome, i Invite, own proof.SigningKey) error {
	defer func() { r.Next = append(r.Next, fmt.Sprintf("campanile %s --home %s", r.Role, r.Home)) }()
	switch r.Role {
	case "mme":
		if _, err := ownKey(r.Home, "pool"); err != nil {
			return err
		}
		defer func() {
			r.Next = append(r.Next, "for a pool of several MMEs: set pool.listen and mme.code in "+c.file+", then campanile mme member --home "+r.Home+" prints the line for the others' pool.members")
		}()
		fallthrough
	case "billing", "sip":
		r.Next = append(r.Next, "copy keys/operator from the main home to "+keyFile(r.Home, "operator")+" by a safe way, mode 0600: "+r.Role+" signs with it")
	case "enb-agent":
		sign := keyproof.Sign(own.Ed25519(), keyproof.Tower, i.ChainID, i.Owner)
		line := fmt.Sprintf("campanile tower register %q --key %s --proof %x --enb %s --cell %d --price %s --price-per-minute %s --price-per-message %s", c.Tower.Name, r.Key, sign, c.Tower.ENB, c.Tower.Cell, c.Tower.PricePerGB, c.Tower.PricePerMinute, c.Tower.PricePerMessage)
		r.Next = append(r.Next, "the operator runs in the main home (the line is kept in "+c.path(registerFile)+"):\n          "+line)
		return os.WriteFile(c.path(registerFile), []byte(line+"\n"), 0o600)
	}
	return nil
}

// refused says what is to be done when the core does not admit this role's key.
func (t *Town) refused(by string) string {
	switch {
	case t.keys.held["operator"]:
		return by + " does not know this operator: is keys/operator a copy of the one in the operator's main home?"
	case t.keys.held["gateway"]:
		return by + " does not admit this gateway: is peers.pass from this operator, and has it not ended?"
	}
	key := t.keys.tower.Public()
	if b, err := os.ReadFile(t.cfg.path(registerFile)); err == nil {
		return by + " does not know this tower: the operator has to register it with: " + strings.TrimSpace(string(b))
	}
	return fmt.Sprintf("%s does not know this tower: the operator has to register it with: campanile tower register %q --key %x --proof ..., the line that campanile init printed here", by, t.cfg.Tower.Name, key)
}
