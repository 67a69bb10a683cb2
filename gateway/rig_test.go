package gateway_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway"
	"campanile.network/gateway/datapath/dptest"
	"campanile.network/gateway/datapath/userspace"
	"campanile.network/internal/memnet"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

var (
	mmeIP   = netip.MustParseAddr("127.0.0.20")
	gwIP    = netip.MustParseAddr("127.0.0.30")
	towerIP = netip.MustParseAddr("127.0.0.12")
	webIP   = netip.MustParseAddr("93.184.216.34")
	quiet   = slog.New(slog.DiscardHandler)
)

const chainID = "campanile-test"

// rig is an MME's client, a gateway, a tower's socket and a packet network,
// all in memory and in virtual time.
type rig struct {
	t       testing.TB
	net     *memnet.Network
	copies  func(from, to netip.AddrPort) int // nil: one
	seen    func(from, to netip.AddrPort, b []byte)
	gw      *gateway.Gateway
	mme     *s11.Client
	path    *userspace.Path
	port    *port
	tower   *memnet.Conn
	sink    *sink
	home    proof.SigningKey
	serving proof.SigningKey

	mu       sync.Mutex
	pages    []gtpc.Cause
	pageWith gtpc.Cause
	lost     int

	hears       bool // the MME answers what is asked of bearers, else it takes their end as its own
	orders      []*s11.BearerRequest
	bearerCause gtpc.Cause
	made        int
	mmeConn     *memnet.Conn
	waiting     gtpc.Waiting // what the MME says with its answers to notifications
	asked       uint32       // sequence numbers of ask
	leave       func()       // ends gateway and data path
}

// inBubble runs body with a fresh rig in a synctest bubble.
func inBubble(t *testing.T, change func(*gateway.Options), body func(*testing.T, *rig)) {
	bubble(t, change, false, body)
}

// hearing is inBubble with an MME that answers what is asked of bearers.
func hearing(t *testing.T, change func(*gateway.Options), body func(*testing.T, *rig)) {
	bubble(t, change, true, body)
}

func bubble(t *testing.T, change func(*gateway.Options), hears bool, body func(*testing.T, *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, hears: hears, bearerCause: gtpc.Accepted, sink: &sink{}, home: proof.NewSigningKey(), serving: proof.NewSigningKey(), pageWith: gtpc.Accepted}
		r.net = memnet.New(func(from, to netip.AddrPort, b []byte) int {
			if r.seen != nil {
				r.seen(from, to, b)
			}
			if r.copies != nil {
				return r.copies(from, to)
			}
			return 1
		})
		r.port = &port{in: make(chan []byte, 1024), closed: make(chan struct{})}
		var err error
		r.path, err = userspace.New(userspace.Options{Conn: r.listen(gwIP, 2152), Port: r.port, Logger: quiet})
		r.must(err)
		o := gateway.Options{S11Conn: r.listen(gwIP, 2123), S1U: gwIP, Path: r.path, OpenTicket: r.openTicket, Sink: r.sink, Logger: quiet,
			Networks: []gateway.Network{{IPv4: []netip.Prefix{netip.MustParsePrefix("10.45.0.0/16")}, Open: true}}}
		if change != nil {
			change(&o)
		}
		r.gw, err = gateway.New(o)
		r.must(err)
		r.tower = r.listen(towerIP, 2152)
		defer r.tower.Close()
		path, gw := r.serve(r.path.Serve), r.serve(r.gw.Serve)
		r.leave = sync.OnceFunc(func() { gw(); path() })
		defer r.leave()
		defer r.startMME(1)()
		body(t, r)
	})
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) listen(a netip.Addr, port uint16) *memnet.Conn {
	c, err := r.net.Listen(netip.AddrPortFrom(a, port))
	r.must(err)
	return c
}

// serve runs f; the function returned ends it and waits.
func (r *rig) serve(f func(context.Context) error) func() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("Serve: %v", err)
		}
	}
}

// notified is how many Downlink Data Notifications the MME has heard.
func (r *rig) notified() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.pages)
}

func (r *rig) startMME(counter uint8) (stop func()) {
	var err error
	r.mmeConn = r.listen(mmeIP, 2123)
	var onBearers func(*s11.BearerRequest)
	if r.hears {
		onBearers = r.agrees
	}
	r.mme, err = s11.New(s11.Options{
		OnBearers: onBearers,
		Conn:      r.mmeConn, Gateway: netip.AddrPortFrom(gwIP, 0), RestartCounter: counter, Logger: quiet,
		OnDownlinkData: func(_ *s11.Session, _ id.EBI, why gtpc.Cause) gtpc.Cause {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.pages = append(r.pages, why)
			return r.pageWith
		},
		Waiting: func(*s11.Session, id.EBI) gtpc.Waiting {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.waiting
		},
		OnGatewayRestart: func(lost []*s11.Session) { r.lost += len(lost) },
	})
	r.must(err)
	return r.serve(r.mme.Serve)
}

func (r *rig) openTicket(b []byte) (proof.Ticket, error) { return proof.OpenTicket(chainID, b) }

