// Package console is the page on which an operator watches the network, and
// the JSON behind it: towers, phones, bytes as they move, both counts side by
// side, vouchers and money, live by server-sent events.
//
// It shows what it is given and decides nothing: whoever starts it supplies
// the State and carries out a claim. It asks no other role, keeps nothing on
// disk, and is made for its operator on his own machine: it has no accounts and
// no passwords, and takes a claim from the machine itself only.
package console

import (
	"net/netip"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/proof"
)

// State is everything the page shows. Octets are inner IP octets, header
// included; an Amount is abell (10^18 abell are one BELL) and becomes a JSON
// string of decimal digits.
type State struct {
	Network   Network     `json:"network"`
	Chain     Chain       `json:"chain"`
	Towers    []Tower     `json:"towers"`
	Phones    []Phone     `json:"phones"`
	Carried   Octets      `json:"carried"`   // by the gateway for all phones, ever; never falls
	Unsettled []Unsettled `json:"unsettled"` // octets nobody is charged for
	Accounts  []Account   `json:"accounts"`
	Events    []Event     `json:"events"` // oldest first; the page shows the last 100
}

// Network is who runs this and on what legal ground.
type Network struct {
	Name     string            `json:"name"`
	PLMN     string            `json:"plmn"`
	Operator proof.OperatorKey `json:"operator"`
	Law      string            `json:"law"`       // "virtual radio: nothing is transmitted"
	DataPath string            `json:"data_path"` // what moves user packets, and why nothing faster does; empty: the gateway is elsewhere
	S1AP     []string          `json:"s1ap"`      // what S1AP runs over, and why: "MME: SCTP over kernel (this machine has it)"
	Pool     []PoolMember      `json:"pool"`      // other MMEs; none: it stands alone
}

// PoolMember is another MME of the pool.
type PoolMember struct {
	Up   bool   `json:"up"`   // it is heard
	Text string `json:"text"` // "MME code 2 at 10.81.1.5:7102 is there since 12:00:00; copies of 40 phones"
}

// Chain is the ledger's head.
type Chain struct {
	ID         string    `json:"id"`
	Height     int64     `json:"height"`
	Time       time.Time `json:"time"`       // of the newest block
	Running    bool      `json:"running"`    // false: consensus halted
	Validators int       `json:"validators"` // 1 is a private ledger, 0 is not known yet
}

// Octets is inner IP octets of both directions.
type Octets struct {
	UL uint64 `json:"ul"`
	DL uint64 `json:"dl"`
}

// Tower is a base station and what is owed to it.
type Tower struct {
	Key             proof.TowerKey `json:"key"`
	Name            string         `json:"name"`
	ENB             string         `json:"enb"` // "001/01-macro-0x1"
	Cells           []string       `json:"cells"`
	OnAir           bool           `json:"on_air"`
	Since           time.Time      `json:"since"`  // of OnAir; zero: not known
	Reason          string         `json:"reason"` // why it is not on air
	Notice          string         `json:"notice"` // why it does not serve though on air: "vouchers lag 4.2 MB; window 4.0 MB"
	Linked          bool           `json:"linked"` // its agent is connected and reports its count
	Self            bool           `json:"self"`   // owner and operator are one: paid between own pockets
	Phones          int            `json:"phones"` // connected through it now
	PricePerGB      proof.Amount   `json:"price_per_gb"`
	PricePerMinute  proof.Amount   `json:"price_per_minute"` // of voice
	PricePerMessage proof.Amount   `json:"price_per_message"`
	Radio           *Radio         `json:"radio"` // nil: its agent supervises none, or has not told
	Told            *Told          `json:"told"`  // nil: it has said nothing on the ledger
	Tally           Tally          `json:"tally"`
	Channel         *Channel       `json:"channel"` // nil: none is open
}

// Radio is how a tower's radio does, as its agent has told.
type Radio struct {
	State     string    `json:"state"` // "starting", "running", "no core", "restarting", "failing", "stopped"
	Since     time.Time `json:"since"` // of State
	Restarts  int       `json:"restarts"`
	LastError string    `json:"last_error"` // why it was last started again, or what stands in its way
	Users     int       `json:"users"`      // phones with a radio connection
	UL        uint64    `json:"ul"`         // bit/s over the air
	DL        uint64    `json:"dl"`
}

