package home_test

import (
	"context"
	"errors"
	"net"
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
	"campanile.network/wire/sip/digest"
)

// Every method and what it earns goes over the wire whole, and nothing of
// another method with it.
func TestMethods(t *testing.T) {
	apn, _ := id.ParseAPN("internet")
	p := home.Profile{APN: apn, QCI: 9, ARP: 8}
	f := &fake{}
	conn, _ := dial(t, f)
	c := home.NewClient(conn)
	all := home.Lease{KASME: secret.Key256{1}, CK: secret.Key128{2}, IK: secret.Key128{3}, Kc: secret.Key64{4}, Ticket: []byte("t"), Profile: p}
	for m, want := range map[home.Method]home.Lease{
		home.EPS: {Method: home.EPS, KASME: all.KASME}, home.UMTS: {Method: home.UMTS, CK: all.CK, IK: all.IK}, home.GSM: {Method: home.GSM, Kc: all.Kc}, home.App: {Method: home.App},
	} {
		req := ask(t)
		req.Method = m
		if _, err := c.Challenge(t.Context(), req); err != nil || f.challenge.Method != m {
			t.Errorf("%v: %v, the home heard %v", m, err, f.challenge.Method)
		}
		want.Ticket, want.Profile = all.Ticket, p
		f.lease = all
		f.lease.Method = m
		l, err := c.Prove(t.Context(), home.ProveRequest{RES: []byte{1, 2, 3, 4}, Fresh: true})
		if err != nil || !reflect.DeepEqual(l, want) || !f.prove.Fresh {
			t.Errorf("%v: %+v, %v", m, l, err)
		}
	}
	a := digest.Answer{Credentials: digest.Credentials{Username: "u", Realm: "r", Nonce: "n", URI: "sip:r", Response: "00", CNonce: "c", NC: "00000001",
		Algorithm: digest.SHA256, QOP: digest.AuthInt, Userhash: true}, Method: "REGISTER", Entity: "e"}
	if _, err := c.Prove(t.Context(), home.ProveRequest{ID: home.ChallengeID{1}, Digest: &a}); err != nil || f.prove.Digest == nil || *f.prove.Digest != a || f.prove.RES != nil {
		t.Errorf("%v; the home heard %+v", err, f.prove.Digest)
	}
	a.Nonce = string(make([]byte, 9000))
	if _, err := c.Prove(t.Context(), home.ProveRequest{Digest: &a}); status.Code(errors.Unwrap(err)) != codes.InvalidArgument {
		t.Errorf("a nonce of 9000 octets: %v", err)
	}
}

// olderHome knows no methods: whatever it is asked, it answers with EPS.
type olderHome struct{ pb.UnimplementedHomeServer }

func (olderHome) Challenge(context.Context, *pb.ChallengeRequest) (*pb.ChallengeReply, error) {
	return &pb.ChallengeReply{Id: make([]byte, 16), Rand: make([]byte, 16), Autn: make([]byte, 16)}, nil
}

func TestHomeWithoutMethods(t *testing.T) {
	l := bufconn.Listen(1 << 16)
	s := grpc.NewServer()
	pb.RegisterHomeServer(s, olderHome{})
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		<-done
	})
	conn, err := grpc.NewClient("passthrough:home", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	req := ask(t)
	if _, err := home.NewClient(conn).Challenge(t.Context(), req); err != nil {
		t.Error(err)
	}
	req.Method = home.GSM
	if _, err := home.NewClient(conn).Challenge(t.Context(), req); home.CodeOf(err) != home.NotSubscribed {
		t.Errorf("an EPS challenge for a phone of GSM: %v", err)
	}
}

// directory is one subscriber with a number.
type directory struct {
	imsi   id.IMSI
	number id.MSISDN
}

func (d *directory) ByNumber(_ context.Context, n id.MSISDN) (id.IMSI, error) {
	if n != d.number {
		return id.IMSI{}, home.ErrNobody
	}
	return d.imsi, nil
}

func (d *directory) Number(_ context.Context, imsi id.IMSI) (id.MSISDN, error) {
	if imsi != d.imsi {
		return id.MSISDN{}, home.ErrNobody
	}
	return d.number, nil
}

func (d *directory) Assign(_ context.Context, imsi id.IMSI, n id.MSISDN) error {
	switch {
	case n.Digits() == "911":
		return home.ErrNumberTaken
	case n.Digits() == "0":
		return errors.New("the ledger is silent")
	case imsi != d.imsi:
		return home.ErrNobody
	}
	d.number = n
	return nil
}

// The directory answers the operator's own roles and nobody else.
func TestDirectory(t *testing.T) {
	own, stranger := proof.NewSigningKey(), proof.NewSigningKey()
	imsi := ask(t).IMSI
	other, _ := id.ParseIMSI("001010000000001")
	d := &directory{imsi: imsi}
	st, err := peertls.Server(own.Ed25519(), func([32]byte) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	l := bufconn.Listen(1 << 16)
	s := grpc.NewServer(grpc.Creds(credentials.NewTLS(st)))
	home.RegisterDirectory(s, d, own.Public())
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		s.Stop()
		<-done
	})
	client := func(k proof.SigningKey) *home.DirectoryClient {
		ct, err := peertls.Client(k.Ed25519(), own.Public())
		if err != nil {
			t.Fatal(err)
		}
		conn, err := grpc.NewClient("passthrough:directory", grpc.WithTransportCredentials(credentials.NewTLS(ct)),
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return home.NewDirectoryClient(conn)
	}
	var c home.Directory = client(own)
	number := func(s string) id.MSISDN {
		n, err := id.ParseMSISDN(s)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n, err := c.Number(t.Context(), imsi); err != nil || !n.IsZero() {
		t.Errorf("no number: %v %v", n, err)
	}
	for _, x := range []struct {
		n    string
		who  id.IMSI
		want error
	}{{"911", imsi, home.ErrNumberTaken}, {"2100", other, home.ErrNobody}, {"2100", imsi, nil}} {
		if err := c.Assign(t.Context(), x.who, number(x.n)); !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", x.n, err, x.want)
		}
	}
	if err := c.Assign(t.Context(), imsi, number("0")); err == nil || errors.Is(err, home.ErrNobody) {
		t.Errorf("a silent ledger: %v", err)
	}
	if got, err := c.ByNumber(t.Context(), number("2100")); err != nil || got != imsi {
		t.Errorf("%v %v", got, err)
	}
	if n, err := c.Number(t.Context(), imsi); err != nil || n != number("2100") {
		t.Errorf("%v %v", n, err)
	}
	if _, err := c.ByNumber(t.Context(), number("2101")); !errors.Is(err, home.ErrNobody) {
		t.Error(err)
	}
	if _, err := client(stranger).Number(t.Context(), imsi); status.Code(errors.Unwrap(err)) != codes.PermissionDenied {
		t.Errorf("a stranger asks: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := client(stranger).Assign(ctx, imsi, number("2102")); status.Code(errors.Unwrap(err)) != codes.PermissionDenied || d.number != number("2100") {
		t.Errorf("a stranger assigns: %v", err)
	}
}
