package sipgw

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/sip/calls"
	"campanile.network/sip/media"
	"campanile.network/sip/smsc"
	"campanile.network/wire/proof"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/digest"
	"campanile.network/wire/sip/txn"
)

// Whence the datagrams of FuzzGateway come: who is trusted, and who is nobody.
var fuzzSources = [...]netip.AddrPort{
	netip.MustParseAddrPort("10.0.1.1:5062"), netip.MustParseAddrPort("10.0.1.2:5062"), // stations
	netip.MustParseAddrPort("10.0.3.1:5060"), // a trunk
	netip.MustParseAddrPort("10.0.9.9:5060"), // a stranger
}

var fuzzHere = netip.MustParseAddrPort("10.0.0.1:5060")

// fuzzNet is all other hosts: what is called rings and answers as the input says,
// and who calls acknowledges.
type fuzzNet struct {
	in     chan fuzzDatagram
	closed chan struct{}
	once   sync.Once
	mood   atomic.Uint32          // how who is called answers
	script atomic.Pointer[[]byte] // the description in that
	tag    atomic.Pointer[string] // ours, in the newest answer
	heard  sync.Map               // CSeq of the witness to its chan *sip.Message
}

type fuzzDatagram struct {
	b    []byte
	from netip.AddrPort
}

func (n *fuzzNet) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	select {
	case d := <-n.in:
		return copy(b, d.b), d.from, nil
	case <-n.closed:
		return 0, netip.AddrPort{}, net.ErrClosed
	}
}

func (n *fuzzNet) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(fuzzHere) }
func (n *fuzzNet) Close() error        { n.once.Do(func() { close(n.closed) }); return nil }

func (n *fuzzNet) send(b []byte, from netip.AddrPort) {
	select {
	case n.in <- fuzzDatagram{bytes.Clone(b), from}:
	case <-n.closed:
	}
}

func (n *fuzzNet) say(m *sip.Message, from netip.AddrPort) {
	if b, err := m.Bytes(); err == nil {
		select { // the endpoint may be the one that waits for us
		case n.in <- fuzzDatagram{b, from}:
		default:
		}
	}
}

// WriteToUDPAddrPort is what the gateway says to somebody.
func (n *fuzzNet) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	m, err := sip.Parse(b, false)
	switch {
	case err != nil && bytes.HasPrefix(b, []byte("SIP/2.0 4")), err != nil && bytes.HasPrefix(b, []byte("SIP/2.0 505")): // it gives back what nobody can read
	case err != nil:
		panic(fmt.Sprintf("the gateway says what is no SIP: %v\n%s", err, b))
	case !m.IsRequest():
		n.answered(m, to)
	case m.Method != sip.MethodAck:
		n.asked(m, to)
	}
	return len(b), nil
}

func (n *fuzzNet) answered(m *sip.Message, to netip.AddrPort) {
	if c, ok := n.heard.Load(m.CallID); ok {
		select {
		case c.(chan *sip.Message) <- m:
		default:
		}
		return
	}
	if tag := m.To.Tag(); tag != "" {
		n.tag.Store(&tag)
	}
	if m.CSeq.Method == sip.MethodInvite && m.Status/100 == 2 && n.mood.Load()&0x40 == 0 {
		ack := sip.NewRequest(sip.MethodAck, sip.URI{Scheme: "sip", Host: "10.0.0.1"})
		ack.From, ack.To, ack.CallID, ack.CSeq = m.From, m.To, m.CallID, sip.CSeq{Seq: m.CSeq.Seq, Method: sip.MethodAck}
		ack.Via = []sip.Via{{Transport: txn.UDP, Host: to.Addr().String(), Params: sip.Params{{Name: "branch", Value: "z9hG4bKack" + m.CallID, HasValue: true}}}}
		n.say(ack, to)
	}
}

