package aka

import (
	"errors"
	"fmt"
	"time"
)

// INDBits is the length of the index part of an SQN (TS 33.102 §C.3).
const INDBits = 5

// INDs is the number of index values, hence entries in a card's array.
const INDs = 1 << INDBits

// MaxSEQ is the largest sequence part of a 48-bit SQN: 43 bits.
const MaxSEQ = 1<<(48-INDBits) - 1

// Delta is the largest step forward a card accepts in the profiles of
// TS 33.102 §C.3: 2^28, which is 310 days of 0.1 s ticks.
const Delta = 1 << 28

// ErrSEQ says that a sequence number does not fit 43 bits, or that a
// subscriber's numbers are used up.
var ErrSEQ = errors.New("aka: sequence number beyond 43 bits")

// SQN is a 48-bit sequence number, SEQ || IND (TS 33.102 §C.1.1.1).
type SQN uint64

// MakeSQN joins a sequence part (43 bits) and an index (0..31). ErrSEQ if the
// first does not fit; another error if the second does not.
func MakeSQN(seq uint64, ind uint8) (SQN, error) {
	if seq > MaxSEQ {
		return 0, ErrSEQ
	}
	if ind >= INDs {
		return 0, fmt.Errorf("aka: IND %d, want 0..%d", ind, INDs-1)
	}
	return SQN(seq<<INDBits | uint64(ind)), nil
}

// DecodeSQN reads the six octets of an SQN; every value is valid.
func DecodeSQN(b [6]byte) SQN {
	return SQN(b[0])<<40 | SQN(b[1])<<32 | SQN(b[2])<<24 | SQN(b[3])<<16 | SQN(b[4])<<8 | SQN(b[5])
}

// Octets gives the six octets, most significant first.
func (s SQN) Octets() [6]byte {
	return [6]byte{byte(s >> 40), byte(s >> 32), byte(s >> 24), byte(s >> 16), byte(s >> 8), byte(s)}
}

// SEQ gives the 43-bit sequence part.
func (s SQN) SEQ() uint64 { return uint64(s) >> INDBits & MaxSEQ }

// IND gives the index, 0..31.
func (s SQN) IND() uint8 { return uint8(s) & (INDs - 1) }

// String gives SEQ/IND in decimal.
func (s SQN) String() string { return fmt.Sprintf("%d/%d", s.SEQ(), s.IND()) }

// Tick is a time in units of 0.1 s since 1970: the global counter GLC of
// TS 33.102 §C.1.1.3.
type Tick int64

// TickAt gives the tick of a moment.
func TickAt(t time.Time) Tick { return Tick(t.UnixMilli() / 100) }

// NextSEQ is the time-based generation of TS 33.102 §C.1.1.3:
// max(last+1, clock + dif). last is the highest SEQ issued to the subscriber
// under any IND that this issuer owns; dif is the subscriber's clock
// difference in ticks. ErrSEQ when 43 bits are used up.
//
// Whether the clock may be trusted (not behind the persisted mark nor the last
// block) is the caller's question: an issuer restored from an old store is
// safe only because its clock went on.
func NextSEQ(last uint64, clock Tick, dif int64) (uint64, error) {
	if last >= MaxSEQ {
		return 0, ErrSEQ
	}
	seq := last + 1
	if t := int64(clock) + dif; t > 0 && uint64(t) > seq {
		seq = uint64(t)
	}
	if seq > MaxSEQ {
		return 0, ErrSEQ
	}
	return seq, nil
}

// DIFFor gives the clock difference under which the next SEQ by the clock is
// the one after seq. Use it at import of a subscriber whose card is at seq (0
// for a new card) and after a resynchronisation.
func DIFFor(seq uint64, clock Tick) int64 { return int64(seq) + 1 - int64(clock) }

// Resync applies an authentic SQN_MS from AUTS (TS 33.102 §6.3.5) to an
// issuer's state for a subscriber. When the next number would be accepted
// (above SEQ_MS, at most Delta beyond) nothing changes; otherwise last becomes
// SEQ_MS and dif follows. The caller must have bound AUTS to a RAND that it
// issued and that has not been answered yet: an old AUTS played again would
// set the counter back.
func Resync(last uint64, dif int64, clock Tick, ms SQN) (newLast uint64, newDIF int64) {
	next, err := NextSEQ(last, clock, dif)
	if err == nil && next > ms.SEQ() && next-ms.SEQ() <= Delta {
		return last, dif
	}
	return ms.SEQ(), DIFFor(ms.SEQ(), clock)
}