// ticket is a valid ticket with that byte cap.
func (r *rig) ticket(n byte, byteCap uint64) []byte {
	b, err := proof.Ticket{
		ChainID: chainID, ID: proof.TicketID{n}, Node: r.home.Public(), Serving: r.serving.Public(), Class: proof.Proven,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(6 * time.Hour), Cap: proof.Carried{Bytes: byteCap},
	}.Sign(r.home)
	r.must(err)
	return b
}

// segment is the ticket's no-th.
func (r *rig) segment(n byte, no uint32) []byte {
	b, err := proof.Segment{ChainID: chainID, Ticket: proof.TicketID{n}, No: no, Tower: proof.TowerKey{1},
		Cell: proof.EUTRAN(id.ECGI{PLMN: plmn(r.t), ECI: 0x19b01}), Start: time.Now()}.Sign(r.serving)
	r.must(err)
	return b
}

func plmn(t testing.TB) id.PLMN {
	p, err := id.ParsePLMN("00101")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func imsi(t testing.TB, s string) id.IMSI {
	v, err := id.ParseIMSI(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// request is a Create Session for the phone with that IMSI.
func request(t testing.TB, who string, ticket []byte) s11.CreateSession {
	apn, err := id.ParseAPN("internet")
	if err != nil {
		t.Fatal(err)
	}
	msisdn, _ := id.ParseMSISDN("491701234567")
	return s11.CreateSession{
		IMSI: imsi(t, who), MSISDN: msisdn, APN: apn, PDNType: gtpc.PDNIPv4, EBI: 5, QCI: 9,
		ARP: gtpc.ARP{Level: 8}, AMBR: gtpc.AMBR{UL: 50 * id.Mbps, DL: 100 * id.Mbps},
		TAI: id.TAI{PLMN: plmn(t), TAC: 7}, ECGI: id.ECGI{PLMN: plmn(t), ECI: 0x19b01},
		PCO: []byte{0x80, 0, 0x0d, 0, 0, 0x10, 0}, Ticket: ticket,
	}
}

const (
	phone1 = "001010123456789"
	phone2 = "001010123456780"
)

var enb = s11.FTEID{Addr: towerIP, TEID: 0x5005}

// attach creates a session under ticket n and connects it.
func (r *rig) attach(who string, n byte) *s11.Session {
	r.t.Helper()
	s, err := r.mme.Create(r.t.Context(), request(r.t, who, r.ticket(n, 1<<30)))
	r.must(err)
	r.must(r.mme.Modify(r.t.Context(), s, s11.ModifyBearer{ENB: enb, Segment: r.segment(n, 1)}))
	return s
}

func (r *rig) ul(s *s11.Session, size int) {
	r.tower.WriteToUDPAddrPort(gtpu.AppendGPDU(nil, s.SGW.TEID, dptest.Packet(s.Address, webIP, size)), netip.AddrPortFrom(s.SGW.Addr, 2152))
	synctest.Wait()
}

func (r *rig) dl(s *s11.Session, size int) {
	r.port.in <- dptest.Packet(webIP, s.Address, size)
	synctest.Wait()
}

// towerReads gives the next G-PDU's T-PDU size and TEID at the tower.
func (r *rig) towerReads() (int, id.TEID) {
	r.t.Helper()
	buf := make([]byte, 2000)
	n, _, err := r.tower.ReadFromUDPAddrPort(buf)
	r.must(err)
	m, err := gtpu.Parse(buf[:n])
	r.must(err)
	return len(m.Payload), m.TEID
}

// port swallows uplink and injects downlink.
type port struct {
	in     chan []byte
	out    chan []byte // uplink, if somebody wants it
	closed chan struct{}
	once   sync.Once
}

func (p *port) ReadPacket(b []byte) (int, error) {
	select {
	case <-p.closed:
		return 0, net.ErrClosed
	case x := <-p.in:
		return copy(b, x), nil
	}
}
func (p *port) WritePacket(b []byte) error {
	if p.out != nil {
		p.out <- append([]byte(nil), b...)
	}
	return nil
}
func (p *port) MTU() int     { return 1400 }
func (p *port) Close() error { p.once.Do(func() { close(p.closed) }); return nil }

// sink keeps the newest record of each segment of each session.
type sink struct {
	mu      sync.Mutex
	records []usage.Record
	reports int
	fail    error
	changed chan struct{} // told of a report when not nil
}

func (s *sink) Report(_ context.Context, rs []usage.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports++
	if s.fail != nil {
		return s.fail
	}
	for _, n := range rs {
		i := slices.IndexFunc(s.records, func(o usage.Record) bool {
			return o.Session == n.Session && string(o.Segment) == string(n.Segment)
		})
		if i < 0 {
			s.records = append(s.records, n)
			continue
		}
		s.records[i] = n
	}
	if s.changed != nil {
		select {
		case s.changed <- struct{}{}:
		default:
		}
	}
	return nil
}

func (s *sink) all() []usage.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.records)
}

func (s *sink) failWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// answerPages sets what the MME answers notifications.
func (r *rig) answerPages(c gtpc.Cause) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pageWith = c
}
