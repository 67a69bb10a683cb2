package relay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"campanile.network/3gpp/gtpu"
)

// PacketConn is a bound UDP socket: *net.UDPConn, or an imitation in tests.
type PacketConn interface {
	ReadFromUDPAddrPort([]byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort([]byte, netip.AddrPort) (int, error)
	LocalAddr() net.Addr
	Close() error
}

// Side is one of the relay's two faces.
type Side uint8

// The faces.
const (
	Radio Side = iota // towards eNBs
	Core              // towards MME and gateways
)

func (s Side) String() string { return [...]string{"radio", "core"}[s&1] }

// Drop says why a user-plane packet was not relayed.
type Drop uint8

// The reasons.
const (
	Malformed      Drop = iota // no GTP-U message
	UnknownTunnel              // for no tunnel of ours; answered with an error indication
	WrongSource                // from an address that is not the tunnel's neighbour
	NotIP                      // G-PDU without a whole IP packet in it
	Closed                     // the allowance is used up
	Released                   // the tunnel has been released
	NoEnd                      // the other end is not known yet
	NotSent                    // the socket refused
	UnknownMessage             // a message type the relay has no use for
	drops
)

var dropNames = [drops]string{"malformed", "unknown-tunnel", "wrong-source", "not-ip", "closed", "released", "no-end", "not-sent", "unknown-message"}

func (d Drop) String() string {
	if d < drops {
		return dropNames[d]
	}
	return fmt.Sprintf("drop %d", uint8(d))
}

// Stats are the relay's counts since it was made.
type Stats struct {
	Octets   uint64          // inner IP octets relayed, both directions: what the allowance is spent on
	Packets  uint64          // user packets relayed, both directions
	Dropped  map[Drop]uint64 // packets
	ENBs     int             // associations of eNBs
	UEs      int             // contexts with bearers
	Tunnels  int
	Refused  uint64 // messages about tunnels the relay has answered in the other end's stead, for want of room or an address
	Verbatim uint64 // S1AP messages passed on that were not understood and name no tunnels
	Broken   uint64 // S1AP messages about tunnels that were not understood: answered, not passed on

	NoSetup    uint64 // associations of eNBs that did not begin with S1 Setup: shut down
	SentAway   uint64 // associations of eNBs that were shut down because the MME was not reached
	CoreEnded  uint64 // associations to the MME that ended before their eNB's
	NotReached string // why the MME was not reached when an eNB last asked for it; "" when it was
}

// userPlane is what the packet path shares.
type userPlane struct {
	table     *table
	conn      [2]PacketConn
	addr      [2]netip.Addr              // of the sockets
	announced atomic.Pointer[netip.Addr] // to the core, instead of the socket's
	port      uint16                     // of the neighbours
	octets    atomic.Uint64
	allowed   atomic.Uint64
	packets   atomic.Uint64
	dropped   [drops]atomic.Uint64
	spent     chan struct{}
}

// maxDatagram is more than any GTP-U datagram over UDP.
const maxDatagram = 65536

// read relays what arrives on one side until its socket is closed.
func (u *userPlane) read(side Side) error {
	buf, scratch := make([]byte, maxDatagram), make([]byte, 0, 128)
	for {
		n, from, err := u.conn[side].ReadFromUDPAddrPort(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			var ne net.Error
			if errors.As(err, &ne) { // such as an ICMP error that came back
				continue
			}
			return fmt.Errorf("relay: %v side: GTP-U socket: %w", side, err)
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		u.packet(side, buf[:n], from, scratch)
	}
}

func (u *userPlane) drop(d Drop) { u.dropped[d].Add(1) }

// packet takes one datagram.
func (u *userPlane) packet(side Side, b []byte, from netip.AddrPort, scratch []byte) {
	m, err := gtpu.Parse(b)
	if err != nil {
		u.drop(Malformed)
		return
	}
	switch m.Type {
	case gtpu.GPDU:
		u.userPacket(side, b, &m, from, scratch)
	case gtpu.EndMarker:
		u.endMarker(side, b, &m, from)
	case gtpu.EchoRequest:
		u.write(side, gtpu.AppendEchoResponse(scratch[:0], m.Sequence), from)
	case gtpu.ErrorIndication:
		u.errorIndication(side, m, from, scratch)
	case gtpu.EchoResponse:
	default:
		u.drop(UnknownMessage)
	}
}

// userPacket relays a G-PDU (TS 29.281 §7.3.1 where its tunnel is unknown).
func (u *userPlane) userPacket(side Side, b []byte, m *gtpu.Message, from netip.AddrPort, scratch []byte) {
	n := u.table.find(side, m.TEID)
	if n == nil {
		u.drop(UnknownTunnel)
		if u.table.isPeer(from.Addr()) {
			u.write(side, gtpu.AppendErrorIndication(scratch[:0], m.TEID, u.face(side)), netip.AddrPortFrom(from.Addr(), u.port))
		}
		return
	}
	e := n.ends.Load()
	if !e.from(side, from.Addr()) {
		u.drop(WrongSource)
		return
	}
	to := e.to(side)
	octets, err := gtpu.InnerLen(m.Payload)
	switch {
	case err != nil:
		u.drop(NotIP)
		return
	case e.released && (side == Radio || e.count == nil):
		u.drop(Released)
		return
	case !to.addr.IsValid() && !e.released:
		u.drop(NoEnd)
		return
	}
	if e.count == nil {
		u.pass(side, b, to)
		return
	}
	if !u.spend(uint64(octets)) {
		u.drop(Closed)
		return
	}
	switch {
	case side == Core: // it has arrived, whatever becomes of it here
		e.count.dl.Add(uint64(octets))
		if e.released {
			u.drop(Released)
			return
		}
		u.pass(side, b, to)
	case u.pass(side, b, to):
		e.count.ul.Add(uint64(octets))
	default:
		u.octets.Add(-uint64(octets))
		return
	}
	u.packets.Add(1)
}

// spend takes octets off the allowance; false when there is not enough left.
func (u *userPlane) spend(octets uint64) bool {
	if u.octets.Add(octets) <= u.allowed.Load() {
		return true
	}
	u.octets.Add(-octets)
	select {
	case u.spent <- struct{}{}:
	default:
	}
	return false
}

// pass sends a datagram on with the neighbour's TEID in it and nothing behind
// its end.
func (u *userPlane) pass(side Side, b []byte, to end) bool {
	binary.BigEndian.PutUint32(b[4:], uint32(to.teid))
	n := gtpu.HeaderLen + int(binary.BigEndian.Uint16(b[2:]))
	return u.write(1-side, b[:n], netip.AddrPortFrom(to.addr, u.port))
}

func (u *userPlane) write(side Side, b []byte, to netip.AddrPort) bool {
	if _, err := u.conn[side].WriteToUDPAddrPort(b, to); err != nil {
		u.drop(NotSent)
		return false
	}
	return true
}

// endMarker passes an end marker through (TS 29.281 §7.3.2).
func (u *userPlane) endMarker(side Side, b []byte, m *gtpu.Message, from netip.AddrPort) {
	n := u.table.find(side, m.TEID)
	if n == nil {
		u.drop(UnknownTunnel)
		return
	}
	e := n.ends.Load()
	to := e.to(side)
	switch {
	case !e.from(side, from.Addr()):
		u.drop(WrongSource)
	case e.released:
		u.drop(Released)
	case !to.addr.IsValid():
		u.drop(NoEnd)
	default:
		u.pass(side, b, to)
		if side == Core && !e.forward { // the phone has left by X2, of which S1 tells its former eNB nothing (TS 23.401 §5.5.1.1.2)
			u.table.leave(n, time.Now())
		}
	}
}

// errorIndication tells the far side that its near neighbour does not know the
// tunnel: under the names the far side knows.
func (u *userPlane) errorIndication(side Side, m gtpu.Message, from netip.AddrPort, scratch []byte) {
	teid, peer, err := gtpu.ErrorIndicationOf(m)
	if err != nil {
		u.drop(Malformed)
		return
	}
	if !u.table.isPeer(from.Addr()) { // before all tunnels are looked at
		u.drop(WrongSource)
		return
	}
	n := u.table.behind(side, end{peer.Unmap(), teid})
	if n == nil {
		u.drop(UnknownTunnel)
		return
	}
	e := n.ends.Load()
	to, own := e.to(side), n.core
	if side == Core {
		own = n.radio
	}
	switch {
	case !e.from(side, from.Addr()):
		u.drop(WrongSource)
	case e.released:
		u.drop(Released)
	case !to.addr.IsValid():
		u.drop(NoEnd)
	default:
		u.write(1-side, gtpu.AppendErrorIndication(scratch[:0], own, u.face(1-side)), netip.AddrPortFrom(to.addr, u.port))
	}
}

// from says whether a packet that came in on a side may come from an address.
func (e *ends) from(side Side, a netip.Addr) bool {
	switch {
	case side == Core: // that of a path switch sends before its answer has said who it is
		return a == e.gateway.addr || e.forward || !e.gateway.addr.IsValid()
	case e.enb.addr.IsValid():
		return a == e.enb.addr
	}
	return a == e.source
}

// to is where a packet that came in on a side goes.
func (e *ends) to(side Side) end {
	if side == Core {
		return e.enb
	}
	return e.gateway
}

// own is the relay's own end of a tunnel as a neighbour on a side is told.
func (u *userPlane) own(side Side, n *tunnel) end {
	if side == Radio {
		return end{u.face(Radio), n.radio}
	}
	return end{u.face(Core), n.core}
}
