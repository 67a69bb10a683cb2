package sms

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"campanile.network/3gpp/gsm7"
)

// Join gives the text of the parts of one message, in any order; equal ones may
// be repeated. It is an error when one is missing or of another message, and
// when a part has no text.
func Join(parts []Part) (string, error) {
	whole, err := order(parts)
	if err != nil {
		return "", err
	}
	return joinText(whole)
}

// JoinData is Join for octets: the data behind the headers.
func JoinData(parts []Part) ([]byte, error) {
	whole, err := order(parts)
	if err != nil {
		return nil, err
	}
	var b []byte
	for _, p := range whole {
		b = append(b, p.User.Data()...)
	}
	return b, nil
}

// concatenation gives the element of a part's header.
func (p Part) concatenation() (Concatenation, bool) {
	h, _ := p.User.Header()
	return h.Concatenation()
}

// equal says that two parts are the same.
func (p Part) equal(q Part) bool {
	return p.DCS == q.DCS && p.User.HasHeader == q.User.HasHeader && p.User.Length == q.User.Length && bytes.Equal(p.User.Octets, q.User.Octets)
}

// number is where a part stands in its message.
func (p Part) number() uint8 {
	c, _ := p.concatenation()
	return c.Number
}

// order gives the parts of a whole message, one of each.
func order(parts []Part) ([]Part, error) {
	if len(parts) == 0 {
		return nil, errors.New("join: no parts")
	}
	first, ok := parts[0].concatenation()
	if !ok {
		if len(parts) > 1 {
			return nil, errors.New("join: a part belongs to no message of several parts")
		}
		return parts, nil
	}
	sorted := slices.SortedFunc(slices.Values(parts), func(p, q Part) int { return cmp.Compare(p.number(), q.number()) })
	for _, p := range sorted {
		c, ok := p.concatenation()
		c.Number = first.Number
		if !ok || c != first {
			return nil, errors.New("join: parts of different messages")
		}
	}
	whole := slices.CompactFunc(sorted, Part.equal)
	for i, p := range whole {
		if n := int(p.number()); n > i+1 {
			return nil, fmt.Errorf("join: part %d of %d is missing", i+1, first.Total)
		} else if n <= i {
			return nil, fmt.Errorf("join: two different parts %d of %d", n, first.Total)
		}
	}
	if len(whole) < int(first.Total) {
		return nil, fmt.Errorf("join: part %d of %d is missing", len(whole)+1, first.Total)
	}
	return whole, nil
}

var (
	errNoText     = errors.New("user data: 8 bit data, no text")
	errCompressed = errors.New("user data: compressed text (TS 23.042)")
)

// joinText gives the text of parts in their order. Neighbours in the same
// coding are read together: what another implementation has cut in the middle
// of an escape sequence or surrogate pair is whole again.
func joinText(parts []Part) (string, error) {
	var s strings.Builder
	var room [MaxUser * 8 / 7]byte
	for i := 0; i < len(parts); {
		c, a, err := parts[i].coding()
		if err != nil {
			return "", err
		}
		units := room[:0]
		for ; i < len(parts); i++ {
			next, b, err := parts[i].coding()
			if err != nil {
				return "", err
			}
			if next != c || b != a {
				break
			}
			if units, err = parts[i].units(units); err != nil {
				return "", err
			}
		}
		text := ""
		if c == Charset7Bit {
			text = a.Text(units)
		} else {
			text = ucs2Text(units)
		}
		if len(parts) == 1 {
			return text, nil
		}
		s.WriteString(text)
	}
	return s.String(), nil
}

// coding tells how the text of a part is written.
func (p Part) coding() (Charset, gsm7.Alphabet, error) {
	switch {
	case p.DCS.Compressed():
		return 0, gsm7.Alphabet{}, errCompressed
	case p.DCS.Charset() == Charset8Bit:
		return 0, gsm7.Alphabet{}, errNoText
	case p.DCS.Charset() == CharsetUCS2:
		return CharsetUCS2, gsm7.Alphabet{}, nil
	}
	h, _ := p.User.Header()
	return Charset7Bit, h.Alphabet(), nil
}

// units appends the septets or octets of a part's text.
func (p Part) units(dst []byte) ([]byte, error) {
	if p.DCS.septets() {
		return p.User.septets(dst)
	}
	if p.User.header() > len(p.User.Octets) {
		return dst, errHeader
	}
	return append(dst, p.User.Data()...), nil
}
