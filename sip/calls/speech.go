package calls

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"campanile.network/sip/media"
	"campanile.network/wire/sip/sdp"
	"campanile.network/wire/sip/txn"
)

const sdpType = "application/sdp"

func isSDP(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(strings.TrimSpace(kind), sdpType)
}

// speech is what has been described on a leg (RFC 3264).
type speech struct {
	line    sdp.Line       // what we offer, or have answered with
	said    []byte         // our newest description
	version uint64         // of it
	id      string         // of it
	formats []media.Format // what the peer takes, under its numbers
	held    bool           // the peer takes nothing now
}

var errDescription = errors.New("description cannot be used")

// usual is what is offered where nobody has offered anything.
var usual = []media.Format{media.PCMA, media.PCMU, media.GSM, media.TelephoneEvent}

// open reads what the caller offers and opens the way for speech.
func (c *call) open(ways []way) error {
	a := c.legs[0]
	var local [2]netip.Addr
	if !c.w.o.OneAddress {
		local = [2]netip.Addr{own(a.way), own(ways[0].to[0].Target)}
	}
	session, err := c.w.o.Media.Open(local)
	if errors.Is(err, media.ErrPorts) {
		e := refuse(503, "no port for speech")
		e.cause, e.retry = CauseNoCircuit, 10
		return e
	}
	if err != nil {
		c.w.o.Logger.Error("no way for speech", "call", c.record.ID, "err", err)
		return refuse(500, "no way for speech")
	}
	c.media, c.events = session, session.Events()
	if len(c.invite.Request.Body) == 0 {
		return nil
	}
	offer, err := sdp.Parse(c.invite.Request.Body)
	if err != nil {
		e := refuse(400, "unreadable description")
		e.warning = err.Error()
		return e
	}
	if a.speech.formats = c.speechOf(a, offer); len(a.speech.formats) == 0 {
		return unheard("no speech that could be carried: RTP/AVP, or RTP/SAVP with keys in the description over TLS")
	}
	return nil
}

// own is the address of ours that a peer has come to; not valid where it is any.
func own(t txn.Target) netip.Addr {
	if a := t.Flow.Local.Addr().Unmap(); a.IsValid() && !a.IsUnspecified() {
		return a
	}
	return netip.Addr{}
}

// unheard is a 488 that says why (RFC 3261 §20.43).
func unheard(why string) *ended {
	e := refuse(488, "no common format")
	e.warning = why
	return e
}

// speechOf gives the formats of the first line of speech that can be carried and
// begins our line for it: SRTP where the peer wants it and nobody else reads its keys.
func (c *call) speechOf(l *leg, s *sdp.Session) []media.Format {
	for i := range s.Media {
		m := &s.Media[i]
		if m.Kind != "audio" || m.Port == 0 {
			continue
		}
		secure := m.Proto == "RTP/SAVP" && l.transport() == txn.TLS
		if m.Proto != "RTP/AVP" && !secure {
			continue
		}
		if _, ok := s.Addr(m); !ok {
			continue
		}
		l.speech.line.Addr = c.media.Leg(l.side).Local()
		if l.speech.line.PTime == 0 {
			l.speech.line.PTime = m.PTime()
		}
		l.speech.secure(secure)
		var formats []media.Format
		for _, f := range m.Codecs() {
			if g := format(f, f.PT); c.w.allows(g) {
				formats = append(formats, g)
			}
		}
		return formats
	}
	return nil
}

// allows says whether a format is let through: speech that the operator named,
// and what goes beside speech.
func (w *Switch) allows(f media.Format) bool {
	names := w.o.Policy.Formats
	return names == nil || f.Same(media.TelephoneEvent) ||
		slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, f.Name) })
}

// secure puts keys into our line, or takes them away.
func (s *speech) secure(want bool) {
	switch {
	case !want:
		s.line.Cryptos = nil
	case len(s.line.Cryptos) == 0:
		for i, suite := range []media.Suite{media.AESCM80, media.AESCM32} {
			s.line.Cryptos = append(s.line.Cryptos, described(media.NewCrypto(i+1, suite)))
		}
	}
}

// plain gives SRTP up for who does not take it, where that is allowed.
func (s *speech) plain(insist bool) bool {
	if insist || len(s.line.Cryptos) == 0 {
		return false
	}
	s.secure(false)
	return true
}

// offerTo is what a called leg is offered: what the caller has, and what that
// can be turned into; SRTP where nobody reads its keys.
func (c *call) offerTo(l *leg) {
	from := c.legs[0].speech.formats
	if from == nil {
		from = usual
	}
	s := &l.speech
	s.line.Addr = c.media.Leg(l.side).Local()
	s.line.PTime = c.legs[0].speech.line.PTime
	s.line.Codecs = codecs(withDigits(media.Offer(from, c.w.allows)))
	s.secure(l.transport() == txn.TLS && l.party.Access == AccessApp)
}

// withDigits adds telephone events (RFC 4733) to an offer that has none: what the
// caller presses comes by INFO then, and goes on as events where these are taken.
func withDigits(formats []media.Format) []media.Format {
	event := media.TelephoneEvent
	if slices.ContainsFunc(formats, event.Same) {
		return formats
	}
	for slices.ContainsFunc(formats, func(f media.Format) bool { return f.Number == event.Number }) {
		if event.Number--; event.Number < 96 {
			return formats
		}
	}
	return append(formats, event)
}

// describe is our offer.
func (l *leg) describe() []byte {
	return l.say(func(o sdp.Origin) *sdp.Session { return sdp.Offer(o, []sdp.Line{l.speech.line}) })
}

