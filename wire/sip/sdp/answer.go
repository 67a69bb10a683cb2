package sdp

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Line is what we would do with a line of media: ours of an offer or an answer.
type Line struct {
	Kind      string // "audio" if empty
	Addr      netip.AddrPort
	Codecs    []Codec   // best first; the payload types are those of our offer
	PTime     int       // milliseconds, 0: nothing is said
	Direction Direction // at most
	Cryptos   []Crypto  // not empty: RTP/SAVP and no other; a key for each suite we do
}

// Agreed is what both sides have said of one line of media.
type Agreed struct {
	Line      int // index of the line in both descriptions
	Kind      string
	Refused   bool // port 0 in the answer: nothing else holds
	Codecs    []Match
	RTCP      netip.AddrPort // where to send RTCP to
	Remote    netip.AddrPort // where to send to; its address is 0.0.0.0 on hold in the old way
	Direction Direction      // ours: do we send, do we receive
	PTime     int            // what the other side wants to receive, in milliseconds; 0: it does not say
	Send      *Crypto        // our key, with SRTP
	Receive   *Crypto        // the other side's
}

// Match is a codec that both sides have.
type Match struct {
	Codec         // name, clock, channels as the other side writes them, and its FMTP; PT is Send
	Send    uint8 // payload type of what we send: the other side's
	Receive uint8 // payload type of what we receive: ours
	Ours    int   // its index in Line.Codecs, or -1
}

// Speech is the first codec that is not telephone-event, comfort noise or
// redundancy: the one to send with (RFC 3264 §6.1).
func (a *Agreed) Speech() (Match, bool) {
	for _, m := range a.Codecs {
		if !m.auxiliary() {
			return m, true
		}
	}
	return Match{}, false
}

func (c Codec) auxiliary() bool {
	return c.IsEvents() || strings.EqualFold(c.Name, "CN") || strings.EqualFold(c.Name, "red")
}

// Offer describes our lines (RFC 3264 §5).
func Offer(origin Origin, lines []Line) *Session {
	s := begin(origin, lines)
	for i := range lines {
		m := Media{Kind: lines[i].kind(), Port: int(lines[i].Addr.Port()), Proto: lines[i].proto()}
		lines[i].describe(&m, lines[i].Codecs, lines[i].Direction)
		for _, c := range lines[i].Cryptos {
			m.AddCrypto(c)
		}
		s.add(m, &lines[i])
	}
	return s
}

// Answer answers an offer (RFC 3264 §6): each of its lines with the first of
// ours of its kind that is not used yet and has a codec for speech in common,
// or by refusing it. Codecs come in our order, with the offer's payload types.
func Answer(offer *Session, origin Origin, lines []Line) (*Session, []Agreed) {
	s := begin(origin, lines)
	s.Times = slices.Clip(offer.Times) // RFC 3264 §6
	agreed := make([]Agreed, len(offer.Media))
	used := make([]bool, len(lines))
	for i := range offer.Media {
		theirs := &offer.Media[i]
		a := Agreed{Line: i, Kind: theirs.Kind, Refused: true}
		m := Media{Kind: theirs.Kind, Proto: theirs.Proto, Formats: theirs.Formats}
		for n := range lines {
			if !used[n] && lines[n].fits(theirs) {
				if used[n] = lines[n].answer(offer, theirs, &m, &a); used[n] {
					s.add(m, &lines[n])
					break
				}
			}
		}
		if a.Refused {
			s.Media = append(s.Media, m)
		}
		agreed[i] = a
	}
	return s, agreed
}

