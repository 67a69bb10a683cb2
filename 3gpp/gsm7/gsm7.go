// Package gsm7 reads and writes the 7-bit alphabets of TS 23.038: the GSM
// default alphabet with its extension table, the national language tables, and
// the three ways in which septets are packed into octets, for short messages,
// cell broadcast and USSD.
//
// It knows characters and bits. Data coding schemes, user data headers and UCS-2
// belong to the messages that carry them.
package gsm7

import (
	"fmt"
	"unicode/utf8"

	"campanile.network/3gpp/gsm7/internal/table"
)

//go:generate go run ./internal/gen

// Language is a national language identifier (TS 23.038 §6.2.1.2.4).
type Language uint8

// National languages. Spanish has no locking shift table of its own.
const (
	Default Language = iota
	Turkish
	Spanish
	Portuguese
	Bengali
	Gujarati
	Hindi
	Kannada
	Malayalam
	Oriya
	Punjabi
	Tamil
	Telugu
	Urdu
)

// Escape is the septet behind which the single shift table is in force for one
// septet (TS 23.038 §6.2.1.1).
const Escape = table.Escape

// String gives the language's name in English, as the specification does.
func (l Language) String() string {
	names := [...]string{
		"default", "Turkish", "Spanish", "Portuguese", "Bengali", "Gujarati", "Hindi",
		"Kannada", "Malayalam", "Oriya", "Punjabi", "Tamil", "Telugu", "Urdu",
	}
	if int(l) < len(names) {
		return names[l]
	}
	return fmt.Sprintf("reserved (%d)", uint8(l))
}

// Alphabet is the pair of tables that a text is written with. The zero value is
// the default alphabet with its extension table. A reserved language, and a
// language without a locking shift table, means the default's table there.
type Alphabet struct {
	Locking Language // table of single septets (TS 23.038 §6.2.1.2.3)
	Single  Language // table of septets behind an escape (TS 23.038 §6.2.1.2.2)
}

// index gives the page of a character by all its bits but the lower six.
type index [0x221e>>6 + 1]uint8

// septet looks r up: the septet with bit 8 set, 0 if r is not in the table.
func (x *index) septet(r rune) byte {
	if n := uint32(r) >> 6; n < uint32(len(x)) {
		return pages[x[n]][r&63]
	}
	return 0
}

// tables are the two tables of an alphabet, both ways.
type tables struct {
	locking, single           *table.Table
	lockingIndex, singleIndex *index
}

func (a Alphabet) tables() tables {
	if int(a.Locking) >= len(table.Locking) || table.Locking[a.Locking] == nil {
		a.Locking = Default
	}
	if int(a.Single) >= len(table.Single) {
		a.Single = Default
	}
	return tables{table.Locking[a.Locking], table.Single[a.Single], &lockingIndex[a.Locking], &singleIndex[a.Single]}
}

// Septets says how many septets r takes: 1, 2 with an escape, 0 if the alphabet
// does not have it.
func (a Alphabet) Septets(r rune) int {
	t := a.tables()
	switch {
	case t.lockingIndex.septet(r) != 0:
		return 1
	case t.singleIndex.septet(r) != 0:
		return 2
	}
	return 0
}

// Append appends the septets of s to dst, one to an octet. A character that the
// alphabet does not have is an error that names it and its index in s, in
// octets; dst is then returned as it was.
func (a Alphabet) Append(dst []byte, s string) ([]byte, error) {
	t := a.tables()
	out := dst
	for i, r := range s {
		if v := t.lockingIndex.septet(r); v != 0 {
			out = append(out, v&0x7f)
		} else if v = t.singleIndex.septet(r); v != 0 {
			out = append(out, Escape, v&0x7f)
		} else {
			return dst, fmt.Errorf("gsm7: %U at octet %d of the text is not in the alphabet", r, i)
		}
	}
	return out, nil
}

// Text gives the characters of septets, one to an octet; bit 8 is ignored.
//
// A septet behind an escape that the single shift table does not have stands for
// its character in the locking shift table; an escape behind an escape, an escape
// that ends the text and an empty cell are shown as a space (TS 23.038 §6.2.1.1).
func (a Alphabet) Text(septets []byte) string {
	var buf [3 * 160]byte // what a short message can need
	return string(a.AppendText(buf[:0], septets))
}

// AppendText appends what Text gives to dst, in UTF-8.
func (a Alphabet) AppendText(dst, septets []byte) []byte {
	t := a.tables()
	for i := 0; i < len(septets); i++ {
		v := septets[i] & 0x7f
		c := t.locking[v]
		if v == Escape {
			c = 0
			if i++; i < len(septets) && septets[i]&0x7f != Escape {
				v = septets[i] & 0x7f
				if c = t.single[v]; c == 0 {
					c = t.locking[v]
				}
			}
		}
		if c == 0 {
			c = ' '
		}
		dst = utf8.AppendRune(dst, rune(c))
	}
	return dst
}
