package sctp

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"
)

// Transport names what carries SCTP packets.
type Transport string

// The transports. Auto takes the kernel's SCTP where there is one and otherwise SCTP in UDP; raw only comes when asked for, since two raw
// stacks on one address abort each other's associations.
const (
	TransportAuto   Transport = "auto"
	TransportKernel Transport = "kernel" // the operating system's SCTP
	TransportRaw    Transport = "raw"    // our SCTP in IP packets of protocol 132: plain SCTP to the peer; needs CAP_NET_RAW
	TransportUDP    Transport = "udp"    // our SCTP in UDP (RFC 6951); needs nothing, but the peer must speak it too
)

// OpenOptions make an endpoint of any transport. Only Local is required.
type OpenOptions struct {
	Transport       Transport    // empty means auto
	Local           []netip.Addr // own addresses, specific ones, the first is primary; more than one only with the kernel
	EncapPort       uint16       // own UDP port of TransportUDP, 0 means 9899
	RemoteEncapPort uint16       // UDP port of peers dialled over TransportUDP, 0 means 9899; DialOptions may say otherwise
	OutStreams      uint16       // offered, 0 means 16
	InStreams       uint16       // accepted, 0 means 2048
	SendBuffer      int          // bytes a Send may leave unacknowledged, 0 means 256 KiB
	ReceiveBuffer   int          // bytes of the advertised window, 0 means 256 KiB
	MaxMessage      int          // bytes of the longest message sent or received, 0 means 128 KiB
	Backlog         int          // associations waiting for Accept, 0 means 128
	CloseTimeout    time.Duration
	Timers          Timers
	Logger          *slog.Logger // nil discards
}

// Choice is what Open took. Why says what it is and why it was taken, for a log line or a
// console.
type Choice struct {
	Transport Transport
	Why       string
}

// Open makes an endpoint over the transport asked for, or chosen. Its error names what was missing and what to do about it.
func Open(o OpenOptions) (Endpoint, Choice, error) {
	c, err := choose(o.Transport, KernelAvailable)
	if err != nil {
		return nil, Choice{}, err
	}
	switch {
	case len(o.Local) == 0:
		return nil, c, fmt.Errorf("sctp: no local address given: transport %s needs the address that peers know", c.Transport)
	case len(o.Local) > 1 && c.Transport != TransportKernel:
		return nil, c, fmt.Errorf("sctp: %d local addresses %v, but transport %s takes one: only the kernel's SCTP is multi-homed (%s)",
			len(o.Local), o.Local, c.Transport, c.Why)
	}
	var e Endpoint
	switch c.Transport {
	case TransportKernel:
		e, err = openKernel(o)
	case TransportRaw:
		e, err = endpointOrNil(NewRaw(o.userspace(0)))
	default:
		def(&o.EncapPort, DefaultEncapPort)
		e, err = endpointOrNil(NewUDP(o.userspace(o.EncapPort)))
	}
	return e, c, err
}

// endpointOrNil keeps a nil pointer from becoming an Endpoint that is not nil.
func endpointOrNil(e *Userspace, err error) (Endpoint, error) {
	if err != nil {
		return nil, err
	}
	return e, nil
}

// choose decides the transport; kernel says what the operating system lacks, or nil.
func choose(t Transport, kernel func() error) (Choice, error) {
	switch t {
	case TransportKernel:
		return Choice{t, "this kernel's SCTP, as configured"}, nil
	case TransportRaw:
		return Choice{t, "SCTP of this process (IP protocol 132), as configured"}, nil
	case TransportUDP:
		return Choice{t, "SCTP in UDP (RFC 6951), as configured; the other end has to do the same"}, nil
	case TransportAuto, "":
		if err := kernel(); err != nil {
			return Choice{TransportUDP, fmt.Sprintf(
				"SCTP in UDP (RFC 6951), because this kernel has no SCTP (%v); the other end has to do the same. For plain SCTP load the kernel's (modprobe sctp), or write raw", err)}, nil
		}
		return Choice{TransportKernel, "this kernel's SCTP, found by auto"}, nil
	}
	return Choice{}, fmt.Errorf("sctp: transport %q is none of auto, kernel, raw, udp", t)
}

// userspace is what our own stack takes of the options.
func (o *OpenOptions) userspace(port uint16) Options {
	return Options{Local: netip.AddrPortFrom(o.Local[0], port), RemoteEncapPort: o.RemoteEncapPort, OutStreams: o.OutStreams, InStreams: o.InStreams,
		SendBuffer: o.SendBuffer, ReceiveBuffer: o.ReceiveBuffer, MaxMessage: o.MaxMessage, Backlog: o.Backlog, CloseTimeout: o.CloseTimeout,
		Timers: o.Timers, Logger: o.Logger}
}
