package sipgw

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"

	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// allowed are the methods that somebody here does (RFC 3261 §20.5).
const allowed = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, REGISTER, MESSAGE"

// accepts are the bodies that a request to the gateway itself may have.
const accepts = "application/vnd.3gpp.sms, text/plain, application/vnd.3gpp.ussd+xml"

// acceptable answers what RFC 3261 §8.2 wants answered before anybody looks at
// what a request is about, and says whether it may go on.
func (g *Gateway) acceptable(s *txn.Server) bool {
	var e *sip.Error
	if errors.As(sip.Check(s.Request, abilities), &e) {
		if m := e.Response(s.Request); m != nil {
			m.To.SetTag(g.tag(s.Request))
			g.respond(s, m)
		}
		return false
	}
	return true
}

// abilities are what requests to the gateway itself may ask for.
var abilities = sip.Capabilities{Schemes: []string{"sip", "sips", "tel"}, Extensions: []string{}}

// options tells what is possible here (RFC 3261 §11.2). Base stations and phones
// behind a NAT ask it to keep their way open.
func (g *Gateway) options(s *txn.Server) {
	g.reply(s, 200, "", sip.Header{Name: "Allow", Value: allowed}, sip.Header{Name: "Accept", Value: accepts + ", application/sdp"},
		sip.Header{Name: "Accept-Encoding", Value: "identity"}, sip.Header{Name: "Accept-Language", Value: "en"},
		sip.Header{Name: "Supported", Value: ""})
}

// unsupported refuses the rest: what would be about a subscription or a dialog
// that does not exist, methods that others have, methods that nobody has.
func (g *Gateway) unsupported(s *txn.Server) {
	switch m := s.Request.Method; {
	case m == sip.MethodSubscribe, m == sip.MethodPublish:
		g.reply(s, 489, "Bad Event") // RFC 6665 §8.3.2, RFC 3903 §6: there are no events here
	case m == sip.MethodNotify:
		g.reply(s, 481, "")
	case m.Known():
		g.reply(s, 405, "", sip.Header{Name: "Allow", Value: allowed})
	default:
		g.reply(s, 501, "", sip.Header{Name: "Allow", Value: allowed})
	}
}

// keyed is an HMAC over parts.
func keyed(key []byte, parts ...string) (sum [32]byte) {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{0})
	}
	h.Sum(sum[:0])
	return sum
}