func (n *fuzzNet) asked(m *sip.Message, to netip.AddrPort) {
	status := []int{200, 180, 183, 302, 486, 488, 422, 401, 603, 503}[n.mood.Load()&0x3f%10]
	if m.Method == sip.MethodMessage || m.Method == sip.MethodBye {
		status = 200
	}
	r := m.Response(status, "")
	r.To.SetTag("peer")
	r.Contact = []sip.Address{{URI: sip.URI{Scheme: "sip", User: "x", Host: to.Addr().String()}}}
	if s := n.script.Load(); s != nil && m.Method == sip.MethodInvite {
		r.ContentType, r.Body = "application/sdp", *s
	}
	n.say(r, to)
	if m.Method == sip.MethodInvite && status < 200 {
		r = r.Clone()
		r.Status, r.Reason = 200, "OK"
		n.say(r, to)
	}
}

// fuzzDesk is media without ports.
type fuzzDesk struct{}

type fuzzSession struct {
	events chan media.Event
	once   sync.Once
}

func (fuzzDesk) Open([2]netip.Addr) (calls.Session, error) {
	return &fuzzSession{events: make(chan media.Event)}, nil
}

func (s *fuzzSession) Leg(i int) calls.Leg        { return fuzzLeg(i) }
func (s *fuzzSession) Events() <-chan media.Event { return s.events }
func (s *fuzzSession) Close()                     { s.once.Do(func() { close(s.events) }) }

type fuzzLeg int

func (l fuzzLeg) Local() netip.AddrPort {
	return netip.AddrPortFrom(fuzzHere.Addr(), uint16(30000+2*int(l)))
}
func (fuzzLeg) SetPeer(media.Peer) error            { return nil }
func (fuzzLeg) SendDigit(byte, time.Duration) error { return nil }
func (fuzzLeg) Stats() media.LegStats               { return media.LegStats{} }

// fuzzGateway is a gateway with calls, messages and USSD, two stations, a trunk
// and an app; its phones are alice and bob, one at each station.
func fuzzGateway(f testing.TB) (*fuzzNet, *Gateway) {
	n := &fuzzNet{in: make(chan fuzzDatagram, 4096), closed: make(chan struct{})}
	e, err := txn.Listen(txn.Options{Packets: []txn.PacketConn{n},
		Timers:    txn.Timers{T1: 5 * time.Millisecond, T2: 40 * time.Millisecond, T4: 10 * time.Millisecond, Proceeding: time.Second},
		Admission: txn.Admission{Rate: 1 << 30, Burst: 1 << 30, Replies: 1 << 30},
		Dial:      func(context.Context, netip.AddrPort) (net.Conn, error) { return nil, errors.New("no network") }})
	if err != nil {
		f.Fatal(err)
	}
	r := newFakeHome()
	r.add(f, alice, "4915100001", "")
	r.add(f, bob, "4915100002", "secret of bob")
	plmn, _ := id.ParsePLMN("00101")
	var stations []Station
	for i, at := range fuzzSources[:2] {
		stations = append(stations, Station{Name: fmt.Sprint("bts", i), From: []netip.Prefix{netip.PrefixFrom(at.Addr(), 32)}, Tower: proof.TowerKey{byte(i)}, Cells: []id.CGI{cell(0x3ef, uint16(i))}})
	}
	g, err := New(Options{Endpoint: e, Home: r, Directory: r, PLMN: plmn, Serving: proof.OperatorKey{1}, Realm: testRealm, Stations: stations,
		Messages: &fuzzCentre{}, USSD: &menu{}, Policy: Policy{MD5: true},
		Calls: CallsBy(calls.Options{Media: fuzzDesk{}, Numbers: calls.Numbers{Country: "49", National: "0", International: "00", Emergency: []string{"112"}},
			Trunks: []calls.Trunk{{Name: "t", Proxy: "sip:10.0.3.1", Rates: []calls.Rate{{}}}},
			Policy: calls.Policy{NoAnswer: 300 * time.Millisecond, MaxLength: time.Second, PerSubscriber: 1 << 20, Emergency: calls.Emergency{Trunk: "t"}}})})
	if err != nil {
		f.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx) }()
	f.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			f.Error(err)
		}
	})
	return n, g
}

