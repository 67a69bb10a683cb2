package ipstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// maxQueries bounds DNS queries on their way to the machine's name servers.
const maxQueries = 256

// NamesOptions say what a name server tells.
type NamesOptions struct {
	// Names are answered by the server itself; keys are lower case without a final
	// dot. Those of Router are of Router6 too, where there is one.
	Names           map[string]netip.Addr
	Router, Router6 netip.Addr
	// Resolve answers other queries, message to message; nil asks the machine's own
	// first name server, by Dial (nil: net.Dialer's).
	Resolve func(ctx context.Context, query []byte) ([]byte, error)
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	// From says who is answered; nil: everybody.
	From func(netip.Addr) bool
	// Logger; required.
	Logger *slog.Logger
}

// Names is the name server that phones are told of.
type Names struct {
	o     NamesOptions
	slots chan struct{}
}

// NewNames makes one; Serve answers.
func NewNames(o NamesOptions) *Names {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: 10 * time.Second}).DialContext
	}
	return &Names{o, make(chan struct{}, maxQueries)}
}

// Serve answers what comes to c, of UDP, until c is closed or ctx ends, and closes it.
// Several may be served at once.
func (n *Names) Serve(ctx context.Context, c net.PacketConn) error {
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	buf := make([]byte, 4096)
	for {
		size, from, err := c.ReadFrom(buf)
		if err != nil {
			c.Close()
			return nil
		}
		if at, ok := from.(*net.UDPAddr); n.o.From != nil && !(ok && n.o.From(at.AddrPort().Addr().Unmap())) {
			continue
		}
		q := append([]byte(nil), buf[:size]...)
		if res, ok := n.known(q); ok {
			if res != nil {
				c.WriteTo(res, from)
			}
			continue
		}
		select {
		case n.slots <- struct{}{}:
		default:
			continue // a resolver under load may lose queries
		}
		asking.Go(func() {
			defer func() { <-n.slots }()
			n.ask(ctx, c, q, from)
		})
	}
}

// ask answers one query by Resolve, SERVFAIL when that fails.
func (n *Names) ask(ctx context.Context, c net.PacketConn, q []byte, from net.Addr) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	res, err := n.resolve(ctx, q)
	if err != nil {
		n.o.Logger.Debug("ipstack: name query failed", "error", err)
		res = failure(q)
	}
	if res != nil {
		c.WriteTo(res, from)
	}
}

// known answers a query for one of Names; ok is false for other queries.
func (n *Names) known(query []byte) (res []byte, ok bool) {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil || h.Response || h.OpCode != 0 {
		return nil, true // no query: no answer
	}
	q, err := p.Question()
	if err != nil {
		return nil, true
	}
	addr, ok := n.o.Names[strings.TrimSuffix(strings.ToLower(q.Name.String()), ".")]
	if !ok {
		return nil, false
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: h.ID, Response: true, Authoritative: true, RecursionDesired: h.RecursionDesired, RecursionAvailable: true})
	b.StartQuestions()
	b.Question(q)
	b.StartAnswers()
	head := dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60}
	switch {
	case q.Class != dnsmessage.ClassINET:
	case q.Type == dnsmessage.TypeA && addr.Is4():
		b.AResource(head, dnsmessage.AResource{A: addr.As4()})
	case q.Type == dnsmessage.TypeAAAA && addr.Is6():
		b.AAAAResource(head, dnsmessage.AAAAResource{AAAA: addr.As16()})
	case q.Type == dnsmessage.TypeAAAA && addr == n.o.Router && n.o.Router6.IsValid():
		b.AAAAResource(head, dnsmessage.AAAAResource{AAAA: n.o.Router6.As16()})
	}
	res, err = b.Finish()
	if err != nil {
		return nil, true
	}
	return res, true
}

// failure is SERVFAIL for a query, or nil when it is none.
func failure(query []byte) []byte {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil {
		return nil
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: h.ID, Response: true, RecursionDesired: h.RecursionDesired, RCode: dnsmessage.RCodeServerFailure})
	if q, err := p.Question(); err == nil {
		b.StartQuestions()
		b.Question(q)
	}
	res, _ := b.Finish()
	return res
}

func (n *Names) resolve(ctx context.Context, query []byte) ([]byte, error) {
	if n.o.Resolve != nil {
		return n.o.Resolve(ctx, query)
	}
	server, err := nameserver("/etc/resolv.conf")
	if err != nil {
		return nil, err
	}
	c, err := n.o.Dial(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })()
	if _, err := c.Write(query); err != nil {
		return nil, err
	}
	buf := make([]byte, 4096)
	for {
		size, err := c.Read(buf)
		if err != nil {
			return nil, err
		}
		if size >= 12 && len(query) >= 2 && buf[0] == query[0] && buf[1] == query[1] && buf[2]&0x80 != 0 {
			return buf[:size], nil
		}
	}
}

// nameserver gives the first name server of a resolv.conf as host:port.
func nameserver(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("ipstack: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if w := strings.Fields(line); len(w) >= 2 && w[0] == "nameserver" {
			return net.JoinHostPort(w[1], "53"), nil
		}
	}
	return "", errors.New("ipstack: " + path + " names no name server")
}
