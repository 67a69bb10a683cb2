package guest

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// bootLimit is how long a guest may take to begin; it needs one to two seconds of an idle machine.
const bootLimit = 2 * time.Minute

// Test runs f in a guest: called there, it is f; called on the host, it boots a guest that runs the test called name, which must be the one this is in,
// and passes on what it says. env is given to the guest.
func Test(t *testing.T, name string, f func(t *testing.T), env ...string) {
	t.Helper()
	if Inside() {
		f(t)
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m := Boot(t, Options{Command: []string{self, "-test.v", "-test.run=^" + name + "$"}, Env: env})
	var said []string
	for line := range m.Lines {
		said = append(said, line)
	}
	if err := m.Wait(); err != nil {
		t.Errorf("%v\n%s", err, strings.Join(said, "\n"))
	} else {
		t.Logf("in a guest kernel:\n%s", strings.Join(said, "\n"))
	}
}

// Boot starts a guest that is switched off at the latest when the test ends. Where user-mode Linux is not installed, or cannot run, the test is
// skipped; with CI=true it must be installed, and with INTEROP set it must run.
func Boot(t testing.TB, o Options) *Machine {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bootLimit)
	defer cancel()
	m, err := Start(ctx, o)
	switch {
	case err == nil:
		t.Cleanup(m.Kill)
	case os.Getenv("INTEROP") != "", os.Getenv("CI") == "true" && !errors.Is(err, ErrNoStart):
		t.Fatal(err)
	default:
		t.Skip(err)
	}
	return m
}
