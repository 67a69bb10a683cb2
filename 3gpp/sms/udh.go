package sms

import (
	"encoding/binary"
	"fmt"
	"iter"

	"campanile.network/3gpp/gsm7"
)

// IEI identifies an information element of a user data header (TS 23.040
// §9.2.3.24).
type IEI uint8

// The elements that this package has types for, and some others.
const (
	IEIConcatenation8  IEI = 0x00
	IEIIndication      IEI = 0x01
	IEIPorts8          IEI = 0x04
	IEIPorts16         IEI = 0x05
	IEISMSCControl     IEI = 0x06
	IEISource          IEI = 0x07
	IEIConcatenation16 IEI = 0x08
	IEIWCMP            IEI = 0x09
	IEIFormatting      IEI = 0x0a
	IEIEmailHeader     IEI = 0x20
	IEIHyperlink       IEI = 0x21
	IEIReplyAddress    IEI = 0x22
	IEIVoiceMail       IEI = 0x23
	IEISingleShift     IEI = 0x24
	IEILockingShift    IEI = 0x25
)

var ieiNames = map[IEI]string{
	0x00: "Concatenated short messages, 8-bit reference number", 0x01: "Special SMS Message Indication",
	0x04: "Application port addressing scheme, 8 bit address", 0x05: "Application port addressing scheme, 16 bit address",
	0x06: "SMSC Control Parameters", 0x07: "UDH Source Indicator", 0x08: "Concatenated short message, 16-bit reference number",
	0x09: "Wireless Control Message Protocol", 0x0a: "Text Formatting", 0x0b: "Predefined Sound", 0x0c: "User Defined Sound",
	0x0d: "Predefined Animation", 0x0e: "Large Animation", 0x0f: "Small Animation", 0x10: "Large Picture", 0x11: "Small Picture",
	0x12: "Variable Picture", 0x13: "User prompt indicator", 0x14: "Extended Object", 0x15: "Reused Extended Object",
	0x16: "Compression Control", 0x17: "Object Distribution Indicator", 0x18: "Standard WVG object", 0x19: "Character Size WVG object",
	0x1a: "Extended Object Data Request Command", 0x20: "RFC 5322 E-Mail Header", 0x21: "Hyperlink format element",
	0x22: "Reply Address Element", 0x23: "Enhanced Voice Mail Information", 0x24: "National Language Single Shift",
	0x25: "National Language Locking Shift",
}

// String is the specification's name.
func (i IEI) String() string {
	s := ieiNames[i]
	switch {
	case s != "":
		return s
	case i >= 0x70 && i <= 0x7f:
		s = "(U)SIM Toolkit Security Header"
	case i >= 0x80 && i <= 0x9f:
		s = "SME to SME specific use"
	case i >= 0xc0 && i <= 0xdf:
		s = "SC specific use"
	default:
		s = "Reserved"
	}
	return fmt.Sprintf("%s 0x%02x", s, uint8(i))
}

// UDH is the information elements of a user data header, one behind the other,
// without the header's length (TS 23.040 §9.2.3.24). A value that did not come
// from UserData.Header may be malformed; it then has no elements.
type UDH []byte

// With gives h with an element behind it. Data longer than 255 octets fits no
// element and is cut.
func (h UDH) With(iei IEI, data ...byte) UDH {
	data = data[:min(len(data), 255)]
	h = append(h[:len(h):len(h)], byte(iei), byte(len(data)))
	return append(h, data...)
}

// valid says that the elements fill h; if not, the whole header is to be
// ignored (TS 23.040 §9.2.3.24).
func (h UDH) valid() bool {
	for len(h) >= 2 && len(h) >= 2+int(h[1]) {
		h = h[2+int(h[1]):]
	}
	return len(h) == 0
}

// All gives the elements in their order.
func (h UDH) All() iter.Seq2[IEI, []byte] {
	return func(yield func(IEI, []byte) bool) {
		if !h.valid() {
			return
		}
		for rest := h; len(rest) > 0; {
			n := 2 + int(rest[1])
			if !yield(IEI(rest[0]), rest[2:n:n]) {
				return
			}
			rest = rest[n:]
		}
	}
}

