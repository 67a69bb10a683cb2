package node

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cometbft/cometbft/config"
	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/cometbft/cometbft/types"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"

	"campanile.network/hss-chain/app"
	"campanile.network/hss-chain/ledger"
	"campanile.network/wire/proof"
)

// GenesisAccount is an account that exists from the beginning.
type GenesisAccount struct {
	Name    string // of the key file accounts/<name>.key
	Balance proof.Amount
}

// GenesisOptions for Init; the zero value is a private chain of nobody but its
// validator.
type GenesisOptions struct {
	// ChainID, if empty, becomes campanile-<8 random hexadecimal digits>.
	ChainID string
	// Accounts get a new key each.
	Accounts []GenesisAccount
	// ChallengeTime is how long a closing payer waits; 0 means 7 days.
	ChallengeTime time.Duration
	// Time of the genesis; zero means now.
	Time time.Time
}

// Genesis is what was made.
type Genesis struct {
	ChainID  string
	Accounts map[string]ledger.Account // by name, the validator's included
}

// ValidatorAccount is the name of the account that holds the validator's stake.
const ValidatorAccount = "validator"

// Init makes a chain with one validator in home: keys from the system's random
// source, accounts, genesis. It fails when home holds a chain already.
func Init(home string, o GenesisOptions) (Genesis, error) {
	if Exists(home) {
		return Genesis{}, fmt.Errorf("chain init: %s holds a chain already", home)
	}
	g, err := initialise(home, o)
	if err != nil {
		return g, fmt.Errorf("chain init in %s: %w", home, err)
	}
	return g, nil
}

func initialise(home string, o GenesisOptions) (Genesis, error) {
	if o.ChainID == "" {
		var b [4]byte
		rand.Read(b[:])
		o.ChainID = "campanile-" + hex.EncodeToString(b[:])
	}
	if o.Time.IsZero() {
		o.Time = time.Now()
	}
	g := Genesis{ChainID: o.ChainID, Accounts: map[string]ledger.Account{}}
	cfg := config.DefaultConfig().SetRoot(home)
	for _, dir := range []string{home, filepath.Join(home, "config"), filepath.Join(home, "data"), filepath.Join(home, "accounts")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return g, err
		}
	}
	in := app.Genesis{ChallengeTime: o.ChallengeTime}
	for _, a := range append([]GenesisAccount{{Name: ValidatorAccount}}, o.Accounts...) {
		if a.Name == "" || filepath.Base(a.Name) != a.Name || g.Accounts[a.Name] != "" {
			return g, fmt.Errorf("account name %q: want a plain file name, each once", a.Name)
		}
		key, err := accountKey(AccountFile(home, a.Name))
		if err != nil {
			return g, err
		}
		address := app.Address(key)
		g.Accounts[a.Name] = ledger.Account(address)
		in.Accounts = append(in.Accounts, app.GenesisAccount{Address: address, Balance: a.Balance})
	}
	validator := privval.GenFilePV(cfg.PrivValidatorKeyFile(), cfg.PrivValidatorStateFile())
	validator.Save()
	if _, err := p2p.LoadOrGenNodeKey(cfg.NodeKeyFile()); err != nil {
		return g, err
	}
	in.Validator, in.Staker, in.Time = validator.Key.PubKey, in.Accounts[0].Address, o.Time
	state, err := in.State()
	if err != nil {
		return g, err
	}
	doc := &types.GenesisDoc{ChainID: o.ChainID, GenesisTime: o.Time, InitialHeight: 1, AppState: state, ConsensusParams: app.ConsensusParams()}
	if err := doc.ValidateAndComplete(); err != nil {
		return g, err
	}
	// the genesis comes last: without it there is no chain, and Init can be repeated
	return g, doc.SaveAs(genesisFile(home))
}

// accountKey takes up the key that an Init which did not get to its end has
// left, or makes one.
func accountKey(path string) (*secp256k1.PrivKey, error) {
	key, err := NewAccountKey(path)
	if errors.Is(err, fs.ErrExist) {
		return LoadAccountKey(path)
	}
	return key, err
}

func genesisFile(home string) string { return filepath.Join(home, "config", "genesis.json") }

// AccountFile is where Init puts an account's key.
func AccountFile(home, name string) string { return filepath.Join(home, "accounts", name+".key") }

// Exists says whether home holds a chain: genesis, validator key and its state.
func Exists(home string) bool {
	cfg := config.DefaultConfig().SetRoot(home)
	for _, f := range []string{genesisFile(home), cfg.PrivValidatorKeyFile(), cfg.PrivValidatorStateFile(), cfg.NodeKeyFile()} {
		if _, err := os.Stat(f); errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

// ReadGenesis gives the chain-id and the accounts whose key files are in home.
func ReadGenesis(home string) (Genesis, error) {
	g := Genesis{Accounts: map[string]ledger.Account{}}
	doc, err := types.GenesisDocFromFile(genesisFile(home))
	if err != nil {
		return g, fmt.Errorf("chain in %s: %w", home, err)
	}
	g.ChainID = doc.ChainID
	files, err := filepath.Glob(AccountFile(home, "*"))
	if err != nil {
		return g, err
	}
	for _, f := range files {
		key, err := LoadAccountKey(f)
		if err != nil {
			return g, err
		}
		name := filepath.Base(f)
		g.Accounts[name[:len(name)-len(".key")]] = ledger.Account(app.Address(key))
	}
	return g, nil
}
