package media

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"
)

// RTCP packet types (RFC 3550 §12.1, RFC 4585 §6.1).
const (
	senderReport   = 200
	receiverReport = 201
	description    = 202
	feedback       = 205
	payloadFeed    = 206
)

// reports is what a leg's own reports need.
type reports struct {
	heard uint32 // middle of the NTP time of the peer's last sender report
	at    time.Time
	next  time.Time
	name  [12]byte // CNAME, random (RFC 7022 §4.2)
}

// reporting is who receives the leg's RTCP.
func (l *Leg) reporting() (*socket, netip.AddrPort, bool) {
	to, open := l.receives()
	if !l.peer.Mux {
		to = l.control.target()
		return &l.rtcp, to, open && to.IsValid()
	}
	return &l.rtp, to, open
}

// report takes RTCP of the peer's, and says whether it was any. Where speech goes
// across as it is, so do reports, told in terms of the other stream (RFC 3550 §7.2);
// where it is made anew, both legs have reports of their own.
func (l *Leg) report(b []byte, now time.Time) bool {
	if l.decrypt != nil {
		clear, reason, ok := l.decrypt.openRTCP(l.s.loop.clear[:0], b)
		if !ok {
			l.drop(reason)
			return false
		}
		b = clear
	}
	if !compound(b) {
		l.drop(Garbage)
		return false
	}
	l.stats.RTCPIn++
	if b[1] == senderReport && len(b) >= 28 {
		l.reports.heard, l.reports.at = binary.BigEndian.Uint32(b[10:]), now
	}
	o := l.other()
	if l.voice != nil || o.voice != nil || !o.out.started {
		return true
	}
	if told := l.translate(l.s.loop.made[:0], b); len(told) > 0 {
		o.sendReport(told)
	}
	return true
}

// compound says whether b is RTCP packets of version 2 that fill it, a report
// first (RFC 3550 §A.2); feedback may also come alone (RFC 5506 §3.1).
func compound(b []byte) bool {
	if len(b) < 8 || b[0]&0x20 != 0 && len(b) == int(binary.BigEndian.Uint16(b[2:])+1)*4 && b[len(b)-1] == 0 {
		return false
	}
	if k := b[1]; k != senderReport && k != receiverReport && k != feedback && k != payloadFeed {
		return false
	}
	for len(b) > 0 {
		if len(b) < 8 || b[0]>>6 != 2 {
			return len(b) == 0
		}
		n := (int(binary.BigEndian.Uint16(b[2:])) + 1) * 4
		if n > len(b) {
			return false
		}
		b = b[n:]
	}
	return true
}

// translate tells the other peer what this one reports: sources and numbers are
// those of the streams the other knows. Names are ours; what is neither report
// nor feedback is left out.
func (l *Leg) translate(dst, b []byte) []byte {
	o := l.other()
	named := false
	for len(b) >= 8 {
		n := (int(binary.BigEndian.Uint16(b[2:])) + 1) * 4
		one := b[:n]
		b = b[n:]
		switch one[1] {
		case senderReport, receiverReport:
			dst, named = l.translateReport(dst, one), true
		case feedback, payloadFeed:
			if len(one) >= 12 && l.speaksOf(one[8:]) {
				at := len(dst)
				dst = append(dst, one...)
				binary.BigEndian.PutUint32(dst[at+4:], o.out.ssrc)
				binary.BigEndian.PutUint32(dst[at+8:], o.in.ssrc)
			}
		}
	}
	if named {
		dst = o.appendName(dst)
	}
	return dst
}

// speaksOf says whether what the peer names is the stream it is sent, and it is
// another's as it is.
func (l *Leg) speaksOf(ssrc []byte) bool {
	o := l.other()
	return binary.BigEndian.Uint32(ssrc) == l.out.ssrc && o.in.have && l.out.from == (origin{epoch: o.in.epoch})
}

