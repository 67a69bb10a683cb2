package short

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	pb "campanile.network/wire/corepb"
)

// Hub is the centre's end: the MMEs that have joined. Its methods may be called by
// several goroutines.
type Hub struct {
	centre Centre
	log    *slog.Logger

	mu    sync.Mutex
	mmes  map[*joined]bool
	heard map[id.IMSI]place // where phones were ready last
}

// place is where a phone was ready last.
type place struct {
	mme   *joined
	since time.Time
}

// maxHeard bounds what is remembered of phones; others are looked for everywhere.
const maxHeard = 1 << 20

// maxMMEs is how many may join at once.
const maxMMEs = 64

// NewHub makes a Hub. log nil discards.
func NewHub(c Centre, log *slog.Logger) *Hub {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Hub{centre: c, log: log, mmes: map[*joined]bool{}, heard: map[id.IMSI]place{}}
}

// joined is one MME's link.
type joined struct {
	hub *Hub
	st  pb.ShortMessages_JoinServer

	sending sync.Mutex
	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan<- *pb.ShortDelivered
	over    chan struct{} // closed at the link's end
}

func (h *Hub) join(st pb.ShortMessages_JoinServer) error {
	j := &joined{hub: h, st: st, waiting: map[uint64]chan<- *pb.ShortDelivered{}, over: make(chan struct{})}
	h.mu.Lock()
	if len(h.mmes) >= maxMMEs {
		h.mu.Unlock()
		return fmt.Errorf("short: %d MMEs have joined already", maxMMEs)
	}
	h.mmes[j] = true
	h.mu.Unlock()
	h.log.Info("an MME has joined the message centre")
	err := j.serve()
	h.mu.Lock()
	delete(h.mmes, j)
	for imsi, p := range h.heard {
		if p.mme == j {
			delete(h.heard, imsi)
		}
	}
	h.mu.Unlock()
	close(j.over)
	h.log.Info("an MME has left the message centre", "reason", err)
	return err
}

// serve reads until the link ends, and waits for what it has begun.
func (j *joined) serve() error {
	var work sync.WaitGroup
	defer work.Wait()
	ctx, cancel := context.WithCancel(j.st.Context())
	defer cancel()
	room := make(chan struct{}, maxSubmits)
	for {
		m, err := j.st.Recv()
		if err != nil {
			return err
		}
		switch b := m.Body.(type) {
		case *pb.FromMme_Submit:
			select {
			case room <- struct{}{}:
				work.Go(func() { defer func() { <-room }(); j.submit(ctx, b.Submit) })
			default: // its phone tries again; an answer here could wait for the MME, and this for us
				j.hub.log.Debug("a short message is passed over: too many at once")
			}
		case *pb.FromMme_Ready:
			if imsi, err := id.ParseIMSI(b.Ready.Imsi); err == nil {
				j.hub.ready(j, imsi)
			}
		case *pb.FromMme_Delivered:
			j.mu.Lock()
			c := j.waiting[b.Delivered.Ref]
			delete(j.waiting, b.Delivered.Ref)
			j.mu.Unlock()
			if c != nil {
				c <- b.Delivered // has room for one
			}
		}
	}
}

func (j *joined) send(m *pb.ToMme) error {
	j.sending.Lock()
	defer j.sending.Unlock()
	return j.st.Send(m)
}

func (j *joined) submit(ctx context.Context, q *pb.ShortSubmit) {
	a := &pb.ShortSubmitted{Ref: q.Ref}
	rp, err := j.take(ctx, q)
	if err == nil {
		a.Rp, err = write(rp)
	}
	if err != nil {
		a.Failed = cut(err.Error())
	}
	j.send(&pb.ToMme{Body: &pb.ToMme_Submitted{Submitted: a}}) // a link that has ended takes no answers
}

