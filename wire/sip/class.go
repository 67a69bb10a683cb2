package sip

import "math/bits"

// Classes of octets, as RFC 3261 §25.1 has them in its grammar.
const (
	isToken  = 1 << iota
	isUser   // of a user part, unescaped
	isPass   // of a password, unescaped
	isParam  // of a URI parameter, unescaped
	isURIHdr // of a header in a URI, unescaped
	isHost
	isValue // of a parameter of a header field that is not quoted, as peers write them
	isOpaque
	isSlash
	isTel // of a telephone number, unescaped
)

var class = classes()

func classes() (t [256]uint16) {
	set := func(bits uint16, chars string) {
		for _, c := range []byte(chars) {
			t[c] |= bits
		}
	}
	const alphanum = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	set(isToken, alphanum+"-.!%*_+`'~")
	const unreserved = alphanum + "-_.!~*'()"
	set(isUser, unreserved+"&=+$,;?/#") // '#': OpenBTS dials *100# so
	set(isPass, unreserved+"&=+$,")
	set(isParam, unreserved+"[]/:&+$")
	set(isURIHdr, unreserved+"[]/?:+$")
	set(isHost, alphanum+"-._") // '_': not of DNS, but of many hosts' names
	set(isSlash, "/")
	set(isTel, "0123456789abcdefABCDEF+-.()*#")
	for c := 0x21; c < 0x100; c++ {
		if c == 0x7f {
			continue
		}
		t[c] |= isValue
		if c < 0x80 {
			t[c] |= isOpaque
		}
	}
	for _, c := range []byte(`;,"<>\`) {
		t[c] &^= isValue
	}
	for _, c := range []byte("\"<>\\^`{|}") {
		t[c] &^= isOpaque
	}
	return t
}

// all reports whether s has octets of a class only; true if there are none.
func all(s string, bits uint16) bool {
	for i := range len(s) {
		if class[s[i]]&bits == 0 {
			return false
		}
	}
	return true
}

// token reports whether s is a token.
func token(s string) bool { return s != "" && all(s, isToken) }

// control is the place of the first control character other than a tab, or -1.
func control(s string) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := s[i : i+8]
		v := uint64(w[0]) | uint64(w[1])<<8 | uint64(w[2])<<16 | uint64(w[3])<<24 | uint64(w[4])<<32 | uint64(w[5])<<40 | uint64(w[6])<<48 | uint64(w[7])<<56
		// The high bit of an octet is set where it is below 0x20 or is 0x7f. A borrow
		// may set more of them behind the first, but not before it.
		del := v ^ 0x7f*ones
		if m := ((v-0x20*ones)&^v | (del-ones)&^del) & high; m != 0 {
			i += bits.TrailingZeros64(m) / 8
			if s[i] != '\t' {
				return i
			}
			i -= 7 // behind the tab
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return i
		}
	}
	return -1
}
