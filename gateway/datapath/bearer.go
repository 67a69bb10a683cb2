package datapath

import (
	"fmt"
	"net/netip"

	"campanile.network/3gpp/id"
)

// SessionID is the gateway's number for a PDN session; its bearers share
// addresses, a quota and an aggregate rate.
type SessionID uint64

// Rates bound octets of IP packets each way, in bit/s; 0 is no bound.
type Rates struct{ UL, DL uint64 }

// Session is a PDN connection as packets see it.
type Session struct {
	ID   SessionID
	IPv4 netip.Addr   // of the phone; zero: none
	IPv6 netip.Prefix // the phone's /64; zero: none
	// AMBR bounds together the bearers that have no MBR of their own
	// (TS 23.401 §4.7.3).
	AMBR Rates
	// Open sessions take downlink packets nobody of theirs asked for.
	Open bool
	// DNS are the name servers that router advertisements name (RFC 8106), instead
	// of the back end's own.
	DNS []netip.Addr
	// Beside is the TEID that the default bearer will have, where that is known: a
	// back end keeps their memory together if it can, which makes packets cheaper.
	Beside id.TEID
	// Resume goes on with what a back end that keeps counts has charged the session
	// before a restart; without it, or where there is nothing, it begins at 0.
	Resume bool
}

// Check says what is wrong with a session: ErrInvalid.
func (s Session) Check() error {
	switch {
	case s.IPv4.IsValid() && !s.IPv4.Is4():
		return fmt.Errorf("%w: session %d: %v is not an IPv4 address", ErrInvalid, s.ID, s.IPv4)
	case s.IPv6.IsValid() && (s.IPv6.Bits() != 64 || !s.IPv6.Addr().Is6() || s.IPv6.Addr().Is4In6() || s.IPv6.Masked() != s.IPv6):
		return fmt.Errorf("%w: session %d: %v is not an IPv6 /64", ErrInvalid, s.ID, s.IPv6)
	}
	return nil
}

// NoQuota is a quota that is never reached.
const NoQuota = ^uint64(0)

// Quota bounds what a session may carry from its beginning, both directions.
type Quota struct {
	// Octets is the bound.
	Octets uint64
	// Threshold is a count from which QuotaThreshold is told, once; 0: never.
	Threshold uint64
	// Redirect lets a session without quota reach what the back end's Options have
	// for that, and sends its web pages there; otherwise it reaches nothing.
	Redirect bool
}

// Tunnel is a peer's end of a GTP-U tunnel: an eNB's or another gateway's. The
// zero Tunnel is none: the phone is idle and downlink packets are buffered.
type Tunnel struct {
	Peer netip.Addr
	TEID id.TEID
}

// Active says that there is a tunnel.
func (t Tunnel) Active() bool { return t.Peer.IsValid() }

// Policy is what happens to a bearer's packets.
type Policy struct {
	// Filters choose the downlink packets of a dedicated bearer; the session's
	// default bearer takes what no filter takes (TS 23.060 §15.3.2).
	Filters []Filter
	// MBR bounds a bearer that has guaranteed rates; it is then outside the AMBR.
	MBR Rates
	// DSCP marks the outer header towards the peer; 0 to 63.
	DSCP uint8
	// Buffer is how many downlink packets wait for an idle phone at most; 0, or more
	// than the back end keeps for one: what that keeps.
	Buffer int
	// Suspended throws downlink packets away while there is no tunnel, and tells
	// nobody (TS 23.272 §6.2).
	Suspended bool
}

// plain are the policies that only mark, by DSCP.
var plain = func() (all [64]Policy) {
	for i := range all {
		all[i].DSCP = uint8(i)
	}
	return all
}()

// Kept is a policy to keep and not to change; most bearers have one that only
// marks, and share it.
func (p Policy) Kept() *Policy {
	if len(p.Filters) == 0 && p.MBR == (Rates{}) && p.Buffer == 0 && !p.Suspended && int(p.DSCP) < len(plain) {
		return &plain[p.DSCP]
	}
	own := p // p itself would be on the heap for all
	return &own
}

