package userspace

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath"
)

const maxDatagram = 65535

// uplinks reads the GTP-U socket until it is closed.
func (p *Path) uplinks(ctx context.Context) error {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := p.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("userspace: receive on GTP-U: %w", err)
		}
		p.datagram(buf[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
	}
}

// datagram handles one GTP-U message (TS 29.281 §6.1).
func (p *Path) datagram(b []byte, from netip.AddrPort) {
	m, err := gtpu.Parse(b)
	if err != nil {
		p.drop(datapath.ULMalformed)
		return
	}
	switch m.Type {
	case gtpu.GPDU:
		p.uplink(&m, from)
	case gtpu.EchoRequest:
		p.echoes.Add(1)
		p.send(gtpu.AppendEchoResponse(nil, m.Sequence), from)
	case gtpu.ErrorIndication:
		p.errorIndication(m, from)
	case gtpu.EndMarker:
		p.ends.Add(1)
	case gtpu.EchoResponse, gtpu.SupportedHeaders:
	default:
		p.drop(datapath.ULMalformed)
	}
}

// uplink takes a phone's packet to the packet network. Whatever has arrived
// whole on a bearer is charged, for the tower that brought it has counted it,
// even when it goes no further for a reason of the phone's or of this side.
func (p *Path) uplink(m *gtpu.Message, from netip.AddrPort) {
	b := p.lookup(m.TEID)
	if b == nil {
		p.unknownTEID(m, from)
		return
	}
	if _, bad := m.Unknown(gtpu.PDCPNumber, gtpu.LongPDCPNumber, gtpu.PDUSessionContainer, gtpu.RANContainer); bad {
		p.drop(datapath.ULExtension)
		p.send(gtpu.AppendSupportedHeaders(nil, gtpu.PDCPNumber, gtpu.LongPDCPNumber, gtpu.PDUSessionContainer, gtpu.RANContainer), from)
		return
	}
	if s := b.source.Load(); s == nil && len(m.Payload) == 0 || s != nil && *s != from {
		p.shown(b, from)
	}
	if len(m.Payload) == 0 {
		return
	}
	n, err := gtpu.InnerLen(m.Payload)
	if err != nil {
		p.drop(datapath.ULMalformed)
		return
	}
	pkt := m.Payload[:n] // without padding
	b.ul.Lock()
	defer b.ul.Unlock()
	if b.ulGone {
		p.drop(datapath.ULUnknown)
		return
	}
	if !b.sess.charge(uint64(n)) {
		p.drop(datapath.ULQuota)
		p.overQuota(b)
		return
	}
	b.ulSum.add(n)
	p.reportDue(b)
	switch {
	case pkt[0]>>4 != 4:
		p.drop(datapath.ULMalformed)
	case netip.AddrFrom4([4]byte(pkt[12:16])) != b.ue:
		p.drop(datapath.ULSpoofed)
	case p.port.WritePacket(pkt) != nil:
		p.drop(datapath.ULPort)
	default:
		p.ul.Add(1)
	}
}

// overQuota tells once for a quota that it is exhausted.
func (p *Path) overQuota(b *bearer) {
	if b.sess.out.CompareAndSwap(false, true) && !p.emit(datapath.QuotaExhausted, b) {
		b.sess.out.Store(false)
	}
}

func (p *Path) reportDue(b *bearer) {
	used, last := b.sess.used.Load(), b.sess.reported.Load()
	if used >= last+p.o.ReportOctets && b.sess.reported.CompareAndSwap(last, used) {
		p.emit(datapath.ReportDue, b)
	}
}

// maxErrorIndications bounds those sent in a second: whoever sends to unknown
// tunnels shall not make us a reflector.
const maxErrorIndications = 100

// unknownTEID answers a packet without a bearer (TS 29.281 §7.3.1), at GTP-U's
// port (TS 29.281 §4.4.2.0). A packet with nothing in it comes from a tower
// behind a NAT, where only the port it came from leads back.
func (p *Path) unknownTEID(m *gtpu.Message, from netip.AddrPort) {
	p.drop(datapath.ULUnknown)
	now := time.Now().Unix()
	if p.errTime.Swap(now) != now {
		p.errSent.Store(0)
	}
	if p.errSent.Add(1) > maxErrorIndications {
		return
	}
	p.errors.Add(1)
	to := netip.AddrPortFrom(from.Addr(), gtpu.Port)
	if len(m.Payload) == 0 {
		to = from
	}
	p.send(gtpu.AppendErrorIndication(nil, m.TEID, p.local), to)
}

