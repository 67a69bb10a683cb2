package pool

import (
	"context"
	"errors"
	"slices"

	"campanile.network/3gpp/id"
)

// Fetch gives the record of the phone that names itself by an M-TMSI of the member
// with that code, and has sent this NAS message: its owner is asked if it is there, and knows best;
// else there is the copy here or, if this member has come later, that of another.
func (n *Node) Fetch(ctx context.Context, code id.MMECode, t id.MTMSI, nas []byte) ([]byte, error) {
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
	return m.Link.Fetch(ctx, code, t, nas)
}

// present are the members that are followed now.
func (n *Node) present() []Member {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(n.o.Members), func(m Member) bool { return !n.up[m.Code] })
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
