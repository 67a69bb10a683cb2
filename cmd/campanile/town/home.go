package town

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"campanile.network/hss-chain/node"
	"campanile.network/internal/config"
	"campanile.network/wire/proof"
)

// Files of a home folder.
func (c *Config) path(parts ...string) string {
	return filepath.Join(append([]string{c.HomePath}, parts...)...)
}

func keyFile(home, name string) string { return filepath.Join(home, "keys", name) }

// Exists says whether there is a home in the folder.
func Exists(home string) bool {
	_, err := os.Stat(filepath.Join(home, ConfigFile))
	return err == nil
}

// Init makes a home: configuration, keys, and the genesis of a ledger of its
// own. It refuses a folder that has any of them.
func Init(home string, c Config) (chainID string, err error) {
	if Exists(home) {
		return "", &config.Error{File: filepath.Join(home, ConfigFile), What: "there is a home here already", Remedy: "use it with campanile up, or choose another folder"}
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return "", &config.Error{File: home, What: err.Error(), Remedy: "choose a folder you may write to"}
	}
	if err := makeKeys(home, roleParts()["up"].keys...); err != nil {
		return "", err
	}
	if chainID, err = makeChain(home); err != nil {
		return "", err
	}
	if err := config.Write(filepath.Join(home, ConfigFile), c); err != nil {
		return "", writeError(home, err)
	}
	return chainID, nil
}

// makeKeys draws keys: seeds of 32 octets.
func makeKeys(home string, names ...string) error {
	for _, name := range names {
		var seed [32]byte
		rand.Read(seed[:])
		if err := config.WriteSecret(keyFile(home, name), seed[:]); err != nil {
			return writeError(home, err)
		}
	}
	return nil
}

// makeChain makes the genesis of a ledger and the accounts that pay and earn.
func makeChain(home string) (chainID string, err error) {
	plenty, err := proof.ParseAmount("1000000000000000000000000") // a million BELL
	if err != nil {
		return "", err
	}
	g, err := node.Init(filepath.Join(home, "chain"), node.GenesisOptions{Accounts: []node.GenesisAccount{
		{Name: "operator", Balance: plenty}, {Name: "owner"},
	}})
	if err != nil {
		return "", fmt.Errorf("genesis: %w", err)
	}
	return g.ChainID, nil
}

func writeError(home string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return &config.Error{File: home, What: err.Error(), Remedy: "a half-made home is in the way: move it aside"}
	}
	return &config.Error{File: home, What: err.Error(), Remedy: "check space and rights"}
}

// keys are a home's keys opened; what the role does not hold is zero.
type keys struct {
	operator, tower, hss, gateway proof.SigningKey
	hpke                          [32]byte
	held                          map[string]bool
}

// loadKeys opens the keys a role has here.
func (c *Config) loadKeys() (k keys, err error) {
	k.held = map[string]bool{}
	into := map[string]func([32]byte){
		"operator": func(s [32]byte) { k.operator = proof.SigningKeyFromSeed(s) },
		"tower":    func(s [32]byte) { k.tower = proof.SigningKeyFromSeed(s) },
		"hss":      func(s [32]byte) { k.hss = proof.SigningKeyFromSeed(s) },
		"gateway":  func(s [32]byte) { k.gateway = proof.SigningKeyFromSeed(s) },
		"hss-hpke": func(s [32]byte) { k.hpke = s },
	}
	for _, name := range roleParts()[c.Role].keys {
		b, err := config.Secret(keyFile(c.HomePath, name), 32)
		if err != nil {
			var e *config.Error
			if errors.As(err, &e) && e.Remedy == "" {
				e.Remedy = c.keyRemedy(name)
			}
			return k, err
		}
		into[name]([32]byte(b))
		k.held[name] = true
	}
	return k, nil
}

// keyRemedy says where a missing key is to be had.
func (c *Config) keyRemedy(name string) string {
	switch {
	case name == "operator" && (c.Role == "mme" || c.Role == "billing" || c.Role == "sip"):
		return fmt.Sprintf("%s signs for the operator: copy keys/operator from the operator's main home (hss-chain's) by a safe way, then chmod 600", c.Role)
	case c.Role == "gateway" || c.Role == "enb-agent":
		return "restore it from your backup, or make a new home with campanile init --role " + c.Role + " and have its new key admitted"
	}
	return "restore it from your backup, or make a new home with campanile init"
}

// publicKeys are the operator's and the authentication centre's, from the
// configuration or the home's own keys.
func (c *Config) publicKeys(s settings, k keys) (operator, node [32]byte, err error) {
	operator, node = s.operatorKey, s.hssKey
	for _, p := range []struct {
		into *[32]byte
		name string
		own  proof.SigningKey
		key  string
	}{{&operator, "operator", k.operator, "peers.operator_key"}, {&node, "hss", k.hss, "peers.hss_key"}} {
		if *p.into == [32]byte{} && k.held[p.name] {
			*p.into = p.own.Public()
		}
		if *p.into == [32]byte{} {
			return operator, node, &config.Error{File: c.file, Line: config.Line(c.file, p.key), What: p.key + " is empty", Remedy: c.inviteRemedy()}
		}
	}
	return operator, node, nil
}

func (c *Config) inviteRemedy() string {
	return fmt.Sprintf("ask the operator for what campanile invite --role %s prints, and run: campanile init --role %s --home %s --invite ...", c.Role, c.Role, c.HomePath)
}
