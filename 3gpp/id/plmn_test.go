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
