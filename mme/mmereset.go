package mme

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// ErrNoENB says that no eNB with S1 Setup done has that id.
var ErrNoENB = errors.New("mme: no such eNB is here")

// maxReset is how many S1 connections one Reset can name (TS 36.413 §9.2.1.20).
const maxReset = 256

// Reset ends every S1 connection of an eNB, here at once and there by Reset of
// the S1 interface (TS 36.413 §8.7.1.2.1); phones in connected mode become idle.
// It waits for the eNB's acknowledgement and asks three times. There are eNBs that
// know no Reset, srsRAN's among them: their association is shut down instead, so
// that they set up S1 anew, which does as much (TS 36.413 §8.7.3.1) and is why no
// Reset is needed when an MME starts.
//
// What the eNB says of phones until it acknowledges, it said before it knew of the
// Reset, and its UE S1AP IDs may have another meaning by the time of an answer: it
// is not acted on. Phones that tried in vain try again by their own timers.
func (m *MME) Reset(ctx context.Context, g id.GlobalENBID) error {
	e := m.legs.enb(g)
	if e == nil {
		return ErrNoENB
	}
	began := false
	err := e.askReset(ctx, func() *s1ap.Reset {
		began = true
		e.mu.Lock()
		e.resets.all, e.resets.ghosts = true, nil
		e.mu.Unlock()
		e.drop("reset by the MME")
		return &s1ap.Reset{Cause: s1ap.CauseMiscOmIntervention.Cause(), ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoiceS1Interface}}
	})
	if errors.Is(err, errNoAck) {
		e.log.Warn("the eNB acknowledges no Reset, its association is shut down instead")
		e.quit(err)
		return nil
	}
	if began {
		e.resetOver() // also when it is given up
	}
	if err != nil {
		return fmt.Errorf("mme: reset of eNB %v: %w", g, err)
	}
	return nil
}

// errNoAck says that an eNB does not acknowledge a Reset.
var errNoAck = errors.New("the eNB acknowledges no Reset")

// resets is what the Reset procedure of one eNB shares; they take turns.
type resets struct {
	turn chan struct{} // holds one token while a Reset is under way
	acks chan struct{} // holds one token when an acknowledgement has come

	// Guarded by enb.mu: that all are being reset; S1 connections that the eNB
	// may still have, whether they are being reset, and that the eNB does not know
	// how.
	all      bool
	ghosts   s1ap.UEAssociatedLogicalS1ConnectionListRes
	clearing bool
	deaf     bool
}

func newResets() resets {
	return resets{turn: make(chan struct{}, 1), acks: make(chan struct{}, 1)}
}

// resetting says that every S1 connection of the eNB is being reset.
func (e *enb) resetting() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.resets.all
}

func (e *enb) resetOver() {
	e.mu.Lock()
	e.resets.all = false
	e.mu.Unlock()
}

// askReset sends a Reset until it is acknowledged; errNoAck after the last time
// (TS 36.413 §8.7.1.4). What is to be reset is asked when its turn has come; nil:
// nothing any more.
func (e *enb) askReset(ctx context.Context, what func() *s1ap.Reset) error {
	select {
	case e.resets.turn <- struct{}{}:
		defer func() { <-e.resets.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-e.resets.acks: // of one that was given up
	default:
	}
	r := what()
	if r == nil {
		return nil
	}
	guard := time.NewTimer(resetGuard.wait)
	defer guard.Stop()
	for range resetGuard.sends {
		if err := e.send(0, r); err != nil {
			return err
		}
		guard.Reset(resetGuard.wait)
		select {
		case <-e.resets.acks:
			e.m.count.procedure("reset by MME", "")
			return nil
		case <-guard.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-e.ctx.Done():
			return errors.New("the association has ended")
		}
	}
	e.m.count.procedure("reset by MME", "no answer")
	return errNoAck
}

// acknowledged takes Reset Acknowledge: what comes from now on is of the time
// after.
func (e *enb) acknowledged() {
	e.resetOver()
	select {
	case e.resets.acks <- struct{}{}:
	default:
		e.m.count.drop(dropUnexpectedPDU)
	}
}

// ghost notes an S1 connection that is closed here and whose release the eNB has
// not confirmed: it is reset there, with others, unless the eNB knows no Reset.
func (e *enb) ghost(l *leg) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.resets.deaf || len(e.resets.ghosts) >= maxReset {
		return
	}
	e.resets.ghosts = append(e.resets.ghosts, s1ap.UEAssociatedLogicalS1ConnectionItem{
		MMEUES1APID: new(s1ap.MMEUES1APID(l.mmeID)), ENBUES1APID: new(s1ap.ENBUES1APID(l.enbID))})
	if !e.resets.clearing {
		e.resets.clearing = e.m.spawn(e.clearGhosts)
	}
}

// clearGhosts resets what ghost has noted.
func (e *enb) clearGhosts() {
	for {
		e.mu.Lock()
		if len(e.resets.ghosts) == 0 {
			e.resets.clearing = false
			e.mu.Unlock()
			return
		}
		e.mu.Unlock()
		n := 0
		err := e.askReset(e.m.leaving, func() *s1ap.Reset {
			e.mu.Lock()
			list := e.resets.ghosts
			e.resets.ghosts = nil
			e.mu.Unlock()
			if n = len(list); n == 0 {
				return nil
			}
			return &s1ap.Reset{Cause: s1ap.CauseRadioNetworkUnspecified.Cause(),
				ResetType: s1ap.ResetType{Choice: s1ap.ResetTypeChoicePartOfS1Interface, PartOfS1Interface: list}}
		})
		if err != nil {
			e.mu.Lock()
			e.resets.deaf, e.resets.ghosts = e.resets.deaf || err == errNoAck, nil
			e.mu.Unlock()
		}
		if err == errNoAck {
			e.log.Warn("the eNB acknowledges no Reset, it is asked no more", "connections", n)
		}
	}
}

// open begins an S1 connection, unless all are being reset: over says so. A ghost
// with the same eNB UE S1AP ID is none any more: the eNB has given the id away.
func (e *enb) open(n id.ENBUEID) (l, former *leg, over bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.resets.all {
		return nil, nil, true
	}
	e.resets.ghosts = slices.DeleteFunc(e.resets.ghosts, func(g s1ap.UEAssociatedLogicalS1ConnectionItem) bool { return *g.ENBUES1APID == s1ap.ENBUES1APID(n) })
	l, former = e.m.legs.open(e, n)
	return l, former, false
}