// fuzzCentre takes what can be read and keeps nothing.
type fuzzCentre struct{}

func (fuzzCentre) Submit(_ context.Context, _ smsc.Sender, m sms.RP) (sms.RP, error) {
	if d, ok := m.(*sms.RPData); ok {
		if _, err := d.TPDU(); err != nil {
			return &sms.RPError{Cause: sms.RPCauseSemanticallyIncorrect}, nil
		}
	}
	return nil, nil
}
func (fuzzCentre) SubmitText(context.Context, smsc.Sender, string, string, smsc.Key) error {
	return nil
}
func (fuzzCentre) Ready(id.IMSI) {}

// ask sends a request from a station until it is answered.
func (n *fuzzNet) ask(t testing.TB, callID, text string, from netip.AddrPort) *sip.Message {
	c := make(chan *sip.Message, 8)
	n.heard.Store(callID, c)
	defer n.heard.Delete(callID)
	b := []byte(strings.ReplaceAll(text, "\n", "\r\n"))
	for range 60 { // it may meet the noise before it
		n.send(b, from)
		again := time.NewTimer(time.Second)
		select {
		case m := <-c:
			again.Stop()
			if m.Status >= 200 {
				return m
			}
		case <-again.C:
		}
	}
	t.Fatalf("the witness is not answered:\n%s", text)
	return nil
}

// register registers a phone of a SIM.
func (n *fuzzNet) register(f testing.TB, imsi string, home *fakeHome, from netip.AddrPort) {
	text := func(seq int, more string) string {
		return fmt.Sprintf("REGISTER sip:gw SIP/2.0\nVia: SIP/2.0/UDP %[1]v;branch=z9hG4bKw%[3]d%[2]s\nFrom: <sip:IMSI%[2]s@gw>;tag=w\nTo: <sip:IMSI%[2]s@gw>\nCall-ID: w%[2]s\nCSeq: %[3]d REGISTER\nContact: <sip:IMSI%[2]s@%[1]v>;expires=5400\nMax-Forwards: 70\n%[4]sContent-Length: 0\n\n", from, imsi, seq, more)
	}
	c, err := digest.ParseChallenge(n.ask(f, "w"+imsi, text(1, ""), from).Get("WWW-Authenticate"))
	if err != nil {
		f.Fatal(err)
	}
	rand, _, err := digest.ReadNonce(c.Nonce)
	if err != nil {
		f.Fatal(err)
	}
	v := aka.Generate(home.by[mustIMSI(f, imsi)].card, rand, 0, aka.AMF{}).Triplet()
	if m := n.ask(f, "w"+imsi, text(2, fmt.Sprintf("Authorization: Digest nonce=\"%x\", uri=\"%s\", response=\"%s\"\n", rand, imsi, hex.EncodeToString(v.SRES[:]))), from); m.Status != 200 {
		f.Fatalf("the witness is refused: %d %s", m.Status, m.Reason)
	}
}

