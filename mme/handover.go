package mme

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/mme/s11"
)

// handover is an S1 handover between two eNBs of this MME (TS 23.401 §5.5.1.2.2,
// TS 36.413 §8.4.1 to §8.4.7). It runs inside whatever the phone's goroutine
// waited for: what the phone says, and what it is to be told, waits until it has
// ended, one way or the other.
type handover struct {
	c         *conn
	required  *s1ap.HandoverRequired
	source    *leg
	target    *leg
	ready     *s1ap.HandoverRequestAcknowledge
	ends      tunnelEnds
	commanded bool         // the phone may be on its way
	leaves    error        // the source has let it go: with this the connection ends if it does not arrive
	forwards  bool         // the source sends the target what reached it too late
	tunnels   *s11.Session // by the gateway, which was asked for this session
}

// handoverFailed ends a handover and leaves the phone where it was.
type handoverFailed struct {
	cause s1ap.Cause
	why   string
}

func (e *handoverFailed) Error() string { return e.why }
func (e *handoverFailed) told() string  { return "S1AP cause " + e.cause.String() }

// errCancelled says that the source eNB has cancelled a handover.
var errCancelled = errors.New("cancelled by the source eNB")

const handoverName = "S1 handover"

// handOver is Handover Required by the eNB that has the phone. An error is what
// ends the phone's connection, or what it was doing; a handover that fails is
// none.
func (c *conn) handOver(m *s1ap.HandoverRequired) error {
	outer := c.proc
	defer func() { c.proc = outer }()
	c.proc = begun(handoverName, inbound{leg: c.leg, msg: m})
	h := &handover{c: c, source: c.leg, required: m}
	if s := c.opening(); s != nil && s.done {
		c.ue.tunnels(s.response)
	}
	err := h.prepare()
	if err == nil {
		err = h.execute()
	}
	if err == nil {
		return h.complete()
	}
	return h.fail(err)
}

// prepare is handover preparation and resource allocation (TS 36.413 §8.4.1,
// §8.4.2).
func (h *handover) prepare() error {
	c := h.c
	target, err := h.choose()
	if err != nil {
		return err
	}
	if h.target = c.m.legs.invite(target); h.target == nil {
		return &handoverFailed{s1ap.CauseMiscControlProcessingOverload.Cause(), "target " + dropTooManyUEs.String()}
	}
	h.target.own(c)
	c.target = h.target
	if err := target.send(h.target.stream, h.request()); err != nil {
		return &handoverFailed{s1ap.CauseRadioNetworkHoFailureInTargetEPCENBOrTargetSystem.Cause(), "not sent to the target: " + err.Error()}
	}
	err = h.wait(handoverPrepareWait, func(in inbound) (verdict, error) {
		if in.leg != h.target {
			return notMine, nil
		}
		switch m := in.msg.(type) {
		case *s1ap.HandoverRequestAcknowledge:
			h.ready = m
			return finished, nil
		case *s1ap.HandoverFailure:
			return finished, &handoverFailed{m.Cause, "the target refuses: " + m.Cause.String()}
		}
		return notMine, nil
	})
	switch {
	case err == errTimer:
		return &handoverFailed{s1ap.CauseRadioNetworkTS1relocprepExpiry.Cause(), fmt.Sprintf("no answer of the target in %v", handoverPrepareWait)}
	case err != nil:
		return err
	}
	return h.admitted()
}

