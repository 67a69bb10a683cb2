package node

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/cosmos/cosmos-sdk/crypto/keys/secp256k1"
)

// NewAccountKey draws a secp256k1 key and writes it to a new file, mode 0600,
// as 64 hexadecimal digits. It does not overwrite.
func NewAccountKey(path string) (*secp256k1.PrivKey, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("account key: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("account key: %w", err)
	}
	defer f.Close()
	key := secp256k1.GenPrivKey()
	if _, err := fmt.Fprintln(f, hex.EncodeToString(key.Key)); err != nil {
		return nil, fmt.Errorf("account key: %w", err)
	}
	if err := f.Sync(); err != nil {
		return nil, fmt.Errorf("account key: %w", err)
	}
	return key, nil
}

// LoadAccountKey reads what NewAccountKey wrote. It refuses a file that others
// may read.
func LoadAccountKey(path string) (*secp256k1.PrivKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("account key: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("account key %s: mode %04o lets others read it, want 0600", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("account key: %w", err)
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(b) != secp256k1.PrivKeySize {
		return nil, fmt.Errorf("account key %s: want %d hexadecimal digits", path, 2*secp256k1.PrivKeySize)
	}
	return &secp256k1.PrivKey{Key: b}, nil
}
