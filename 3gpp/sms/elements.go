package sms

import (
	"fmt"

	"campanile.network/3gpp/gsm7"
	"campanile.network/3gpp/tree"
)

// A Count of messages waiting, from a Special SMS Message Indication (TS 23.040
// §9.2.3.24.2).
type Count struct {
	Type    Waiting
	Store   bool  // the message is to be stored
	Profile uint8 // of the subscriber, 0 to 3
	Waiting uint8 // how many wait; 255 is 255 or more
}

// Counts gives the elements, which may be repeated, a profile and type each.
func (h UDH) Counts() []Count {
	var all []Count
	for iei, d := range h.All() {
		if iei == IEIIndication && len(d) == 2 {
			all = append(all, Count{Waiting(d[0] & 0x1f), d[0]>>7 == 1, d[0] >> 5 & 3, d[1]})
		}
	}
	return all
}

// WithCount gives h with the element behind it.
func (h UDH) WithCount(c Count) UDH {
	v := byte(c.Type)&0x1f | c.Profile&3<<5
	if c.Store {
		v |= 0x80
	}
	return h.With(IEIIndication, v, c.Waiting)
}

func (c Count) String() string {
	s := fmt.Sprintf("%v: %d, profile %d", c.Type, c.Waiting, c.Profile)
	if c.Store {
		s += ", store message"
	}
	return s
}

// SMSCControl are SMSC Control Parameters: of which outcomes a status report is
// wanted (TS 23.040 §9.2.3.24.5).
type SMSCControl uint8

// The bits.
const (
	ReportCompleted SMSCControl = 1 << 0 // transaction completed
	ReportFailed    SMSCControl = 1 << 1 // permanent error
	ReportStopped   SMSCControl = 1 << 2 // temporary error, not tried again
	ReportTrying    SMSCControl = 1 << 3 // temporary error, tried again
	ReportCancel    SMSCControl = 1 << 6 // no more reports for the rest of the concatenated message
	ReportHeader    SMSCControl = 1 << 7 // original header in the report
)

// SMSCControl gives the last element.
func (h UDH) SMSCControl() (SMSCControl, bool) {
	d, ok := h.Get(IEISMSCControl)
	if !ok || len(d) != 1 {
		return 0, false
	}
	return SMSCControl(d[0]), true
}

// Wants says whether a status report of that outcome is asked for.
func (c SMSCControl) Wants(o Outcome) bool {
	return c&[...]SMSCControl{Completed: ReportCompleted, Trying: ReportTrying, Failed: ReportFailed, Stopped: ReportStopped}[o&3] != 0
}

func (c SMSCControl) String() string {
	s := ""
	for o := Completed; o <= Stopped; o++ {
		if c.Wants(o) {
			s += "report of " + o.String() + "; "
		}
	}
	return fmt.Sprintf("%s0x%02x", s, uint8(c))
}

// Source tells who made the elements that follow it (TS 23.040 §9.2.3.24.6).
type Source uint8

// The sources; others are reserved.
const (
	SourceSender   Source = 1
	SourceReceiver Source = 2
	SourceSMSC     Source = 3
)

func (s Source) String() string {
	switch s {
	case SourceSender:
		return "original sender (valid in case of Status Report)"
	case SourceReceiver:
		return "original receiver (valid in case of Status Report)"
	case SourceSMSC:
		return "SMSC (valid in any message or report)"
	}
	return fmt.Sprintf("reserved (%d)", uint8(s))
}

// ReplyAddress gives the address to answer to in place of the originating one
// (TS 23.040 §9.2.3.24).
func (h UDH) ReplyAddress() (Address, bool) {
	d, ok := h.Get(IEIReplyAddress)
	if !ok {
		return Address{}, false
	}
	w := walker{mode: reading, b: d}
	var a Address
	w.address("", &a)
	return a, w.err == nil
}

// element shows an information element: in words where it has a type; the
// octets of others, which may hold anything, have a mask.
func element(iei IEI, d []byte) tree.Node {
	h := UDH{}.With(iei, d...)
	if a, ok := h.ReplyAddress(); ok {
		return tree.Node{Name: iei.String(), Value: a.Number(), Masked: a.String()}
	}
	if words := h.words(iei, d); words != "" {
		return tree.Leaf(iei.String(), words)
	}
	return tree.Node{Name: iei.String(), Value: d, Masked: octets(len(d))}
}

// words tell what the only element of h, d, says.
func (h UDH) words(iei IEI, d []byte) string {
	n := len(d)
	switch {
	case iei == IEIConcatenation8 && n == 3, iei == IEIConcatenation16 && n == 4:
		return fmt.Sprintf("reference %x, part %d of %d", d[:n-2], d[n-1], d[n-2])
	case iei == IEIPorts8 && n == 2, iei == IEIPorts16 && n == 4:
		p, _ := h.Ports()
		return fmt.Sprintf("destination port %d, originator port %d", p.Destination, p.Originator)
	case iei == IEIIndication && n == 2:
		return h.Counts()[0].String()
	case iei == IEISMSCControl && n == 1:
		return SMSCControl(d[0]).String()
	case iei == IEISource && n == 1:
		return Source(d[0]).String()
	case (iei == IEISingleShift || iei == IEILockingShift) && n == 1:
		return gsm7.Language(d[0]).String()
	}
	return ""
}