// choose finds the target eNB. One that is not here belongs to another MME, or
// to none: there is no handover between MMEs (TS 23.401 §5.5.1.2.3).
func (h *handover) choose() (*enb, error) {
	m, unknown := h.required, s1ap.CauseRadioNetworkUnknownTargetID.Cause()
	switch {
	case m.HandoverType != s1ap.HandoverTypeIntralte:
		return nil, &handoverFailed{s1ap.CauseRadioNetworkHoTargetNotAllowed.Cause(), fmt.Sprintf("handover type %v: there is no other radio here", m.HandoverType)}
	case !h.c.movable() || h.c.opening() != nil && !h.c.opening().done:
		return nil, &handoverFailed{s1ap.CauseRadioNetworkInteractionWithOtherProcedure.Cause(), "the phone has no bearers now"}
	case !h.c.access.more():
		return nil, &handoverFailed{s1ap.CauseRadioNetworkHoTargetNotAllowed.Cause(), "too many handovers failed: the phone needs a new key first"}
	case m.TargetID.TargeteNBID == nil:
		return nil, &handoverFailed{unknown, "the target is no eNB"}
	}
	g, err := m.TargetID.TargeteNBID.GlobalENBID.ID()
	if err != nil {
		return nil, &handoverFailed{unknown, "target: " + err.Error()}
	}
	e := h.c.m.legs.enb(g)
	if e == nil {
		return nil, &handoverFailed{unknown, "no eNB " + g.String() + " is here"}
	}
	tai, err := m.TargetID.TargeteNBID.SelectedTAI.ID()
	if err != nil || !h.c.m.serves(tai.PLMN) || !slices.Contains(e.show().TAIs, tai) {
		return nil, &handoverFailed{unknown, fmt.Sprintf("eNB %v has no tracking area %v of this network", g, tai)}
	}
	return e, nil
}

// request makes Handover Request.
func (h *handover) request() s1ap.Message {
	c := h.c
	m := &s1ap.HandoverRequest{
		MMEUES1APID: s1ap.MMEUES1APID(h.target.mmeID), HandoverType: h.required.HandoverType, Cause: h.required.Cause,
		UEAggregateMaximumBitrate:          c.ue.ambr(),
		SourceToTargetTransparentContainer: h.required.SourceToTargetTransparentContainer,
		UESecurityCapabilities:             securityCapabilities(c.ue), SecurityContext: c.nextHop(),
		GUMMEIID: new(s1ap.FromGUMMEI(c.gummei())),
	}
	for _, b := range c.ue.bearersOf() {
		if b.enb.TEID == 0 {
			continue // has no radio bearer now
		}
		item := s1ap.ERABToBeSetupItemHOReq{ERABID: s1ap.ERABID(b.ebi), ERABLevelQoSParameters: b.parameters(),
			TransportLayerAddress: s1ap.FromAddr(b.sgw.Addr), GTPTEID: s1ap.FromTEID(b.sgw.TEID)}
		if !h.direct() && c.m.forwarder() == nil {
			item.IEExtensions = &s1ap.ERABToBeSetupItemHOReqExtIEs{DataForwardingNotPossible: new(s1ap.DataForwardingNotPossibleDataForwardingNotPossible)}
		}
		m.ERABToBeSetupListHOReq = append(m.ERABToBeSetupListHOReq, item)
	}
	return m
}

// direct says that the source reaches the target by itself.
func (h *handover) direct() bool { return h.required.DirectForwardingPathAvailability != nil }

// admitted checks which bearers the target takes.
func (h *handover) admitted() error {
	h.ends = tunnelEnds{}
	for i := range h.ready.ERABAdmittedList {
		item := &h.ready.ERABAdmittedList[i]
		if _, b := h.c.ue.bearer(id.EBI(item.ERABID)); b == nil || b.enb == (s11.FTEID{}) || !h.ends.add(h.c.ue, item.ERABID, &item.TransportLayerAddress, item.GTPTEID) {
			return &handoverFailed{s1ap.CauseRadioNetworkHoFailureInTargetEPCENBOrTargetSystem.Cause(), fmt.Sprintf("the target admits E-RAB %d, which it was not asked for, or without usable tunnel end", item.ERABID)}
		}
	}
	if !h.ends.some(h.c.ue) { // TS 23.401 §5.5.1.2.3
		return &handoverFailed{s1ap.CauseRadioNetworkHoFailureInTargetEPCENBOrTargetSystem.Cause(), "the target admits no default bearer"}
	}
	return nil
}

