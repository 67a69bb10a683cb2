package nassec_test

import (
	"fmt"
	"strings"
	"testing"

	"campanile.network/3gpp/kasumi"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/secret"
	"campanile.network/3gpp/xor"
)

// TestHoldersOfKeysDoNotPrint: a key inside a field that is not exported would be
// printed by fmt in spite of its own methods.
func TestHoldersOfKeysDoNotPrint(t *testing.T) {
	k := secret.Key128{0xde, 0xad, 0xbe, 0xef}
	s := state(nassec.EEA1, nassec.EIA3)
	s.KASME = secret.Key256{0xde, 0xad, 0xbe, 0xef}
	context, err := nassec.New(s)
	if err != nil {
		t.Fatal(err)
	}
	x, err := xor.New(k, 8)
	if err != nil {
		t.Fatal(err)
	}
	holders := []any{context, *context, context.State(), x, *x, milenage.New(k, k), *milenage.New(k, k), kasumi.New(k), *kasumi.New(k)}
	for alg := range uint8(4) {
		c, err := nassec.NewCipher(nassec.EEA(alg), k)
		if err != nil {
			t.Fatal(err)
		}
		i, err := nassec.NewIntegrity(nassec.EIA(alg), k)
		if err != nil {
			t.Fatal(err)
		}
		holders = append(holders, c, *c, i, *i)
	}
	for _, h := range holders {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			got := fmt.Sprintf(verb, h)
			for _, leak := range []string{"dead", "DEAD", "222 173", "0xde", "3735928559", "16045690981097406464", "bd5b", "BD5B", "48475"} {
				if strings.Contains(got, leak) {
					t.Errorf("%s of %T: %s", verb, h, got)
				}
			}
		}
	}
}
