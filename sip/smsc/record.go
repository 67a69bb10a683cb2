package smsc

import (
	"encoding/json"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
	"campanile.network/internal/vault"
)

// schema is the version of the records' names and of what is in them.
const schema = 1

// Kinds of records.
const (
	kindMessage = 'm' // by Key
	kindMark    = 's' // of a submission, by whose it is
)

// boxID names a mailbox: a phone's or, of a trunk, a number's.
type boxID string

func phoneBox(i id.IMSI) boxID    { return boxID("i" + i.Digits()) }
func numberBox(n id.MSISDN) boxID { return boxID("n" + n.Digits()) }

// imsi gives whose box it is; false: a number's of somebody else.
func (b boxID) imsi() (id.IMSI, bool) {
	if b == "" || b[0] != 'i' {
		return id.IMSI{}, false
	}
	i, err := id.ParseIMSI(string(b[1:]))
	return i, err == nil
}

func (b boxID) number() id.MSISDN {
	n, _ := id.ParseMSISDN(string(b[1:]))
	return n
}

// message is what waits, as it is stored. What is sent is made when it is taken,
// so that it is the same octets whenever it is sent.
type message struct {
	Key  Key    `json:"key"`
	Seq  uint64 `json:"seq"` // order of acceptance
	Box  boxID  `json:"box"`
	TPDU []byte `json:"tpdu,omitempty"` // SMS-DELIVER or SMS-STATUS-REPORT; SMS-SUBMIT for a trunk

	From      boxID           `json:"from,omitempty"`   // who submitted it; empty: the network
	Number    string          `json:"number,omitempty"` // and as which number
	MR        uint8           `json:"mr,omitempty"`     // TP-MR as submitted
	Dest      []byte          `json:"dest,omitempty"`   // TP-DA as submitted
	Report    bool            `json:"report,omitempty"` // a status report is wanted
	Wants     sms.SMSCControl `json:"wants,omitempty"`  // of which outcomes; 0: of the last one
	IsReport  bool            `json:"is_report,omitempty"`
	Replaces  string          `json:"replaces,omitempty"` // originator and type, of a replace short message type
	Priority  bool            `json:"priority,omitempty"`
	Once      bool            `json:"once,omitempty"`  // single shot
	Tried     bool            `json:"tried,omitempty"` // a single shot that was under way
	Stamp     int64           `json:"stamp"`           // TP-SCTS, Unix seconds
	NotBefore int64           `json:"not_before,omitempty"`
	Expires   int64           `json:"expires"`
	Finished  int64           `json:"finished,omitempty"` // nothing but Key, Box, Stamp and this is left

	answered  int  // attempts that the phone answered with a temporary cause
	full      int  // attempts that the phone answered with having no memory
	attempted bool // in this run
	again     bool // it was sent, or may have been, and no answer was had
	over      bool // it is finished, whether or not that is on disk
	beingSent bool
}

// mark is what a sender's repetition is known by, as it is stored.
type mark struct {
	Of    string `json:"of"` // whose, and its TP-MR or Key
	At    int64  `json:"at"` // Unix seconds
	Ref   uint8  `json:"ref,omitempty"`
	Body  []byte `json:"body"`            // digest of the TPDU
	Lasts bool   `json:"lasts,omitempty"` // Of has a Key: nothing else will ever have this name
	Stamp int64  `json:"stamp"`

	done chan struct{} // closed when what became of it is known
	err  error
}

func put(kind byte, name string, v any) vault.Write {
	b, err := json.Marshal(v)
	if err != nil {
		panic("smsc: a record cannot be written: " + err.Error()) // plain fields only
	}
	return vault.Write{Kind: kind, Name: []byte(name), Value: b}
}

func (m *message) write() vault.Write { return put(kindMessage, string(m.Key[:]), m) }

// tombstone keeps the time stamp from being given again, and the key.
func (m *message) tombstone(now time.Time) vault.Write {
	return put(kindMessage, string(m.Key[:]), &message{Key: m.Key, Box: m.Box, Stamp: m.Stamp, Finished: now.Unix()})
}

func forget(kind byte, name string) vault.Write { return vault.Write{Kind: kind, Name: []byte(name)} }

func (k *mark) write() vault.Write { return put(kindMark, k.Of, k) }
