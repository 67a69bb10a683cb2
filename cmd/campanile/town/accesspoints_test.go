package town

import (
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "campanile.network/wire/corepb"
)

// Access points are given to a subscriber over the admin socket, are on the ledger's
// version of him and are listed; what cannot be is refused by its reason.
func TestSetAccessPoints(t *testing.T) {
	ctx := deadline(t)
	c := newHome(t, func(c *Config) { c.Network.MoreAPNs = []string{"ims"} })
	w := start(t, ctx, c, append(core(), (*Town).startAdmin))
	conn, err := grpc.NewClient("unix:"+c.path(SocketOf("test")), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	a := pb.NewAdminClient(conn)
	imsi := w.cards[0].IMSI.Digits()
	for want, list := range map[string][]*pb.AccessPoint{
		"network.more_apns": {{Name: "work"}},
		"needs a name":      {{Name: "*"}},
		"named twice":       {{Name: "internet"}, {Name: "internet"}},
		"want ipv4":         {{Name: "internet", Pdn: "ipx"}},
		"no IPv4 address":   {{Name: "internet", Ipv4: "::1"}},
		"fixed IPv4":        {{Name: "internet"}, {Name: "*", Ipv4: "10.45.9.9"}},
		"at most 254":       {{Name: "internet", Qci: 255}},
		"label":             {{Name: "in ternet"}},
		"nothing to set":    nil,
	} {
		_, err := a.SetSubscriber(ctx, &pb.SetSubscriberRequest{Imsi: imsi, Apns: list})
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", list, err, want)
		}
	}
	if _, err := a.SetSubscriber(ctx, &pb.SetSubscriberRequest{Imsi: imsi, Apns: []*pb.AccessPoint{{Name: "internet", Pdn: "ipv4"}, {Name: "ims", Qci: 5}, {Name: "*"}}}); err != nil {
		t.Fatal(err)
	}
	for {
		l, err := a.ListSubscribers(ctx, &pb.ListSubscribersRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if g := l.Subscribers[0].Apns; len(g) == 3 {
			if g[0].Pdn != "ipv4" || g[1].Name != "ims" || g[1].Qci != 5 || g[2].Name != "*" || g[2].Qci != 9 {
				t.Errorf("%v", g)
			}
			return
		}
		rest(ctx, 50_000_000)
	}
}
