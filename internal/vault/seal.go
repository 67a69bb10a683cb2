package vault

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// sealer seals values with XChaCha20-Poly1305 and hides names behind a pseudorandom function, each under its own key derived from the store's. A value
// is bound to its name: moved to another it does not open.
type sealer struct {
	aead  cipher.AEAD
	names []byte
}

// nameLen is how many octets of a name's HMAC stand in a key.
const nameLen = 16

func newSealer(key [32]byte, role string) (*sealer, error) {
	values, err := hkdf.Expand(sha256.New, key[:], "campanile "+role+" store values", chacha20poly1305.KeySize)
	if err != nil {
		return nil, err
	}
	names, err := hkdf.Expand(sha256.New, key[:], "campanile "+role+" store names", sha256.Size)
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(values)
	return &sealer{aead, names}, err
}

// name gives the key under which something is stored.
func (s *sealer) name(kind byte, name []byte) []byte {
	h := hmac.New(sha256.New, s.names)
	h.Write([]byte{kind})
	h.Write(name)
	return append([]byte{kind}, h.Sum(nil)[:nameLen]...)
}

// seal gives nonce, ciphertext and tag.
func (s *sealer) seal(key, value []byte) []byte {
	b := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(value)+s.aead.Overhead())
	rand.Read(b)
	return s.aead.Seal(b, b, value, key)
}

// open appends the value to dst.
func (s *sealer) open(dst, key, b []byte) ([]byte, error) {
	n := s.aead.NonceSize()
	if len(b) < n {
		return nil, fmt.Errorf("%w: %d octets", ErrDamaged, len(b))
	}
	return s.aead.Open(dst, b[:n], b[n:], key)
}
