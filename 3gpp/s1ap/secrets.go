package s1ap

import (
	"errors"
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// String hides the key: K_eNB and NH are secrets (TS 33.401 §6.2).
func (v SecurityKey) String() string { return redacted }

// GoString hides the key.
func (v SecurityKey) GoString() string { return redacted }

// Format hides the key under every verb.
func (v SecurityKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the key.
func (v SecurityKey) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText refuses.
func (v SecurityKey) MarshalText() ([]byte, error) {
	return nil, errors.New("s1ap: a SecurityKey is not written as text")
}

// MarshalJSON refuses.
func (v SecurityKey) MarshalJSON() ([]byte, error) {
	return nil, errors.New("s1ap: a SecurityKey is not written as JSON")
}
