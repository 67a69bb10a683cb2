package smsc

import (
	"context"
	"errors"
	"strings"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/sms"
)

// route is where a message goes: into a box, or it was for the network itself,
// whose answer is to be kept in its place.
type route struct {
	box      boxID
	number   id.MSISDN
	answered bool
	answer   []draft
}

// shortCode is how many characters a number for the network itself has at most.
const shortCode = 6

// route finds where a message to a number goes. text gives what is written.
func (c *Centre) route(ctx context.Context, from Sender, to sms.Address, text func() (string, error)) (route, error) {
	digits := to.Digits()
	if digits == "" {
		return route{}, refuse(sms.RPCauseUnassignedNumber, sms.FailureInvalidAddress, "the destination is no number")
	}
	if c.o.Codes != nil && to.Type() != sms.TypeInternational && len(digits) <= shortCode {
		t, err := text()
		if err != nil {
			return route{}, refuse(sms.RPCauseFacilityRejected, sms.FailureDCS, "what is sent to the network is a text")
		}
		reply, ok, err := c.o.Codes.Answer(ctx, from, digits, t)
		if err != nil {
			return route{}, err
		}
		if ok {
			answer, err := c.reply(from, to, reply)
			return route{answered: true, answer: answer}, err
		}
	}
	if from.MSISDN.IsZero() { // nobody could say who it is from
		return route{}, refuse(sms.RPCauseFacilityNotSubscribed, sms.FailureNoSubscription, "the sender has no number yet")
	}
	return c.find(ctx, to)
}

// identify gives a sender his number, if he has got one since he registered.
func (c *Centre) identify(ctx context.Context, from Sender) (Sender, error) {
	var err error
	if from.MSISDN.IsZero() {
		from.MSISDN, err = c.o.Directory.Number(ctx, from.IMSI)
	}
	return from, err
}

// find gives the box of a number.
func (c *Centre) find(ctx context.Context, to sms.Address) (route, error) {
	numbers := c.o.Dial.read(to)
	for _, n := range numbers {
		imsi, err := c.o.Directory.ByNumber(ctx, n)
		switch {
		case err == nil:
			return route{box: phoneBox(imsi), number: n}, nil
		case !errors.Is(err, ErrUnknown):
			return route{}, err
		}
	}
	switch {
	case len(numbers) == 0, c.o.Dial.own(numbers[len(numbers)-1]):
		return route{}, refuse(sms.RPCauseUnassignedNumber, sms.FailureInvalidAddress, "nobody has this number")
	case c.o.Trunk == nil && len(c.o.Dial.Own) == 0:
		return route{}, refuse(sms.RPCauseUnassignedNumber, sms.FailureInvalidAddress, "nobody here has this number, and there is no way to other networks")
	case c.o.Trunk == nil:
		return route{}, refuse(sms.RPCauseFacilityRejected, sms.FailureInvalidAddress, "there is no way to other networks")
	}
	n := numbers[len(numbers)-1]
	return route{box: numberBox(n), number: n}, nil
}

// read gives the international numbers that an address may mean, likeliest first.
func (p DialPlan) read(a sms.Address) (all []id.MSISDN) {
	add := func(s string) {
		if n, err := id.ParseMSISDN(s); err == nil {
			all = append(all, n)
		}
	}
	digits := a.Digits()
	if a.Type() == sms.TypeInternational {
		add(digits)
		return all
	}
	add(digits)
	switch {
	case strings.HasPrefix(digits, "00"):
		add(digits[2:])
	case p.Country != "" && strings.HasPrefix(digits, "0"):
		add(p.Country + digits[1:])
	case p.Country != "":
		add(p.Country + digits)
	}
	return all
}

// own says that a number is the operator's.
func (p DialPlan) own(n id.MSISDN) bool {
	for _, prefix := range p.Own {
		if strings.HasPrefix(n.Digits(), prefix) {
			return true
		}
	}
	return false
}
