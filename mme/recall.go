package mme

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/internal/sctp"
)

// Peer is an eNB that has set up S1.
type Peer struct {
	ENB   id.GlobalENBID
	At    sctp.Peer // its end of the association
	Since time.Time // of S1 Setup
}

// Memory keeps, over an end of the MME that no eNB is told of (a crash, a power
// cut), which eNBs have an association. It is used by several goroutines.
type Memory interface {
	// Remember stores an eNB, in place of what was stored of the same ENB, before
	// it returns.
	Remember(Peer) error
	// Forget erases what is stored of p.ENB if it is p: a newer Since stays.
	Forget(p Peer) error
	// Peers gives all that are remembered.
	Peers() ([]Peer, error)
}

// Dialer opens associations, also from the port that the MME listens on.
// [sctp.Endpoint] is one.
type Dialer interface {
	Dial(ctx context.Context, to netip.AddrPort, o sctp.DialOptions) (sctp.Association, error)
}

// Reasons for which a recall ends.
var (
	errIsBack     = errors.New("the eNB has come by itself")
	errLongSilent = errors.New("the eNB did not answer")
)

// recall is one eNB that is called back.
type recall struct {
	peer Peer
	end  context.CancelCauseFunc
}

// recallAll calls back the eNBs that had an association when the last MME of
// this memory ended without a word.
func (m *MME) recallAll() {
	if m.o.Memory == nil || m.o.Dialer == nil {
		return
	}
	peers, err := m.o.Memory.Peers()
	if err != nil {
		m.log.Error("remembered eNBs are lost, none is called back", "err", err)
	}
	for _, p := range peers {
		m.spawn(func() { m.recall(p) })
	}
}

// recall opens an association to an eNB that may not know that the one it had
// is no more: no S1AP is due from it as long as its phones only move data, and
// there are eNBs, srsRAN's among them, that learn nothing from an ABORT. Between
// the same ports this is a restart to the eNB's SCTP (RFC 9260 §5.2.4), and the
// SHUTDOWN that follows makes it set up S1 anew. An eNB that comes by itself is
// left alone.
func (m *MME) recall(p Peer) {
	ctx, cancel := context.WithCancelCause(m.leaving)
	defer cancel(nil)
	defer time.AfterFunc(recallFor, func() { cancel(errLongSilent) }).Stop()
	r := &recall{p, cancel}
	if m.o.Dialer == nil || len(p.At.Addrs) == 0 || !m.begin(r) {
		return
	}
	defer m.finish(r)
	log := m.log.With("enb", p.ENB.String(), "remote", netip.AddrPortFrom(p.At.Addrs[0], p.At.Port).String())
	log.Info("eNB is called back")
	a, err := m.call(ctx, p)
	var refused *sctp.AbortError
	switch {
	case err == nil:
		m.count.procedure("recall", "")
		m.take(a, &p)
	case err == errIsBack, errors.Is(err, sctp.ErrPortInUse):
		m.count.procedure("recall", "came by itself")
	case errors.As(err, &refused):
		m.count.procedure("recall", "no association there")
		m.forget(p)
	case err == errLongSilent:
		m.count.procedure("recall", "no answer")
		log.Warn("eNB does not answer, it is called back no more", "after", recallFor)
		m.forget(p)
	case errors.Is(err, errors.ErrUnsupported):
		m.count.procedure("recall", "not possible")
		m.unable.Do(func() { m.log.Warn("eNBs cannot be called back", "err", err) })
		m.forget(p)
	}
}

// call dials until somebody answers, each of the eNB's addresses in turn and
// longer each time. While it does, what the eNB sends on its old association is
// not answered with an ABORT, after which nothing could reach it any more.
func (m *MME) call(ctx context.Context, p Peer) (sctp.Association, error) {
	for i, wait := 0, recallTry; ; i, wait = i+1, 2*wait {
		try, done := context.WithTimeout(ctx, wait)
		to := netip.AddrPortFrom(p.At.Addrs[i%len(p.At.Addrs)], p.At.Port)
		a, err := m.o.Dialer.Dial(try, to, sctp.DialOptions{LocalPort: m.port, EncapPort: p.At.EncapPort})
		var refused *sctp.AbortError
		if err == nil || errors.As(err, &refused) || errors.Is(err, sctp.ErrPortInUse) || errors.Is(err, errors.ErrUnsupported) {
			done()
			return a, err
		}
		<-try.Done()
		done()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
}

// begin notes a recall, in place of another of the same eNB; false if the eNB is
// here.
func (m *MME) begin(r *recall) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.legs.enb(r.peer.ENB) != nil {
		return false
	}
	if other := m.recalls[r.peer.ENB]; other != nil {
		other.end(errIsBack)
	}
	m.recalls[r.peer.ENB] = r
	return true
}

func (m *MME) finish(r *recall) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.recalls[r.peer.ENB] == r {
		delete(m.recalls, r.peer.ENB)
	}
}

// remember notes that an eNB has set up S1 by e: nobody need call it back, unless
// this MME ends without a word.
func (e *enb) remember(g id.GlobalENBID, since time.Time) {
	p := Peer{g, sctp.PeerOf(e.a), since}
	e.mu.Lock()
	former := e.peer
	e.peer = &p
	e.mu.Unlock()
	e.m.mu.Lock()
	r := e.m.recalls[g]
	e.m.mu.Unlock()
	if r != nil {
		r.end(errIsBack)
	}
	if former != nil && former.ENB != g {
		e.m.forget(*former)
	}
	if e.m.o.Memory == nil {
		return
	}
	if err := e.m.o.Memory.Remember(p); err != nil {
		e.log.Warn("eNB is not remembered, it will not be called back if this MME is killed", "enb", g.String(), "err", err)
	}
}

// ended is told when the association with a remembered eNB has. If the eNB does
// not know, it is called back; when the MME stops, by the one that follows.
func (m *MME) ended(p Peer, known bool) {
	if known {
		m.forget(p)
	} else {
		m.spawn(func() { m.recall(p) })
	}
}

func (m *MME) forget(p Peer) {
	if m.o.Memory == nil {
		return
	}
	if err := m.o.Memory.Forget(p); err != nil {
		m.log.Warn("eNB is not forgotten", "enb", p.ENB.String(), "err", err)
	}
}

// known says whether the other side knows that an association has ended for this
// reason, or has had another end of it.
func known(why error) bool {
	var aborted *sctp.AbortError
	if errors.As(why, &aborted) {
		return !aborted.Local
	}
	return errors.Is(why, io.EOF) || errors.Is(why, sctp.ErrRestarted)
}
