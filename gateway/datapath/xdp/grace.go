//go:build linux

package xdp

import (
	"sync"

	"github.com/cilium/ebpf"
)

// grace waits until every packet that a program had in hand is done with: the
// kernel does that before it returns from a change of a map of maps. Those who
// ask while one wait runs share the next.
type grace struct {
	outer, inner *ebpf.Map

	mu   sync.Mutex
	next *round
	run  sync.Mutex
}

type round struct {
	done chan struct{}
	err  error
}

func (g *grace) init() (err error) {
	spec := &ebpf.MapSpec{Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	if g.inner, err = ebpf.NewMap(spec); err != nil {
		return err
	}
	g.outer, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: spec})
	return err
}

func (g *grace) wait() error {
	g.mu.Lock()
	r, mine := g.next, false
	if r == nil {
		r, mine = &round{done: make(chan struct{})}, true
		g.next = r
	}
	g.mu.Unlock()
	if !mine {
		<-r.done
		return r.err
	}
	g.run.Lock()
	defer g.run.Unlock()
	g.mu.Lock()
	g.next = nil
	g.mu.Unlock()
	r.err = g.outer.Put(uint32(0), g.inner)
	close(r.done)
	return r.err
}

func (g *grace) close() {
	if g.inner != nil {
		g.inner.Close()
	}
	if g.outer != nil {
		g.outer.Close()
	}
}
