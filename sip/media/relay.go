package media

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Relay holds the ports and carries the packets of all sessions.
type Relay struct {
	o     Options
	ports ports
	loops []*loop
	turn  atomic.Uint32
}

// New makes a relay; it reads nothing before Serve.
func New(o Options) (*Relay, error) {
	if o.Low == 0 && o.High == 0 {
		o.Low, o.High = 30000, 39999
	}
	if o.Silence == 0 {
		o.Silence = 30 * time.Second
	}
	if o.Rate == 0 {
		o.Rate = 400
	}
	if o.Loops == 0 {
		o.Loops = 1
	}
	if !o.Address.IsValid() || o.Address.IsUnspecified() {
		return nil, fmt.Errorf("media: address %s: want one of this host's own, which peers can reach", o.Address)
	}
	if o.Silence < time.Second || o.Rate < 50 || o.Loops < 0 || o.Loops > 64 {
		return nil, fmt.Errorf("media: silence %s, rate %d, loops %d: want at least 1s, at least 50, 1 to 64", o.Silence, o.Rate, o.Loops)
	}
	r := &Relay{o: o}
	if err := r.ports.fill(o.Low, o.High); err != nil {
		return nil, err
	}
	for range o.Loops {
		l, err := newLoop(o)
		if err != nil {
			r.close()
			return nil, err
		}
		r.loops = append(r.loops, l)
	}
	return r, nil
}

// Serve carries packets until ctx ends, then closes every session. It serves once.
func (r *Relay) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	errs := make([]error, len(r.loops))
	for i, l := range r.loops {
		stop := context.AfterFunc(ctx, l.stir)
		defer stop()
		wg.Go(func() {
			errs[i] = l.serve(ctx)
			cancel()
		})
	}
	wg.Wait()
	r.close()
	return errors.Join(errs...)
}

func (r *Relay) close() {
	for _, l := range r.loops {
		l.close()
	}
}

// Session opens two legs with ports of their own. Each leg's sockets are bound to
// its address of local; one that is not valid is Options.Address. It fails with
// ErrPorts, ErrClosed or the system's error.
func (r *Relay) Session(local [2]netip.Addr) (*Session, error) {
	l := r.loops[int(r.turn.Add(1))%len(r.loops)]
	s := &Session{relay: r, loop: l, events: make(chan Event, 32)}
	for i := range s.legs {
		a := local[i].Unmap()
		if !a.IsValid() {
			a = r.o.Address
		}
		leg := &s.legs[i]
		leg.s, leg.i, leg.out, leg.credit = s, i, newOutflow(), r.o.Rate
		if err := r.open(leg, a); err != nil {
			s.free()
			return nil, err
		}
	}
	if err := l.add(s); err != nil {
		s.free()
		return nil, err
	}
	return s, nil
}

// open binds a leg to the next pair of ports that nobody else of this host has.
func (r *Relay) open(l *Leg, a netip.Addr) error {
	for range 32 {
		port, ok := r.ports.take()
		if !ok {
			return ErrPorts
		}
		err := l.rtp.open(netip.AddrPortFrom(a, port))
		if err == nil {
			if err = l.rtcp.open(netip.AddrPortFrom(a, port+1)); err != nil {
				l.rtp.close()
			}
		}
		if err == nil {
			l.s.ports[l.i] = port
			public := a
			if p, ok := r.o.Announce[a]; ok {
				public = p
			}
			l.announced = netip.AddrPortFrom(public, port)
			return nil
		}
		r.ports.give(port)
		if !inUse(err) {
			return fmt.Errorf("media: %s port %d: %w", a, port, err)
		}
	}
	return ErrPorts
}

// free closes sockets and gives ports back.
func (s *Session) free() {
	for i := range s.legs {
		s.legs[i].rtp.close()
		s.legs[i].rtcp.close()
		if s.ports[i] != 0 {
			s.relay.ports.give(s.ports[i])
			s.ports[i] = 0
		}
	}
}

// Stats says what all sessions together have carried.
func (r *Relay) Stats() (st Stats) {
	st.FreePorts = r.ports.left()
	for _, l := range r.loops {
		l.mu.Lock()
		st.Sessions += len(l.sessions)
		st.In.plus(l.totals.In)
		st.Out.plus(l.totals.Out)
		st.Throttled += l.totals.Throttled
		st.Dropped = l.totals.Dropped
		for s := range l.sessions {
			for i := range s.legs {
				for d, n := range s.legs[i].stats.Dropped {
					st.Dropped[d] += n
				}
			}
		}
		l.mu.Unlock()
	}
	return st
}

func (c *Count) plus(o Count) {
	c.Packets += o.Packets
	c.Octets += o.Octets
}

// ports are pairs of ports, each even one with the next. A pair given back comes
// last in the queue, so that what is still under way to an old call finds nobody.
type ports struct {
	mu    sync.Mutex
	queue []uint16
	head  int
	n     int
}

func (p *ports) fill(low, high uint16) error {
	for port := int(low) + int(low)%2; port+1 <= int(high); port += 2 {
		p.queue = append(p.queue, uint16(port))
	}
	if len(p.queue) < 2 || low < 1024 {
		return fmt.Errorf("media: ports %d to %d: a call takes two pairs, each an even port and the next, from 1024 on", low, high)
	}
	rand.Shuffle(len(p.queue), func(i, k int) { p.queue[i], p.queue[k] = p.queue[k], p.queue[i] })
	p.n = len(p.queue)
	return nil
}

func (p *ports) take() (uint16, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n == 0 {
		return 0, false
	}
	port := p.queue[p.head]
	p.head = (p.head + 1) % len(p.queue)
	p.n--
	return port, true
}

func (p *ports) give(port uint16) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue[(p.head+p.n)%len(p.queue)] = port
	p.n++
}

func (p *ports) left() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}