// execute sends the phone to the target, and waits until it has arrived
// (TS 36.413 §8.4.1.2, §8.4.3, §8.4.6, §8.4.7).
func (h *handover) execute() error {
	if err := h.source.enb.send(h.source.stream, h.command()); err != nil {
		return &lost{"not sent to the eNB: " + err.Error()}
	}
	h.commanded = true
	err := h.wait(handoverArriveWait, func(in inbound) (verdict, error) {
		switch m := in.msg.(type) {
		case *s1ap.HandoverNotify:
			if in.leg == h.target {
				h.arrived(m)
				return finished, nil
			}
		case *s1ap.ENBStatusTransfer:
			if in.leg == h.source {
				_ = h.target.enb.send(h.target.stream, &s1ap.MMEStatusTransfer{MMEUES1APID: s1ap.MMEUES1APID(h.target.mmeID),
					ENBUES1APID: h.ready.ENBUES1APID, ENBStatusTransferTransparentContainer: m.ENBStatusTransferTransparentContainer})
				return taken, nil
			}
		}
		return notMine, nil
	})
	if err == errTimer {
		return &handoverFailed{s1ap.CauseRadioNetworkTS1relocoverallExpiry.Cause(), "the phone has not arrived at the target"}
	}
	return err
}

// command makes Handover Command.
func (h *handover) command() s1ap.Message {
	m := &s1ap.HandoverCommand{MMEUES1APID: s1ap.MMEUES1APID(h.source.mmeID), ENBUES1APID: s1ap.ENBUES1APID(h.source.enbID),
		HandoverType: h.required.HandoverType, TargetToSourceTransparentContainer: h.ready.TargetToSourceTransparentContainer}
	m.ERABSubjecttoDataForwardingList = h.forwarding()
	h.forwards = len(m.ERABSubjecttoDataForwardingList) > 0
	for _, b := range h.c.ue.bearersOf() {
		if _, ok := h.ends[b.ebi]; !ok && b.enb.TEID != 0 {
			m.ERABtoReleaseListHOCmd = append(m.ERABtoReleaseListHOCmd, s1ap.ERABItem{ERABID: s1ap.ERABID(b.ebi), Cause: h.refusal(b.ebi)})
		}
	}
	return m
}

// refusal is why the target does not take a bearer.
func (h *handover) refusal(ebi id.EBI) s1ap.Cause {
	for i := range h.ready.ERABFailedtoSetupListHOReqAck {
		if f := &h.ready.ERABFailedtoSetupListHOReqAck[i]; id.EBI(f.ERABID) == ebi {
			return f.Cause
		}
	}
	return s1ap.CauseRadioNetworkPartialHandover.Cause()
}

// arrived notes where the phone is now: from here on the target has it.
func (h *handover) arrived(m *s1ap.HandoverNotify) {
	c := h.c
	tai, err := m.TAI.ID()
	if err != nil {
		tai, _ = h.required.TargetID.TargeteNBID.SelectedTAI.ID() // which was checked
	}
	cell, err := m.EUTRANCGI.ID()
	if err != nil {
		cell = id.ECGI{PLMN: tai.PLMN}
	}
	h.target.seen(tai, cell)
	c.leg, c.target = h.target, nil
	c.access.arrived()
}

// complete moves the path to where the phone is (TS 23.401 §5.5.1.2.2 steps 15
// to 19), and lets the source go: after a while, if it forwards.
func (h *handover) complete() error {
	c := h.c
	err := c.takePath(h.ends)
	if err == nil {
		h.released()
		c.radioLeft()
	}
	hold := time.Duration(0)
	if h.forwards && h.leaves == nil && err == nil {
		hold = forwardWait
	}
	c.m.leaveLater(h.source, hold)
	h.endForwarding(hold)
	c.report(err)
	if err != nil {
		return err
	}
	return c.redeliver()
}
