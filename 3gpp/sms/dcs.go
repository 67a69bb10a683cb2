package sms

import "fmt"

// Charset is how user data is coded.
type Charset uint8

// The codings of TS 23.038 §4. Reserved ones count as the 7-bit alphabet.
const (
	Charset7Bit Charset = iota // the GSM 7-bit default alphabet, and its national tables
	Charset8Bit                // octets
	CharsetUCS2                // UTF-16, big endian
)

var charsetNames = [...]string{"GSM 7 bit default alphabet", "8 bit data", "UCS2 (16 bit)"}

func (c Charset) String() string {
	if int(c) < len(charsetNames) {
		return charsetNames[c]
	}
	return fmt.Sprintf("charset %d", uint8(c))
}

// Class is a message class (TS 23.038 §4).
type Class uint8

// The classes.
const (
	Class0 Class = iota // shown at once, not stored
	Class1              // ME specific
	Class2              // (U)SIM specific
	Class3              // TE specific
)

var classNames = [...]string{"Class 0, immediate display", "Class 1, ME-specific", "Class 2, (U)SIM specific", "Class 3, TE specific"}

func (c Class) String() string { return classNames[c&3] }

// Waiting is what a message waiting indication tells of (TS 23.038 §4, TS
// 23.040 §9.2.3.24.2).
type Waiting uint8

// What may be waiting; from 4 on only in a user data header.
const (
	WaitingVoice Waiting = 0
	WaitingFax   Waiting = 1
	WaitingMail  Waiting = 2
	WaitingOther Waiting = 3
	WaitingVideo Waiting = 7 // extended type 1
)

func (w Waiting) String() string {
	switch w {
	case WaitingVoice:
		return "Voice Message Waiting"
	case WaitingFax:
		return "Fax Message Waiting"
	case WaitingMail:
		return "Electronic Mail Message Waiting"
	case WaitingOther:
		return "Other Message Waiting"
	case WaitingVideo:
		return "Video Message Waiting"
	}
	return fmt.Sprintf("Message Waiting, reserved type %d", uint8(w))
}

// DCS is TP-Data-Coding-Scheme (TS 23.038 §4).
type DCS uint8

// The general schemes without a class.
const (
	DCS7Bit DCS = 0x00
	DCS8Bit DCS = 0x04
	DCSUCS2 DCS = 0x08
)

// WithClass gives one of the three general schemes a class.
func (d DCS) WithClass(c Class) DCS { return d&^3 | 0x10 | DCS(c&3) }

// general says that bits 1 to 6 have their general meaning; in the marked
// group a message is to be deleted by itself.
func (d DCS) general() bool { return d>>7 == 0 }

// Charset gives the coding of the user data.
func (d DCS) Charset() Charset {
	switch {
	case d.general() && d>>2&3 != 3:
		return Charset(d >> 2 & 3)
	case d>>4 == 0xe:
		return CharsetUCS2
	case d>>4 == 0xf && d&4 != 0:
		return Charset8Bit
	}
	return Charset7Bit
}

// Compressed says that the user data is compressed (TS 23.042), its header
// excepted.
func (d DCS) Compressed() bool { return d.general() && d&0x20 != 0 }

// Class gives the message class, if there is one.
func (d DCS) Class() (Class, bool) {
	return Class(d & 3), d.general() && d&0x10 != 0 || d>>4 == 0xf
}

// AutoDelete says that the phone may delete the message once it was read (TS
// 23.038 §4, group 01xx).
func (d DCS) AutoDelete() bool { return d>>6 == 1 }

// An Indication of messages waiting.
type Indication struct {
	Type   Waiting
	Active bool // messages wait; false: no more do
	Store  bool // the message is to be stored, not to be discarded
}

// Indication gives what groups 1100 to 1110 tell of waiting messages.
func (d DCS) Indication() (Indication, bool) {
	if d>>4 < 0xc || d>>4 > 0xe {
		return Indication{}, false
	}
	return Indication{Waiting(d & 3), d&8 != 0, d>>4 != 0xc}, true
}

// String tells all that the octet says.
func (d DCS) String() string {
	s := d.Charset().String()
	if d.Compressed() {
		s += ", compressed"
	}
	if c, ok := d.Class(); ok {
		s += ", " + c.String()
	}
	if d.AutoDelete() {
		s += ", marked for automatic deletion"
	}
	if i, ok := d.Indication(); ok {
		s += ", " + i.String()
	}
	if d>>6 == 2 || d.general() && d>>2&3 == 3 {
		s += ", reserved coding"
	}
	return fmt.Sprintf("%s (0x%02x)", s, uint8(d))
}

func (i Indication) String() string {
	s := i.Type.String()
	if i.Active {
		s += " active"
	} else {
		s += " inactive"
	}
	if i.Store {
		return s + ", store message"
	}
	return s + ", discard message"
}

// octets says how many octets hold user data of that TP-User-Data-Length, which
// counts septets if there are any (TS 23.040 §9.2.3.16).
func (d DCS) octets(length uint8) int {
	if d.septets() {
		return (int(length)*7 + 7) / 8
	}
	return int(length)
}

func (d DCS) septets() bool { return d.Charset() == Charset7Bit && !d.Compressed() }
