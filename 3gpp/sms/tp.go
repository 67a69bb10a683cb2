package sms

import "fmt"

// Deliver brings a short message to a phone (TS 23.040 §9.2.2.1).
type Deliver struct {
	MoreMessages   bool // TP-MMS, whose bit is 0 then
	LoopPrevention bool
	StatusReport   bool // TP-SRI: the sender gets a report
	ReplyPath      bool
	Originator     Address
	PID            PID
	DCS            DCS
	Timestamp      Timestamp // when the service centre received it
	User           UserData
	Extra
}

// DeliverReport answers a Deliver or StatusReport (TS 23.040 §9.2.2.1a), in
// RP-User Data of an RP-ACK or, with Failure, of an RP-ERROR.
type DeliverReport struct {
	Failure Opt[FailureCause]
	Optional
	Extra
}

// Submit brings a short message to a service centre (TS 23.040 §9.2.2.2).
type Submit struct {
	RejectDuplicates bool
	StatusReport     bool // TP-SRR: a report is wanted
	ReplyPath        bool
	Reference        uint8 // TP-Message-Reference, repeated in the report
	Destination      Address
	PID              PID
	DCS              DCS
	Validity         Validity
	User             UserData
	Extra
}

// SubmitReport answers a Submit or Command (TS 23.040 §9.2.2.2a), in RP-User
// Data of an RP-ACK or, with Failure, of an RP-ERROR.
type SubmitReport struct {
	Failure   Opt[FailureCause]
	Timestamp Timestamp // when the service centre received it
	Optional
	Extra
}

// StatusReport tells the sender of a Submit or Command what became of it (TS
// 23.040 §9.2.2.3).
type StatusReport struct {
	MoreMessages   bool // TP-MMS, whose bit is 0 then
	LoopPrevention bool
	ForCommand     bool  // TP-SRQ: of a Command, else of a Submit
	Reference      uint8 // of the Submit or Command
	Recipient      Address
	Timestamp      Timestamp // when the service centre received the message
	Discharge      Timestamp // of the outcome that Status tells
	Status         Status
	Optional
	Extra
}

// Command asks a service centre to do something about a message submitted
// before (TS 23.040 §9.2.2.4).
type Command struct {
	StatusReport bool // TP-SRR: a report is wanted
	Reference    uint8
	PID          PID
	Type         CommandType
	Number       uint8 // TP-Message-Number: the reference of the message
	Destination  Address
	Data         UserData // TP-Command-Data; Length counts octets
	Extra
}

// Optional are the fields of which TP-Parameter-Indicator says whether they
// are there (TS 23.040 §9.2.3.27).
type Optional struct {
	PID  Opt[PID]
	DCS  Opt[DCS] // without it the user data is 7 bit
	User Opt[UserData]
	PI   []byte // the indicator where it says more than which fields follow; nil otherwise
}

// dcs is 7 bit where there is none (TS 23.040 §9.2.3.27).
func (o *Optional) dcs() DCS {
	if o.DCS.OK {
		return o.DCS.V
	}
	return DCS7Bit
}

// Part gives the user data and its coding; false: there is none.
func (o *Optional) Part() (Part, bool) { return Part{o.dcs(), o.User.V}, o.User.OK }

// Limits of user data in octets, that make a TPDU no longer than 164 (TS
// 23.040 §9.2.2).
const (
	maxDeliverReport = 159
	maxSubmitReport  = 152
	maxStatusReport  = 131
	maxCommandData   = 156
)

// Parse reads a TPDU that was sent in direction dir. It keeps no part of b.
// Every error is an *Error. A report is one of failure if its second octet has
// bit 8, as all failure causes have; ParseReport is for who knows.
func Parse(dir Direction, b []byte) (TPDU, error) {
	return parse(dir, b, len(b) > 1 && b[1]&0x80 != 0)
}

// ParseReport is Parse for the report of an RP-ACK, or with failed of an
// RP-ERROR.
func ParseReport(dir Direction, b []byte, failed bool) (TPDU, error) { return parse(dir, b, failed) }

