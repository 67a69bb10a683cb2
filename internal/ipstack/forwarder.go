package ipstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// ForwarderOptions say what the packet network is like; zero values give the
// defaults named.
type ForwarderOptions struct {
	// Router is the network's own address; it answers ICMP echo. Router6 is another
	// of its, of IPv6; without it there is no IPv6.
	Router, Router6 netip.Addr
	// MTU of the link, octets: DefaultMTU.
	MTU int
	// HTTP is served in this process at ports of Router.
	HTTP map[uint16]http.Handler
	// Names are answered by the name server at Router port 53 itself; keys are
	// lower case without a final dot. Those of Router are of Router6 too.
	Names map[string]netip.Addr
	// Resolve answers other DNS queries, message to message; nil asks the
	// machine's own first name server.
	Resolve func(ctx context.Context, query []byte) ([]byte, error)
	// Dial opens connections to the outside: net.Dialer's with 10 s.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Allow says which destinations a flow may have: Public.
	Allow func(netip.AddrPort) bool
	// MaxFlows bounds TCP and UDP flows together: 4096; MaxPerPhone those of one
	// source address: a quarter of MaxFlows.
	MaxFlows, MaxPerPhone int
	// IdleTCP and IdleUDP end silent flows: 15 min and 1 min.
	IdleTCP, IdleUDP time.Duration
	// Logger; required.
	Logger *slog.Logger
}

// Forwarder is a packet network made of this machine's sockets.
type Forwarder struct {
	*link
	o     ForwarderOptions
	log   *slog.Logger
	flows flows

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup // flows and servers
	conns  map[net.Conn]struct{}

	listeners map[netip.AddrPort]net.Listener
	dns       []*gonet.UDPConn

	stats forwarderCounters
}

type forwarderCounters struct{ tcp, udp, denied, full, failed, icmp atomic.Uint64 }

// ForwarderStats count since the start.
type ForwarderStats struct {
	TCP, UDP   uint64 // flows opened
	Denied     uint64 // flows refused by Allow
	Full       uint64 // flows refused because MaxFlows or MaxPerPhone were open
	Failed     uint64 // flows whose outside could not be reached
	ICMP       uint64 // ICMP packets dropped: only Router answers them
	Open, Held int    // flows open now; connections held
}

// NewForwarder makes the network; Serve runs its servers, Close ends it.
func NewForwarder(o ForwarderOptions) (*Forwarder, error) {
	if o.Logger == nil {
		return nil, errors.New("ipstack: ForwarderOptions need a Logger")
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	if o.Allow == nil {
		o.Allow = Public
	}
	if o.MaxFlows == 0 {
		o.MaxFlows = 4096
	}
	if o.MaxPerPhone == 0 {
		o.MaxPerPhone = max(1, o.MaxFlows/4)
	}
	if o.IdleTCP == 0 {
		o.IdleTCP = 15 * time.Minute
	}
	if o.IdleUDP == 0 {
		o.IdleUDP = time.Minute
	}
	l, err := newLink(o.MTU, ipv6.Options{}, o.routers()...)
	if err != nil {
		return nil, err
	}
	f := &Forwarder{link: l, o: o, log: o.Logger, flows: flows{most: o.MaxFlows, each: o.MaxPerPhone, by: make(map[tcpip.Address]int)}, conns: make(map[net.Conn]struct{}), listeners: make(map[netip.AddrPort]net.Listener)}
	for _, e := range []tcpip.Error{l.stack.SetPromiscuousMode(nic, true), l.stack.SetSpoofing(nic, true)} {
		if e != nil {
			l.close()
			return nil, fmt.Errorf("ipstack: forwarder: %v", e)
		}
	}
	l.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, tcp.NewForwarder(l.stack, 0, 1024, f.tcp).HandlePacket)
	l.stack.SetTransportProtocolHandler(udp.ProtocolNumber, udp.NewForwarder(l.stack, f.udp).HandlePacket)
	if err := f.listen(); err != nil {
		l.close()
		return nil, err
	}
	return f, nil
}

