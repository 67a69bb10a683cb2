package sms

import (
	"fmt"
	"strings"

	"campanile.network/3gpp/gsm7"
	"campanile.network/3gpp/id"
)

// TypeOfNumber says how to read the digits of an address (TS 23.040
// §9.1.2.5).
type TypeOfNumber uint8

// The types of number.
const (
	TypeUnknown         TypeOfNumber = 0
	TypeInternational   TypeOfNumber = 1
	TypeNational        TypeOfNumber = 2
	TypeNetworkSpecific TypeOfNumber = 3
	TypeSubscriber      TypeOfNumber = 4
	TypeAlphanumeric    TypeOfNumber = 5
	TypeAbbreviated     TypeOfNumber = 6
	TypeReserved        TypeOfNumber = 7
)

// NumberingPlan is the plan an address is of (TS 23.040 §9.1.2.5).
type NumberingPlan uint8

// The numbering plans; others are reserved.
const (
	PlanUnknown  NumberingPlan = 0
	PlanISDN     NumberingPlan = 1 // telephone, E.164
	PlanData     NumberingPlan = 3
	PlanTelex    NumberingPlan = 4
	PlanCentre5  NumberingPlan = 5 // service centre specific
	PlanCentre6  NumberingPlan = 6
	PlanNational NumberingPlan = 8
	PlanPrivate  NumberingPlan = 9
	PlanERMES    NumberingPlan = 10
)

// maxDigits is how many semi-octets an address has at most (TS 23.040
// §9.1.2.5).
const maxDigits = 20

// Address is a number or name of up to 20 semi-octets: TP-OA, TP-DA and TP-RA
// (TS 23.040 §9.1.2.5), and with another length octet the addresses of the RP
// layer (TS 24.011 §8.2.5.1). It is comparable; the zero value is no address,
// which RP messages write as an empty one. It prints masked; Number and Name
// give it whole.
type Address struct {
	set    bool
	length uint8 // in semi-octets
	typ    uint8 // the octet of type and plan
	value  [maxDigits / 2]byte
}

// digitChars are the semi-octets 0 to 14 (TS 23.040 §9.1.2.3); 15 fills.
const digitChars = "0123456789*#abc"

// NewAddress makes the address of a telephone number: international if it
// begins with a plus, else of unknown type. It has up to 20 of the characters
// 0 to 9, *, #, a, b and c.
func NewAddress(number string) (Address, error) {
	if digits, ok := strings.CutPrefix(number, "+"); ok {
		return NewAddressOf(TypeInternational, PlanISDN, digits)
	}
	return NewAddressOf(TypeUnknown, PlanISDN, number)
}

// NewAddressOf makes an address of any type but alphanumeric.
func NewAddressOf(t TypeOfNumber, p NumberingPlan, digits string) (Address, error) {
	if t > TypeReserved || t == TypeAlphanumeric || p > 15 {
		return Address{}, fmt.Errorf("address: type %d, plan %d: no number has them", t, p)
	}
	if len(digits) == 0 || len(digits) > maxDigits {
		return Address{}, fmt.Errorf("address: %d digits, want 1 to %d", len(digits), maxDigits)
	}
	a := Address{set: true, length: uint8(len(digits)), typ: 0x80 | uint8(t)<<4 | uint8(p)}
	for i := range len(digits) {
		v := strings.IndexByte(digitChars, digits[i])
		if v < 0 {
			return Address{}, fmt.Errorf("address: character %d is none of %s", i+1, digitChars)
		}
		a.value[i/2] |= byte(v) << (i % 2 * 4)
	}
	if a.length%2 == 1 {
		a.value[a.length/2] |= 0xf0
	}
	return a, nil
}

// NewName makes an alphanumeric address: up to 11 septets of the default
// alphabet.
func NewName(name string) (Address, error) {
	septets, err := gsm7.Alphabet{}.Append(nil, name)
	if err != nil {
		return Address{}, fmt.Errorf("address: %w", err)
	}
	if len(septets) == 0 || len(septets)*7 > maxDigits*4 {
		return Address{}, fmt.Errorf("address: %d septets, want 1 to 11", len(septets))
	}
	a := Address{set: true, length: uint8((len(septets)*7 + 3) / 4), typ: 0x80 | uint8(TypeAlphanumeric)<<4}
	copy(a.value[:], gsm7.Pack(nil, septets, 0))
	return a, nil
}

// FromMSISDN makes the international address of a subscriber.
func FromMSISDN(m id.MSISDN) Address {
	a, err := NewAddressOf(TypeInternational, PlanISDN, m.Digits())
	if err != nil { // the zero number
		return Address{}
	}
	return a
}

// IsZero says that a is no address.
func (a Address) IsZero() bool { return !a.set }

// Type gives the type of number.
func (a Address) Type() TypeOfNumber { return TypeOfNumber(a.typ >> 4 & 7) }