// errorIndication makes the bearer idle whose tunnel the sender does not know
// (TS 23.007 §22). Only the tunnel's own peer is believed.
func (p *Path) errorIndication(m gtpu.Message, from netip.AddrPort) {
	teid, peer, err := gtpu.ErrorIndicationOf(m)
	if err != nil || teid == 0 || peer.Unmap() != from.Addr() {
		p.drop(datapath.BadError)
		return
	}
	t := datapath.Tunnel{Peer: from.Addr(), TEID: teid}
	p.mu.RLock()
	b := p.byENB[t]
	p.mu.RUnlock()
	if b == nil {
		p.drop(datapath.BadError)
		return
	}
	b.dl.Lock()
	hit := !b.dlGone && b.tunnel == t
	if hit {
		p.setTunnel(b, datapath.Tunnel{})
	}
	b.dl.Unlock()
	if hit {
		p.tell(datapath.Event{Kind: datapath.ErrorIndication, TEID: b.teid, Session: b.sess.id, Tunnel: t})
	}
}

// send writes a message that is nobody's traffic.
func (p *Path) send(b []byte, to netip.AddrPort) {
	if _, err := p.conn.WriteToUDPAddrPort(b, to); err != nil {
		p.drop(datapath.DLSend)
	}
}

// downlinks reads the port until it is closed.
func (p *Path) downlinks(ctx context.Context) error {
	buf := make([]byte, gtpu.HeaderLen+maxDatagram)
	for {
		n, err := p.port.ReadPacket(buf[gtpu.HeaderLen:])
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("userspace: read from packet network: %w", err)
		}
		p.downlink(buf[:gtpu.HeaderLen+n])
	}
}

// downlink takes a packet to the phone it is for; frame has room for a GTP-U
// header in front of it.
func (p *Path) downlink(frame []byte) {
	pkt := frame[gtpu.HeaderLen:]
	n, err := gtpu.InnerLen(pkt)
	if err != nil || pkt[0]>>4 != 4 || n > 0xffff-gtpu.HeaderLen-28 {
		p.drop(datapath.DLMalformed)
		return
	}
	dst := netip.AddrFrom4([4]byte(pkt[16:20]))
	p.mu.RLock()
	b := p.byUE[dst]
	p.mu.RUnlock()
	if b == nil {
		p.drop(datapath.DLUnknown)
		return
	}
	b.dl.Lock()
	defer b.dl.Unlock()
	switch {
	case b.dlGone:
		p.drop(datapath.DLUnknown)
	case b.tunnel.Active():
		p.sendDown(b, frame[:gtpu.HeaderLen+n])
	default:
		p.keep(b, pkt[:n])
	}
}

// sendDown charges, encapsulates and sends frame, whose first octets are room
// for the header; the caller holds dl.
func (p *Path) sendDown(b *bearer, frame []byte) {
	n := len(frame) - gtpu.HeaderLen
	if !b.sess.charge(uint64(n)) {
		p.drop(datapath.DLQuota)
		p.overQuota(b)
		return
	}
	gtpu.PutHeader((*[gtpu.HeaderLen]byte)(frame), b.tunnel.TEID, n)
	if _, err := p.conn.WriteToUDPAddrPort(frame, b.peer); err != nil {
		b.sess.refund(uint64(n))
		p.drop(datapath.DLSend)
		return
	}
	b.dlSum.add(n)
	p.dl.Add(1)
	p.reportDue(b)
}

// keep buffers a packet for an idle phone and tells of the first; the caller
// holds dl.
func (p *Path) keep(b *bearer, pkt []byte) {
	if len(b.buffer) >= p.o.BufferPackets || p.waiting.Load()+int64(len(pkt)) > int64(p.o.BufferOctets) {
		p.drop(datapath.DLBuffer)
	} else {
		b.buffer = append(b.buffer, append([]byte(nil), pkt...))
		p.waiting.Add(int64(len(pkt)))
		p.queued.Add(1)
	}
	if now := time.Now(); b.notified.IsZero() || now.Sub(b.notified) >= renotify {
		if p.emit(datapath.DownlinkData, b) {
			b.notified = now
		}
	}
}
