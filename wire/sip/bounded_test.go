package sip

import (
	"runtime"
	"strings"
	"testing"
)

// TestBounded: a datagram as large as they come costs no more than a small
// multiple of its size in memory, whatever it repeats.
func TestBounded(t *testing.T) {
	const size = 65000
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	for name, text := range map[string]string{
		"addresses":               with("From", "Contact: "+fill("<sip:a>,")+"<sip:a>\nFrom"),
		"addresses with escapes":  with("From", "Contact: "+fill("<sip:%61@a;%61=%61>,")+"<sip:a>\nFrom"),
		"addresses in lines":      with("From", fill("m:sip:a\n")+"From"),
		"parameters":              with("tag=1", "tag=1"+fill(";a")),
		"parameters with escapes": with("<sip:u@h>", "<sip:u@h"+fill(";%61=%61")+">"),
		"headers of a URI":        with("<sip:u@h>", "<sip:u@h?a=%61"+fill("&a=%61")+">"),
		"escapes":                 with("<sip:u@h>", "<sip:"+fill("%61")+"@h>"),
		"escapes in quotes":       with("<sip:u@h>", `"`+fill(`\a`)+`" <sip:u@h>`),
		"quotes":                  with("<sip:u@h>", fill(`"`)+"<sip:u@h>"),
		"brackets":                with("<sip:u@h>", fill("<")),
		"vias":                    with("Via: ", "Via: "+fill("SIP/2.0/UDP h,")),
		"vias in lines":           with("From", fill("v:SIP/2.0/UDP h\n")+"From"),
		"fields":                  with("From", fill("a:\n")+"From"),
		"folds":                   with("From", "a:"+fill("\n ")+"\nFrom"),
		"folds in fields":         with("From", fill("a:\n b\n")+"From"),
		"tabs":                    with("From", "a:"+fill("\t")+"b\nFrom"),
		"carriage returns":        with("From", "a:"+fill("\r")+"b\nFrom"),
		"line ends":               fill("\n") + simple,
		"a body":                  strings.TrimSuffix(simple, "Content-Length: 0\n\n") + "\n" + fill("x"),
		"a host":                  with("<sip:u@h>", "<sip:["+fill(":")+"]>"),
		"a number":                with("CSeq: 1", "CSeq: "+fill("1")),
		"colons":                  with("<sip:u@h>", "<sip:u@[1"+fill(":::")+"]>"),
	} {
		b := lines(text)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		m, err := Parse(b, false)
		if err == nil {
			_, err = m.Bytes()
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 8*uint64(len(b)) {
			t.Errorf("%s: %d octets cost %d octets of memory (%v)", name, len(b), used, err)
		}
	}
}
