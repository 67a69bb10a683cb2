package relay

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
)

const (
	parting   = 10 * time.Second       // for an association to end gracefully: a lost SHUTDOWN is sent again after 1 s, 3 s and 7 s
	hurry     = 2 * time.Second        // the same, for a relay that stops
	setupWait = 30 * time.Second       // for an eNB's S1 Setup Request
	minPause  = 100 * time.Millisecond // between attempts to reach the MME
	maxPause  = time.Second
)

// serve relays one eNB's S1AP until either side ends, then ends the other: an
// eNB that loses the MME behind the relay has to see its own association shut
// down, or it would not set up S1 again.
func (r *Relay) serve(ctx context.Context, enb sctp.Association) {
	log := r.Logger.With("enb", enb.RemoteAddr())
	c := &conn{relay: r, leg: [2]sctp.Association{Radio: enb}, enbIP: enb.RemoteAddr().Addr().Unmap(), ues: map[s1ap.MMEUES1APID]*ue{}}
	defer c.shutdown(ctx)
	first, err := greeting(ctx, enb)
	if err != nil {
		if errors.Is(err, errNoSetup) {
			r.noSetup.Add(1)
			log.Warn("eNB sent away: it has to set up S1 first", "err", err)
		}
		return
	}
	mme, at, err := r.reach(ctx, enb)
	if err != nil {
		r.sentAway.Add(1)
		r.notReached.Store(new(err.Error()))
		log.Warn("MME not reached: eNB sent away", "mme", r.MME, "more", len(r.MoreMMEs), "err", err)
		return
	}
	r.notReached.Store(nil)
	c.leg[Core] = mme
	r.mu.Lock()
	r.conns[c] = true
	r.mu.Unlock()
	log.Info("eNB connected", "mme", at)
	err = c.relayUntilEnd(ctx, first)
	var ended *endedError
	if errors.As(err, &ended) && ended.side == Core && ctx.Err() == nil {
		r.coreEnded.Add(1)
	}
	log.Info("eNB gone", "reason", err)
}

// errNoSetup says that an association does not begin as it has to.
var errNoSetup = errors.New("relay: the first message of an association has to be S1 SETUP REQUEST (TS 36.413 §8.7.3.1)")

// greeting takes an eNB's first message, which must be S1 Setup Request. An eNB
// that has not noticed an ABORT goes on as if nothing had been; only a shutdown
// makes it set up again.
func greeting(ctx context.Context, enb sctp.Association) (sctp.Message, error) {
	wait, cancel := context.WithTimeout(ctx, setupWait)
	defer cancel()
	m, err := enb.Recv(wait)
	switch {
	case err != nil && wait.Err() != nil && ctx.Err() == nil:
		return m, fmt.Errorf("%w: nothing came", errNoSetup)
	case err != nil:
		return m, err
	case m.PPID != ppid:
		return m, fmt.Errorf("%w: PPID %d", errNoSetup, m.PPID)
	}
	// What is wrong in the message otherwise the MME says.
	if p, _ := s1ap.Parse(m.Data); p.Type != s1ap.InitiatingMessage || p.ProcedureCode != s1ap.ProcedureS1Setup || p.Message == nil {
		return m, fmt.Errorf("%w: procedure %v", errNoSetup, p.ProcedureCode)
	}
	return m, nil
}

// reach dials the MME again and again for as long as the eNB is held, in turn with the
// others of its pool: each has an equal part of the time to answer, at least.
func (r *Relay) reach(ctx context.Context, enb sctp.Association) (mme sctp.Association, at netip.AddrPort, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.DialTime)
	defer cancel()
	stop := make(chan struct{})
	defer func() { cancel(); <-stop }()
	go func() {
		defer close(stop)
		select {
		case <-enb.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	all := append([]netip.AddrPort{r.MME}, r.MoreMMEs...)
	for i, pause := 0, minPause; ; i++ {
		at = all[i%len(all)]
		try, done := context.WithTimeout(ctx, r.DialTime/time.Duration(len(all)))
		mme, err = r.Core.Dial(try, at, r.Dial)
		done()
		if err == nil {
			return mme, at, nil
		}
		if (i+1)%len(all) != 0 && ctx.Err() == nil {
			continue
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, at, err
		}
		pause = min(2*pause, maxPause)
	}
}

// relayUntilEnd passes the first message on and then everything, until one side
// has ended and the other is shut down; the contexts end with that.
func (c *conn) relayUntilEnd(ctx context.Context, first sctp.Message) error {
	defer c.forget()
	if err := c.send(ctx, Core, first.Stream, first.PPID, first.Data); err != nil {
		return &endedError{Core, err}
	}
	ended := make(chan error, 2)
	legs, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, side := range []Side{Radio, Core} {
		go func() { ended <- c.pump(legs, side) }()
	}
	err := <-ended
	c.forget() // at once: a shutdown may take long
	c.shutdown(ctx)
	cancel()
	<-ended
	return err
}

// forget ends every context.
func (c *conn) forget() {
	r := c.relay
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, u := range c.ues {
		u.end(r)
	}
	clear(c.ues)
	delete(r.conns, c)
}

// shutdown ends both associations, whatever still stands. It takes its time,
// for srsenb does not notice the ABORT that comes after it, unless serving has
// ended.
func (c *conn) shutdown(serving context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(serving), parting)
	defer cancel()
	defer context.AfterFunc(serving, func() { time.AfterFunc(hurry, cancel) })()
	done := make(chan struct{}, len(c.leg))
	for _, a := range c.leg {
		go func() {
			if a != nil {
				_ = a.Shutdown(ctx) // an association that will not agree is aborted
			}
			done <- struct{}{}
		}()
	}
	for range c.leg {
		<-done
	}
}

var sideEnded = [...]string{"eNB's side: ", "MME's side: "}

type endedError struct {
	side Side
	err  error
}

func (e *endedError) Error() string { return sideEnded[e.side] + e.err.Error() }
func (e *endedError) Unwrap() error { return e.err }
