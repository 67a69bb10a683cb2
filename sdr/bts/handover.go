package bts

import (
	"context"
	"errors"
	"fmt"

	"campanile.network/wire/sip"
	"campanile.network/wire/sip/sdp"
)

// Move hands the call over to another cell: that one sends a re-INVITE in the
// call's dialog from its own address, and the cell before forgets the call without
// a word. When the gateway refuses, the call stays where it is.
func (c *Call) Move(ctx context.Context, to *Cell) error {
	select {
	case <-c.up:
	default:
		return errors.New("bts: only a call that has been answered is handed over")
	}
	s, err := to.openSpeech()
	if err != nil {
		return fmt.Errorf("bts: RTP: %w", err)
	}
	if !to.spawn(s.receive) {
		s.conn.Close()
		return ErrOff
	}
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		s.conn.Close()
		return ErrNoCall
	}
	old, oldSpeech, oldSilent := c.cell, c.speech, c.silent
	c.speech = s
	m := c.dialog.request(sip.MethodInvite)
	m.Contact = []sip.Address{{URI: at(c.p.user(), to.at)}}
	b, err := sdp.Offer(c.origin(), c.lines()).Bytes()
	m.ContentType, m.Body = "application/sdp", b
	c.mu.Unlock()
	if err == nil {
		to.dress(c.p, m)
		err = c.moved(ctx, to, m)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || c.ended {
		c.speech = oldSpeech
		s.conn.Close()
		return errors.Join(err, c.why)
	}
	c.cell, c.silent = to, make(chan struct{})
	silent := c.silent
	to.spawn(func() { s.send(silent) })
	close(oldSilent)
	oldSpeech.conn.Close()
	old.mu.Lock()
	delete(old.calls, c.dialog.key())
	old.mu.Unlock()
	to.enter(c)
	return nil
}

// moved sends the re-INVITE of a handover from the new cell.
func (c *Call) moved(ctx context.Context, to *Cell, m *sip.Message) error {
	t := to.e.Request(ctx, m, to.gateway())
	r, err := t.Final(ctx)
	switch {
	case err != nil:
		return err
	case r.Status/100 != 2:
		return &Rejected{Status: r.Status, Reason: r.Reason}
	}
	c.mu.Lock()
	if len(r.Contact) > 0 {
		c.dialog.target = r.Contact[0].URI
	}
	ack := c.dialog.ack(r)
	c.mu.Unlock()
	if err := t.Ack(ack, to.gateway()); err != nil {
		return err
	}
	if err := c.accept(r); err != nil {
		return err
	}
	c.p.mu.Lock()
	c.p.cell = to
	c.p.mu.Unlock()
	to.mu.Lock()
	to.phones[c.p.o.IMSI.Digits()] = c.p
	to.mu.Unlock()
	c.p.tell(to, "handed over", c.peer, "")
	return nil
}
