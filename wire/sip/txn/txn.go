// Package txn carries SIP messages: UDP, TCP and TLS, the transactions of
// RFC 3261 §17 with the corrections of RFC 6026, and the admission that keeps
// an endpoint useful beyond its capacity. It knows no dialogs, no registrations
// and no routes: what a request means is its user's business.
//
// A transaction that waits for something is a value in a table with a place in
// a heap of timers, never a goroutine: some 2.4 KB with its request, 2.9 KB of
// an INVITE that rings. One that has only to repeat its answer or to keep silent
// is octets in a ring, some 460 with an answer (BenchmarkMemory). When there is
// no place, what costs least is given up first: the oldest answers of the ring,
// then new requests, strangers' at half the bound; never one that is under way.
//
// It follows no maddr, asks for no NAPTR, sends no keepalives of its own over
// connections it has opened, and speaks neither WebSocket nor SCTP.
package txn

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// Transports, as Via (RFC 3261 §20.42) and Flow name them.
const (
	UDP = "UDP"
	TCP = "TCP"
	TLS = "TLS"
)

// Errors of requests and answers.
var (
	ErrTimeout   = errors.New("no final response in time") // timer B or F of RFC 3261 §17.1
	ErrTransport = errors.New("message could not be sent")
	ErrClosed    = errors.New("endpoint is closed")
	ErrAnswered  = errors.New("transaction has been answered")
	ErrFull      = errors.New("too many transactions")
	ErrNoTarget  = errors.New("nowhere to send a request to")
)

// Handler gets each request that was admitted, in a goroutine of its own, and
// each ACK of a 2xx that belongs to no transaction here. It may keep s, and
// answer after it has returned. ctx ends with the endpoint, which waits for it.
type Handler func(ctx context.Context, s *Server)

// PacketConn is what the endpoint asks of a datagram socket; *net.UDPConn has it.
type PacketConn interface {
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error)
	LocalAddr() net.Addr
	Close() error
}

// Options says where an endpoint listens and how much it takes. The zero value
// of each field but one of the addresses is usable.
type Options struct {
	// UDP, TCP and TLS are the addresses to listen on; port 0 is any free one.
	UDP, TCP, TLS []netip.AddrPort
	// Packets and Streams are sockets that the caller has opened; Streams are TCP.
	// The endpoint closes them.
	Packets []PacketConn
	Streams []net.Listener
	// TLSConfig is for connections that come in. Where it asks clients for
	// certificates, Flow.PeerKey says who they are.
	TLSConfig *tls.Config
	// ClientTLS is for connections that go out; nil: the system's authorities.
	ClientTLS *tls.Config
	// Dial opens a connection that goes out; nil: a net.Dialer.
	Dial func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	// Host is the name or address in Via; "": that of the socket, or where the
	// socket has none, the one that the host's routes give.
	Host string

	Timers    Timers
	Admission Admission
	Streaming Streaming
	// Memory is how many octets are spent on transactions that are over but for
	// repeating their answer (Completed of RFC 3261 §17.2.2 and its like); when
	// it is used up, the oldest are forgotten before their timer, and a
	// retransmission that comes later still is a request again. Default 64 MiB.
	Memory int
	Log    *slog.Logger
}

// Timers are those of RFC 3261 §17.1.1.1; 0 is the RFC's value.
type Timers struct {
	T1 time.Duration // round trip: 500 ms
	T2 time.Duration // longest gap between retransmissions: 4 s
	T4 time.Duration // longest life of a message in the network: 5 s
	// Proceeding is how long an INVITE may go without a final answer on either
	// side before the endpoint ends it (timer C of RFC 3261 §16.6): 5 min.
	Proceeding time.Duration
}

// Admission bounds what strangers and a crowd can do; 0 is the default.
type Admission struct {
	// Transactions that are alive at once; beyond, requests are refused: 65,536.
	Transactions int
	// Queue is how many requests wait for the processor: 4,096.
	Queue int
	// Delay is how long a request may wait in a queue that was empty lately; in
	// one that was not, the newest go first and what has waited an eighth of it
	// is refused with 503: 200 ms.
	Delay time.Duration
	// Rate is how many requests a second one address (of IPv6: one /64) that is
	// neither trusted nor known may bring, with bursts of Burst: 100, 400. Who is
	// known has as many for himself before he is taken for a stranger.
	Rate, Burst int
	// Replies is how many refusals and error answers a second strangers get at
	// most, all together; beyond, their requests are dropped: 2,000.
	Replies int
	// RetryAfter is what a 503 says: 5 s, spread to twice that.
	RetryAfter time.Duration
	// Trusted are addresses without Rate, whose requests go before strangers'.
	Trusted []netip.Prefix
}

// Streaming bounds TCP and TLS; 0 is the default.
type Streaming struct {
	Connections int           // at once: 10,000; a new one ends the one idle longest
	PerPeer     int           // from one address that is not trusted: 64
	Idle        time.Duration // without a word, CRLF being one (RFC 5626 §3.5.1): 10 min
	Newcomer    time.Duration // until the first whole message: 20 s
	Message     time.Duration // for one message from its first octet: 20 s
	Dial        time.Duration // to open a connection: 5 s
	Pending     int           // octets that wait for a peer that does not read: 256 KiB
}

// Flow is the way a message came. It is comparable, and a request can be sent
// back by it: over the same connection, or from the same socket.
type Flow struct {
	Transport     string
	Local, Remote netip.AddrPort
	// Conn tells connections of one pair of addresses apart; 0 for UDP.
	Conn uint64
	// PeerKey is the ed25519 key that the peer has shown in TLS, or the SHA-256
	// of its SubjectPublicKeyInfo when it has a key of another kind; zero: none.
	PeerKey [32]byte
}

// Reliable says whether the transport retransmits by itself.
func (f Flow) Reliable() bool { return f.Transport != UDP }

// Target is where a request goes: back by Flow when it is set, or else to an
// address, from any socket of the transport or over a connection that is open.
type Target struct {
	Flow      Flow
	Transport string
	Addr      netip.AddrPort
	Name      string // what a TLS peer's certificate is checked against
}

// To is the target of an answer's or a registration's flow.
func To(f Flow) Target { return Target{Flow: f} }
