package calls

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/internal/memnet"
	"campanile.network/sip/media"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// rig is a switch with a network in memory, in virtual time.
type rig struct {
	t       *testing.T
	net     *memnet.Network
	at      netip.AddrPort // the switch's
	sw      *Switch
	book    *book
	media   *desk
	records []Record
	mu      sync.Mutex
	script  *transcript
	lose    func(from, to netip.AddrPort, m []byte) bool
}

// inRig runs a test in a rig; what is odd about its options, change says.
func inRig(t *testing.T, change func(*Options), test func(*rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, at: netip.MustParseAddrPort("10.0.0.1:5060"), book: newBook(), script: &transcript{}}
		r.media = &desk{next: 30000}
		r.net = memnet.New(func(from, to netip.AddrPort, b []byte) int {
			if r.lose != nil && r.lose(from, to, b) {
				return 0
			}
			r.script.add(from, to, b)
			return 1
		})
		conn, err := r.net.Listen(r.at)
		if err != nil {
			t.Fatal(err)
		}
		e, err := txn.Listen(txn.Options{Packets: []txn.PacketConn{conn}})
		if err != nil {
			t.Fatal(err)
		}
		o := Options{
			Endpoint: e, Registry: r.book, Media: r.media, Realm: "campanile.example",
			Numbers: Numbers{Emergency: []string{"112"}},
			Record: func(c Record) {
				r.mu.Lock()
				defer r.mu.Unlock()
				r.records = append(r.records, c)
			},
		}
		if change != nil {
			change(&o)
		}
		if r.sw, err = New(o); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() { _ = r.sw.Serve(ctx) })
		calls, end := context.WithCancel(t.Context())
		wait.Go(func() { _ = e.Serve(calls, r.sw.Handle) })
		synctest.Wait()
		test(r)
		stop()
		synctest.Wait()
		time.Sleep(40 * time.Second) // virtual: until every transaction is over
		end()
		wait.Wait()
		r.sw.mu.Lock()
		defer r.sw.mu.Unlock()
		if len(r.sw.calls)+len(r.sw.legs)+len(r.sw.begun)+len(r.sw.ours)+len(r.sw.busy) != 0 {
			t.Errorf("left over: %d calls, %d legs, %d begun, %d Call-IDs, %d busy", len(r.sw.calls), len(r.sw.legs), len(r.sw.begun), len(r.sw.ours), len(r.sw.busy))
		}
		if n := r.media.open; n != 0 {
			t.Errorf("%d sessions of media are open", n)
		}
	})
}

// record is the one call that has ended.
func (r *rig) record() Record {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.records) != 1 {
		r.t.Fatalf("%d calls have ended, want 1", len(r.records))
	}
	return r.records[0]
}

func imsi(t *testing.T, n int) id.IMSI {
	t.Helper()
	i, err := id.ParseIMSI(fmt.Sprintf("00101%010d", n))
	if err != nil {
		t.Fatal(err)
	}
	return i
}

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
}

