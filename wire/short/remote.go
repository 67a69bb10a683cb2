package short

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/internal/peertls"
	pb "campanile.network/wire/corepb"
)

// Remote is the MME's end: a Centre in another process. Its methods may be called by
// several goroutines.
type Remote struct {
	conn   grpc.ClientConnInterface
	phones Phones
	log    *slog.Logger

	mu      sync.Mutex
	link    pb.ShortMessages_JoinClient // nil: none
	why     string                      // there is none
	since   time.Time                   // of either
	next    uint64
	waiting map[uint64]chan<- *pb.ShortSubmitted
	missed  map[id.IMSI]bool // were ready meanwhile
	sending sync.Mutex
}

// maxMissed bounds the phones of which the centre hears when it is back; it looks for
// the others by itself.
const maxMissed = 4096

// NewRemote makes a Remote over a connection whose credentials are peertls' and that the
// caller closes. log nil discards.
func NewRemote(c grpc.ClientConnInterface, p Phones, log *slog.Logger) *Remote {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Remote{conn: c, phones: p, log: log, since: time.Now(), waiting: map[uint64]chan<- *pb.ShortSubmitted{}, missed: map[id.IMSI]bool{}}
}

// Serve keeps the link until ctx ends.
func (r *Remote) Serve(ctx context.Context) error {
	for told := ""; ctx.Err() == nil; {
		began := time.Now()
		err := r.joined(ctx)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > 10*time.Second { // it was there
			told = ""
		}
		why := peertls.InWords(err)
		r.mu.Lock()
		r.why = why
		r.mu.Unlock()
		if why != told {
			told = why
			r.log.Warn("the message centre is away: phones that send are told to try later", "reason", why)
		}
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
		}
	}
	return nil
}

// State says whether the centre is there, since when, and why not.
func (r *Remote) State() (there bool, since time.Time, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.link != nil, r.since, r.why
}

// joined joins, reads until the link ends, and waits for what it has begun.
func (r *Remote) joined(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	st, err := pb.NewShortMessagesClient(r.conn).Join(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.link, r.why, r.since = st, "", time.Now()
	missed := r.missed
	r.missed = map[id.IMSI]bool{}
	r.mu.Unlock()
	for imsi := range missed {
		r.Ready(imsi)
	}
	var work sync.WaitGroup
	room := make(chan struct{}, maxDelivers)
	for {
		var m *pb.ToMme
		if m, err = st.Recv(); err != nil {
			break
		}
		switch b := m.Body.(type) {
		case *pb.ToMme_Submitted:
			r.mu.Lock()
			c := r.waiting[b.Submitted.Ref]
			delete(r.waiting, b.Submitted.Ref)
			r.mu.Unlock()
			if c != nil {
				c <- b.Submitted // has room for one
			}
		case *pb.ToMme_Deliver:
			select {
			case room <- struct{}{}:
				work.Go(func() { defer func() { <-room }(); r.deliver(ctx, st, b.Deliver) })
			default: // the centre tries again; an answer here could wait for it, and it for us
				r.log.Debug("a short message for a phone is passed over: too many at once")
			}
		}
	}
	r.mu.Lock()
	r.link, r.since = nil, time.Now()
	for ref, c := range r.waiting {
		close(c)
		delete(r.waiting, ref)
	}
	r.mu.Unlock()
	cancel()
	work.Wait()
	return err
}

func (r *Remote) send(st pb.ShortMessages_JoinClient, m *pb.FromMme) error {
	r.sending.Lock()
	defer r.sending.Unlock()
	return st.Send(m)
}

func (r *Remote) deliver(ctx context.Context, st pb.ShortMessages_JoinClient, q *pb.ShortDeliver) {
	if q.WithinMs > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(min(q.WithinMs, time.Hour.Milliseconds()))*time.Millisecond)
		defer cancel()
	}
	a := &pb.ShortDelivered{Ref: q.Ref}
	imsi, err := id.ParseIMSI(q.Imsi)
	var m *sms.RPData
	if err == nil {
		m, err = data(q.Rp)
	}
	var answer sms.RP
	if err == nil {
		answer, err = r.phones.Deliver(ctx, imsi, m)
	}
	if err == nil {
		a.Rp, err = write(answer)
	}
	if err != nil {
		a.Code, a.Failed = code(err), cut(err.Error())
	}
	r.send(st, &pb.FromMme{Body: &pb.FromMme_Delivered{Delivered: a}}) // a link that has ended takes no answers
}

// Submit implements Centre.
func (r *Remote) Submit(ctx context.Context, from Sender, m sms.RP) (sms.RP, error) {
	b, err := write(m)
	if err != nil {
		return nil, err
	}
	answered := make(chan *pb.ShortSubmitted, 1)
	r.mu.Lock()
	st := r.link
	if st == nil {
		r.mu.Unlock()
		return nil, ErrAway
	}
	if len(r.waiting) >= maxSubmits {
		r.mu.Unlock()
		return nil, errors.New("short: too many submissions at once")
	}
	r.next++
	ref := r.next
	r.waiting[ref] = answered
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		delete(r.waiting, ref)
		r.mu.Unlock()
	}()
	if err := r.send(st, &pb.FromMme{Body: &pb.FromMme_Submit{Submit: &pb.ShortSubmit{Ref: ref, Imsi: from.IMSI.Digits(), Msisdn: from.MSISDN.Digits(), Rp: b}}}); err != nil {
		return nil, fmt.Errorf("short: %w", err)
	}
	select {
	case a, ok := <-answered:
		switch {
		case !ok:
			return nil, errors.New("short: the link to the message centre broke meanwhile")
		case a.Failed != "":
			return nil, fmt.Errorf("short: %s", cut(a.Failed))
		}
		return read(sms.Downlink, a.Rp)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Ready implements Centre. While there is no link it remembers.
func (r *Remote) Ready(imsi id.IMSI) {
	r.mu.Lock()
	st := r.link
	if st == nil && (len(r.missed) < maxMissed || r.missed[imsi]) {
		r.missed[imsi] = true
	}
	r.mu.Unlock()
	if st == nil {
		return
	}
	if err := r.send(st, &pb.FromMme{Body: &pb.FromMme_Ready{Ready: &pb.ShortReady{Imsi: imsi.Digits()}}}); err != nil {
		r.log.Debug("the message centre did not hear that a phone is ready", "err", err)
	}
}
