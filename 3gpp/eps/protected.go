package eps

import "fmt"

// SecurityHeader is a security header type (TS 24.301 §9.3.1).
type SecurityHeader uint8

// The security header types.
const (
	HeaderPlain                   SecurityHeader = 0
	HeaderIntegrity               SecurityHeader = 1
	HeaderIntegrityCiphered       SecurityHeader = 2
	HeaderIntegrityNew            SecurityHeader = 3 // with new EPS security context
	HeaderIntegrityCipheredNew    SecurityHeader = 4 // with new EPS security context
	HeaderIntegrityPartlyCiphered SecurityHeader = 5 // CONTROL PLANE SERVICE REQUEST
	HeaderServiceRequest          SecurityHeader = 12
)

func (h SecurityHeader) String() string {
	switch h {
	case HeaderPlain:
		return "plain NAS message (#0)"
	case HeaderIntegrity:
		return "integrity protected (#1)"
	case HeaderIntegrityCiphered:
		return "integrity protected and ciphered (#2)"
	case HeaderIntegrityNew:
		return "integrity protected with new EPS security context (#3)"
	case HeaderIntegrityCipheredNew:
		return "integrity protected and ciphered with new EPS security context (#4)"
	case HeaderIntegrityPartlyCiphered:
		return "integrity protected and partially ciphered (#5)"
	case HeaderServiceRequest:
		return "service request (#12)"
	}
	return fmt.Sprintf("reserved security header type (#%d)", uint8(h))
}

// Ciphered says whether the payload of a Protected with this header is
// ciphered as a whole.
func (h SecurityHeader) Ciphered() bool {
	return h == HeaderIntegrityCiphered || h == HeaderIntegrityCipheredNew
}

// HeaderOf tells from the first octet what kind of message b is, so that a
// receiver knows whether to call Parse (HeaderPlain, HeaderServiceRequest) or
// ParseProtected (all others). ESM messages have no security header: they are
// plain. Received by a network, 13 to 15 mean a service request too
// (TS 24.301 §9.3.1).
func HeaderOf(b []byte) (SecurityHeader, error) {
	switch {
	case len(b) == 0:
		return 0, ignored(b, "empty message")
	case b[0]&15 == pdESM:
		return HeaderPlain, nil
	case b[0]&15 != pdEMM:
		return 0, ignored(b, fmt.Sprintf("protocol discriminator %d is neither EMM nor ESM", b[0]&15))
	}
	return SecurityHeader(b[0] >> 4), nil
}

// Protected is a security protected NAS message (TS 24.301 §8.2.23) in its
// parts. MAC covers the sequence number octet and the payload as it is sent.
type Protected struct {
	Header   SecurityHeader // 1 to 5
	MAC      [4]byte
	Sequence uint8  // the lowest eight bits of the NAS COUNT
	Payload  []byte // a plain message, ciphered or not
}

// ProtectedOverhead is how many octets stand before the payload.
const ProtectedOverhead = 6

// ParseProtected takes a security protected message apart. Payload is a part
// of b. Every error is an *Error that says to ignore the message.
func ParseProtected(b []byte) (Protected, error) {
	h, err := HeaderOf(b)
	if err != nil {
		return Protected{}, err
	}
	if b[0]&15 != pdEMM || h < HeaderIntegrity || h > HeaderIntegrityPartlyCiphered {
		return Protected{}, ignored(b, "not a security protected message: "+h.String())
	}
	if len(b) <= ProtectedOverhead {
		return Protected{}, ignored(b, fmt.Sprintf("security protected message of %d octets, want more than %d", len(b), ProtectedOverhead))
	}
	return Protected{h, [4]byte(b[1:5]), b[5], b[ProtectedOverhead:]}, nil
}

// Append appends the message. With a zero MAC, the caller may compute it over
// what was appended from the sixth octet on and write it to octets 2 to 5.
func (p Protected) Append(dst []byte) []byte {
	dst = append(dst, byte(p.Header)<<4|pdEMM)
	dst = append(dst, p.MAC[:]...)
	dst = append(dst, p.Sequence)
	return append(dst, p.Payload...)
}
