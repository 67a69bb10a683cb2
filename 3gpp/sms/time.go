package sms

import (
	"fmt"
	"time"
)

// Timestamp is TP-Service-Centre-Time-Stamp, TP-Discharge-Time and an absolute
// validity period: local time and its zone in seven octets (TS 23.040
// §9.2.3.11).
type Timestamp [7]byte

// NewTimestamp gives t, to the second, in its location. Years are 1990 to 2089;
// the zone is cut to quarters of an hour, up to 19:45.
func NewTimestamp(t time.Time) Timestamp {
	_, seconds := t.Zone()
	zone, sign := seconds/900, byte(0)
	if zone < 0 {
		zone, sign = -zone, 8
	}
	t = t.In(time.FixedZone("", seconds/900*900))
	return Timestamp{swap(t.Year() % 100), swap(int(t.Month())), swap(t.Day()), swap(t.Hour()), swap(t.Minute()), swap(t.Second()),
		swap(min(zone, 79)) | sign}
}

// swap writes n, below 100, as two semi-octets, tens in the upper one.
func swap(n int) byte { return byte(n%10)<<4 | byte(n/10%10) }

// swapped reads two semi-octets. A digit that is none counts as zero, as TS
// 23.040 §9.2.3.11 wants.
func swapped(b byte) int {
	tens, ones := int(b&15), int(b>>4)
	if tens > 9 {
		tens = 0
	}
	if ones > 9 {
		ones = 0
	}
	return tens*10 + ones
}

// Time gives the moment, in the zone that the stamp names. False: it is no date
// and time.
func (s Timestamp) Time() (time.Time, bool) {
	zone := swapped(s[6]&^8) * 900
	if s[6]&8 != 0 {
		zone = -zone
	}
	month, day, hour, minute, second := swapped(s[1]), swapped(s[2]), swapped(s[3]), swapped(s[4]), swapped(s[5])
	year := 2000 + swapped(s[0])
	if year >= 2090 { // there were no short messages before 1992
		year -= 100
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.FixedZone("", zone))
	if int(t.Month()) != month || t.Day() != day || t.Hour() != hour || t.Minute() != minute || t.Second() != second {
		return time.Time{}, false
	}
	return t, true
}

// String is the local time with its zone, or the octets if they are none.
func (s Timestamp) String() string {
	if t, ok := s.Time(); ok {
		return t.Format("2006-01-02 15:04:05 -07:00")
	}
	return fmt.Sprintf("no date and time (%x)", s[:])
}

func (w *walker) timestamp(name string, s *Timestamp) {
	switch w.mode {
	case reading:
		copy(s[:], w.take(name, len(s)))
	case writing:
		w.b = append(w.b, s[:]...)
	case showing:
		w.leaf(name, *s)
	}
}
