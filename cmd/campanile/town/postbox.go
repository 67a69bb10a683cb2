package town

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/sip/smsc"
	pb "campanile.network/wire/corepb"
)

// postbox answers what operators' tools ask of the message centre, where it runs.
type postbox struct{ t *Town }

// noCentre says where to ask instead.
func (p postbox) noCentre() error {
	if p.t.centre != nil && p.t.opened.Load() {
		return nil
	}
	return status.Errorf(codes.FailedPrecondition, "%s runs here, and no message centre: ask in the home where campanile up or campanile sip runs", p.t.name)
}

// SendMessage has the network send a text.
func (p postbox) SendMessage(ctx context.Context, q *pb.SendMessageRequest) (*pb.SendMessageReply, error) {
	if err := p.noCentre(); err != nil {
		return nil, err
	}
	text := smsc.Text{From: p.t.set.sip.centre, Text: q.Text, Validity: time.Duration(q.ValidMs) * time.Millisecond, Priority: q.Priority}
	if q.NotBeforeMs != 0 {
		text.NotBefore = time.UnixMilli(q.NotBeforeMs)
	}
	if q.Flash {
		text.Class = sms.Some(sms.Class0)
	}
	var err error
	if q.From != "" {
		if text.From, err = sms.NewAddress(q.From); err != nil {
			text.From, err = sms.NewName(q.From)
		}
		if err != nil {
			return nil, wrong("sender: neither a number nor a name that fits a message, 11 characters")
		}
	}
	if text.To, err = p.recipient(ctx, q.To); err != nil {
		return nil, err
	}
	err = p.t.centre.Send(ctx, text)
	if no, refused := errors.AsType[*smsc.Refused](err); refused {
		return nil, wrong("%v", no)
	}
	return &pb.SendMessageReply{}, err
}

// recipient reads a number, or an IMSI of a subscriber.
func (p postbox) recipient(ctx context.Context, text string) (to smsc.Recipient, err error) {
	if n, err := id.ParseMSISDN(text); err == nil {
		if _, err := p.t.directory.ByNumber(ctx, n); err == nil {
			return smsc.Recipient{MSISDN: n}, nil
		}
	}
	if i, err := id.ParseIMSI(text); err == nil {
		if _, err := p.t.directory.Number(ctx, i); err == nil {
			return smsc.Recipient{IMSI: i}, nil
		}
	}
	return to, wrong("no subscriber has this number or IMSI: campanile subscriber list has them")
}

// maxMessages is how many messages a list has at most.
const maxMessages = 1000

// ListMessages lists what waits, without content.
func (p postbox) ListMessages(_ context.Context, q *pb.ListMessagesRequest) (*pb.MessagesReply, error) {
	if err := p.noCentre(); err != nil {
		return nil, err
	}
	n := maxMessages
	if q.Limit != 0 {
		n = min(n, int(q.Limit))
	}
	b, err := json.Marshal(p.t.centre.List(n))
	return &pb.MessagesReply{Json: b}, err
}
