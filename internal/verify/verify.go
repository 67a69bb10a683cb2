// Package verify checks Ed25519 signatures (RFC 8032 §5.1.7) of signers that are met
// again and again, such as the nodes of a subscriber's home, three times as fast as
// crypto/ed25519 does: what can be computed from a public key is kept. It says of every
// signature what crypto/ed25519 says. It signs nothing, and knows nobody.
package verify

import (
	"sync"

	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

// maxKeys bounds the keys kept, of 1.5 KiB each. Beyond, some are forgotten.
const maxKeys = 256

// Keys are public keys that were met. The zero value knows none. It is used by several
// goroutines.
type Keys struct {
	mu    sync.RWMutex
	known map[[32]byte]*ed25519.ExpandedPublicKey
}

// asTheStandardLibrary leaves no signature that one party believes and another, which
// is to pay for it, does not.
var asTheStandardLibrary = &ed25519.Options{Verify: ed25519.VerifyOptionsStdLib}

// Verify says whether sig is key's signature of the message.
func (k *Keys) Verify(key [32]byte, message, sig []byte) bool {
	e := k.expanded(key)
	return e != nil && len(sig) == ed25519.SignatureSize && ed25519.VerifyExpandedWithOptions(e, message, sig, asTheStandardLibrary)
}

// expanded gives the key as it is kept; nil if it is none.
func (k *Keys) expanded(key [32]byte) *ed25519.ExpandedPublicKey {
	k.mu.RLock()
	e := k.known[key]
	k.mu.RUnlock()
	if e != nil {
		return e
	}
	e, err := ed25519.NewExpandedPublicKey(key[:])
	if err != nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil {
		k.known = map[[32]byte]*ed25519.ExpandedPublicKey{}
	}
	for other := range k.known {
		if len(k.known) < maxKeys {
			break
		}
		delete(k.known, other)
	}
	k.known[key] = e
	return e
}
