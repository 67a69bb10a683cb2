package pool

import (
	"context"
	"slices"
	"time"
)

// feed is Follow for the other members.
func (n *Node) feed(ctx context.Context, from Position, f func(Batch) error) error {
	select {
	case <-n.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	known := from.Run == n.run
	at := from.Seq
	for {
		changes, news, ok := n.after(at)
		if !known || !ok {
			var err error
			if at, err = n.everything(f); err != nil {
				return err
			}
			known = true
			continue
		}
		if len(changes) > 0 {
			at += uint64(len(changes))
			if err := f(Batch{Position: Position{n.run, at}, Changes: changes}); err != nil {
				return err
			}
			continue
		}
		select {
		case <-news:
		case <-beat.C:
			if err := f(Batch{Position: Position{n.run, at}}); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// after gives a batch of the changes after a position, or without any what ends with the
// next one; not ok: they are forgotten, or were never.
func (n *Node) after(seq uint64) (changes []Change, news <-chan struct{}, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if seq < n.first || seq > n.first+uint64(len(n.ring)) {
		return nil, nil, false
	}
	for list := range batches(n.ring[seq-n.first:]) {
		return slices.Clone(list), n.news, true // a copy: who reads slowly does not hold the ring
	}
	return nil, n.news, true
}

// everything gives f all records, and the position from which on there is more.
func (n *Node) everything(f func(Batch) error) (seq uint64, err error) {
	n.mu.Lock()
	seq = n.first + uint64(len(n.ring))
	n.count.Snapshots++
	n.mu.Unlock()
	var all []Change
	n.owner.Records(func(c Change) { all = append(all, c) })
	for list := range batches(all) {
		if err := f(Batch{Changes: list}); err != nil {
			return 0, err
		}
	}
	return seq, f(Batch{Position: Position{n.run, seq}})
}

// batches cuts changes into pieces that may be sent.
func batches(changes []Change) func(yield func([]Change) bool) {
	return func(yield func([]Change) bool) {
		for len(changes) > 0 {
			k, octets := 0, 0
			for k < len(changes) && k < batchMost && octets < batchBytes {
				octets += len(changes[k].Record)
				k++
			}
			if !yield(changes[:k]) {
				return
			}
			changes = changes[k:]
		}
	}
}
