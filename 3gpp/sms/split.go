package sms

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"campanile.network/3gpp/gsm7"
)

// A Part is the user data of one short message with the coding it is in: what a
// Deliver or Submit needs of a text.
type Part struct {
	DCS  DCS
	User UserData
}

// Part gives m's part of a text.
func (m *Deliver) Part() Part { return Part{m.DCS, m.User} }

// Part gives m's part of a text.
func (m *Submit) Part() Part { return Part{m.DCS, m.User} }

// SplitOptions say how Split writes a text. The zero value is good for tests
// alone: the reference of a message of several parts has to differ from those
// that the same phone has got from the same sender lately.
type SplitOptions struct {
	Reference uint16     // of a message of several parts; its low 8 bits without Wide
	Wide      bool       // 16 bits of reference
	National  bool       // national language tables are allowed; not every phone has them
	UCS2      bool       // UCS-2 even where fewer octets would do
	Class     Opt[Class] // message class
	Header    UDH        // further elements of each part, such as Ports
}

// maxParts is how many parts a message may have (TS 23.040 §9.2.3.24.1).
const maxParts = 255

// Split makes parts of text, one without a concatenation element if it fits.
// It writes the default alphabet, or national tables where those are allowed
// and needed or save a part, or else UCS-2. Neither an escape sequence nor a
// surrogate pair is cut. Octets that are no UTF-8 become U+FFFD. More than 255
// parts, or a header that leaves no room, is an error.
func Split(text string, o SplitOptions) ([]Part, error) {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if o.UCS2 {
		return coding{dcs: DCSUCS2}.split(text, o)
	}
	best, err := coding{dcs: DCS7Bit}.plan(text, o)
	if o.National && (err != nil || len(best.pieces) > 1) {
		if a, ok := gsm7.Choose(text); ok && a != (gsm7.Alphabet{}) {
			other, err2 := coding{dcs: DCS7Bit, alphabet: a}.plan(text, o)
			if err2 == nil && (err != nil || len(other.pieces) < len(best.pieces)) {
				best, err = other, nil
			}
		}
	}
	if errors.Is(err, errNoCoding) {
		return coding{dcs: DCSUCS2}.split(text, o)
	}
	if err != nil {
		return nil, err
	}
	return best.parts(o)
}

var errNoCoding = errors.New("split: no 7 bit alphabet has all characters")

// SplitData makes parts of octets, as 8 bit data.
func SplitData(data []byte, o SplitOptions) ([]Part, error) {
	return coding{dcs: DCS8Bit}.split(string(data), o)
}

// A coding is a way to write a text.
type coding struct {
	dcs      DCS           // DCS7Bit, DCS8Bit or DCSUCS2
	alphabet gsm7.Alphabet // of DCS7Bit
}

// A plan is where to cut a text.
type plan struct {
	coding
	header UDH // of every part, but for its number
	number int // index of the number in it; of no meaning for one part
	pieces []string
}

func (c coding) split(s string, o SplitOptions) ([]Part, error) {
	p, err := c.plan(s, o)
	if err != nil {
		return nil, err
	}
	return p.parts(o)
}

// plan cuts s into pieces, one if it fits.
func (c coding) plan(s string, o SplitOptions) (plan, error) {
	p := plan{coding: c, header: o.Header.WithAlphabet(c.alphabet)}
	if !o.Header.valid() {
		return p, errors.New("split: the header is malformed")
	}
	if end, err := c.cut(s, c.room(p.header)); errors.Is(err, errNoCoding) {
		return p, err
	} else if end == len(s) {
		p.pieces = []string{s}
		return p, nil
	}
	at := UDH(nil).WithConcatenation(Concatenation{Reference: o.Reference, Wide: o.Wide})
	p.number = len(at) - 1
	p.header = append(at, p.header...)
	room := c.room(p.header)
	p.pieces = make([]string, 0, len(s)/MaxUser+2)
	for len(s) > 0 {
		end, err := c.cut(s, room)
		if err != nil {
			return p, err
		}
		if len(p.pieces) == maxParts {
			return p, fmt.Errorf("split: more than %d parts", maxParts)
		}
		p.pieces, s = append(p.pieces, s[:end]), s[end:]
	}
	p.header[p.number-1] = uint8(len(p.pieces))
	return p, nil
}

// room is how many septets or octets a part has behind a header.
func (c coding) room(h UDH) int {
	n := len(h)
	if n > 0 {
		n++
	}
	if c.dcs == DCS7Bit {
		return (MaxUser - n) * 8 / 7
	}
	return MaxUser - n
}

// cut tells how much of s takes no more than room. It fails if the coding does
// not have a character, and if there is no room for one.
func (c coding) cut(s string, room int) (int, error) {
	end := 0
	for end < len(s) {
		size, cost := c.next(s[end:])
		if cost == 0 {
			return 0, errNoCoding
		}
		if room -= cost; room < 0 {
			break
		}
		end += size
	}
	if end == 0 && s != "" {
		return 0, errors.New("split: the header leaves no room for text")
	}
	return end, nil
}

// next says how long the first character of s is, in octets of s, and what it
// takes of the room.
func (c coding) next(s string) (size, cost int) {
	if c.dcs == DCS8Bit {
		return 1, 1
	}
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case c.dcs == DCS7Bit:
		return size, c.alphabet.Septets(r)
	case r > 0xffff:
		return size, 4
	}
	return size, 2
}

// parts writes the pieces.
func (p plan) parts(o SplitOptions) ([]Part, error) {
	dcs := p.dcs
	if o.Class.OK {
		dcs = dcs.WithClass(o.Class.V)
	}
	parts := make([]Part, len(p.pieces))
	for i, piece := range p.pieces {
		if len(p.pieces) > 1 {
			p.header[p.number] = uint8(i + 1)
		}
		u, err := p.user(p.header, piece)
		if err != nil {
			return nil, err
		}
		parts[i] = Part{dcs, u}
	}
	return parts, nil
}

// user writes s behind a header that names the alphabet.
func (c coding) user(h UDH, s string) (UserData, error) {
	switch c.dcs {
	case DCS7Bit:
		return newSeptets(h, c.alphabet, s)
	case DCS8Bit:
		return New8Bit(h, []byte(s))
	}
	return NewUCS2(h, s)
}
