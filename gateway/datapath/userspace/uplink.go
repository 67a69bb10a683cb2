package userspace

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/table"
)

const maxDatagram = 65535

// uplinks reads a GTP-U socket until it is closed.
func (p *Path) uplinks(ctx context.Context, c PacketConn) error {
	b, err := receiver(c)
	if b != nil {
		err = p.batches(b)
	} else if err == nil {
		err = p.singles(c)
	}
	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("userspace: receive on GTP-U: %w", err)
}

func (p *Path) batches(b *batch) error {
	for {
		n, err := b.read()
		if err != nil {
			return err
		}
		for i := range n {
			p.datagram(b.datagram(i))
		}
	}
}

func (p *Path) singles(c PacketConn) error {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		p.datagram(buf[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
	}
}

// datagram handles one GTP-U message (TS 29.281 §6.1); it may write to b.
func (p *Path) datagram(b []byte, from netip.AddrPort) {
	m, err := gtpu.Parse(b)
	if err != nil {
		p.drop(datapath.ULMalformed)
		return
	}
	switch m.Type {
	case gtpu.GPDU, gtpu.EndMarker:
		p.tunnelled(b, &m, from)
	case gtpu.EchoRequest:
		p.echoes.Add(1)
		p.send(gtpu.AppendEchoResponse(nil, m.Sequence), from)
	case gtpu.ErrorIndication:
		p.errorIndication(m, from)
	case gtpu.EchoResponse, gtpu.SupportedHeaders:
	default:
		p.drop(datapath.ULMalformed)
	}
}

// tunnelled takes a message that is for a tunnel to what is at this end of it.
func (p *Path) tunnelled(d []byte, m *gtpu.Message, from netip.AddrPort) {
	if len(p.o.Towers) > 0 && !slices.ContainsFunc(p.o.Towers, func(t netip.Prefix) bool { return t.Contains(from.Addr()) }) {
		p.drop(datapath.ULPeer)
		return
	}
	e := p.lookup(m.TEID)
	switch {
	case m.Type == gtpu.EndMarker:
		p.endMarker(e)
	case e == nil:
		p.unknownTEID(m, from)
	case e.forward != nil:
		p.relay(e.forward, m)
	case !p.understood(m, from):
	case e.upstream:
		p.fromUpstream(e.b, d, m)
	default:
		p.uplink(e.b, d, m, from)
	}
}

// understood answers a message with an extension header that has to be
// understood and is not (TS 29.281 §5.2.1).
func (p *Path) understood(m *gtpu.Message, from netip.AddrPort) bool {
	_, bad := m.Unknown(gtpu.PDCPNumber, gtpu.LongPDCPNumber, gtpu.PDUSessionContainer, gtpu.RANContainer)
	if bad {
		p.drop(datapath.ULExtension)
		p.send(gtpu.AppendSupportedHeaders(nil, gtpu.PDCPNumber, gtpu.LongPDCPNumber, gtpu.PDUSessionContainer, gtpu.RANContainer), from)
	}
	return !bad
}

// frameOf gives the room of a GTP-U header and the first n octets of a payload
// that lies in a datagram.
func frameOf(datagram, payload []byte, n int) []byte {
	at := cap(datagram) - cap(payload)
	return datagram[at-gtpu.HeaderLen : at+n]
}

// uplink takes a phone's packet to the packet network. What has arrived whole,
// within the quota, is charged, for the tower that brought it has counted it, even
// when it goes no further for a reason of the phone's or of this side.
func (p *Path) uplink(b *bearer, d []byte, m *gtpu.Message, from netip.AddrPort) {
	if s := b.source.Load(); s == nil && len(m.Payload) == 0 || s != nil && *s != from {
		p.shown(b, from)
	}
	if len(m.Payload) == 0 {
		return
	}
	pkt, err := datapath.ParsePacket(m.Payload)
	if err != nil {
		p.drop(datapath.ULMalformed)
		return
	}
	now := p.tab.Now()
	l := load{n: uint64(pkt.Size), from: b.policer(&b.rec.UL, &b.sess.rec.UL)}
	p.classify(&pkt, datapath.Uplink, &l)
	frame := frameOf(d, m.Payload, pkt.Size) // without padding
	b.ul.Lock()
	defer b.ul.Unlock()
	if b.ulGone {
		p.drop(datapath.ULUnknown)
		return
	}
	switch p.admitUp(b, &l, now) {
	case policed:
		p.drop(datapath.ULPolice)
		p.count(b, &l, table.LostOctets)
		return
	case noCredit:
		if !b.sess.redirect.Load() || !l.from.Pass(now, l.n) {
			p.drop(datapath.ULQuota)
			return
		}
		if !p.excused(b, &pkt, datapath.Uplink) {
			if !p.redirectUp(b, &pkt, frame, &l) {
				p.drop(datapath.ULQuota)
			}
			return
		}
	}
	b.show(datapath.Uplink, frame[gtpu.HeaderLen:])
	if why := p.handOn(b, &pkt, frame, now); why != delivered {
		p.drop(why)
		p.count(b, &l, table.LostOctets)
		return
	}
	p.ul.Add(1)
	p.count(b, &l, table.ULOctets)
}

// delivered is no reason to drop.
const delivered = datapath.Drops

// handOn gives an uplink packet to whoever is next; the caller holds ul.
func (p *Path) handOn(b *bearer, pkt *datapath.Packet, frame []byte, now uint64) datapath.Drop {
	s := b.sess
	inner := frame[gtpu.HeaderLen:]
	switch {
	case b.uppeer.Active():
		gtpu.PutHeader((*[gtpu.HeaderLen]byte)(frame), b.uppeer.TEID, pkt.Size)
		if p.write(frame, &b.uppeer) != nil {
			return datapath.ULPort
		}
		return delivered
	case pkt.Src.Is6() && !s.owns(pkt.Src) && p.linkLocal(b, pkt, inner):
		return delivered
	case !s.owns(pkt.Src):
		return datapath.ULSpoofed
	case pkt.Dst.IsLinkLocalUnicast() || pkt.Dst.IsMulticast() && pkt.Dst.Is6():
		p.linkLocal(b, pkt, inner)
		return delivered
	case p.nested(pkt):
		return datapath.ULNested
	}
	p.flows.Sent(s.slot, *pkt, now)
	if other := p.byAddress(pkt.Dst); other != nil {
		return p.neighbour(b, other, pkt, frame)
	}
	if p.o.CountHops && pkt.Dst != p.o.Router && pkt.Dst != p.o.Router6 && !slices.Contains(p.o.DNS, pkt.Dst) && !hop(inner) {
		p.expired(b, pkt, inner)
		return datapath.ULExpired
	}
	if p.port(b.slot).WritePacket(inner) != nil {
		return datapath.ULPort
	}
	return delivered
}

// port is the queue of the packet network that a bearer's packets go to.
func (p *Path) port(slot uint32) Port { return p.ports[int(slot)%len(p.ports)] }

// nested says that a phone speaks to GTP-U: nobody's business in a tunnel.
func (p *Path) nested(pkt *datapath.Packet) bool {
	return pkt.Protocol == datapath.ProtoUDP && pkt.HasPorts() && pkt.DstPort == gtpu.Port || slices.Contains(p.locals, pkt.Dst)
}

// neighbour takes a packet to another phone, as a router does.
func (p *Path) neighbour(b *bearer, other *session, pkt *datapath.Packet, frame []byte) datapath.Drop {
	if !p.o.Neighbours && other != b.sess {
		return datapath.ULNeighbour
	}
	if !hop(frame[gtpu.HeaderLen:]) {
		p.expired(b, pkt, frame[gtpu.HeaderLen:])
		return datapath.ULExpired
	}
	p.downlink(frame, false)
	return delivered
}

// excused says that a session without quota may send or get the packet all the
// same, uncharged.
func (p *Path) excused(b *bearer, pkt *datapath.Packet, d datapath.Direction) bool {
	if !b.sess.redirect.Load() || !pkt.HasPorts() {
		return false
	}
	remote := netip.AddrPortFrom(pkt.Src, pkt.SrcPort)
	if d == datapath.Uplink {
		remote = netip.AddrPortFrom(pkt.Dst, pkt.DstPort)
	}
	return slices.Contains(p.o.Portal, remote)
}

// redirectUp gives a web request of a session without quota to who answers it
// with the way to the portal.
func (p *Path) redirectUp(b *bearer, pkt *datapath.Packet, frame []byte, l *load) bool {
	if p.o.Redirect == nil || pkt.Protocol != datapath.ProtoTCP || !pkt.HasPorts() || pkt.DstPort != 80 || !b.sess.owns(pkt.Src) {
		return false
	}
	if p.o.Redirect.WritePacket(frame[gtpu.HeaderLen:]) != nil {
		return false
	}
	p.portals.Add(1)
	p.count(b, l, table.ULOctets)
	return true
}

// relay sends a G-PDU of a forward on, with its extension headers: a PDCP number
// says where the target eNB is to go on.
func (p *Path) relay(to *peer, m *gtpu.Message) {
	out := *m
	out.TEID = to.TEID
	b, err := out.Append(nil)
	if err == nil {
		err = p.write(b, to)
	}
	if err != nil {
		p.drop(datapath.ForwardSend)
		return
	}
	p.sentOn.Add(1)
}

// endMarker passes an end marker on where the tunnel goes on.
func (p *Path) endMarker(e *end) {
	p.markers.Add(1)
	switch {
	case e == nil:
	case e.forward != nil:
		p.send(gtpu.AppendEndMarker(nil, e.forward.TEID), e.forward.at)
	case e.upstream:
		e.b.dl.Lock()
		defer e.b.dl.Unlock()
		if e.b.peer.Active() {
			p.send(gtpu.AppendEndMarker(nil, e.b.peer.TEID), e.b.peer.at)
		}
	}
}
