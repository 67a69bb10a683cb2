package sms

import "fmt"

// Error is why a message was not understood, or cannot be written: what is
// wrong, where, and the causes to answer with.
type Error struct {
	Message   MessageType // zero if not even that is known
	Direction Direction   // of an RP message or TPDU
	TI        TI          // of a CP message
	Reference uint8       // of an RP message
	Element   string      // the specification's name of the field; empty: the header
	Offset    int         // octets before the field
	Problem   string

	// CP answers a broken CP message (TS 24.011 §9.2), RP a broken RP message
	// or TPDU (TS 24.011 §9.3). Both zero: the message is to be ignored.
	CP CPCause
	RP RPCause
	// FCS is the TP-Failure-Cause of the report that goes with RP to the sender
	// of a broken TPDU (TS 23.040 §9.2.3.22).
	FCS FailureCause
}

// at is e with what is wrong and where.
func (e Error) at(element string, offset int, format string, args ...any) *Error {
	e.Element, e.Offset, e.Problem = element, offset, fmt.Sprintf(format, args...)
	return &e
}

func (e *Error) Error() string {
	s := e.Message.String()
	if e.Element != "" {
		s += ": " + e.Element
	}
	s += fmt.Sprintf(" at octet %d: %s", e.Offset+1, e.Problem)
	switch {
	case e.CP != 0:
		return s + ", cause " + e.CP.String()
	case e.RP != 0:
		return s + ", cause " + e.RP.String()
	case e.Message == 0:
		return s + ", ignored"
	}
	return s
}

// Answer is the CP-ERROR or RP-ERROR that answers the error, or nil: a message
// too short to be answered, an acknowledgement or error, which is not answered
// with another one, and a TPDU, which is answered by an RP-ERROR of cause RP
// around a DeliverReport or SubmitReport with FCS.
func (e *Error) Answer() Message {
	switch e.Message {
	case TypeCPAck, TypeCPError, TypeRPAck, TypeRPError:
		return nil
	}
	switch {
	case e.CP != 0:
		return &CPError{TI: e.TI.Reply(), Cause: e.CP}
	case e.RP != 0 && e.FCS == 0:
		return &RPError{Direction: !e.Direction, Reference: e.Reference, Cause: e.RP}
	}
	return nil
}
