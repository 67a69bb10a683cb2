package mme

import (
	"errors"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// wait awaits what mine takes, from either eNB; the rest is dealt with by
// meanwhile.
func (h *handover) wait(d time.Duration, mine func(inbound) (verdict, error)) error {
	t := time.NewTimer(d)
	defer t.Stop()
	for {
		in, err := h.c.next(t.C, h.c.m.ctx)
		if err != nil {
			return err
		}
		v := notMine
		if _, other := in.msg.(newLeg); !other {
			v, err = mine(in)
		}
		if v == notMine && err == nil {
			err = h.meanwhile(in, t)
		}
		if v == finished || err != nil {
			return err
		}
	}
}

// meanwhile judges what comes during a handover and does not carry it on: a phone
// that comes by a third eNB ends it, either eNB may; most waits until it is over.
func (h *handover) meanwhile(in inbound, t *time.Timer) error {
	c := h.c
	switch m := in.msg.(type) {
	case newLeg:
		return &collision{in: in}
	case evicted:
		return errEvicted
	case dataWaiting:
		c.dataWaiting = true
	case legGone:
		return h.without(in.leg, &lost{m.why}, t)
	case *s1ap.UEContextReleaseComplete:
		c.m.legs.close(in.leg)
		return h.without(in.leg, &lost{"the eNB says that the UE context is released"}, t)
	case *s1ap.UEContextReleaseRequest:
		return h.without(in.leg, &released{m.Cause}, t)
	case *s1ap.ErrorIndication:
		if in.leg == h.target {
			return h.without(in.leg, errors.New("error indication"), t)
		}
	case *s1ap.HandoverCancel:
		if in.leg == h.source {
			return errCancelled
		}
		in.leg.enb.unsupported(m)
	case *s1ap.HandoverRequired: // one is enough
		in.leg.enb.unsupported(m)
	case *s1ap.PathSwitchRequest:
		// It may have moved on from the target, whose word that it was there this has overtaken.
		if !h.commanded || id.MMEUEID(m.SourceMMEUES1APID) != h.target.mmeID || !c.hold(in) {
			c.refuseSwitch(in.leg, m)
		}
	case *s1ap.NASNonDeliveryIndication:
		if err := c.undelivered(m); err != nil {
			return h.without(in.leg, err, t)
		}
	case *s1ap.UECapabilityInfoIndication:
		return c.interrupt(in)
	default:
		c.hold(in)
	}
	return nil
}

// hold keeps what comes for after the handover; false if there is no room.
func (c *conn) hold(in inbound) bool {
	if len(c.held) >= c.m.o.Inbox {
		c.m.count.drop(dropInboxFull)
		return false
	}
	c.held = append(c.held, in)
	return true
}

// without is what becomes of a handover when one of the eNBs gives the phone up.
// The source's word does not count for a while once the phone is on its way: it
// may cross that of the target.
func (h *handover) without(l *leg, err error, t *time.Timer) error {
	switch {
	case l == h.target:
		return &handoverFailed{s1ap.CauseRadioNetworkHoFailureInTargetEPCENBOrTargetSystem.Cause(), "the target gives up: " + err.Error()}
	case !h.commanded:
		return err
	case h.leaves == nil:
		t.Reset(arriveGrace)
	}
	h.leaves = err
	return nil
}

// fail ends a handover without the phone having moved: the target lets go what it
// has prepared, the source is told what it waits for, and the phone goes on
// there, if there is anything left there.
func (h *handover) fail(err error) error {
	c := h.c
	failed, _ := errors.AsType[*handoverFailed](err)
	cause := s1ap.CauseRadioNetworkHandoverCancelled.Cause()
	if failed != nil {
		cause = failed.cause
	}
	if h.target != nil {
		c.m.legs.uninvite(h.target, cause)
		c.target = nil
	}
	h.endForwarding(0)
	c.report(err)
	mme, enb := s1ap.MMEUES1APID(h.source.mmeID), s1ap.ENBUES1APID(h.source.enbID)
	switch {
	case errors.Is(err, errCancelled): // TS 36.413 §8.4.5.2
		err = c.toENB(&s1ap.HandoverCancelAcknowledge{MMEUES1APID: mme, ENBUES1APID: enb})
	case failed == nil:
		return err
	case !h.commanded: // TS 36.413 §8.4.1.3
		err = c.toENB(&s1ap.HandoverPreparationFailure{MMEUES1APID: mme, ENBUES1APID: enb, Cause: failed.cause})
	default:
		err = h.leaves
	}
	if err != nil {
		return err
	}
	return c.redeliver()
}

// prepared is the target's Handover Request Acknowledge or Handover Failure
// (TS 36.413 §8.4.2).
func (e *enb) prepared(m s1ap.Message, mme s1ap.MMEUES1APID, enb *s1ap.ENBUES1APID) {
	l, former := e.m.legs.answered(e, id.MMEUEID(mme), (*id.ENBUEID)(enb))
	if former != nil {
		former.tell(legGone{"eNB uses the eNB UE S1AP ID for another S1 connection"})
	}
	if l != nil {
		e.m.dropPut(l.deliver(m))
		return
	}
	e.m.count.drop(dropUnknownUE)
	e.errorIndication(&s1ap.ErrorIndication{MMEUES1APID: &mme, ENBUES1APID: enb, Cause: new(s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause())})
}

// invite makes the leg of a handover's target, which has no eNB UE S1AP ID yet;
// nil as for open.
func (t *legTable) invite(e *enb) *leg {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.full(e) {
		return nil
	}
	l := &leg{enb: e, mmeID: t.draw()}
	l.stream = e.ueStream(l.mmeID)
	t.byMME[l.mmeID], t.asked[l.mmeID] = l, l
	return l
}

// answered gives the leg that e was asked to prepare, with its eNB UE S1AP ID
// from now on, or closed if there is none. former is as for open.
func (t *legTable) answered(e *enb, m id.MMEUEID, n *id.ENBUEID) (l, former *leg) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l = t.asked[m]
	if l == nil || l.enb != e {
		return nil, nil
	}
	if n == nil {
		t.remove(l)
		return l, nil
	}
	former = t.vacate(e, *n)
	delete(t.asked, m)
	l.enbID = *n
	t.put(l)
	return l, former
}

