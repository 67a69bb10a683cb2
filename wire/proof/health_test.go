package proof_test

import (
	"errors"
	"testing"
	"time"

	"campanile.network/wire/proof"
)

func statement(k proof.SigningKey) proof.Health {
	return proof.Health{ChainID: "campanile-1", Tower: k.Public(), State: proof.RadioRunning, Since: time.UnixMilli(900_000).UTC(), Restarts: 2, At: time.UnixMilli(1_000_001).UTC()}
}

func TestHealthComesBack(t *testing.T) {
	k := proof.NewSigningKey()
	h := statement(k)
	b, err := h.Sign(k)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := proof.OpenHealth("campanile-1", b); err != nil || got != h {
		t.Errorf("%+v: %v", got, err)
	}
	if _, err := proof.OpenHealth("campanile-2", b); !errors.Is(err, proof.ErrChain) {
		t.Errorf("another chain: %v", err)
	}
	for i := range b {
		b[i] ^= 1
		if _, err := proof.OpenHealth("campanile-1", b); err == nil {
			t.Errorf("octet %d is not covered", i)
		}
		b[i] ^= 1
	}
	for n := range b {
		if _, err := proof.OpenHealth("campanile-1", b[:n]); err == nil {
			t.Errorf("%d octets of %d are believed", n, len(b))
		}
	}
	if _, err := h.Sign(proof.NewSigningKey()); err == nil {
		t.Error("signed by another key than its tower's")
	}
}

// What a key has signed by itself is still not believed when it cannot be.
func TestHealthThatCannotBe(t *testing.T) {
	k := proof.NewSigningKey()
	for what, change := range map[string]func(*proof.Health){
		"no state":                 func(h *proof.Health) { h.State = 0 },
		"a state nobody knows":     func(h *proof.Health) { h.State = proof.RadioStopped + 1 },
		"since later than said":    func(h *proof.Health) { h.Since = h.At.Add(time.Millisecond) },
		"since before 1970":        func(h *proof.Health) { h.Since = time.UnixMilli(-1) },
		"said in the year 200 000": func(h *proof.Health) { h.At = time.UnixMilli(1 << 62) },
	} {
		h := statement(k)
		change(&h)
		b, err := h.Sign(k)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := proof.OpenHealth("campanile-1", b); !errors.Is(err, proof.ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestHealthIsBoundedInTime(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	last := proof.Health{State: proof.RadioRunning, At: now.Add(-time.Hour)}
	for _, c := range []struct {
		what  string
		state proof.RadioState
		at    time.Time
		heard time.Duration // ago
		want  error
	}{
		{"the same, ten minutes later", proof.RadioRunning, now, 10 * time.Minute, nil},
		{"the same, sooner", proof.RadioRunning, now, 10*time.Minute - 1, proof.ErrTooSoon},
		{"another state, a minute later", proof.RadioFailing, now, time.Minute, nil},
		{"another state, sooner", proof.RadioFailing, now, time.Minute - 1, proof.ErrTooSoon},
		{"the very same again", proof.RadioRunning, last.At, time.Hour, proof.ErrStale},
		{"an older one", proof.RadioStopped, last.At.Add(-1), time.Hour, proof.ErrStale},
		{"a clock two minutes ahead", proof.RadioRunning, now.Add(2 * time.Minute), time.Hour, nil},
		{"a clock further ahead", proof.RadioRunning, now.Add(2*time.Minute + 1), time.Hour, proof.ErrAhead},
	} {
		if err := (proof.Health{State: c.state, At: c.at}).After(last, now.Add(-c.heard), now); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
	if err := (proof.Health{State: proof.RadioRunning, At: now}).After(proof.Health{}, time.Time{}, now); err != nil {
		t.Errorf("the first: %v", err)
	}
	for s := proof.RadioStarting; s <= proof.RadioStopped; s++ {
		if got, ok := proof.ParseRadioState(s.String()); !ok || got != s {
			t.Errorf("%v comes back as %v", s, got)
		}
	}
	if s, ok := proof.ParseRadioState("unknown"); ok {
		t.Errorf("%q is %v", "unknown", s)
	}
}