// Accept reads the answer to our offer made of lines (RFC 3264 §7).
func Accept(answer *Session, lines []Line) ([]Agreed, error) {
	if len(answer.Media) != len(lines) {
		return nil, &Error{0, "the answer has not as many lines of media as the offer"}
	}
	agreed := make([]Agreed, len(lines))
	for i := range lines {
		theirs := &answer.Media[i]
		a := Agreed{Line: i, Kind: theirs.Kind, Refused: true}
		if theirs.Port != 0 {
			if theirs.Kind != lines[i].kind() || strings.TrimSuffix(theirs.Proto, "F") != lines[i].proto() {
				return nil, &Error{0, "the answer has another kind of media or transport than the offer"}
			}
			for _, c := range theirs.Codecs() {
				if n := slices.IndexFunc(lines[i].Codecs, c.fits); n >= 0 {
					a.Codecs = append(a.Codecs, Match{c, c.PT, lines[i].Codecs[n].PT, n})
				}
			}
			if _, ok := a.Speech(); !ok {
				return nil, &Error{0, "the answer has no codec of the offer"}
			}
			a.of(answer, theirs, &lines[i])
			if len(lines[i].Cryptos) > 0 && !a.keys(theirs, lines[i].Cryptos, func(c, ours Crypto) bool { return c.Tag == ours.Tag && c.Suite == ours.Suite }) {
				return nil, &Error{0, "the answer has no key for SRTP of a suite of the offer"}
			}
		}
		agreed[i] = a
	}
	return agreed, nil
}

func begin(origin Origin, lines []Line) *Session {
	s := &Session{Origin: origin}
	if len(lines) > 0 {
		s.Connection.Address = lines[0].Addr.Addr().String()
		if s.Origin.Address == "" {
			s.Origin.Address = s.Connection.Address
		}
	}
	return s
}

// add adds a media line of ours.
func (s *Session) add(m Media, l *Line) {
	if a := l.Addr.Addr().String(); a != s.Connection.Address {
		m.Connection.Address = a
	}
	s.Media = append(s.Media, m)
}

func (l *Line) kind() string { return or(l.Kind, "audio") }

func (l *Line) proto() string {
	if len(l.Cryptos) > 0 {
		return "RTP/SAVP"
	}
	return "RTP/AVP"
}

func (l *Line) fits(m *Media) bool {
	return m.Port != 0 && m.Kind == l.kind() && strings.TrimSuffix(m.Proto, "F") == l.proto() && l.Addr.Port() != 0
}

// describe writes what we say of a line.
func (l *Line) describe(m *Media, codecs []Codec, d Direction) {
	m.SetCodecs(codecs)
	if l.PTime > 0 {
		m.Attributes.Add("ptime", strconv.Itoa(l.PTime))
	}
	m.Attributes.AddFlag(d.String())
}

func (l *Line) answer(offer *Session, theirs, m *Media, a *Agreed) bool {
	var codecs []Codec
	offered := theirs.Codecs()
	for n, c := range l.Codecs {
		if k := slices.IndexFunc(offered, c.fits); k >= 0 {
			a.Codecs = append(a.Codecs, Match{offered[k], offered[k].PT, offered[k].PT, n})
			codecs = append(codecs, c.answered(offered[k]))
		}
	}
	_, ok := a.Speech()
	if ok && len(l.Cryptos) > 0 {
		ok = a.keys(theirs, l.Cryptos, func(c, ours Crypto) bool { return c.Suite == ours.Suite })
	}
	if !ok {
		a.Codecs, a.Send, a.Receive = nil, nil, nil
		return false
	}
	a.of(offer, theirs, l)
	m.Port = int(l.Addr.Port())
	l.describe(m, codecs, a.Direction)
	if a.Send != nil {
		m.AddCrypto(*a.Send)
	}
	return true
}

// of takes over what the other side says of a line that it does not refuse.
func (a *Agreed) of(s *Session, theirs *Media, l *Line) {
	a.Refused = false
	a.Remote, _ = s.Addr(theirs)
	a.RTCP, _ = s.RTCP(theirs)
	a.Direction = s.Direction(theirs).Reverse().And(l.Direction)
	a.PTime = theirs.PTime()
}

// keys takes the first key of theirs that goes with one of ours.
func (a *Agreed) keys(theirs *Media, ours []Crypto, pair func(theirs, ours Crypto) bool) bool {
	for _, c := range theirs.Cryptos() {
		for _, our := range ours {
			if c.goes() && pair(c, our) {
				our.Tag = c.Tag
				a.Send, a.Receive = &our, &c
				return true
			}
		}
	}
	return false
}
