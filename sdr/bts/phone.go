package bts

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
)

// PhoneOptions is what a phone is made of. IMSI and Card are required.
type PhoneOptions struct {
	IMSI     id.IMSI
	Card     Card
	IMEI     id.IMEI
	Capacity int           // how many short messages it stores, 0: without end
	Ring     time.Duration // how long it rings before it is answered; negative: nobody answers
	Events   func(Event)   // called for each, in order, without a lock; must not wait for the phone
}

// Phone is a handset with its card. Methods may be called from any goroutine.
type Phone struct {
	o PhoneOptions

	events sync.Mutex // keeps them in order
	busy   sync.Mutex // one location update at a time

	mu         sync.Mutex
	cell       *Cell
	associated string // P-Associated-URI, as the gateway sent it
	asserted   string // P-Asserted-Identity
	reference  uint8
	inbox      []Stored
	call       *Call
	card       sync.Mutex
}

// Event is what a phone has done or been told.
type Event struct {
	At    time.Time `json:"at"`
	Phone string    `json:"phone"` // the last digits of its IMSI
	What  string    `json:"what"`  // registered, detached, stored, full, ringing, answered, ended, handed over, shown
	From  string    `json:"from,omitempty"`
	Text  string    `json:"text,omitempty"`
}

// Stored is a short message, or a part of one, that a phone has stored and then
// confirmed.
type Stored struct {
	At      time.Time
	From    string
	Part    sms.Part
	Deliver *sms.Deliver // nil of a report
	Report  *sms.StatusReport
}

// NewPhone makes a phone that is switched off.
func NewPhone(o PhoneOptions) (*Phone, error) {
	if o.IMSI.IsZero() || o.Card == nil {
		return nil, errors.New("bts: a phone wants an IMSI and a card")
	}
	return &Phone{o: o}, nil
}

// IMSI is the card's.
func (p *Phone) IMSI() id.IMSI { return p.o.IMSI }

// Number is the phone's own, as the gateway has said, without a plus; "" when it
// has not.
func (p *Phone) Number() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return number(p.associated)
}

// Inbox is what the phone has stored, oldest first. Nothing is left out because it
// came twice.
func (p *Phone) Inbox() []Stored {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]Stored(nil), p.inbox...)
}

// Texts are the messages of the inbox that are whole, with the parts of long ones
// joined.
func (p *Phone) Texts() (texts []string, err error) {
	j := sms.NewJoiner(sms.JoinLimits{})
	for _, s := range p.Inbox() {
		if s.Deliver == nil {
			continue
		}
		whole, _ := j.Add(s.At, sms.Peer{From: s.Deliver.Originator}, s.Part)
		if whole == nil {
			continue
		}
		text, err := sms.Join(whole)
		if err != nil {
			return texts, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}

// Calling is the call the phone is in, nil if in none.
func (p *Phone) Calling() *Call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.call
}

func (p *Phone) user() string { return "IMSI" + p.o.IMSI.Digits() }

// on gives the cell the phone is registered in.
func (p *Phone) on() (*Cell, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cell == nil {
		return nil, ErrOff
	}
	return p.cell, nil
}

// tell writes an event.
func (p *Phone) tell(c *Cell, what, from, text string) {
	p.events.Lock()
	defer p.events.Unlock()
	d := p.o.IMSI.Digits()
	e := Event{At: time.Now(), Phone: d[max(0, len(d)-4):], What: what, From: from, Text: text}
	if c != nil && c.o.Journal != nil {
		b, err := json.Marshal(e)
		if err == nil {
			c.journal.Lock()
			_, err = c.o.Journal.Write(append(b, '\n'))
			c.journal.Unlock()
		}
		if err != nil {
			c.o.Log.Error("the journal is not written", "err", err)
		}
	}
	if p.o.Events != nil {
		p.o.Events(e)
	}
}

// Errors of phones.
var (
	ErrOff    = errors.New("bts: the phone is registered nowhere")
	ErrBusy   = errors.New("bts: the phone is in a call")
	ErrNoCall = errors.New("bts: the call has ended")
)

// Rejected is a status in the place of what a phone wanted.
type Rejected struct {
	Status int
	Reason string
	Cause  int // of location updates that of TS 24.008 §10.5.3.6, of messages that of TS 24.011 §8.2.5.4, of calls 0
}

func (r *Rejected) Error() string {
	s := fmt.Sprintf("bts: rejected with %d %s", r.Status, strings.TrimSpace(r.Reason))
	if r.Cause != 0 {
		s += fmt.Sprintf(", cause %d", r.Cause)
	}
	return s
}
