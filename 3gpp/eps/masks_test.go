package eps

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"campanile.network/3gpp/id"
)

// TestIdentitiesAreMaskedUnderEveryVerb prints identities, alone and in a
// message, as somebody does who looks for a fault.
func TestIdentitiesAreMaskedUnderEveryVerb(t *testing.T) {
	imsi, err := id.ParseIMSI("001012345678901")
	if err != nil {
		t.Fatal(err)
	}
	imei, err := id.ParseIMEI("353490069873319")
	if err != nil {
		t.Fatal(err)
	}
	msisdn, err := id.ParseMSISDN("4915112345678")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{imsi, imei, msisdn, &imsi, FromIMSI(imsi), FromIMEI(imei), MobileIMSI(imsi), MobileIMEI(imei),
		&AttachRequest{Identity: FromIMSI(imsi)}, AttachRequest{Identity: FromIMSI(imsi)}, &IdentityResponse{Identity: MobileIMEI(imei)}} {
		var shown []string
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			shown = append(shown, fmt.Sprintf(verb, v))
		}
		if b, err := json.Marshal(v); err == nil {
			shown = append(shown, string(b))
		}
		for _, s := range shown {
			for _, leak := range []string{"2345678", "9873319", "50 51 52 53", "0x32, 0x33, 0x34", "32333435", "0x39, 0x38, 0x37", "57 56 55", "39383733"} {
				if strings.Contains(s, leak) {
					t.Errorf("%T: %s", v, s)
				}
			}
		}
	}
	if s := fmt.Sprintf("[%18v] [%-18s] %q", imsi, imsi, imsi); s != `[   00101········01] [00101········01   ] "00101········01"` {
		t.Error(s)
	}
}
