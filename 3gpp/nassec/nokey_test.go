package nassec_test

import (
	"errors"
	"testing"

	"campanile.network/3gpp/nassec"
	"campanile.network/3gpp/secret"
)

// TestNoKeyIsRefused: a state that nobody put a key into protects nothing, unless
// nothing is to be protected.
func TestNoKeyIsRefused(t *testing.T) {
	s := state(nassec.EEA2, nassec.EIA2)
	s.KASME = secret.Key256{}
	if _, err := nassec.New(s); !errors.Is(err, nassec.ErrNoKey) {
		t.Errorf("%v, want ErrNoKey", err)
	}
	s.KASME[31] = 1
	if _, err := nassec.New(s); err != nil {
		t.Error(err)
	}
	s = state(nassec.EEA0, nassec.EIA0) // an unauthenticated emergency attach
	s.KASME = secret.Key256{}
	if _, err := nassec.New(s); err != nil {
		t.Error(err)
	}
}
