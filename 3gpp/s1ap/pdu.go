package s1ap

import "fmt"

// MessageType is the alternative of S1AP-PDU (TS 36.413 §9.3.2).
type MessageType uint8

// Message types, with the values of TriggeringMessage.
const (
	InitiatingMessage MessageType = iota
	SuccessfulOutcome
	UnsuccessfulOutcome
)

// String returns the name of the alternative.
func (t MessageType) String() string {
	switch t {
	case InitiatingMessage:
		return "initiatingMessage"
	case SuccessfulOutcome:
		return "successfulOutcome"
	case UnsuccessfulOutcome:
		return "unsuccessfulOutcome"
	}
	return unknownNumber("MessageType", int(t))
}

// Header is what the ASN.1 says of a message besides its content.
type Header struct {
	Type          MessageType
	ProcedureCode ProcedureCode
	Criticality   Criticality
	Name          string // the message's Go type
}

// Message is one of the messages of this package: a pointer to its struct.
type Message interface {
	// Header returns the message's type, procedure, criticality and name.
	Header() Header
}

// PDU is one S1AP-PDU, the unit that one SCTP message carries.
type PDU struct {
	Type          MessageType
	ProcedureCode ProcedureCode
	Criticality   Criticality
	Message       Message
	kept          int // octets that ParseInto has allocated for Message
}

// maxKept bounds what is kept from message to message: the lists of a message
// could each be made long by another one.
const maxKept = 64 << 10

// UnknownMessage is a message of a procedure, or an outcome of one, that this
// release does not have.
type UnknownMessage struct {
	Type          MessageType
	ProcedureCode ProcedureCode
	Criticality   Criticality
	Value         []byte `asn1:"value"` // the encoding of the message
}

// Header implements Message.
func (m *UnknownMessage) Header() Header {
	return Header{m.Type, m.ProcedureCode, m.Criticality, "UnknownMessage"}
}

// Parse reads one PDU. An error is always a *SyntaxError; where the procedure
// may go on (SyntaxError.Continue) the PDU is complete but for what the error
// lists, otherwise it holds what could be read and may have no Message. Unknown
// IEs with criticality ignore are no error, they are in UnknownIEs.
func Parse(b []byte) (PDU, error) {
	var p PDU
	err := ParseInto(&p, b)
	return p, err
}

// ParseInto is Parse into a PDU used before. If p.Message is of the incoming
// kind and small it is overwritten, with what it points to, otherwise a new one
// is made.
// Nothing of the message before stays, also where b is broken.
func ParseInto(p *PDU, b []byte) error {
	var r decoder
	budget := memoryFactor*len(b) + memoryBase
	r.Reset(b, budget)
	reuse, kept := p.Message, p.kept
	if kept > maxKept {
		reuse = nil
	}
	*p = PDU{}
	r.At("S1AP-PDU")
	choice := r.Choice(3, true)
	if choice > int(UnsuccessfulOutcome) {
		r.Fail("alternative %d of S1AP-PDU", choice)
	}
	p.Type = MessageType(choice)
	p.ProcedureCode = ProcedureCode(r.Octet())
	p.Criticality = Criticality(r.Enum(3))
	head := !r.Failed()
	in := r.Enter()
	if r.Failed() {
		return r.syntaxError(p, head, false)
	}
	if p.Message = matching(reuse, p); p.Message == nil {
		p.Message, kept = newMessage(p.Type, p.ProcedureCode), 0
	}
	known := p.Message != nil
	if !known {
		p.Message = &UnknownMessage{p.Type, p.ProcedureCode, p.Criticality, nil}
	}
	r.message(p.Message)
	p.kept = kept + budget - r.Budget()
	r.Leave(in)
	if r.Left() > 0 {
		r.Fail("%d octets follow the PDU", r.Left()/8)
	}
	if !r.Failed() && known && len(r.diags) == 0 {
		return nil
	}
	if r.Failed() && p.Message == reuse {
		*p = PDU{} // what was not read is not to be what was there before
		return ParseInto(p, b)
	}
	return r.syntaxError(p, true, known)
}

// matching returns m if it is a message of the kind that p announces.
func matching(m Message, p *PDU) Message {
	if m == nil {
		return nil
	}
	if _, ok := m.(*UnknownMessage); ok {
		return nil
	}
	if h := m.Header(); h.Type != p.Type || h.ProcedureCode != p.ProcedureCode {
		return nil
	}
	return m
}

// Append appends the encoding of m to dst. An error names the component that
// violates its constraint; dst is then returned as it was.
func Append(dst []byte, m Message) ([]byte, error) {
	if m == nil {
		return dst, fmt.Errorf("s1ap: no message")
	}
	h := m.Header()
	return appendPDU(dst, h, m)
}

// Append appends the encoding of the PDU to dst, with the criticality in p.
func (p *PDU) Append(dst []byte) ([]byte, error) {
	if p.Message == nil {
		return dst, fmt.Errorf("s1ap: no message")
	}
	h := p.Message.Header()
	h.Criticality = p.Criticality
	return appendPDU(dst, h, p.Message)
}

func appendPDU(dst []byte, h Header, m Message) ([]byte, error) {
	var w encoder
	w.Reset(dst)
	w.At("S1AP-PDU")
	w.Choice(int(h.Type), 3, true)
	w.Int(uint64(h.ProcedureCode), 0, 255)
	w.Enum(uint8(h.Criticality), 3)
	mark := w.OpenStart()
	w.message(m)
	w.OpenEnd(mark)
	if w.Failed() {
		return dst, fmt.Errorf("s1ap: %s: %w", h.Name, w.Err())
	}
	return w.Bytes(), nil
}

// String tells kind and length of the message.
func (m *UnknownMessage) String() string {
	return fmt.Sprintf("%s %s, %d octets", m.ProcedureCode, m.Type, len(m.Value))
}

func (m *UnknownMessage) encode(w *encoder) { w.BitArray(m.Value, 8*len(m.Value)) }
func (m *UnknownMessage) decode(r *decoder) { m.Value = r.Rest() }

func unknownNumber(typ string, n int) string { return fmt.Sprintf("%s(%d)", typ, n) }
