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

// frameRoom is what is kept free in front of a packet of the packet network's: a
// GTP-U header.
const frameRoom = gtpu.HeaderLen

// uplinks reads a GTP-U socket until it is closed.
func (w *lane) uplinks(ctx context.Context, c PacketConn) error {
	r, err := receiving(c, w.p.o.Workers == 1)
	for err == nil {
		var all []datagram
		if all, err = r.receive(); err == nil {
			for _, d := range all {
				w.datagram(d.b, d.from)
			}
			w.flush()
		}
	}
	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("userspace: receive on GTP-U: %w", err)
}

// datagram handles one GTP-U message (TS 29.281 §6.1); it may write to b.
func (w *lane) datagram(b []byte, from netip.AddrPort) {
	p := w.p
	m, err := gtpu.Parse(b)
	if err != nil {
		p.drop(datapath.ULMalformed)
		return
	}
	switch m.Type {
	case gtpu.GPDU, gtpu.EndMarker:
		w.tunnelled(b, &m, from)
	case gtpu.EchoRequest:
		p.echoes.Add(1)
		p.send(gtpu.AppendEchoResponse(nil, m.Sequence), from)
	case gtpu.ErrorIndication:
		w.errorIndication(m, from)
	case gtpu.EchoResponse, gtpu.SupportedHeaders:
	default:
		p.drop(datapath.ULMalformed)
	}
}

// tunnelled takes a message that is for a tunnel to what is at this end of it.
func (w *lane) tunnelled(d []byte, m *gtpu.Message, from netip.AddrPort) {
	p := w.p
	if len(p.o.Towers) > 0 && !slices.ContainsFunc(p.o.Towers, func(t netip.Prefix) bool { return t.Contains(from.Addr()) }) {
		p.drop(datapath.ULPeer)
		return
	}
	e := p.lookup(m.TEID)
	switch {
	case m.Type == gtpu.EndMarker:
		w.endMarker(e)
	case e == nil:
		p.unknownTEID(m, from)
	case e.forward != nil:
		p.relay(e.forward, m)
	case !p.understood(m, from):
	case e.upstream:
		w.fromUpstream(e.b, d, m)
	default:
		w.uplink(e.b, d, m, from)
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
func (w *lane) uplink(b *bearer, d []byte, m *gtpu.Message, from netip.AddrPort) {
	p := w.p
	if s := b.source.Load(); s == nil && len(m.Payload) == 0 || s != nil && *s != from {
		w.shown(b, from)
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
	w.rlock(&b.ul)
	if !w.up(b, &pkt, frame, &l, now) {
		b.ul.RUnlock()
	}
}

// up does so for one that has found its bearer; true says that it is on its way and
// the bearer's lock is the lane's.
func (w *lane) up(b *bearer, pkt *datapath.Packet, frame []byte, l *load, now uint64) bool {
	p := w.p
	if b.ulGone {
		p.drop(datapath.ULUnknown)
		return false
	}
	switch p.admitUp(b, l, now) {
	case policed:
		p.drop(datapath.ULPolice)
		p.count(b, l, table.LostOctets)
		return false
	case noCredit:
		if !b.sess.redirect.Load() || !l.from.Pass(now, l.n) {
			p.drop(datapath.ULQuota)
			return false
		}
		l.class = p.o.PortalClass
		if !p.excused(b, pkt, datapath.Uplink) {
			if !p.redirectUp(b, pkt, frame, l) {
				p.drop(datapath.ULQuota)
			}
			return false
		}
	}
	b.show(datapath.Uplink, frame[gtpu.HeaderLen:])
	switch why := w.handOn(b, pkt, frame, l, now); why {
	case underWay:
		return true
	case delivered:
		p.ul.Add(1)
		p.count(b, l, table.ULOctets)
	default:
		p.drop(why)
		p.count(b, l, table.LostOctets)
	}
	return false
}

// What is no reason to drop: it has arrived, or the lane has it.
const (
	delivered = datapath.Drops
	underWay  = datapath.Drops + 1
)

// handOn gives an uplink packet to whoever is next; the caller holds ul for it.
func (w *lane) handOn(b *bearer, pkt *datapath.Packet, frame []byte, l *load, now uint64) datapath.Drop {
	p, s := w.p, b.sess
	inner := frame[gtpu.HeaderLen:]
	switch {
	case b.uppeer.Active():
		gtpu.PutHeader((*[gtpu.HeaderLen]byte)(frame), b.uppeer.TEID, pkt.Size)
		w.toPeer(parcel{load: *l, b: b, what: table.ULOctets, bytes: frame, at: b.uppeer.at, oob: b.uppeer.oob})
		return underWay
	case pkt.Src.Is6() && !s.owns(pkt.Src) && w.linkLocal(b, pkt, inner):
		return delivered
	case !s.owns(pkt.Src):
		return datapath.ULSpoofed
	case pkt.Dst.IsLinkLocalUnicast() || pkt.Dst.IsMulticast() && pkt.Dst.Is6():
		w.linkLocal(b, pkt, inner)
		return delivered
	case p.nested(pkt):
		return datapath.ULNested
	}
	other := p.byAddress(pkt.Dst)
	if other != nil && !p.o.Neighbours && other != s {
		return datapath.ULNeighbour
	}
	p.flows.Sent(s.slot, *pkt, now)
	if other != nil {
		return w.neighbour(b, pkt, frame)
	}
	if p.o.CountHops && pkt.Dst != p.o.Router && pkt.Dst != p.o.Router6 && !slices.Contains(p.o.DNS, pkt.Dst) && !hop(inner) {
		w.expired(b, pkt, inner)
		return datapath.ULExpired
	}
	w.add(toNetwork, parcel{load: *l, b: b, what: table.ULOctets, bytes: inner})
	return underWay
}

// nested says that a phone speaks to GTP-U: nobody's business in a tunnel.
func (p *Path) nested(pkt *datapath.Packet) bool {
	return pkt.Protocol == datapath.ProtoUDP && pkt.HasPorts() && pkt.DstPort == gtpu.Port || slices.Contains(p.locals, pkt.Dst)
}

// neighbour takes a packet to another phone, as a router does.
func (w *lane) neighbour(b *bearer, pkt *datapath.Packet, frame []byte) datapath.Drop {
	if !hop(frame[gtpu.HeaderLen:]) {
		w.expired(b, pkt, frame[gtpu.HeaderLen:])
		return datapath.ULExpired
	}
	w.downlink(frame, false)
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
		err = write(p.conn(to.at.Addr()), b, to.at, to.oob)
	}
	if err != nil {
		p.drop(datapath.ForwardSend)
		return
	}
	p.sentOn.Add(1)
}

// endMarker passes an end marker on where the tunnel goes on.
func (w *lane) endMarker(e *end) {
	p := w.p
	p.markers.Add(1)
	switch {
	case e == nil:
	case e.forward != nil:
		p.send(gtpu.AppendEndMarker(nil, e.forward.TEID), e.forward.at)
	case e.upstream:
		w.flush() // it is the last
		e.b.dl.RLock()
		defer e.b.dl.RUnlock()
		if e.b.peer.Active() {
			p.send(gtpu.AppendEndMarker(nil, e.b.peer.TEID), e.b.peer.at)
		}
	}
}