func parse(dir Direction, b []byte, failed bool) (TPDU, error) {
	fault := Error{Direction: dir, RP: RPCauseProtocolError, FCS: FailureUnspecified}
	if len(b) == 0 {
		return nil, fault.at("", 0, "empty TPDU")
	}
	var m TPDU
	switch mti := b[0] & 3; {
	case dir == Uplink && mti == 0:
		m = &DeliverReport{Failure: Opt[FailureCause]{OK: failed}}
	case dir == Uplink && mti == 1:
		m = new(Submit)
	case dir == Uplink && mti == 2:
		m = new(Command)
	case dir == Uplink:
		fault.FCS = FailureTPDU
		return nil, fault.at("", 0, "no TPDU from a phone has TP-MTI 3")
	case mti == 1:
		m = &SubmitReport{Failure: Opt[FailureCause]{OK: failed}}
	case mti == 2:
		m = new(StatusReport)
	default: // 3 is reserved and counts as 0, TS 23.040 §9.2.3.1
		m = new(Deliver)
	}
	if err := read(m, fault, b); err != nil {
		if dir == Uplink {
			err.FCS = failureOf(err.Element)
		}
		return nil, err
	}
	return m, nil
}

// failureOf is the cause with which a service centre refuses a TPDU whose
// element is broken.
func failureOf(element string) FailureCause {
	switch element {
	case "TP-Destination-Address":
		return FailureInvalidAddress
	case "TP-Validity-Period":
		return FailureVP
	case "TP-Protocol-Identifier":
		return FailurePID
	case "TP-Data-Coding-Scheme":
		return FailureDCS
	}
	return FailureUnspecified
}

func (m *Deliver) walk(w *walker) {
	w.first(mti, 0)
	w.more(&m.MoreMessages)
	w.flag("TP-Loop-Prevention", 3, &m.LoopPrevention)
	w.flag("TP-Status-Report-Indication", 5, &m.StatusReport)
	w.flag("TP-Reply-Path", 7, &m.ReplyPath)
	w.address("TP-Originating-Address", &m.Originator)
	octet(w, "TP-Protocol-Identifier", &m.PID)
	octet(w, "TP-Data-Coding-Scheme", &m.DCS)
	w.timestamp("TP-Service-Centre-Time-Stamp", &m.Timestamp)
	w.userData(tpUser, m.DCS, &m.User, MaxUser)
	w.end(&m.Extra)
}

func (m *DeliverReport) walk(w *walker) {
	w.first(mti, 0)
	w.failure(&m.Failure)
	w.indicator(&m.Optional, true)
	w.optional(&m.Optional, maxDeliverReport)
	w.end(&m.Extra)
}

func (m *Submit) walk(w *walker) {
	w.first(mti, 1)
	w.flag("TP-Reject-Duplicates", 2, &m.RejectDuplicates)
	w.validityFormat(&m.Validity)
	w.flag("TP-Status-Report-Request", 5, &m.StatusReport)
	w.flag("TP-Reply-Path", 7, &m.ReplyPath)
	octet(w, "TP-Message-Reference", &m.Reference)
	w.address("TP-Destination-Address", &m.Destination)
	octet(w, "TP-Protocol-Identifier", &m.PID)
	octet(w, "TP-Data-Coding-Scheme", &m.DCS)
	w.validity(&m.Validity)
	w.userData(tpUser, m.DCS, &m.User, MaxUser)
	w.end(&m.Extra)
}

func (m *SubmitReport) walk(w *walker) {
	w.first(mti, 1)
	w.failure(&m.Failure)
	w.indicator(&m.Optional, true)
	w.timestamp("TP-Service-Centre-Time-Stamp", &m.Timestamp)
	w.optional(&m.Optional, maxSubmitReport)
	w.end(&m.Extra)
}

func (m *StatusReport) walk(w *walker) {
	w.first(mti, 2)
	w.more(&m.MoreMessages)
	w.flag("TP-Loop-Prevention", 3, &m.LoopPrevention)
	w.flag("TP-Status-Report-Qualifier", 5, &m.ForCommand)
	octet(w, "TP-Message-Reference", &m.Reference)
	w.address("TP-Recipient-Address", &m.Recipient)
	w.timestamp("TP-Service-Centre-Time-Stamp", &m.Timestamp)
	w.timestamp("TP-Discharge-Time", &m.Discharge)
	octet(w, "TP-Status", &m.Status)
	w.indicator(&m.Optional, false)
	w.optional(&m.Optional, maxStatusReport)
	w.end(&m.Extra)
}

func (m *Command) walk(w *walker) {
	w.first(mti, 2)
	w.flag("TP-Status-Report-Request", 5, &m.StatusReport)
	octet(w, "TP-Message-Reference", &m.Reference)
	octet(w, "TP-Protocol-Identifier", &m.PID)
	octet(w, "TP-Command-Type", &m.Type)
	octet(w, "TP-Message-Number", &m.Number)
	w.address("TP-Destination-Address", &m.Destination)
	w.userData("TP-Command-Data", DCS8Bit, &m.Data, maxCommandData)
	w.end(&m.Extra)
}

