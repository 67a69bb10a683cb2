package calls

import (
	"strconv"
	"strings"
	"time"
)

const (
	dtmfRelay = "application/dtmf-relay"
	dtmfPlain = "application/dtmf"
	// tones are the events of RFC 4733 §3.2, by their number.
	tones = "0123456789*#ABCD"
	// A tone lasts what its sender says, within these.
	toneShortest, toneUsual, toneLongest = 40 * time.Millisecond, 250 * time.Millisecond, 6 * time.Second
)

// readTone reads the body of an INFO that carries a key: dtmf-relay says
// "Signal=5" and "Duration=200" in lines, dtmf only the key.
func readTone(contentType string, body []byte) (key byte, d time.Duration, ok bool) {
	kind, _, _ := strings.Cut(contentType, ";")
	text := strings.TrimSpace(string(body))
	d = toneUsual
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case dtmfRelay:
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(line, "=")
			value = strings.TrimSpace(value)
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "signal":
				key, ok = readKey(value)
			case "duration":
				if ms, err := strconv.ParseUint(value, 10, 16); err == nil {
					d = time.Duration(ms) * time.Millisecond
				}
			}
		}
	case dtmfPlain:
		key, ok = readKey(text)
	}
	return key, min(max(d, toneShortest), toneLongest), ok
}

// readKey reads a key: itself, or the number of its event.
func readKey(s string) (byte, bool) {
	if len(s) == 1 {
		i := strings.IndexByte(tones, strings.ToUpper(s)[0])
		if i < 0 {
			return 0, false
		}
		return tones[i], true
	}
	n, err := strconv.ParseUint(s, 10, 8)
	if err != nil || n < 10 || n >= uint64(len(tones)) {
		return 0, false
	}
	return tones[n], true
}

// toneBody is the body of an INFO of type application/dtmf-relay.
func toneBody(key byte, d time.Duration) []byte {
	b := append([]byte("Signal="), key, '\r', '\n')
	b = append(b, "Duration="...)
	b = strconv.AppendInt(b, d.Milliseconds(), 10)
	return append(b, '\r', '\n')
}
