package media

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// Suite is a crypto suite of SDES (RFC 4568 §6.2).
type Suite uint8

// Suites this package speaks.
const (
	AESCM80 Suite = iota + 1 // AES_CM_128_HMAC_SHA1_80
	AESCM32                  // AES_CM_128_HMAC_SHA1_32
)

var suites = map[Suite]string{AESCM80: "AES_CM_128_HMAC_SHA1_80", AESCM32: "AES_CM_128_HMAC_SHA1_32"}

func (s Suite) String() string { return suites[s] }

// tag is the octets that authenticate a packet of RTP; of RTCP they are ten
// (RFC 3711 §5.2, RFC 4568 §6.2).
func (s Suite) tag() int {
	if s == AESCM32 {
		return 4
	}
	return 10
}

// Crypto is the key of one direction, with its tag and suite: a=crypto of a
// description (RFC 4568 §4). It does not print its key but by Attribute.
type Crypto struct {
	Tag   int
	Suite Suite
	key   [30]byte // 16 octets of key, 14 of salt
}

// NewCrypto makes a key at random.
func NewCrypto(tag int, suite Suite) *Crypto {
	c := &Crypto{Tag: tag, Suite: suite}
	rand.Read(c.key[:])
	return c
}

// ParseCrypto reads the value of an a=crypto attribute. Suites and parameters
// this package does not speak (an MKI, session parameters that change what is
// sent) are errors: take the next attribute of the description.
func ParseCrypto(value string) (*Crypto, error) {
	f := strings.Fields(value)
	if len(f) < 3 {
		return nil, fmt.Errorf("media: crypto: %d fields, want tag, suite and key", len(f))
	}
	tag, err := strconv.Atoi(f[0])
	if err != nil || tag < 0 || len(f[0]) > 9 {
		return nil, fmt.Errorf("media: crypto: tag %.20q is not a number of at most 9 digits", f[0])
	}
	c := &Crypto{Tag: tag}
	for s, name := range suites {
		if strings.EqualFold(f[1], name) {
			c.Suite = s
		}
	}
	if c.Suite == 0 {
		return nil, fmt.Errorf("media: crypto: suite %.40q is not spoken, only %s and %s", f[1], AESCM80, AESCM32)
	}
	if len(f) > 3 {
		return nil, fmt.Errorf("media: crypto: session parameter %.40q is not spoken", f[3])
	}
	inline, ok := strings.CutPrefix(f[2], "inline:")
	if !ok {
		return nil, fmt.Errorf("media: crypto: the key is not inline")
	}
	inline, rest, _ := strings.Cut(inline, "|")
	if strings.Contains(rest, ":") {
		return nil, fmt.Errorf("media: crypto: a master key identifier is not spoken")
	}
	key, err := base64.StdEncoding.DecodeString(inline)
	if err != nil || len(key) != len(c.key) {
		return nil, fmt.Errorf("media: crypto: the key is not %d octets in base64", len(c.key))
	}
	copy(c.key[:], key)
	return c, nil
}

// Attribute gives the value of a=crypto, which shows the key: it belongs into a
// description that nobody on the way reads, and nowhere else.
func (c *Crypto) Attribute() string {
	return fmt.Sprintf("%d %s inline:%s", c.Tag, c.Suite, base64.StdEncoding.EncodeToString(c.key[:]))
}

// Format prints tag and suite whatever the verb.
func (c *Crypto) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.shown()) }

// LogValue gives slog tag and suite.
func (c *Crypto) LogValue() slog.Value { return slog.StringValue(c.shown()) }

func (c *Crypto) shown() string {
	if c == nil {
		return "[none]"
	}
	return fmt.Sprintf("%d %s [redacted]", c.Tag, c.Suite)
}

func (c *Crypto) equal(o *Crypto) bool {
	if c == nil || o == nil {
		return c == o
	}
	return c.Suite == o.Suite && subtle.ConstantTimeCompare(c.key[:], o.key[:]) == 1
}
