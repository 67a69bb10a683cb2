package town

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"campanile.network/console"
	pb "campanile.network/wire/corepb"
)

// The verbs on phones, over the admin socket of a network with two of them, and
// the same phones over HTTP, masked.
func TestPhoneVerbs(t *testing.T) {
	ctx := deadline(t)
	c := newHome(t, func(c *Config) {
		c.Console.Listen = "127.0.0.1:0"
		c.Radio.Phones = 2
		c.Radio.Inactivity = 0
	})
	w := start(t, ctx, c, append(core(), (*Town).startConsole, (*Town).startAdmin, (*Town).startPhones))
	conn, err := grpc.NewClient("unix:"+c.path(SocketOf("test")), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	a := pb.NewAdminClient(conn)
	list := func(q *pb.ListPhonesRequest) (l console.PhoneList) {
		t.Helper()
		r, err := a.ListPhones(ctx, q)
		if err == nil {
			err = json.Unmarshal(r.Json, &l)
		}
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	for l := list(&pb.ListPhonesRequest{State: "connected"}); l.Matched < 2; l = list(&pb.ListPhonesRequest{State: "connected"}) {
		if rest(ctx, 100*time.Millisecond); ctx.Err() != nil {
			t.Fatalf("phones %+v", l)
		}
	}
	imsi := w.cards[0].IMSI.Digits()
	first := list(&pb.ListPhonesRequest{Limit: 1})
	second := list(&pb.ListPhonesRequest{Limit: 1, After: first.Next, WholeImsi: true})
	if first.Phones[0].IMSI != w.cards[0].IMSI.String() || first.Next == "" || second.Phones[0].IMSI != w.cards[1].IMSI.Digits() || second.Next != "" || second.Matched != 2 {
		t.Errorf("pages %+v and %+v", first, second)
	}
	if l := list(&pb.ListPhonesRequest{Imsi: imsi, Tower: "first tower", Enb: "0x19b"}); len(l.Phones) != 1 || l.Known != 2 || l.Phones[0].Last.Procedure != "attach" || !l.Phones[0].Last.OK {
		t.Errorf("filtered %+v", l)
	}
	if l := list(&pb.ListPhonesRequest{Tower: "second tower"}); len(l.Phones) != 0 {
		t.Errorf("of another tower %+v", l)
	}
	if _, err := a.ListPhones(ctx, &pb.ListPhonesRequest{State: "asleep"}); status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), "idle") {
		t.Errorf("a state there is not: %v", err)
	}
	if _, err := a.ShowPhone(ctx, &pb.PhoneRequest{Phone: "999700000099999"}); status.Code(err) != codes.NotFound {
		t.Errorf("a phone there is not: %v", err)
	}
	if _, err := a.PagePhone(ctx, &pb.PhoneRequest{Phone: imsi}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("paging a connected phone: %v", err)
	}
	overHTTP(t, w, first.Phones[0].ID)

	r, err := a.DetachPhone(ctx, &pb.DetachPhoneRequest{Phone: first.Phones[0].ID, Reattach: true})
	if err != nil || !strings.Contains(r.Text, "network detach done") {
		t.Fatalf("detach: %v, %v", r, err)
	}
	s, err := a.ShowPhone(ctx, &pb.PhoneRequest{Phone: imsi, WholeImsi: true})
	var d console.PhoneDetail
	if err == nil {
		err = json.Unmarshal(s.Json, &d)
	}
	if err != nil || d.IMSI != imsi || d.ID != first.Phones[0].ID || len(d.History) < 2 {
		t.Errorf("shown %+v: %v", d, err)
	}
}

// overHTTP checks the JSON API of the console.
func overHTTP(t *testing.T, w *Town, id string) {
	t.Helper()
	ask := func(path string, want int, into any) {
		t.Helper()
		resp, err := http.Get("http://" + w.Console() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %s", path, resp.Status)
		}
		if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
	var d console.PhoneDetail
	ask("/api/v1/phones/"+id, 200, &d)
	if d.IMSI != w.cards[0].IMSI.String() || d.Tower != "first tower" || len(d.Bearers) != 1 || !d.Bearers[0].Active || !strings.HasPrefix(d.Bearers[0].Gateway, "127.") || d.History[len(d.History)-1].Procedure != "attach" {
		t.Errorf("phone %+v", d)
	}
	var l console.PhoneList
	ask("/api/v1/phones?limit=1&state=connected", 200, &l)
	if len(l.Phones) != 1 || l.Next != id {
		t.Errorf("list %+v", l)
	}
	var p struct{ Error string }
	ask("/api/v1/phones/"+w.cards[0].IMSI.Digits(), 404, &p)
	for _, bad := range []string{"?imsi=9", "?limit=x", "?limit=100000", "?state=on", "?after=p999", "?limit=1&limit=2"} {
		ask("/api/v1/phones"+bad, 400, &p)
		if p.Error == "" {
			t.Errorf("%s: no error is told", bad)
		}
	}
}

// A role without phones says where they are.
func TestPhonesElsewhere(t *testing.T) {
	h := handset{&Town{name: "gateway"}}
	if _, err := h.ListPhones(context.Background(), &pb.ListPhonesRequest{}); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), "campanile mme") {
		t.Errorf("a gateway asked for phones: %v", err)
	}
}
