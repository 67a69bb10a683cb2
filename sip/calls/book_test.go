package calls

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/sip/media"
	"campanile.network/wire/sip/txn"
)

// book is a registry: who is where, written by the test.
type book struct {
	mu       sync.Mutex
	parties  map[id.IMSI][]Party
	numbers  map[id.MSISDN]id.IMSI
	stations map[netip.Addr]Party
	stays    map[id.IMSI]*stay
	broken   bool
}

// stay notes what is counted.
type stay struct {
	mu    sync.Mutex
	cell  id.CGI
	voice time.Duration
}

func (s *stay) Call() Meter { return &meter{s: s} }

// meter notes whether it is ended once.
type meter struct {
	s     *stay
	ended bool
}

func (m *meter) Add(d time.Duration) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	if m.ended {
		panic("counted after the end")
	}
	m.s.voice += d
}

func (m *meter) End(d time.Duration) {
	m.Add(d)
	m.ended = true
}

func newBook() *book {
	return &book{parties: map[id.IMSI][]Party{}, numbers: map[id.MSISDN]id.IMSI{}, stations: map[netip.Addr]Party{}, stays: map[id.IMSI]*stay{}}
}

func (b *book) Caller(_ context.Context, s *txn.Server) (Party, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, all := range b.parties {
		for _, p := range all {
			if p.Target.Flow.Remote == s.From.Remote && (p.Access == AccessApp || strings.HasSuffix(s.Request.From.URI.User, p.IMSI.Digits())) {
				return p, true
			}
		}
	}
	_ = s.Reply(403, "")
	return Party{}, false
}

func (b *book) Station(s *txn.Server) (Party, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p, ok := b.stations[s.From.Remote.Addr()]
	if rest, is := strings.CutPrefix(s.Request.From.URI.User, "IMSI"); is {
		p.IMSI, _ = id.ParseIMSI(rest)
	}
	return p, ok
}

func (b *book) Subscriber(_ context.Context, n id.MSISDN) (id.IMSI, error) {
	if b.broken {
		return id.IMSI{}, errors.New("away")
	}
	return b.numbers[n], nil
}

func (b *book) Contacts(i id.IMSI) []Party {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.parties[i]
}

func (b *book) Moved(i id.IMSI, p Party, s *txn.Server) (Party, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.IMSI, p.URI, p.Target = i, s.Request.Contact[0].URI, txn.To(s.From)
	b.parties[i] = []Party{p}
	b.stays[i] = &stay{cell: p.Cell}
	return p, nil
}

func (b *book) Stay(i id.IMSI) Stay {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.stays[i]; s != nil {
		return s
	}
	return nil
}

func (b *book) Owns(i id.IMSI, f txn.Flow) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.parties[i] {
		if p.Target.Flow == f {
			return true
		}
	}
	return false
}

// desk is media without packets: it notes what it is told and says what it is
// told to say.
type desk struct {
	mu       sync.Mutex
	next     uint16
	open     int
	sessions []*deskSession
	full     bool
	asked    [2]netip.Addr // where the legs of the last one were to be
}

type deskSession struct {
	d      *desk
	legs   [2]*deskLeg
	events chan media.Event
	once   sync.Once
}

type deskLeg struct {
	at     netip.AddrPort
	mu     sync.Mutex
	peers  []media.Peer
	digits string

	carried time.Duration // of speech, as the leg says
}

func (d *desk) Open(local [2]netip.Addr) (Session, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = local
	if d.full {
		return nil, media.ErrPorts
	}
	s := &deskSession{d: d, events: make(chan media.Event, 32)}
	for i := range s.legs {
		s.legs[i] = &deskLeg{at: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), d.next)}
		d.next += 2
	}
	d.open++
	d.sessions = append(d.sessions, s)
	return s, nil
}

func (s *deskSession) Leg(i int) Leg              { return s.legs[i] }
func (s *deskSession) Events() <-chan media.Event { return s.events }

func (s *deskSession) Close() {
	s.once.Do(func() {
		close(s.events)
		s.d.mu.Lock()
		defer s.d.mu.Unlock()
		s.d.open--
	})
}

func (l *deskLeg) Local() netip.AddrPort { return l.at }

func (l *deskLeg) SetPeer(p media.Peer) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.peers = append(l.peers, p)
	return nil
}

func (l *deskLeg) SendDigit(digit byte, _ time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.digits += string(digit)
	return nil
}

func (l *deskLeg) Stats() media.LegStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return media.LegStats{Carried: l.carried}
}

// peer is the newest that the leg was told.
func (l *deskLeg) peer(t *testing.T) media.Peer {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.peers) == 0 {
		t.Fatal("the leg was told of no peer")
	}
	return l.peers[len(l.peers)-1]
}
