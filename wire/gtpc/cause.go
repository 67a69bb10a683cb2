package gtpc

import (
	"errors"
	"fmt"

	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// Cause is a GTPv2 cause value (TS 29.274 §8.4, table 8.4-1).
type Cause uint8

// The causes this code sends or tells apart.
const (
	ReactivationRequested   Cause = 8 // in Delete Bearer Request
	CauseErrorIndication    Cause = 6 // Error Indication received from RNC/eNodeB/S4-SGSN/MME
	Accepted                Cause = 16
	AcceptedPartially       Cause = 17
	NewPDNTypePreference    Cause = 18
	NewPDNTypeSingleAddress Cause = 19
	ContextNotFound         Cause = 64
	InvalidMessageFormat    Cause = 65
	InvalidLength           Cause = 67
	MandatoryIEIncorrect    Cause = 69
	MandatoryIEMissing      Cause = 70
	ServiceNotSupported     Cause = 68
	SystemFailure           Cause = 72
	NoResources             Cause = 73
	TFTSemantic             Cause = 74 // Semantic error in the TFT operation
	TFTSyntax               Cause = 75 // Syntactic error in the TFT operation
	FilterSemantic          Cause = 76 // Semantic errors in packet filter(s)
	FilterSyntax            Cause = 77 // Syntactic errors in packet filter(s)
	UnknownAPN              Cause = 78
	PDNTypeNotSupported     Cause = 83
	UENotResponding         Cause = 87
	UERefuses               Cause = 88
	AllAddressesOccupied    Cause = 84
	ServiceDenied           Cause = 89
	UnableToPageUE          Cause = 90
	NoMemory                Cause = 91
	UserAuthFailed          Cause = 92
	APNAccessDenied         Cause = 93
	RequestRejected         Cause = 94
	ConditionalIEMissing    Cause = 103
	RemotePeerNotResponding Cause = 100
	TemporarilyRejected     Cause = 110 // a handover or update is in progress
	UEAlreadyReattached     Cause = 115
	MultiplePDNNotAllowed   Cause = 116 // Multiple PDN connections for a given APN not allowed
	NotReachablePSM         Cause = 123 // UE is temporarily not reachable due to power saving
)

// OK says that the request was carried out, wholly or in part.
func (c Cause) OK() bool { return c >= 16 && c < 64 }

func (c Cause) String() string {
	switch c {
	case CauseErrorIndication:
		return "Error Indication received"
	case ReactivationRequested:
		return "Reactivation Requested"
	case NewPDNTypeSingleAddress:
		return "New PDN type due to single address bearer only"
	case ServiceNotSupported:
		return "Service not supported"
	case TFTSemantic:
		return "Semantic error in the TFT operation"
	case TFTSyntax:
		return "Syntactic error in the TFT operation"
	case FilterSemantic:
		return "Semantic errors in packet filter(s)"
	case FilterSyntax:
		return "Syntactic errors in packet filter(s)"
	case UENotResponding:
		return "UE not responding"
	case UERefuses:
		return "UE refuses"
	case TemporarilyRejected:
		return "Temporarily rejected due to handover/TAU/RAU procedure in progress"
	case MultiplePDNNotAllowed:
		return "Multiple PDN connections for a given APN not allowed"
	case Accepted:
		return "Request accepted"
	case AcceptedPartially:
		return "Request accepted partially"
	case NewPDNTypePreference:
		return "New PDN type due to network preference"
	case ContextNotFound:
		return "Context Not Found"
	case InvalidMessageFormat:
		return "Invalid Message Format"
	case InvalidLength:
		return "Invalid length"
	case MandatoryIEIncorrect:
		return "Mandatory IE incorrect"
	case MandatoryIEMissing:
		return "Mandatory IE missing"
	case SystemFailure:
		return "System failure"
	case NoResources:
		return "No resources available"
	case UnknownAPN:
		return "Missing or unknown APN"
	case PDNTypeNotSupported:
		return "Preferred PDN type not supported"
	case AllAddressesOccupied:
		return "All dynamic addresses are occupied"
	case ServiceDenied:
		return "Service denied"
	case UnableToPageUE:
		return "Unable to page UE"
	case NoMemory:
		return "No memory available"
	case UserAuthFailed:
		return "User authentication failed"
	case APNAccessDenied:
		return "APN access denied - no subscription"
	case RequestRejected:
		return "Request rejected (reason not specified)"
	case ConditionalIEMissing:
		return "Conditional IE missing"
	case RemotePeerNotResponding:
		return "Remote peer not responding"
	case NotReachablePSM:
		return "UE is temporarily not reachable due to power saving"
	case UEAlreadyReattached:
		return "UE already re-attached"
	}
	return fmt.Sprintf("cause %d", uint8(c))
}

// CauseError is a refusal: a cause, and the element it is about where the
// cause names one (TS 29.274 §8.4).
type CauseError struct {
	Cause     Cause
	Offending uint8  // type of the offending element, 0 when none
	Detail    string // for the log; not sent
}

func (e *CauseError) Error() string {
	s := fmt.Sprintf("%v (#%d)", e.Cause, uint8(e.Cause))
	if e.Offending != 0 {
		s += fmt.Sprintf(", element type %d", e.Offending)
	}
	if e.Detail != "" {
		s += ": " + e.Detail
	}
	return s
}

// Refuse makes a CauseError.
func Refuse(c Cause, offending uint8, format string, args ...any) error {
	return &CauseError{c, offending, fmt.Sprintf(format, args...)}
}

// CauseIE is the Cause element for err: Accepted for nil, the refusal's own
// cause, and System failure for any other error.
func CauseIE(err error) *ie.IE {
	if err == nil {
		return ie.NewCause(uint8(Accepted), 0, 0, 0, nil)
	}
	if ce, ok := errors.AsType[*CauseError](err); ok {
		var off *ie.IE
		if ce.Offending != 0 {
			off = &ie.IE{Type: ce.Offending}
		}
		return ie.NewCause(uint8(ce.Cause), 0, 0, 0, off)
	}
	return ie.NewCause(uint8(SystemFailure), 0, 0, 0, nil)
}

// Check reads the Cause element of a response: nil when the request was
// accepted, otherwise a *CauseError.
func (m *Message) Check() error { return CheckCause(m.IEs, m.Type.String()) }

// CheckCause is Check for the elements of a grouped element; what names it.
func CheckCause(ies []*ie.IE, what string) error {
	e := Find(ies, ie.Cause, 0)
	if e == nil || len(e.Payload) < 2 {
		return Refuse(MandatoryIEMissing, ie.Cause, "%s has no Cause", what)
	}
	c := Cause(e.Payload[0])
	if c.OK() {
		return nil
	}
	ce := &CauseError{Cause: c, Detail: what}
	if len(e.Payload) >= 6 {
		ce.Offending = e.Payload[2]
	}
	return ce
}
