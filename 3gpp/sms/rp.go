package sms

// An RP is a message of the relay layer: *RPData, *RPAck, *RPError or *RPSMMA.
// In a SIP MESSAGE of type application/vnd.3gpp.sms it is the whole body
// (TS 24.341 §5.3.1.2).
type RP interface {
	Message
	rp()
}

// RPData carries a TPDU (TS 24.011 §7.3.1). The address of the service centre
// is Originator downlink and Destination uplink; the other one is empty.
type RPData struct {
	Direction   Direction
	Reference   uint8 // RP-Message Reference, repeated in the answer
	Originator  Address
	Destination Address
	User        []byte // RP-User Data: a TPDU, up to 232 octets; see TPDU
	Extra
}

// RPAck acknowledges an RP-DATA or RP-SMMA (TS 24.011 §7.3.3).
type RPAck struct {
	Direction Direction
	Reference uint8
	User      []byte // RP-User Data: a report, up to 232 octets; nil if absent; see TPDU
	Extra
}

// RPError tells that a short message was not taken (TS 24.011 §7.3.4).
type RPError struct {
	Direction  Direction
	Reference  uint8
	Cause      RPCause
	Extension  bool   // bit 8 of the cause, 0 in this release
	Diagnostic []byte // behind the cause: an octet at most in this release
	User       []byte // RP-User Data: a report, up to 232 octets; nil if absent; see TPDU
	Extra
}

// RPSMMA tells the network that the phone has memory again (TS 24.011 §7.3.2).
type RPSMMA struct {
	Reference uint8
	Extra
}

// Limits of TS 24.011 §7.3, whose tables count the length octet and identifier
// too, and the identifier of RP-User Data (TS 24.011 §8.2.5.3).
const (
	maxRPUser  = 232
	maxRPCause = 255
	ieiRPUser  = 0x41
)

// RPDirection tells from the type of an RPDU who sent it; false says that it
// has no valid type.
func RPDirection(b []byte) (Direction, bool) {
	if len(b) == 0 || b[0]&7 == 7 {
		return Uplink, false
	}
	return Direction(b[0]&1 == 1), true
}

// ParseRP reads an RPDU that was sent in direction dir. It keeps no part of b.
// Every error is an *Error. What follows the mandatory fields and is no RP-User
// Data, or a broken one, does not fail the message (TS 24.011 §9.3).
func ParseRP(dir Direction, b []byte) (RP, error) {
	if len(b) < 2 {
		return nil, Error{Direction: dir}.at("", 0, "too short for an RP message")
	}
	fault := Error{Direction: dir, Reference: b[1], RP: RPCauseInvalidMandatoryInformation}
	var m RP
	switch sent := Direction(b[0]&1 == 1); {
	case b[0]&7 == 7, sent != dir:
		fault.RP = RPCauseMessageTypeNonExistent
		return nil, fault.at("", 0, "no RP message %v has type %d", dir, b[0]&7)
	case b[0]&6 == 0:
		m = &RPData{Direction: dir}
	case b[0]&6 == 2:
		m = &RPAck{Direction: dir}
	case b[0]&6 == 4:
		m = &RPError{Direction: dir}
	default:
		m = new(RPSMMA)
	}
	if err := read(m, fault, b); err != nil {
		return nil, err
	}
	return m, nil
}

// TPDU reads the TPDU that m carries.
func (m *RPData) TPDU() (TPDU, error) { return Parse(m.Direction, m.User) }

// TPDU reads the report that m carries; nil without an error: there is none.
func (m *RPAck) TPDU() (TPDU, error) { return report(m.Direction, m.User, false) }

// TPDU reads the report that m carries; nil without an error: there is none.
func (m *RPError) TPDU() (TPDU, error) { return report(m.Direction, m.User, true) }

func report(dir Direction, b []byte, failed bool) (TPDU, error) {
	if b == nil {
		return nil, nil
	}
	return ParseReport(dir, b, failed)
}

func (m *RPData) walk(w *walker) {
	w.rpHeader(0, m.Direction, &m.Reference)
	w.centre("RP-Originator Address", &m.Originator)
	w.centre("RP-Destination Address", &m.Destination)
	w.counted("RP-User Data", &m.User, maxRPUser)
	carried(w, "RP-User Data", m.User, m.TPDU)
	w.end(&m.Extra)
}

func (m *RPAck) walk(w *walker) {
	w.rpHeader(2, m.Direction, &m.Reference)
	w.tagged("RP-User Data", ieiRPUser, &m.User, maxRPUser)
	carried(w, "RP-User Data", m.User, m.TPDU)
	w.end(&m.Extra)
}

func (m *RPError) walk(w *walker) {
	w.rpHeader(4, m.Direction, &m.Reference)
	w.rpCause(m)
	w.tagged("RP-User Data", ieiRPUser, &m.User, maxRPUser)
	carried(w, "RP-User Data", m.User, m.TPDU)
	w.end(&m.Extra)
}

func (m *RPSMMA) walk(w *walker) {
	w.rpHeader(6, Uplink, &m.Reference)
	w.end(&m.Extra)
}

func (w *walker) rpHeader(code uint8, dir Direction, ref *uint8) {
	if dir == Downlink {
		code |= 1
	}
	w.first("RP-Message Type", code)
	octet(w, "RP-Message Reference", ref)
}

// rpCause is the RP-Cause element (TS 24.011 §8.2.5.4).
func (w *walker) rpCause(m *RPError) {
	const name = "RP-Cause"
	switch w.mode {
	case reading:
		at := w.pos
		var v []byte
		w.counted(name, &v, maxRPCause)
		if len(v) == 0 {
			w.fail(name, at, "no cause in it")
			return
		}
		m.Cause, m.Extension, m.Diagnostic = RPCause(v[0]&0x7f), v[0]>>7 == 1, clone(v[1:])
	case writing:
		if len(m.Diagnostic) > maxRPCause-1 || m.Cause > 0x7f {
			w.fail(name, len(w.b)-w.start, "cause %d with %d octets of diagnostics does not fit", m.Cause, len(m.Diagnostic))
			return
		}
		v := byte(m.Cause)
		if m.Extension {
			v |= 0x80
		}
		w.b = append(w.b, byte(1+len(m.Diagnostic)), v)
		w.b = append(w.b, m.Diagnostic...)
	case showing:
		w.leaf(name, m.Cause)
		if len(m.Diagnostic) > 0 {
			w.leaf("Diagnostic field", m.Diagnostic)
		}
	}
}

func (*RPData) rp()  {}
func (*RPAck) rp()   {}
func (*RPError) rp() {}
func (*RPSMMA) rp()  {}

// MessageType is TypeRPData.
func (*RPData) MessageType() MessageType { return TypeRPData }

// MessageType is TypeRPAck.
func (*RPAck) MessageType() MessageType { return TypeRPAck }

// MessageType is TypeRPError.
func (*RPError) MessageType() MessageType { return TypeRPError }

// MessageType is TypeRPSMMA.
func (*RPSMMA) MessageType() MessageType { return TypeRPSMMA }

func (m *RPData) String() string  { return text(m) }
func (m *RPAck) String() string   { return text(m) }
func (m *RPError) String() string { return text(m) }
func (m *RPSMMA) String() string  { return text(m) }
