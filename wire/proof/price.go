package proof

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Carried is what a tower is paid for.
type Carried struct {
	Bytes    uint64 // inner IP octets, both directions together
	VoiceMs  uint64 // of calls by the tower's phones, milliseconds
	Messages uint64 // short messages from and to the tower's phones
}

// Plus is both together; sums stay at the largest number there is.
func (c Carried) Plus(d Carried) Carried {
	return Carried{saturated(c.Bytes, d.Bytes), saturated(c.VoiceMs, d.VoiceMs), saturated(c.Messages, d.Messages)}
}

func saturated(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// Less is c without d, and nothing where that is more.
func (c Carried) Less(d Carried) Carried {
	return Carried{c.Bytes - min(c.Bytes, d.Bytes), c.VoiceMs - min(c.VoiceMs, d.VoiceMs), c.Messages - min(c.Messages, d.Messages)}
}

// Most is c as far as d goes.
func (c Carried) Most(d Carried) Carried {
	return Carried{min(c.Bytes, d.Bytes), min(c.VoiceMs, d.VoiceMs), min(c.Messages, d.Messages)}
}

// Covers says that d is nowhere more than c.
func (c Carried) Covers(d Carried) bool { return c.Most(d) == d }

// String names octets, and voice and messages where there are any.
func (c Carried) String() string {
	s := fmt.Sprintf("%d octets", c.Bytes)
	if c.VoiceMs > 0 {
		s += fmt.Sprintf(", %d.%03d s of voice", c.VoiceMs/1000, c.VoiceMs%1000)
	}
	if c.Messages > 0 {
		s += fmt.Sprintf(", %d messages", c.Messages)
	}
	return s
}

func (c Carried) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, c.Bytes)
	b = binary.BigEndian.AppendUint64(b, c.VoiceMs)
	return binary.BigEndian.AppendUint64(b, c.Messages)
}

func (r *reader) carried() Carried { return Carried{r.u64(), r.u64(), r.u64()} }

// Prices are what a tower takes, in the base denom.
type Prices struct {
	PerGB      Amount // for 10^9 octets
	PerMinute  Amount // of voice
	PerMessage Amount
}

func (p Prices) String() string {
	return fmt.Sprintf("%v for 10^9 octets, %v a minute, %v a message", p.PerGB, p.PerMinute, p.PerMessage)
}

// What prices are for.
const (
	GB     = 1_000_000_000
	Minute = 60_000 // ms
)

// Charge is what c costs, each kind rounded down to a whole base denom. It is
// meant for cumulative counts: rounding is lost once, not at every step. It fails
// when the sum does not fit 128 bits.
func (p Prices) Charge(c Carried) (sum Amount, err error) {
	for _, part := range []struct {
		price     Amount
		n, amount uint64
	}{{p.PerGB, c.Bytes, GB}, {p.PerMinute, c.VoiceMs, Minute}, {p.PerMessage, c.Messages, 1}} {
		a, err := part.price.MulDiv(part.n, part.amount)
		if err == nil {
			sum, err = sum.Add(a)
		}
		if err != nil {
			return Amount{}, fmt.Errorf("%v at %v: %w", c, p, err)
		}
	}
	return sum, nil
}
