package mme

import (
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
)

// reset is Reset by the eNB (TS 36.413 §8.7.1.2.2): the S1 connections it names
// are no more; the acknowledgement repeats its list, known or not.
func (e *enb) reset(m *s1ap.Reset, fault *s1ap.SyntaxError) {
	ack := &s1ap.ResetAcknowledge{CriticalityDiagnostics: diagnostics(fault)}
	why, n := "reset by the eNB, cause "+m.Cause.String(), 0
	switch m.ResetType.Choice {
	case s1ap.ResetTypeChoiceS1Interface:
		n = e.drop(why)
	case s1ap.ResetTypeChoicePartOfS1Interface:
		ack.UEAssociatedLogicalS1ConnectionListResAck = s1ap.UEAssociatedLogicalS1ConnectionListResAck(m.ResetType.PartOfS1Interface)
		for i := range m.ResetType.PartOfS1Interface {
			item := &m.ResetType.PartOfS1Interface[i]
			for _, l := range e.exactly(item.MMEUES1APID, item.ENBUES1APID) {
				e.m.legs.close(l)
				l.tell(legGone{why})
				n++
			}
		}
	default:
		e.errorIndication(&s1ap.ErrorIndication{Cause: new(s1ap.CauseProtocolAbstractSyntaxErrorReject.Cause())})
		return
	}
	_ = e.send(0, ack)
	e.m.count.procedure("reset", "")
	e.log.Info("reset by the eNB", "cause", m.Cause.String(), "connections", n)
}

// exactly gives the legs that an item names: both ids must fit where both are
// given (TS 36.413 §8.7.1.2.2).
func (e *enb) exactly(m *s1ap.MMEUES1APID, n *s1ap.ENBUES1APID) []*leg {
	if m != nil && n != nil {
		if l, fits := e.m.legs.find(e, id.MMEUEID(*m), id.ENBUEID(*n)); fits == pairFits {
			return []*leg{l}
		}
		return nil
	}
	return e.m.legs.named(e, (*id.MMEUEID)(m), (*id.ENBUEID)(n))
}

// errorIndicated is Error Indication by the eNB (TS 36.413 §8.7.2.2). If it
// says that an id is unknown there, the connection is gone (§10.6); otherwise
// the phone's procedure decides.
func (e *enb) errorIndicated(m *s1ap.ErrorIndication) {
	cause := "none"
	gone := false
	if m.Cause != nil {
		cause = m.Cause.String()
		switch *m.Cause {
		case s1ap.CauseRadioNetworkUnknownEnbUeS1apId.Cause(), s1ap.CauseRadioNetworkUnknownMmeUeS1apId.Cause(), s1ap.CauseRadioNetworkUnknownPairUeS1apId.Cause():
			gone = true
		}
	}
	e.m.count.procedure("error indication by eNB", cause)
	e.warn("error indication by the eNB", "cause", cause)
	for _, l := range e.exactly(m.MMEUES1APID, m.ENBUES1APID) {
		if gone {
			e.m.legs.close(l)
			l.tell(legGone{"error indication by the eNB, cause " + cause})
			continue
		}
		e.m.dropPut(l.deliver(m))
	}
}