func (j *joined) take(ctx context.Context, q *pb.ShortSubmit) (sms.RP, error) {
	from := Sender{}
	var err error
	if from.IMSI, err = id.ParseIMSI(q.Imsi); err != nil {
		return nil, err
	}
	if q.Msisdn != "" {
		if from.MSISDN, err = id.ParseMSISDN(q.Msisdn); err != nil {
			return nil, err
		}
	}
	m, err := sms.ParseRP(sms.Uplink, q.Rp)
	if err != nil {
		return nil, err
	}
	j.hub.saw(j, from.IMSI)
	return j.hub.centre.Submit(ctx, from, m)
}

// saw remembers where a phone is.
func (h *Hub) saw(j *joined, imsi id.IMSI) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p, known := h.heard[imsi]; known && p.mme == j || !known && len(h.heard) >= maxHeard {
		return
	}
	h.heard[imsi] = place{j, time.Now()}
}

func (h *Hub) ready(j *joined, imsi id.IMSI) {
	h.mu.Lock()
	if _, known := h.heard[imsi]; known || len(h.heard) < maxHeard {
		h.heard[imsi] = place{j, time.Now()}
	}
	h.mu.Unlock()
	h.centre.Ready(imsi)
}

// Registered says since when a phone is with an MME that has joined. One that has not
// been heard of since it joined may be there: then the time is zero.
func (h *Hub) Registered(imsi id.IMSI) (time.Time, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.heard[imsi].since, len(h.mmes) > 0
}

// MMEs is how many have joined.
func (h *Hub) MMEs() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.mmes)
}

// Deliver brings a message to a phone: by the MME where it was heard last, then by the
// others. It gives the phone's answer. An error that is none of this package's says that
// nobody knows whether the phone has it.
func (h *Hub) Deliver(ctx context.Context, imsi id.IMSI, m *sms.RPData) (sms.RP, error) {
	b, err := write(m)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	last := h.heard[imsi].mme
	list := make([]*joined, 0, len(h.mmes))
	if last != nil {
		list = append(list, last)
	}
	for j := range h.mmes {
		if j != last {
			list = append(list, j)
		}
	}
	h.mu.Unlock()
	why := ErrNotRegistered
	for _, j := range list {
		answer, err := j.deliver(ctx, imsi, b)
		switch {
		case errors.Is(err, ErrNotRegistered):
			h.mu.Lock()
			if h.heard[imsi].mme == j {
				delete(h.heard, imsi)
			}
			h.mu.Unlock()
		case errors.Is(err, ErrAbsent), errors.Is(err, ErrRefused), errors.Is(err, ErrBusy):
			why = err
		default:
			return answer, err
		}
	}
	return nil, why
}

func (j *joined) deliver(ctx context.Context, imsi id.IMSI, rp []byte) (sms.RP, error) {
	answered := make(chan *pb.ShortDelivered, 1)
	j.mu.Lock()
	if len(j.waiting) >= maxDelivers {
		j.mu.Unlock()
		return nil, ErrBusy
	}
	j.next++
	ref := j.next
	j.waiting[ref] = answered
	j.mu.Unlock()
	defer func() {
		j.mu.Lock()
		delete(j.waiting, ref)
		j.mu.Unlock()
	}()
	q := &pb.ShortDeliver{Ref: ref, Imsi: imsi.Digits(), Rp: rp}
	if end, ok := ctx.Deadline(); ok {
		q.WithinMs = max(1, time.Until(end).Milliseconds())
	}
	if err := j.send(&pb.ToMme{Body: &pb.ToMme_Deliver{Deliver: q}}); err != nil {
		return nil, fmt.Errorf("short: %w", err)
	}
	select {
	case a := <-answered:
		if err := coded[a.Code]; err != nil {
			return nil, err
		}
		if a.Code != 0 {
			return nil, fmt.Errorf("short: not delivered, as far as is known: %s", cut(a.Failed))
		}
		return sms.ParseRP(sms.Uplink, a.Rp)
	case <-j.over:
		return nil, errors.New("short: the MME has left meanwhile")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
