package link

import (
	"slices"
	"strings"
	"time"

	pb "campanile.network/wire/corepb"
)

// Radio is how the radio is that a tower's agent supervises.
type Radio struct {
	State     string    // one of RadioStates, or "unknown"
	Since     time.Time // of the state
	Restarts  uint32
	LastError string // at most 512 octets
	Users     uint32 // phones connected over the air
	UL, DL    uint64 // bit/s over the air
	Errors    uint64
}

// RadioStates are what a radio can be in.
func RadioStates() []string {
	return []string{"starting", "running", "no core", "restarting", "failing", "stopped"}
}

// cut shortens a text to what is said on the link, and keeps it valid text.
func cut(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxText)], "") }

func radioOf(r *pb.TowerRadio) *Radio {
	state := r.State
	if !slices.Contains(RadioStates(), state) {
		state = "unknown"
	}
	return &Radio{state, time.UnixMilli(r.SinceUnixMs), r.Restarts, cut(r.LastError), r.Users, r.Ul, r.Dl, r.Errors}
}

func (r *Radio) message() *pb.TowerRadio {
	return &pb.TowerRadio{State: r.State, SinceUnixMs: r.Since.UnixMilli(), Restarts: r.Restarts, LastError: cut(r.LastError), Users: r.Users, Ul: r.UL, Dl: r.DL, Errors: r.Errors}
}