// Get gives the data of the last element with that identifier: of repeated
// ones the last counts (TS 23.040 §9.2.3.24).
func (h UDH) Get(iei IEI) ([]byte, bool) {
	var data []byte
	found := false
	for i, d := range h.All() {
		if i == iei {
			data, found = d, true
		}
	}
	return data, found
}

// Concatenation says which part of a longer message this one is (TS 23.040
// §9.2.3.24.1, §9.2.3.24.8).
type Concatenation struct {
	Reference uint16 // the same in all parts
	Wide      bool   // the reference has 16 bits, else 8
	Total     uint8  // parts
	Number    uint8  // of this part, from 1
}

// Concatenation gives the last valid element, of 8 or 16 bits. One without
// parts, or of a part beyond the total, is ignored.
func (h UDH) Concatenation() (Concatenation, bool) {
	var c Concatenation
	for iei, d := range h.All() {
		switch {
		case iei == IEIConcatenation8 && len(d) == 3 && d[2] != 0 && d[2] <= d[1]:
			c = Concatenation{uint16(d[0]), false, d[1], d[2]}
		case iei == IEIConcatenation16 && len(d) == 4 && d[3] != 0 && d[3] <= d[2]:
			c = Concatenation{binary.BigEndian.Uint16(d), true, d[2], d[3]}
		}
	}
	return c, c.Total != 0
}

// WithConcatenation gives h with the element behind it.
func (h UDH) WithConcatenation(c Concatenation) UDH {
	if c.Wide {
		return h.With(IEIConcatenation16, byte(c.Reference>>8), byte(c.Reference), c.Total, c.Number)
	}
	return h.With(IEIConcatenation8, byte(c.Reference), c.Total, c.Number)
}

// Ports are application ports (TS 23.040 §9.2.3.24.3, §9.2.3.24.4).
type Ports struct {
	Destination, Originator uint16
	Wide                    bool // 16 bits, else 8
}

// Ports gives the last element, of 8 or 16 bits, without judging the ports:
// below 240 those of 8 bits are reserved, from 49152 on those of 16.
func (h UDH) Ports() (Ports, bool) {
	var p Ports
	found := false
	for iei, d := range h.All() {
		switch {
		case iei == IEIPorts8 && len(d) == 2:
			p, found = Ports{uint16(d[0]), uint16(d[1]), false}, true
		case iei == IEIPorts16 && len(d) == 4:
			p, found = Ports{binary.BigEndian.Uint16(d), binary.BigEndian.Uint16(d[2:]), true}, true
		}
	}
	return p, found
}

// WithPorts gives h with the element behind it.
func (h UDH) WithPorts(p Ports) UDH {
	if p.Wide {
		return h.With(IEIPorts16, byte(p.Destination>>8), byte(p.Destination), byte(p.Originator>>8), byte(p.Originator))
	}
	return h.With(IEIPorts8, byte(p.Destination), byte(p.Originator))
}

// Alphabet gives the national language tables that the header names (TS 23.040
// §9.2.3.24.15, §9.2.3.24.16); by default the default alphabet.
func (h UDH) Alphabet() gsm7.Alphabet {
	var a gsm7.Alphabet
	for iei, d := range h.All() {
		switch {
		case iei == IEISingleShift && len(d) == 1:
			a.Single = gsm7.Language(d[0])
		case iei == IEILockingShift && len(d) == 1:
			a.Locking = gsm7.Language(d[0])
		}
	}
	return a
}

// WithAlphabet gives h with the elements that name the tables of a behind it;
// none for the default alphabet.
func (h UDH) WithAlphabet(a gsm7.Alphabet) UDH {
	if a.Single != gsm7.Default {
		h = h.With(IEISingleShift, byte(a.Single))
	}
	if a.Locking != gsm7.Default {
		h = h.With(IEILockingShift, byte(a.Locking))
	}
	return h
}
