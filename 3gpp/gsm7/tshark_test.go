package gsm7_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"campanile.network/3gpp/gsm7"
	"campanile.network/3gpp/internal/tshark"
)

// TestTsharkReadsTexts: tshark 4.0 knows the default alphabet and its extension
// table, not the national ones. It reads 200 texts in SMS-DELIVER, behind user
// data headers of all lengths that give other fill bits.
func TestTsharkReadsTexts(t *testing.T) {
	var letters []rune
	for r := rune(' '); r < 0x2200; r++ {
		if (gsm7.Alphabet{}).Septets(r) > 0 && r != '\\' { // tshark escapes it
			letters = append(letters, r)
		}
	}
	rnd := rand.New(rand.NewPCG(24, 11))
	var texts []string
	var tpdus [][]byte
	for i := range 200 {
		var s strings.Builder
		for range 1 + rnd.IntN(60) {
			s.WriteRune(letters[rnd.IntN(len(letters))])
		}
		texts = append(texts, s.String())
		header := append([]byte{byte(2 + i%7), 0x70, byte(i % 7)}, make([]byte, i%7)...) // one element for the SIM toolkit
		septets, err := gsm7.Alphabet{}.Append(nil, s.String())
		if err != nil {
			t.Fatal(err)
		}
		fill := gsm7.Fill(len(header))
		tpdu := append([]byte{0x44, 0x04, 0x91, 0x21, 0x43, 0, 0}, "\x11\x11\x11\x11\x11\x11\x00"...)
		tpdu = append(tpdu, byte((len(header)*8+fill)/7+len(septets)))
		tpdus = append(tpdus, gsm7.Pack(append(tpdu, header...), septets, fill))
	}
	got := tshark.Fields(t, tshark.Frames("gsm_sms", tpdus), []string{"gsm_sms.sms_text"})
	for i, want := range texts {
		if got[i][0] != want {
			t.Errorf("tshark reads %q, want %q", got[i][0], want)
		}
	}
}
