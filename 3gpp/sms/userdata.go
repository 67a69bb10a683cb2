package sms

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"campanile.network/3gpp/gsm7"
	"campanile.network/3gpp/tree"
)

// MaxUser is how many octets of user data an SMS-DELIVER or SMS-SUBMIT has at
// most, header included; 160 septets fill them (TS 23.040 §9.2.3.24).
const MaxUser = 140

// UserData is TP-User-Data with its length and TP-User-Data-Header-Indicator
// (TS 23.040 §9.2.3.24), as it stands in the message: what it means depends on
// the message's DCS.
type UserData struct {
	HasHeader bool   // TP-UDHI: Octets begins with a header
	Length    uint8  // TP-UDL: septets where the DCS says 7 bit uncompressed, else octets
	Octets    []byte // TP-UD
}

// New7Bit makes the user data of a text in alphabet a, whose tables the header
// names, behind further elements.
func New7Bit(h UDH, a gsm7.Alphabet, text string) (UserData, error) {
	return newSeptets(h.WithAlphabet(a), a, text)
}

// newSeptets is New7Bit for a header that names the tables.
func newSeptets(h UDH, a gsm7.Alphabet, text string) (UserData, error) {
	var room [MaxUser * 8 / 7]byte
	septets, err := a.Append(room[:0], text)
	if err != nil {
		return UserData{}, err
	}
	return packSeptets(h, septets)
}

// packSeptets makes user data of septets behind a header and its fill bits.
func packSeptets(h UDH, septets []byte) (UserData, error) {
	b, err := beginUser(h, len(septets)*7/8+2)
	if err != nil {
		return UserData{}, err
	}
	fill := gsm7.Fill(len(b))
	length := (len(b)*8+fill)/7 + len(septets)
	if length > 255 {
		return UserData{}, fmt.Errorf("user data: %d septets have no length", length)
	}
	return UserData{len(h) > 0, uint8(length), orNil(gsm7.Pack(b, septets, fill))}, nil
}

// NewUCS2 makes the user data of a text in UCS-2; characters beyond it are
// surrogate pairs.
func NewUCS2(h UDH, text string) (UserData, error) {
	b, err := beginUser(h, len(text)*2)
	return userOctets(h, appendUCS2(b, text), err)
}

// New8Bit makes user data of octets.
func New8Bit(h UDH, data []byte) (UserData, error) {
	b, err := beginUser(h, len(data))
	return userOctets(h, append(b, data...), err)
}

func userOctets(h UDH, b []byte, err error) (UserData, error) {
	if err == nil && len(b) > 255 {
		err = fmt.Errorf("user data: %d octets have no length", len(b))
	}
	if err != nil {
		return UserData{}, err
	}
	return UserData{len(h) > 0, uint8(len(b)), orNil(b)}, nil
}

// orNil makes no octets nil, as parsers do.
func orNil(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}

// beginUser begins user data with a header, of no octets if there is none,
// and room for so many more.
func beginUser(h UDH, room int) ([]byte, error) {
	b := make([]byte, 0, len(h)+1+min(room, MaxUser))
	if len(h) == 0 {
		return b, nil
	}
	if len(h) > 255 || !h.valid() {
		return b, fmt.Errorf("user data header: %d octets are no information elements", len(h))
	}
	return append(append(b, byte(len(h))), h...), nil
}

var errHeader = errors.New("user data header: longer than the user data")

// Header gives the information elements; none if there is no header. It is
// malformed if false: the message is read as if no element were there, and as
// if all of it were header if that has no end (TS 23.040 §9.2.3.24).
func (u UserData) Header() (UDH, bool) {
	n := u.header()
	if n == 0 {
		return nil, true
	}
	if n > len(u.Octets) {
		return nil, false
	}
	h := UDH(u.Octets[1:n])
	if !h.valid() {
		return nil, false
	}
	return h, true
}

// header is how many octets the header has, its length included.
func (u UserData) header() int {
	if !u.HasHeader || len(u.Octets) == 0 {
		return 0
	}
	return 1 + int(u.Octets[0])
}

// Data gives the octets behind the header, which Text does not read: those of 8
// bit data and of compressed text.
func (u UserData) Data() []byte { return u.Octets[min(u.header(), len(u.Octets)):] }

// Text gives the text behind the header. It fails for 8 bit data and for
// compressed text; surrogates without a pair are shown as U+FFFD.
func (u UserData) Text(d DCS) (string, error) { return joinText([]Part{{DCS: d, User: u}}) }

// septets appends the septets behind the header to dst, one to an octet.
func (u UserData) septets(dst []byte) ([]byte, error) {
	n := u.header()
	fill := gsm7.Fill(n)
	count := int(u.Length) - (n*8+fill)/7
	if n > len(u.Octets) || count < 0 {
		return dst, errHeader
	}
	return gsm7.Unpack(dst, u.Octets[n:], fill, count)
}

func appendUCS2(dst []byte, text string) []byte {
	for _, r := range text {
		if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
			dst = binary.BigEndian.AppendUint16(dst, uint16(hi))
			r = lo
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(r))
	}
	return dst
}

// ucs2Text reads UTF-16. An odd octet at the end is ignored.
func ucs2Text(b []byte) string {
	var s strings.Builder
	s.Grow(len(b))
	for ; len(b) >= 2; b = b[2:] {
		r := rune(binary.BigEndian.Uint16(b))
		if utf16.IsSurrogate(r) {
			low := rune(utf8.RuneError)
			if len(b) >= 4 {
				low = rune(binary.BigEndian.Uint16(b[2:]))
			}
			if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
				b = b[2:]
			}
		}
		s.WriteRune(r)
	}
	return s.String()
}

// userData is the length and user data of at most limit octets.
func (w *walker) userData(name string, d DCS, u *UserData, limit int) {
	switch w.mode {
	case reading:
		at := w.pos
		n := w.take(name, 1)
		if n == nil {
			return
		}
		size := d.octets(n[0])
		if size > limit {
			w.fail(name+"-Length", at, "%d octets, want at most %d", size, limit)
			return
		}
		*u = UserData{w.b[0]&udhi != 0, n[0], clone(w.take(name, size))}
	case writing:
		if size := d.octets(u.Length); size > limit || size != len(u.Octets) {
			w.fail(name, len(w.b)-w.start, "%d octets, the length says %d, at most %d", len(u.Octets), size, limit)
			return
		}
		w.b = append(w.b, u.Length)
		w.b = append(w.b, u.Octets...)
	case showing:
		w.showUserData(name, d, u)
	}
	if u.HasHeader {
		w.head |= udhi
	}
}

// udhi is TP-User-Data-Header-Indicator in the first octet.
const udhi = 0x40

func (w *walker) showUserData(name string, d DCS, u *UserData) {
	w.leaf("TP-User-Data-Header-Indicator", u.HasHeader)
	w.leaf(name+"-Length", u.Length)
	if u.HasHeader {
		h, ok := u.Header()
		header := tree.Branch("TP-User-Data-Header")
		for iei, data := range h.All() {
			header.Nodes = append(header.Nodes, element(iei, data))
		}
		if !ok {
			header.Nodes = append(header.Nodes, tree.Leaf("problem", "malformed, ignored"))
		}
		w.nodes = append(w.nodes, header)
	}
	if s, err := u.Text(d); err == nil {
		w.masked(name, s, fmt.Sprintf("text of %d characters", utf8.RuneCountInString(s)))
		return
	}
	data := u.Data()
	w.masked(name, data, octets(len(data)))
}
