package sdp

import (
	"encoding/base64"
	"strconv"
	"strings"
)

// Crypto is a line a=crypto (RFC 4568): keys for SRTP in the description itself,
// so that whoever can read it can listen. It does not print its key.
type Crypto struct {
	Tag    int    // names the line in the answer
	Suite  string // AES_CM_128_HMAC_SHA1_80 ...
	Key    []byte // master key and salt of what the describer sends
	Params string // lifetime and MKI behind the key, and session parameters
}

// String is the line without the key.
func (c Crypto) String() string { return strconv.Itoa(c.Tag) + " " + c.Suite + " inline:(secret)" }

// GoString is String.
func (c Crypto) GoString() string { return c.String() }

// Cryptos are the a=crypto lines of a media line that can be read; those with
// parameters nobody here knows come with them in Params.
func (m *Media) Cryptos() (list []Crypto) {
	for _, v := range m.Attributes.Values("crypto") {
		if c, ok := parseCrypto(v); ok {
			list = append(list, c)
		}
	}
	return list
}

func parseCrypto(v string) (c Crypto, ok bool) {
	f := strings.Fields(v)
	if len(f) < 3 {
		return c, false
	}
	tag, err := strconv.ParseUint(f[0], 10, 30)
	key, isInline := strings.CutPrefix(f[2], "inline:")
	key, rest, _ := strings.Cut(key, "|")
	octets, err2 := base64.StdEncoding.DecodeString(key)
	if err2 != nil {
		octets, err2 = base64.RawStdEncoding.DecodeString(key)
	}
	if err != nil || err2 != nil || !isInline || len(octets) == 0 {
		return c, false
	}
	params := strings.Join(f[3:], " ")
	if rest != "" {
		params = strings.TrimRight("|"+rest+" "+params, " ")
	}
	return Crypto{int(tag), f[1], octets, params}, true
}

// octets of master key and salt, of each suite (RFC 4568 §6.2, RFC 6188 §4, RFC 7714 §14.2).
var octets = map[string]int{"AES_CM_128_HMAC_SHA1_80": 30, "AES_CM_128_HMAC_SHA1_32": 30, "F8_128_HMAC_SHA1_80": 30,
	"AES_256_CM_HMAC_SHA1_80": 46, "AES_256_CM_HMAC_SHA1_32": 46, "AEAD_AES_128_GCM": 28, "AEAD_AES_256_GCM": 44}

// goes reports whether SRTP can be done with this line as it stands: a key of the
// right size, and no parameter but a lifetime, which nobody outlives in a call.
func (c Crypto) goes() bool {
	n, known := octets[c.Suite]
	lifetime, ok := strings.CutPrefix(c.Params, "|")
	return (!known || n == len(c.Key)) && (c.Params == "" || ok && !strings.ContainsAny(lifetime, "| :"))
}

// AddCrypto appends an a=crypto line.
func (m *Media) AddCrypto(c Crypto) {
	v := strconv.Itoa(c.Tag) + " " + c.Suite + " inline:" + base64.StdEncoding.EncodeToString(c.Key)
	if c.Params != "" {
		if !strings.HasPrefix(c.Params, "|") {
			v += " "
		}
		v += c.Params
	}
	m.Attributes.Add("crypto", v)
}
