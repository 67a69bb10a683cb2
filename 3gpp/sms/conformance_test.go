package sms

import (
	"fmt"
	"strings"
	"testing"

	"campanile.network/3gpp/internal/conformance"
)

// TestConformance establishes what docs/conformance.md says of short messages.
func TestConformance(t *testing.T) {
	made := map[string]map[string]int{}
	for _, g := range goldens(t) {
		if made[g.kind.name] == nil {
			made[g.kind.name] = map[string]int{}
		}
		made[g.kind.name][g.origin]++
	}
	read, why, fields := tsharkReads(t)
	text := fmt.Sprintf(`Random instances have every data coding scheme, protocol identifier, type of address and form of validity, user data headers with
typed and unknown elements, and texts in all alphabets; every TPDU stands in an RPDU of its own direction, and every RPDU in CP-DATA too.
Octets behind the fields and reserved bits are kept and written again. What tshark shows of %d fields is compared with what was put
there. An exception is where tshark 4.0 has another view; the test fails when one is no longer needed:

`, fields) + conformance.Notes(why) + `
Goldens: *phones* are messages of phones and networks in pycrate's test suite, alone and as they stand in each other; *pycrate* octets
that this Python library wrote, with text or data compared; *published* messages in PDU mode that introductions to SMS print.
warthog618/sms reads and writes the same values and octets in random instances of all TPDUs it knows, and joins and splits the same
texts, with exceptions that warthog_test.go names; tshark joins the parts of a split text to the same text.
`
	var rows []conformance.Row
	for _, k := range kinds() {
		row := conformance.Row{Message: k.name, Clause: k.clause, Fuzz: "FuzzParse"}
		n := fmt.Sprint(roundTrips(t, k))
		row.Parse, row.Append = n, n
		switch {
		case strings.HasPrefix(k.name, "CP"):
			row.Fuzz = "FuzzParseCP"
		case strings.HasPrefix(k.name, "RP"):
			row.Fuzz = "FuzzParseRP"
		}
		row.Tshark = read[k.name]
		var golden []string
		for _, origin := range []string{"phones", "pycrate", "published"} {
			if n := made[k.name][origin]; n > 0 {
				golden = append(golden, fmt.Sprintf("%s %d", origin, n))
			}
		}
		row.Golden = strings.Join(golden, ", ")
		rows = append(rows, row)
	}
	conformance.Check(t, "sms", text, rows)
}
