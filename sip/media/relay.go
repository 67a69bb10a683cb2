package media

import (
	"context"
	"net/netip"
	"time"
)

// Relay holds the ports and carries the packets of all sessions.
type Relay struct{ o Options }

// New makes a relay; it reads nothing before Serve.
func New(o Options) (*Relay, error) { return &Relay{o: o}, nil }

// Serve carries packets until ctx ends, then closes every session.
func (r *Relay) Serve(ctx context.Context) error { <-ctx.Done(); return nil }

// Session opens two legs with ports of their own. Each leg's socket is bound to
// its address of local; one that is not valid is Options.Address. It fails with
// ErrPorts, ErrClosed or the system's error.
func (r *Relay) Session(local [2]netip.Addr) (*Session, error) { return nil, ErrPorts }

// Stats says what all sessions together have carried.
func (r *Relay) Stats() Stats { return Stats{} }

// Session is one call: two legs.
type Session struct{}

// Leg gives leg 0 or 1.
func (s *Session) Leg(i int) *Leg { return nil }

// Events tells what happens. It holds 32; digits beyond are counted as dropped,
// the other kinds wait. It is closed with the session.
func (s *Session) Events() <-chan Event { return nil }

// Close gives the ports back. Packets under way are dropped. Closing twice is
// closing once.
func (s *Session) Close() {}

// Leg is one side of a call.
type Leg struct{}

// Local is where the peer is to send RTP, as the peer's side of the world calls
// it; RTCP is the next port, or the same where RFC 5761 is agreed.
func (l *Leg) Local() netip.AddrPort { return netip.AddrPort{} }

// SetPeer says what the newest description of the peer has said: at once, and
// again after each that is agreed. Where the address changes, what was learned
// of the old one is forgotten; the stream to the other leg goes on without a
// break, whoever sends now.
func (l *Leg) SetPeer(p Peer) error { return nil }

// SendDigit sends the peer a digit (0-9 * # A-D) as telephone events (RFC 4733 §2.5).
// It takes its time: up to 32 digits wait for the one before. Speech to the peer
// pauses meanwhile. Durations are bounded to 40 ms .. 5 s; 0 is 160 ms.
func (l *Leg) SendDigit(digit byte, d time.Duration) error { return nil }

// Stats says what the leg has carried.
func (l *Leg) Stats() LegStats { return LegStats{} }
