package usage_test

import (
	"context"
	"errors"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	pb "campanile.network/wire/corepb"
	"campanile.network/wire/usage"
)

type sink struct {
	calls [][]usage.Record
	err   error
}

func (s *sink) Report(_ context.Context, r []usage.Record) error {
	s.calls = append(s.calls, r)
	return s.err
}

func serve(t *testing.T, s usage.Sink) *grpc.ClientConn {
	t.Helper()
	l := bufconn.Listen(1 << 16)
	server := grpc.NewServer()
	usage.Register(server, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	conn, err := grpc.NewClient("passthrough:meter", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		<-done
	})
	return conn
}

func TestRecordsArriveWhole(t *testing.T) {
	s := &sink{}
	c := usage.NewClient(serve(t, s))
	want := []usage.Record{
		{Session: 1, Ticket: []byte("ticket"), Segment: []byte("segment"), TEID: 0xffffffff, UL: 1 << 63, DL: 3, ULPackets: 4, DLPackets: 5, Closed: true, At: time.UnixMilli(1234567)},
		{Session: 2, At: time.UnixMilli(0)},
	}
	if err := c.Report(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if len(s.calls) != 1 || !reflect.DeepEqual(s.calls[0], want) {
		t.Errorf("%+v", s.calls)
	}
	s.calls = nil
	many := make([]usage.Record, 10_000)
	for i := range many {
		many[i] = usage.Record{Session: uint64(i), At: time.UnixMilli(1)}
	}
	if err := c.Report(t.Context(), many); err != nil {
		t.Fatal(err)
	}
	var got []usage.Record
	for _, call := range s.calls {
		got = append(got, call...)
	}
	if len(s.calls) != 3 || !reflect.DeepEqual(got, many) {
		t.Errorf("%d records in %d calls", len(got), len(s.calls))
	}
}

// What the meter has not kept is an error at the gateway, which tells again.
func TestFailureIsTold(t *testing.T) {
	s := &sink{err: errors.New("disk full")}
	c := usage.NewClient(serve(t, s))
	if err := c.Report(t.Context(), make([]usage.Record, 1)); err == nil || !strings.Contains(err.Error(), "disk full") {
		t.Error(err)
	}
}

func TestTooManyAtOnce(t *testing.T) {
	s := &sink{}
	m := &pb.UsageReport{Records: make([]*pb.UsageRecord, 4097)}
	for i := range m.Records {
		m.Records[i] = &pb.UsageRecord{}
	}
	if _, err := pb.NewUsageClient(serve(t, s)).Report(t.Context(), m); status.Code(err) != codes.InvalidArgument || s.calls != nil {
		t.Errorf("%v, %d calls", err, len(s.calls))
	}
}
