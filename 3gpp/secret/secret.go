// Package secret holds key material and responses in types that cannot print
// themselves.
//
// A Key64, Key128, Key256 or RES shows "[redacted]" under every fmt verb and in
// slog, and refuses to become JSON or text. It is not a vault: the bytes lie in
// memory as they are, and code that needs them takes them by name (key[:]).
package secret

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// ErrRefused says that a secret was asked to serialise itself.
var ErrRefused = errors.New("secret: a key does not serialise itself")

// Key64 is a 64-bit key: Kc of GSM.
type Key64 [8]byte

// Key128 is a 128-bit key: K, Ki, OP, OPc, CK, IK, Kc128, a NAS or AS
// algorithm key.
type Key128 [16]byte

// Key256 is a 256-bit key: K_ASME, K_eNB, NH, an epoch key.
type Key256 [32]byte

// Format prints "[redacted]" whatever the verb.
func (Key64) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// Format prints "[redacted]" whatever the verb.
func (Key128) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// Format prints "[redacted]" whatever the verb.
func (Key256) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// LogValue gives slog "[redacted]".
func (Key64) LogValue() slog.Value { return slog.StringValue(redacted) }

// LogValue gives slog "[redacted]".
func (Key128) LogValue() slog.Value { return slog.StringValue(redacted) }

// LogValue gives slog "[redacted]".
func (Key256) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses: ErrRefused. encoding/json and go-toml call it.
func (Key64) MarshalText() ([]byte, error) { return nil, ErrRefused }

// MarshalText refuses: ErrRefused. encoding/json and go-toml call it.
func (Key128) MarshalText() ([]byte, error) { return nil, ErrRefused }

// MarshalText refuses: ErrRefused. encoding/json and go-toml call it.
func (Key256) MarshalText() ([]byte, error) { return nil, ErrRefused }

// Equal compares in constant time.
func (k Key64) Equal(o Key64) bool { return subtle.ConstantTimeCompare(k[:], o[:]) == 1 }

// Equal compares in constant time.
func (k Key128) Equal(o Key128) bool { return subtle.ConstantTimeCompare(k[:], o[:]) == 1 }

// Equal compares in constant time.
func (k Key256) Equal(o Key256) bool { return subtle.ConstantTimeCompare(k[:], o[:]) == 1 }
