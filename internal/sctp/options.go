package sctp

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"
)

// DefaultEncapPort is the UDP port IANA assigned to SCTP inside UDP (RFC 6951 §5.1).
const DefaultEncapPort = 9899

// Datagrams is the packet network under an endpoint: a UDP socket, or an imitation in tests. Addresses are IP and UDP port.
type Datagrams interface {
	// ReadFrom waits for one datagram and returns net.ErrClosed after Close.
	ReadFrom(p []byte) (n int, from netip.AddrPort, err error)
	// WriteTo sends one datagram and does not keep p.
	WriteTo(p []byte, to netip.AddrPort) error
	// LocalAddr is the own address, with the port really bound.
	LocalAddr() netip.AddrPort
	Close() error
}

// splitter is Datagrams whose WriteTo forbids the network to cut what it sends (DF), and whose WriteSplit allows it. WriteTo fails with
// syscall.EMSGSIZE when the own interface already carries less.
type splitter interface {
	WriteSplit(p []byte, to netip.AddrPort) error
}

// Timers are the protocol parameters of RFC 9260 §16. Zero fields take the RFC's recommended value, given behind each.
type Timers struct {
	RTOInitial     time.Duration // 1 s
	RTOMin         time.Duration // 1 s
	RTOMax         time.Duration // 60 s
	SACKDelay      time.Duration // 200 ms, at most 500 ms
	HBInterval     time.Duration // 30 s
	CookieLife     time.Duration // 60 s
	MaxRetrans     int           // Association.Max.Retrans, 10
	PathMaxRetrans int           // Path.Max.Retrans, 5
	MaxInitRetr    int           // Max.Init.Retransmits, 8
	MaxBurst       int           // 4 packets
}

// Options make an endpoint. Only Local (or Conn) is required.
type Options struct {
	Local           netip.AddrPort // UDP address to bind; the IP must be a specific one (replies must come from it), port 0 picks a free port
	Conn            Datagrams      // used instead of a socket bound to Local when set; the endpoint closes it
	RemoteEncapPort uint16         // UDP port of peers that are dialled, 0 means 9899; afterwards it is learned (RFC 6951 §5.4)
	OutStreams      uint16         // offered, 0 means 16
	InStreams       uint16         // accepted, 0 means 2048
	MTU             int            // bytes of the longest SCTP packet, UDP and IP headers not included; 0 means what the interface carries, at most 1500 with headers
	BaseMTU         int            // what packets start with until the path is known to carry more, 0 means 1200 (RFC 8899 §5.1.2); MTU switches the search off
	SendBuffer      int            // bytes a Send may leave unacknowledged, 0 means 256 KiB
	ReceiveBuffer   int            // bytes of the advertised window, 0 means 256 KiB
	MaxMessage      int            // bytes of the longest message sent or received, 0 means 128 KiB
	Backlog         int            // associations waiting for Accept, 0 means 128
	MaxAssociations int            // 0 means 65536
	Memory          int            // bytes of messages in all associations, 0 means 256 MiB; more than that is shared equally
	CloseTimeout    time.Duration  // for Close, 0 means 2 s
	Timers          Timers
	Logger          *slog.Logger // nil discards
	Rand            io.Reader    // for tags, TSNs and the cookie key; nil means crypto/rand
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func (o Options) complete() (Options, error) {
	t := &o.Timers
	def(&t.RTOInitial, time.Second)
	def(&t.RTOMin, time.Second)
	def(&t.RTOMax, 60*time.Second)
	def(&t.SACKDelay, 200*time.Millisecond)
	def(&t.HBInterval, 30*time.Second)
	def(&t.CookieLife, 60*time.Second)
	def(&t.MaxRetrans, 10)
	def(&t.PathMaxRetrans, 5)
	def(&t.MaxInitRetr, 8)
	def(&t.MaxBurst, 4)
	def(&o.RemoteEncapPort, DefaultEncapPort)
	def(&o.OutStreams, 16)
	def(&o.InStreams, 2048)
	if o.MTU == 0 {
		o.MTU = 1400 // of a network in memory
		if o.Conn == nil {
			o.MTU = linkMTU(o.Local.Addr()) - ipHeader(o.Local.Addr()) - udpHeader
		}
	}
	o.MTU &^= 3 // packets are of whole words, §3.2
	def(&o.BaseMTU, min(baseMTU, o.MTU))
	def(&o.SendBuffer, 256<<10)
	def(&o.ReceiveBuffer, 256<<10)
	def(&o.MaxMessage, 128<<10)
	def(&o.Backlog, 128)
	def(&o.MaxAssociations, 1<<16)
	def(&o.Memory, 256<<20)
	def(&o.CloseTimeout, 2*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	switch {
	case o.MTU < 512 || o.MTU > 65000:
		return o, fmt.Errorf("sctp: MTU %d is not within 512..65000", o.MTU)
	case o.BaseMTU < 512 || o.BaseMTU > o.MTU:
		return o, fmt.Errorf("sctp: BaseMTU %d is not within 512 and MTU %d", o.BaseMTU, o.MTU)
	case o.MaxMessage < 1 || o.ReceiveBuffer < o.MaxMessage || o.SendBuffer < o.MTU:
		return o, fmt.Errorf("sctp: buffers too small: MaxMessage %d must fit ReceiveBuffer %d, MTU %d must fit SendBuffer %d",
			o.MaxMessage, o.ReceiveBuffer, o.MTU, o.SendBuffer)
	case o.ReceiveBuffer < 1500:
		return o, fmt.Errorf("sctp: ReceiveBuffer %d is less than the 1500 bytes that must be advertised (RFC 9260 §6)", o.ReceiveBuffer)
	case t.RTOMin < 0 || t.RTOMax < t.RTOMin || t.RTOInitial < t.RTOMin || t.RTOInitial > t.RTOMax:
		return o, fmt.Errorf("sctp: RTO.Initial %v is not within RTO.Min %v and RTO.Max %v", t.RTOInitial, t.RTOMin, t.RTOMax)
	case t.SACKDelay < 0 || t.SACKDelay > 500*time.Millisecond:
		return o, fmt.Errorf("sctp: SACK delay %v is not within 0..500ms (RFC 9260 §6.2)", t.SACKDelay)
	case t.HBInterval < 0 || t.CookieLife < 0 || t.MaxRetrans < 0 || t.PathMaxRetrans < 0 || t.MaxInitRetr < 0 || t.MaxBurst < 1 || o.Backlog < 1 || o.Memory < 0:
		return o, fmt.Errorf("sctp: a timer, retransmission limit, backlog or Memory is negative: %+v", *t)
	}
	return o, nil
}
