package mme

import (
	"fmt"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/wire/proof"
)

// A Path Switch Request comes from an eNB that the MME knows nothing of beside
// this phone, and names it by the MME UE S1AP ID alone: TS 36.413 §8.4.4 gives
// nothing by which it could be told from a lie. What stands against one:
//
//   - the id is random among 2^32, and a tower whose eNB names ids nobody has, or that
//     is not believed, is heard no more for a while after maxMisses, by whatever
//     association;
//   - Options.PathSwitch says which towers are believed of which;
//   - the eNB that has the phone is told with its next message that the phone is
//     gone, and the phone comes back by a service request, which only its SIM's
//     keys make. Until then its downlink goes astray, and what a tower carried
//     so stands in a segment that names it;
//   - the {NH, NCC} that the liar was told protects nothing: it is never given
//     to another eNB, and what comes after it needs K_ASME (TS 33.401 §7.2.8.4).

// maxMisses is how many path switches to a tower are refused for what they name
// before all are, for missWhile from the first.
const (
	maxMisses = 16
	missWhile = time.Minute
)

// misses are those of all towers: to set up S1 anew is no way to more of them.
type misses struct {
	mu    sync.Mutex
	since time.Time // of what is in tower; before it nobody has missed
	tower map[proof.TowerKey]int
}

func (s *misses) many(t proof.TowerKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tower[t] >= maxMisses && time.Since(s.since) < missWhile
}

func (s *misses) add(t proof.TowerKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.since) >= missWhile {
		s.since, s.tower = time.Now(), map[proof.TowerKey]int{}
	}
	s.tower[t]++
}

// pathSwitch takes a Path Switch Request to the goroutine of the phone it names
// (TS 36.413 §8.4.4).
func (e *enb) pathSwitch(m *s1ap.PathSwitchRequest) {
	from, cause, why := e.switchable(m)
	if from == nil {
		e.m.misses.add(e.show().Tower)
		e.refuseSwitch(m, cause, why)
		return
	}
	tai, err := m.TAI.ID()
	if err != nil {
		e.refuseSwitch(m, s1ap.CauseProtocolSemanticError.Cause(), err.Error())
		return
	}
	cell, err := m.EUTRANCGI.ID()
	if err != nil {
		cell = id.ECGI{PLMN: tai.PLMN}
	}
	l, former := e.m.legs.arrive(e, from, id.ENBUEID(m.ENBUES1APID))
	if former != nil {
		former.tell(legGone{"eNB uses the eNB UE S1AP ID for another S1 connection"})
	}
	if l == nil {
		e.refuseSwitch(m, s1ap.CauseMiscControlProcessingOverload.Cause(), dropTooManyUEs.String())
		return
	}
	l.seen(tai, cell)
	if r := from.follow(l, m); r != putOK {
		e.m.dropPut(r)
		e.m.legs.close(l)
		e.refuseSwitch(m, s1ap.CauseRadioNetworkInteractionWithOtherProcedure.Cause(), "the phone's S1 connection is ending")
	}
}

// switchable gives the leg that a Path Switch Request names, if it may.
func (e *enb) switchable(m *s1ap.PathSwitchRequest) (from *leg, cause s1ap.Cause, why string) {
	unknown := s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause()
	if e.m.misses.many(e.show().Tower) {
		return nil, unknown, fmt.Sprintf("%d were refused in %v", maxMisses, missWhile)
	}
	if g := m.SourceMMEGUMMEI; g != nil {
		if v, err := g.ID(); err != nil || !e.m.own(v) {
			return nil, unknown, "the phone is another MME's"
		}
	}
	from = e.m.legs.byID(id.MMEUEID(m.SourceMMEUES1APID))
	if from == nil {
		return nil, unknown, dropUnknownUE.String()
	}
	if a, b := from.enb.show().Tower, e.show().Tower; from.enb != e && e.m.o.PathSwitch != nil && !e.m.o.PathSwitch(a, b) {
		return nil, s1ap.CauseRadioNetworkHoTargetNotAllowed.Cause(), fmt.Sprintf("from tower %s", a.Short())
	}
	return from, cause, ""
}

func (e *enb) refuseSwitch(m *s1ap.PathSwitchRequest, cause s1ap.Cause, why string) {
	e.m.count.drop(dropPathSwitch)
	e.m.count.procedure(pathSwitchName, "S1AP cause "+cause.String())
	e.warn("path switch refused", "mme_ue", uint32(m.SourceMMEUES1APID), "enb_ue", uint32(m.ENBUES1APID), "cause", cause.String(), "reason", why)
	_ = e.send(e.ueStream(id.MMEUEID(m.SourceMMEUES1APID)), &s1ap.PathSwitchRequestFailure{
		MMEUES1APID: m.SourceMMEUES1APID, ENBUES1APID: m.ENBUES1APID, Cause: cause})
}

const pathSwitchName = "path switch"

// follow gives what an eNB says of a phone that has come to it to the phone's
// owner, who owns the new leg too from now on.
func (l *leg) follow(to *leg, m *s1ap.PathSwitchRequest) putResult {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner == nil {
		return putClosed
	}
	to.own(l.owner)
	return l.owner.in.put(inbound{leg: to, msg: m}, false)
}

// byID finds a leg by its MME UE S1AP ID, whosoever's it is.
func (t *legTable) byID(m id.MMEUEID) *leg {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.byMME[m]
}

// arrive makes a leg for a phone that is said to have come to e: the new one has
// the same MME UE S1AP ID, by which from is found until moved. former and nil
// are as for open.
func (t *legTable) arrive(e *enb, from *leg, n id.ENBUEID) (l, former *leg) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if from.enb != e || from.enbID != n {
		former = t.vacate(e, n)
	}
	if t.byENB[e][n] != nil || t.full(e) {
		return nil, former
	}
	return t.make(e, from.mmeID, n), former
}

