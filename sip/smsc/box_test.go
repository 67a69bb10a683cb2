package smsc

import (
	"testing"
	"time"
)

// Time stamps go on rising when the clock stands or is set back a little; one that
// was set back far does not keep a phone from getting messages.
func TestNextStamp(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	b := &box{}
	take := func(now time.Time) time.Duration {
		if err := b.room(now, 1, 100); err != nil {
			t.Fatal(err)
		}
		b.stamp = b.nextStamp(now)
		return time.Unix(b.stamp, 0).Sub(at)
	}
	for i, c := range []struct{ now, want time.Duration }{
		{0, 0}, {0, time.Second}, {0, 2 * time.Second}, {-30 * time.Second, 3 * time.Second}, {time.Hour, time.Hour}, {time.Hour, time.Hour + time.Second},
		{-24 * time.Hour, -24 * time.Hour}, {-24 * time.Hour, -24*time.Hour + time.Second},
	} {
		if got := take(at.Add(c.now)); got != c.want {
			t.Errorf("%d: at %v: %v, want %v", i, c.now, got, c.want)
		}
	}
	b = &box{}
	for range int(maxAhead/time.Second) + 1 {
		take(at)
	}
	if b.room(at, 1, 100) == nil || b.room(at.Add(time.Second), 1, 100) != nil {
		t.Error("more than a message a second, for longer than two minutes")
	}
}
