package nassec

import (
	"crypto/subtle"
	"fmt"
)

// HeaderType is the security header type (TS 24.301 §9.3.1).
type HeaderType uint8

// Security header types.
const (
	Plain                HeaderType = 0
	IntegrityProtected   HeaderType = 1
	IntegrityCiphered    HeaderType = 2
	IntegrityNewContext  HeaderType = 3 // Security Mode Command
	CipheredNewContext   HeaderType = 4 // Security Mode Complete
	ServiceRequestHeader HeaderType = 12
)

const (
	headerLen         = 6 // type and discriminator, MAC, sequence number
	serviceRequestLen = 4
	shortSequenceBits = 5 // of the sequence number in a Service Request
	pdEMM             = 7 // EPS mobility management messages (TS 24.007 §11.2.3.1.1)
)

// Ciphered reports whether the message behind this header is ciphered.
func (h HeaderType) Ciphered() bool { return h == IntegrityCiphered || h == CipheredNewContext }

// NewContext reports whether the header announces a new security context.
func (h HeaderType) NewContext() bool { return h == IntegrityNewContext || h == CipheredNewContext }

// TypeOf gives the security header type of a NAS message without checking the
// rest. ErrShort when empty, ErrHeader for another protocol discriminator than
// EPS mobility management (an ESM message is always plain).
func TypeOf(pdu []byte) (HeaderType, error) {
	if len(pdu) == 0 {
		return 0, ErrShort
	}
	if pdu[0]&0x0f != pdEMM {
		return 0, fmt.Errorf("%w: protocol discriminator %d", ErrHeader, pdu[0]&0x0f)
	}
	return HeaderType(pdu[0] >> 4), nil
}

// Header is the security header of a protected message, unchecked. Payload
// aliases the message and is ciphered if Type.Ciphered.
type Header struct {
	Type     HeaderType
	MAC      [4]byte
	Sequence uint8
	Payload  []byte
}

// ParseHeader takes a protected message (header types 1 to 4) apart without any
// check of its code, for a receiver that has no context yet or must read the
// new algorithms out of a Security Mode Command. ErrShort or ErrHeader.
func ParseHeader(pdu []byte) (Header, error) {
	t, err := TypeOf(pdu)
	if err != nil {
		return Header{}, err
	}
	if t < IntegrityProtected || t > CipheredNewContext {
		return Header{}, fmt.Errorf("%w: security header type %d", ErrHeader, t)
	}
	if len(pdu) <= headerLen {
		return Header{}, fmt.Errorf("%w: %d octets, a protected message has more than %d", ErrShort, len(pdu), headerLen)
	}
	return Header{Type: t, MAC: [4]byte(pdu[1:5]), Sequence: pdu[5], Payload: pdu[headerLen:]}, nil
}

// ServiceRequest is the content of a Service Request message, unchecked
// (TS 24.301 §8.2.25, §9.9.3.19, §9.9.3.28).
type ServiceRequest struct {
	KSI      uint8 // 0..7
	Sequence uint8 // the five low bits of the sequence number
	MAC      [2]byte
}

// ParseServiceRequest reads a Service Request without checking its code, for
// instance to find the context by KSI. ErrShort or ErrHeader.
func ParseServiceRequest(pdu []byte) (ServiceRequest, error) {
	t, err := TypeOf(pdu)
	if err != nil {
		return ServiceRequest{}, err
	}
	if t < ServiceRequestHeader {
		return ServiceRequest{}, fmt.Errorf("%w: security header type %d, want 12", ErrHeader, t)
	}
	if len(pdu) < serviceRequestLen {
		return ServiceRequest{}, fmt.Errorf("%w: Service Request of %d octets, want 4", ErrShort, len(pdu))
	}
	return ServiceRequest{KSI: pdu[1] >> 5, Sequence: pdu[1] & 0x1f, MAC: [2]byte(pdu[2:4])}, nil
}

// AppendServiceRequest appends a Service Request and uses one uplink COUNT; for
// the phone's side. The short code is the last two octets of the MAC over the
// first two octets. ErrCountExhausted, or ErrHeader on the network's side.
func (c *Context) AppendServiceRequest(dst []byte) ([]byte, error) {
	if c.s.Role != Phone {
		return dst, fmt.Errorf("%w: only a phone sends Service Request", ErrHeader)
	}
	if c.s.UL > MaxCount {
		return dst, ErrCountExhausted
	}
	at := len(dst)
	dst = append(dst, byte(ServiceRequestHeader)<<4|pdEMM, c.s.KSI<<5|c.s.UL.Sequence()&0x1f)
	m := c.mac.MAC(uint32(c.s.UL), 0, Uplink, dst[at:])
	c.s.UL++
	return append(dst, m[2], m[3]), nil
}

// AcceptServiceRequest checks a Service Request on the network's side and uses
// its COUNT, estimated from five bits. The code has only 16 bits: a caller
// limits the rate of failures. ErrMAC also for a foreign KSI; else as Unprotect.
func (c *Context) AcceptServiceRequest(pdu []byte) (Count, error) {
	count, err := c.VerifyServiceRequest(pdu)
	if err != nil {
		return 0, err
	}
	c.s.UL = count + 1
	return count, nil
}

// VerifyServiceRequest checks as AcceptServiceRequest does and uses no COUNT.
func (c *Context) VerifyServiceRequest(pdu []byte) (Count, error) {
	r, err := ParseServiceRequest(pdu)
	if err != nil {
		return 0, err
	}
	if r.KSI != c.s.KSI&7 {
		return 0, fmt.Errorf("%w: KSI %d, context has %d", ErrMAC, r.KSI, c.s.KSI&7)
	}
	return c.check(c.s.UL, Count(r.Sequence), shortSequenceBits, func(count Count) bool {
		m := c.mac.MAC(uint32(count), 0, Uplink, pdu[:2])
		return subtle.ConstantTimeCompare(m[2:], r.MAC[:]) == 1
	})
}
