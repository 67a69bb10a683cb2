package xdp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/userspace"
)

// Mode is where in the kernel the programs run.
type Mode uint8

// The modes.
const (
	Auto    Mode = iota // Native where it delivers, else Generic
	Native              // in the driver, before the kernel has made anything of a frame
	Generic             // behind the driver: on every device, several times the cost
)

func (m Mode) String() string {
	return [...]string{"auto", "native", "generic"}[m]
}

// Options for New.
type Options struct {
	// Towers and Network are the devices towards towers and towards the packet
	// network; they may be one.
	Towers, Network string
	// Mode; Auto.
	Mode Mode
	// Userspace is the slow path: a socket on the same address and a TUN device to
	// which the kernel routes what is for phones. Its Table and Flows are given here;
	// its Services, Towers, Neighbours and ReportOctets are held here too.
	Userspace userspace.Options
	// Pool is where most phones' IPv4 addresses are; the zero Prefix: none. Packets
	// cost least for those whose bearer's slot is their address's place in it
	// (datapath.TEIDs.AllocAt).
	Pool netip.Prefix
	// Translated says that the kernel translates phones' IPv4 addresses: IPv4 then
	// goes the slow way.
	Translated bool
	// Pin is a directory on a BPF file system where records and programs outlive the
	// process; empty: nothing does. A process that is killed leaves packets moving
	// and counted; the next one goes on with what it finds there.
	Pin string
	// Owner is told to others who find the pins: who has made them.
	Owner string
	// MaxFlows bounds what phones have open; the longest silent go first: 1<<18.
	MaxFlows int
	// MaxTowers bounds the peers that are reached the fast way: 4096.
	MaxTowers int
}

func (o *Options) defaults() error {
	if o.Towers == "" || o.Network == "" {
		return errors.New("xdp: Options name no devices")
	}
	if o.Userspace.Logger == nil || o.Userspace.Port == nil {
		return errors.New("xdp: Options.Userspace needs a Port and a Logger")
	}
	if o.Userspace.Table != nil || o.Userspace.Flows != nil {
		return errors.New("xdp: Options.Userspace has a Table or Flows: they are the kernel's")
	}
	u := &o.Userspace
	for v, normal := range map[*int]int{&u.MaxBearers: 1 << 16, &o.MaxFlows: 1 << 18, &o.MaxTowers: 4096} {
		if *v == 0 {
			*v = normal
		}
	}
	if u.MaxBearers < 1 || u.MaxBearers > 1<<datapath.SlotBits {
		return fmt.Errorf("xdp: MaxBearers %d: want 1 to %d", u.MaxBearers, 1<<datapath.SlotBits)
	}
	if o.Pool.IsValid() && (!o.Pool.Addr().Is4() || o.Pool.Bits() == 0) {
		return fmt.Errorf("xdp: Pool %v: want an IPv4 prefix of 1 to 32 bits", o.Pool)
	}
	if u.ReportOctets == 0 {
		u.ReportOctets = 256 << 10
	}
	return nil
}

// pool gives the first address of the pool, and how many of it have a slot of their
// number.
func (o *Options) pool() (first, n uint32) {
	if !o.Pool.IsValid() {
		return 0, 0
	}
	return binary.BigEndian.Uint32(o.Pool.Masked().Addr().AsSlice()), uint32(min(1<<(32-o.Pool.Bits()), o.Userspace.MaxBearers))
}

// locals are this side's addresses of GTP-U.
func (o *Options) locals() (v4, v6 netip.Addr) {
	for _, x := range []struct {
		c userspace.PacketConn
		a netip.AddrPort
	}{{o.Userspace.Conn, o.Userspace.Local}, {o.Userspace.Conn6, o.Userspace.Local6}} {
		a := x.a.Addr()
		if x.c != nil {
			if u, ok := x.c.LocalAddr().(*net.UDPAddr); ok {
				a = u.AddrPort().Addr().Unmap()
			}
		}
		switch {
		case a.Is4():
			v4 = a
		case a.IsValid():
			v6 = a
		}
	}
	return v4, v6
}

// Device is a network device of this machine.
type Device struct {
	Name string
	Kind string // as the kernel names it: "veth", "bridge", "device" for hardware
}

// Fast is what the programs alone have done.
type Fast struct {
	Mode               Mode
	ULPackets          uint64 // forwarded
	DLPackets          uint64
	ULPassed, DLPassed uint64 // left to the slow path
	Sent, Refused      uint64 // by drivers, of redirected frames; Native only
	Unmatched          uint64 // reports of drivers that fit no packet: 0, unless the kernel keeps some from tracing programs
}
