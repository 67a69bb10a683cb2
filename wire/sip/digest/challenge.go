package digest

import (
	"strings"
)

// Challenge is the value of WWW-Authenticate or Proxy-Authenticate.
type Challenge struct {
	Realm, Nonce, Opaque, Domain string
	Algorithm                    Algorithm
	QOP                          QOP  // what is offered
	Stale                        bool // right answer to an old nonce: ask the user for nothing
	Userhash                     bool // the server can read hashed user names
}

// ParseChallenge reads a challenge of any dialect; a realm may be missing
// (OpenBTS), a nonce may not.
func ParseChallenge(s string) (c Challenge, err error) {
	p, err := parse(s)
	if err != nil {
		return c, err
	}
	c = Challenge{Realm: p.get("realm"), Nonce: p.get("nonce"), Opaque: p.get("opaque"), Domain: p.get("domain"), QOP: parseQOP(p.get("qop")),
		Stale: strings.EqualFold(p.get("stale"), "true"), Userhash: strings.EqualFold(p.get("userhash"), "true")}
	if c.Nonce == "" {
		return c, missing("nonce")
	}
	c.Algorithm, err = ParseAlgorithm(p.get("algorithm"))
	return c, err
}

// String writes the challenge as RFC 7616 §3.3 wants it. The algorithm stands
// last and without quotes: YateBTS reads it nowhere else.
func (c Challenge) String() string {
	var w writer
	w.b.WriteString("Digest ")
	w.quotedIf("realm", c.Realm)
	w.quotedIf("domain", c.Domain)
	w.quoted("nonce", c.Nonce)
	w.quotedIf("opaque", c.Opaque)
	if c.Stale {
		w.raw("stale", "true")
	}
	w.quotedIf("qop", c.QOP.String())
	if c.Userhash {
		w.raw("userhash", "true")
	}
	w.raw("algorithm", c.Algorithm.String())
	return w.b.String()
}

// Bare writes the challenge that OpenBTS and its registrar know: a RAND as the
// nonce, no realm, no quotes, no algorithm.
func Bare(rand [16]byte) string { return "Digest nonce=" + HexNonce(rand) }

// Info is the value of Authentication-Info. OpenBTS's registrar gives a cell
// Kc as CNonce.
type Info struct {
	NextNonce, RspAuth, CNonce, NC string
	QOP                            QOP
}

// ParseInfo reads Authentication-Info.
func ParseInfo(s string) (i Info, err error) {
	if len(s) > maxLength {
		return i, ErrTooLong
	}
	p, err := parseList(s)
	if err != nil {
		return i, err
	}
	return Info{NextNonce: p.get("nextnonce"), RspAuth: p.get("rspauth"), CNonce: p.get("cnonce"), NC: p.get("nc"), QOP: parseQOP(p.get("qop"))}, nil
}

// String writes Authentication-Info (RFC 7616 §3.5).
func (i Info) String() string {
	var w writer
	w.quotedIf("nextnonce", i.NextNonce)
	if i.QOP != 0 {
		w.raw("qop", i.QOP.String())
	}
	w.quotedIf("rspauth", i.RspAuth)
	w.quotedIf("cnonce", i.CNonce)
	if i.NC != "" {
		w.raw("nc", i.NC)
	}
	return w.b.String()
}

// BareInfo is the Authentication-Info that gives OpenBTS a Kc to cipher with.
func BareInfo(kc [8]byte) string { return "cnonce=" + hexOf(kc[:]) }