// FuzzGateway brings datagrams to a whole gateway, from stations, a trunk and
// strangers in turn: calls, messages, USSD, what goes on in their dialogs, and how
// the others answer. Nothing may panic or hang, the gateway may say nothing that is
// no SIP, and a phone that has registered can send a message afterwards.
//
// An input is datagrams, parted by two zero octets; the first octet of each says
// whence it comes, that of the input how who is called answers. Of "{tag}" becomes
// the tag that the gateway answered with last.
func FuzzGateway(f *testing.F) {
	for _, s := range fuzzSeeds(f) {
		f.Add([]byte(s))
	}
	n, g := fuzzGateway(f)
	home := g.o.Home.(*fakeHome)
	n.register(f, alice, home, fuzzSources[0])
	n.register(f, bob, home, fuzzSources[1])
	rpdu := hex.EncodeToString(submit(f, "+4915100002", "still here"))
	turn := 0
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || len(b) > 1<<16 {
			return
		}
		n.mood.Store(uint32(b[0]))
		parts := bytes.Split(b[1:], []byte{0, 0})
		script := parts[len(parts)-1]
		if !bytes.HasPrefix(script, []byte("v=0")) {
			script = []byte(fuzzSDP)
		}
		n.script.Store(&script)
		for _, d := range parts[:min(16, len(parts))] {
			if len(d) < 2 {
				continue
			}
			if tag := n.tag.Load(); tag != nil {
				d = bytes.ReplaceAll(d, []byte("{tag}"), []byte(*tag))
			}
			n.send(d[1:], fuzzSources[d[0]%byte(len(fuzzSources))])
		}
		turn++
		n.mood.Store(0)
		from := fuzzSources[0]
		at := fmt.Sprintf("witness%d", turn)
		if len(g.Bindings(mustIMSI(t, alice))) == 0 { // the input has said good bye for her, as her station may
			n.register(t, alice, home, from)
		}
		m := n.ask(t, at, fmt.Sprintf("MESSAGE sip:smsc@gw SIP/2.0\nVia: SIP/2.0/UDP %[1]v;branch=z9hG4bK%[2]s\nFrom: <sip:IMSI%[3]s@gw>;tag=w\nTo: <sip:smsc@gw>\nCall-ID: %[2]s\nCSeq: %[4]d MESSAGE\nMax-Forwards: 70\nContent-Type: application/vnd.3gpp.sms\nContent-Length: %[5]d\n\n%[6]s",
			from, at, alice, turn, len(rpdu), rpdu), from)
		if m.Status != 202 && m.Status != 503 && m.Status != 403 { // 503: the noise fills the queue; 403: her station has just said good bye
			t.Fatalf("the witness's message got %d %s", m.Status, m.Reason)
		}
	})
}

const fuzzSDP = "v=0\r\no=- 1 1 IN IP4 10.0.1.2\r\ns=-\r\nc=IN IP4 10.0.1.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 3 101\r\na=rtpmap:101 telephone-event/8000\r\n"

