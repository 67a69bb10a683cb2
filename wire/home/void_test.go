package home_test

import (
	"context"
	"reflect"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "campanile.network/wire/corepb"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

// voider makes the first ticket void it is asked about, and one more.
type voider struct {
	fake
	asked home.VoidRequest
	more  []home.Voided
}

func (v *voider) Void(_ context.Context, r home.VoidRequest) ([]home.Voided, error) {
	v.asked = r
	if v.err != nil || len(r.Tickets) == 0 {
		return nil, v.err
	}
	return append([]home.Voided{{Ticket: r.Tickets[0], Code: home.Barred}}, v.more...), nil
}

func TestVoid(t *testing.T) {
	v := &voider{}
	conn, asker := dial(t, v)
	c := home.NewClient(conn)
	req := home.VoidRequest{Serving: proof.OperatorKey{0xbb}, Height: 7, Tickets: []proof.TicketID{{1}, {2}}}
	got, err := c.Void(t.Context(), req)
	if want := []home.Voided{{Ticket: proof.TicketID{1}, Code: home.Barred}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v %v", got, err)
	}
	req.Serving = asker // the key shown in TLS counts
	if !reflect.DeepEqual(v.asked, req) {
		t.Errorf("the home heard %+v", v.asked)
	}
	v.more = []home.Voided{{Ticket: proof.TicketID{3}}}
	if got, err := c.Void(t.Context(), req); err == nil {
		t.Errorf("a ticket nobody asked about is believed: %v", got)
	}
	v.err = &home.Error{Code: home.Unavailable, Detail: "behind"}
	if _, err := c.Void(t.Context(), req); !reflect.DeepEqual(err, v.err) {
		t.Errorf("%v", err)
	}
	raw := pb.NewHomeClient(conn)
	for name, m := range map[string]*pb.VoidRequest{
		"too many":   {Tickets: make([][]byte, home.MaxVoid+1)},
		"a short id": {Tickets: [][]byte{{1, 2}}},
	} {
		if _, err := raw.Void(t.Context(), m); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	plain, _ := dial(t, &fake{})
	if _, err := home.NewClient(plain).Void(t.Context(), req); status.Code(err) != codes.Unimplemented {
		t.Errorf("a home that does not say: %v", err)
	}
}
