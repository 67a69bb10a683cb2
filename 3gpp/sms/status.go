package sms

import "fmt"

// Status is TP-Status: what became of a message (TS 23.040 §9.2.3.15).
type Status uint8

// The statuses.
const (
	StatusReceived             Status = 0x00
	StatusForwarded            Status = 0x01 // delivery cannot be confirmed
	StatusReplaced             Status = 0x02
	StatusTryingCongestion     Status = 0x20
	StatusTryingBusy           Status = 0x21
	StatusTryingNoResponse     Status = 0x22
	StatusTryingRejected       Status = 0x23
	StatusTryingQuality        Status = 0x24
	StatusTryingErrorInSME     Status = 0x25
	StatusRemoteProcedureError Status = 0x40
	StatusIncompatible         Status = 0x41
	StatusConnectionRejected   Status = 0x42
	StatusNotObtainable        Status = 0x43
	StatusQualityNotAvailable  Status = 0x44
	StatusNoInterworking       Status = 0x45
	StatusExpired              Status = 0x46
	StatusDeletedByOriginator  Status = 0x47
	StatusDeletedByCentre      Status = 0x48
	StatusDoesNotExist         Status = 0x49
	StatusStoppedCongestion    Status = 0x60
	StatusStoppedBusy          Status = 0x61
	StatusStoppedNoResponse    Status = 0x62
	StatusStoppedRejected      Status = 0x63
	StatusStoppedQuality       Status = 0x64
	StatusStoppedErrorInSME    Status = 0x65
)

var statuses = map[Status]string{
	0x00: "Short message received by the SME", 0x01: "Short message forwarded by the SC to the SME but the SC is unable to confirm delivery",
	0x02: "Short message replaced by the SC",
	0x40: "Remote procedure error", 0x41: "Incompatible destination", 0x42: "Connection rejected by SME", 0x43: "Not obtainable",
	0x44: "Quality of service not available", 0x45: "No interworking available", 0x46: "SM Validity Period Expired",
	0x47: "SM Deleted by originating SME", 0x48: "SM Deleted by SC Administration", 0x49: "SM does not exist",
}

// temporary errors have the same words whether the service centre goes on
// trying (0x20) or not (0x60).
var temporary = [...]string{"Congestion", "SME busy", "No response from SME", "Service rejected", "Quality of service not available", "Error in SME"}

// Outcome is what a Status means for the message.
type Outcome uint8

// The groups of TS 23.040 §9.2.3.15.
const (
	Completed Outcome = iota // the transaction was completed
	Trying                   // a temporary error: the service centre tries again
	Failed                   // a permanent error: it does not
	Stopped                  // a temporary error: it does not
)

var outcomes = [...]string{"transaction completed", "temporary error, SC still trying", "permanent error, SC has stopped trying",
	"temporary error, SC has stopped trying"}

func (o Outcome) String() string { return outcomes[o&3] }

// Outcome gives the group. A reserved value counts as service rejected (TS
// 23.040 §9.2.3.15).
func (s Status) Outcome() Outcome {
	if s > 0x7f {
		return Stopped
	}
	return Outcome(s >> 5)
}

// String is the specification's words, the group and the octet.
func (s Status) String() string {
	words := statuses[s]
	switch {
	case words != "":
	case s > 0x7f:
		words = "Reserved"
	case s>>5&1 == 1 && int(s&31) < len(temporary):
		words = temporary[s&31]
	case s&0x10 != 0:
		words = "Specific to the SC"
	default:
		words = "Reserved"
	}
	return fmt.Sprintf("%s: %s (0x%02x)", s.Outcome(), words, uint8(s))
}

// CommandType is TP-Command-Type (TS 23.040 §9.2.3.19).
type CommandType uint8

// The commands; from 0xe0 on they are the service centre's own.
const (
	CommandEnquiry       CommandType = 0
	CommandCancelReport  CommandType = 1
	CommandDelete        CommandType = 2
	CommandEnableReport  CommandType = 3
	CommandSpecificFirst CommandType = 0xe0
)

var commands = [...]string{"Enquiry relating to previously submitted short message",
	"Cancel Status Report Request relating to previously submitted short message", "Delete previously submitted Short Message",
	"Enable Status Report Request relating to previously submitted short message"}

// String is the specification's words and the number.
func (c CommandType) String() string {
	s := "Reserved"
	if int(c) < len(commands) {
		s = commands[c]
	} else if c >= CommandSpecificFirst {
		s = "Specific to the SC"
	}
	return fmt.Sprintf("%s (%d)", s, uint8(c))
}

// FailureCause is TP-Failure-Cause (TS 23.040 §9.2.3.22).
type FailureCause uint8

// The causes.
const (
	FailureTelematic           FailureCause = 0x80
	FailureType0               FailureCause = 0x81
	FailureCannotReplace       FailureCause = 0x82
	FailurePID                 FailureCause = 0x8f
	FailureAlphabet            FailureCause = 0x90
	FailureClass               FailureCause = 0x91
	FailureDCS                 FailureCause = 0x9f
	FailureCannotBeActioned    FailureCause = 0xa0
	FailureCommandUnsupported  FailureCause = 0xa1
	FailureCommand             FailureCause = 0xaf
	FailureTPDU                FailureCause = 0xb0
	FailureBusy                FailureCause = 0xc0
	FailureNoSubscription      FailureCause = 0xc1
	FailureSystem              FailureCause = 0xc2
	FailureInvalidAddress      FailureCause = 0xc3
	FailureBarred              FailureCause = 0xc4
	FailureDuplicate           FailureCause = 0xc5
	FailureVPF                 FailureCause = 0xc6
	FailureVP                  FailureCause = 0xc7
	FailureStorageFull         FailureCause = 0xd0
	FailureNoStorage           FailureCause = 0xd1
	FailureErrorInMS           FailureCause = 0xd2
	FailureMemoryExceeded      FailureCause = 0xd3
	FailureToolkitBusy         FailureCause = 0xd4
	FailureDataDownload        FailureCause = 0xd5
	FailureApplicationSpecific FailureCause = 0xe0 // to 0xfe
	FailureUnspecified         FailureCause = 0xff
)

var failures = map[FailureCause]string{
	0x80: "telematic interworking not supported", 0x81: "short message Type 0 not supported", 0x82: "cannot replace short message",
	0x8f: "Unspecified TP-PID error", 0x90: "data coding scheme (alphabet) not supported", 0x91: "message class not supported",
	0x9f: "Unspecified TP-DCS error", 0xa0: "Command cannot be actioned", 0xa1: "Command unsupported", 0xaf: "Unspecified TP-Command error",
	0xb0: "TPDU not supported", 0xc0: "SC busy", 0xc1: "No SC subscription", 0xc2: "SC system failure", 0xc3: "Invalid SME address",
	0xc4: "Destination SME barred", 0xc5: "SM Rejected-Duplicate SM", 0xc6: "TP-VPF not supported", 0xc7: "TP-VP not supported",
	0xd0: "(U)SIM SMS storage full", 0xd1: "No SMS storage capability in (U)SIM", 0xd2: "Error in MS", 0xd3: "Memory Capacity Exceeded",
	0xd4: "(U)SIM Application Toolkit Busy", 0xd5: "(U)SIM data download error", 0xff: "Unspecified error cause",
}

// String is the specification's words and the octet.
func (c FailureCause) String() string {
	s := failures[c]
	if s == "" {
		s = "Reserved"
		if c >= FailureApplicationSpecific {
			s = "Value specific to an application"
		}
	}
	return fmt.Sprintf("%s (0x%02x)", s, uint8(c))
}
