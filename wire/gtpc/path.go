package gtpc

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// peer is what is known of another GTP-C entity.
type peer struct {
	addr    netip.Addr
	counter uint8
	known   bool // counter was heard
	old     uint8
	changed time.Time // when counter replaced old
	heard   time.Time
	down    bool
	asking  bool // an Echo Request is on its way
}

// notePeer keeps the restart counter a message carries (TS 23.007 §16.1A.2)
// and reports a change. A counter that was just replaced, seen again within
// the life of a retransmission, is an old copy and changes nothing.
func (e *Endpoint) notePeer(a netip.Addr, m *Message) {
	now := time.Now()
	var counter uint8
	rec := m.IE(ie.Recovery, 0)
	has := rec != nil && len(rec.Payload) >= 1
	if has {
		counter = rec.Payload[0]
	}
	e.mu.Lock()
	p := e.peers[a]
	if p == nil {
		if len(e.peers) >= maxPeers {
			e.mu.Unlock()
			e.drop(DropPeers, netip.AddrPortFrom(a, 0), nil)
			return
		}
		p = &peer{addr: a}
		e.peers[a] = p
	}
	p.heard = now
	restarted := false
	switch {
	case !has || p.known && p.counter == counter:
	case !p.known:
		p.known, p.counter = true, counter
	case counter == p.old && !p.changed.IsZero() && now.Sub(p.changed) < e.o.T3*time.Duration(e.o.N3+1):
	default:
		p.old, p.counter, p.changed, restarted = p.counter, counter, now, true
	}
	up := p.down
	p.down = false
	e.mu.Unlock()
	if up {
		e.path(a, true)
	}
	if restarted {
		e.log.Warn("gtpc: peer has restarted", "peer", a, "counter", counter)
		if e.o.OnPeerRestart != nil {
			e.o.OnPeerRestart(a, counter)
		}
	}
}

func (e *Endpoint) path(a netip.Addr, up bool) {
	if up {
		e.log.Info("gtpc: peer answers again", "peer", a)
	} else {
		e.log.Warn("gtpc: peer does not answer", "peer", a)
	}
	if e.o.OnPath != nil {
		e.o.OnPath(a, up)
	}
}

// Watch puts peer under supervision before it was heard.
func (e *Endpoint) Watch(peerAddr netip.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.peers[peerAddr] == nil && len(e.peers) < maxPeers {
		e.peers[peerAddr] = &peer{addr: peerAddr, heard: time.Now()}
	}
}

// Know is Watch with the restart counter that an earlier run of this entity heard:
// if the peer has restarted since, OnPeerRestart is told as soon as it is heard.
// What was heard in this run stands.
func (e *Endpoint) Know(peerAddr netip.Addr, counter uint8) {
	e.Watch(peerAddr)
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.peers[peerAddr]; p != nil && !p.known {
		p.known, p.counter = true, counter
	}
}

// Counter gives the restart counter that a peer was heard with, and whether it was.
func (e *Endpoint) Counter(peerAddr netip.Addr) (counter uint8, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p := e.peers[peerAddr]; p != nil {
		return p.counter, p.known
	}
	return 0, false
}

// supervise asks every known peer for an Echo each EchoEvery (TS 23.007 §20.1)
// and forgets peers silent for a day. The echoes run in wg.
func (e *Endpoint) supervise(ctx context.Context, wg *sync.WaitGroup) {
	tick := time.NewTicker(e.o.EchoEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, a := range e.toAsk(now) {
				wg.Go(func() { e.Echo(ctx, netip.AddrPortFrom(a, Port)) })
			}
		}
	}
}

func (e *Endpoint) toAsk(now time.Time) (ask []netip.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for a, p := range e.peers {
		if now.Sub(p.heard) > 24*time.Hour {
			delete(e.peers, a)
		} else if !p.asking {
			p.asking = true
			ask = append(ask, a)
		}
	}
	return ask
}

// Echo asks peer whether it is there (TS 29.274 §7.1.1) and tells OnPath of a
// change.
func (e *Endpoint) Echo(ctx context.Context, to netip.AddrPort) error {
	_, err := e.Request(ctx, to, &Message{Type: EchoRequest, IEs: []*ie.IE{e.Recovery()}})
	e.mu.Lock()
	p := e.peers[to.Addr()]
	down := false
	if p != nil {
		p.asking = false
		down = err != nil && ctx.Err() == nil && !p.down
		p.down = p.down || down
	}
	e.mu.Unlock()
	if down {
		e.path(to.Addr(), false)
	}
	return err
}
