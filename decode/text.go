package decode

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	errOdd    = errors.New("an odd number of hexadecimal digits")
	errDigits = errors.New("neither hexadecimal digits nor base64")
)

// unwritten are the things people write between hexadecimal digits: those of C,
// Go, Python and Wireshark.
var unwritten = strings.NewReplacer("0x", "", "0X", "", `\x`, "", " ", "", "\t", "", ":", "", ",", "", "-", "", "{", "", "}", "", `"`, "", "'", "", ";", "")

// octets reads a line as hex or base64, as input says: auto, hex or base64.
// Digits that can be both are hex.
func octets(line, input string) (b []byte, took string, err error) {
	if input != "base64" {
		b, err = fromHex(line)
		if err == nil || input == "hex" {
			return b, "hex", err
		}
	}
	if b64, ok := fromBase64(line); ok {
		if input == "auto" && errors.Is(err, errOdd) {
			return nil, "", fmt.Errorf("%w; --input base64 if it is that", errOdd)
		}
		return b64, "base64", nil
	}
	if input == "base64" {
		return nil, "", errors.New("not base64")
	}
	if errors.Is(err, errOdd) {
		return nil, "", err
	}
	return nil, "", errDigits
}

func fromHex(line string) ([]byte, error) {
	digits := unwritten.Replace(line)
	b, err := hex.DecodeString(digits)
	switch {
	case errors.Is(err, hex.ErrLength):
		return nil, errOdd
	case err != nil || len(b) == 0:
		return nil, errors.New("not hexadecimal digits")
	}
	return b, nil
}

func fromBase64(line string) ([]byte, bool) {
	line = strings.TrimRight(strings.TrimSpace(line), "=")
	enc := base64.RawStdEncoding
	if strings.ContainsAny(line, "-_") {
		enc = base64.RawURLEncoding
	}
	b, err := enc.DecodeString(line)
	return b, err == nil && len(b) > 0
}

// dumpLine reads a line of a hex dump: an offset, octets, perhaps the same as
// characters, as xxd, hexdump -C, tcpdump -x, od and Wireshark write it. ok is
// false for a line that is none.
func dumpLine(line string) (offset int, b []byte, ok bool) {
	line = strings.ReplaceAll(strings.TrimSpace(line), "\t", "   ")
	at, rest, found := strings.Cut(line, " ")
	at, colon := strings.CutSuffix(strings.TrimPrefix(at, "0x"), ":")
	n, err := strconv.ParseUint(at, 16, 31)
	od := len(at) >= 6 && len(rest) >= 2 && strings.IndexByte(rest+" ", ' ') == 2
	if err != nil || len(at) < 4 || !found || !colon && !od && !strings.HasPrefix(rest, " ") {
		return 0, nil, false
	}
	rest = strings.TrimLeft(rest, " ")
	for len(b) < 16 && rest != "" {
		group, more, _ := strings.Cut(rest, " ")
		o, err := hex.DecodeString(group)
		if err != nil || len(o) > 4 {
			break
		}
		b = append(b, o...)
		if strings.HasPrefix(more, "  ") { // three blanks: characters follow
			break
		}
		rest = strings.TrimLeft(more, " ")
	}
	return int(n), b, len(b) > 0 || rest == ""
}

// isText reports whether the beginning of an input is one of people's writing:
// UTF-8, perhaps cut off in a character.
func isText(b []byte) bool {
	for len(b) > 0 {
		c, n := utf8.DecodeRune(b)
		if c == utf8.RuneError && utf8.FullRune(b) || c < ' ' && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			return false
		}
		b = b[n:]
	}
	return true
}
