package main

import "strings"

// overrides names what the rule of goName would name ambiguously: ECGIList and
// ECGI-List differ only in the hyphen.
var overrides = map[string]string{
	"ECGI-List": "ECGIListOfENB",
}

// goName is the Go form of an ASN.1 name: hyphens go, each part starts with a
// capital letter, nothing else changes.
func goName(asn string) string {
	if n, ok := overrides[asn]; ok {
		return n
	}
	var b strings.Builder
	for part := range strings.SplitSeq(asn, "-") {
		if part != "" {
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}

// lowerName is goName with a small first letter, for package-level tables.
func lowerName(asn string) string {
	n := goName(asn)
	return strings.ToLower(n[:1]) + n[1:]
}

// ieField is the field name of an IE: that of its id, spelled as its type where
// the two differ in case only (id-uEaggregateMaximumBitrate).
func ieField(d ieDef) string {
	n := goName(strings.TrimPrefix(d.id, "id-"))
	if t := goName(d.typ); strings.EqualFold(n, t) {
		return t
	}
	return n
}
