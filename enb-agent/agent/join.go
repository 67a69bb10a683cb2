package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"campanile.network/3gpp/id"
	"campanile.network/internal/peertls"
	"campanile.network/wire/link"
	"campanile.network/wire/proof"
)

// Dialer joins the core at addr over gRPC with both keys shown in TLS; only
// the holder of the operator's key is talked to.
func Dialer(addr string, tower proof.SigningKey, operator proof.OperatorKey) (Dial, error) {
	config, err := peertls.Client(tower.Ed25519(), operator)
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	return func(ctx context.Context) (link.TowerConn, func(), error) {
		// Often enough for the mapping of any NAT between. With it comes
		// TCP_USER_TIMEOUT: what is said and not acknowledged ends the connection in
		// ten seconds.
		conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(credentials.NewTLS(config)),
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectTimeout}))
		if err != nil {
			return nil, nil, fmt.Errorf("agent: %w", err)
		}
		c, err := link.Dial(ctx, conn)
		if err != nil {
			conn.Close()
			return nil, nil, err
		}
		return c, func() { conn.Close() }, nil
	}, nil
}

// connectTimeout is for one attempt: SYNs on a way that is cut come ever more
// seldom, and one of a new attempt finds it healed earlier.
const connectTimeout = 5 * time.Second

// firstRetry is the pause after a link that held.
const firstRetry = 500 * time.Millisecond

// keepJoined joins the core again and again, ever more patiently, until last
// is closed and all is said, or ctx ends.
func (a *Agent) keepJoined(ctx context.Context, last <-chan struct{}) {
	pause := firstRetry
	for {
		start := time.Now()
		err := a.join(ctx, last)
		if err == nil || ctx.Err() != nil {
			return
		}
		if time.Since(start) > a.Retry {
			pause = firstRetry
		}
		wait := pause/2 + rand.N(pause)
		a.Logger.Warn("link to the core is away", "err", a.away(err), "again_in", wait)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-last:
			timer.Stop()
			return
		}
		pause = min(pause*2, a.Retry)
	}
}

var errLinkEnded = errors.New("agent: the core has ended the link")

// join has one link from beginning to end. It returns nil when the agent ends.
func (a *Agent) join(ctx context.Context, last <-chan struct{}) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, hangUp, err := a.Dial(ctx)
	if err != nil {
		return err
	}
	said := newSaid()
	reader := make(chan error, 1)
	go func() { reader <- a.listen(ctx, c) }()
	a.setConnected(true)
	defer func() {
		a.setConnected(false)
		cancel()
		hangUp()
		<-reader
	}()
	for {
		for _, m := range a.unsaid(said) {
			if err := c.Send(m); err != nil {
				select { // the reader knows why
				case why := <-reader:
					reader <- why
					return why
				default:
				}
				return err
			}
		}
		select {
		case <-a.wake:
		case err := <-reader:
			reader <- err
			return err
		case <-last:
			a.part(c, said, reader)
			return nil
		}
	}
}

// part says what is left and waits until the core has heard it.
func (a *Agent) part(c link.TowerConn, said *said, reader chan error) {
	for _, m := range a.unsaid(said) {
		if c.Send(m) != nil {
			return
		}
	}
	if c.CloseSend() == nil {
		reader <- <-reader
	}
}

func (a *Agent) setConnected(yes bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.connected, a.awaySince, a.awayWhy = yes, time.Now(), ""
	if yes {
		a.Logger.Info("joined the core", "operator", a.Operator.Short())
	}
}

// away keeps in words why there is no link.
func (a *Agent) away(err error) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.awayWhy = peertls.InWords(err)
	return a.awayWhy
}

// listen hands what the core says to the one who decides.
func (a *Agent) listen(ctx context.Context, c link.Conn[link.ToTower, link.FromTower]) error {
	for {
		m, err := c.Recv()
		if err != nil {
			return fmt.Errorf("%w: %w", errLinkEnded, err)
		}
		select {
		case a.heard <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// said is what was said on one link.
type said struct {
	counts map[id.TEID]tally
	notice uint64 // number of the newest
	seen   link.Seen
	radio  link.Radio
}

func newSaid() *said { return &said{counts: map[id.TEID]tally{}} }

// maxReport bounds the bearers in one report.
const maxReport = 4096

// unsaid is what there is to say that was not said on this link.
func (a *Agent) unsaid(s *said) (list []link.FromTower) {
	a.mu.Lock()
	defer a.mu.Unlock()
	report := &link.Report{Epoch: a.epoch}
	for teid, t := range a.counts {
		if s.counts[teid] == t {
			continue
		}
		s.counts[teid] = t
		report.Counts = append(report.Counts, link.Count{TEID: teid, UL: t.ul, DL: t.dl})
		if len(report.Counts) == maxReport {
			list = append(list, link.FromTower{Report: report})
			report = &link.Report{Epoch: a.epoch}
		}
	}
	for teid := range s.counts {
		if _, ok := a.counts[teid]; !ok {
			delete(s.counts, teid)
		}
	}
	if len(report.Counts) > 0 {
		list = append(list, link.FromTower{Report: report})
	}
	for _, n := range a.spool {
		if n.Number > s.notice {
			s.notice = n.Number
			list = append(list, link.FromTower{Notice: &n})
		}
	}
	if a.radio != nil && s.radio != *a.radio {
		s.radio = *a.radio
		list = append(list, link.FromTower{Radio: new(*a.radio)})
	}
	if h := a.held[a.state.Channel]; h.signed != nil {
		if seen := (link.Seen{Channel: h.Channel, Seq: h.Seq}); seen != s.seen {
			s.seen = seen
			list = append(list, link.FromTower{Seen: &seen})
		}
	}
	return list
}