// fuzzSeeds are a call in each direction with all that may happen in it, messages
// of each dialect and USSD.
func fuzzSeeds(f testing.TB) (all []string) {
	request := func(source int, method, uri, from, to, callID string, seq int, more, body string) string {
		return string(rune('0'+source)) + fmt.Sprintf("%[1]s %[2]s SIP/2.0\r\nVia: SIP/2.0/UDP %[3]v;branch=z9hG4bK%[4]s%[5]d%[1]s\r\nFrom: <sip:%[6]s@gw>;tag=a\r\nTo: <sip:x@gw>%[7]s\r\nCall-ID: %[4]s\r\nCSeq: %[5]d %[1]s\r\nMax-Forwards: 70\r\nContact: <sip:%[6]s@%[3]v>\r\n%[8]sContent-Length: %[9]d\r\n\r\n%[10]s",
			method, uri, fuzzSources[source], callID, seq, from, to, strings.ReplaceAll(more, "\n", "\r\n"), len(body), body)
	}
	// fuzzSources[source%4] is what '0'+source selects, for '0' is a multiple of 4.
	const sdpType, dialog = "Content-Type: application/sdp\n", ";tag={tag}"
	part := "\x00\x00"
	for mood := range 10 {
		for _, who := range []struct {
			source int
			user   string
		}{{0, "IMSI" + alice}, {2, "+4930123"}, {3, "4915100002"}} {
			uri := "sip:+4915100002@gw"
			s := string(rune(mood)) + request(who.source, "INVITE", uri, who.user, "", "c1", 1, sdpType+"Supported: timer\nSession-Expires: 90\nAllow: UPDATE\n", fuzzSDP) + part +
				request(who.source, "ACK", uri, who.user, dialog, "c1", 1, "", "") + part +
				request(who.source, "INFO", uri, who.user, dialog, "c1", 2, "Content-Type: application/dtmf-relay\n", "Signal=5\r\nDuration=200\r\n") + part +
				request(who.source, "UPDATE", uri, who.user, dialog, "c1", 3, sdpType, fuzzSDP+"a=sendonly\r\n") + part +
				request(1, "INVITE", uri, who.user, dialog, "c1", 4, sdpType, fuzzSDP) + part +
				request(who.source, "CANCEL", uri, who.user, "", "c1", 1, "", "") + part +
				request(who.source, "BYE", uri, who.user, dialog, "c1", 5, "Reason: Q.850;cause=16\n", "") + part + fuzzSDP
			all = append(all, s)
		}
	}
	ims := "Authorization: Digest username=\"" + bob + "@ims.test\", realm=\"x\", nonce=\"\", uri=\"sip:gw\", response=\"\"\n"
	ussd := `<?xml version="1.0"?><ussd-data><language>en</language><ussd-string>*100#</ussd-string></ussd-data>`
	return append(all,
		"\x00"+request(0, "MESSAGE", "sip:smsc@gw", "IMSI"+alice, "", "m1", 1, "Content-Type: application/vnd.3gpp.sms\nP-Access-Network-Info: 3GPP-GERAN; cgi-3gpp=0010103ef0001\n", hex.EncodeToString(submit(f, "+4915100002", "hello"))),
		"\x00"+request(0, "MESSAGE", "sip:smsc@gw", "4915100001", "", "m2", 1, "Content-Type: application/vnd.3gpp.sms\nP-PHY-Info: OpenBTS; TA=1 UpRSSI=-26.0\n", string(submit(f, "+4915100002", "hello"))),
		"\x00"+request(0, "MESSAGE", "sip:+4915100002@gw", "IMSI"+alice, "", "m3", 1, "Content-Type: text/plain;charset=UTF-8\n", "Glück auf"),
		"\x00"+request(0, "INVITE", "sip:*100#@gw", "IMSI"+alice, "", "u1", 1, "Content-Type: application/vnd.3gpp.ussd+xml\n", ussd),
		"\x00"+request(0, "INVITE", "sip:*100%23@gw", "IMSI"+alice, "", "u2", 1, "Content-Type: multipart/mixed;boundary=b\n", "--b\r\nContent-Type: application/sdp\r\n\r\n"+fuzzSDP+"\r\n--b\r\nContent-Type: application/vnd.3gpp.ussd+xml\r\n\r\n"+ussd+"\r\n--b--\r\n"),
		"\x00"+request(0, "INVITE", "sip:gw", "IMSI"+bob, "", "e1", 1, sdpType+"P-Access-Network-Info: 3GPP-GERAN; cgi-3gpp=0010103ef0001\n", fuzzSDP),
		"\x00"+request(3, "REGISTER", "sip:gw", "4915100002", "", "r1", 1, "", "")+part+request(3, "REGISTER", "sip:gw", bob, "", "r2", 1, ims, ""),
		"\x00"+request(0, "REGISTER", "sip:gw", "IMSI"+bob, "", "r3", 1, "Supported: auth-umts\n", "")+part+request(0, "REGISTER", "sip:gw", "TMSI1234", "", "r4", 1, "Expires: 0\n", ""),
		"\x00"+request(0, "OPTIONS", "sip:gw", "x", "", "o1", 1, "", "")+part+request(3, "SUBSCRIBE", "sip:gw", "x", "", "o2", 1, "Event: presence\n", "")+part+request(3, "REFER", "sip:gw", "x", dialog, "o3", 1, "Refer-To: <sip:+4930@x>\n", ""),
	)
}
