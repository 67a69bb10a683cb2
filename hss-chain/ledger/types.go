// Package ledger is what every role knows of the chain: plain types for
// operators, subscribers, towers and channels, the change that one committed
// block makes to them, and a Model that holds the sum in memory and on disk.
//
// The Model is read on the attach path and by billing and console; it never
// asks the chain, answers while consensus is halted, and is there again right
// after a restart. It does not decide anything: what it holds was decided by
// consensus. The package imports nothing of the chain's machinery.
package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/proof"
)

// Denom is the base denom of every Amount; 10^18 abell make one BELL.
const Denom = "abell"

// Account is an account of the chain in bech32, prefix "camp".
type Account string

// Range is the numbers that begin with these 5 to 15 digits of an IMSI.
type Range string

// Operator is a home network as registered.
type Operator struct {
	Account Account
	Key     proof.OperatorKey
	Name    string
	PLMNs   []id.PLMN
	Ranges  []Range
	Nodes   []HSSNode
	Prices  []Price
	Version uint64 // counts changes from 1
}

// HSSNode is a machine its operator trusts to open subscribers' blobs.
type HSSNode struct {
	Key      proof.NodeKey
	HPKE     []byte // public key to which the operator's epoch key is sealed
	IND      uint8  // slot 0..3 of the IND budget (TS 33.102 §C.1.1.1)
	Endpoint string // "host:port", may be empty
}

// Price is what an operator takes for one class of ticket.
type Price struct {
	Class proof.Class
	PerGB proof.Amount // for 10^9 octets
}

// PricesHash names the price list, as tickets carry it: SHA-256 over each
// price's class and amount in the listed order.
func (o Operator) PricesHash() [32]byte {
	b := make([]byte, 0, 17*len(o.Prices))
	for _, p := range o.Prices {
		amount := p.PerGB.Octets()
		b = append(append(b, byte(p.Class)), amount[:]...)
	}
	return sha256.Sum256(b)
}

// Node finds one of the operator's HSS nodes.
func (o Operator) Node(key proof.NodeKey) (HSSNode, bool) {
	for _, n := range o.Nodes {
		if n.Key == key {
			return n, true
		}
	}
	return HSSNode{}, false
}

// SubscriberState says whether a subscriber may be served.
type SubscriberState uint8

// The states; Erased is final.
const (
	Active SubscriberState = iota + 1
	Barred
	Erased
)

func (s SubscriberState) String() string {
	if s < Active || s > Erased {
		return fmt.Sprintf("state %d", uint8(s))
	}
	return [...]string{"active", "barred", "erased"}[s-1]
}

// MarshalText is String.
func (s SubscriberState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Subscriber is the public half of a subscription.
type Subscriber struct {
	ID       id.SubscriberID
	Operator Account
	State    SubscriberState
	Plan     string
	Version  uint64   // counts changes from 1
	BlobHash [32]byte // SHA-256 of the sealed blob; zero once erased
	Epoch    uint64   // of the operator's blob key
}

// Tower is a base station; its key is its name.
type Tower struct {
	Key     proof.TowerKey
	Owner   Account
	Name    string
	ENB     id.GlobalENBID
	Cells   []id.ECGI
	Shares  []Share
	Prices  proof.Prices // in channels opened from now on
	Version uint64       // counts the owner's changes from 1
	Health  Health       // the newest word of the tower itself; zero: it has said nothing
}

// Health is what a tower has said about the radio it supervises.
type Health struct {
	State    proof.RadioState
	Since    time.Time // of State; by the tower's clock, as Said
	Restarts uint32
	Said     time.Time
	Heard    time.Time // of the block that has it
}

// Statement is the statement as others are compared with it, and when a block
// had it; see proof.Health.After.
func (h Health) Statement() (proof.Health, time.Time) {
	return proof.Health{State: h.State, Since: h.Since, Restarts: h.Restarts, At: h.Said}, h.Heard
}

// HasCell says whether the cell was registered as this tower's.
func (t Tower) HasCell(cell id.ECGI) bool {
	for _, c := range t.Cells {
		if c == cell {
			return true
		}
	}
	return false
}

// Share is an account's part of a tower's earnings: weight over the sum of weights.
type Share struct {
	Account Account
	Weight  uint32
}

// ChannelState is where a channel stands in its life.
type ChannelState uint8

// The states, in order.
const (
	ChannelOpen ChannelState = iota + 1
	ChannelClosing
	ChannelClosed
)

func (s ChannelState) String() string {
	if s < ChannelOpen || s > ChannelClosed {
		return fmt.Sprintf("state %d", uint8(s))
	}
	return [...]string{"open", "closing", "closed"}[s-1]
}

// MarshalText is String.
func (s ChannelState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Channel is a payment channel from an operator to a tower. Operator, prices
// and shares are those of the day it was opened.
type Channel struct {
	ID       uint64
	Payer    Account
	Operator proof.OperatorKey // signs the vouchers
	Tower    proof.TowerKey
	Owner    Account
	Prices   proof.Prices
	Shares   []Share
	Reserve  proof.Amount  // everything ever paid in
	Promised proof.Amount  // the highest voucher the chain has seen
	Paid     proof.Amount  // what went to the shares: min(Promised, Reserve)
	Returned proof.Amount  // what went back to the payer at the end
	Seq      uint64        // of the highest voucher
	Carried  proof.Carried // of the highest voucher
	Root     [32]byte      // of the highest voucher
	State    ChannelState
	ClosesAt time.Time // while closing: from then on no voucher is paid
}

// Claimable is what an account has earned and not yet claimed.
type Claimable struct {
	Account Account
	Amount  proof.Amount
}

// Update is what one committed block changed: the new state of every record it
// touched. With Resync set it is instead everything there is at that height.
type Update struct {
	ChainID      string
	Height       int64
	Time         time.Time // of the block
	Resync       bool
	Operators    []Operator
	Subscribers  []Subscriber
	Towers       []Tower
	Channels     []Channel
	Claimables   []Claimable
	GoneChannels []uint64 // closed ones whose record was dropped
}

// Empty says that nothing but height and time has changed.
func (u Update) Empty() bool {
	return !u.Resync && len(u.Operators)+len(u.Subscribers)+len(u.Towers)+len(u.Channels)+len(u.Claimables)+len(u.GoneChannels) == 0
}

// ChannelKey is a channel's id as octets, for stores.
func ChannelKey(channel uint64) []byte { return binary.BigEndian.AppendUint64(nil, channel) }
