package mme

import (
	"net/netip"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/proof"
)

// Event is what Options.Events is told: ENBChanged, UEChanged,
// ProcedureDone or LocationReported.
type Event interface{ event() }

// ENBChanged says that an eNB finished S1 Setup or is gone.
type ENBChanged struct {
	ENB    ENBInfo
	Up     bool
	Reason string // why it is gone
}

// UEChanged says that something shown in UEInfo is different now.
type UEChanged struct{ UE UEInfo }

// ProcedureDone says that a procedure ended.
type ProcedureDone struct {
	Procedure string // "attach", "service request", "detach", ...
	Duration  time.Duration
	UE        UEInfo // as far as known
	Cause     string // the cause told to the phone, such as "EMM cause #15"; empty on success
	Err       string // why it failed, for people; empty on success
}

func (ENBChanged) event()    {}
func (UEChanged) event()     {}
func (ProcedureDone) event() {}

// ENBInfo is an eNB with S1 Setup done.
type ENBInfo struct {
	ID        id.GlobalENBID
	Name      string
	Tower     proof.TowerKey
	Remote    netip.AddrPort
	TAIs      []id.TAI
	PagingDRX int // default paging cycle in radio frames of 10 ms (TS 36.413 §9.2.1.16)
	Since     time.Time
	UEs       int    // S1 connections now
	Notice    string // what the tower last said of its service, see MME.Notice; empty: serving
}

// State is a phone's state, EMM and ECM together (TS 23.401 §4.6).
type State uint8

// The states.
const (
	Deregistered State = iota
	Attaching
	Connected
	Idle
)

func (s State) String() string {
	return [...]string{"deregistered", "attaching", "connected", "idle"}[s&3]
}

// MarshalText is String.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UEInfo is a phone as others may see it. IMSI and MSISDN print masked.
type UEInfo struct {
	Number  uint64 // names the phone to who is not to know its IMSI, until the MME ends; 0 in events
	IMSI    id.IMSI
	MSISDN  id.MSISDN // as its home says; zero: none
	TMSI    id.MTMSI
	State   State
	Since   time.Time // of the state
	Address netip.Addr
	APN     id.APN
	Bearers []BearerInfo

	// Of the S1 connection, or the last one when idle.
	ENB   id.GlobalENBID
	Tower proof.TowerKey
	Cell  id.ECGI
	TAI   id.TAI

	Ticket      proof.TicketID
	TicketUntil time.Time
	Segment     uint32 // number of the newest, 0 before the first
	Security    string // "128-EEA2 128-EIA2"
	IMEI        id.IMEI
	DRX         int // the phone's own paging cycle, in radio frames; 0: the cell's

	// Reason is why the phone is in this state, Notice why its tower does not
	// carry its data; both for people, both may be empty.
	Reason string
	Notice string
}

// BearerInfo is one EPS bearer; a zero eNB TEID means that no radio bearer
// stands.
type BearerInfo struct {
	EBI     id.EBI
	Linked  id.EBI // of the PDN connection's default bearer
	APN     id.APN
	Address netip.Addr // of the phone in the PDN connection
	QCI     id.QCI
	Gateway netip.Addr
	UL      id.TEID // the gateway's, uplink
	ENB     netip.Addr
	DL      id.TEID // the eNB's, downlink
}
