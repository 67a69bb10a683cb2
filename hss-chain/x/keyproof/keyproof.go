// Package keyproof shows that whoever registers an ed25519 key on the chain
// holds its private half and wants this account to have it: otherwise a
// registration seen on its way could be copied under another account. It signs
// nothing else and stores nothing.
package keyproof

import (
	"crypto/ed25519"
	"errors"
	"fmt"
)

// Roles a key can be registered for.
const (
	Operator = "operator"
	Tower    = "tower"
)

func message(role, chainID, account string) []byte {
	return fmt.Appendf(nil, "campanile/key/1\x00%s\x00%s\x00%s", role, chainID, account)
}

// Sign makes the proof: purpose, role, chain-id and account under the key.
func Sign(key ed25519.PrivateKey, role, chainID, account string) []byte {
	return ed25519.Sign(key, message(role, chainID, account))
}

// Check says why a proof is not good, or nil.
func Check(key, proof []byte, role, chainID, account string) error {
	if len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("%s key: %d octets, want %d", role, len(key), ed25519.PublicKeySize)
	}
	if !ed25519.Verify(key, message(role, chainID, account), proof) {
		return errors.New("the " + role + " key has not signed for this account on this chain")
	}
	return nil
}