// moved puts to in the place of from; false if it is closed by now. from is closed,
// unless it is to be heard still.
func (t *legTable) moved(from, to *leg, heard bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byENB[to.enb][to.enbID] != to {
		return false
	}
	if !heard {
		t.remove(from)
	}
	t.byMME[to.mmeID] = to
	return true
}

// switchPath is the MME's part of an X2 handover (TS 36.413 §8.4.4, TS 23.401
// §5.5.1.1.2): the gateway learns the new eNB's tunnel ends, a segment begins at
// the new tower, and the eNB gets the next key of the chain. What is refused for
// what the eNB says leaves the phone as it was; a gateway that refuses has lost
// it, and the phone is detached.
func (c *conn) switchPath(l *leg, m *s1ap.PathSwitchRequest) error {
	outer := c.proc
	defer func() { c.proc = outer }()
	c.proc = begun(pathSwitchName, inbound{leg: l, msg: m})
	ends, cause, why := c.switched(m)
	if why != "" {
		l.enb.refuseSwitch(m, cause, why)
		c.m.legs.close(l)
		return nil
	}
	if !c.m.legs.moved(c.leg, l, !c.standing()) {
		return nil // its eNB is gone again
	}
	c.forgetFormer()
	if !c.standing() {
		c.former = c.leg
	}
	c.leg = l
	err := c.takePath(ends)
	if err == nil {
		c.radioLeft()
		err = c.toENB(c.switchAnswer(m))
	}
	c.report(err)
	if err != nil {
		_ = c.toENB(&s1ap.PathSwitchRequestFailure{MMEUES1APID: m.SourceMMEUES1APID, ENBUES1APID: m.ENBUES1APID,
			Cause: s1ap.CauseTransportTransportResourceUnavailable.Cause()})
		return err
	}
	return c.redeliver()
}

// refuseSwitch answers for a phone that is going.
func (c *conn) refuseSwitch(l *leg, m *s1ap.PathSwitchRequest) {
	l.enb.refuseSwitch(m, s1ap.CauseRadioNetworkInteractionWithOtherProcedure.Cause(), "the phone's S1 connection is ending")
	c.m.legs.close(l)
}

// switched checks a Path Switch Request against what the phone has; why says
// what is wrong.
func (c *conn) switched(m *s1ap.PathSwitchRequest) (ends tunnelEnds, cause s1ap.Cause, why string) {
	switch {
	case c.leg == nil || id.MMEUEID(m.SourceMMEUES1APID) != c.leg.mmeID: // it has waited
		return nil, s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause(), "the phone has left that S1 connection"
	case !c.movable():
		return nil, s1ap.CauseRadioNetworkInteractionWithOtherProcedure.Cause(), "the phone has no bearers now"
	}
	ends = tunnelEnds{}
	for i := range m.ERABToBeSwitchedDLList {
		item := &m.ERABToBeSwitchedDLList[i]
		if _, twice := ends[id.EBI(item.ERABID)]; twice { // TS 36.413 §8.4.4.4
			return nil, s1ap.CauseRadioNetworkMultipleERABIDInstances.Cause(), fmt.Sprintf("E-RAB %d is named twice", item.ERABID)
		}
		if !ends.add(c.ue, item.ERABID, &item.TransportLayerAddress, item.GTPTEID) {
			return nil, s1ap.CauseTransportUnspecified.Cause(), fmt.Sprintf("no usable tunnel end for E-RAB %d", item.ERABID)
		}
	}
	if !ends.some(c.ue) {
		return nil, s1ap.CauseRadioNetworkUnknownERABID.Cause(), "no tunnel end for a default bearer"
	}
	return ends, cause, ""
}

// switchAnswer makes Path Switch Request Acknowledge. The gateway's ends are
// always in it, though they have not changed: an eNB behind a relay knows those
// of another relay. Security capabilities that are not the phone's are put right
// (TS 33.401 §7.2.4.2.2).
func (c *conn) switchAnswer(m *s1ap.PathSwitchRequest) s1ap.Message {
	ack := &s1ap.PathSwitchRequestAcknowledge{MMEUES1APID: s1ap.MMEUES1APID(c.leg.mmeID), ENBUES1APID: s1ap.ENBUES1APID(c.leg.enbID), SecurityContext: c.nextHop()}
	c.access.switched()
	for i := range m.ERABToBeSwitchedDLList {
		erab := m.ERABToBeSwitchedDLList[i].ERABID
		if _, b := c.ue.bearer(id.EBI(erab)); b != nil {
			ack.ERABToBeSwitchedULList = append(ack.ERABToBeSwitchedULList,
				s1ap.ERABToBeSwitchedULItem{ERABID: erab, TransportLayerAddress: s1ap.FromAddr(b.sgw.Addr), GTPTEID: s1ap.FromTEID(b.sgw.TEID)})
		} else {
			ack.ERABToBeReleasedList = append(ack.ERABToBeReleasedList, s1ap.ERABItem{ERABID: erab, Cause: s1ap.CauseRadioNetworkUnknownERABID.Cause()})
		}
	}
	if has := securityCapabilities(c.ue); has.EncryptionAlgorithms != m.UESecurityCapabilities.EncryptionAlgorithms ||
		has.IntegrityProtectionAlgorithms != m.UESecurityCapabilities.IntegrityProtectionAlgorithms {
		ack.UESecurityCapabilities = &has
		c.m.count.procedure("security capabilities put right", "")
		c.m.log.Warn("eNB names security capabilities that are not the phone's", "imsi", c.ue.imsi, "enb", c.leg.enb.show().ID.String())
	}
	return ack
}