func (d *desk) Open([2]netip.Addr) (Session, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
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

func (l *deskLeg) Stats() media.LegStats { return media.LegStats{} }

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

// peer is a phone, an app or another network: it says what a test has it say.
type peer struct {
	r    *rig
	name string
	at   netip.AddrPort
	conn *memnet.Conn
	in   chan *sip.Message
	seq  int
}

func (r *rig) peer(name, at string) *peer {
	r.t.Helper()
	p := &peer{r: r, name: name, at: netip.MustParseAddrPort(at), in: make(chan *sip.Message, 256)}
	r.script.name(p.at, name)
	var err error
	if p.conn, err = r.net.Listen(p.at); err != nil {
		r.t.Fatal(err)
	}
	done := make(chan struct{})
	r.t.Cleanup(func() { _ = p.conn.Close(); <-done })
	go func() {
		defer close(done)
		b := make([]byte, 65536)
		for {
			n, _, err := p.conn.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			m, err := sip.Parse(b[:n], false)
			if err != nil {
				r.t.Errorf("%s cannot read what the switch says: %v\n%s", name, err, b[:n])
				continue
			}
			p.in <- m
		}
	}()
	return p
}

// phone is a GSM phone in a cell of a station at an address.
func (r *rig) phone(name, at string, n int, msisdn string) *peer {
	p := r.peer(name, at)
	i := imsi(r.t, n)
	r.station(at)
	flow := txn.Flow{Transport: txn.UDP, Local: r.at, Remote: p.at}
	cell := r.book.stations[p.at.Addr()].Cell
	r.book.parties[i] = append(r.book.parties[i], Party{Access: AccessGSM, IMSI: i, Number: number(r.t, msisdn), Station: r.book.stations[p.at.Addr()].Station, Cell: cell,
		URI: sip.URI{Scheme: "sip", User: "IMSI" + i.Digits(), Host: p.at.Addr().String(), Port: int(p.at.Port())}, Target: txn.To(flow)})
	r.book.numbers[number(r.t, msisdn)] = i
	r.book.stays[i] = &stay{cell: cell}
	return p
}

// station is a trusted base station.
func (r *rig) station(at string) {
	a := netip.MustParseAddrPort(at).Addr()
	plmn, err := id.ParsePLMN("00101")
	if err != nil {
		r.t.Fatal(err)
	}
	r.book.stations[a] = Party{Access: AccessGSM, Station: "bts-" + a.String(), Cell: id.CGI{PLMN: plmn, LAC: 1000, CI: uint16(a.As4()[3])}}
}

// app is a SIP app.
func (r *rig) app(name, at string, n int, msisdn string) *peer {
	p := r.peer(name, at)
	i := imsi(r.t, n)
	flow := txn.Flow{Transport: txn.UDP, Local: r.at, Remote: p.at}
	r.book.parties[i] = append(r.book.parties[i], Party{Access: AccessApp, IMSI: i, Number: number(r.t, msisdn),
		URI: sip.URI{Scheme: "sip", User: name, Host: p.at.Addr().String(), Port: int(p.at.Port())}, Target: txn.To(flow)})
	r.book.numbers[number(r.t, msisdn)] = i
	return p
}

// say sends a message to the switch.
func (p *peer) say(m *sip.Message) {
	p.r.t.Helper()
	b, err := m.Append(nil)
	if err != nil {
		p.r.t.Fatal(err)
	}
	if _, err := p.conn.WriteToUDPAddrPort(b, p.r.at); err != nil {
		p.r.t.Fatal(err)
	}
}

// hear waits for a message: a method or a status. 100 is passed over where it is
// not wanted; anything else is not.
func (p *peer) hear(want string) *sip.Message {
	p.r.t.Helper()
	for {
		select {
		case m := <-p.in:
			got := string(m.Method)
			if !m.IsRequest() {
				got = fmt.Sprint(m.Status)
			}
			if got == want {
				return m
			}
			if got != "100" {
				p.r.t.Fatalf("%s hears %s, want %s:\n%s", p.name, got, want, text(m))
			}
		case <-time.After(5 * time.Minute): // virtual
			p.r.t.Fatalf("%s hears nothing, want %s", p.name, want)
		}
	}
}

// silent says that nothing has come, but for 100.
func (p *peer) silent() {
	p.r.t.Helper()
	synctest.Wait()
	for {
		select {
		case m := <-p.in:
			if m.Status != 100 {
				p.r.t.Fatalf("%s hears:\n%s", p.name, text(m))
			}
		default:
			return
		}
	}
}

func text(m *sip.Message) string {
	b, err := m.Append(nil)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// dialog is a peer's side of a call.
type dialog struct {
	p           *peer
	local       sip.Address
	remote      sip.Address
	target      sip.URI
	callID      string
	seq         uint32
	invite      *sip.Message // that it began with
	established bool
}

// calls begins a call with an INVITE, which body describes.
func (p *peer) calls(user, body string, change ...func(*sip.Message)) *dialog {
	p.r.t.Helper()
	p.seq++
	d := &dialog{p: p, callID: fmt.Sprintf("%s-%d@%s", p.name, p.seq, p.at.Addr()), seq: 1}
	from := p.name
	for _, all := range p.r.book.parties {
		for _, x := range all {
			if x.Access == AccessGSM && x.Target.Flow.Remote == p.at {
				from = "IMSI" + x.IMSI.Digits()
			}
		}
	}
	d.target = sip.URI{Scheme: "sip", User: user, Host: p.r.at.Addr().String()}
	d.local = sip.Address{URI: sip.URI{Scheme: "sip", User: from, Host: p.at.Addr().String()}}
	d.local.Params.Set("tag", fmt.Sprintf("t%d%s", p.seq, p.name))
	d.remote = sip.Address{URI: d.target}
	d.invite = d.request("INVITE", body)
	for _, f := range change {
		f(d.invite)
	}
	p.say(d.invite)
	return d
}

// request makes a request of the dialog.
func (d *dialog) request(method sip.Method, body string) *sip.Message {
	m := sip.NewRequest(method, d.target)
	if method != sip.MethodAck && method != sip.MethodCancel {
		d.seq++
	}
	m.From, m.To, m.CallID, m.CSeq.Seq = d.local, d.remote, d.callID, d.seq
	v := sip.Via{Transport: "UDP", Host: d.p.at.Addr().String(), Port: int(d.p.at.Port())}
	d.p.r.script.branches++
	v.Params.Set("branch", fmt.Sprintf("z9hG4bK%s%d", d.p.name, d.p.r.script.branches))
	m.Via = []sip.Via{v}
	m.Contact = []sip.Address{{URI: sip.URI{Scheme: "sip", User: d.local.URI.User, Host: d.p.at.Addr().String(), Port: int(d.p.at.Port())}}}
	if body != "" {
		m.ContentType, m.Body = "application/sdp", []byte(body)
	}
	return m
}

// send sends a request of the dialog.
func (d *dialog) send(method sip.Method, body string) *sip.Message {
	d.p.r.t.Helper()
	m := d.request(method, body)
	d.p.say(m)
	return m
}

// answered takes the 2xx to the dialog's INVITE and acknowledges it.
func (d *dialog) answered() *sip.Message {
	d.p.r.t.Helper()
	m := d.p.hear("200")
	d.takes(m)
	d.ack(m, "")
	return m
}

// takes establishes the dialog by a 2xx.
func (d *dialog) takes(m *sip.Message) {
	d.remote, d.established = m.To, true
	if len(m.Contact) == 1 {
		d.target = m.Contact[0].URI
	}
}

func (d *dialog) ack(to *sip.Message, body string) {
	d.p.r.t.Helper()
	m := d.request("ACK", body)
	m.CSeq.Seq = to.CSeq.Seq
	m.Contact = nil
	d.p.say(m)
}

// refused takes a final refusal of the INVITE that was sent last and acknowledges it.
func (d *dialog) refused(status int) *sip.Message {
	d.p.r.t.Helper()
	m := d.p.hear(fmt.Sprint(status))
	a := sip.NewRequest("ACK", d.invite.URI)
	a.Via, a.From, a.To, a.CallID, a.CSeq.Seq = d.invite.Via[:1], d.invite.From, m.To, m.CallID, m.CSeq.Seq
	d.p.say(a)
	return m
}

// invites sends an INVITE within the dialog.
func (d *dialog) invites(body string) {
	d.p.r.t.Helper()
	d.invite = d.send("INVITE", body)
}

// cancel takes the INVITE back.
func (d *dialog) cancel() {
	d.p.r.t.Helper()
	m := sip.NewRequest("CANCEL", d.invite.URI)
	m.Via, m.From, m.To, m.CallID, m.CSeq.Seq = d.invite.Via[:1], d.invite.From, d.invite.To, d.invite.CallID, d.invite.CSeq.Seq
	d.p.say(m)
}

// rung is the dialog that an INVITE would begin at who is called.
func (p *peer) rung() *dialog {
	p.r.t.Helper()
	m := p.hear("INVITE")
	p.seq++
	d := &dialog{p: p, callID: m.CallID, local: m.To, remote: m.From, invite: m, seq: 100}
	d.local.Params.Set("tag", fmt.Sprintf("t%d%s", p.seq, p.name))
	if len(m.Contact) == 1 {
		d.target = m.Contact[0].URI
	}
	return d
}

// says answers a request of the switch.
func (d *dialog) says(to *sip.Message, status int, body string, change ...func(*sip.Message)) {
	d.p.r.t.Helper()
	r := to.Response(status, "")
	if status > 100 {
		r.To = d.local
		if to.Method != "INVITE" || to.To.Tag() != "" {
			r.To = to.To
		}
	}
	if status < 300 {
		r.Contact = []sip.Address{{URI: sip.URI{Scheme: "sip", User: d.p.name, Host: d.p.at.Addr().String(), Port: int(d.p.at.Port())}}}
	}
	if body != "" {
		r.ContentType, r.Body = "application/sdp", []byte(body)
	}
	for _, f := range change {
		f(r)
	}
	d.p.say(r)
}

// talks brings two peers into a call: the caller's dialog and the called one's.
func (r *rig) talks(a *peer, user string, b *peer, offer, answer string) (*dialog, *dialog) {
	r.t.Helper()
	da := a.calls(user, offer)
	db := b.rung()
	db.says(db.invite, 180, "")
	a.hear("180")
	db.says(db.invite, 200, answer)
	da.answered()
	b.hear("ACK")
	synctest.Wait()
	return da, db
}

// hangsUp ends a call from one side.
func (d *dialog) hangsUp(other *dialog) {
	d.p.r.t.Helper()
	d.send("BYE", "")
	d.p.hear("200")
	other.says(other.p.hear("BYE"), 200, "")
}

// audio is a description.
func audio(host string, port int, formats ...string) string {
	var list, maps strings.Builder
	for _, f := range formats {
		pt, name, _ := strings.Cut(f, " ")
		list.WriteString(" " + pt)
		if name != "" {
			maps.WriteString("a=rtpmap:" + pt + " " + name + "\r\n")
		}
	}
	return fmt.Sprintf("v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio %d RTP/AVP%s\r\n%s", host, host, port, list.String(), maps.String())
}

// What phones and apps usually describe.
var (
	gsmSDP = func(p *peer) string { return audio(p.at.Addr().String(), 4000, "3 GSM/8000") }
	appSDP = func(p *peer) string {
		return audio(p.at.Addr().String(), 5000, "0 PCMU/8000", "8 PCMA/8000", "101 telephone-event/8000")
	}
)
