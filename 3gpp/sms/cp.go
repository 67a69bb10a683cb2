package sms

import "fmt"

// pdSMS is the protocol discriminator of the CP layer (TS 24.007 §11.2.3.1.1).
const pdSMS = 9

// TI is a transaction identifier (TS 24.007 §11.2.3.1.3): which of the
// transactions between a phone and its network, and by whom it was begun.
type TI struct {
	Value uint8 // 0 to 6; 7 is reserved
	Flag  bool  // set in messages to the side that began the transaction
}

// Reply is the identifier in messages of the other side.
func (t TI) Reply() TI { return TI{t.Value, !t.Flag} }

func (t TI) String() string {
	if t.Flag {
		return fmt.Sprintf("%d, to its originator", t.Value)
	}
	return fmt.Sprintf("%d, from its originator", t.Value)
}

// A CP is a message of the connection layer: *CPData, *CPAck or *CPError.
type CP interface {
	Message
	cp()
}

// CPData carries an RPDU (TS 24.011 §7.2.1).
type CPData struct {
	TI   TI
	User []byte // CP-User data: an RPDU, up to 248 octets; see RP
	Extra
}

// CPAck acknowledges a CP-DATA (TS 24.011 §7.2.2).
type CPAck struct {
	TI TI
	Extra
}

// CPError tells that a CP message was not understood (TS 24.011 §7.2.3).
type CPError struct {
	TI    TI
	Cause CPCause
	Extra
}

// maxCPUser is the longest CP-User data (TS 24.011 §8.1.4.1): the longest RP-DATA,
// with a service centre's address of 12 octets.
const maxCPUser = 248

// Message types (TS 24.011 §8.1.3).
const (
	codeCPData  = 0x01
	codeCPAck   = 0x04
	codeCPError = 0x10
)

// ParseCP reads a CP message of either direction. It keeps no part of b. Every
// error is an *Error.
func ParseCP(b []byte) (CP, error) {
	if len(b) < 2 {
		return nil, Error{}.at("", 0, "too short for a CP message")
	}
	if b[0]&15 != pdSMS {
		return nil, Error{}.at("", 0, "protocol discriminator %d, want %d", b[0]&15, pdSMS)
	}
	fault := Error{TI: TI{b[0] >> 4 & 7, b[0]>>7 == 1}, CP: CPCauseInvalidMandatoryInformation}
	var m CP
	switch b[1] {
	case codeCPData:
		m = new(CPData)
	case codeCPAck:
		m = new(CPAck)
	case codeCPError:
		m = new(CPError)
	default:
		fault.CP = CPCauseMessageTypeNonExistent
		return nil, fault.at("", 1, "no CP message has type 0x%02x", b[1])
	}
	if err := read(m, fault, b); err != nil {
		return nil, err
	}
	return m, nil
}

// RP reads the RPDU that m carries; its type tells the direction.
func (m *CPData) RP() (RP, error) {
	dir, _ := RPDirection(m.User)
	return ParseRP(dir, m.User)
}

func (m *CPData) walk(w *walker) {
	w.cpHeader(&m.TI, codeCPData)
	w.counted("CP-User data", &m.User, maxCPUser)
	carried(w, "CP-User data", m.User, m.RP)
	w.end(&m.Extra)
}

func (m *CPAck) walk(w *walker) {
	w.cpHeader(&m.TI, codeCPAck)
	w.end(&m.Extra)
}

func (m *CPError) walk(w *walker) {
	w.cpHeader(&m.TI, codeCPError)
	octet(w, "CP-Cause", &m.Cause)
	w.end(&m.Extra)
}

func (w *walker) cpHeader(ti *TI, code uint8) {
	if w.mode == reading {
		ti.Value, ti.Flag = w.b[0]>>4&7, w.b[0]>>7 == 1
	}
	if w.mode == writing && ti.Value > 7 {
		w.fail("Transaction identifier", 0, "%d, want at most 7", ti.Value)
	}
	w.first("Protocol discriminator", pdSMS)
	w.head |= ti.Value << 4
	if ti.Flag {
		w.head |= 0x80
	}
	if w.mode == showing {
		w.leaf("Transaction identifier", *ti)
	}
	octet(w, "Message type", &code)
}

func (*CPData) cp()  {}
func (*CPAck) cp()   {}
func (*CPError) cp() {}

// MessageType is TypeCPData.
func (*CPData) MessageType() MessageType { return TypeCPData }

// MessageType is TypeCPAck.
func (*CPAck) MessageType() MessageType { return TypeCPAck }

// MessageType is TypeCPError.
func (*CPError) MessageType() MessageType { return TypeCPError }

func (m *CPData) String() string  { return text(m) }
func (m *CPAck) String() string   { return text(m) }
func (m *CPError) String() string { return text(m) }
