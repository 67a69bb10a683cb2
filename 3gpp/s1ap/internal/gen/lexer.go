package main

import "fmt"

// token is a word, number or punctuation mark of ASN.1 with its line.
type token struct {
	text string
	line int
}

// lex splits ASN.1 text into tokens; comments are dropped. A comment runs from
// "--" to the next "--" or the end of the line.
func lex(src []byte) ([]token, error) {
	var out []token
	line := 1
	for i := 0; i < len(src); {
		c := src[i]
		switch {
		case c == '\n':
			line++
			i++
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case hasAt(src, i, "--"):
			for i += 2; i < len(src) && src[i] != '\n'; i++ {
				if hasAt(src, i, "--") {
					i += 2
					break
				}
			}
		case isWord(c) || c == '&' || c == '@':
			j := i + 1
			for j < len(src) && (isWord(src[j]) || src[j] == '-' && j+1 < len(src) && isWord(src[j+1])) {
				j++
			}
			out = append(out, token{string(src[i:j]), line})
			i = j
		default:
			n := 0
			for _, p := range []string{"::=", "...", "..", "{", "}", "(", ")", ",", "|", ":", ";", ".", "[", "]", "-"} {
				if hasAt(src, i, p) {
					n = len(p)
					break
				}
			}
			if n == 0 {
				return nil, fmt.Errorf("line %d: unexpected %q", line, c)
			}
			out = append(out, token{string(src[i : i+n]), line})
			i += n
		}
	}
	return out, nil
}

func hasAt(src []byte, i int, s string) bool {
	return len(src)-i >= len(s) && string(src[i:i+len(s)]) == s
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
