package calls

import (
	"testing"
	"time"
)

func TestTone(t *testing.T) {
	for _, c := range []struct {
		kind, body string
		key        byte
		d          time.Duration
	}{
		{"application/dtmf-relay", "Signal=5\r\nDuration=200", '5', 200 * time.Millisecond},
		{"application/dtmf-relay", "Signal= *\r\nDuration= 160\r\n", '*', 160 * time.Millisecond},
		{"Application/DTMF-Relay; charset=x", "signal=10\nduration=5", '*', toneShortest},
		{"application/dtmf-relay", "Signal=11\nDuration=65535", '#', toneLongest},
		{"application/dtmf-relay", "Signal=d", 'D', toneUsual},
		{"application/dtmf", "#", '#', toneUsual},
		{"application/dtmf", "15\r\n", 'D', toneUsual},
	} {
		key, d, ok := readTone(c.kind, []byte(c.body))
		if !ok || key != c.key || d != c.d {
			t.Errorf("%s %q: %q %v %v", c.kind, c.body, key, d, ok)
		}
	}
	for _, c := range [][2]string{{"text/plain", "5"}, {"application/dtmf", ""}, {"application/dtmf", "55"}, {"application/dtmf", "16"}, {"application/dtmf", "S"}, {"application/dtmf-relay", "Duration=5"}, {"application/dtmf-relay", "Signal=x"}, {"application/dtmf", "\x16"}} {
		if key, _, ok := readTone(c[0], []byte(c[1])); ok {
			t.Errorf("%s %q is key %q", c[0], c[1], key)
		}
	}
	key, d, ok := readTone(dtmfRelay, toneBody('#', 240*time.Millisecond))
	if !ok || key != '#' || d != 240*time.Millisecond {
		t.Errorf("our own body is read as %q %v %v", key, d, ok)
	}
}
