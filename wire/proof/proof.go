// Package proof has what one party shows another to be believed: about money,
// tickets, segments, receipts and vouchers, and about a tower, how its radio
// does; their bytes and signatures.
//
// A ticket is a lease that a subscriber's home signs after a SIM has answered.
// A segment is signed by the serving MME each time the phone becomes active at
// a tower. A voucher is signed by the operator that pays a tower; it is
// cumulative, so the highest one is worth all before it. Every signature covers
// a purpose string and the chain-id, so nothing signed for one use or one
// ledger is good for another.
//
// The package holds no state and asks nobody; whether a key belongs to an
// operator is the caller's question to the ledger. The chain uses this package
// too: std-lib only, no clock.
package proof

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// OperatorKey is the ed25519 key an operator is registered under: its name on
// the ledger, whatever PLMN it uses.
type OperatorKey [32]byte

// TowerKey is the ed25519 key of a tower, and the tower's name on the ledger.
type TowerKey [32]byte

// NodeKey is the ed25519 key of one HSS node of an operator.
type NodeKey [32]byte

func (k OperatorKey) String() string { return hex.EncodeToString(k[:]) }
func (k TowerKey) String() string    { return hex.EncodeToString(k[:]) }
func (k NodeKey) String() string     { return hex.EncodeToString(k[:]) }

// Short is the first eight hexadecimal digits, for people.
func (k OperatorKey) Short() string { return k.String()[:8] }

// Short is the first eight hexadecimal digits, for people.
func (k TowerKey) Short() string { return k.String()[:8] }

// Short is the first eight hexadecimal digits, for people.
func (k NodeKey) Short() string { return k.String()[:8] }

// MarshalText is 64 hexadecimal digits.
func (k OperatorKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// MarshalText is 64 hexadecimal digits.
func (k TowerKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// MarshalText is 64 hexadecimal digits.
func (k NodeKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// ParseKey reads 64 hexadecimal digits.
func ParseKey(s string) (k [32]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(k) {
		return k, fmt.Errorf("key %q: want 64 hexadecimal digits", s)
	}
	return [32]byte(b), nil
}

// SigningKey is an ed25519 private key that does not print itself.
type SigningKey struct{ key ed25519.PrivateKey }

// NewSigningKey draws a key from the system's random source.
func NewSigningKey() SigningKey {
	_, k, err := ed25519.GenerateKey(rand.Reader)
	if err != nil { // crypto/rand does not fail since Go 1.24
		panic(err)
	}
	return SigningKey{k}
}

// SigningKeyFromSeed makes the key of a 32-octet seed, as key files hold it.
func SigningKeyFromSeed(seed [32]byte) SigningKey {
	return SigningKey{ed25519.NewKeyFromSeed(seed[:])}
}

// Seed gives the 32 octets a key file holds.
func (k SigningKey) Seed() [32]byte { return [32]byte(k.key.Seed()) }

// Public gives the public half.
func (k SigningKey) Public() [32]byte { return [32]byte(k.key.Public().(ed25519.PublicKey)) }

// Ed25519 gives the key as the standard library names it, for TLS.
func (k SigningKey) Ed25519() ed25519.PrivateKey { return k.key }

// Format prints "[redacted]" whatever the verb.
func (SigningKey) Format(f fmt.State, _ rune) { io.WriteString(f, "[redacted]") }

// LogValue gives slog "[redacted]".
func (SigningKey) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalText refuses.
func (SigningKey) MarshalText() ([]byte, error) {
	return nil, errors.New("proof: a signing key does not serialise itself")
}

// Reasons why something shown is not believed.
var (
	ErrSignature = errors.New("signature does not fit")
	ErrChain     = errors.New("signed for another chain")
	ErrMalformed = errors.New("malformed")
)

// Purposes: the first octets under every signature.
const (
	purposeTicket  = "campanile/ticket/2"
	purposeSegment = "campanile/segment/2"
	purposeVoucher = "campanile/voucher/2"
	purposeHealth  = "campanile/health/1"
)

// maxChainID bounds the chain-id in everything signed, in octets.
const maxChainID = 50

func message(purpose string, body []byte) []byte {
	m := make([]byte, 0, len(purpose)+1+len(body))
	m = append(m, purpose...)
	m = append(m, 0)
	return append(m, body...)
}

func sign(k SigningKey, purpose string, body []byte) []byte {
	return append(body, ed25519.Sign(k.key, message(purpose, body))...)
}

// open splits b into body and signature, and checks the signature.
func open(key [32]byte, purpose string, b []byte) ([]byte, error) {
	return openWith(ed25519Verify, key, purpose, b)
}

// Verifier says whether sig is key's Ed25519 signature of a message: the same as
// crypto/ed25519 does.
type Verifier func(key [32]byte, message, sig []byte) bool

func ed25519Verify(key [32]byte, message, sig []byte) bool {
	return ed25519.Verify(key[:], message, sig)
}

func openWith(verify Verifier, key [32]byte, purpose string, b []byte) ([]byte, error) {
	body, sig, err := split(purpose, b)
	if err != nil {
		return nil, err
	}
	if !verify(key, message(purpose, body), sig) {
		return nil, fmt.Errorf("%s: %w", purpose, ErrSignature)
	}
	return body, nil
}

func split(purpose string, b []byte) (body, sig []byte, err error) {
	n := len(b) - ed25519.SignatureSize
	if n <= 0 {
		return nil, nil, fmt.Errorf("%s: %w: %d octets", purpose, ErrMalformed, len(b))
	}
	return b[:n:n], b[n:], nil
}

// reader takes fixed fields off a body; after an overrun everything is zero
// and end reports it.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || len(r.b) < n {
		r.bad = true
		return make([]byte, n)
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() uint8     { return r.take(1)[0] }
func (r *reader) u32() uint32   { return binary.BigEndian.Uint32(r.take(4)) }
func (r *reader) u64() uint64   { return binary.BigEndian.Uint64(r.take(8)) }
func (r *reader) key() [32]byte { return [32]byte(r.take(32)) }
func (r *reader) chain() string { return string(r.take(int(r.u8()))) }
func (r *reader) end(what string) error {
	if r.bad || len(r.b) != 0 {
		return fmt.Errorf("%s: %w: length", what, ErrMalformed)
	}
	return nil
}

func appendChain(b []byte, chain string) ([]byte, error) {
	if len(chain) == 0 || len(chain) > maxChainID {
		return nil, fmt.Errorf("chain-id %q: %w: want 1 to %d octets", chain, ErrMalformed, maxChainID)
	}
	return append(append(b, byte(len(chain))), chain...), nil
}
