// Package datapath says what a gateway wants of the machine that moves its
// packets: sessions and bearers put in and taken out, exact counts, rates and
// quotas that are never overshot, and the few events the control plane must
// hear of. Back ends are the folders below (userspace: sockets and a TUN device
// or netstack; xdp: the kernel's driver path); table has the memory both charge,
// dptest the conformance suite that every one of them passes.
//
// It decides nothing: which bearer belongs to whom, what a session may cost
// and when a phone is paged is the gateway's affair.
package datapath

import (
	"context"
	"errors"

	"campanile.network/3gpp/id"
)

// Errors of Path's methods.
var (
	ErrUnknown = errors.New("datapath: no such bearer")
	ErrTaken   = errors.New("datapath: session, TEID slot, UE address or default bearer is taken")
	ErrSlot    = errors.New("datapath: TEID slot is beyond the table")
	ErrBusy    = errors.New("datapath: session still has bearers")
	ErrInvalid = errors.New("datapath: not a valid session or bearer")
)

// Path moves packets. Its methods are safe for concurrent use and do not wait
// for the network.
type Path interface {
	// PutSession makes a session known; its bearers follow. Errors: ErrTaken,
	// ErrSlot, ErrInvalid.
	PutSession(s Session) error
	// UpdateSession changes AMBR and Open; addresses stay as they are.
	UpdateSession(s Session) error
	// RemoveSession ends a session without bearers: ErrBusy, ErrUnknown.
	RemoveSession(s SessionID) error
	// SetQuota bounds what the session's bearers may carry together. It is never
	// overshot.
	SetQuota(s SessionID, q Quota) error
	// Charged is how many octets of its quota a session has used: what its bearers
	// have carried and lost, without what was free.
	Charged(s SessionID) (uint64, error)

	// PutBearer makes b live. Errors: ErrTaken, ErrSlot, ErrInvalid, and ErrUnknown
	// for its session.
	PutBearer(b Bearer) error
	// UpdateBearer gives the bearer another tunnel, or none, and returns the
	// count at that instant: whatever is counted later went by the new tunnel.
	// Packets buffered while idle are sent first; an active tunnel that is
	// replaced gets an End Marker (TS 29.281 §7.3.2).
	UpdateBearer(teid id.TEID, t Tunnel) (Usage, error)
	// UpdatePolicy changes filters, rates and marking between two packets.
	UpdatePolicy(teid id.TEID, p Policy) error
	// RemoveBearer ends the bearer; the count is final.
	RemoveBearer(teid id.TEID) (Usage, error)
	// DropBuffered throws away what waits for an idle phone. When DownlinkData is
	// told again is as if the packets were still there.
	DropBuffered(teid id.TEID) error
	// Usage reads the count so far.
	Usage(teid id.TEID) (Usage, error)
	// Capture has to called with every packet the bearer is charged for until it is
	// set to nil; to must neither block nor keep the packet.
	Capture(teid id.TEID, to func(d Direction, packet []byte)) error

	// PutForward sends what arrives for teid on to another tunnel, end markers
	// included, without counting: indirect forwarding (TS 23.401 §5.5.1.2.3). A
	// forward that exists gets the new tunnel. Errors: ErrTaken, ErrSlot,
	// ErrInvalid.
	PutForward(teid id.TEID, to Tunnel) error
	// RemoveForward ends it: ErrUnknown.
	RemoveForward(teid id.TEID) error

	// Events are for one reader. A full channel loses no Kind for good: it is
	// told again while its reason lasts.
	Events() <-chan Event
	// Stats reads the counters.
	Stats() Stats
	// Serve moves packets until ctx ends; then it closes its sockets and ports,
	// and nothing it started is running.
	Serve(ctx context.Context) error
}
