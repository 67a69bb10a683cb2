package s1ap

import (
	"errors"
	"fmt"
	"strings"
)

// maxDiagnostics is maxnoofErrors of TS 36.413 §9.3.6.
const maxDiagnostics = 256

// IEError says what is wrong with an IE.
type IEError uint8

// What can be wrong with an IE (TS 36.413 §10.3).
const (
	NotUnderstood IEError = iota // its id, or a value or alternative in it, is not of this release, TS 36.413 §10.3.4.2
	Missing                      // it is mandatory and absent, TS 36.413 §10.3.5
	Repeated                     // it occurs too often, TS 36.413 §10.3.6
	OutOfOrder                   // it stands behind an IE that should follow it, TS 36.413 §10.3.6
)

// String returns a short description.
func (e IEError) String() string {
	switch e {
	case NotUnderstood:
		return "not understood"
	case Missing:
		return "missing"
	case Repeated:
		return "repeated"
	case OutOfOrder:
		return "out of order"
	}
	return unknownNumber("IEError", int(e))
}

// IEDiagnostic is one fault of a message. Criticality is the received one for
// an IE not understood and the specified one otherwise.
type IEDiagnostic struct {
	ID          ProtocolIEID
	Criticality Criticality
	Error       IEError
}

// String names the IE and the fault.
func (d IEDiagnostic) String() string {
	return fmt.Sprintf("%s %s (%s)", d.ID, d.Error, d.Criticality)
}

// weight orders faults by what they do to a procedure: nothing, what a lenient
// receiver may overlook, and its end.
func (d IEDiagnostic) weight() int {
	switch {
	case d.Error > Missing:
		return 1
	case d.Criticality == CriticalityReject:
		return 2
	}
	return 0
}

// SyntaxError is the protocol error of a received message (TS 36.413 §10.2 and
// TS 36.413 §10.3), with all that an answer to it needs.
type SyntaxError struct {
	// Known says that procedure and message type could be read.
	Known         bool
	Type          MessageType
	ProcedureCode ProcedureCode
	Criticality   Criticality // of the procedure, as received
	// NotComprehended says that this release has no such message (TS 36.413 §10.3.4.1).
	NotComprehended bool
	// IEs lists the faults of IEs, at most 256.
	IEs []IEDiagnostic
	// Transfer is the failure to decode the message, nil if it could be (TS 36.413 §10.2).
	Transfer error
}

// Error implements error.
func (e *SyntaxError) Error() string {
	var b strings.Builder
	b.WriteString("s1ap: ")
	if e.Known {
		fmt.Fprintf(&b, "%s %s: ", e.ProcedureCode, e.Type)
	}
	switch {
	case e.Transfer != nil:
		fmt.Fprintf(&b, "transfer syntax error: %v", e.Transfer)
	case e.NotComprehended:
		fmt.Fprintf(&b, "message not comprehended (%s)", e.Criticality)
	default:
		for i, d := range e.IEs {
			if i == 4 {
				fmt.Fprintf(&b, ", %d more", len(e.IEs)-i)
				break
			}
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(d.String())
		}
	}
	return b.String()
}

// Unwrap returns the transfer syntax error, often a *per.Error.
func (e *SyntaxError) Unwrap() error { return e.Transfer }

// falselyConstructed says that an IE is repeated or out of order.
func (e *SyntaxError) falselyConstructed() bool {
	for _, d := range e.IEs {
		if d.Error == Repeated || d.Error == OutOfOrder {
			return true
		}
	}
	return false
}

// has says that an IE of criticality c is missing or not understood.
func (e *SyntaxError) has(c Criticality) bool {
	for _, d := range e.IEs {
		if d.Criticality == c && d.Error <= Missing {
			return true
		}
	}
	return false
}

// Continue reports whether the procedure goes on with the message as read:
// nothing with criticality reject is at fault, the message is understood, and
// no IE is repeated or out of order.
func (e *SyntaxError) Continue() bool { return e.Complete() && !e.falselyConstructed() }

// Complete reports whether the message holds what it must and what has
// criticality reject was understood, so that a receiver more lenient than
// TS 36.413 §10.3.6 can act on it although IEs are repeated or out of order. Of a
// repeated IE the first is kept.
func (e *SyntaxError) Complete() bool {
	return e.Transfer == nil && !e.NotComprehended && !e.has(CriticalityReject)
}

// Report reports whether the peer is to be told: in the procedure's response
// or, if it has none or the message is a response itself, in an Error
// Indication. Not told are faults of criticality ignore, those that end a
// procedure by its response, and any of an Error Indication (TS 36.413 §10.5).
func (e *SyntaxError) Report() bool {
	switch {
	case e.Known && e.ProcedureCode == ProcedureErrorIndication:
		return false
	case e.Transfer != nil:
		return true
	case e.NotComprehended:
		return e.Criticality != CriticalityIgnore
	case e.Type != InitiatingMessage:
		return e.has(CriticalityNotify)
	}
	return e.falselyConstructed() || e.has(CriticalityReject) || e.has(CriticalityNotify)
}

// Cause is the protocol cause to report (TS 36.413 §9.2.1.3).
func (e *SyntaxError) Cause() Cause {
	switch {
	case e.Transfer != nil:
		return CauseProtocolTransferSyntaxError.Cause()
	case e.falselyConstructed():
		return CauseProtocolAbstractSyntaxErrorFalselyConstructedMessage.Cause()
	case e.NotComprehended && e.Criticality == CriticalityReject, e.has(CriticalityReject):
		return CauseProtocolAbstractSyntaxErrorReject.Cause()
	}
	return CauseProtocolAbstractSyntaxErrorIgnoreAndNotify.Cause()
}

// CriticalityDiagnostics builds the IE to report (TS 36.413 §9.2.1.21). It
// lists IEs of criticality reject and notify that are missing or not
// understood, as the IE has no other types of error.
func (e *SyntaxError) CriticalityDiagnostics() *CriticalityDiagnostics {
	d := &CriticalityDiagnostics{}
	if e.Known {
		d.ProcedureCode = new(e.ProcedureCode)
		d.TriggeringMessage = new(TriggeringMessage(e.Type))
		d.ProcedureCriticality = new(e.Criticality)
	}
	for _, ie := range e.IEs {
		if ie.Criticality == CriticalityIgnore || ie.Error > Missing {
			continue
		}
		d.IEsCriticalityDiagnostics = append(d.IEsCriticalityDiagnostics, CriticalityDiagnosticsIEItem{
			IECriticality: ie.Criticality, IEID: ie.ID, TypeOfError: TypeOfError(ie.Error),
		})
	}
	return d
}

// Continuable returns the message fault in err if the message is nevertheless
// to be acted on, and reports whether err is nil or such a fault.
func Continuable(err error) (*SyntaxError, bool) {
	if err == nil {
		return nil, true
	}
	var e *SyntaxError
	if !errors.As(err, &e) {
		return nil, false
	}
	return e, e.Continue()
}

// syntaxError makes the error of the message just read into p: head says that
// procedure and message type could be read, known that this release has them.
func (r *decoder) syntaxError(p *PDU, head, known bool) error {
	return &SyntaxError{Known: head, Type: p.Type, ProcedureCode: p.ProcedureCode, Criticality: p.Criticality,
		NotComprehended: !known && !r.Failed(), IEs: r.diags, Transfer: r.Err()}
}
