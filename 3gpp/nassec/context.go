package nassec

import (
	"crypto/subtle"
	"errors"
	"fmt"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/secret"
)

// Errors of a security context. Test with errors.Is.
var (
	ErrShort          = errors.New("nassec: message too short")
	ErrHeader         = errors.New("nassec: not a security protected EPS mobility management message")
	ErrMAC            = errors.New("nassec: message authentication code does not verify")
	ErrReplay         = errors.New("nassec: replayed message: its COUNT was accepted before")
	ErrCountExhausted = errors.New("nassec: NAS COUNT is used up: a new K_ASME is needed")
	ErrNoKey          = errors.New("nassec: K_ASME is all zeros: none was put there")
	ErrNullIntegrity  = errors.New("nassec: EIA0 without explicit permission")
	ErrNoCommon       = errors.New("nassec: no algorithm that phone and network both allow")
)

// Role tells which side of the context this is.
type Role uint8

// Roles.
const (
	Network Role = iota // the MME: sends downlink
	Phone               // the UE: sends uplink
)

// Count is a 24-bit NAS COUNT: overflow (16 bits) and sequence number (8 bits)
// (TS 24.301 §4.4.3.1).
type Count uint32

// MaxCount is the last usable COUNT.
const MaxCount Count = 1<<24 - 1

// Sequence gives the eight bits that a message carries.
func (c Count) Sequence() uint8 { return uint8(c) }

// Overflow gives the sixteen bits above.
func (c Count) Overflow() uint16 { return uint16(c >> 8) }

// State is a whole context: what New takes and a store keeps. The key prints
// as "[redacted]".
//
// Counts name the next value, so that a store may run ahead: persist State with
// the sending count raised by n, send at most n messages, persist again. After a
// restart the count jumps to the mark; the receiver bridges a jump of at most
// 255, all jumps since its last accepted message summed, because it sees eight
// bits. The receiving count must be on disk before an answer to the message
// leaves.
type State struct {
	Role               Role
	KSI                uint8 // key set identifier, 0..6; bit 3 set for a mapped context
	KASME              secret.Key256
	EEA                EEA
	EIA                EIA
	UL, DL             Count // the next COUNT of that direction to use or to accept; MaxCount+1 is exhausted
	AllowNullIntegrity bool  // EIA0 is permitted (unauthenticated emergency attach only, TS 33.401 §15.2.2)
}

// Context is an EPS NAS security context with its keys derived and expanded.
// It belongs to one goroutine.
type Context struct {
	s   State
	enc *Cipher
	mac *Integrity
}

// Format hides the keys under every verb: fmt would print them out of fields
// that are not exported.
func (Context) Format(f fmt.State, _ rune) { fmt.Fprint(f, "[redacted]") }

// New derives the NAS keys and makes a context. ErrNullIntegrity for EIA0 that
// is not allowed, ErrNoKey for a K_ASME of zeros with another one, ErrAlgorithm
// for an unknown algorithm, ErrCountExhausted for a count beyond 24 bits.
func New(s State) (*Context, error) {
	if s.EIA == EIA0 && !s.AllowNullIntegrity {
		return nil, ErrNullIntegrity
	}
	if s.UL > MaxCount+1 || s.DL > MaxCount+1 {
		return nil, fmt.Errorf("%w: UL %#x, DL %#x", ErrCountExhausted, uint32(s.UL), uint32(s.DL))
	}
	enc, err := NewCipher(s.EEA, aka.AlgorithmKey(s.KASME, aka.NASEnc, uint8(s.EEA)))
	if err != nil {
		return nil, err
	}
	mac, err := NewIntegrity(s.EIA, aka.AlgorithmKey(s.KASME, aka.NASInt, uint8(s.EIA)))
	if err != nil {
		return nil, err
	}
	if s.EIA != EIA0 && s.KASME.Equal(secret.Key256{}) {
		return nil, ErrNoKey
	}
	return &Context{s: s, enc: enc, mac: mac}, nil
}

// State gives a copy of everything, key included, for a store or for a second
// context with other algorithms on the same counts (TS 24.301 §4.4.3.1).
func (c *Context) State() State { return c.s }

// KSI gives the key set identifier.
func (c *Context) KSI() uint8 { return c.s.KSI }

// Algorithms gives the chosen algorithms.
func (c *Context) Algorithms() (EEA, EIA) { return c.s.EEA, c.s.EIA }

// UL gives the next uplink COUNT: for the network the lowest it will accept.
func (c *Context) UL() Count { return c.s.UL }

// DL gives the next downlink COUNT: for the phone the lowest it will accept.
func (c *Context) DL() Count { return c.s.DL }

// NearWrap reports that a direction has fewer than margin counts left: time for
// a new authentication (TS 24.301 §4.4.3.5).
func (c *Context) NearWrap(margin Count) bool {
	return max(c.s.UL, c.s.DL)+margin > MaxCount
}