const (
	mti    = "TP-Message-Type-Indicator"
	tpUser = "TP-User-Data"
)

// more is TP-More-Messages-to-Send, the one flag that says yes with 0.
func (w *walker) more(p *bool) {
	if w.mode == showing {
		w.leaf("TP-More-Messages-to-Send", *p)
		return
	}
	none := !*p
	w.flag("", 2, &none)
	*p = !none
}

// failure is TP-Failure-Cause; the caller of the parser knows whether it is
// there.
func (w *walker) failure(f *Opt[FailureCause]) {
	if f.OK {
		octet(w, "TP-Failure-Cause", &f.V)
	}
}

// Bits of TP-Parameter-Indicator.
const (
	piPID  = 1
	piDCS  = 2
	piUser = 4
	piMore = 0x80 // another octet follows
)

// indicator is TP-Parameter-Indicator. Where it is not mandatory it is left out
// if it announces nothing.
func (w *walker) indicator(o *Optional, mandatory bool) {
	const name = "TP-Parameter-Indicator"
	var bits byte
	for i, there := range [...]bool{o.PID.OK, o.DCS.OK, o.User.OK} {
		if there {
			bits |= 1 << i
		}
	}
	switch w.mode {
	case reading:
		if mandatory || w.pos < len(w.b) {
			w.readIndicator(name, o, mandatory)
		}
	case writing:
		if len(o.PI) == 0 && (bits != 0 || mandatory) {
			w.b = append(w.b, bits)
		}
		for i, v := range o.PI {
			if v&piMore != 0 != (i < len(o.PI)-1) {
				w.fail(name, len(w.b)-w.start, "octet %d of %d: bit 8 tells whether there are more", i+1, len(o.PI))
			}
			if i == 0 {
				v = v&^7 | bits
			}
			w.b = append(w.b, v)
		}
	case showing:
		w.leaf(name, fmt.Sprintf("0x%02x", bits))
	}
}

func (w *walker) readIndicator(name string, o *Optional, mandatory bool) {
	at := w.pos
	for more := true; more; {
		v := w.take(name, 1)
		if v == nil {
			return
		}
		more = v[0]&piMore != 0
	}
	pi := w.b[at:w.pos]
	o.PID.OK, o.DCS.OK, o.User.OK = pi[0]&piPID != 0, pi[0]&piDCS != 0, pi[0]&piUser != 0
	if len(pi) > 1 || pi[0] > 7 || pi[0] == 0 && !mandatory {
		o.PI = clone(pi)
	}
}

func (w *walker) optional(o *Optional, limit int) {
	if o.PID.OK {
		octet(w, "TP-Protocol-Identifier", &o.PID.V)
	}
	if o.DCS.OK {
		octet(w, "TP-Data-Coding-Scheme", &o.DCS.V)
	}
	if o.User.OK {
		w.userData(tpUser, o.dcs(), &o.User.V, limit)
	}
}

func (*Deliver) tpdu()       {}
func (*DeliverReport) tpdu() {}
func (*Submit) tpdu()        {}
func (*SubmitReport) tpdu()  {}
func (*StatusReport) tpdu()  {}
func (*Command) tpdu()       {}

// MessageType is TypeDeliver.
func (*Deliver) MessageType() MessageType { return TypeDeliver }

// MessageType is TypeDeliverReport.
func (*DeliverReport) MessageType() MessageType { return TypeDeliverReport }

// MessageType is TypeSubmit.
func (*Submit) MessageType() MessageType { return TypeSubmit }

// MessageType is TypeSubmitReport.
func (*SubmitReport) MessageType() MessageType { return TypeSubmitReport }

// MessageType is TypeStatusReport.
func (*StatusReport) MessageType() MessageType { return TypeStatusReport }

// MessageType is TypeCommand.
func (*Command) MessageType() MessageType { return TypeCommand }

func (m *Deliver) String() string       { return text(m) }
func (m *DeliverReport) String() string { return text(m) }
func (m *Submit) String() string        { return text(m) }
func (m *SubmitReport) String() string  { return text(m) }
func (m *StatusReport) String() string  { return text(m) }
func (m *Command) String() string       { return text(m) }
