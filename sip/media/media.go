// Package media carries the speech of calls: RTP and RTCP (RFC 3550) between the
// two legs of a call, each on ports of its own.
//
// It knows no SIP. Who signals opens a Session, writes Leg.Local into the
// descriptions it sends and tells each leg what its peer's description said
// (Leg.SetPeer); from then on packets flow, with payload types mapped and GSM full
// rate and G.711 turned into each other where the legs differ. What it reports
// are events (first packet, silence, digits) and counts.
//
// It is no conference bridge and plays no announcements, does no ICE and no
// DTLS, and it does not hold packets to smooth their arrival: that is the
// listener's, who knows when he plays them.
package media

import (
	"errors"
	"log/slog"
	"net/netip"
	"time"
)

// Options of a Relay.
type Options struct {
	// Address is where sockets are bound when a session names no other; what is
	// unspecified (0.0.0.0) is refused, for answers would come from anywhere.
	Address netip.Addr
	// Announce says what the world calls an address of ours that is behind a NAT.
	Announce map[netip.Addr]netip.Addr
	// Low and High bound the UDP ports, both included; each leg takes an even one
	// for RTP and the next for RTCP. Both zero: 30000 to 39999.
	Low, High uint16
	// Silence is how long a leg may send nothing before Silent is reported; 0: 30 s.
	Silence time.Duration
	// Rate bounds the packets a second that are read of one leg; what goes beyond
	// stays in the kernel, which drops it. 0: 400.
	Rate int
	// Loops is how many threads carry packets; a session stays with one. 0: 1.
	Loops int
	// Log hears of what an operator would want to know. nil: nobody.
	Log *slog.Logger
}

// ErrPorts says that no port of the configured range is free.
var ErrPorts = errors.New("media: every port of the range is taken: widen media ports, or end calls")

// ErrClosed says that the session or relay has ended.
var ErrClosed = errors.New("media: closed")

// ErrFormats says that what the two legs speak has nothing in common and cannot
// be turned into each other (488, RFC 3261 §21.4.26).
var ErrFormats = errors.New("media: no common format")

// ErrNoEvents says that the peer takes no telephone events (RFC 4733): send the
// digit by INFO.
var ErrNoEvents = errors.New("media: the peer takes no telephone events")

// Direction is what a peer's description says of itself (RFC 8866 §6.7).
type Direction uint8

// Directions, as the peer sees them.
const (
	SendRecv Direction = iota // sends and receives
	SendOnly                  // sends, and is not to be sent anything: we are on hold
	RecvOnly                  // will send nothing: no silence is reported
	Inactive                  // neither
)

// Peer is what a peer's description and signalling have said.
type Peer struct {
	// Addr is where it receives (c= and m=). Not valid or unspecified: nothing is sent.
	Addr netip.AddrPort
	// RTCP is where it receives RTCP (a=rtcp, RFC 3605); not valid: the next port.
	RTCP netip.AddrPort
	// Mux: RTCP comes and goes on the port of RTP (RFC 5761), agreed by both.
	Mux bool
	// Signalling is the address its requests come from. Where Addr cannot be reached
	// from here (private, and not this address), packets from this one are taken.
	Signalling netip.Addr
	// Receives are the formats it takes, best first, under its numbers.
	Receives []Format
	// Sends are the formats it may send, under the numbers our description to it
	// gave; nil: the same as Receives.
	Sends []Format
	// Direction is what its description says.
	Direction Direction
	// Encrypt is the key of our description, Decrypt that of the peer's; both or
	// neither (RFC 4568).
	Encrypt, Decrypt *Crypto
}

// EventKind says what an Event is.
type EventKind uint8

// Kinds of events.
const (
	Started EventKind = iota + 1 // the first packet of a leg since SetPeer
	Silent                       // nothing has come from a leg for Options.Silence
	Resumed                      // something has, after that
	Digit                        // a digit by RFC 4733, at its end
)

// Event is told on Session.Events.
type Event struct {
	Leg      int // 0 or 1: which leg it came from
	Kind     EventKind
	Digit    byte          // of Digit: 0-9 * # A-D
	Duration time.Duration // of Digit
}
