package id

import (
	"bytes"
	"fmt"
	"strings"
)

// APN is an access point name in its text form, lower case, at most 100
// octets on the wire (TS 23.003 §9.1). The zero value is no APN.
type APN struct{ s string }

// AnyAPN is the wildcard that a subscription may have in the place of names, and no
// phone may ask for (TS 23.003 §9.2.1).
var AnyAPN = APN{"*"}

// ParseAPN checks labels of 1 to 63 letters, digits and hyphens; "*" alone is AnyAPN.
func ParseAPN(s string) (APN, error) {
	if s == AnyAPN.s {
		return AnyAPN, nil
	}
	if len(s) == 0 || len(s) > 99 {
		return APN{}, fmt.Errorf("APN of %d characters, want 1 to 99", len(s))
	}
	for label := range strings.SplitSeq(s, ".") {
		if len(label) == 0 || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return APN{}, fmt.Errorf("APN %q: label %q is empty, too long or ends in a hyphen", s, label)
		}
		if strings.Trim(label, letters+"0123456789-") != "" {
			return APN{}, fmt.Errorf("APN %q: label %q has a character that is no letter, digit or hyphen", s, label)
		}
	}
	return APN{strings.ToLower(s)}, nil
}

// letters are ASCII's alone: Unicode has others with these as lower case.
const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// DecodeAPN reads length-prefixed labels, at most 100 octets (TS 23.003 §9.1).
func DecodeAPN(b []byte) (APN, error) {
	if len(b) > 100 {
		return APN{}, fmt.Errorf("APN of %d octets, want 1 to 100", len(b))
	}
	var parts []string
	for i := 0; i < len(b); {
		n := int(b[i])
		if i+1+n > len(b) {
			return APN{}, fmt.Errorf("APN %x: label at octet %d is cut off", b, i+1)
		}
		if bytes.IndexByte(b[i+1:i+1+n], '.') >= 0 {
			return APN{}, fmt.Errorf("APN %x: label at octet %d has a dot", b, i+1)
		}
		parts = append(parts, string(b[i+1:i+1+n]))
		i += 1 + n
	}
	a, err := ParseAPN(strings.Join(parts, "."))
	if a == AnyAPN {
		return APN{}, fmt.Errorf("APN %x is the wildcard of subscriptions", b)
	}
	return a, err
}

// AppendTo appends length-prefixed labels.
func (a APN) AppendTo(dst []byte) []byte {
	if a.s == "" {
		return dst
	}
	for label := range strings.SplitSeq(a.s, ".") {
		dst = append(dst, byte(len(label)))
		dst = append(dst, label...)
	}
	return dst
}

func (a APN) String() string { return a.s }

// IsZero says that a is no APN.
func (a APN) IsZero() bool { return a.s == "" }
