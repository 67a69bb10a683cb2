package sms

import (
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
// It takes the coding that needs the fewest parts: the default alphabet, then
// national tables, then UCS-2. Neither an escape sequence nor a surrogate pair
// is cut. Octets that are no UTF-8 become U+FFFD. More than 255 parts, or a
// header that leaves no room, is an error.
func Split(text string, o SplitOptions) ([]Part, error) {
	text = strings.ToValidUTF8(text, "\uFFFD")
	var best []Part
	var failed error
	try := func(c coding) {
		parts, err := c.split(text, o)
		if err != nil {
			failed = err
		} else if best == nil || len(parts) < len(best) {
			best = parts
		}
	}
	if !o.UCS2 {
		if fits(gsm7.Alphabet{}, text) {
			try(coding{septets: true})
		}
		if a, ok := gsm7.Choose(text); o.National && ok && a != (gsm7.Alphabet{}) {
			try(coding{septets: true, alphabet: a})
		}
	}
	if len(best) != 1 {
		try(coding{dcs: DCSUCS2})
	}
	if best == nil {
		return nil, failed
	}
	return best, nil
}

// SplitData makes parts of octets, as 8 bit data.
func SplitData(data []byte, o SplitOptions) ([]Part, error) {
	c := coding{dcs: DCS8Bit, octets: true}
	return c.split(string(data), o)
}

func fits(a gsm7.Alphabet, text string) bool {
	for _, r := range text {
		if a.Septets(r) == 0 {
			return false
		}
	}
	return true
}

// A coding is a way to write a text: in septets, in octets, or in UCS-2.
type coding struct {
	dcs      DCS
	septets  bool
	octets   bool
	alphabet gsm7.Alphabet
}

// split cuts s into parts.
func (c coding) split(s string, o SplitOptions) ([]Part, error) {
	if !o.Header.valid() {
		return nil, fmt.Errorf("split: the header is malformed")
	}
	var pieces [1]string
	cut, err := c.cut(pieces[:0], s, c.room(o.Header))
	if err == nil && len(cut) == 1 {
		p, err := c.part(cut[0], o, o.Header)
		return []Part{p}, err
	}
	at := Concatenation{Reference: o.Reference, Wide: o.Wide, Total: 1, Number: 1}
	if cut, err = c.cut(nil, s, c.room(o.Header.WithConcatenation(at))); err != nil {
		return nil, err
	}
	at.Total = uint8(len(cut))
	parts := make([]Part, len(cut))
	for i, piece := range cut {
		at.Number = uint8(i + 1)
		if parts[i], err = c.part(piece, o, UDH(nil).WithConcatenation(at).with(o.Header)); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// with gives h with the elements of more behind it.
func (h UDH) with(more UDH) UDH { return append(h, more...) }

// room is how many septets or octets a part has behind a header.
func (c coding) room(h UDH) int {
	h = h.WithAlphabet(c.alphabet)
	n := len(h)
	if n > 0 {
		n++
	}
	if c.septets {
		return (MaxUser - n) * 8 / 7
	}
	return MaxUser - n
}

// cut appends the pieces of s that take no more than room each.
func (c coding) cut(pieces []string, s string, room int) ([]string, error) {
	for begin := 0; ; {
		end, used := begin, 0
		for end < len(s) {
			size, cost := c.next(s[end:])
			if used+cost > room {
				break
			}
			end, used = end+size, used+cost
		}
		if end == begin && begin < len(s) {
			return nil, fmt.Errorf("split: the header leaves no room for text")
		}
		if len(pieces) == maxParts {
			return nil, fmt.Errorf("split: more than %d parts", maxParts)
		}
		pieces = append(pieces, s[begin:end])
		if begin = end; begin == len(s) {
			return pieces, nil
		}
	}
}

// next says how long the first character of s is, in octets of s, and what it
// takes of the room.
func (c coding) next(s string) (size, cost int) {
	if c.octets {
		return 1, 1
	}
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case c.septets:
		return size, c.alphabet.Septets(r)
	case r > 0xffff:
		return size, 4
	}
	return size, 2
}

func (c coding) part(s string, o SplitOptions, h UDH) (Part, error) {
	p := Part{DCS: c.dcs}
	if o.Class.OK {
		p.DCS = p.DCS.WithClass(o.Class.V)
	}
	var err error
	switch {
	case c.septets:
		p.User, err = New7Bit(h, c.alphabet, s)
	case c.octets:
		p.User, err = New8Bit(h, []byte(s))
	default:
		p.User, err = NewUCS2(h, s)
	}
	return p, err
}
