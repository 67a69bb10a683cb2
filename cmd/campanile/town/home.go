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

// keyNames are the keys a home has: seeds of 32 octets.
var keyNames = []string{"operator", "tower", "hss", "hss-hpke"}

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
	for _, name := range keyNames {
		var seed [32]byte
		rand.Read(seed[:])
		if err := config.WriteSecret(keyFile(home, name), seed[:]); err != nil {
			return "", writeError(home, err)
		}
	}
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
	if err := config.Write(filepath.Join(home, ConfigFile), c); err != nil {
		return "", writeError(home, err)
	}
	return g.ChainID, nil
}

func writeError(home string, err error) error {
	if errors.Is(err, fs.ErrExist) {
		return &config.Error{File: home, What: err.Error(), Remedy: "a half-made home is in the way: move it aside"}
	}
	return &config.Error{File: home, What: err.Error(), Remedy: "check space and rights"}
}

// keys are a home's keys opened.
type keys struct {
	operator, tower, hss proof.SigningKey
	hpke                 [32]byte
}

func (c *Config) loadKeys() (k keys, err error) {
	for _, f := range []struct {
		name string
		into func([32]byte)
	}{
		{"operator", func(s [32]byte) { k.operator = proof.SigningKeyFromSeed(s) }},
		{"tower", func(s [32]byte) { k.tower = proof.SigningKeyFromSeed(s) }},
		{"hss", func(s [32]byte) { k.hss = proof.SigningKeyFromSeed(s) }},
		{"hss-hpke", func(s [32]byte) { k.hpke = s }},
	} {
		b, err := config.Secret(keyFile(c.HomePath, f.name), 32)
		if err != nil {
			var e *config.Error
			if errors.As(err, &e) && e.Remedy == "" {
				e.Remedy = "restore it from your backup, or make a new home with campanile init"
			}
			return k, err
		}
		f.into([32]byte(b))
	}
	return k, nil
}
