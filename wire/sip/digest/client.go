package digest

import (
	"fmt"
	"net/url"
	"strings"
)

// Request is what a client says besides the challenge.
type Request struct {
	Username, Password string // Password of AKAv1-MD5: RES as octets
	Method, URI        string
	Body               []byte
	CNonce             string // wanted with a quality of protection or a -sess algorithm
	Count              uint32 // of requests under this nonce, the first is 1
}

// Respond answers a challenge, with quality auth where that is offered, else
// auth-int, else none. Error: ErrMissing without a CNonce that is needed.
func (c Challenge) Respond(r Request) (Credentials, error) {
	out := Credentials{Username: r.Username, Realm: c.Realm, Nonce: c.Nonce, URI: r.URI, Opaque: c.Opaque, Algorithm: c.Algorithm, Userhash: c.Userhash}
	switch {
	case c.QOP&Auth != 0:
		out.QOP = Auth
	case c.QOP&AuthInt != 0:
		out.QOP = AuthInt
	}
	if out.QOP != 0 || c.Algorithm.session() {
		if r.CNonce == "" {
			return out, missing("cnonce")
		}
		out.CNonce = r.CNonce
	}
	if out.QOP != 0 {
		out.NC = fmt.Sprintf("%08x", max(r.Count, 1))
	}
	if c.Userhash {
		out.Username = c.Algorithm.UserHash(r.Username, c.Realm)
	}
	out.Response = out.For(r.Method, r.Body).Compute(c.Algorithm.HA1(r.Username, c.Realm, r.Password))
	return out, nil
}

// Best picks the strongest challenge of those that a server offers, the first
// of equals (RFC 8760 §2.4); false when none can be read.
func Best(values []string) (best Challenge, ok bool) {
	rank := func(a Algorithm) int { return [...]int{1, 2, 3, 4, 5, 6, 7}[a] }
	for _, v := range values {
		c, err := ParseChallenge(v)
		if err == nil && (!ok || rank(c.Algorithm) > rank(best.Algorithm)) {
			best, ok = c, true
		}
	}
	return best, ok
}

// extended reads a user name in the form of RFC 8187: UTF-8”name, percent-encoded.
func extended(v string) (string, error) {
	charset, rest, ok := strings.Cut(v, "'")
	_, text, ok2 := strings.Cut(rest, "'")
	if !ok || !ok2 || !strings.EqualFold(charset, "UTF-8") {
		return "", fmt.Errorf("%w: username* is not of RFC 8187", ErrSyntax)
	}
	name, err := url.PathUnescape(text)
	if err != nil || !clean(name) {
		return "", fmt.Errorf("%w: username* is not of RFC 8187", ErrSyntax)
	}
	return name, nil
}
