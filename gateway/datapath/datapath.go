// Package datapath says what a gateway wants of the machine that moves its
// packets: bearers put in and taken out, exact counts, quotas that are never
// overshot, and the few events the control plane must hear of. Back ends are
// the folders below (userspace: sockets and a TUN device or netstack); dptest
// has the conformance suite that every one of them passes.
//
// It decides nothing: which bearer belongs to whom, what a session may cost
// and when a phone is paged is the gateway's affair.
package datapath

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"campanile.network/3gpp/id"
)

// SessionID is the gateway's number for a PDN session; its bearers share one
// quota.
type SessionID uint64

// Tunnel is an eNB's end of S1-U. The zero Tunnel is none: the phone is idle
// and downlink packets are buffered.
type Tunnel struct {
	Peer netip.Addr
	TEID id.TEID
}

// Active says that there is a tunnel.
func (t Tunnel) Active() bool { return t.Peer.IsValid() }

// Bearer is one EPS bearer as packets see it.
type Bearer struct {
	TEID    id.TEID // the gateway's end; a TEIDs value made it
	Session SessionID
	UE      netip.Addr // source of uplink, destination of downlink packets
	Tunnel  Tunnel
}

// Count is what a bearer has carried since it was put: inner IP octets with
// header, and packets. Uplink counts the IP packets that arrived within the
// quota, whatever became of them here; downlink what was sent to the eNB.
type Count struct {
	ULOctets, ULPackets uint64
	DLOctets, DLPackets uint64
}

// Sub gives c less the earlier d.
func (c Count) Sub(d Count) Count {
	return Count{c.ULOctets - d.ULOctets, c.ULPackets - d.ULPackets, c.DLOctets - d.DLOctets, c.DLPackets - d.DLPackets}
}

// Octets is both directions together.
func (c Count) Octets() uint64 { return c.ULOctets + c.DLOctets }

// NoQuota is a quota that is never reached.
const NoQuota = ^uint64(0)

// Errors of Path's methods.
var (
	ErrUnknown = errors.New("datapath: no such bearer")
	ErrTaken   = errors.New("datapath: TEID slot or UE address is taken")
	ErrSlot    = errors.New("datapath: TEID slot is beyond the table")
)

// Path moves packets. Its methods are safe for concurrent use and do not wait
// for the network.
type Path interface {
	// PutBearer makes b live. Errors: ErrTaken, ErrSlot.
	PutBearer(b Bearer) error
	// UpdateBearer gives the bearer another tunnel, or none, and returns the
	// count at that instant: whatever is counted later went by the new tunnel.
	// Packets buffered while idle are sent first; an active tunnel that is
	// replaced gets an End Marker (TS 29.281 §7.3.2).
	UpdateBearer(teid id.TEID, t Tunnel) (Count, error)
	// RemoveBearer ends the bearer; the count is final. A session's quota goes
	// with its last bearer.
	RemoveBearer(teid id.TEID) (Count, error)
	// DropBuffered throws away what waits for an idle phone. When DownlinkData is
	// told again is as if the packets were still there.
	DropBuffered(teid id.TEID) error
	// Usage reads the count so far.
	Usage(teid id.TEID) (Count, error)
	// SetQuota bounds what the session's bearers may carry together from their
	// beginning, both directions, in octets. It is never overshot.
	SetQuota(s SessionID, octets uint64) error
	// Events are for one reader. A full channel loses no Kind for good: it is
	// told again while its reason lasts.
	Events() <-chan Event
	// Stats reads the counters.
	Stats() Stats
	// Serve moves packets until ctx ends; then it closes its sockets and ports,
	// and nothing it started is running.
	Serve(ctx context.Context) error
}

// Kind is a kind of event.
type Kind uint8

// The kinds.
const (
	DownlinkData    Kind = iota + 1 // a downlink packet came for an idle phone; at most every 10 s
	QuotaExhausted                  // the session's quota refused a packet
	ErrorIndication                 // the eNB does not know the tunnel; the bearer is idle now
	ReportDue                       // as many octets moved as Options ask a report for
)

func (k Kind) String() string {
	switch k {
	case DownlinkData:
		return "downlink data"
	case QuotaExhausted:
		return "quota exhausted"
	case ErrorIndication:
		return "error indication"
	case ReportDue:
		return "report due"
	}
	return fmt.Sprintf("event %d", uint8(k))
}

// Event is something the control plane must hear of.
type Event struct {
	Kind    Kind
	TEID    id.TEID
	Session SessionID
	Tunnel  Tunnel // of an ErrorIndication: the one the eNB does not know
}

// Drop is a reason for which a packet went no further.
type Drop uint8

// The reasons.
const (
	ULMalformed Drop = iota // no GTP-U message, or no whole IPv4 packet in it; counted if a whole IP packet
	ULUnknown               // no bearer has the TEID
	ULExtension             // an extension header that must be understood is not
	ULSpoofed               // the source is not the bearer's address; counted
	ULQuota                 // over quota
	ULPort                  // the packet network did not take it; counted
	DLMalformed             // no whole IPv4 packet
	DLUnknown               // no bearer has the destination
	DLQuota                 // over quota
	DLBuffer                // the idle phone's buffer is full, or was thrown away
	DLSend                  // the socket did not take it
	BadError                // error indication for no tunnel of its sender
	EventLost               // event channel full
	Drops
)

func (d Drop) String() string {
	return [...]string{"ul-malformed", "ul-unknown-teid", "ul-extension", "ul-spoofed", "ul-quota", "ul-port",
		"dl-malformed", "dl-unknown-destination", "dl-quota", "dl-buffer", "dl-send", "bad-error-indication", "event-lost"}[d]
}

// Stats are counts since the start.
type Stats struct {
	ULPackets, DLPackets uint64 // forwarded
	Bearers              int
	Buffered             int // packets waiting for idle phones
	Echoes               uint64
	EndMarkers           uint64 // received
	ErrorIndications     uint64 // sent
	Dropped              [Drops]uint64
}
