package mme

import (
	"slices"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// handle takes one S1AP message: it is acted on, answered with an error, or
// dropped and counted.
func (e *enb) handle(data []byte) {
	e.said = data
	pdu, err := s1ap.Parse(data)
	fault, goOn := s1ap.Continuable(err)
	if fault != nil && !goOn {
		e.m.count.drop(dropSyntax)
		e.warn("S1AP message not understood", "err", fault)
	}
	if fault != nil && fault.Report() && !e.answersItself(pdu.Message, goOn) {
		ind := &s1ap.ErrorIndication{Cause: new(fault.Cause()), CriticalityDiagnostics: fault.CriticalityDiagnostics()}
		ind.MMEUES1APID, ind.ENBUES1APID = told(pdu.Message, fault)
		e.errorIndication(ind)
	}
	switch {
	case !goOn:
		if m, ok := pdu.Message.(*s1ap.S1SetupRequest); ok {
			e.refuseBroken(m, fault)
		}
	case lacksID(fault, s1ap.IDMMEUES1APID) || lacksID(fault, s1ap.IDENBUES1APID): // to be ignored, but whose message is it?
		e.m.count.drop(dropSyntax)
	case e.up():
		e.route(pdu.Message, fault)
	default:
		e.before(pdu.Message, fault)
	}
}

// answersItself says that the fault goes into the procedure's own answer
// (TS 36.413 §10.3.4.2).
func (e *enb) answersItself(m s1ap.Message, goOn bool) bool {
	switch m.(type) {
	case *s1ap.S1SetupRequest:
		return true
	case *s1ap.Reset, *s1ap.ENBConfigurationUpdate:
		return goOn
	}
	return false
}

// before handles the time before S1 Setup. An eNB that says something of a phone
// believes that S1 is set up, as srsRAN's does after its MME was killed; only an
// SCTP SHUTDOWN makes it start anew.
func (e *enb) before(m s1ap.Message, fault *s1ap.SyntaxError) {
	if s, ok := m.(*s1ap.S1SetupRequest); ok {
		e.setup(s, fault)
		return
	}
	e.m.count.drop(dropBeforeSetup)
	_, enbID := s1ap.UEIDs(m)
	if _, said := m.(*s1ap.ErrorIndication); said || enbID != nil {
		e.log.Warn("eNB speaks of phones without S1 Setup", "message", m.Header().Name)
		e.quit(errNoSetup)
		return
	}
	e.errorIndication(&s1ap.ErrorIndication{Cause: new(s1ap.CauseProtocolMessageNotCompatibleWithReceiverState.Cause())})
}

// route finds who a message is for.
func (e *enb) route(m s1ap.Message, fault *s1ap.SyntaxError) {
	switch m := m.(type) {
	case *s1ap.S1SetupRequest:
		e.setup(m, fault)
	case *s1ap.Reset:
		e.reset(m, fault)
	case *s1ap.ResetAcknowledge:
		e.acknowledged()
	case *s1ap.ENBConfigurationUpdate:
		e.configure(m, fault)
	case *s1ap.MMEConfigurationUpdateAcknowledge, *s1ap.MMEConfigurationUpdateFailure:
		e.announced(m)
	case *s1ap.ENBConfigurationTransfer:
		e.transfer(m)
	case *s1ap.ErrorIndication:
		e.errorIndicated(m)
	case *s1ap.InitialUEMessage:
		e.initial(m)
	case *s1ap.HandoverRequestAcknowledge:
		e.prepared(m, m.MMEUES1APID, &m.ENBUES1APID)
	case *s1ap.HandoverFailure:
		e.prepared(m, m.MMEUES1APID, nil)
	case *s1ap.PathSwitchRequest:
		e.pathSwitch(m)
	default:
		mmeID, enbID := s1ap.UEIDs(m)
		if mmeID == nil || enbID == nil {
			e.unsupported(m)
			return
		}
		e.deliver(m, *mmeID, *enbID)
	}
}

// unsupported answers the beginning of a procedure that this MME does not have,
// as its criticality asks (TS 36.413 §10.3.4.1, §8.7.2.2); other messages are
// dropped.
func (e *enb) unsupported(m s1ap.Message) {
	h := m.Header()
	e.m.count.drop(dropUnexpectedPDU)
	e.log.Debug("S1AP message dropped", "message", h.Name, "reason", dropUnexpectedPDU.String())
	if h.Type != s1ap.InitiatingMessage || h.Criticality == s1ap.CriticalityIgnore {
		return
	}
	cause := s1ap.CauseProtocolAbstractSyntaxErrorReject
	if h.Criticality == s1ap.CriticalityNotify {
		cause = s1ap.CauseProtocolAbstractSyntaxErrorIgnoreAndNotify
	}
	mmeID, enbID := s1ap.UEIDs(m)
	e.errorIndication(&s1ap.ErrorIndication{MMEUES1APID: mmeID, ENBUES1APID: enbID, Cause: new(cause.Cause()), CriticalityDiagnostics: &s1ap.CriticalityDiagnostics{
		ProcedureCode: &h.ProcedureCode, TriggeringMessage: new(s1ap.TriggeringMessageInitiatingMessage), ProcedureCriticality: &h.Criticality,
	}})
}

// deliver hands a message to the goroutine of its phone after checking that
// its ids are a pair of this eNB's (TS 36.413 §10.6). What names another eNB's
// phone does not reach that phone.
func (e *enb) deliver(m s1ap.Message, mmeID s1ap.MMEUES1APID, enbID s1ap.ENBUES1APID) {
	l, fits := e.m.legs.find(e, id.MMEUEID(mmeID), id.ENBUEID(enbID))
	if fits == pairFits {
		e.tapUp(l)
		e.m.dropPut(l.deliver(m))
		return
	}
	if _, ok := m.(*s1ap.UEContextReleaseComplete); ok && fits == pairUnknown {
		e.m.count.drop(dropStaleLeg) // of a leg that was left without waiting
		return
	}
	if fits == pairUnknown && e.resetting() { // the eNB will know that there is no such connection any more
		e.m.count.drop(dropReset)
		return
	}
	reason, cause := dropUnknownUE, s1ap.CauseRadioNetworkUnknownMmeUeS1apId
	switch fits {
	case pairForeign:
		reason = dropForeignUE
	case pairDiffers:
		reason, cause = dropPairUE, s1ap.CauseRadioNetworkUnknownPairUeS1apId
	}
	e.m.count.drop(reason)
	e.warn("S1AP message refused", "message", m.Header().Name, "mme_ue", uint32(mmeID), "enb_ue", uint32(enbID), "reason", reason.String())
	e.errorIndication(&s1ap.ErrorIndication{MMEUES1APID: &mmeID, ENBUES1APID: &enbID, Cause: new(cause.Cause())})
	for _, l := range e.m.legs.named(e, new(id.MMEUEID(mmeID)), new(id.ENBUEID(enbID))) {
		e.m.legs.close(l)
		l.tell(legGone{"eNB names the S1 connection by ids that do not belong together"})
	}
}

// dropPut counts what a mailbox did not take.
func (m *MME) dropPut(r putResult) {
	switch r {
	case putFull:
		m.count.drop(dropInboxFull)
	case putClosed:
		m.count.drop(dropStaleLeg)
	}
}

// initial begins an S1 connection (TS 36.413 §8.6.2.1).
func (e *enb) initial(m *s1ap.InitialUEMessage) {
	tai, err := m.TAI.ID()
	if err != nil {
		e.m.count.drop(dropSyntax)
		e.errorIndication(&s1ap.ErrorIndication{ENBUES1APID: new(m.ENBUES1APID), Cause: new(s1ap.CauseProtocolSemanticError.Cause())})
		return
	}
	l, former, over := e.open(id.ENBUEID(m.ENBUES1APID))
	if over {
		e.m.count.drop(dropReset)
		return
	}
	if former != nil {
		former.tell(legGone{"eNB uses the eNB UE S1AP ID for another S1 connection"})
	}
	if l == nil {
		e.m.count.drop(dropTooManyUEs)
		e.warn("phone refused", "reason", dropTooManyUEs.String(), "limit", e.m.o.MaxUEs)
		e.errorIndication(&s1ap.ErrorIndication{ENBUES1APID: new(m.ENBUES1APID), Cause: new(s1ap.CauseMiscControlProcessingOverload.Cause())})
		return
	}
	cell, err := m.EUTRANCGI.ID()
	if err != nil {
		cell = id.ECGI{PLMN: tai.PLMN}
	}
	l.seen(tai, cell)
	e.tapUp(l)
	e.m.connect(l, inbound{leg: l, msg: m})
}

// told gives the UE ids that were in a faulty message: a zero in the place of one
// that was not is another phone's. What a transfer syntax error has cut off is not
// known.
func told(m s1ap.Message, fault *s1ap.SyntaxError) (mme *s1ap.MMEUES1APID, enb *s1ap.ENBUES1APID) {
	if fault.Transfer != nil {
		return nil, nil
	}
	mme, enb = s1ap.UEIDs(m)
	if lacksID(fault, s1ap.IDMMEUES1APID) || lacksID(fault, s1ap.IDSourceMMEUES1APID) {
		mme = nil
	}
	if lacksID(fault, s1ap.IDENBUES1APID) {
		enb = nil
	}
	return mme, enb
}

// lacksID says that a message was without that IE, which it must have.
func lacksID(fault *s1ap.SyntaxError, id s1ap.ProtocolIEID) bool {
	return fault != nil && slices.ContainsFunc(fault.IEs, func(d s1ap.IEDiagnostic) bool { return d.ID == id && d.Error == s1ap.Missing })
}
