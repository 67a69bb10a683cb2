package userspace

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/table"
)

// packets reads a port until it is closed: the packet network's, or what answers
// phones that are redirected.
func (w *lane) packets(ctx context.Context, port Port, redirected bool) error {
	r := reading(port)
	for {
		frames, err := r.read()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}
			return fmt.Errorf("userspace: read from packet network: %w", err)
		}
		for _, f := range frames {
			w.downlink(f, redirected)
		}
		w.flush()
	}
}

// down is a downlink packet that has found its bearer.
type down struct {
	load
	frame      []byte // room for a GTP-U header and the packet
	redirected bool   // is the redirect's: uncharged
}

// downlink takes a packet to the phone it is for; frame has room for a GTP-U
// header in front of it.
func (w *lane) downlink(frame []byte, redirected bool) {
	p := w.p
	pkt, err := datapath.ParsePacket(frame[gtpu.HeaderLen:])
	if err != nil || pkt.Size > 0xffff-gtpu.HeaderLen-28 {
		p.drop(datapath.DLMalformed)
		return
	}
	s := p.byAddress(pkt.Dst)
	if s == nil {
		p.drop(datapath.DLUnknown)
		return
	}
	now := p.tab.Now()
	frame = frame[:gtpu.HeaderLen+pkt.Size]
	b, why := p.wanted(s, &pkt, frame[gtpu.HeaderLen:], redirected, now)
	switch {
	case b == nil:
		p.drop(why)
		return
	case pkt.Size > p.o.MTU && pkt.DontFragment:
		w.tooBig(&pkt, frame[gtpu.HeaderLen:])
		p.drop(datapath.DLTooBig)
		return
	}
	d := down{frame: frame, redirected: redirected, load: load{n: uint64(pkt.Size)}}
	p.classify(&pkt, datapath.Downlink, &d.load)
	w.deliver(b, &d, &pkt, now)
}

// wanted chooses the bearer of a packet that the phone has asked for.
func (p *Path) wanted(s *session, pkt *datapath.Packet, b []byte, redirected bool, now uint64) (*bearer, datapath.Drop) {
	if pkt.Later { // of a datagram whose first fragment was let in, by the way it went
		if teid, ok := p.frags.find(pkt, now); ok {
			for _, x := range s.plan.Load().all {
				if x.teid == teid {
					return x, 0
				}
			}
		}
		if !s.open.Load() {
			return nil, datapath.DLUnsolicited
		}
	} else if !s.open.Load() && !redirected && !p.flows.Wanted(s.slot, *pkt, b, now) {
		return nil, datapath.DLUnsolicited
	}
	x := s.choose(pkt)
	if x == nil {
		return nil, datapath.DLNoBearer
	}
	if pkt.Fragment && !pkt.Later {
		p.frags.note(pkt, x.teid, now)
	}
	return x, 0
}

// fromUpstream takes what the PGW sends for a bearer to its tower.
func (w *lane) fromUpstream(b *bearer, datagram []byte, m *gtpu.Message) {
	p := w.p
	pkt, err := datapath.ParsePacket(m.Payload)
	if err != nil {
		p.drop(datapath.DLMalformed)
		return
	}
	d := down{frame: frameOf(datagram, m.Payload, pkt.Size), load: load{n: uint64(pkt.Size)}}
	p.classify(&pkt, datapath.Downlink, &d.load)
	w.deliver(b, &d, &pkt, p.tab.Now())
}

// deliver sends or keeps a packet. The rate is held where packets arrive: what
// has waited for the phone goes to it at once.
func (w *lane) deliver(b *bearer, d *down, pkt *datapath.Packet, now uint64) {
	p := w.p
	w.rlock(&b.dl)
	switch {
	case b.dlGone:
		p.drop(datapath.DLUnknown)
	case b.peer.Active():
		d.from = b.policer(&b.rec.DL, &b.sess.rec.DL)
		if x, ok := p.pack(b, d, pkt, now); ok {
			w.toPeer(x)
			return
		}
	case b.policy.Load().Suspended:
		p.drop(datapath.DLBuffer)
	case b.sess.rec.Spent() && !b.sess.redirect.Load(): // not worth paging for
		p.drop(datapath.DLQuota)
		p.once(&b.sess.out, datapath.QuotaExhausted, b)
	default:
		p.keep(b, d.frame[gtpu.HeaderLen:], now)
	}
	b.dl.RUnlock()
}

