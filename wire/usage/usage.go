// Package usage is how a gateway tells the operator's meter what it carried: octets
// that of the packet network, calls and short messages that of SIP.
// Counts are cumulative, so a report may be lost, repeated or overtaken
// without harm. What the counts are worth is not decided here.
package usage

import (
	"context"
	"fmt"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"campanile.network/3gpp/id"
	pb "campanile.network/wire/corepb"
)

// Record is the state of one segment: of one PDN session, or of a registration of
// GSM. Octets are inner IP
// octets, header included: uplink what arrived from the tower, downlink what was
// sent to it.
type Record struct {
	Session   uint64  // the gateway's number for the session, never used twice
	Ticket    []byte  // signed; empty when there is none
	Segment   []byte  // signed; empty before the first
	TEID      id.TEID // the gateway's S1-U endpoint, which the tower sees too
	UL, DL    uint64  // octets within the segment
	ULPackets uint64
	DLPackets uint64
	Closed    bool // the segment will not grow
	At        time.Time

	// Lost is what of UL went no further: not the phone's own packets, or refused by
	// the packet network. The tower has brought it all the same.
	Lost, LostPackets uint64
	Classes           []Class // what of it is to be rated apart

	Voice    time.Duration // of calls within the segment, milliseconds
	Messages uint64        // short messages from and to the phone within it
}

// Terms say what a class of service is called and whose it is to pay.
type Terms struct {
	Name string // at most MaxName octets
	// Free traffic is not the subscriber's to pay: towers are paid for it all the same.
	Free bool
	// Group is the rating group that the subscriber pays for it in (RFC 8506 §8.29); 0:
	// that of everything else.
	Group uint32
}

// MaxName is how long the name of a class of service may be, octets.
const MaxName = 64

// Class is the traffic of a class of service within a segment, octets, of both what is
// in the Record's UL and DL.
type Class struct {
	Class uint8
	Terms
	UL, DL uint64
}

// Sink takes records. It answers nil when they are safe with it; otherwise the
// gateway keeps them and tells again.
type Sink interface {
	Report(context.Context, []Record) error
}

// maxRecords bounds one report, maxClasses one record; maxVoice is what a
// time.Duration holds, in milliseconds.
const (
	maxRecords = 4096
	maxClasses = 16
	maxVoice   = math.MaxInt64 / 1_000_000
)

// Register serves s over gRPC.
func Register(r grpc.ServiceRegistrar, s Sink) { pb.RegisterUsageServer(r, &server{sink: s}) }

type server struct {
	pb.UnimplementedUsageServer
	sink Sink
}

func (s *server) Report(ctx context.Context, m *pb.UsageReport) (*pb.UsageReply, error) {
	if len(m.Records) > maxRecords {
		return nil, status.Errorf(codes.InvalidArgument, "usage: %d records, at most %d", len(m.Records), maxRecords)
	}
	records := make([]Record, len(m.Records))
	for i, r := range m.Records {
		records[i] = Record{Session: r.Session, Ticket: r.Ticket, Segment: r.Segment, TEID: id.TEID(r.Teid), UL: r.UlOctets, DL: r.DlOctets, ULPackets: r.UlPackets,
			DLPackets: r.DlPackets, Closed: r.Closed, At: time.UnixMilli(r.AtUnixMs), Lost: r.LostOctets, LostPackets: r.LostPackets, Messages: r.Messages, Voice: time.Duration(min(r.VoiceMs, maxVoice)) * time.Millisecond}
		for _, c := range r.Classes[:min(len(r.Classes), maxClasses)] {
			if len(c.Name) > MaxName {
				return nil, status.Errorf(codes.InvalidArgument, "usage: a name of %d octets, at most %d", len(c.Name), MaxName)
			}
			records[i].Classes = append(records[i].Classes, Class{uint8(min(c.Class, 255)), Terms{c.Name, c.Free, c.RatingGroup}, c.UlOctets, c.DlOctets})
		}
	}
	if err := s.sink.Report(ctx, records); err != nil {
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return &pb.UsageReply{}, nil
}

// Client is a Sink at the other end of a connection.
type Client struct{ rpc pb.UsageClient }

// NewClient makes a Client of a connection the caller closes.
func NewClient(c grpc.ClientConnInterface) *Client { return &Client{pb.NewUsageClient(c)} }

// Report implements Sink.
func (c *Client) Report(ctx context.Context, records []Record) error {
	for len(records) > 0 {
		n := min(len(records), maxRecords)
		m := &pb.UsageReport{Records: make([]*pb.UsageRecord, n)}
		for i, r := range records[:n] {
			m.Records[i] = &pb.UsageRecord{Session: r.Session, Ticket: r.Ticket, Segment: r.Segment, Teid: uint32(r.TEID), UlOctets: r.UL, DlOctets: r.DL,
				UlPackets: r.ULPackets, DlPackets: r.DLPackets, Closed: r.Closed, AtUnixMs: r.At.UnixMilli(),
				LostOctets: r.Lost, LostPackets: r.LostPackets, Messages: r.Messages, VoiceMs: uint64(max(0, r.Voice.Milliseconds()))}
			for _, c := range r.Classes {
				m.Records[i].Classes = append(m.Records[i].Classes, &pb.ServiceClass{Class: uint32(c.Class), UlOctets: c.UL, DlOctets: c.DL, Name: c.Name, Free: c.Free, RatingGroup: c.Group})
			}
		}
		if _, err := c.rpc.Report(ctx, m); err != nil {
			return fmt.Errorf("usage: %w", err)
		}
		records = records[n:]
	}
	return nil
}
