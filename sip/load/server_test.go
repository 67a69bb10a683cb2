package load

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"net"
	"net/http"
	_ "net/http/pprof" // where LOAD_PPROF says
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/vfs"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/sip/calls"
	"campanile.network/sip/media"
	"campanile.network/sip/sipgw"
	"campanile.network/sip/smsc"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
	"campanile.network/wire/sip/txn"
)

// TestMain is the server when it is started as one.
func TestMain(m *testing.M) {
	kind := os.Getenv("LOAD_SERVER")
	if kind == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if at := os.Getenv("LOAD_PPROF"); at != "" {
		go func() { log.Print(http.ListenAndServe(at, nil)) }()
	}
	at := netip.MustParseAddrPort(os.Getenv("LOAD_ADDRESS"))
	if kind == "sipgo" {
		serveSipgo(ctx, at)
		return
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	if err != nil {
		log.Fatal(err)
	}
	_ = conn.SetReadBuffer(4 << 20)
	e, err := txn.Listen(txn.Options{Packets: []txn.PacketConn{onlyMD5{conn}}, Admission: txn.Admission{Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
	if err != nil {
		log.Fatal(err)
	}
	if kind == "plain" {
		err = e.Serve(ctx, newPlain(e).handle)
	} else {
		err = serveGateway(ctx, e)
	}
	if err != nil {
		log.Fatal(err)
	}
	if os.Getenv("BENCH_SIP_VERBOSE") != "" {
		log.Printf("%s: %+v", kind, e.Stats())
	}
}

// onlyMD5 takes the challenge for SHA-256 out of what goes to sipp, which reads
// the first only and knows MD5 only.
type onlyMD5 struct{ *net.UDPConn }

func (c onlyMD5) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if bytes.HasPrefix(b, []byte("SIP/2.0 401")) {
		head, tail, ok := bytes.Cut(b, []byte("WWW-Authenticate:"))
		first, rest, more := bytes.Cut(tail, []byte("\r\n"))
		if ok && more && bytes.Contains(first, []byte("SHA-256")) {
			b = append(bytes.Clone(head), rest...)
		}
	}
	return c.UDPConn.WriteToUDPAddrPort(b, to)
}

// serveGateway is the gateway with a home in memory, one station, calls and a
// media relay.
func serveGateway(ctx context.Context, e *txn.Endpoint) error {
	relay, err := media.New(media.Options{Address: netip.MustParseAddr("127.0.0.1"), Low: 20000, High: 59999})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	carried := make(chan error, 1)
	go func() { carried <- relay.Serve(ctx) }()
	defer func() { stop(); <-carried }()
	plmn, err := id.ParsePLMN("00101")
	if err != nil {
		return err
	}
	h := &known{open: make(map[home.ChallengeID]home.ChallengeRequest)}
	o := sipgw.Options{Endpoint: e, Home: h, Directory: h, PLMN: plmn, Serving: proof.OperatorKey{1}, Realm: "load.test",
		Policy: sipgw.Policy{MD5: true},
		Calls:  sipgw.CallsBy(calls.Options{Media: calls.Relay(relay), Policy: calls.Policy{MaxCalls: 100000, PerSubscriber: 100000}}),
	}
	if os.Getenv("LOAD_STATION") != "" {
		o.Stations = []sipgw.Station{{Name: "bts", From: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, Tower: proof.TowerKey{7},
			Cells: []id.CGI{{PLMN: plmn, LAC: 1, CI: 1}}}}
	}
	address, err := sms.NewAddress("2999")
	if err != nil {
		return err
	}
	way := new(late)
	centre, err := smsc.New(smsc.Options{Dir: "smsc", FS: vfs.NewMem(), Address: address, Directory: h, Paths: []smsc.NamedPath{{Name: "SIP", Path: way}},
		Limits: smsc.Limits{PerSender: 1 << 20, Burst: 1 << 20, Total: 1 << 20, Parallel: 256}})
	if err != nil {
		return err
	}
	defer centre.Close()
	o.Messages = centre
	g, err := sipgw.New(o)
	if err != nil {
		return err
	}
	way.g.Store(g)
	delivered := make(chan error, 1)
	go func() { delivered <- centre.Serve(ctx) }()
	defer func() { stop(); <-delivered }()
	return g.Serve(ctx)
}

// late is the gateway as the centre's path, which is there before it.
type late struct{ g atomic.Pointer[sipgw.Gateway] }

func (l *late) Registered(i id.IMSI) (time.Time, bool) {
	if g := l.g.Load(); g != nil {
		return g.Registered(i)
	}
	return time.Time{}, false
}

func (l *late) Deliver(ctx context.Context, d smsc.Delivery) (sms.RP, error) {
	return l.g.Load().Deliver(ctx, d)
}

func (l *late) Delivered(d smsc.Delivery) { l.g.Load().Delivered(d) }

// calleeIMSI has the number 2101.
const calleeIMSI = "IMSI001012000000001"

// known is a home of users whose password is in their name and whose card says
// the same to every challenge.
type known struct {
	mu   sync.Mutex
	last uint64
	open map[home.ChallengeID]home.ChallengeRequest
}

func (k *known) Challenge(_ context.Context, r home.ChallengeRequest) (c home.Challenge, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last++
	binary.BigEndian.PutUint64(c.RAND[:], k.last)
	binary.BigEndian.PutUint64(c.RAND[8:], k.last*0x9e3779b97f4a7c15)
	c.ID = home.ChallengeID(c.RAND)
	c.Realm = "load.test"
	k.open[c.ID] = r
	return c, nil
}

func (k *known) Prove(_ context.Context, q home.ProveRequest) (l home.Lease, err error) {
	k.mu.Lock()
	r, ok := k.open[q.ID]
	delete(k.open, q.ID)
	k.mu.Unlock()
	switch {
	case !ok:
		return l, &home.Error{Code: home.Expired}
	case r.Method == home.App && (q.Digest == nil || !q.Digest.VerifyPassword(q.Digest.Username, "load.test", "secret"+strings.TrimPrefix(r.IMSI.Digits(), "0010110000"))):
		return l, &home.Error{Code: home.WrongRES}
	case r.Method == home.GSM && string(q.RES) != "\x01\x02\x03\x04":
		return l, &home.Error{Code: home.WrongRES}
	}
	return home.Lease{Method: r.Method, Ticket: []byte(fmt.Sprint("ticket of ", r.IMSI.Digits()))}, nil
}

// Numbers are 2 and 3 with the end of an IMSI: of those who call and write, and
// of those who are written to; 2101 is who is called.
func (k *known) ByNumber(_ context.Context, n id.MSISDN) (id.IMSI, error) {
	d := n.Digits()
	switch {
	case d == "2101":
		return id.ParseIMSI(strings.TrimPrefix(calleeIMSI, "IMSI"))
	case len(d) == 6 && (d[0] == '2' || d[0] == '3'):
		return id.ParseIMSI("00101" + string(d[0]-1) + "0000" + d[1:])
	}
	return id.IMSI{}, home.ErrNobody
}

func (k *known) Number(_ context.Context, i id.IMSI) (id.MSISDN, error) {
	d := i.Digits()
	return id.ParseMSISDN(string(d[5]+1) + d[10:])
}

func (k *known) Assign(context.Context, id.IMSI, id.MSISDN) error { return home.ErrNumberTaken }