// uninvite closes a target's leg, and commands the eNB to release what it has
// for it (TS 36.413 §8.3.3.2): by the MME's id alone if it has not told its own.
func (t *legTable) uninvite(l *leg, cause s1ap.Cause) {
	t.mu.Lock()
	here, asked := t.byMME[l.mmeID] == l, t.asked[l.mmeID] == l
	t.remove(l)
	t.mu.Unlock()
	switch {
	case !here:
	case asked:
		_ = l.enb.send(l.stream, &s1ap.UEContextReleaseCommand{Cause: cause,
			UES1APIDs: s1ap.UES1APIDs{Choice: s1ap.UES1APIDsChoiceMMEUES1APID, MMEUES1APID: s1ap.MMEUES1APID(l.mmeID)}})
	default:
		l.enb.command(l.mmeID, l.enbID, cause)
	}
}

// leaveLater releases the source of a handover that went well, if it has not gone
// already, after a while in which nothing that it says is heard.
func (m *MME) leaveLater(l *leg, hold time.Duration) {
	l.own(nil)
	leave := func() {
		if m.legs.byID(l.mmeID) == l {
			l.enb.command(l.mmeID, l.enbID, s1ap.CauseRadioNetworkSuccessfulHandover.Cause())
			m.legs.close(l)
		}
	}
	if hold == 0 || !m.spawn(func() {
		t := time.NewTimer(hold)
		defer t.Stop()
		select {
		case <-t.C:
		case <-m.leaving.Done():
		}
		leave()
	}) {
		leave()
	}
}
