package home_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	"campanile.network/internal/peertls"
	pb "campanile.network/wire/corepb"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

// fake answers what it is told to and keeps what it was asked.
type fake struct {
	challenge home.ChallengeRequest
	prove     home.ProveRequest
	lease     home.Lease
	err       error
}

func (f *fake) Challenge(_ context.Context, r home.ChallengeRequest) (home.Challenge, error) {
	f.challenge = r
	return home.Challenge{ID: home.ChallengeID{1}, RAND: [16]byte{2}, AUTN: [16]byte{3}, Expires: time.UnixMilli(1234567)}, f.err
}

func (f *fake) Prove(_ context.Context, r home.ProveRequest) (home.Lease, error) {
	f.prove = r
	return f.lease, f.err
}

// dial serves h over TLS and gives the connection of an asker with a key.
func dial(t *testing.T, h home.Home) (conn *grpc.ClientConn, asker proof.OperatorKey) {
	t.Helper()
	server, client := proof.NewSigningKey(), proof.NewSigningKey()
	st, err := peertls.Server(server.Ed25519(), func([32]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	ct, err := peertls.Client(client.Ed25519(), server.Public())
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, h, credentials.NewTLS(st), credentials.NewTLS(ct)), client.Public()
}

func serve(t *testing.T, h home.Home, server, client credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	l := bufconn.Listen(1 << 16)
	s := grpc.NewServer(grpc.Creds(server))
	home.Register(s, h)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:home", grpc.WithTransportCredentials(client),
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

func ask(t *testing.T) home.ChallengeRequest {
	t.Helper()
	imsi, err := id.ParseIMSI("001010123456780")
	if err != nil {
		t.Fatal(err)
	}
	plmn, err := id.ParsePLMN("001/01")
	if err != nil {
		t.Fatal(err)
	}
	return home.ChallengeRequest{IMSI: imsi, PLMN: plmn}
}

func TestChallengeAndProve(t *testing.T) {
	msisdn, _ := id.ParseMSISDN("4915112345678")
	apn, _ := id.ParseAPN("internet")
	ims, _ := id.ParseAPN("ims")
	f := &fake{lease: home.Lease{KASME: secret.Key256{1, 2, 3}, Ticket: []byte("ticket"), Profile: home.Profile{
		MSISDN: msisdn, APN: apn, QCI: 9, ARP: 8, AMBRUL: 50 * id.Mbps, AMBRDL: 100 * id.Mbps, IPv4: netip.MustParseAddr("10.45.0.9"), PDN: home.PDNBoth,
		APNs: []home.APN{{Name: ims, QCI: 5, ARP: 1, AMBRUL: id.Mbps, AMBRDL: 2 * id.Mbps, PDN: home.PDNEither, IPv4: netip.MustParseAddr("10.46.0.9")}}}}}
	conn, asker := dial(t, f)
	c := home.NewClient(conn)

	req := ask(t)
	req.Serving = proof.OperatorKey{0xbb} // a lie: the key shown in TLS counts
	req.Resync = &home.Resync{RAND: [16]byte{4}, AUTS: [14]byte{5}}
	ch, err := c.Challenge(t.Context(), req)
	want := home.Challenge{ID: home.ChallengeID{1}, RAND: [16]byte{2}, AUTN: [16]byte{3}, Expires: time.UnixMilli(1234567)}
	if err != nil || ch != want {
		t.Errorf("challenge %+v, %v", ch, err)
	}
	req.Serving = asker
	if !reflect.DeepEqual(f.challenge, req) {
		t.Errorf("the home heard %+v", f.challenge)
	}
	l, err := c.Prove(t.Context(), home.ProveRequest{ID: ch.ID, Serving: proof.OperatorKey{0xbb}, RES: []byte{1, 2, 3, 4}})
	if err != nil || !reflect.DeepEqual(l, f.lease) {
		t.Errorf("lease %+v, %v", l, err)
	}
	if f.prove.Serving != asker || f.prove.ID != ch.ID || string(f.prove.RES) != "\x01\x02\x03\x04" {
		t.Errorf("the home heard %+v", f.prove)
	}
	f.lease.Profile.MSISDN, f.lease.Profile.IPv4 = id.MSISDN{}, netip.Addr{}
	if l, err := c.Prove(t.Context(), home.ProveRequest{RES: []byte{1, 2, 3, 4}}); err != nil || !reflect.DeepEqual(l, f.lease) {
		t.Errorf("lease without number and address %+v, %v", l, err)
	}
}

func TestRefusalsArrive(t *testing.T) {
	f := &fake{}
	conn, _ := dial(t, f)
	c := home.NewClient(conn)
	for code := home.UnknownSubscriber; code <= home.Unavailable; code++ {
		f.err = &home.Error{Code: code, Detail: "why"}
		_, err := c.Challenge(t.Context(), ask(t))
		var got *home.Error
		if !errors.As(err, &got) || *got != (home.Error{Code: code, Detail: "why"}) {
			t.Errorf("%v came as %v", code, err)
		}
		if _, err := c.Prove(t.Context(), home.ProveRequest{RES: make([]byte, 8)}); home.CodeOf(err) != code {
			t.Errorf("%v came as %v", code, err)
		}
	}
	f.err = errors.New("disk full, key AB01")
	if _, err := c.Challenge(t.Context(), ask(t)); home.CodeOf(err) != home.Unavailable || errors.Is(err, f.err) {
		t.Errorf("an inner error came as %v", err)
	}
}

func TestMalformedIsRefused(t *testing.T) {
	conn, _ := dial(t, &fake{})
	raw := pb.NewHomeClient(conn)
	good := pb.ChallengeRequest{Imsi: "001010123456780", Plmn: []byte{0, 0xf1, 0x10}}
	for name, m := range map[string]*pb.ChallengeRequest{
		"no IMSI":        {Plmn: good.Plmn},
		"letters":        {Imsi: "00101x", Plmn: good.Plmn},
		"short PLMN":     {Imsi: good.Imsi, Plmn: []byte{0}},
		"AUTS alone":     {Imsi: good.Imsi, Plmn: good.Plmn, ResyncAuts: make([]byte, 14)},
		"AUTS too short": {Imsi: good.Imsi, Plmn: good.Plmn, ResyncRand: make([]byte, 16), ResyncAuts: make([]byte, 13)},
	} {
		if _, err := raw.Challenge(t.Context(), m); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, m := range map[string]*pb.ProveRequest{
		"no RES":   {Id: make([]byte, 16)},
		"long RES": {Id: make([]byte, 16), Res: make([]byte, 17)},
		"short id": {Id: make([]byte, 15), Res: make([]byte, 8)},
	} {
		if _, err := raw.Prove(t.Context(), m); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A home never answers somebody who has shown no key.
func TestNoKeyNoAnswer(t *testing.T) {
	f := &fake{}
	c := home.NewClient(serve(t, f, insecure.NewCredentials(), insecure.NewCredentials()))
	if _, err := c.Challenge(t.Context(), ask(t)); status.Code(errors.Unwrap(err)) != codes.Unauthenticated || !f.challenge.IMSI.IsZero() {
		t.Errorf("%v", err)
	}
	if _, err := c.Prove(t.Context(), home.ProveRequest{RES: make([]byte, 8)}); status.Code(errors.Unwrap(err)) != codes.Unauthenticated {
		t.Errorf("%v", err)
	}
}