// routers are the network's own addresses.
func (o *ForwarderOptions) routers() []netip.Addr {
	if o.Router6.IsValid() {
		return []netip.Addr{o.Router, o.Router6}
	}
	return []netip.Addr{o.Router}
}

// WritePacket hands one IP packet of a phone to the network. ICMP is taken for
// its own addresses only: nobody else's echo may be answered here.
func (f *Forwarder) WritePacket(b []byte) error {
	if foreignICMP(b, f.o.Router, f.o.Router6) {
		f.stats.icmp.Add(1)
		return nil
	}
	return f.link.WritePacket(b)
}

// foreignICMP says that a packet is of ICMP or ICMPv6 and not for a router; what
// hides ICMPv6 behind extension headers is taken for it.
func foreignICMP(b []byte, router, router6 netip.Addr) bool {
	switch {
	case len(b) >= header.IPv4MinimumSize && b[0]>>4 == 4:
		return b[9] == byte(header.ICMPv4ProtocolNumber) && netip.AddrFrom4([4]byte(b[16:20])) != router
	case len(b) >= header.IPv6MinimumSize && b[0]>>4 == 6:
		return b[6] != byte(header.TCPProtocolNumber) && b[6] != byte(header.UDPProtocolNumber) && netip.AddrFrom16([16]byte(b[24:40])) != router6
	}
	return false
}

// Serve runs the servers at Router until ctx ends, then closes the network.
func (f *Forwarder) Serve(ctx context.Context) error {
	defer f.Close()
	for at, ln := range f.listeners {
		srv := &http.Server{Handler: f.waited(f.o.HTTP[at.Port()]), ReadHeaderTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(f.log.Handler(), slog.LevelDebug)}
		if !f.start(func() { srv.Serve(ln) }) {
			return net.ErrClosed
		}
		defer srv.Close()
	}
	names := NewNames(NamesOptions{Names: f.o.Names, Router: f.o.Router, Router6: f.o.Router6, Resolve: f.o.Resolve, Dial: f.o.Dial, Logger: f.log})
	for _, c := range f.dns {
		if !f.start(func() { defer f.drop(c); names.Serve(ctx, c) }) {
			return net.ErrClosed
		}
	}
	select {
	case <-ctx.Done():
	case <-f.ctx.Done():
	}
	return nil
}

// listen opens what Serve serves, so that a phone may come first.
func (f *Forwarder) listen() error {
	for _, router := range f.o.routers() {
		for port := range f.o.HTTP {
			at := netip.AddrPortFrom(router, port)
			ln, err := gonet.ListenTCP(f.stack, full(at), protocol(router))
			if err != nil {
				return fmt.Errorf("ipstack: listen on %v: %w", at, err)
			}
			f.listeners[at] = ln
		}
		local := full(netip.AddrPortFrom(router, 53))
		c, err := gonet.DialUDP(f.stack, &local, nil, protocol(router))
		if err != nil {
			return fmt.Errorf("ipstack: name server at %v: %w", router, err)
		}
		f.dns = append(f.dns, c)
		f.conns[c] = struct{}{}
	}
	return nil
}

// start runs fn as a child that Close waits for; false after Close.
func (f *Forwarder) start(fn func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	f.wg.Go(fn)
	return true
}

// waited makes Close wait for requests that h is serving.
func (f *Forwarder) waited(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		if f.closed {
			f.mu.Unlock()
			return
		}
		f.wg.Add(1)
		f.mu.Unlock()
		defer f.wg.Done()
		h.ServeHTTP(w, r)
	})
}

// hold keeps connections so that Close can end them; false after Close.
func (f *Forwarder) hold(cs ...net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return false
	}
	for _, c := range cs {
		f.conns[c] = struct{}{}
	}
	return true
}

func (f *Forwarder) drop(cs ...net.Conn) {
	f.mu.Lock()
	for _, c := range cs {
		delete(f.conns, c)
	}
	f.mu.Unlock()
	for _, c := range cs {
		c.Close()
	}
}

