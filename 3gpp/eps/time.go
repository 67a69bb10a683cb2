package eps

import (
	"fmt"
	"time"
)

// GPRSTimer is the length of a timer: GPRS timer and GPRS timer 2 (TS 24.008
// §10.5.7.3, §10.5.7.4), a unit in bits 6 to 8 and a number in bits 1 to 5.
type GPRSTimer uint8

// TimerDeactivated says that a timer does not run; it is the same octet in
// both types.
const TimerDeactivated = 0xe0

// NewGPRSTimer gives the timer nearest to d, not less; at most 3 h 6 min.
func NewGPRSTimer(d time.Duration) GPRSTimer {
	return GPRSTimer(timer(d, []time.Duration{2 * time.Second, time.Minute, 6 * time.Minute}, []uint8{0, 1, 2}))
}

// Duration gives the length; false says that the timer is deactivated.
func (t GPRSTimer) Duration() (time.Duration, bool) {
	n := time.Duration(t & 31)
	switch t >> 5 {
	case 0:
		return n * 2 * time.Second, true
	case 2:
		return n * 6 * time.Minute, true
	case 7:
		return 0, false
	}
	return n * time.Minute, true
}

func (t *GPRSTimer) decode(b []byte) error { return octet((*uint8)(t), b, 0xff) }

func (t *GPRSTimer) encode(dst []byte) []byte { return append(dst, byte(*t)) }

func (t GPRSTimer) String() string { return timerText(t.Duration()) }

// GPRSTimer3 is the length of a timer of up to 413 days (TS 24.008
// §10.5.7.4a).
type GPRSTimer3 uint8

// NewGPRSTimer3 gives the timer nearest to d, not less; at most 9920 h.
func NewGPRSTimer3(d time.Duration) GPRSTimer3 {
	return GPRSTimer3(timer(d, []time.Duration{2 * time.Second, 30 * time.Second, time.Minute, 10 * time.Minute, time.Hour, 10 * time.Hour, 320 * time.Hour},
		[]uint8{3, 4, 5, 0, 1, 2, 6}))
}

// Duration gives the length; false says that the timer is deactivated.
func (t GPRSTimer3) Duration() (time.Duration, bool) {
	unit := [...]time.Duration{10 * time.Minute, time.Hour, 10 * time.Hour, 2 * time.Second, 30 * time.Second, time.Minute, 320 * time.Hour, 0}[t>>5]
	return time.Duration(t&31) * unit, unit != 0
}

func (t *GPRSTimer3) decode(b []byte) error { return octet((*uint8)(t), b, 0xff) }

func (t *GPRSTimer3) encode(dst []byte) []byte { return append(dst, byte(*t)) }

func (t GPRSTimer3) String() string { return timerText(t.Duration()) }

// timer picks the smallest unit in which d fits 31 steps.
func timer(d time.Duration, units []time.Duration, codes []uint8) uint8 {
	for i, u := range units {
		if n := (d + u - 1) / u; n <= 31 {
			return codes[i]<<5 | uint8(max(n, 0))
		}
	}
	return codes[len(codes)-1]<<5 | 31
}

func timerText(d time.Duration, runs bool) string {
	if !runs {
		return "deactivated"
	}
	return d.String()
}

// TimeZone is an offset from UTC in quarters of an hour (TS 24.008 §10.5.3.8).
type TimeZone int8

// ZoneOf gives the offset of t's location at t.
func ZoneOf(t time.Time) TimeZone {
	_, seconds := t.Zone()
	return TimeZone(seconds / 900)
}

func (z *TimeZone) decode(b []byte) error {
	v, err := decodeZone(b[0])
	*z = v
	return err
}

func (z *TimeZone) encode(dst []byte) []byte { return append(dst, z.octet()) }

func decodeZone(b byte) (TimeZone, error) {
	n := TimeZone(b&7)*10 + TimeZone(b>>4)
	if b>>4 > 9 {
		return 0, problem(fmt.Sprintf("time zone 0x%02x is not decimal", b))
	}
	if b&8 != 0 {
		n = -n
	}
	return n, nil
}

// octet is swapped BCD with the sign in bit 4.
func (z TimeZone) octet() byte {
	n, sign := int(z), byte(0)
	if n < 0 {
		n, sign = -n, 8
	}
	n = min(n, 79)
	return byte(n%10)<<4 | sign | byte(n/10)
}

// location is the zone without a name.
func (z TimeZone) location() *time.Location { return time.FixedZone("", int(z)*900) }

func (z TimeZone) String() string {
	n, sign := int(z), '+'
	if n < 0 {
		n, sign = -n, '-'
	}
	return fmt.Sprintf("UTC%c%02d:%02d", sign, n/4, n%4*15)
}

// TimeAndZone is the universal time and the local time zone (TS 24.008
// §10.5.3.9) as seven octets.
type TimeAndZone [7]byte

// NewTimeAndZone gives t, to the second, with the offset of its location.
// Years are 2000 to 2099.
func NewTimeAndZone(t time.Time) TimeAndZone {
	u := t.UTC()
	bcd := func(n int) byte { return byte(n%10)<<4 | byte(n/10%10) }
	return TimeAndZone{bcd(u.Year() % 100), bcd(int(u.Month())), bcd(u.Day()), bcd(u.Hour()), bcd(u.Minute()), bcd(u.Second()), ZoneOf(t).octet()}
}

// Time gives the moment, in the local time zone.
func (v TimeAndZone) Time() (time.Time, error) {
	var n [6]int
	for i := range n {
		if v[i]&15 > 9 || v[i]>>4 > 9 {
			return time.Time{}, problem(fmt.Sprintf("time %x is not decimal", v[:]))
		}
		n[i] = int(v[i]&15)*10 + int(v[i]>>4)
	}
	z, err := decodeZone(v[6])
	if err != nil {
		return time.Time{}, err
	}
	t := time.Date(2000+n[0], time.Month(n[1]), n[2], n[3], n[4], n[5], 0, time.UTC)
	if int(t.Month()) != n[1] || t.Day() != n[2] || t.Hour() != n[3] || t.Minute() != n[4] {
		return time.Time{}, problem(fmt.Sprintf("time %x is no date and time", v[:]))
	}
	return t.In(z.location()), nil
}

func (v *TimeAndZone) decode(b []byte) error { return fixed(v[:], b) }

func (v *TimeAndZone) encode(dst []byte) []byte { return append(dst, v[:]...) }

func (v TimeAndZone) String() string {
	t, err := v.Time()
	if err != nil {
		return err.Error()
	}
	return t.Format("2006-01-02 15:04:05 -07:00")
}
