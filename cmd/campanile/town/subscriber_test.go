package town

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"campanile.network/3gpp/comp128"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
	pb "campanile.network/wire/corepb"
	"campanile.network/wire/home"
	"campanile.network/wire/sip/digest"
)

// A SIM of GSM is added, has a number that nobody else can get, and a password for an
// application: over the admin socket and the ledger, and the home answers accordingly.
func TestSubscriberOfGSM(t *testing.T) {
	ctx := deadline(t)
	c := newHome(t, nil)
	w := start(t, ctx, c, append(core(), (*Town).startAdmin))
	conn, err := grpc.NewClient("unix:"+c.path(SocketOf("test")), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	a := pb.NewAdminClient(conn)
	ki := secret.Key128{7}
	const digits = "999700000004242"
	imsi, _ := id.ParseIMSI(digits)
	s := &pb.NewSubscriber{Imsi: digits, K: ki[:], Algorithm: "comp128v3", Msisdn: "4242"}
	for want, change := range map[string]func(*pb.NewSubscriber){
		"a3a8":            func(s *pb.NewSubscriber) { s.Algorithm = "a3a8" },
		"no OPc":          func(s *pb.NewSubscriber) { s.Opc = ki[:] },
		"OPc of 0 octets": func(s *pb.NewSubscriber) { s.Algorithm = "" },
		"allow_comp128v1": func(s *pb.NewSubscriber) { s.Algorithm = "comp128v1" },
		"want 16":         func(s *pb.NewSubscriber) { s.K = ki[:8] },
	} {
		bad := &pb.NewSubscriber{Imsi: s.Imsi, K: s.K, Algorithm: s.Algorithm}
		change(bad)
		_, err := a.AddSubscribers(ctx, &pb.AddSubscribersRequest{Subscribers: []*pb.NewSubscriber{bad}, Plan: "open"})
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, err := a.AddSubscribers(ctx, &pb.AddSubscribersRequest{Subscribers: []*pb.NewSubscriber{s}, Plan: "open"}); err != nil {
		t.Fatal(err)
	}
	ask := func(m home.Method) home.Challenge {
		t.Helper()
		for {
			ch, err := w.home.Challenge(ctx, home.ChallengeRequest{IMSI: imsi, PLMN: w.set.plmn, Serving: w.operatorKey, Method: m})
			if err == nil {
				return ch
			}
			if ctx.Err() != nil || home.CodeOf(err) != home.UnknownSubscriber && home.CodeOf(err) != home.NotSubscribed && home.CodeOf(err) != home.RateLimited {
				t.Fatal(err)
			}
			rest(ctx, 50_000_000) // the block is on its way
		}
	}
	ch := ask(home.GSM)
	sres, kc := comp128.V3(ki, ch.RAND)
	if l, err := w.home.Prove(ctx, home.ProveRequest{ID: ch.ID, Serving: w.operatorKey, RES: sres[:]}); err != nil || !l.Kc.Equal(kc) || l.Profile.MSISDN.Digits() != "4242" {
		t.Errorf("%v, number %s", err, l.Profile.MSISDN.Digits())
	}

	renumber(t, ctx, w, a, imsi)
	p, err := a.SetSubscriber(ctx, &pb.SetSubscriberRequest{Imsi: digits, AppPassword: true})
	if err != nil || p.Realm != "ims.mnc070.mcc999.3gppnetwork.org" {
		t.Fatalf("%v, realm %q", err, p.GetRealm())
	}
	ch = ask(home.App)
	cr, err := (digest.Challenge{Realm: p.Realm, Nonce: digest.HexNonce(ch.RAND), Algorithm: digest.SHA256, QOP: digest.Auth}).Respond(
		digest.Request{Username: "4343", Password: p.AppPassword, Method: "REGISTER", URI: "sip:" + p.Realm, CNonce: "c"})
	if err != nil {
		t.Fatal(err)
	}
	answer := cr.For("REGISTER", nil)
	if _, err := w.home.Prove(ctx, home.ProveRequest{ID: ch.ID, Serving: w.operatorKey, Digest: &answer}); err != nil {
		t.Error(err)
	}
}

// renumber gives numbers: one that is another's to nobody else, and one that is free
// again.
func renumber(t *testing.T, ctx context.Context, w *Town, a pb.AdminClient, imsi id.IMSI) {
	t.Helper()
	number := func(s string) id.MSISDN {
		n, _ := id.ParseMSISDN(s)
		return n
	}
	if err := w.directory.Assign(ctx, w.cards[0].IMSI, number("4242")); !errors.Is(err, home.ErrNumberTaken) {
		t.Errorf("a number given twice: %v", err)
	}
	if _, err := a.SetSubscriber(ctx, &pb.SetSubscriberRequest{Imsi: w.cards[0].IMSI.Digits(), Msisdn: "4242"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a number given twice: %v", err)
	}
	if err := w.directory.Assign(ctx, imsi, number("4343")); err != nil {
		t.Fatal(err)
	}
	if got, err := w.directory.ByNumber(context.Background(), number("4343")); err != nil || got != imsi {
		t.Errorf("%v %v", got, err)
	}
	if err := w.directory.Assign(ctx, w.cards[0].IMSI, number("4242")); err != nil {
		t.Errorf("a number that is free again: %v", err)
	}
	stranger, _ := id.ParseIMSI("999709999999999")
	if err := w.directory.Assign(ctx, stranger, number("1")); !errors.Is(err, home.ErrNobody) {
		t.Error(err)
	}
}
