package sms

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"campanile.network/3gpp/gsm7"
	"campanile.network/3gpp/tree"
)

// TestTree: a short message as a phone sends it over NAS, whole and masked.
func TestTree(t *testing.T) {
	m := &CPData{TI: TI{Value: 1}, User: must(Append(nil, &RPData{Reference: 42, Destination: must(NewAddress("+447785016005")),
		User: must(Append(nil, &Submit{StatusReport: true, Reference: 7, Destination: must(NewAddress("+44112255334")), Validity: ValidFor(3 * day),
			User: must(New7Bit(UDH{}.WithConcatenation(Concatenation{9, false, 2, 1}).WithPorts(Ports{5000, 5001, true}).With(IEIReplyAddress, unhex(t, "0691447758")...), gsm7.Alphabet{Single: gsm7.Turkish}, "İyi günler"))}))}))}
	const want = `CP-DATA
  Protocol discriminator: 9
  Transaction identifier: 1, from its originator
  Message type: 1
  CP-User data
    RP-DATA
      RP-Message Type: 0
      RP-Message Reference: 42
      RP-Originator Address: none
      RP-Destination Address: +447785016005
      RP-User Data
        SMS-SUBMIT
          TP-Message-Type-Indicator: 1
          TP-Reject-Duplicates: false
          TP-Validity-Period-Format: relative format
          TP-Status-Report-Request: true
          TP-Reply-Path: false
          TP-Message-Reference: 7
          TP-Destination-Address: +44112255334
          TP-Protocol-Identifier: no telematic interworking (0x00)
          TP-Data-Coding-Scheme: GSM 7 bit default alphabet (0x00)
          TP-Validity-Period: 3 days
          TP-User-Data-Header-Indicator: true
          TP-User-Data-Length: 37
          TP-User-Data-Header
            Concatenated short messages, 8-bit reference number: reference 09, part 1 of 2
            Application port addressing scheme, 16 bit address: destination port 5000, originator port 5001
            Reply Address Element: +447785
            National Language Single Shift: Turkish
          TP-User-Data: İyi günler`
	if got := (tree.View{}).Text(Tree(m)); got != want {
		t.Errorf("got\n%s", got)
	}
	masked := want
	for whole, mask := range map[string]string{"+447785016005": "+44········05", "+44112255334": "+44·······34", "+447785\n": "+44··85\n", "İyi günler": "text of 10 characters"} {
		masked = strings.Replace(masked, whole, mask, 1)
	}
	if got := m.String(); got != masked {
		t.Errorf("got\n%s\nwant\n%s", got, masked)
	}
}

// TestMasks: a random message as a string or masked JSON shows neither number
// nor text, and is valid JSON.
func TestMasks(t *testing.T) {
	checked := 0
	for i, k := range kinds() {
		g := newGen(uint64(1100 + i))
		for range 100 {
			m := k.random(g)
			shown := m.String()
			whole := tree.View{}.AppendJSON(nil, Tree(m))
			if masked := (tree.View{Mask: true}).AppendJSON(nil, Tree(m)); !json.Valid(masked) || !json.Valid(whole) {
				t.Errorf("%s: no JSON: %s", k.name, whole)
			} else {
				shown += string(masked)
			}
			for _, secret := range secrets(m) {
				checked++
				if strings.Contains(shown, secret) {
					t.Errorf("%s shows %q:\n%s", k.name, secret, shown)
				}
			}
		}
	}
	if checked < 800 {
		t.Errorf("%d secrets", checked)
	}
}

// secrets are the numbers and texts of a message that are long enough to be
// told from other things.
func secrets(m Message) []string {
	var all []string
	add := func(s string) {
		if utf8.RuneCountInString(s) > 7 {
			all = append(all, s)
		}
	}
	if rp, ok := m.(*RPData); ok {
		add(rp.Originator.Digits())
		add(rp.Destination.Digits())
	}
	tp, dcs, user := inside(m)
	switch tp := tp.(type) {
	case *Deliver:
		add(tp.Originator.Number())
	case *Submit:
		add(tp.Destination.Number())
	case *StatusReport:
		add(tp.Recipient.Number())
	}
	if s, err := user.Text(dcs); err == nil {
		add(s)
	}
	return all
}
