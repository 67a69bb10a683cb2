package xdp

import (
	"encoding/binary"
	"net/netip"
)

// The records of bpf/records.h; TestLayout compares them with the object's own
// types. Addresses and the peer's TEID are octets as in a packet.

type policy struct {
	TEID     uint32
	Session  uint32
	Flags    uint32
	Hop      uint32
	UE4      [4]byte
	PeerTEID [4]byte
	UE6      [8]byte
	Peer     [16]byte
	Epoch    uint32
	TOS      uint8
	_        [3]byte
	Phone    uint32 // who has this address of the pool: slot plus one
	_        uint32
}

const (
	slowUp = 1 << iota
	slowDown
	peer6
	metered
	closed
	filtered
	outPass
	behindNAT
	lost
)

type count struct{ ULOctets, ULPackets, DLOctets, DLPackets uint64 }

type hop struct {
	Device uint32 // plus one
	MTU    uint32
	DMAC   uint64
	SMAC   uint64
	_      uint64
}

const (
	maxDevices = 8
	maxNear    = 16
	maxFilters = 16
	services4  = 4 // services of one remote
	noBearer   = ^uint32(0)
)

type routing struct {
	Hop4, Hop6     uint32 // plus one
	Near4s, Near6s uint32
	Near4          [maxNear][2][4]byte
	Near6          [maxNear][2][8]byte
	Ifindex        [maxDevices]uint32
	MAC            [maxDevices]uint64
}

type flowKey struct {
	Remote                [16]byte
	Session, Epoch        uint32
	RemotePort, LocalPort uint16
	Protocol, Family      uint8
	_                     [2]byte
}

type flowState struct {
	Last uint64
	Bits uint32
	_    uint32
}

const (
	answered = 1
	closing  = 2
)

type filter struct {
	Slot                                       uint32
	Family, Protocol, TOS, TOSMask             uint8
	RemoteLow, RemoteHigh, LocalLow, LocalHigh uint16
	SPI, Label, Has                            uint32
	Remote, Mask                               [16]byte
	_                                          uint32
}

const (
	hasProtocol = 1 << iota
	hasPorts
	hasSPI
	hasLabel
)

type filters struct {
	N, Otherwise uint32
	Filter       [maxFilters]filter
}

type remote struct {
	Bits    uint32
	Address [16]byte
}

type service struct {
	Low, High             uint16
	Protocol, Class, Free uint8
	_                     uint8
}

type serviceSet [services4]service

// The reasons of the programs' counters.
const (
	_ = iota
	ulMalformed
	ulSpoofed
	ulNeighbour
	ulNested
	ulQuota
	ulRate
	ulFlows
	ulRefused
	dlQuota
	dlRate
	dlUnsolicited
	dlFilter
	dlTunnelled
	dlRefused
	passUp
	passDown
	desync
	reasons
)

type counters struct {
	Up, Down     uint64
	Reason       [reasons]uint64
	Sent, Failed [maxDevices]uint64
}

type event struct{ Session, Kind uint32 }

const (
	eventCrossed = 1
	eventQuota   = 2
)

// mapped gives an address as IPv6 has it.
func mapped(a netip.Addr) [16]byte { return a.As16() }

func first8(a netip.Addr) [8]byte {
	b := a.As16()
	return [8]byte(b[:8])
}

// macWord is six octets as they lie in a frame.
func macWord(m []byte) uint64 {
	var b [8]byte
	copy(b[:6], m)
	return binary.LittleEndian.Uint64(b[:])
}
