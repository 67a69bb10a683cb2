package proof

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// Class says how a ticket came to be; a payer chooses which classes it pays.
type Class uint8

// The classes, from the strongest to the weakest.
const (
	Proven   Class = iota + 1 // a SIM answered the home itself
	Backup                    // a SIM answered backups, the home being away
	Asserted                  // a one-step interface (S6a, GSUP) said so, or a SIM of GSM or a password answered: see wire/home.Method
	Grace                     // lease ran out and could not be renewed
)

func (c Class) String() string {
	if c < Proven || c > Grace {
		return fmt.Sprintf("class %d", uint8(c))
	}
	return [...]string{"proven", "backup", "asserted", "grace"}[c-1]
}

// MarshalText is String.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// TicketID looks random to all but the node that drew it; it names neither
// subscriber nor cell.
type TicketID [16]byte

func (t TicketID) String() string { return hex.EncodeToString(t[:]) }

// MarshalText is 32 hexadecimal digits.
func (t TicketID) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// Ticket is the home's lease to a serving operator: for so long and so much it
// will stand for one of its subscribers.
type Ticket struct {
	ChainID   string
	ID        TicketID
	Home      OperatorKey
	Node      NodeKey // the HSS node of Home that signed
	Serving   OperatorKey
	Class     Class
	NotBefore time.Time // whole seconds
	NotAfter  time.Time // whole seconds
	Cap       Carried
	Prices    [32]byte // hash of the price list both agreed
}

// MaxValidity is the longest lease that is believed.
const MaxValidity = 366 * 24 * time.Hour

// lastYear bounds times that are believed: those who keep them may add to them
// and write them with four digits of year.
const lastYear = 9000

// Sign gives the ticket's bytes with the node's signature behind them. k's
// public half must be t.Node.
func (t Ticket) Sign(k SigningKey) ([]byte, error) {
	if k.Public() != [32]byte(t.Node) {
		return nil, fmt.Errorf("ticket: signing key is not node %s", t.Node.Short())
	}
	b, err := appendChain(make([]byte, 0, 320), t.ChainID)
	if err != nil {
		return nil, fmt.Errorf("ticket: %w", err)
	}
	b = append(b, t.ID[:]...)
	b = append(b, t.Home[:]...)
	b = append(b, t.Node[:]...)
	b = append(b, t.Serving[:]...)
	b = append(b, byte(t.Class))
	b = binary.BigEndian.AppendUint64(b, uint64(t.NotBefore.Unix()))
	b = binary.BigEndian.AppendUint64(b, uint64(t.NotAfter.Unix()))
	b = t.Cap.append(b)
	b = append(b, t.Prices[:]...)
	return sign(k, purposeTicket, b), nil
}

// OpenTicket reads a signed ticket and checks the signature of the node it
// names. The caller asks the ledger whether that node is t.Home's.
// Errors: ErrMalformed, ErrSignature, ErrChain.
func OpenTicket(chainID string, b []byte) (Ticket, error) {
	return OpenTicketWith(ed25519Verify, chainID, b)
}

// OpenTicketWith is OpenTicket with another's arithmetic, for who opens many.
func OpenTicketWith(verify Verifier, chainID string, b []byte) (Ticket, error) {
	t, err := PeekTicket(chainID, b)
	if err == nil {
		_, err = openWith(verify, t.Node, purposeTicket, b)
	}
	return t, err
}

// PeekTicket reads a signed ticket without checking the signature: for who has
// opened it before and kept it where nobody else writes.
// Errors: ErrMalformed, ErrChain.
func PeekTicket(chainID string, b []byte) (Ticket, error) {
	body, _, err := split(purposeTicket, b)
	if err != nil {
		return Ticket{}, err
	}
	r := reader{b: body}
	t := Ticket{
		ChainID: r.chain(), ID: TicketID(r.take(16)),
		Home: r.key(), Node: r.key(), Serving: r.key(), Class: Class(r.u8()),
		NotBefore: time.Unix(int64(r.u64()), 0).UTC(), NotAfter: time.Unix(int64(r.u64()), 0).UTC(),
		Cap: r.carried(), Prices: r.key(),
	}
	if err := r.end(purposeTicket); err != nil {
		return Ticket{}, err
	}
	if t.Class < Proven || t.Class > Grace {
		return Ticket{}, fmt.Errorf("ticket: %w: %v", ErrMalformed, t.Class)
	}
	if t.NotBefore.Unix() < 0 || t.NotAfter.Year() > lastYear || !t.NotAfter.After(t.NotBefore) || t.NotAfter.Sub(t.NotBefore) > MaxValidity {
		return Ticket{}, fmt.Errorf("ticket: %w: valid from %d to %d, seconds since 1970", ErrMalformed, t.NotBefore.Unix(), t.NotAfter.Unix())
	}
	if t.ChainID != chainID {
		return Ticket{}, fmt.Errorf("ticket for %q: %w", t.ChainID, ErrChain)
	}
	t.ChainID = chainID // many tickets share it
	return t, nil
}

