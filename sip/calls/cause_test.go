package calls

import "testing"

// What osmo-sip-connector's table and RFC 3398 agree on.
func TestCauses(t *testing.T) {
	for status, want := range map[int]Cause{402: 21, 403: 21, 404: 1, 407: 21, 410: 22, 480: 18, 484: 28, 486: 17, 600: 17, 603: 21, 487: 16, 488: 88, 200: 16, 499: 127, 699: 127} {
		if got := CauseOf(status); got != want {
			t.Errorf("status %d is cause %d, want %d", status, got, want)
		}
	}
	for status := 300; status < 700; status++ {
		if c := CauseOf(status); c == 0 || c > 127 {
			t.Errorf("status %d is cause %d", status, c)
		}
	}
}

func TestReason(t *testing.T) {
	for _, c := range []struct {
		values []string
		want   Cause
	}{
		{[]string{"Q.850;cause=17"}, 17},
		{[]string{"SIP;cause=200;text=\"elsewhere\", q.850 ; text=\"x\" ; cause = 26"}, 26},
		{[]string{"SIP;cause=480", "Q.850;cause=19;text=\"no answer\""}, 19},
		{[]string{"Q.850;cause=0"}, 0}, {[]string{"Q.850;cause=128"}, 0}, {[]string{"Q.850"}, 0}, {[]string{"SIP;cause=17"}, 0}, {nil, 0},
		{[]string{"Q.850;cause=-1"}, 0},
	} {
		if got := reasonCause(c.values); got != c.want {
			t.Errorf("%q is cause %d, want %d", c.values, got, c.want)
		}
	}
	if got := reasonCause([]string{Cause(41).reason() + textParam(`a "b" \c`)}); got != 41 {
		t.Errorf("our own Reason is read as %d", got)
	}
}
