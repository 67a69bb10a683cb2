package gsm7_test

import (
	"strings"
	"testing"

	"campanile.network/3gpp/gsm7"
)

// TestHeaderThatNamesLanguagesCounts: a euro sign takes two septets in the default
// alphabet and one in the Turkish, whose header takes five.
func TestHeaderThatNamesLanguagesCounts(t *testing.T) {
	for n, want := range map[int]gsm7.Language{1: gsm7.Default, 4: gsm7.Default, 5: gsm7.Default, 6: gsm7.Turkish, 9: gsm7.Turkish} {
		if a, ok := gsm7.Choose(strings.Repeat("€", n)); !ok || a != (gsm7.Alphabet{Locking: want}) {
			t.Errorf("%d: %+v", n, a)
		}
	}
}
