// Package short is the wire between an MME and the message centre of its operator,
// where they are in processes of their own: what phones send one way, what is for
// them the other (as over SGd, TS 29.338 §6, of which it carries no more than the
// RPDUs). The MME dials, and the link is one stream; when it breaks, nobody knows
// what became of what was under way, and both ends do again what they do then.
//
// What a centre keeps and when it tries again is not here, nor how a phone is paged.
package short

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/internal/peertls"
	pb "campanile.network/wire/corepb"
)

// Sender is the phone that a short message comes from.
type Sender struct {
	IMSI   id.IMSI
	MSISDN id.MSISDN // zero: none
}

// Centre takes what phones send.
type Centre interface {
	// Submit gives the centre's answer, an *sms.RPAck or *sms.RPError; nil: taken
	// without a report.
	Submit(ctx context.Context, from Sender, m sms.RP) (sms.RP, error)
	// Ready says that a phone takes short messages. It does not block.
	Ready(id.IMSI)
}

// Phones are those of an MME.
type Phones interface {
	// Deliver gives the phone's answer, an *sms.RPAck or *sms.RPError. It fails with
	// one of the errors below, or so that nobody knows.
	Deliver(ctx context.Context, imsi id.IMSI, m *sms.RPData) (sms.RP, error)
}

// Reasons for which a phone has not got a message.
var (
	ErrNotRegistered = errors.New("short: the phone is not registered there")
	ErrAbsent        = errors.New("short: the phone does not answer")
	ErrRefused       = errors.New("short: the phone takes no short messages there")
	ErrBusy          = errors.New("short: too many deliveries at once")
)

// ErrAway says that there is no link, so that nothing has been sent.
var ErrAway = errors.New("short: the message centre is away")

// coded are the reasons as they are written; 0 is an answer.
var coded = map[uint32]error{1: ErrNotRegistered, 2: ErrAbsent, 3: ErrRefused, 4: ErrBusy}

// unknown is written when nobody knows what became of a delivery.
const unknown = 99

func code(err error) uint32 {
	for c, e := range coded {
		if errors.Is(err, e) {
			return c
		}
	}
	return unknown
}

// How much is under way on a link at once, each way.
const (
	maxSubmits  = 1024
	maxDelivers = 256
)

// maxWhy bounds what an end says of a failure, octets.
const maxWhy = 200

func cut(s string) string { return s[:min(len(s), maxWhy)] }

// Register serves h to who shows the key in TLS.
func Register(r grpc.ServiceRegistrar, h *Hub, key [32]byte) {
	pb.RegisterShortMessagesServer(r, &server{hub: h, key: key})
}

type server struct {
	pb.UnimplementedShortMessagesServer
	hub *Hub
	key [32]byte
}

func (s *server) Join(st pb.ShortMessages_JoinServer) error {
	key, err := peertls.PeerKey(st.Context())
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	if key != s.key {
		return status.Error(codes.PermissionDenied, "not this operator's MME")
	}
	if err := s.hub.join(st); err != nil {
		return status.Error(codes.FailedPrecondition, err.Error())
	}
	return nil
}

// write gives the octets of an RPDU; none of nil.
func write(m sms.RP) ([]byte, error) {
	if m == nil {
		return nil, nil
	}
	return sms.Append(nil, m)
}

// read reads an RPDU; nil where there are no octets.
func read(d sms.Direction, b []byte) (sms.RP, error) {
	if len(b) == 0 {
		return nil, nil
	}
	return sms.ParseRP(d, b)
}

// data reads a message for a phone.
func data(b []byte) (*sms.RPData, error) {
	m, err := read(sms.Downlink, b)
	if err != nil {
		return nil, err
	}
	d, ok := m.(*sms.RPData)
	if !ok {
		return nil, fmt.Errorf("short: %T is for no phone", m)
	}
	return d, nil
}
