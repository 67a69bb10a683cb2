package media

import (
	"net/netip"
	"time"
)

// datagram takes what has come to a leg's port.
func (l *Leg) datagram(b []byte, control bool, from netip.AddrPort, now time.Time) {
	// RTCP on RTP's port is told by its type (RFC 5761 §4).
	if !control && l.peer.Mux && len(b) > 1 && b[1] >= 192 && b[1] <= 223 {
		if l.source.admits(from) {
			l.report(b, now)
		} else {
			l.drop(Stranger)
		}
		return
	}
	if control {
		if l.set && l.control.admits(from) {
			if l.report(b, now) {
				l.control.take(from)
			}
		} else {
			l.drop(Stranger)
		}
		return
	}
	if !l.set || !l.source.admits(from) {
		l.drop(Stranger)
		return
	}
	var p packet
	if !p.parse(b, l.decrypt != nil) {
		l.drop(Garbage)
		return
	}
	if l.decrypt != nil {
		clear, reason, ok := l.decrypt.open(l.s.loop.clear[:0], &p)
		if !ok {
			l.drop(reason)
			return
		}
		if !p.parse(clear, false) {
			l.drop(Garbage)
			return
		}
	}
	if l.routes[p.kind].how == unknown {
		l.drop(Unformatted)
		return
	}
	l.source.take(from)
	l.carry(&p, now)
}

func (l *Leg) drop(d Drop) { l.stats.Dropped[d]++ }

// carry counts a packet of the peer's and takes it where it goes.
func (l *Leg) carry(p *packet, now time.Time) {
	r := &l.routes[p.kind]
	if !l.count(p, r.rate, now) {
		l.drop(Late)
		return
	}
	if r.how >= digit {
		l.digit(p, r)
	}
	o := l.other()
	to, open := o.receives()
	if !open || r.how == nowhere {
		l.drop(Unwanted)
		return
	}
	if o.digits.busy() {
		return // the peer is being sent a digit: speech pauses
	}
	l.now = now
	switch r.how {
	case across, digit:
		if r.how == across {
			l.voice = nil
		} else if l.voice != nil { // in the order of the speech that is made here
			l.voice.push(p.seq, p.ts, nil, l)
		}
		seq, ts, fresh := o.out.next(l.origin(), p.seq, p.ts, r.rate, now)
		stamp(p.b, r.to, p.marker || fresh && r.how == across, seq, ts, o.out.ssrc)
		o.send(p.b, len(p.payload), to)
	case recoded:
		l.recode(p, r)
	}
}

// origin is what the leg is to the other's stream.
func (l *Leg) origin() origin {
	if l.voice == nil {
		return origin{epoch: l.in.epoch}
	}
	return origin{epoch: l.in.epoch, turn: l.voice.turn, numbered: true}
}

// count keeps the leg's books, and says whether the packet is of its stream.
func (l *Leg) count(p *packet, rate int, now time.Time) bool {
	switch l.in.take(p, rate, now) {
	case stray:
		return false
	case disordered:
		l.stats.OutOfOrder++
	case anew:
		if l.voice != nil {
			l.voice.started = false
			l.voice.held = [heldPackets]heldPacket{}
		}
	}
	if gap := now.Sub(l.stats.LastIn); gap > 0 && gap <= time.Second {
		l.stats.Carried += gap
	}
	l.stats.In.add(len(p.b))
	l.s.loop.totals.In.add(len(p.b))
	l.stats.LastIn, l.since = now, now
	if !l.heard {
		l.heard = true
		l.tell(Started)
	}
	if l.silent {
		l.silent = false
		l.tell(Resumed)
	}
	return true
}

func (c *Count) add(octets int) {
	c.Packets++
	c.Octets += uint64(octets)
}

func (l *Leg) recode(p *packet, r *route) {
	if l.voice == nil || l.voice.from != r.from || l.voice.to != r.into {
		l.voice = &transcoder{from: r.from, to: r.into}
	}
	if !l.voice.good(p.payload) {
		l.drop(Garbage)
		return
	}
	l.route = r
	if !l.voice.push(p.seq, p.ts, p.payload, l) {
		l.drop(Late)
	}
}

// frame sends the other peer a frame that was made of what this one has sent.
func (l *Leg) frame(ts uint32, payload []byte) {
	o := l.other()
	to, open := o.receives()
	if !open || l.route.how != recoded {
		return
	}
	b := append(l.s.loop.made[:headerSize], payload...)
	b[0] = 0x80
	seq, ts, fresh := o.out.next(l.origin(), 0, ts, l.route.rate, l.now)
	stamp(b, l.route.to, fresh, seq, ts, o.out.ssrc)
	o.send(b, len(payload), to)
}

// send sends the peer a packet of its stream.
func (l *Leg) send(b []byte, payload int, to netip.AddrPort) {
	if l.encrypt != nil {
		sealed, err := l.encrypt.rtp(l.s.loop.sealed[:0], b)
		if err != nil {
			l.drop(Unsent)
			return
		}
		b = sealed
	}
	if !l.s.loop.write(&l.rtp, b, to) {
		l.drop(Unsent)
		return
	}
	l.out.packets++
	l.out.size += uint32(payload)
	l.stats.Out.add(len(b))
	l.s.loop.totals.Out.add(len(b))
}

// tick is called every 100 ms, and every 20 ms while digits are sent.
func (l *Leg) tick(now time.Time, silence time.Duration) {
	for k, due := range l.due {
		if due {
			l.tell(EventKind(k))
		}
	}
	if !l.set {
		return
	}
	expected := l.peer.Direction == SendRecv || l.peer.Direction == SendOnly
	if !expected {
		l.since = now
	}
	if !l.silent && now.Sub(l.since) >= silence {
		l.silent = true
		l.tell(Silent)
	}
	l.spell(now)
	l.own(now)
}
