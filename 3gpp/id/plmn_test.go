package id

import "testing"

// TestWhoNeedsNoAssignment: 001/01, with two digits or three, and all of 999.
func TestWhoNeedsNoAssignment(t *testing.T) {
	for s, want := range map[string]bool{"00101": true, "99940": true, "999999": true, "00102": false, "001001": true, "26201": false, "00201": false} {
		p, err := ParsePLMN(s)
		if err != nil || p.Test() != want {
			t.Errorf("%s: %t, %v", s, p.Test(), err)
		}
	}
}

// TestShortIdentitiesAreHiddenWhole: what is no longer than its shown ends shows
// nothing.
func TestShortIdentitiesAreHiddenWhole(t *testing.T) {
	for s, want := range map[string]string{"001012": "······", "0010123": "·······", "00101234": "00101·34"} {
		if v, err := ParseIMSI(s); err != nil || v.String() != want {
			t.Errorf("IMSI %s: %v, %v", s, v, err)
		}
	}
	for s, want := range map[string]string{"4": "·", "49151": "·····", "491512": "491·12"} {
		if v, err := ParseMSISDN(s); err != nil || v.String() != want {
			t.Errorf("MSISDN %s: %v, %v", s, v, err)
		}
	}
}
