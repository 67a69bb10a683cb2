// Package smsc is the message centre: it takes short messages of phones, of SIP
// apps and of the network itself, keeps them on disk, and brings them to their
// phones by whatever path these can be reached (TS 23.040 §6). It knows the layers
// above a path (RP-DATA and what is in it), no radio, no SIP and no NAS: a Path
// carries RP messages, a Directory says who has a number.
//
// What it promises. A sender is told that his message was taken when it is on
// disk, and not before. A message that was taken reaches its phone, or its sender
// is told by a status report if he asked for one; a kill at any instant loses none.
// A phone is sent a message once more only if nobody knows whether it has it: its
// answer was lost on the way, or this process was killed between the answer and
// the write that notes it. No store and forward can do without that. The
// repetition is then the same message to the bit: the same octets of the TPDU,
// whose time stamp no other message to that phone has (TS 23.040 §6.2), the same
// RP message reference, and the same Key, of which a path makes what its own layer
// knows a repetition by (over SIP the Call-ID and From tag). A phone that drops a
// message with the originator, time stamp and contents of one it has got has each
// exactly once. And a sender that repeats itself because it was not answered is
// recognised, so that what it wanted sent once is kept once.
package smsc

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"time"

	"github.com/cockroachdb/pebble/vfs"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
)

// Reasons for which a Path did not bring a message, and the phone has not got it.
// Any other error leaves open whether it has.
var (
	ErrNotRegistered = errors.New("smsc: the phone is not registered by this path")
	ErrAbsent        = errors.New("smsc: the phone does not answer")
	ErrBusy          = errors.New("smsc: the phone or its cell is busy")
)

// ErrUnknown is a Directory's word that nobody of this operator has a number.
var ErrUnknown = errors.New("smsc: nobody has this number")

// Sender is the phone or app that a short message comes from.
type Sender struct {
	IMSI   id.IMSI
	MSISDN id.MSISDN // zero: none yet; it may write to short codes then
}

// Key names a message for good: it is the same however often the message is sent,
// also after this process was killed.
type Key [16]byte

// String is 32 hexadecimal digits.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// Delivery is a message on its way to a phone.
type Delivery struct {
	IMSI id.IMSI
	Key  Key
	// Data is downlink, with a reference that stays, the centre's address as
	// Originator, and an SMS-DELIVER or SMS-STATUS-REPORT.
	Data sms.RPData
	// Again says that the phone may have it: a former delivery of this process or
	// an earlier one was not answered.
	Again bool
}

// Path reaches phones by one kind of radio: GSM cells and SIP apps, or LTE. Its
// methods are called by several goroutines.
type Path interface {
	// Registered says since when the phone is registered by this path or, better,
	// when it was last heard there; false: it is not. It does not block.
	Registered(imsi id.IMSI) (time.Time, bool)
	// Deliver brings the message and gives the phone's answer, an *sms.RPAck or
	// *sms.RPError; for a phone that speaks no RP, what its answer comes to.
	Deliver(ctx context.Context, d Delivery) (sms.RP, error)
	// Delivered says that the phone has taken d and that this is on disk: it is
	// called once for a message at most, and is for counting.
	Delivered(d Delivery)
}

// NamedPath is a Path and what status and metrics call it.
type NamedPath struct {
	Name string
	Path
}

// Directory knows the numbers of the operator's subscribers.
type Directory interface {
	// ByNumber gives whose number it is; ErrUnknown: nobody's. Another error
	// refuses the message for now.
	ByNumber(ctx context.Context, n id.MSISDN) (id.IMSI, error)
	// Number gives a subscriber's number, the zero MSISDN when he has none. It is
	// asked when a Sender has none: he may have got it since he registered.
	Number(ctx context.Context, imsi id.IMSI) (id.MSISDN, error)
}

// Codes answers what is written to the network itself.
type Codes interface {
	// Answer gives the answer to a text to a short code, which goes back to the
	// sender; false: there is no such code. It may be asked the same again after a
	// crash. An error refuses the message for now.
	Answer(ctx context.Context, from Sender, code, text string) (string, bool, error)
}

// Trunk takes what is for numbers of others.
type Trunk interface {
	// Forward hands a message over; nil: the other side has it, and answers for it.
	// An error that wraps ErrRefused is final; after any other the message
	// is tried again, with the same Key.
	Forward(ctx context.Context, m Outgoing) error
}

// ErrRefused wraps a Trunk's word that trying again is of no use.
var ErrRefused = errors.New("smsc: refused for good")

// Outgoing is a message for a number of others.
type Outgoing struct {
	Key         Key
	From        id.MSISDN
	To          id.MSISDN
	Submit      *sms.Submit
	Accepted    time.Time
	StatusAsked bool
}

// Options of a Centre. Dir, Key, Address and Directory are required.
type Options struct {
	Dir string   // where messages are kept; made if it is not there
	Key [32]byte // under which they are sealed; it is to lie where Dir does not
	FS  vfs.FS   // nil: the operating system's

	Address   sms.Address // of this centre, as phones have it or will see it
	Paths     []NamedPath
	Directory Directory
	Codes     Codes             // nil: no short codes
	Trunk     Trunk             // nil: numbers of others are refused
	Barred    func(Sender) bool // nil: nobody is; these are refused as senders
	Dial      DialPlan

	National bool // long texts may be written with national tables, which not every phone has

	Zone   *time.Location // of time stamps; nil: UTC
	Limits Limits
	Logger *slog.Logger // nil discards
}

// DialPlan reads numbers that are not in international form.
type DialPlan struct {
	Country string   // prefix of the country, such as "49"; empty: national numbers are read as they are
	Own     []string // first digits, in international form, of the operator's numbers: one of these that nobody has is unknown, not somebody else's
}

// Limits bound what the centre keeps and does. Zero fields have defaults.
type Limits struct {
	PerPhone     int           // messages that wait for one phone: 100
	Total        int           // messages that wait: 50,000
	PerSender    int           // messages of one sender in a minute, over a longer time: 30
	Burst        int           // and at once: 60
	Parallel     int           // phones that are sent a message at a time: 64
	Validity     time.Duration // of a message that says none: 3 days
	MaxValidity  time.Duration // at most: 14 days
	Attempt      time.Duration // a path has for a delivery: 90 s
	RepeatWindow time.Duration // in which a sender's repetition is recognised: 1 h
}

// Text is a text that the network itself sends.
type Text struct {
	From      sms.Address // whom the phone shows as sender, a number or a name
	To        Recipient
	Text      string
	Key       Key // a repetition with the same key is not sent again; zero: none is expected
	Class     sms.Opt[sms.Class]
	Validity  time.Duration // zero: Limits.Validity
	NotBefore time.Time     // delivery is put off until then
	Priority  bool          // before others, and tried also when the phone is known to be absent (TS 23.040 §3.2.2)
}

// Recipient is a phone: by IMSI, or by number.
type Recipient struct {
	IMSI   id.IMSI
	MSISDN id.MSISDN
}

// Refused is why a message was not taken.
type Refused struct {
	Cause sms.RPCause
	FCS   sms.Opt[sms.FailureCause]
	Why   string
}

func (e *Refused) Error() string { return e.Why }

func refuse(c sms.RPCause, f sms.FailureCause, why string) error {
	return &Refused{c, sms.Some(f), why}
}
