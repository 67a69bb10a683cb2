package digest

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// Credentials is the value of Authorization or Proxy-Authorization.
type Credentials struct {
	Username, Realm, Nonce, URI, Opaque string
	Response                            string // hexadecimal digits: a digest, or what a card said
	CNonce, NC                          string
	Algorithm                           Algorithm
	QOP                                 QOP // at most one
	Userhash                            bool
	AUTS                                string // base64 of 14 octets (RFC 3310 §3.4)
}

// Kind is what credentials hold.
type Kind uint8

// The kinds.
const (
	Hashed Kind = iota // a digest: for Answer
	Card               // SRES or RES itself, as cells send it: CardResponse reads it
	Resync             // AUTS: the card's sequence number is ahead
)

// ParseCredentials reads credentials of any dialect. There need be neither user
// name nor realm, but a nonce, and a response or AUTS.
func ParseCredentials(s string) (c Credentials, err error) {
	p, err := parse(s)
	if err != nil {
		return c, err
	}
	c = Credentials{Username: p.get("username"), Realm: p.get("realm"), Nonce: p.get("nonce"), URI: p.get("uri"), Opaque: p.get("opaque"), Response: p.get("response"),
		CNonce: p.get("cnonce"), NC: p.get("nc"), Userhash: p.get("userhash") == "true", AUTS: p.get("auts")}
	if v, ok := p.lookup("username*"); ok && c.Username == "" {
		if c.Username, err = extended(v); err != nil {
			return c, err
		}
	}
	if c.Algorithm, err = ParseAlgorithm(p.get("algorithm")); err != nil {
		return c, err
	}
	// Whoever names a quality and counts nothing has hashed without it: OpenBTS's
	// Kazoo mode does (RFC 2617 §3.2.2.1, the form of RFC 2069).
	if c.QOP = parseQOP(p.get("qop")); c.NC == "" && c.CNonce == "" {
		c.QOP = 0
	}
	switch {
	case c.Nonce == "":
		return c, missing("nonce")
	case c.Response == "" && c.AUTS == "":
		return c, missing("response")
	case c.Response != "" && !isHex(c.Response):
		return c, fmt.Errorf("%w: response is not hexadecimal", ErrSyntax)
	case c.QOP == Auth|AuthInt:
		return c, fmt.Errorf("%w: two qualities of protection", ErrSyntax)
	case c.QOP != 0 && (c.NC == "" || c.CNonce == ""):
		return c, missing("nc or cnonce")
	case c.Algorithm.session() && c.CNonce == "":
		return c, missing("cnonce")
	}
	if c.NC != "" {
		if _, err := strconv.ParseUint(c.NC, 16, 32); err != nil || len(c.NC) != 8 {
			return c, fmt.Errorf("%w: nc is not of eight hexadecimal digits", ErrSyntax)
		}
	}
	return c, nil
}

func missing(name string) error { return fmt.Errorf("%w: %s", ErrMissing, name) }

// String writes the credentials (RFC 7616 §3.4).
func (c Credentials) String() string {
	var w writer
	w.b.WriteString("Digest ")
	w.quotedIf("username", c.Username)
	w.quotedIf("realm", c.Realm)
	w.quoted("nonce", c.Nonce)
	w.quotedIf("uri", c.URI)
	if c.Response != "" || c.AUTS == "" {
		w.quoted("response", c.Response)
	}
	w.quotedIf("auts", c.AUTS)
	w.raw("algorithm", c.Algorithm.String())
	w.quotedIf("cnonce", c.CNonce)
	w.quotedIf("opaque", c.Opaque)
	if c.QOP != 0 {
		w.raw("qop", c.QOP.String())
		w.raw("nc", c.NC)
	}
	if c.Userhash {
		w.raw("userhash", "true")
	}
	return w.b.String()
}

// Count gives nc as a number, 0 where there is none.
func (c Credentials) Count() uint32 {
	n, _ := strconv.ParseUint(c.NC, 16, 32)
	return uint32(n)
}

// Kind tells what the credentials hold. OpenBTS without realm and YateBTS send
// what the card said; a digest has at least 32 digits.
func (c Credentials) Kind() Kind {
	switch {
	case c.AUTS != "":
		return Resync
	case len(c.Response) < 32:
		return Card
	}
	return Hashed
}

// CardResponse gives what the card said: 4 octets of SRES when there are at
// most eight digits, else 5 to 15 octets of RES; false for anything else.
func (c Credentials) CardResponse() ([]byte, bool) {
	if c.Kind() != Card {
		return nil, false
	}
	if s, ok := SRES(c.Response); ok {
		return s[:], true
	}
	b, err := hex.DecodeString(c.Response)
	return b, err == nil
}

// Resynchronisation gives AUTS and the RAND it is for; false when there is none
// or it is malformed.
func (c Credentials) Resynchronisation() (rand [16]byte, auts [14]byte, ok bool) {
	b, err := decode64(c.AUTS)
	if isHex(c.AUTS) && len(c.AUTS) == 28 {
		b, err = hex.DecodeString(c.AUTS)
	}
	if err != nil || len(b) != len(auts) {
		return rand, auts, false
	}
	rand, _, err = ReadNonce(c.Nonce)
	return rand, [14]byte(b), err == nil
}

// WriteAUTS is AUTS as a parameter has it.
func WriteAUTS(auts [14]byte) string { return base64.StdEncoding.EncodeToString(auts[:]) }

// Answer is what a response was computed over: credentials with the method and
// the body's hash of the request they stand in. It holds no password and may go
// to who knows it.
type Answer struct {
	Credentials
	Method string
	Entity string // Algorithm.Entity of the body, for AuthInt
}

// For joins the credentials with the request they stand in.
func (c Credentials) For(method string, body []byte) Answer {
	a := Answer{Credentials: c, Method: method}
	if c.QOP == AuthInt {
		a.Entity = c.Algorithm.Entity(body)
	}
	return a
}

// Compute gives the response that HA1 leads to (RFC 7616 §3.4.1, without
// quality that of RFC 2069).
func (a Answer) Compute(ha1 string) string {
	h := a.Algorithm
	if h.session() {
		ha1 = h.digest(ha1, a.Nonce, a.CNonce)
	}
	ha2 := h.digest(a.Method, a.URI)
	if a.QOP == AuthInt {
		ha2 = h.digest(a.Method, a.URI, a.Entity)
	}
	if a.QOP == 0 {
		return h.digest(ha1, a.Nonce, ha2)
	}
	return h.digest(ha1, a.Nonce, a.NC, a.CNonce, a.QOP.String(), ha2)
}

// Verify compares the response with what HA1 leads to, in constant time.
func (a Answer) Verify(ha1 string) bool {
	return subtle.ConstantTimeCompare([]byte(a.Compute(ha1)), []byte(strings.ToLower(a.Response))) == 1
}

// VerifyPassword is Verify under a password, with the user name given or hashed.
func (a Answer) VerifyPassword(username, realm, password string) bool {
	named := a.Username == username
	if a.Userhash {
		named = subtle.ConstantTimeCompare([]byte(a.Username), []byte(a.Algorithm.UserHash(username, realm))) == 1
	}
	return named && a.Realm == realm && a.Verify(a.Algorithm.HA1(username, realm, password))
}

// RspAuth is what a server proves itself with in Authentication-Info (RFC 7616
// §3.5); entity is the hash of its body, for AuthInt.
func (a Answer) RspAuth(ha1, entity string) string {
	a.Method, a.Entity = "", entity
	return a.Compute(ha1)
}
