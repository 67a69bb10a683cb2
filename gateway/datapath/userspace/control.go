package userspace

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath"
)

// limiter bounds what strangers can make this side send: so many in a second.
type limiter struct {
	mu     sync.Mutex
	second int64
	sent   int
}

// perSecond bounds error indications, and ICMP errors: whoever sends to unknown
// tunnels shall not make us a reflector.
const perSecond = 100

func (l *limiter) ok() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now := time.Now().Unix(); now != l.second {
		l.second, l.sent = now, 0
	}
	l.sent++
	return l.sent <= perSecond
}

// unknownTEID answers a packet without a bearer (TS 29.281 §7.3.1), at GTP-U's
// port (TS 29.281 §4.4.2.0). A packet with nothing in it comes from a tower
// behind a NAT, where only the port it came from leads back.
func (p *Path) unknownTEID(m *gtpu.Message, from netip.AddrPort) {
	p.drop(datapath.ULUnknown)
	if !p.errs.ok() {
		return
	}
	p.errors.Add(1)
	to := netip.AddrPortFrom(from.Addr(), gtpu.Port)
	if len(m.Payload) == 0 {
		to = from
	}
	p.send(gtpu.AppendErrorIndication(nil, m.TEID, p.localFor(from.Addr())), to)
}

// errorIndication makes the bearer idle whose tunnel the sender does not know
// (TS 23.007 §22); what becomes of one whose PGW does not know it is not said here.
// Only the tunnel's own peer is believed.
func (w *lane) errorIndication(m gtpu.Message, from netip.AddrPort) {
	p := w.p
	teid, at, err := gtpu.ErrorIndicationOf(m)
	if err != nil || teid == 0 || at.Unmap() != from.Addr() {
		p.drop(datapath.BadError)
		return
	}
	t := datapath.Tunnel{Peer: from.Addr(), TEID: teid}
	p.mu.RLock()
	e := p.lookup(p.byPeer[keyOf(t)])
	p.mu.RUnlock()
	if e == nil || e.b == nil {
		p.drop(datapath.BadError)
		return
	}
	b := e.b
	w.flush()
	b.dl.Lock()
	hit := !b.dlGone && (b.peer.tunnel() == t || b.uppeer.tunnel() == t)
	if hit && b.peer.tunnel() == t {
		p.setTunnel(b, datapath.Tunnel{})
		if p.o.Idle != nil {
			p.o.Idle(b.teid)
		}
	}
	b.dl.Unlock()
	if hit {
		p.tell(datapath.Event{Kind: datapath.ErrorIndication, TEID: b.teid, Session: b.sess.id, Tunnel: t})
	}
}

// localFor is this side's address of the peer's IP version.
func (p *Path) localFor(a netip.Addr) netip.Addr {
	for _, l := range p.locals {
		if l.Is4() == a.Is4() {
			return l
		}
	}
	return p.locals[0]
}

// conn is a socket for a peer's IP version.
func (p *Path) conn(a netip.Addr) PacketConn { return p.byIP[version(a)][0] }

// send writes a message that is nobody's traffic.
func (p *Path) send(b []byte, to netip.AddrPort) {
	if _, err := p.conn(to.Addr()).WriteToUDPAddrPort(b, to); err != nil {
		p.drop(datapath.DLSend)
	}
}

// marker is a PacketConn that can mark what it sends.
type marker interface {
	WriteMsgUDPAddrPort(b, oob []byte, addr netip.AddrPort) (n, oobn int, err error)
}

// write sends a G-PDU to a peer, marked as its bearer is.
func write(c PacketConn, b []byte, to netip.AddrPort, oob []byte) error {
	if m, ok := c.(marker); ok && oob != nil {
		_, _, err := m.WriteMsgUDPAddrPort(b, oob, to)
		return err
	}
	_, err := c.WriteToUDPAddrPort(b, to)
	return err
}

const (
	sweepEvery = 30 * time.Second
	syncEvery  = time.Second
)

// housekeeping forgets flows that are over, has phones advertised to in time and
// writes the table to its disk.
func (p *Path) housekeeping(ctx context.Context) error {
	sweep, sync := time.NewTicker(sweepEvery), time.NewTicker(syncEvery)
	defer sweep.Stop()
	defer sync.Stop()
	if !p.tab.Lasting() {
		sync.Stop()
	}
	failed := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-sweep.C:
			p.flows.Sweep(p.tab.Now())
			p.readvertise()
		case <-sync.C:
			err := p.tab.Sync()
			if err != nil && !failed {
				p.log.Error("userspace: the counters cannot be written to their disk; they last as long as the machine runs", "error", err)
			}
			failed = err != nil
		}
	}
}
