package s1ap

import (
	"encoding/hex"
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

// String shows the first five digits of the IMSI (MCC and the MNC's first two)
// and hides the rest. The octets hold two digits each, the first one low.
func (v IMSI) String() string {
	out := make([]byte, 0, 8)
	for _, b := range v[:min(3, len(v))] {
		out = append(out, '0'+b&15, '0'+b>>4)
	}
	return string(out[:min(5, len(out))]) + "..."
}

// digits are the IMSI's, octets as hexadecimal digits where they are none.
func (v IMSI) digits() string {
	var out []byte
	for i, b := range v {
		low, high := b&15, b>>4
		if low > 9 || high > 9 && (high != 15 || i < len(v)-1) {
			return hex.EncodeToString(v)
		}
		if out = append(out, '0'+low); high < 10 {
			out = append(out, '0'+high)
		}
	}
	return string(out)
}

// GoString masks as String does.
func (v IMSI) GoString() string { return v.String() }

// Format masks under every verb.
func (v IMSI) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(v.String())) }

// LogValue masks as String does.
func (v IMSI) LogValue() slog.Value { return slog.StringValue(v.String()) }

// MarshalText masks as String does.
func (v IMSI) MarshalText() ([]byte, error) { return []byte(v.String()), nil }