// sendDown sends at once; the caller has dl to itself.
func (p *Path) sendDown(b *bearer, d *down, pkt *datapath.Packet, now uint64) {
	if x, ok := p.pack(b, d, pkt, now); ok {
		x.err = write(p.conn(x.at.Addr()), x.bytes, x.at, x.oob)
		p.settle(&x)
	}
}

// pack charges and encapsulates; false if that may not be sent. The caller holds
// dl.
func (p *Path) pack(b *bearer, d *down, pkt *datapath.Packet, now uint64) (x parcel, ok bool) {
	v := free
	if d.redirected {
		d.from, d.class = nil, p.o.PortalClass
	} else if v = p.admitDown(b, &d.load, now); v == noCredit && pkt != nil && p.excused(b, pkt, datapath.Downlink) {
		v, d.from, d.class = free, nil, p.o.PortalClass
	}
	switch v {
	case policed:
		p.drop(datapath.DLPolice)
		return x, false
	case noCredit:
		p.drop(datapath.DLQuota)
		return x, false
	}
	gtpu.PutHeader((*[gtpu.HeaderLen]byte)(d.frame), b.peer.TEID, int(d.n))
	return parcel{load: d.load, b: b, what: table.DLOctets, v: v, bytes: d.frame, at: b.peer.at, oob: b.peer.oob}, true
}

// renotify is the time after which a downlink packet for a phone that is still
// idle is an event again: the MME may have lost the first.
const renotify = uint64(10*time.Second) * table.TicksPerNano

// keep buffers a packet for an idle phone and tells of the first; the caller
// holds dl.
func (p *Path) keep(b *bearer, pkt []byte, now uint64) {
	b.wait.Lock()
	defer b.wait.Unlock()
	most := p.o.BufferPackets
	if n := b.policy.Load().Buffer; n > 0 {
		most = min(most, n)
	}
	if len(b.buffer) >= most || p.waiting.Load()+int64(len(pkt)) > int64(p.o.BufferOctets) {
		p.drop(datapath.DLBuffer)
	} else {
		b.buffer = append(b.buffer, append([]byte(nil), pkt...))
		p.waiting.Add(int64(len(pkt)))
		p.queued.Add(1)
	}
	if b.notified == 0 || now-b.notified >= renotify {
		if p.emit(datapath.DownlinkData, b) {
			b.notified = max(now, 1)
		}
	}
}

// flush sends what was buffered; the caller has dl to itself.
func (p *Path) flush(b *bearer) {
	frame := make([]byte, gtpu.HeaderLen, 2048)
	for _, kept := range b.buffer {
		frame = append(frame[:gtpu.HeaderLen], kept...)
		d := down{frame: frame, load: load{n: uint64(len(kept))}}
		pkt, err := datapath.ParsePacket(kept)
		if err != nil {
			continue
		}
		p.classify(&pkt, datapath.Downlink, &d.load)
		p.sendDown(b, &d, &pkt, 0)
	}
	p.empty(b)
}

// empty forgets the buffer and its share of the bounds; the caller has dl to
// itself.
func (p *Path) empty(b *bearer) {
	for _, pkt := range b.buffer {
		p.waiting.Add(-int64(len(pkt)))
	}
	p.queued.Add(-int64(len(b.buffer)))
	b.buffer = nil
}

// DropBuffered implements datapath.Path.
func (p *Path) DropBuffered(teid id.TEID) error {
	b, err := p.bearer(teid)
	if err != nil {
		return err
	}
	b.dl.Lock()
	defer b.dl.Unlock()
	p.drops[datapath.DLBuffer].Add(uint64(len(b.buffer)))
	p.empty(b)
	return nil
}
