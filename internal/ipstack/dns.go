package ipstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
)

// maxQueries bounds DNS queries on their way to the machine's name servers.
const maxQueries = 256

// serveDNS answers at a router's port 53: Names itself, the rest by Resolve.
func (f *Forwarder) serveDNS(ctx context.Context, c *gonet.UDPConn) {
	defer f.drop(c)
	slots := make(chan struct{}, maxQueries)
	buf := make([]byte, 4096)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return
		}
		q := append([]byte(nil), buf[:n]...)
		if res, ok := f.known(q); ok {
			if res != nil {
				c.WriteTo(res, from)
			}
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			continue // a resolver under load may lose queries
		}
		if !f.start(func() {
			defer func() { <-slots }()
			f.ask(ctx, c, q, from)
		}) {
			return
		}
	}
}

// ask answers one query by Resolve, SERVFAIL when that fails.
func (f *Forwarder) ask(ctx context.Context, c net.PacketConn, q []byte, from net.Addr) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	res, err := f.resolve(ctx, q)
	if err != nil {
		f.log.Debug("ipstack: name query failed", "error", err)
		res = failure(q)
	}
	if res != nil {
		c.WriteTo(res, from)
	}
}

// known answers a query for one of Names; ok is false for other queries.
func (f *Forwarder) known(query []byte) (res []byte, ok bool) {
	var p dnsmessage.Parser
	h, err := p.Start(query)
	if err != nil || h.Response || h.OpCode != 0 {
		return nil, true // no query: no answer
	}
	q, err := p.Question()
	if err != nil {
		return nil, true
	}
	addr, ok := f.o.Names[strings.TrimSuffix(strings.ToLower(q.Name.String()), ".")]
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
	case q.Type == dnsmessage.TypeAAAA && addr == f.o.Router && f.o.Router6.IsValid():
		b.AAAAResource(head, dnsmessage.AAAAResource{AAAA: f.o.Router6.As16()})
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

func (f *Forwarder) resolve(ctx context.Context, query []byte) ([]byte, error) {
	if f.o.Resolve != nil {
		return f.o.Resolve(ctx, query)
	}
	server, err := nameserver("/etc/resolv.conf")
	if err != nil {
		return nil, err
	}
	c, err := f.o.Dial(ctx, "udp", server)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if d, ok := ctx.Deadline(); ok {
		c.SetDeadline(d)
	}
	if _, err := c.Write(query); err != nil {
		return nil, err
	}
	buf := make([]byte, 4096)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return nil, err
		}
		if n >= 12 && len(query) >= 2 && buf[0] == query[0] && buf[1] == query[1] && buf[2]&0x80 != 0 {
			return buf[:n], nil
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