// Close ends every flow and waits for all of them.
func (f *Forwarder) Close() error {
	f.mu.Lock()
	again := f.closed
	f.closed = true
	for c := range f.conns {
		c.Close()
	}
	for _, ln := range f.listeners {
		ln.Close()
	}
	f.mu.Unlock()
	f.end()
	if !again {
		f.link.close()
	}
	f.wg.Wait()
	return nil
}

// Stats reads the counters.
func (f *Forwarder) Stats() ForwarderStats {
	f.mu.Lock()
	held := len(f.conns)
	f.mu.Unlock()
	s := &f.stats
	return ForwarderStats{s.tcp.Load(), s.udp.Load(), s.denied.Load(), s.full.Load(), s.failed.Load(), s.icmp.Load(), f.flows.open(), held}
}

func local(id stack.TransportEndpointID) netip.AddrPort {
	a, _ := netip.AddrFromSlice(id.LocalAddress.AsSlice())
	return netip.AddrPortFrom(a, id.LocalPort)
}

// allowed applies the policy; a port of Router that nobody serves is closed.
func (f *Forwarder) allowed(to netip.AddrPort) bool {
	if to.Addr() == f.o.Router || to.Addr() == f.o.Router6 || to.Addr().Is6() && !f.o.Router6.IsValid() || !f.o.Allow(to) {
		f.stats.denied.Add(1)
		f.log.Debug("ipstack: destination denied", "destination", to)
		return false
	}
	return true
}

// network is the name a dialler has for a destination's.
func network(kind string, to netip.AddrPort) string {
	if to.Addr().Is4() {
		return kind + "4"
	}
	return kind + "6"
}

// tcp is called on a goroutine of its own for every new flow. The outside is
// dialled before the phone's SYN is answered, so a refusal reaches the phone as
// one.
func (f *Forwarder) tcp(r *tcp.ForwarderRequest) {
	to, phone := local(r.ID()), r.ID().RemoteAddress
	if !f.allowed(to) || !f.take(phone) {
		r.Complete(true)
		return
	}
	done := make(chan struct{})
	if !f.start(func() { defer close(done); defer f.flows.release(phone); f.tcpFlow(r, to) }) {
		f.flows.release(phone)
		r.Complete(true)
		return
	}
	<-done
}

func (f *Forwarder) tcpFlow(r *tcp.ForwarderRequest, to netip.AddrPort) {
	out, err := f.o.Dial(f.ctx, network("tcp", to), to.String())
	if err != nil {
		f.stats.failed.Add(1)
		f.log.Debug("ipstack: cannot connect", "destination", to, "error", err)
		r.Complete(true)
		return
	}
	var wq waiter.Queue
	ep, terr := r.CreateEndpoint(&wq)
	r.Complete(terr != nil)
	if terr != nil {
		out.Close()
		return
	}
	in := gonet.NewTCPConn(&wq, ep)
	if !f.hold(in, out) {
		in.Close()
		out.Close()
		return
	}
	defer f.drop(in, out)
	f.stats.tcp.Add(1)
	splice(in, out, f.o.IdleTCP)
}

// udp is called on the packet's own path; it must not block.
func (f *Forwarder) udp(r *udp.ForwarderRequest) bool {
	to, phone := local(r.ID()), r.ID().RemoteAddress
	if !f.allowed(to) || !f.take(phone) {
		return false
	}
	var wq waiter.Queue
	ep, terr := r.CreateEndpoint(&wq)
	if terr != nil {
		f.flows.release(phone)
		return false
	}
	in := gonet.NewUDPConn(&wq, ep)
	if !f.start(func() { defer f.flows.release(phone); f.udpFlow(in, to) }) {
		f.flows.release(phone)
		in.Close()
	}
	return true
}

func (f *Forwarder) udpFlow(in net.Conn, to netip.AddrPort) {
	out, err := f.o.Dial(f.ctx, network("udp", to), to.String())
	if err != nil {
		f.stats.failed.Add(1)
		in.Close()
		return
	}
	if !f.hold(in, out) {
		in.Close()
		out.Close()
		return
	}
	defer f.drop(in, out)
	f.stats.udp.Add(1)
	splice(in, out, f.o.IdleUDP)
}
