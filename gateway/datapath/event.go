package datapath

import (
	"fmt"

	"campanile.network/3gpp/id"
)

// Direction is that of a packet.
type Direction uint8

// The directions.
const (
	Downlink Direction = 1
	Uplink   Direction = 2
)

func (d Direction) String() string {
	switch d {
	case Downlink:
		return "downlink"
	case Uplink:
		return "uplink"
	}
	return fmt.Sprintf("direction %d", uint8(d))
}

// Kind is a kind of event.
type Kind uint8

// The kinds.
const (
	DownlinkData    Kind = iota + 1 // a downlink packet came for an idle phone; at most every 10 s
	QuotaExhausted                  // the session's quota refused a packet
	ErrorIndication                 // the peer does not know the tunnel; a bearer whose tower it is is idle now
	ReportDue                       // as many octets moved as Options ask a report for
	QuotaThreshold                  // the session has used what its quota's threshold says
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
	case QuotaThreshold:
		return "quota threshold"
	}
	return fmt.Sprintf("event %d", uint8(k))
}

// Event is something the control plane must hear of.
type Event struct {
	Kind    Kind
	TEID    id.TEID // of the bearer whose packet was the cause
	Session SessionID
	Tunnel  Tunnel // of an ErrorIndication: the one the peer does not know
}

// Drop is a reason for which a packet went no further.
type Drop uint8

// The reasons. "Lost" means that the packet is in its bearer's Count as lost.
const (
	ULMalformed   Drop = iota // no GTP-U message, or no whole IP packet in it; lost if a whole IP packet
	ULUnknown                 // no bearer has the TEID
	ULExtension               // an extension header that must be understood is not
	ULPeer                    // the sender is no tower or gateway of ours
	ULSpoofed                 // the source is not the phone's address; lost
	ULNested                  // a phone's packet for GTP-U itself; lost
	ULNeighbour               // a phone's packet for another phone, which is not allowed; lost
	ULPolice                  // over AMBR or MBR; lost
	ULQuota                   // over quota
	ULPort                    // the packet network did not take it; lost
	ULExpired                 // its hops are used up; lost
	DLMalformed               // no whole IP packet
	DLUnknown                 // no phone has the destination
	DLUnsolicited             // the phone has not asked for it
	DLNoBearer                // no filter takes it and there is no default bearer
	DLTooBig                  // too big for the tunnel and must not be fragmented
	DLPolice                  // over AMBR or MBR
	DLQuota                   // over quota
	DLBuffer                  // the idle phone's buffer is full, or was thrown away
	DLSend                    // the socket did not take it
	BadError                  // error indication for no tunnel of its sender
	ForwardSend               // the socket did not take what was to be forwarded
	EventLost                 // event channel full
	Drops
)

func (d Drop) String() string {
	return [...]string{"ul-malformed", "ul-unknown-teid", "ul-extension", "ul-peer", "ul-spoofed", "ul-nested", "ul-neighbour", "ul-police", "ul-quota", "ul-port", "ul-expired",
		"dl-malformed", "dl-unknown-destination", "dl-unsolicited", "dl-no-bearer", "dl-too-big", "dl-police", "dl-quota", "dl-buffer", "dl-send",
		"bad-error-indication", "forward-send", "event-lost"}[d]
}

// Stats are counts since the start.
type Stats struct {
	ULPackets, DLPackets uint64 // forwarded
	Sessions, Bearers    int
	Flows                int    // that phones have open
	Buffered             int    // packets waiting for idle phones
	Forwarded            uint64 // packets of indirect forwarding
	Redirected           uint64 // packets of phones without quota sent to the redirect
	Advertised           uint64 // router advertisements
	Echoes               uint64
	EndMarkers           uint64 // received
	ErrorIndications     uint64 // sent
	Dropped              [Drops]uint64
}