func (c *Context) sending() (*Count, Direction) {
	if c.s.Role == Network {
		return &c.s.DL, Downlink
	}
	return &c.s.UL, Uplink
}

func (c *Context) receiving() (*Count, Direction) {
	if c.s.Role == Network {
		return &c.s.UL, Uplink
	}
	return &c.s.DL, Downlink
}

// Protect appends the protected form of a plain NAS message to dst and uses one
// COUNT: security header, MAC, sequence number, message (TS 24.301 §4.4.3.3,
// §9.1). Header types 2 and 4 cipher the message. plain must not overlap what
// is appended. Without room in dst it allocates.
func (c *Context) Protect(dst []byte, h HeaderType, plain []byte) ([]byte, error) {
	if h < IntegrityProtected || h > CipheredNewContext {
		return dst, fmt.Errorf("%w: cannot build header type %d", ErrHeader, h)
	}
	next, dir := c.sending()
	if *next > MaxCount {
		return dst, ErrCountExhausted
	}
	count := uint32(*next)
	at := len(dst)
	dst = append(dst, byte(h)<<4|pdEMM, 0, 0, 0, 0, byte(count))
	dst = append(dst, plain...)
	body := dst[at+headerLen-1:]
	if h.Ciphered() {
		c.enc.Apply(count, 0, dir, body[1:])
	}
	m := c.mac.MAC(count, 0, dir, body)
	copy(dst[at+1:], m[:])
	*next++
	return dst, nil
}

// Received is a message whose protection has been checked.
type Received struct {
	Type  HeaderType
	Count Count  // the COUNT it was sent with
	Plain []byte // the plain NAS message
}

// Unprotect checks a protected message and appends its plain form to dst;
// pdu[:0] as dst works in place. Its COUNT becomes used. On an error nothing
// has changed. ErrMAC, ErrReplay, ErrShort, ErrHeader or ErrCountExhausted.
//
// It does not judge whether a header type suits the message or the moment; the
// code does not cover the type, so that on its way it may have become another.
func (c *Context) Unprotect(dst, pdu []byte) (Received, error) {
	h, err := ParseHeader(pdu)
	if err != nil {
		return Received{}, err
	}
	count, err := c.verify(h, pdu)
	if err != nil {
		return Received{}, err
	}
	next, dir := c.receiving()
	*next = count + 1
	at := len(dst)
	dst = append(dst, h.Payload...)
	if h.Type.Ciphered() {
		c.enc.Apply(uint32(count), 0, dir, dst[at:])
	}
	return Received{Type: h.Type, Count: count, Plain: dst[at:]}, nil
}

// Verify checks a protected message as Unprotect does and uses no COUNT.
func (c *Context) Verify(pdu []byte) (Count, error) {
	h, err := ParseHeader(pdu)
	if err != nil {
		return 0, err
	}
	return c.verify(h, pdu)
}

func (c *Context) verify(h Header, pdu []byte) (Count, error) {
	next, dir := c.receiving()
	return c.check(*next, Count(h.Sequence), 8, func(count Count) bool {
		m := c.mac.MAC(uint32(count), 0, dir, pdu[headerLen-1:])
		return subtle.ConstantTimeCompare(m[:], h.MAC[:]) == 1
	})
}

// check estimates the COUNT of which a message carries the low bits: the lowest
// not below next (TS 24.301 §4.4.3.2). If that does not verify, the value one
// period lower tells a replay from a forgery.
func (c *Context) check(next, low Count, width uint, valid func(Count) bool) (Count, error) {
	period := Count(1) << width
	count := next + (low-next)&(period-1)
	if count > MaxCount {
		return 0, ErrCountExhausted
	}
	if valid(count) {
		return count, nil
	}
	if count >= period && valid(count-period) {
		return 0, fmt.Errorf("%w: COUNT %#x, next is %#x", ErrReplay, uint32(count-period), uint32(next))
	}
	return 0, ErrMAC
}

// KeNB derives K_eNB from the uplink COUNT of the message that brought the
// phone to connected mode (TS 33.401 §7.2.6.1): Received.Count on the network's
// side, UL()-1 after sending on the phone's.
func (c *Context) KeNB(ul Count) secret.Key256 { return aka.KeNB(c.s.KASME, uint32(ul)) }

// NextHop is one link of the key chain of handovers (TS 33.401 §7.2.8.1).
type NextHop struct {
	NCC uint8         // next hop chaining counter, 0..7
	Key secret.Key256 // NH; for NCC 0 at the start of a chain, the initial K_eNB
}

// NextHop derives the following link: from {0, K_eNB} the first NH with NCC 1.
func (c *Context) NextHop(prev NextHop) NextHop {
	return NextHop{NCC: (prev.NCC + 1) & 7, Key: aka.NH(c.s.KASME, prev.Key)}
}
