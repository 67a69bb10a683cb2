package sms

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"campanile.network/3gpp/internal/testkit"
)

var unhex = testkit.Unhex

// A golden is octets that others made.
type golden struct {
	origin string
	kind   kind
	pdu    []byte
	value  string // the text (t) or data (x) in it, in hex
}

// goldens reads the files, and takes apart what carries others.
func goldens(tb testing.TB) []golden {
	tb.Helper()
	var all []golden
	for origin, name := range map[string]string{"pycrate": "pycrate-sms.txt", "phones": "pycrate-test-cp.txt"} {
		for _, w := range testkit.Rows(tb, "testdata/"+name) {
			if len(w) != 3 {
				tb.Fatalf("%s: %q", name, w)
			}
			all = append(all, nested(tb, golden{origin, kindNamed(tb, strings.ReplaceAll(w[0], "_", " ")), unhex(tb, w[1]), w[2]})...)
		}
	}
	for _, w := range testkit.Rows(tb, "testdata/published-pdus.txt") {
		_, tpdu, err := ParseCentre(unhex(tb, w[1]))
		if err != nil {
			tb.Fatal(w, err)
		}
		all = append(all, golden{"published", kindNamed(tb, w[0]), tpdu, "t" + hex.EncodeToString([]byte(strings.Join(w[3:], " ")))})
	}
	return all
}

func kindNamed(tb testing.TB, name string) kind {
	tb.Helper()
	for _, k := range kinds() {
		if k.name == name {
			return k
		}
	}
	tb.Fatalf("no message %q", name)
	return kind{}
}

// nested gives g and what it carries.
func nested(tb testing.TB, g golden) []golden {
	tb.Helper()
	m, err := g.kind.parse(g.pdu)
	if err != nil {
		tb.Fatalf("%s %x: %v", g.kind.name, g.pdu, err)
	}
	var user []byte
	name := ""
	switch m := m.(type) {
	case *CPData:
		user = m.User
		rp := must(m.RP())
		name = rp.MessageType().String()
		if dir, _ := RPDirection(user); name != "RP-SMMA" {
			name += ", " + dir.String()
		}
	case *RPData:
		user, name = m.User, must(m.TPDU()).MessageType().String()
	case *RPAck:
		if user = m.User; user != nil {
			name = must(m.TPDU()).MessageType().String() + " for RP-ACK"
		}
	case *RPError:
		if user = m.User; user != nil {
			name = must(m.TPDU()).MessageType().String() + " for RP-ERROR"
		}
	}
	if user == nil {
		return []golden{g}
	}
	return append([]golden{g}, nested(tb, golden{g.origin, kindNamed(tb, name), user, g.value})...)
}

// TestGoldens: what others wrote is read, with the same text or data, and
// written again unchanged.
func TestGoldens(t *testing.T) {
	all := goldens(t)
	if len(all) < 250 {
		t.Errorf("%d goldens", len(all))
	}
	for _, g := range all {
		m, err := g.kind.parse(g.pdu)
		if err != nil {
			t.Errorf("%s %x: %v", g.kind.name, g.pdu, err)
			continue
		}
		if out, err := Append(nil, m); err != nil || !bytes.Equal(out, g.pdu) {
			t.Errorf("%s: %v\n got %x\nwant %x", g.kind.name, err, out, g.pdu)
		}
		_, dcs, user := inside(m)
		got := "t"
		if dcs.Charset() == Charset8Bit {
			got = "x" + hex.EncodeToString(user.Data())
		} else if s, err := user.Text(dcs); err == nil {
			got = "t" + hex.EncodeToString([]byte(s))
		}
		if dcs.septets() && g.origin == "pycrate" { // it fills seven spare bits with a carriage return that it counts, as USSD does
			got = strings.TrimSuffix(got, "0d")
		}
		if got != g.value {
			t.Errorf("%s %x: %s, want %s", g.kind.name, g.pdu, got, g.value)
		}
	}
}

// TestPublished: numbers and service centres of published messages.
func TestPublished(t *testing.T) {
	for _, w := range testkit.Rows(t, "testdata/published-pdus.txt") {
		centre, tpdu, err := ParseCentre(unhex(t, w[1]))
		if err != nil {
			t.Errorf("%s: %v", w[1], err)
			continue
		}
		m, err := kindNamed(t, w[0]).parse(tpdu)
		if err != nil {
			t.Errorf("%s: %v", w[1], err)
			continue
		}
		var number string
		switch m := m.(type) {
		case *Deliver:
			number = m.Originator.Number()
		case *Submit:
			number = m.Destination.Number()
		case *StatusReport:
			number = m.Recipient.Number()
		}
		if number != w[2] {
			t.Errorf("%s: number %s, want %s", w[1], number, w[2])
		}
		if out, err := Append(AppendCentre(nil, centre), m); err != nil || !strings.EqualFold(hex.EncodeToString(out), w[1]) {
			t.Errorf("%s: %x, %v", w[1], out, err)
		}
	}
}
