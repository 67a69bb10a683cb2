package s1ap

import (
	"bytes"
	"strings"
	"testing"

	"campanile.network/3gpp/internal/testkit"
)

// drawn is a message that pycrate encoded: its name, octets, and some of the
// values in it by name in the ASN.1.
type drawn struct {
	name   string
	pdu    []byte
	values map[string]string
}

// pycrate reads what pycrate encoded.
func pycrate(t testing.TB) []drawn {
	t.Helper()
	var all []drawn
	for _, w := range testkit.Rows(t, "testdata/pycrate-s1ap.txt") {
		d := drawn{name: w[0], pdu: testkit.Unhex(t, w[1]), values: map[string]string{}}
		for _, v := range w[2:] {
			name, value, _ := strings.Cut(v, "=")
			d.values[name] = value
		}
		all = append(all, d)
	}
	return all
}

// TestStrangerPycrate reads what pycrate, whose S1AP comes from 3GPP's ASN.1 by
// a compiler of its own, made of values of its own, sees those values and writes
// the same octets.
func TestStrangerPycrate(t *testing.T) {
	messages := map[string]int{}
	for _, d := range pycrate(t) {
		p, err := Parse(d.pdu)
		if err != nil || typeName(p.Message.Header().Name) != d.name {
			t.Errorf("%s: %v\n%x", d.name, err, d.pdu)
			continue
		}
		messages[d.name]++
		if b, err := p.Append(nil); err != nil || !bytes.Equal(b, d.pdu) {
			t.Errorf("%s written again (%v):\n%x\nwas\n%x", d.name, err, b, d.pdu)
		}
		v := viewOf(p.Message, func(string) bool { return true })
		for name, want := range d.values {
			if got := strings.Join(v.values[name], ","); got != want {
				t.Errorf("%s: %s is %s, pycrate wrote %s\n%x", d.name, name, got, want, d.pdu)
			}
		}
	}
	for _, m := range allMessages() {
		if name := typeName(m.Header().Name); messages[name] < 2 {
			t.Errorf("%d instances of %s", messages[name], name)
		}
	}
}
