package sms

import "fmt"

// CPCause is a CP-Cause (TS 24.011 §8.1.4.2).
type CPCause uint8

// The causes of TS 24.011 §8.1.4.2, table 8.2.
const (
	CPCauseNetworkFailure              CPCause = 17
	CPCauseCongestion                  CPCause = 22
	CPCauseInvalidTI                   CPCause = 81
	CPCauseSemanticallyIncorrect       CPCause = 95
	CPCauseInvalidMandatoryInformation CPCause = 96
	CPCauseMessageTypeNonExistent      CPCause = 97
	CPCauseNotCompatibleWithState      CPCause = 98
	CPCauseElementNonExistent          CPCause = 99
	CPCauseProtocolError               CPCause = 111
)

// RPCause is an RP-Cause without its extension bit (TS 24.011 §8.2.5.4).
type RPCause uint8

// The causes of TS 24.011 §8.2.5.4, table 8.4. One that a phone does not know
// means #41 to it, one that a network does not know #111.
const (
	RPCauseUnassignedNumber            RPCause = 1
	RPCauseOperatorDeterminedBarring   RPCause = 8
	RPCauseCallBarred                  RPCause = 10
	RPCauseReserved                    RPCause = 11
	RPCauseTransferRejected            RPCause = 21
	RPCauseMemoryCapacityExceeded      RPCause = 22
	RPCauseDestinationOutOfOrder       RPCause = 27
	RPCauseUnidentifiedSubscriber      RPCause = 28
	RPCauseFacilityRejected            RPCause = 29
	RPCauseUnknownSubscriber           RPCause = 30
	RPCauseNetworkOutOfOrder           RPCause = 38
	RPCauseTemporaryFailure            RPCause = 41
	RPCauseCongestion                  RPCause = 42
	RPCauseResourcesUnavailable        RPCause = 47
	RPCauseFacilityNotSubscribed       RPCause = 50
	RPCauseFacilityNotImplemented      RPCause = 69
	RPCauseInvalidReference            RPCause = 81
	RPCauseSemanticallyIncorrect       RPCause = 95
	RPCauseInvalidMandatoryInformation RPCause = 96
	RPCauseMessageTypeNonExistent      RPCause = 97
	RPCauseNotCompatibleWithState      RPCause = 98
	RPCauseElementNonExistent          RPCause = 99
	RPCauseProtocolError               RPCause = 111
	RPCauseInterworking                RPCause = 127
)

var cpCauses = map[CPCause]string{
	17: "Network failure", 22: "Congestion", 81: "Invalid Transaction Identifier value", 95: "Semantically incorrect message",
	96: "Invalid mandatory information", 97: "Message type non-existent or not implemented",
	98: "Message not compatible with the short message protocol state", 99: "Information element non-existent or not implemented",
	111: "Protocol error, unspecified",
}

var rpCauses = map[RPCause]string{
	1: "Unassigned (unallocated) number", 8: "Operator determined barring", 10: "Call barred", 11: "Reserved",
	21: "Short message transfer rejected", 22: "Memory capacity exceeded", 27: "Destination out of order", 28: "Unidentified subscriber",
	29: "Facility rejected", 30: "Unknown subscriber", 38: "Network out of order", 41: "Temporary failure", 42: "Congestion",
	47: "Resources unavailable, unspecified", 50: "Requested facility not subscribed", 69: "Requested facility not implemented",
	81: "Invalid short message transfer reference value", 95: "Semantically incorrect message", 96: "Invalid mandatory information",
	97: "Message type non-existent or not implemented", 98: "Message not compatible with short message protocol state",
	99: "Information element non-existent or not implemented", 111: "Protocol error, unspecified", 127: "Interworking, unspecified",
}

// String is the specification's words and the number.
func (c CPCause) String() string { return cause(cpCauses[c], uint8(c)) }

// String is the specification's words and the number.
func (c RPCause) String() string { return cause(rpCauses[c], uint8(c)) }

func cause(words string, n uint8) string {
	if words == "" {
		words = "unknown"
	}
	return fmt.Sprintf("%s (#%d)", words, n)
}

// Temporary says that the same message may be taken later, so a service centre
// or phone may try again (TS 24.011 §E).
func (c RPCause) Temporary() bool {
	switch c {
	case RPCauseMemoryCapacityExceeded, RPCauseDestinationOutOfOrder, RPCauseNetworkOutOfOrder, RPCauseTemporaryFailure,
		RPCauseCongestion, RPCauseResourcesUnavailable:
		return true
	}
	return false
}