// Told is what a tower has said on the ledger about its radio.
type Told struct {
	State    string    `json:"state"` // as Radio's
	Since    time.Time `json:"since"` // of State
	Restarts int       `json:"restarts"`
	At       time.Time `json:"at"` // when it said so
}

// Tally is what was counted at a tower and what was promised for it.
type Tally struct {
	Gateway  Octets       `json:"gateway"`  // as the gateway counted
	Tower    Octets       `json:"tower"`    // as the tower counted
	Counted  uint64       `json:"counted"`  // octets that count: arrived, under a ticket
	VoiceMs  uint64       `json:"voice_ms"` // of calls, that count
	Messages uint64       `json:"messages"` // short messages that count
	Billed   uint64       `json:"billed"`   // of the channel, in the newest voucher
	Lag      uint64       `json:"lag"`      // of Counted, not yet in a voucher
	Window   uint64       `json:"window"`   // the lag at which the tower stops
	Seq      uint64       `json:"seq"`      // of the newest voucher, 0 before the first
	Seen     uint64       `json:"seen"`     // the newest the tower has confirmed
	Amount   proof.Amount `json:"amount"`   // of the newest voucher
	Trouble  string       `json:"trouble"`  // what stands in the way of signing more
}

// Channel is where a tower is paid from, as the ledger has it.
type Channel struct {
	ID       uint64       `json:"id"`
	State    string       `json:"state"` // "open", "closing", "closed"
	Reserve  proof.Amount `json:"reserve"`
	Promised proof.Amount `json:"promised"`
	Paid     proof.Amount `json:"paid"`
}

// Phone is a subscriber's phone as the operator may see it.
type Phone struct {
	IMSI        id.IMSI    `json:"imsi"`  // becomes masked text
	State       string     `json:"state"` // "deregistered", "attaching", "connected", "idle"
	Since       time.Time  `json:"since"`
	Address     netip.Addr `json:"address"`
	APN         string     `json:"apn"`
	Security    string     `json:"security"` // "128-EEA2 128-EIA2"
	Tower       string     `json:"tower"`    // its name
	Cell        string     `json:"cell"`
	Ticket      string     `json:"ticket"`       // its id
	TicketUntil time.Time  `json:"ticket_until"` // zero: no ticket
	Reason      string     `json:"reason"`       // why the phone is in this state
	Notice      string     `json:"notice"`       // why its data is not carried
	Ref         string     `json:"ref"`          // its id under /api/v1/phones; "": it has none
	Heard       time.Time  `json:"heard"`        // last, of an idle phone; zero: does not apply, as in UpdateDue
	UpdateDue   time.Time  `json:"update_due"`   // when its next periodic update is due
	Bearers     []Bearer   `json:"bearers"`
}

// Bearer is one EPS bearer as the gateway counted it since it was set up.
type Bearer struct {
	EBI     uint8 `json:"ebi"`
	QCI     uint8 `json:"qci"`
	Active  bool  `json:"active"`  // a radio bearer stands
	Settled bool  `json:"settled"` // under a ticket
	Octets
	ULPackets uint64 `json:"ul_packets"`
	DLPackets uint64 `json:"dl_packets"`
}

// Unsettled is octets nobody is charged for, and why.
type Unsettled struct {
	Reason string `json:"reason"`
	Octets
}

// Account is an account of the ledger.
type Account struct {
	Name      string        `json:"name"` // "tower owner", "operator"
	Address   string        `json:"address"`
	Balance   *proof.Amount `json:"balance"` // nil: not known now
	Claimable proof.Amount  `json:"claimable"`
	Claims    bool          `json:"claims"` // Options.Claim acts for it
}

// Event is one line of history.
type Event struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"` // "cell", "phone", "voucher", "money", "chain", "trouble"; others show without a mark
	Text string    `json:"text"` // "attach 43 ms", "voucher 7: 1.2 MB, 0.0006 BELL"
}
