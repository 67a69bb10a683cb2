package radio

import (
	"time"
)

// State is how a radio does, in a word.
type State string

// States of a radio.
const (
	Starting   State = "starting"   // the program runs and is not on the air yet
	Running    State = "running"    // on the air, and the core has answered its S1 Setup
	NoCore     State = "no core"    // on the air, but its agent or MME does not answer
	Restarting State = "restarting" // it has died, and is started again after a pause
	Failing    State = "failing"    // the same, again and again
	Stopped    State = "stopped"    // it was told to
)

// Health is how a radio does, at one moment.
type Health struct {
	State     State
	Since     time.Time // of State
	Restarts  int       // since the supervisor began
	LastError string    // why it was last started again, or what stands in its way; empty: nothing did
	Version   string    // as the program says it
	Users     int       // phones with a radio connection
	DL, UL    uint64    // bit/s over the air, all phones
	Phones    []Phone   // at most 64 of them
	RACH      uint64    // phones that have knocked since the program's start
	RF        RF        // trouble between program and kit since the program's start
	Warnings  uint64    // that the program has logged since its start
	Errors    uint64    // likewise
	MetricsAt time.Time // when the program last reported; zero: never
}

// Phone is one phone as the radio hears it.
type Phone struct {
	RNTI         uint16
	CQI          float64 // 0 to 15: how well it hears the cell
	SNR          float64 // dB: how well the cell hears it
	DLMCS, ULMCS float64
	DL, UL       uint64  // bit/s
	DLBLER       float64 // per cent of blocks that had to be sent again
	ULBLER       float64
	Headroom     float64 // dB of power that it has left
	Buffer       uint64  // octets that it wants to send
}

// RF counts samples that came too late for the kit or from it: a machine that
// is too slow, a bad cable, USB 2.
type RF struct{ Overflows, Underflows, Late uint64 }

// Sum is all of them.
func (r RF) Sum() uint64 { return r.Overflows + r.Underflows + r.Late }