// Valid says whether the lease covers the instant.
func (t Ticket) Valid(now time.Time) bool {
	return !now.Before(t.NotBefore) && now.Before(t.NotAfter)
}

// Segment is one stay of a ticket's phone at a tower: opened by the MME at
// every initial context setup, handover and path switch, and by the SIP gateway at
// every location update, ended by the next.
type Segment struct {
	ChainID string
	Ticket  TicketID
	No      uint32 // counts up within the ticket
	Tower   TowerKey
	Cell    Cell
	Start   time.Time // whole milliseconds
}

// Sign gives the segment's bytes with the serving operator's signature.
func (s Segment) Sign(serving SigningKey) ([]byte, error) {
	b, err := appendChain(make([]byte, 0, 192), s.ChainID)
	if err != nil {
		return nil, fmt.Errorf("segment: %w", err)
	}
	b = append(b, s.Ticket[:]...)
	b = binary.BigEndian.AppendUint32(b, s.No)
	b = append(b, s.Tower[:]...)
	b = append(append(b, s.Cell.kind), s.Cell.octets[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.Start.UnixMilli()))
	return sign(serving, purposeSegment, b), nil
}

// OpenSegment reads a segment signed by the ticket's serving operator.
// Errors: ErrMalformed, ErrSignature, ErrChain.
func OpenSegment(chainID string, serving OperatorKey, b []byte) (Segment, error) {
	body, err := open(serving, purposeSegment, b)
	if err != nil {
		return Segment{}, err
	}
	r := reader{b: body}
	s := Segment{ChainID: r.chain(), Ticket: TicketID(r.take(16)), No: r.u32(), Tower: r.key()}
	kind, cell := r.u8(), [7]byte(r.take(7))
	s.Start = time.UnixMilli(int64(r.u64())).UTC()
	if err := r.end(purposeSegment); err != nil {
		return Segment{}, err
	}
	if s.Cell, err = decodeCell(kind, cell); err != nil {
		return Segment{}, fmt.Errorf("segment: %w: %w", ErrMalformed, err)
	}
	if s.ChainID != chainID {
		return Segment{}, fmt.Errorf("segment for %q: %w", s.ChainID, ErrChain)
	}
	return s, nil
}

// Voucher is a payer's cumulative promise to a tower out of one channel.
type Voucher struct {
	ChainID string
	Channel uint64
	Seq     uint64   // counts up; a higher one replaces all lower
	Amount  Amount   // since the channel was opened, in its base denom
	Carried          // since the channel was opened
	Root    [32]byte // Tree.Root over the receipts of the channel's segments
}

// Sign gives the voucher's bytes with the paying operator's signature.
func (v Voucher) Sign(payer SigningKey) ([]byte, error) {
	b, err := appendChain(make([]byte, 0, 192), v.ChainID)
	if err != nil {
		return nil, fmt.Errorf("voucher: %w", err)
	}
	amount := v.Amount.Octets()
	b = binary.BigEndian.AppendUint64(b, v.Channel)
	b = binary.BigEndian.AppendUint64(b, v.Seq)
	b = append(b, amount[:]...)
	b = v.Carried.append(b)
	b = append(b, v.Root[:]...)
	return sign(payer, purposeVoucher, b), nil
}

// OpenVoucher reads a voucher signed by the payer of its channel.
// Errors: ErrMalformed, ErrSignature, ErrChain.
func OpenVoucher(chainID string, payer OperatorKey, b []byte) (Voucher, error) {
	v, err := PeekVoucher(b)
	if err != nil {
		return Voucher{}, err
	}
	if v.ChainID != chainID {
		return Voucher{}, fmt.Errorf("voucher for %q: %w", v.ChainID, ErrChain)
	}
	_, err = open(payer, purposeVoucher, b)
	return v, err
}

// PeekVoucher reads a voucher without believing it: to learn which channel's
// payer must have signed.
func PeekVoucher(b []byte) (Voucher, error) {
	body, _, err := split(purposeVoucher, b)
	if err != nil {
		return Voucher{}, err
	}
	r := reader{b: body}
	v := Voucher{ChainID: r.chain(), Channel: r.u64(), Seq: r.u64(), Amount: AmountFromOctets([16]byte(r.take(16))), Carried: r.carried(), Root: r.key()}
	return v, r.end(purposeVoucher)
}
