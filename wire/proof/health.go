package proof

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"
)

// RadioState is how the radio of a tower does, in a word.
type RadioState uint8

// The states of a radio that somebody supervises.
const (
	RadioStarting   RadioState = iota + 1 // the program runs and is not on the air yet
	RadioRunning                          // on the air, and the core answers
	RadioNoCore                           // on the air, and the core does not
	RadioRestarting                       // it has died, and is started again
	RadioFailing                          // the same, again and again
	RadioStopped                          // it was told to
)

var radioStates = []string{"starting", "running", "no core", "restarting", "failing", "stopped"}

func (s RadioState) String() string {
	if s < RadioStarting || s > RadioStopped {
		return fmt.Sprintf("state %d", uint8(s))
	}
	return radioStates[s-1]
}

// MarshalText is String.
func (s RadioState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ParseRadioState reads what String writes; it is false for any other word.
func ParseRadioState(s string) (RadioState, bool) {
	n := slices.Index(radioStates, s)
	return RadioState(n + 1), n >= 0
}

// Health is what a tower says about the radio it supervises. A later one is
// worth all before it.
type Health struct {
	ChainID  string
	Tower    TowerKey // who signs
	State    RadioState
	Since    time.Time // of State, by the tower's clock; whole milliseconds
	Restarts uint32    // since its supervisor began
	At       time.Time // when it was said, by the tower's clock; whole milliseconds
}

// How often the ledger takes what a tower says, by block time.
const (
	// HealthEvery is between two statements of one state.
	HealthEvery = 10 * time.Minute
	// HealthChange is between a statement and another of another state.
	HealthChange = time.Minute
	// HealthAhead is how far a tower's clock may be before the block's.
	HealthAhead = 2 * time.Minute
)

// Reasons why a statement is not taken.
var (
	ErrStale   = errors.New("not newer than what was said before")
	ErrTooSoon = errors.New("too soon after what was said before")
	ErrAhead   = errors.New("from the future")
)

// After says whether the statement may follow last, which a block of the time
// heard has; now is the time of the block that would have this one. A zero last
// is none. Errors: ErrStale, ErrTooSoon, ErrAhead.
func (h Health) After(last Health, heard, now time.Time) error {
	if h.At.After(now.Add(HealthAhead)) {
		return fmt.Errorf("health: %w: said at %s, and it is %s", ErrAhead, h.At.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if last.State == 0 {
		return nil
	}
	if !h.At.After(last.At) {
		return fmt.Errorf("health: %w", ErrStale)
	}
	if due := h.Due(last, heard); now.Before(due) {
		return fmt.Errorf("health: %w: wait until %s", ErrTooSoon, due.UTC().Format(time.RFC3339))
	}
	return nil
}

// Due is from when on the statement is taken after last, which a block of the
// time heard has.
func (h Health) Due(last Health, heard time.Time) time.Time {
	if h.State != last.State {
		return heard.Add(HealthChange)
	}
	return heard.Add(HealthEvery)
}

// Sign gives the statement's bytes with the tower's signature behind them. k's
// public half must be h.Tower.
func (h Health) Sign(k SigningKey) ([]byte, error) {
	if k.Public() != [32]byte(h.Tower) {
		return nil, fmt.Errorf("health: signing key is not tower %s", h.Tower.Short())
	}
	b, err := appendChain(make([]byte, 0, 192), h.ChainID)
	if err != nil {
		return nil, fmt.Errorf("health: %w", err)
	}
	b = append(b, h.Tower[:]...)
	b = append(b, byte(h.State))
	b = binary.BigEndian.AppendUint64(b, uint64(h.Since.UnixMilli()))
	b = binary.BigEndian.AppendUint32(b, h.Restarts)
	b = binary.BigEndian.AppendUint64(b, uint64(h.At.UnixMilli()))
	return sign(k, purposeHealth, b), nil
}

// OpenHealth reads a signed statement and checks the signature of the tower it
// names. The caller asks the ledger whether there is such a tower.
// Errors: ErrMalformed, ErrSignature, ErrChain.
func OpenHealth(chainID string, b []byte) (Health, error) {
	body, _, err := split(purposeHealth, b)
	if err != nil {
		return Health{}, err
	}
	r := reader{b: body}
	h := Health{ChainID: r.chain(), Tower: r.key(), State: RadioState(r.u8()), Since: time.UnixMilli(int64(r.u64())).UTC(),
		Restarts: r.u32(), At: time.UnixMilli(int64(r.u64())).UTC()}
	if err := r.end(purposeHealth); err != nil {
		return Health{}, err
	}
	if h.State < RadioStarting || h.State > RadioStopped {
		return Health{}, fmt.Errorf("health: %w: %v", ErrMalformed, h.State)
	}
	if h.Since.UnixMilli() < 0 || h.At.Before(h.Since) || h.At.Year() > lastYear {
		return Health{}, fmt.Errorf("health: %w: said at %d of a state since %d, milliseconds since 1970", ErrMalformed, h.At.UnixMilli(), h.Since.UnixMilli())
	}
	if h.ChainID != chainID {
		return Health{}, fmt.Errorf("health for %q: %w", h.ChainID, ErrChain)
	}
	_, err = open(h.Tower, purposeHealth, b)
	return h, err
}
