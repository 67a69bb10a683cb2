package link_test

import (
	"context"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"campanile.network/internal/peertls"
	pb "campanile.network/wire/corepb"
	"campanile.network/wire/link"
	"campanile.network/wire/proof"
)

type coreFunc func(proof.TowerKey, link.Conn[link.FromTower, link.ToTower]) error

func (f coreFunc) Join(k proof.TowerKey, c link.Conn[link.FromTower, link.ToTower]) error {
	return f(k, c)
}

func serve(t *testing.T, core link.Core, server, client credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	l := bufconn.Listen(1 << 16)
	s := grpc.NewServer(grpc.Creds(server))
	link.Register(s, core)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:core", grpc.WithTransportCredentials(client),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		s.Stop()
		<-done
	})
	return conn
}

func withTLS(t *testing.T, core link.Core) (*grpc.ClientConn, proof.TowerKey) {
	t.Helper()
	operator, tower := proof.NewSigningKey(), proof.NewSigningKey()
	st, err := peertls.Server(operator.Ed25519(), func([32]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	ct, err := peertls.Client(tower.Ed25519(), operator.Public())
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, core, credentials.NewTLS(st), credentials.NewTLS(ct)), tower.Public()
}

var (
	fromTower = []link.FromTower{
		{Report: &link.Report{Epoch: 1 << 63, Counts: []link.Count{{TEID: 0xffffffff, UL: 2, DL: 1 << 60}, {TEID: 1}}}},
		{Notice: &link.Notice{Code: link.VouchersLag, Text: "vouchers lag 4.2 MB", Epoch: 1 << 63, Number: 3, At: time.UnixMilli(1700000000456)}},
		{Seen: &link.Seen{Channel: 3, Seq: 9}},
		{Radio: &link.Radio{State: "running", Since: time.UnixMilli(1700000000123), Restarts: 2, LastError: "no device", Users: 3, UL: 1, DL: 1 << 40, Errors: 7}},
	}
	toTower = []link.ToTower{
		{Terms: &link.Terms{ChainID: "campanile-1", Channel: 3, Payer: proof.OperatorKey{7}, Prices: proof.Prices{PerGB: proof.AmountOf(1 << 60)}, WindowOctets: 4, WindowPermille: 10, BilledOctets: 5}},
		{Voucher: []byte("signed")},
		{Heard: &link.Heard{Epoch: 1 << 63, Number: 3}},
	}
)

// converse says everything there is to say, both ways, and ends.
func converse(t *testing.T, dial func(link.Core) (link.Conn[link.ToTower, link.FromTower], proof.TowerKey)) {
	var heard []link.FromTower
	var key proof.TowerKey
	end := errors.New("enough")
	conn, want := dial(coreFunc(func(k proof.TowerKey, c link.Conn[link.FromTower, link.ToTower]) error {
		key = k
		for range fromTower {
			m, err := c.Recv()
			if err != nil {
				return err
			}
			heard = append(heard, m)
		}
		for _, m := range toTower {
			if err := c.Send(m); err != nil {
				return err
			}
		}
		return end
	}))
	for _, m := range fromTower {
		if err := conn.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range toTower {
		if got, err := conn.Recv(); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("the tower heard %+v, %v; want %+v", got, err, want)
		}
	}
	if _, err := conn.Recv(); err == nil || !strings.Contains(err.Error(), end.Error()) {
		t.Errorf("at the end: %v", err)
	}
	if !reflect.DeepEqual(heard, fromTower) {
		t.Errorf("the core heard %+v", heard)
	}
	if key != want {
		t.Errorf("the core knows the tower as %v, not %v", key, want)
	}
}

func TestOverTLS(t *testing.T) {
	converse(t, func(core link.Core) (link.Conn[link.ToTower, link.FromTower], proof.TowerKey) {
		conn, key := withTLS(t, core)
		c, err := link.Dial(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		return c, key
	})
}

func TestWithinOneProcess(t *testing.T) {
	converse(t, func(core link.Core) (link.Conn[link.ToTower, link.FromTower], proof.TowerKey) {
		c, done := link.Local(t.Context(), core, proof.TowerKey{5})
		t.Cleanup(func() { <-done })
		return c, proof.TowerKey{5}
	})
	c, done := link.Local(t.Context(), coreFunc(func(proof.TowerKey, link.Conn[link.FromTower, link.ToTower]) error { return nil }), proof.TowerKey{})
	<-done
	if _, err := c.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("a core that ends without a word: %v", err)
	}
	if err := c.Send(fromTower[0]); err == nil {
		t.Error("said something to a core that has ended")
	}
}

func TestNoKeyNoLink(t *testing.T) {
	joined := false
	conn := serve(t, coreFunc(func(proof.TowerKey, link.Conn[link.FromTower, link.ToTower]) error { joined = true; return nil }),
		insecure.NewCredentials(), insecure.NewCredentials())
	c, err := link.Dial(t.Context(), conn)
	if err == nil {
		_, err = c.Recv()
	}
	if status.Code(err) != codes.Unauthenticated || joined {
		t.Errorf("%v, joined %t", err, joined)
	}
}

func TestNonsenseEndsTheLink(t *testing.T) {
	for name, m := range map[string]*pb.FromTower{
		"nothing":  {},
		"too long": {Body: &pb.FromTower_Report{Report: &pb.TowerReport{Counts: many(65537)}}},
	} {
		conn, _ := withTLS(t, coreFunc(func(_ proof.TowerKey, c link.Conn[link.FromTower, link.ToTower]) error {
			_, err := c.Recv()
			return err
		}))
		st, err := pb.NewLinkClient(conn).Join(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Send(m); err != nil {
			t.Fatal(err)
		}
		if _, err := st.Recv(); status.Code(err) != codes.FailedPrecondition {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, m := range map[string]*pb.ToTower{
		"nothing":   {},
		"payer":     {Body: &pb.ToTower_Terms{Terms: &pb.Terms{Payer: make([]byte, 31), PricePerGb: "1"}}},
		"price":     {Body: &pb.ToTower_Terms{Terms: &pb.Terms{Payer: make([]byte, 32), PricePerGb: "-1"}}},
		"no price":  {Body: &pb.ToTower_Terms{Terms: &pb.Terms{Payer: make([]byte, 32)}}},
		"no terms.": {Body: &pb.ToTower_Terms{}},
	} {
		l := bufconn.Listen(1 << 16)
		s := grpc.NewServer()
		pb.RegisterLinkServer(s, rawCore{say: m})
		go s.Serve(l)
		conn, err := grpc.NewClient("passthrough:core", grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
		if err != nil {
			t.Fatal(err)
		}
		c, err := link.Dial(t.Context(), conn)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Recv(); err == nil {
			t.Errorf("%s: taken as %+v", name, got)
		}
		conn.Close()
		s.Stop()
	}
}

func many(n int) []*pb.TowerCount {
	list := make([]*pb.TowerCount, n)
	for i := range list {
		list[i] = &pb.TowerCount{}
	}
	return list
}

// rawCore says one thing without wire/link's checks.
type rawCore struct {
	pb.UnimplementedLinkServer
	say *pb.ToTower
}

func (r rawCore) Join(st pb.Link_JoinServer) error { return st.Send(r.say) }

// A long notice is cut, not refused; within a character if need be it stays
// valid text.
func TestNoticeIsBounded(t *testing.T) {
	got := make(chan string, 1)
	conn, _ := withTLS(t, coreFunc(func(_ proof.TowerKey, c link.Conn[link.FromTower, link.ToTower]) error {
		m, err := c.Recv()
		if err == nil {
			got <- m.Notice.Text
		}
		return err
	}))
	c, err := link.Dial(t.Context(), conn)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Send(link.FromTower{Notice: &link.Notice{Code: link.Serving, Text: strings.Repeat("ü", 300)}}); err != nil {
		t.Fatal(err)
	}
	if s := <-got; len(s) > 512 || strings.Trim(s, "ü") != "" {
		t.Errorf("%d octets: %q", len(s), s)
	}
	if s := link.NoticeCode(99).String(); s != "notice 99" {
		t.Error(s)
	}
}