// say writes a description, with a new version when it says something new
// (RFC 3264 §8).
func (l *leg) say(describe func(sdp.Origin) *sdp.Session) []byte {
	s := &l.speech
	if s.id == "" {
		s.id = strconv.FormatUint(uint64(l.call.record.Start.UnixMilli())<<1|uint64(l.side), 10)
	}
	for {
		b, err := describe(sdp.Origin{User: "campanile", ID: s.id, Version: strconv.FormatUint(s.version, 10)}).Bytes()
		if err != nil {
			b = nil // nothing of a peer is in it that has not been parsed
		}
		if s.said == nil || string(b) == string(s.said) {
			s.said = b
			return b
		}
		s.said = nil
		s.version++
	}
}

// join takes the description of a called leg that answers our offer, joins both
// legs' speech, and gives the description for the caller: the answer to his
// offer, or an offer where he made none.
func (c *call) join(b *leg, body []byte) ([]byte, error) {
	if err := c.accept(b, body); err != nil {
		return nil, err
	}
	a := c.legs[0]
	if len(c.invite.Request.Body) == 0 {
		a.speech.line.Addr = c.media.Leg(0).Local()
		a.speech.line.Codecs = codecs(media.Offer(b.speech.formats, c.w.allows))
		return a.describe(), nil
	}
	if c.early { // he has the answer already
		return a.speech.said, nil
	}
	return c.reply2(a, b, c.invite.Request.Body)
}

// accept takes the answer to our offer.
func (c *call) accept(l *leg, body []byte) error {
	answer, err := sdp.Parse(body)
	if err != nil {
		return fmt.Errorf("%w: %w", errDescription, err)
	}
	agreed, err := sdp.Accept(answer, []sdp.Line{l.speech.line})
	if err != nil {
		return fmt.Errorf("%w: %w", errDescription, err)
	}
	return c.agree(l, &agreed[0])
}

// reply2 answers an offer of a leg so that it fits what the other one speaks.
func (c *call) reply2(l, other *leg, body []byte) ([]byte, error) {
	offer, err := sdp.Parse(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDescription, err)
	}
	formats := c.speechOf(l, offer)
	answer, err := media.Answer(formats, other.speech.formats)
	if err != nil {
		return nil, err
	}
	line := l.speech.line
	line.Codecs = codecs(answer)
	var agreed []sdp.Agreed
	said := l.say(func(o sdp.Origin) *sdp.Session {
		var s *sdp.Session
		s, agreed = sdp.Answer(offer, o, []sdp.Line{line})
		return s
	})
	i := slices.IndexFunc(agreed, func(a sdp.Agreed) bool { return !a.Refused })
	if i < 0 {
		return nil, media.ErrFormats
	}
	l.speech.line = line
	return said, c.agree(l, &agreed[i])
}

// agree tells the relay what has been agreed with a leg's peer.
func (c *call) agree(l *leg, a *sdp.Agreed) error {
	if a.Refused || !a.Remote.IsValid() {
		return fmt.Errorf("%w: no speech in it, or a name in place of an address", errDescription)
	}
	p := media.Peer{Addr: a.Remote, RTCP: a.RTCP, Signalling: l.way.Flow.Remote.Addr(), Direction: media.Direction(a.Direction.Reverse())}
	same := true
	for _, m := range a.Codecs {
		p.Receives = append(p.Receives, format(m.Codec, m.Send))
		p.Sends = append(p.Sends, format(m.Codec, m.Receive))
		same = same && m.Send == m.Receive
	}
	if same {
		p.Sends = nil
	}
	if a.Send != nil && a.Receive != nil {
		var err1, err2 error
		p.Encrypt, err1 = key(*a.Send)
		p.Decrypt, err2 = key(*a.Receive)
		if err := errors.Join(err1, err2); err != nil {
			return fmt.Errorf("%w: %w", errDescription, err)
		}
	}
	l.speech.formats = p.Receives
	c.record.Formats[l.side] = ""
	if m, ok := a.Speech(); ok {
		c.record.Formats[l.side] = m.Name
	}
	l.speech.held = p.Direction == media.SendOnly || p.Direction == media.Inactive
	return c.media.Leg(l.side).SetPeer(p)
}

// takesDigits says whether a leg's peer takes telephone events.
func (l *leg) takesDigits() bool {
	return slices.ContainsFunc(l.speech.formats, media.TelephoneEvent.Same)
}

func format(c sdp.Codec, number uint8) media.Format {
	return media.Format{Number: number, Name: c.Name, Rate: c.Clock, Channels: c.Channels, Params: c.FMTP}
}

func codecs(formats []media.Format) []sdp.Codec {
	list := make([]sdp.Codec, len(formats))
	for i, f := range formats {
		list[i] = sdp.Codec{PT: f.Number, Name: f.Name, Clock: f.Rate, Channels: max(f.Channels, 1), FMTP: f.Params}
	}
	return list
}

// key and described turn keys from the one package's into the other's.
func key(c sdp.Crypto) (*media.Crypto, error) {
	return media.ParseCrypto(strconv.Itoa(c.Tag) + " " + c.Suite + " inline:" + base64.StdEncoding.EncodeToString(c.Key) + c.Params)
}

func described(c *media.Crypto) sdp.Crypto {
	f := strings.Fields(c.Attribute())
	octets, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(f[2], "inline:"))
	return sdp.Crypto{Tag: c.Tag, Suite: f[1], Key: octets}
}
