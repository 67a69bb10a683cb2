package media

import (
	"fmt"
	"net/netip"
	"time"
)

// Session is one call: two legs. Everything in it is guarded by its loop's mutex.
type Session struct {
	relay  *Relay
	loop   *loop
	legs   [2]Leg
	ports  [2]uint16
	events chan Event
	closed bool
}

// Leg gives leg 0 or 1.
func (s *Session) Leg(i int) *Leg { return &s.legs[i] }

// Events tells what happens. It holds 32; digits beyond are lost, the other kinds
// wait. It is closed with the session.
func (s *Session) Events() <-chan Event { return s.events }

// Close gives the ports back. Packets under way are dropped. Closing twice is
// closing once.
func (s *Session) Close() { s.loop.remove(s) }

// Leg is one side of a call.
type Leg struct {
	s         *Session
	i         int
	announced netip.AddrPort
	rtp, rtcp socket

	set             bool
	peer            Peer
	source, control latch
	routes          [128]route // by payload type the peer sends
	in              reception
	out             outflow
	voice           *transcoder // towards the other leg
	event           incoming
	digits          outgoing
	reports         reports
	decrypt         *opener
	encrypt         *sealer

	route *route // of the speech that voice has
	now   time.Time

	since   time.Time // SetPeer, or the last packet
	heard   bool      // a packet since SetPeer
	silent  bool
	due     [Digit]bool // events of this kind that have not been told
	credit  int         // packets that may be read
	stopped bool        // it is not being read
	stats   LegStats
}

// route is what becomes of a payload type.
type route struct {
	how  how
	to   uint8 // payload type to the other peer
	rate int
	from law
	into law
}

type how uint8

const (
	unknown how = iota // was not agreed
	nowhere            // the other leg does not take it
	across             // as it is, under another number
	recoded            // turned into another codec
	digit              // telephone events the other leg takes
	respelt            // telephone events the other leg takes of another clock
	told               // telephone events the other leg does not take
)

// Local is where the peer is to send RTP, as the peer's side of the world calls
// it; RTCP is the next port, or the same where RFC 5761 is agreed.
func (l *Leg) Local() netip.AddrPort { return l.announced }

// SetPeer says what the newest description of the peer has said: at once, and
// again after each that is agreed. Where the address changes, what was learned
// of the old one is forgotten; the stream to the other leg goes on without a
// break, whoever sends now.
func (l *Leg) SetPeer(p Peer) error {
	if p.Sends == nil {
		p.Sends = p.Receives
	}
	for _, f := range append(p.Sends[:len(p.Sends):len(p.Sends)], p.Receives...) {
		if f.Number > 127 || f.Rate <= 0 || f.Rate > 192000 {
			return fmt.Errorf("media: format %q: payload type %d, clock %d Hz; want 0 to 127, 1 to 192000", f.Name, f.Number, f.Rate)
		}
	}
	if (p.Encrypt == nil) != (p.Decrypt == nil) {
		return fmt.Errorf("media: SRTP takes both keys: that of each description")
	}
	opener, sealer, err := newCrypt(p.Decrypt, p.Encrypt)
	if err != nil {
		return err
	}
	l.s.loop.mu.Lock()
	defer l.s.loop.mu.Unlock()
	if l.s.closed {
		return ErrClosed
	}
	was := l.peer
	l.peer = p
	if !l.set || was.Addr != p.Addr || was.Signalling != p.Signalling {
		l.source = newLatch(p.Addr, p.Signalling)
		l.heard = false
	}
	rtcp := p.RTCP
	if !rtcp.IsValid() && p.Addr.IsValid() {
		rtcp = netip.AddrPortFrom(p.Addr.Addr(), p.Addr.Port()+1)
	}
	if unmap(rtcp) != l.control.announced || was.Signalling != p.Signalling {
		l.control = newLatch(rtcp, p.Signalling)
	}
	if !was.Decrypt.equal(p.Decrypt) {
		l.decrypt = opener
	}
	if !was.Encrypt.equal(p.Encrypt) {
		l.encrypt = sealer
	}
	l.set, l.silent, l.since = true, false, l.s.loop.now()
	for i := range l.s.legs {
		l.s.legs[i].plan()
	}
	return nil
}

// other is the leg across.
func (l *Leg) other() *Leg { return &l.s.legs[1-l.i] }

// plan finds out what becomes of what the peer sends.
func (l *Leg) plan() {
	l.routes = [128]route{}
	for _, f := range l.peer.Sends {
		if l.routes[f.Number].how == unknown {
			l.routes[f.Number] = f.route(l.other().peer.Receives)
		}
	}
}

func (f Format) route(takes []Format) route {
	r := route{how: nowhere, rate: f.Rate, from: f.law()}
	if f.event() {
		r.how = told
	}
	for _, t := range takes {
		switch {
		case f.Same(t) && f.event():
			r.how, r.to = digit, t.Number
			return r
		case f.Same(t):
			r.how, r.to = across, t.Number
			return r
		case f.event() && t.event():
			r.how = respelt
		case r.how == nowhere && r.from != none && t.coded():
			r.how, r.to, r.into = recoded, t.Number, t.law()
		}
	}
	return r
}

// receives says whether the peer is to be sent anything now, and where.
func (l *Leg) receives() (netip.AddrPort, bool) {
	if !l.set || l.peer.Direction == SendOnly || l.peer.Direction == Inactive {
		return netip.AddrPort{}, false
	}
	to := l.source.target()
	return to, to.IsValid()
}

// Stats says what the leg has carried.
func (l *Leg) Stats() LegStats {
	l.s.loop.mu.Lock()
	defer l.s.loop.mu.Unlock()
	st := l.stats
	st.Lost, st.Jitter = l.in.lost(), l.in.variation()
	if l.source.source.IsValid() {
		st.Source = l.source.source.String()
	}
	return st
}

// tell reports a state; what finds no room is told at the next tick.
func (l *Leg) tell(k EventKind) {
	select {
	case l.s.events <- Event{Leg: l.i, Kind: k}:
		l.due[k] = false
	default:
		l.due[k] = true
	}
}
