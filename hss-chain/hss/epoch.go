package hss

import (
	"crypto/hpke"
	"encoding/binary"
	"fmt"

	"campanile.network/3gpp/secret"
	"campanile.network/wire/proof"
)

// The HPKE suite (RFC 9180) under which an epoch key is sealed to a node:
// ML-KEM-768 with X25519, so that what is recorded today stays shut when one
// of the two falls.
func kem() hpke.KEM   { return hpke.MLKEM768X25519() }
func kdf() hpke.KDF   { return hpke.HKDFSHA256() }
func aead() hpke.AEAD { return hpke.AES256GCM() }

// NewNodeKey draws the HPKE key of an HSS node from a 32-octet seed.
func NewNodeKey(seed [32]byte) (hpke.PrivateKey, error) {
	k, err := kem().DeriveKeyPair(seed[:])
	if err != nil {
		return nil, fmt.Errorf("hss: HPKE key: %w", err)
	}
	return k, nil
}

func epochInfo(op proof.OperatorKey, epoch uint64) []byte {
	return binary.BigEndian.AppendUint64(append([]byte("campanile/epoch/1"), op[:]...), epoch)
}

func sealEpoch(to hpke.PublicKey, op proof.OperatorKey, epoch uint64, k secret.Key256) ([]byte, error) {
	sealed, err := hpke.Seal(to, kdf(), aead(), epochInfo(op, epoch), k[:])
	if err != nil {
		return nil, fmt.Errorf("epoch %d: %w", epoch, err)
	}
	return sealed, nil
}

// opener opens what sealEpoch made.
type opener func(epoch uint64, sealed []byte) (secret.Key256, error)

func epochOpener(o Options) opener {
	return func(epoch uint64, sealed []byte) (secret.Key256, error) {
		plain, err := hpke.Open(o.HPKE, kdf(), aead(), epochInfo(o.Operator, epoch), sealed)
		if err != nil || len(plain) != 32 {
			return secret.Key256{}, fmt.Errorf("epoch key %d is not sealed to this node", epoch)
		}
		return secret.Key256(plain), nil
	}
}