// Bearer is one EPS bearer as packets see it.
type Bearer struct {
	TEID    id.TEID // this end; a TEIDs value made it
	Session SessionID
	Default bool
	Tunnel  Tunnel
	Policy
	// Upstream is the PGW's end of S5/S8 where the session's PGW is elsewhere, and
	// UpstreamTEID this end of it, from the same TEIDs as TEID. The session has no
	// addresses then.
	Upstream     Tunnel
	UpstreamTEID id.TEID
	// Resume is as a Session's: the count of the same TEID goes on.
	Resume bool
}

// Check says what is wrong with a bearer: ErrInvalid.
func (b Bearer) Check() error {
	switch {
	case b.TEID == 0:
		return fmt.Errorf("%w: TEID 0", ErrSlot)
	case b.Upstream.Active() != (b.UpstreamTEID != 0):
		return fmt.Errorf("%w: bearer %v: an upstream tunnel has two ends", ErrInvalid, b.TEID)
	}
	return b.Policy.Check()
}

// Check says what is wrong with a policy: ErrInvalid.
func (p Policy) Check() error {
	if p.DSCP > 63 || len(p.Filters) > MaxFilters {
		return fmt.Errorf("%w: DSCP %d, %d filters: at most 63 and %d", ErrInvalid, p.DSCP, len(p.Filters), MaxFilters)
	}
	return nil
}

// Count is inner IP octets with header, and packets, since a bearer was put.
type Count struct {
	// Uplink handed to the packet network or the next gateway, and downlink handed
	// to the peer.
	ULOctets, ULPackets uint64
	DLOctets, DLPackets uint64
	// Uplink that arrived whole on the bearer, within the quota, and went no further:
	// it was over a rate, its source was not the phone's, its destination is closed to
	// phones, or the packet network refused it. The quota has been charged for it,
	// because the tower that brought it has counted it.
	LostOctets, LostPackets uint64
}

// Sub gives c less the earlier d.
func (c Count) Sub(d Count) Count {
	return Count{c.ULOctets - d.ULOctets, c.ULPackets - d.ULPackets, c.DLOctets - d.DLOctets, c.DLPackets - d.DLPackets,
		c.LostOctets - d.LostOctets, c.LostPackets - d.LostPackets}
}

// Add gives both together.
func (c Count) Add(d Count) Count {
	return Count{c.ULOctets + d.ULOctets, c.ULPackets + d.ULPackets, c.DLOctets + d.DLOctets, c.DLPackets + d.DLPackets,
		c.LostOctets + d.LostOctets, c.LostPackets + d.LostPackets}
}

// Octets is what has crossed S1-U: uplink, lost or not, and downlink.
func (c Count) Octets() uint64 { return c.ULOctets + c.LostOctets + c.DLOctets }

// Arrived is the uplink that came from the tower, lost or not.
func (c Count) Arrived() (octets, packets uint64) {
	return c.ULOctets + c.LostOctets, c.ULPackets + c.LostPackets
}

// Classes is how many classes of service are counted apart: those of Service,
// and 0 for the rest.
const Classes = 8

// Usage is a bearer's count, in all and by class of service. Where the back end
// has no services, Class is empty and all is of class 0.
type Usage struct {
	Count
	Class [Classes]Count
}

// Service is traffic that is counted apart.
type Service struct {
	Class   uint8          // 1 to Classes-1
	Remotes []netip.Prefix // where it is; at least one
	// Protocol of IP, 0: any; Ports of the remote, zero: any.
	Protocol uint8
	Ports    PortRange
	// Free traffic is not charged on the quota.
	Free bool
}

// Check says what is wrong with a service: ErrInvalid.
func (s Service) Check() error {
	if s.Class == 0 || s.Class >= Classes || len(s.Remotes) == 0 || s.Ports.Hi < s.Ports.Lo {
		return fmt.Errorf("%w: service of class %d, %d remotes, ports %v: want class 1 to %d, remotes, ports in order", ErrInvalid, s.Class, len(s.Remotes), s.Ports, Classes-1)
	}
	return nil
}
