package config

import "testing"

// A key of the second [[section]] is found there, and else that section.
func TestLineOfMany(t *testing.T) {
	text := "[sip]\nrealm = ''\n[[sip.trunks]]\nname = 'a'\n[[sip.trunks]]\n\nname = 'b'\n[mme]\nname = 'c'\n"
	for key, want := range map[string]int{"sip.realm": 2, "sip.trunks[1].name": 4, "sip.trunks[2].name": 7, "sip.trunks[2].proxy": 5, "sip.trunks[3].name": 0, "mme.name": 9} {
		if n := lineOf(text, key); n != want {
			t.Errorf("%s is on line %d, want %d", key, n, want)
		}
	}
}
