package sip

import (
	"slices"
	"strconv"
	"strings"
)

// Method is the method of a request. It is compared exactly (RFC 3261 §7.1).
type Method string

// The methods of RFC 3261, 3262, 3311, 3428, 3515, 3903, 6086 and 6665.
const (
	MethodRegister  Method = "REGISTER"
	MethodInvite    Method = "INVITE"
	MethodAck       Method = "ACK"
	MethodCancel    Method = "CANCEL"
	MethodBye       Method = "BYE"
	MethodOptions   Method = "OPTIONS"
	MethodInfo      Method = "INFO"
	MethodMessage   Method = "MESSAGE"
	MethodPrack     Method = "PRACK"
	MethodUpdate    Method = "UPDATE"
	MethodRefer     Method = "REFER"
	MethodSubscribe Method = "SUBSCRIBE"
	MethodNotify    Method = "NOTIFY"
	MethodPublish   Method = "PUBLISH"
)

// Known reports whether m is a method that some RFC defines, so that who does
// not do it answers 405 and not 501 (RFC 3261 §8.2.1, §21.5.2).
func (m Method) Known() bool {
	switch m {
	case MethodRegister, MethodInvite, MethodAck, MethodCancel, MethodBye, MethodOptions, MethodInfo, MethodMessage,
		MethodPrack, MethodUpdate, MethodRefer, MethodSubscribe, MethodNotify, MethodPublish:
		return true
	}
	return false
}

// Header is a header field that is no field of Message. Its value is one line.
type Header struct{ Name, Value string }

// CSeq is the sequence number of a request in its dialog (RFC 3261 §20.16).
type CSeq struct {
	Seq    uint32 // less than 2^31
	Method Method
}

// String is the value of the header field.
func (c CSeq) String() string { return strconv.FormatUint(uint64(c.Seq), 10) + " " + string(c.Method) }

// Message is a request or a response. Make one with NewRequest or Response:
// in the zero value Max-Forwards and Expires stand there as 0.
//
// Two messages may share slices; Params.Set, Add, Set and Del never write into
// what another message sees.
type Message struct {
	Method Method // of a request; "" in a response
	URI    URI    // the Request-URI
	Status int    // of a response
	Reason string // the phrase beside it

	Via         []Via // topmost first
	From, To    Address
	CallID      string
	CSeq        CSeq
	MaxForwards int       // -1: absent
	Contact     []Address // empty and ContactStar: "*"
	ContactStar bool
	Route       []Address // topmost first
	RecordRoute []Address // topmost first
	Expires     int       // seconds, -1: absent; larger ones than 2^31-1 are that
	ContentType string    // with its parameters, as written
	Header      []Header  // every other header field, in order, with its long name
	Body        []byte
}

// IsRequest reports whether m is a request.
func (m *Message) IsRequest() bool { return m.Method != "" }

// NewRequest begins a request: method, Request-URI, CSeq's method and
// Max-Forwards 70. Via, From, To, Call-ID and the sequence number are for whoever sends it.
func NewRequest(method Method, uri URI) *Message {
	return &Message{Method: method, URI: uri, CSeq: CSeq{Method: method}, MaxForwards: 70, Expires: -1}
}

// Response begins the response to request m (RFC 3261 §8.2.6): it has m's Via,
// From, To, Call-ID and CSeq, Timestamp in a 100, and Record-Route where it
// may make a dialog (§12.1.1). An empty reason is the standard's phrase. It
// has no To tag that m does not have: set one in all but a 100.
func (m *Message) Response(status int, reason string) *Message {
	if reason == "" {
		reason = Phrase(status)
	}
	r := &Message{Status: status, Reason: reason, Via: slices.Clone(m.Via), From: m.From, To: m.To, CallID: m.CallID, CSeq: m.CSeq,
		MaxForwards: -1, Expires: -1}
	if status > 100 && status < 300 {
		r.RecordRoute = slices.Clip(m.RecordRoute)
	}
	if t, ok := m.Lookup("Timestamp"); ok && status == 100 {
		r.Add("Timestamp", t)
	}
	return r
}

// Clone is a copy that shares nothing that is written to but Body's octets.
func (m *Message) Clone() *Message {
	c := *m
	c.Via, c.Contact, c.Header = slices.Clone(m.Via), slices.Clone(m.Contact), slices.Clone(m.Header)
	c.Route, c.RecordRoute = slices.Clone(m.Route), slices.Clone(m.RecordRoute)
	return &c
}

// Lookup is the value of the first header field in Header with the name, in any case.
func (m *Message) Lookup(name string) (value string, ok bool) {
	for i := range m.Header {
		if strings.EqualFold(m.Header[i].Name, name) {
			return m.Header[i].Value, true
		}
	}
	return "", false
}

// Get is Lookup without the doubt: "" may be an empty value or none.
func (m *Message) Get(name string) string {
	v, _ := m.Lookup(name)
	return v
}

// Values are the values of all header fields in Header with the name, in any case, one for each line.
func (m *Message) Values(name string) (values []string) {
	for i := range m.Header {
		if strings.EqualFold(m.Header[i].Name, name) {
			values = append(values, m.Header[i].Value)
		}
	}
	return values
}

// List are the elements of all header fields in Header with the name, such as
// Supported and Allow, that are lists of tokens separated by commas.
func (m *Message) List(name string) (elements []string) {
	for i := range m.Header {
		if !strings.EqualFold(m.Header[i].Name, name) {
			continue
		}
		for e := range strings.SplitSeq(m.Header[i].Value, ",") {
			if e = strings.Trim(e, " \t"); e != "" {
				elements = append(elements, e)
			}
		}
	}
	return elements
}

// Add appends a header field.
func (m *Message) Add(name, value string) {
	m.Header = append(slices.Clip(m.Header), Header{name, value})
}

// Set replaces all header fields in Header with the name by one.
func (m *Message) Set(name, value string) {
	m.Del(name)
	m.Add(name, value)
}

// Del removes all header fields in Header with the name.
func (m *Message) Del(name string) {
	if _, ok := m.Lookup(name); ok {
		m.Header = slices.DeleteFunc(slices.Clone(m.Header), func(h Header) bool { return strings.EqualFold(h.Name, name) })
	}
}
