package pool

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"campanile.network/3gpp/id"
)

// Fetch gives the record of the phone that names itself by an M-TMSI of the member
// with that code, and has sent this NAS message: its owner is asked if it is there, and knows best;
// else there is the copy here or, if this member has come later, that of another.
func (n *Node) Fetch(ctx context.Context, code id.MMECode, t id.MTMSI, nas []byte) (record []byte, err error) {
	defer func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if err == nil {
			n.count.Fetched++
		} else {
			n.count.Missed++
		}
	}()
	for _, m := range n.present() {
		if m.Code == code {
			if b, err := ask(ctx, m, code, t, nas); err == nil || errors.Is(err, ErrForeign) {
				return b, err
			}
		}
	}
	if b := n.copyOf(code, t); b != nil {
		return b, nil
	}
	for _, m := range n.present() {
		if m.Code != code {
			if b, err := ask(ctx, m, code, t, nas); err == nil {
				return b, nil
			}
		}
	}
	return nil, ErrForeign
}

func ask(ctx context.Context, m Member, code id.MMECode, t id.MTMSI, nas []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchWait)
	defer cancel()
	b, err := m.Link.Fetch(ctx, code, t, nas)
	if err == nil && (len(b) == 0 || len(b) > recordMost) {
		return nil, fmt.Errorf("pool: a record of %d octets, want 1 to %d", len(b), recordMost)
	}
	return b, err
}

// present are the members that are followed now.
func (n *Node) present() []Member {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(n.o.Members), func(m Member) bool { return !n.others[m.Code].up })
}

// copyOf gives the copy of another member's phone; nil if there is none.
func (n *Node) copyOf(code id.MMECode, t id.MTMSI) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r := n.names[name{code, t}]; r != nil {
		return r.Record
	}
	return nil
}

// Link is this node as other members reach it.
func (n *Node) Link() Link { return face{n} }

type face struct{ n *Node }

func (f face) Fetch(ctx context.Context, code id.MMECode, t id.MTMSI, nas []byte) ([]byte, error) {
	if code == f.n.o.Code {
		select {
		case <-f.n.ready:
			return f.n.owner.Hand(t, nas)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if b := f.n.copyOf(code, t); b != nil {
		return b, nil
	}
	return nil, ErrForeign
}

func (f face) Follow(ctx context.Context, from Position, do func(Batch) error) error {
	return f.n.feed(ctx, from, do)
}
