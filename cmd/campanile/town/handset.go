package town

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"campanile.network/3gpp/eps"
	"campanile.network/console"
	"campanile.network/mme"
	pb "campanile.network/wire/corepb"
)

// handset answers what operators' tools ask of phones: in each role's admin
// server, but only where the MME runs.
type handset struct{ t *Town }

// noMME says where to ask instead.
func (h handset) noMME() error {
	if h.t.mme != nil && h.t.opened.Load() {
		return nil
	}
	if h.t.name == "mme" || h.t.name == "up" {
		return status.Error(codes.FailedPrecondition, "the MME is starting; ask again in a moment")
	}
	return status.Errorf(codes.FailedPrecondition, "%s runs here, and no MME: ask in the home where campanile mme or campanile up runs", h.t.name)
}

func reply(v any) (*pb.PhonesReply, error) {
	b, err := json.Marshal(v)
	return &pb.PhonesReply{Json: b}, err
}

// ListPhones lists phones.
func (h handset) ListPhones(_ context.Context, q *pb.ListPhonesRequest) (*pb.PhonesReply, error) {
	if err := h.noMME(); err != nil {
		return nil, err
	}
	list, err := phones{h.t, q.WholeImsi}.list(console.PhoneQuery{State: q.State, ENB: q.Enb, Tower: q.Tower, After: q.After, Limit: int(q.Limit)}, q.Imsi)
	if err != nil {
		return nil, wrong("%v", err)
	}
	return reply(list)
}

// phone finds the phone that is asked for.
func (h handset) phone(who string) (mme.Phone, error) {
	if err := h.noMME(); err != nil {
		return mme.Phone{}, err
	}
	p, ok := phones{t: h.t}.find(who)
	if !ok {
		return p, status.Errorf(codes.NotFound, "the MME knows no phone %s: campanile ue list has those it knows", who)
	}
	return p, nil
}

// ShowPhone tells all of a phone.
func (h handset) ShowPhone(_ context.Context, q *pb.PhoneRequest) (*pb.PhonesReply, error) {
	p, err := h.phone(q.Phone)
	if err != nil {
		return nil, err
	}
	return reply(phones{h.t, q.WholeImsi}.detail(p))
}

// askWait is how long a verb waits for its phone.
const askWait = 45 * time.Second

// DetachPhone detaches a phone and waits until that has ended.
func (h handset) DetachPhone(ctx context.Context, q *pb.DetachPhoneRequest) (*pb.PhoneActionReply, error) {
	p, err := h.phone(q.Phone)
	if err != nil {
		return nil, err
	}
	if q.Cause > 255 {
		return nil, wrong("cause %d: EMM causes are 1 to 255 (TS 24.301 §9.9.3.9)", q.Cause)
	}
	d := mme.NetworkDetach{Type: eps.NetworkDetachTypeNoReattach, Cause: eps.EMMCause(q.Cause), Why: "detached by the operator"}
	if q.Reattach {
		d.Type = eps.NetworkDetachTypeReattach
	}
	return h.await(ctx, p, "detach", "network detach", func() error { return h.t.mme.Detach(p.IMSI, d) })
}

// PagePhone pages an idle phone and waits for what comes of it.
func (h handset) PagePhone(ctx context.Context, q *pb.PhoneRequest) (*pb.PhoneActionReply, error) {
	p, err := h.phone(q.Phone)
	if err != nil {
		return nil, err
	}
	return h.await(ctx, p, "page", "paging", func() error { return h.t.mme.Page(p.IMSI) })
}

// RenewPhone has a phone's home asked for a new ticket; of a connected phone it waits
// for that.
func (h handset) RenewPhone(ctx context.Context, q *pb.PhoneRequest) (*pb.PhoneActionReply, error) {
	p, err := h.phone(q.Phone)
	if err != nil {
		return nil, err
	}
	if p.State == mme.Connected {
		return h.await(ctx, p, "renew", "lease renewal", func() error { return h.t.mme.Renew(p.IMSI) })
	}
	if err := h.t.mme.Renew(p.IMSI); err != nil {
		return nil, status.Error(codes.FailedPrecondition, inPlainWords(err))
	}
	return &pb.PhoneActionReply{Text: "its home is asked when the phone comes; it is idle, and paged"}, nil
}

// await begins something of a phone and waits until a procedure of that name is
// the newest in its history. A detach of a phone that cannot be told has none.
func (h handset) await(ctx context.Context, p mme.Phone, verb, procedure string, begin func() error) (*pb.PhoneActionReply, error) {
	began := time.Now()
	changed, end := h.t.watch()
	defer end()
	if err := begin(); err != nil {
		return nil, status.Error(codes.FailedPrecondition, inPlainWords(err))
	}
	h.t.role("admin").Info("operator asks", "verb", verb, "imsi", p.IMSI, "uid", uidOf(ctx))
	late := time.NewTimer(askWait)
	defer late.Stop()
	var untold <-chan time.Time
	for {
		now, ok := h.t.mme.Phone(p.IMSI)
		if !ok {
			return &pb.PhoneActionReply{Text: "the MME does not know the phone any more"}, nil
		}
		for _, past := range now.History {
			if past.Procedure != procedure || past.At.Before(began) {
				continue
			}
			if past.Cause != "" {
				return nil, status.Errorf(codes.Aborted, "%s: %s: %s", procedure, past.Cause, past.Why)
			}
			return &pb.PhoneActionReply{Text: fmt.Sprintf("%s done in %v", procedure, past.Took.Round(time.Millisecond))}, nil
		}
		if untold == nil && procedure == "network detach" && now.State == mme.Deregistered && p.State != mme.Connected {
			untold = time.After(time.Second) // a phone that was told has it in its history in a moment
		}
		select {
		case <-changed:
		case <-untold:
			return &pb.PhoneActionReply{Text: "detached; the phone could not be told"}, nil
		case <-late.C:
			return nil, status.Errorf(codes.DeadlineExceeded, "begun, and not ended within %v: campanile ue show tells what becomes of it", askWait)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// inPlainWords is an error of the MME without its package's name.
func inPlainWords(err error) string {
	for known, text := range map[error]string{
		mme.ErrNotRegistered: "the phone is not registered",
		mme.ErrConnected:     "the phone is connected: there is nothing to page it for",
		mme.ErrUnreachable:   "the phone is not paged: it sleeps, or has not been heard of for too long",
	} {
		if errors.Is(err, known) {
			return text
		}
	}
	return err.Error()
}
