package id_test

import (
	"testing"

	"campanile.network/3gpp/id"
)

// TS 23.003 §9.2.1: the wildcard is of subscriptions; a phone cannot ask for it, and a
// name has no star in it.
func TestWildcardAPN(t *testing.T) {
	if a, err := id.ParseAPN("*"); err != nil || a != id.AnyAPN {
		t.Errorf("%v, %v", a, err)
	}
	for _, s := range []string{"*.gprs", "ims*", "**"} {
		if _, err := id.ParseAPN(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
	if a, err := id.DecodeAPN([]byte("\x01*")); err == nil {
		t.Errorf("a phone may ask for %v", a)
	}
}
