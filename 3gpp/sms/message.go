package sms

import "fmt"

// Direction tells who sent a message: the same octets mean different messages
// in the two directions.
type Direction bool

// The two directions.
const (
	Uplink   Direction = false // from the phone: MS to network, MS to service centre
	Downlink Direction = true  // to the phone
)

func (d Direction) String() string {
	if d == Downlink {
		return "network to MS"
	}
	return "MS to network"
}

// A Message is a pointer to one of this package's structs, of any layer. Its
// String is a tree with the specification's names in which numbers and texts
// are masked.
type Message interface {
	MessageType() MessageType
	String() string
}

// A TPDU is a message of the transfer layer: *Deliver, *DeliverReport, *Submit,
// *SubmitReport, *StatusReport or *Command.
type TPDU interface {
	Message
	tpdu()
}

// MessageType names a message of any layer.
type MessageType uint8

// The messages of TS 24.011 §7.2 and §7.3 and TS 23.040 §9.2.2. Zero is none.
const (
	TypeCPData MessageType = 1 + iota
	TypeCPAck
	TypeCPError
	TypeRPData
	TypeRPAck
	TypeRPError
	TypeRPSMMA
	TypeDeliver
	TypeDeliverReport
	TypeSubmit
	TypeSubmitReport
	TypeStatusReport
	TypeCommand
)

var typeNames = [...]string{"short message", "CP-DATA", "CP-ACK", "CP-ERROR", "RP-DATA", "RP-ACK", "RP-ERROR", "RP-SMMA",
	"SMS-DELIVER", "SMS-DELIVER-REPORT", "SMS-SUBMIT", "SMS-SUBMIT-REPORT", "SMS-STATUS-REPORT", "SMS-COMMAND"}

// String is the specification's name.
func (t MessageType) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("message type %d", uint8(t))
}

// Opt is a field that need not be there: OK says that V is.
type Opt[T any] struct {
	V  T
	OK bool
}

// Some is a field that is there.
func Some[T any](v T) Opt[T] { return Opt[T]{v, true} }

// Extra is what a message had beyond the fields of its table. Append puts it
// back where it was. It is empty in messages made here.
type Extra struct {
	Spare  uint8  // bits of the first octet that differ from what the fields say: reserved ones, mostly
	Octets []byte // behind the last known field: unknown or broken optional elements
}
