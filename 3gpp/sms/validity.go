package sms

import (
	"fmt"
	"time"
)

// ValidityFormat is TP-Validity-Period-Format (TS 23.040 §9.2.3.3).
type ValidityFormat uint8

// The formats, by number.
const (
	ValidityNone ValidityFormat = iota
	ValidityEnhanced
	ValidityRelative
	ValidityAbsolute
)

var validityNames = [...]string{"not present", "enhanced format", "relative format", "absolute format"}

func (f ValidityFormat) String() string { return validityNames[f&3] }

// octets is how long TP-Validity-Period is.
func (f ValidityFormat) octets() int { return [...]int{0, 7, 1, 7}[f&3] }

// Validity is a TP-Validity-Period with its format (TS 23.040 §9.2.3.12): for
// how long, or until when, a service centre keeps trying. The zero value leaves
// it to the service centre.
type Validity struct {
	format ValidityFormat
	value  [7]byte
}

// ValidFor gives the relative period nearest to d, not less: 5 minutes to 63
// weeks.
func ValidFor(d time.Duration) Validity {
	return Validity{ValidityRelative, [7]byte{relative(d)}}
}

// ValidUntil gives the absolute validity until t.
func ValidUntil(t time.Time) Validity { return Validity{ValidityAbsolute, NewTimestamp(t)} }

// ValidExactly gives the enhanced period nearest to d, not less, to the second
// below 100 hours, else like ValidFor. Zero is none. singleShot tells the
// service centre to try no more than once.
func ValidExactly(d time.Duration, singleShot bool) Validity {
	v := Validity{format: ValidityEnhanced}
	s := int((d + time.Second - 1) / time.Second)
	switch {
	case s <= 0:
	case s <= 255:
		v.value = [7]byte{enhancedSeconds, byte(s)}
	case s < 100*3600:
		v.value = [7]byte{enhancedClock, swap(s / 3600), swap(s / 60 % 60), swap(s % 60)}
	default:
		v.value = [7]byte{enhancedRelative, relative(d)}
	}
	if singleShot {
		v.value[0] |= 0x40
	}
	return v
}

// Formats in the functionality indicator of the enhanced format (TS 23.040
// §9.2.3.12.3); the rest are reserved.
const (
	enhancedNone     = 0
	enhancedRelative = 1
	enhancedSeconds  = 2
	enhancedClock    = 3
)

const day = 24 * time.Hour

// relative is the table of TS 23.040 §9.2.3.12.1, upwards.
func relative(d time.Duration) byte {
	up := func(unit time.Duration) int { return int((max(d, 1) + unit - 1) / unit) }
	switch {
	case d <= 12*time.Hour:
		return byte(up(5*time.Minute) - 1)
	case d <= day:
		return byte(up(30*time.Minute) - 24 + 143)
	case d <= 30*day:
		return byte(max(up(day), 2) + 166)
	}
	return byte(min(max(up(7*day), 5), 63) + 192)
}

func relativePeriod(v byte) time.Duration {
	switch n := time.Duration(v); {
	case v < 144:
		return (n + 1) * 5 * time.Minute
	case v < 168:
		return 12*time.Hour + (n-143)*30*time.Minute
	case v < 197:
		return (n - 166) * day
	default:
		return (n - 192) * 7 * day
	}
}

// Format gives the format.
func (v Validity) Format() ValidityFormat { return v.format }

// SingleShot says that the service centre is to try no more than once.
func (v Validity) SingleShot() bool { return v.format == ValidityEnhanced && v.value[0]&0x40 != 0 }

// Period gives the length of a relative or enhanced validity; false: there is
// none, or in a reserved form.
func (v Validity) Period() (time.Duration, bool) {
	switch v.format {
	case ValidityRelative:
		return relativePeriod(v.value[0]), true
	case ValidityEnhanced:
		return v.enhanced()
	}
	return 0, false
}

func (v Validity) enhanced() (time.Duration, bool) {
	i := 0
	for i < len(v.value)-1 && v.value[i]&0x80 != 0 { // more functionality indicators
		i++
	}
	rest := v.value[i+1:]
	switch form := v.value[0] & 7; {
	case form == enhancedRelative && len(rest) >= 1:
		return relativePeriod(rest[0]), true
	case form == enhancedSeconds && len(rest) >= 1 && rest[0] != 0: // 0 is reserved
		return time.Duration(rest[0]) * time.Second, true
	case form == enhancedClock && len(rest) >= 3:
		return time.Duration(swapped(rest[0]))*time.Hour + time.Duration(swapped(rest[1]))*time.Minute + time.Duration(swapped(rest[2]))*time.Second, true
	}
	return 0, false
}

// Deadline gives the moment until which a message sent at the given time is
// valid; false: the service centre decides.
func (v Validity) Deadline(sent time.Time) (time.Time, bool) {
	if v.format == ValidityAbsolute {
		return Timestamp(v.value).Time()
	}
	d, ok := v.Period()
	return sent.Add(d), ok
}

func (v Validity) String() string {
	s := v.format.String()
	if v.format == ValidityAbsolute {
		s = Timestamp(v.value).String()
	} else if d, ok := v.Period(); ok {
		s = periodText(d)
	} else if v.format == ValidityEnhanced && v.value[0]&7 != enhancedNone {
		s = fmt.Sprintf("reserved (%x)", v.value[:])
	}
	if v.SingleShot() {
		s += ", single shot"
	}
	return s
}

func periodText(d time.Duration) string {
	if d >= 2*day && d%day == 0 {
		return fmt.Sprintf("%d days", d/day)
	}
	return d.String()
}

// validity is TP-Validity-Period; its format was read with the first octet.
func (w *walker) validity(v *Validity) {
	const name = "TP-Validity-Period"
	n := v.format.octets()
	switch w.mode {
	case reading:
		copy(v.value[:], w.take(name, n))
	case writing:
		w.b = append(w.b, v.value[:n]...)
	case showing:
		if v.format != ValidityNone {
			w.leaf(name, *v)
		}
	}
}

// validityFormat is TP-Validity-Period-Format, bits 4 and 5 of the first octet.
func (w *walker) validityFormat(v *Validity) {
	switch w.mode {
	case reading:
		v.format = ValidityFormat(w.b[0] >> 3 & 3)
	case showing:
		w.leaf("TP-Validity-Period-Format", v.format)
	}
	w.head |= byte(v.format&3) << 3
}