// Plan gives the numbering plan. It means nothing for alphanumeric,
// subscriber and reserved types.
func (a Address) Plan() NumberingPlan { return NumberingPlan(a.typ & 15) }

// Digits gives the digits of a number, without a plus; "" for a name.
func (a Address) Digits() string {
	if a.Type() == TypeAlphanumeric {
		return ""
	}
	var s [maxDigits]byte
	for i := range a.length {
		v := a.value[i/2] >> (i % 2 * 4) & 15
		if v == 15 {
			return string(s[:i])
		}
		s[i] = digitChars[v]
	}
	return string(s[:a.length])
}

// Name gives the text of an alphanumeric address; "" for a number.
func (a Address) Name() string {
	if a.Type() != TypeAlphanumeric {
		return ""
	}
	septets, err := gsm7.Unpack(nil, a.value[:], 0, int(a.length)*4/7)
	if err != nil {
		return ""
	}
	return gsm7.Alphabet{}.Text(septets)
}

// Number gives the address as people write it: digits, a plus before those of
// an international one, or the name.
func (a Address) Number() string {
	switch a.Type() {
	case TypeAlphanumeric:
		return a.Name()
	case TypeInternational:
		if a.length > 0 {
			return "+" + a.Digits()
		}
	}
	return a.Digits()
}

// MSISDN gives the subscriber's number of an international address.
func (a Address) MSISDN() (id.MSISDN, bool) {
	if a.Type() != TypeInternational {
		return id.MSISDN{}, false
	}
	m, err := id.ParseMSISDN(a.Digits())
	return m, err == nil
}

// String is masked: the first three characters and the last two of a number
// that has more.
func (a Address) String() string {
	if !a.set {
		return "none"
	}
	r := []rune(a.Number())
	for i := range r {
		if len(r) <= 5 || i >= 3 && i < len(r)-2 {
			r[i] = '·'
		}
	}
	return string(r)
}

// Format masks like String under every verb.
func (a Address) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, fmt.FormatString(f, verb), a.String())
}

// MarshalText masks like String: a number does not reach JSON by accident.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// octets gives the value with its filler.
func (a *Address) octets() []byte { return a.value[:(a.length+1)/2] }

// address is an address field of a TPDU: its length counts semi-octets (TS
// 23.040 §9.1.2.5).
func (w *walker) address(name string, a *Address) {
	switch w.mode {
	case reading:
		at := w.pos
		v := w.take(name, 2)
		if v == nil {
			return
		}
		if v[0] > maxDigits {
			w.fail(name, at, "%d semi-octets, want at most %d", v[0], maxDigits)
			return
		}
		*a = Address{set: true, length: v[0], typ: v[1]}
		copy(a.value[:], w.take(name, int(v[0]+1)/2))
	case writing:
		if !a.set {
			w.fail(name, len(w.b)-w.start, "no address")
			return
		}
		w.b = append(w.b, a.length, a.typ)
		w.b = append(w.b, a.octets()...)
	case showing:
		w.showAddress(name, a)
	}
}

// centre is an address field of an RPDU: its length counts octets (TS 24.011
// §8.2.5.1).
func (w *walker) centre(name string, a *Address) {
	switch w.mode {
	case reading:
		at := w.pos
		v := w.take(name, 1)
		if v == nil || v[0] == 0 {
			return
		}
		if v[0] > 1+maxDigits/2 {
			w.fail(name, at, "%d octets, want at most %d", v[0], 1+maxDigits/2)
			return
		}
		if v = w.take(name, int(v[0])); v == nil {
			return
		}
		*a = Address{set: true, length: uint8(len(v)-1) * 2, typ: v[0]}
		copy(a.value[:], v[1:])
		if a.length > 0 && a.value[a.length/2-1]>>4 == 15 {
			a.length--
		}
	case writing:
		if !a.set {
			w.b = append(w.b, 0)
			return
		}
		w.b = append(w.b, 1+(a.length+1)/2, a.typ)
		w.b = append(w.b, a.octets()...)
	case showing:
		w.showAddress(name, a)
	}
}

func (w *walker) showAddress(name string, a *Address) {
	if !a.set {
		w.leaf(name, "none")
		return
	}
	w.masked(name, a.Number(), a.String())
}

// ParseCentre reads the address of a service centre before a TPDU, as modems
// and SIM cards keep it (TS 27.005 §3.1), and gives the octets behind it.
func ParseCentre(b []byte) (Address, []byte, error) {
	w := walker{mode: reading, b: b}
	var a Address
	w.centre("Service centre address", &a)
	if w.err != nil {
		return Address{}, nil, w.err
	}
	return a, b[w.pos:], nil
}

// AppendCentre appends what ParseCentre reads.
func AppendCentre(dst []byte, a Address) []byte {
	w := walker{mode: writing, b: dst}
	w.centre("", &a)
	return w.b
}
