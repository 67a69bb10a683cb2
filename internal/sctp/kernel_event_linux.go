package sctp

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// kernelEventType is the type of a notification of RFC 6458 §6.1, with Linux's numbers.
type kernelEventType uint16

const (
	kernelAssocChange     kernelEventType = 0x8001
	kernelPeerAddrChange  kernelEventType = 0x8002
	kernelSendFailed      kernelEventType = 0x8003
	kernelRemoteError     kernelEventType = 0x8004
	kernelShutdownEvent   kernelEventType = 0x8005
	kernelPartialDelivery kernelEventType = 0x8006
)

// States of an association change (RFC 6458 §6.1.1) and of a peer's address (§6.1.2).
const (
	kernelCommUp       = 0
	kernelCommLost     = 1
	kernelRestart      = 2
	kernelShutdownComp = 3
	kernelCantStart    = 4

	kernelAddrAvailable   = 0
	kernelAddrUnreachable = 1
)

// kernelEvent is a notification, read.
type kernelEvent struct {
	typ     kernelEventType
	state   uint32     // of an association or address change
	out, in uint16     // streams, of an association change
	addr    netip.Addr // of an address change
	cause   Cause      // of an association change or remote error, as the peer sent it; 0 when it sent none
	reason  string     // its text
	causes  bool       // an ABORT's causes were there
}

// parseKernelEvent reads a notification; false if it is shorter than its type says.
func parseKernelEvent(b []byte) (ev kernelEvent, ok bool) {
	ne := binary.NativeEndian
	if len(b) < 8 {
		return ev, false
	}
	ev.typ = kernelEventType(ne.Uint16(b))
	switch ev.typ {
	case kernelAssocChange:
		if len(b) < 20 {
			return ev, false
		}
		ev.state, ev.out, ev.in = uint32(ne.Uint16(b[8:])), ne.Uint16(b[12:]), ne.Uint16(b[14:])
		if ev.state == kernelCommLost || ev.state == kernelCantStart {
			ev.cause, ev.reason, ev.causes = parseCauses(b[20:])
		}
	case kernelPeerAddrChange:
		if len(b) < 144 {
			return ev, false
		}
		ev.state, ev.addr = ne.Uint32(b[136:]), sockaddrIP(b[8:36])
	case kernelRemoteError:
		if len(b) < 16 {
			return ev, false
		}
		ev.cause = Cause(binary.BigEndian.Uint16(b[8:]))
	}
	return ev, true
}

// parseCauses reads the first cause of an ABORT (RFC 9260 §3.3.10).
func parseCauses(b []byte) (c Cause, reason string, ok bool) {
	if len(b) < chunkHeader {
		return 0, "", false
	}
	c = Cause(binary.BigEndian.Uint16(b))
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < chunkHeader || n > len(b) {
		return c, "", true
	}
	if c == CauseUserAbort || c == CauseProtocolViolation {
		reason = string(b[chunkHeader:n])
	}
	return c, reason, true
}

func sockaddrIP(b []byte) netip.Addr {
	switch binary.NativeEndian.Uint16(b) {
	case unix.AF_INET:
		return netip.AddrFrom4([4]byte(b[4:]))
	case unix.AF_INET6:
		return netip.AddrFrom16([16]byte(b[8:])).Unmap()
	}
	return netip.Addr{}
}
