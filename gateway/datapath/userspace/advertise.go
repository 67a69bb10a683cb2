package userspace

import (
	"encoding/binary"
	"net/netip"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/table"
)

// routerLocal is the router's link-local address on every phone's link.
var (
	routerLocal = netip.MustParseAddr("fe80::1")
	allNodes    = netip.MustParseAddr("ff02::1")
)

const (
	routerSolicitation  = 133
	routerAdvertisement = 134

	// advertEvery is MaxRtrAdvInterval, routerLifetime AdvDefaultLifetime of a PDN
	// link, where every advertisement may wake a phone (TS 29.061 §11.2.1.3.4).
	advertEvery    = 6 * time.Hour
	routerLifetime = 18 * time.Hour
)

// linkLocal takes what a phone says on its own link, where there is only the
// router: a router solicitation is answered (RFC 4861 §6.2.6), what else hosts
// say there (listener reports, duplicate detection: TS 23.401 §5.3.1.2.2 has none to
// defend) is heard and needs no answer. False when the source is no link-local
// one.
func (w *lane) linkLocal(b *bearer, pkt *datapath.Packet, packet []byte) bool {
	if !pkt.Src.IsLinkLocalUnicast() && !pkt.Src.IsUnspecified() {
		return b.sess.owns(pkt.Src)
	}
	if !pkt.Dst.IsMulticast() && !pkt.Dst.IsLinkLocalUnicast() {
		return false
	}
	whole := pkt.Size >= pkt.Transport+8 && pkt.Hops == 255 && !pkt.Fragment // RFC 4861 §6.1.1
	if whole && pkt.Protocol == datapath.ProtoICMPv6 && pkt.ICMPType == routerSolicitation && b.sess.v6.IsValid() {
		to := pkt.Src
		if to.IsUnspecified() {
			to = allNodes
		}
		w.advertise(b, to)
	}
	return true
}

// advertise tells a phone its prefix.
func (w *lane) advertise(b *bearer, to netip.Addr) {
	p := w.p
	b.sess.advertised.Store(max(p.tab.Now(), 1))
	p.adverts.Add(1)
	w.toPhone(b, p.advert(b.sess, to))
}

// advert is a router advertisement (RFC 4861 §4.2): the prefix is for addresses
// of the phone's own making and not on the link (TS 29.061 §11.2.1.3.2).
func (p *Path) advert(s *session, to netip.Addr) []byte {
	m := []byte{routerAdvertisement, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(m[6:], uint16(routerLifetime/time.Second))
	m = append(m, 3, 4, 64, 0x40) // prefix, autonomous
	m = append(m, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)
	m = append(m, s.v6.Addr().AsSlice()...)
	m = append(m, 5, 1, 0, 0)
	m = binary.BigEndian.AppendUint32(m, uint32(p.o.MTU))
	var servers []byte
	for _, a := range s.dns {
		if a.Is6() {
			servers = append(servers, a.AsSlice()...)
		}
	}
	if len(servers) > 0 { // RFC 8106 §5.1
		m = append(m, 25, byte(1+len(servers)/8), 0, 0)
		m = append(binary.BigEndian.AppendUint32(m, uint32(routerLifetime/time.Second)), servers...)
	}
	return appendICMPv6(make([]byte, gtpu.HeaderLen), routerLocal, to, 255, m)
}

// due says that the session's phone has to be advertised to again.
func (s *session) due(now uint64) bool {
	last := s.advertised.Load()
	return s.v6.IsValid() && (last == 0 || now-last >= uint64(advertEvery)*table.TicksPerNano)
}

// advertiseAgain advertises when a phone has come whose advertisement is old; the
// caller has dl to itself.
func (p *Path) advertiseAgain(b *bearer) {
	if !b.isDefault || !b.sess.due(p.tab.Now()) {
		return
	}
	b.sess.advertised.Store(max(p.tab.Now(), 1))
	p.adverts.Add(1)
	frame := p.advert(b.sess, allNodes)
	p.sendDown(b, &down{frame: frame, load: load{n: uint64(len(frame) - gtpu.HeaderLen)}}, nil, p.tab.Now())
}

// readvertise advertises to phones that have been connected for long.
func (p *Path) readvertise() {
	now := p.tab.Now()
	p.mu.RLock()
	var due []*bearer
	for _, slot := range p.byV6 {
		s := p.sessions[slot]
		if def := s.plan.Load().def; def != nil && s.due(now) {
			due = append(due, def)
		}
	}
	p.mu.RUnlock()
	for _, b := range due {
		b.dl.Lock()
		if !b.dlGone && b.peer.Active() {
			p.advertiseAgain(b)
		}
		b.dl.Unlock()
	}
}
