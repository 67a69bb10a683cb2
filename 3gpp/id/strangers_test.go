package id_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/wmnsk/go-gtp/gtpv2/ie"
	"github.com/wmnsk/go-gtp/utils"

	"campanile.network/3gpp/id"
)

// TestAgainstGoGTP: another implementation writes networks and access points to
// the same octets.
func TestAgainstGoGTP(t *testing.T) {
	r := rand.New(rand.NewPCG(23, 3))
	for range 500 {
		mcc, mnc := fmt.Sprintf("%03d", r.IntN(1000)), fmt.Sprintf("%0*d", 2+r.IntN(2), r.IntN(100))
		want, err := utils.EncodePLMN(mcc, mnc)
		if err != nil {
			t.Fatal(err)
		}
		p, err := id.ParsePLMN(mcc + "/" + mnc)
		if err != nil || p.Octets() != [3]byte(want) || p.MCC() != mcc || p.MNC() != mnc {
			t.Errorf("%s/%s: %v, %x, %v; want %x", mcc, mnc, p, p.Octets(), err, want)
		}
	}
	for _, text := range []string{"internet", "ims.mnc015.mcc234.gprs", "a", strings.Repeat("x", 63), "campanile.mnc01.mcc001.gprs"} {
		a, err := id.ParseAPN(text)
		if err != nil {
			t.Fatal(err)
		}
		if want := ie.NewAccessPointName(text).Payload; string(a.AppendTo(nil)) != string(want) {
			t.Errorf("%s: %x, want %x", text, a.AppendTo(nil), want)
		}
	}
}