func (l *Leg) translateReport(dst, one []byte) []byte {
	o := l.other()
	at, blocks := len(dst), 8
	if one[1] == senderReport {
		blocks = 28
	}
	if len(one) < blocks || one[1] == senderReport && (binary.BigEndian.Uint32(one[4:]) != l.in.ssrc || o.out.from != origin{epoch: l.in.epoch}) {
		return dst
	}
	dst = append(dst, one[:blocks]...)
	binary.BigEndian.PutUint32(dst[at+4:], o.out.ssrc)
	if one[1] == senderReport {
		binary.BigEndian.PutUint32(dst[at+16:], binary.BigEndian.Uint32(one[16:])+o.out.tsOff)
	}
	count := 0
	for range one[0] & 0x1f {
		if len(one) < blocks+24 {
			break
		}
		block := one[blocks:][:24]
		blocks += 24
		if !l.speaksOf(block) {
			continue
		}
		count++
		k := len(dst)
		dst = append(dst, block...)
		binary.BigEndian.PutUint32(dst[k:], o.in.ssrc)
		low := uint16(binary.BigEndian.Uint32(block[8:])) - l.out.seqOff
		highest := o.in.last - 1<<16 // the extended number nearest to what has come
		highest += uint32(int32(int16(low - uint16(highest))))
		binary.BigEndian.PutUint32(dst[k+8:], highest)
	}
	dst[at] = 0x80 | byte(count)
	binary.BigEndian.PutUint16(dst[at+2:], uint16((len(dst)-at)/4-1))
	return dst
}

// appendName appends who the stream to the peer comes from (RFC 3550 §6.5).
func (l *Leg) appendName(dst []byte) []byte {
	if l.reports.name[0] == 0 {
		for i := range l.reports.name {
			l.reports.name[i] = 'a' + byte(rand.UintN(26))
		}
	}
	dst = append(dst, 0x81, description, 0, 5)
	dst = binary.BigEndian.AppendUint32(dst, l.out.ssrc)
	dst = append(dst, 1, byte(len(l.reports.name)))
	dst = append(dst, l.reports.name[:]...)
	return append(dst, 0, 0)
}

func (l *Leg) sendReport(b []byte) {
	socket, to, open := l.reporting()
	if !open {
		return
	}
	if l.encrypt != nil {
		sealed, err := l.encrypt.rtcp(l.s.loop.sealed[:0], b)
		if err != nil {
			l.drop(Unsent)
			return
		}
		b = sealed
	}
	if l.s.loop.write(socket, b, to) {
		l.stats.RTCPOut++
	}
}

// own sends the peer a report of this relay's every 5 s or so (RFC 3550 §6.2),
// where speech is made anew.
func (l *Leg) own(now time.Time) {
	if l.voice == nil && l.other().voice == nil || now.Before(l.reports.next) {
		return
	}
	first := l.reports.next.IsZero()
	l.reports.next = now.Add(time.Duration(2500+rand.IntN(5000)) * time.Millisecond)
	if first {
		return
	}
	b := l.s.loop.made[:0]
	if l.out.started {
		b = append(b, 0x80, senderReport, 0, 6)
		b = binary.BigEndian.AppendUint32(b, l.out.ssrc)
		b = binary.BigEndian.AppendUint64(b, ntp(now))
		b = binary.BigEndian.AppendUint32(b, l.out.now(now))
		b = binary.BigEndian.AppendUint32(b, l.out.packets)
		b = binary.BigEndian.AppendUint32(b, l.out.size)
	} else {
		b = append(b, 0x80, receiverReport, 0, 1)
		b = binary.BigEndian.AppendUint32(b, l.out.ssrc)
	}
	if l.in.have {
		b[0]++
		b[3] += 6
		b = l.appendBlock(b, now)
	}
	l.sendReport(l.appendName(b))
}

// appendBlock appends what came of the peer's stream (RFC 3550 §6.4.1).
func (l *Leg) appendBlock(b []byte, now time.Time) []byte {
	r := &l.in
	expected := r.last - r.base + 1
	lost := int64(expected) - int64(r.received)
	fraction := int64(0)
	if e, got := expected-r.expectedPrior, r.received-r.receivedPrior; e > 0 && e > got {
		fraction = min(int64(e-got)<<8/int64(e), 255)
	}
	r.expectedPrior, r.receivedPrior = expected, r.received
	b = binary.BigEndian.AppendUint32(b, r.ssrc)
	lost = min(max(lost, -1<<23), 1<<23-1)
	b = binary.BigEndian.AppendUint32(b, uint32(fraction)<<24|uint32(lost)&0xffffff)
	b = binary.BigEndian.AppendUint32(b, r.last-1<<16)
	b = binary.BigEndian.AppendUint32(b, r.jitter>>4)
	b = binary.BigEndian.AppendUint32(b, l.reports.heard)
	delay := uint32(0)
	if l.reports.heard != 0 {
		delay = uint32(now.Sub(l.reports.at).Microseconds() * 65536 / 1e6)
	}
	return binary.BigEndian.AppendUint32(b, delay)
}

// ntp is a moment in seconds since 1900, 32 bits of them and 32 of fraction.
func ntp(t time.Time) uint64 {
	return uint64(t.Unix()+2208988800)<<32 | uint64(t.Nanosecond())<<32/1e9
}
