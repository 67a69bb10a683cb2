package client

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"

	"campanile.network/hss-chain/app"
	"campanile.network/hss-chain/ledger"
	"campanile.network/hss-chain/node"
)

// Account is an account whose secp256k1 key we hold. It does not print its key.
type Account struct {
	key     *secp256k1.PrivKey
	address ledger.Account
}

func newAccount(key *secp256k1.PrivKey) *Account {
	return &Account{key, ledger.Account(app.Address(key))}
}

// NewAccount draws a key and writes it to a new file, mode 0600.
func NewAccount(path string) (*Account, error) {
	key, err := node.NewAccountKey(path)
	if err != nil {
		return nil, err
	}
	return newAccount(key), nil
}

// LoadAccount reads a key file that NewAccount or node.Init made. It refuses
// one that others may read.
func LoadAccount(path string) (*Account, error) {
	key, err := node.LoadAccountKey(path)
	if err != nil {
		return nil, err
	}
	return newAccount(key), nil
}

// Address names the account on the chain.
func (a *Account) Address() ledger.Account { return a.address }

// Format prints the address, whatever the verb.
func (a *Account) Format(f fmt.State, _ rune) { io.WriteString(f, string(a.address)) }

// LogValue gives slog the address.
func (a *Account) LogValue() slog.Value { return slog.StringValue(string(a.address)) }
