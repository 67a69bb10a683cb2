// Package digest is HTTP Digest as SIP uses it, in every dialect that cells and
// phones speak: RFC 2617, RFC 7616 and RFC 8760 with MD5, SHA-256 and
// SHA-512-256, RFC 3310 (AKAv1-MD5) with RAND and AUTN in the nonce, OpenBTS's
// challenge without realm whose response is a SIM's SRES, and YateBTS's
// AKAv1-MD5 whose response is SRES or RES.
//
// It reads and writes WWW-Authenticate, Authorization and Authentication-Info,
// computes responses and compares them in constant time, for both ends. It is
// pure: it draws no nonce, counts no nc, knows no subscriber and no clock; which
// algorithm is good enough is the caller's policy.
package digest

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Errors of reading. Messages say where.
var (
	ErrScheme    = errors.New("digest: not of the scheme Digest")
	ErrSyntax    = errors.New("digest: malformed parameters")
	ErrTooLong   = errors.New("digest: too long")
	ErrTwice     = errors.New("digest: a parameter stands twice")
	ErrMissing   = errors.New("digest: a parameter is missing")
	ErrAlgorithm = errors.New("digest: unknown algorithm")
	ErrNonce     = errors.New("digest: nonce holds no RAND")
)

// Algorithm is how responses are computed. Zero is MD5, as where none is named.
type Algorithm uint8

// The algorithms (RFC 7616 §6.1, RFC 8760 §2, RFC 3310 §3.1).
const (
	MD5 Algorithm = iota
	MD5Sess
	SHA256
	SHA256Sess
	SHA512256
	SHA512256Sess
	AKAv1MD5 // MD5 whose password is RES as octets
)

var names = [...]string{"MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess", "AKAv1-MD5"}

// String is the name on the wire.
func (a Algorithm) String() string {
	if int(a) < len(names) {
		return names[a]
	}
	return fmt.Sprintf("algorithm %d", uint8(a))
}

// ParseAlgorithm reads what String writes, in any case; the empty string is MD5.
func ParseAlgorithm(s string) (Algorithm, error) {
	if s == "" {
		return MD5, nil
	}
	for i, n := range names {
		if strings.EqualFold(s, n) {
			return Algorithm(i), nil
		}
	}
	return 0, fmt.Errorf("%w %.40q", ErrAlgorithm, s)
}

// session says whether the algorithm hashes nonce and cnonce into A1.
func (a Algorithm) session() bool { return a == MD5Sess || a == SHA256Sess || a == SHA512256Sess }

// digest hashes parts with colons between them, in lower-case hexadecimal digits.
func (a Algorithm) digest(parts ...string) string {
	var room [512]byte
	b := room[:0]
	for i, p := range parts {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, p...)
	}
	switch a {
	case SHA256, SHA256Sess:
		s := sha256.Sum256(b)
		return hex.EncodeToString(s[:])
	case SHA512256, SHA512256Sess:
		s := sha512.Sum512_256(b)
		return hex.EncodeToString(s[:])
	}
	s := md5.Sum(b)
	return hex.EncodeToString(s[:])
}

// HA1 is the hash of user name, realm and password that stands for a password
// (RFC 7616 §3.4.2): who has it can answer in its realm, so it is as secret.
// The password may be octets: of AKAv1-MD5 it is RES.
func (a Algorithm) HA1(username, realm, password string) string {
	return a.digest(username, realm, password)
}

// Entity is the hash of a message body that auth-int protects (RFC 7616 §3.4.3).
func (a Algorithm) Entity(body []byte) string { return a.digest(string(body)) }

// UserHash is the username under userhash=true (RFC 7616 §3.4.4).
func (a Algorithm) UserHash(username, realm string) string { return a.digest(username, realm) }

// QOP is a set of qualities of protection; zero is none, the form of RFC 2069.
type QOP uint8

// The qualities (RFC 7616 §3.3).
const (
	Auth    QOP = 1 << iota // method and URI are protected
	AuthInt                 // and the body
)

// String is the list as it stands in a challenge.
func (q QOP) String() string {
	switch q & (Auth | AuthInt) {
	case Auth:
		return "auth"
	case AuthInt:
		return "auth-int"
	case Auth | AuthInt:
		return "auth,auth-int"
	}
	return ""
}

// parseQOP reads a list; qualities nobody knows are passed over.
func parseQOP(s string) (q QOP) {
	for _, w := range strings.Split(s, ",") {
		switch w = strings.TrimSpace(w); {
		case strings.EqualFold(w, "auth"):
			q |= Auth
		case strings.EqualFold(w, "auth-int"):
			q |= AuthInt
		}
	}
	return q
}
