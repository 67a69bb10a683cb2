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
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// RedirectOptions say what a Redirect answers; zero values give the defaults
// named.
type RedirectOptions struct {
	// To is where web requests are sent, an absolute URL of http; required.
	To string
	// Router is an IPv4 address of the network's own; required.
	Router netip.Addr
	// MTU of the link, octets: DefaultMTU.
	MTU int
	// MaxFlows bounds open connections: 1024; MaxPerPhone those of one source
	// address: 16.
	MaxFlows, MaxPerPhone int
	// Logger; required.
	Logger *slog.Logger
}

// Redirect is a packet network in which every address has a web server at port
// 80, which sends its visitors to one page. It is for phones that may go nowhere
// else.
type Redirect struct {
	*link
	o     RedirectOptions
	flows flows
	in    chan net.Conn
	once  sync.Once
}

// NewRedirect makes the network; Serve answers, Close ends it.
func NewRedirect(o RedirectOptions) (*Redirect, error) {
	if o.Logger == nil || o.To == "" {
		return nil, errors.New("ipstack: RedirectOptions need To and a Logger")
	}
	if o.MaxFlows == 0 {
		o.MaxFlows = 1024
	}
	if o.MaxPerPhone == 0 {
		o.MaxPerPhone = 16
	}
	l, err := newLink(o.MTU, ipv6.Options{}, o.Router)
	if err != nil {
		return nil, err
	}
	for _, e := range []tcpip.Error{l.stack.SetPromiscuousMode(nic, true), l.stack.SetSpoofing(nic, true)} {
		if e != nil {
			l.close()
			return nil, fmt.Errorf("ipstack: redirect: %v", e)
		}
	}
	r := &Redirect{link: l, o: o, in: make(chan net.Conn), flows: flows{most: o.MaxFlows, each: o.MaxPerPhone, by: make(map[tcpip.Address]int)}}
	l.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, tcp.NewForwarder(l.stack, 0, 256, r.tcp).HandlePacket)
	return r, nil
}

// Serve answers until ctx ends, then closes the network.
func (r *Redirect) Serve(ctx context.Context) error {
	defer r.Close()
	srv := &http.Server{
		Handler:           http.HandlerFunc(r.page),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(r.o.Logger.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(listener{r}) }()
	select {
	case <-ctx.Done():
	case <-r.ctx.Done():
	}
	r.end()
	srv.Close()
	<-done
	return nil
}

// Close ends every connection and waits for the stack's goroutines.
func (r *Redirect) Close() error {
	r.end()
	r.once.Do(r.link.close)
	return nil
}

// page sends a visitor away. The answer is for this moment, not to be kept.
func (r *Redirect) page(w http.ResponseWriter, q *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Connection", "close")
	http.Redirect(w, q, r.o.To, http.StatusFound)
}

// tcp is called on a goroutine of its own for every new connection.
func (r *Redirect) tcp(q *tcp.ForwarderRequest) {
	id := q.ID()
	if id.LocalPort != 80 || !r.flows.take(id.RemoteAddress) {
		q.Complete(true)
		return
	}
	var wq waiter.Queue
	ep, terr := q.CreateEndpoint(&wq)
	q.Complete(terr != nil)
	if terr != nil {
		r.flows.release(id.RemoteAddress)
		return
	}
	c := &visit{Conn: gonet.NewTCPConn(&wq, ep), r: r, phone: id}
	select {
	case r.in <- c:
	case <-r.ctx.Done():
		c.Close()
	}
}

// visit is a connection that gives its flow back when it is closed.
type visit struct {
	net.Conn
	r     *Redirect
	phone stack.TransportEndpointID
	once  sync.Once
}

func (v *visit) Close() error {
	v.once.Do(func() { v.r.flows.release(v.phone.RemoteAddress) })
	return v.Conn.Close()
}

// listener gives a server the connections.
type listener struct{ r *Redirect }

func (l listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.r.in:
		return c, nil
	case <-l.r.ctx.Done():
		return nil, net.ErrClosed
	}
}
func (l listener) Close() error { return nil }
func (l listener) Addr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(l.r.o.Router, 80))
}
