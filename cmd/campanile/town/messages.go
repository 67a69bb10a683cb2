package town

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"campanile.network/mme"
	"campanile.network/sip/selfcare"
)

// resolveNumbers checks what [sip] says of numbers and of what is said to
// subscribers.
func (q SIPConfig) resolveNumbers(p *sipSettings, bad mistake) error {
	switch {
	case strings.Trim(q.Numbers, "0123456789") != "" || len(q.Numbers) > 14:
		return bad("sip.numbers", fmt.Errorf("%q is no beginning of numbers", q.Numbers), "write digits such as '882991', or nothing")
	case q.Digits < 0 || q.Digits > 15-len(q.Numbers):
		return bad("sip.number_digits", fmt.Errorf("%d", q.Digits), fmt.Sprintf("write 0 to %d: a number has at most 15 digits", 15-len(q.Numbers)))
	case q.Digits > 0 && q.Numbers == "":
		return bad("sip.numbers", errors.New("it is empty, and sip.number_digits is not 0"), "write the first digits of your numbers, or sip.number_digits = 0")
	case q.Language != "en" && q.Language != "de":
		return bad("sip.language", fmt.Errorf("%q is unknown", q.Language), `write "en" or "de"`)
	}
	p.numbers, p.language = selfcare.Range{Prefix: q.Numbers, Digits: q.Digits}, q.Language
	if q.Numbers != "" {
		p.dial.Own = []string{q.Numbers}
	}
	return nil
}

// openDesk makes who answers what subscribers write to the network itself.
func (t *Town) openDesk() (*selfcare.Desk, error) {
	o := selfcare.Options{Directory: t.directory, Network: t.networkNow, Numbers: t.set.sip.numbers, Language: t.set.sip.language}
	if t.meter != nil {
		o.Account = purse{t}
	}
	return selfcare.New(o)
}

// networkNow is what a subscriber is told of the network.
func (t *Town) networkNow() selfcare.Network {
	n := selfcare.Network{Name: t.cfg.Network.Name}
	if m := t.ways.mme.Load(); m != nil {
		for _, u := range m.UEs() {
			if u.State == mme.Idle || u.State == mme.Connected {
				n.Phones++
			}
		}
	}
	if g := t.ways.sip.Load(); g != nil {
		for _, r := range g.Stats().Registered {
			n.Phones += r
		}
	}
	return n
}

// sayMessages is what the message centre has to say.
func (t *Town) sayMessages(say func(name, format string, args ...any)) {
	t.sayLinks(say)
	if t.centre == nil {
		return
	}
	s := t.centre.Stats()
	text := fmt.Sprintf("%d taken, %d delivered, %d wait", s.Submitted["taken"], s.Finished["delivered"], s.Waiting)
	if s.Waiting > 0 {
		text += fmt.Sprintf(" for %d phones, the oldest for %v", s.Boxes, s.Oldest.Round(time.Second))
	}
	if n := s.Finished["failed"] + s.Finished["given up"]; n > 0 {
		text += fmt.Sprintf(", %d not delivered", n)
	}
	if s.Lost > 0 {
		text += fmt.Sprintf("; %d from before could not be read", s.Lost)
	}
	if s.Failing != "" {
		text += "; the store cannot be written, none are taken: " + s.Failing
	}
	say("messages", "%s", text)
}
