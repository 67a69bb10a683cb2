// Package selfcare answers what subscribers write and dial to the network itself:
// they give themselves a number, ask what they have left and whether all is well,
// by short messages to short codes and by USSD. It carries neither: a message
// centre asks Desk.Answer, a SIP gateway Desk.USSD. It keeps nothing; numbers are
// the directory's.
package selfcare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"campanile.network/3gpp/id"
	"campanile.network/sip/smsc"
	"campanile.network/wire/home"
)

// Account tells what a subscriber has left.
type Account interface {
	Balance(ctx context.Context, imsi id.IMSI) (Balance, error)
}

// Balance is what is left; a field that is negative is not limited.
type Balance struct {
	Octets, Seconds, Messages int64
}

// Network is what is said of the network.
type Network struct {
	Name    string
	Phones  int    // registered now
	Trouble string // what is wrong, in words; empty: nothing
}

// Range is the numbers that subscribers may give themselves.
type Range struct {
	Prefix string // in international form, without a plus
	Digits int    // that follow it; 0: nobody gives himself a number
}

// Options of a Desk. Directory is required.
type Options struct {
	Directory home.Directory
	Account   Account        // nil: the network keeps none
	Network   func() Network // nil: its status is not told
	Numbers   Range
	Language  string // of what it says: "en" (default) or "de"
	Codes     Codes  // zero fields have defaults
}

// Codes are the numbers that are for the network itself. By USSD the same things
// are at *CODE#.
type Codes struct {
	Help     string // 100
	Register string // 101, with the number that is wanted
	Balance  string // 102
	Status   string // 411
}

// Desk answers. Its methods may be called by several goroutines.
type Desk struct {
	o     Options
	words texts
	codes map[string]service
}

// service is what a code does. text is what came with it.
type service func(ctx context.Context, from smsc.Sender, text string) (string, error)

// New makes a Desk.
func New(o Options) (*Desk, error) {
	words, ok := languages[cmp.Or(o.Language, "en")]
	switch {
	case o.Directory == nil:
		return nil, errors.New("selfcare: Options.Directory is required")
	case !ok:
		return nil, fmt.Errorf("selfcare: language %q is unknown: there are en and de", o.Language)
	case strings.Trim(o.Numbers.Prefix, "0123456789") != "" || o.Numbers.Digits < 0 || len(o.Numbers.Prefix)+o.Numbers.Digits > 15:
		return nil, fmt.Errorf("selfcare: numbers of %q and %d digits: at most 15 digits", o.Numbers.Prefix, o.Numbers.Digits)
	}
	c := &o.Codes
	c.Help, c.Register, c.Balance, c.Status = cmp.Or(c.Help, "100"), cmp.Or(c.Register, "101"), cmp.Or(c.Balance, "102"), cmp.Or(c.Status, "411")
	d := &Desk{o: o, words: words}
	d.codes = map[string]service{c.Help: d.help, c.Register: d.register, c.Balance: d.balance, c.Status: d.status}
	if len(d.codes) != 4 {
		return nil, fmt.Errorf("selfcare: a short code is for two things: %+v", *c)
	}
	return d, nil
}

// Answer implements smsc.Codes.
func (d *Desk) Answer(ctx context.Context, from smsc.Sender, code, text string) (string, bool, error) {
	do := d.codes[code]
	if do == nil {
		return "", false, nil
	}
	reply, err := do(ctx, from, strings.TrimSpace(text))
	return reply, true, err
}

// USSD answers what was dialled: *CODE#, *CODE*TEXT#.
func (d *Desk) USSD(ctx context.Context, from smsc.Sender, text string) (string, error) {
	code, text, _ := strings.Cut(strings.TrimSuffix(strings.TrimLeft(text, "*#"), "#"), "*")
	do := d.codes[code]
	if do == nil {
		return d.help(ctx, from, "")
	}
	return do(ctx, from, text)
}

// help says what there is.
func (d *Desk) help(ctx context.Context, from smsc.Sender, _ string) (string, error) {
	n, err := d.number(ctx, from)
	if err != nil {
		return "", err
	}
	own := d.words.noNumber
	if !n.IsZero() {
		own = fmt.Sprintf(d.words.number, "+"+n.Digits())
	}
	c := d.o.Codes
	lines := []string{own}
	if n.IsZero() && d.o.Numbers.Digits > 0 {
		lines = append(lines, fmt.Sprintf(d.words.helpRegister, c.Register))
	}
	lines = append(lines, fmt.Sprintf(d.words.helpBalance, c.Balance), fmt.Sprintf(d.words.helpStatus, c.Status))
	return strings.Join(lines, "\n"), nil
}

func (d *Desk) number(ctx context.Context, from smsc.Sender) (id.MSISDN, error) {
	if !from.MSISDN.IsZero() {
		return from.MSISDN, nil
	}
	return d.o.Directory.Number(ctx, from.IMSI)
}

// register gives a subscriber the number he asks for, if he has none. Asked the same
// again, it says the same.
func (d *Desk) register(ctx context.Context, from smsc.Sender, text string) (string, error) {
	has, err := d.number(ctx, from)
	switch {
	case err != nil:
		return "", err
	case !has.IsZero():
		return fmt.Sprintf(d.words.hasNumber, "+"+has.Digits()), nil
	case d.o.Numbers.Digits == 0:
		return d.words.noNumbers, nil
	}
	n, ok := d.o.Numbers.read(text)
	if !ok {
		return fmt.Sprintf(d.words.badNumber, d.o.Numbers.Digits, "+"+d.o.Numbers.Prefix), nil
	}
	switch err := d.o.Directory.Assign(ctx, from.IMSI, n); {
	case errors.Is(err, home.ErrNumberTaken):
		return d.words.taken, nil
	case errors.Is(err, home.ErrNobody):
		return d.words.unknown, nil
	case err != nil:
		return "", err
	}
	return fmt.Sprintf(d.words.registered, "+"+n.Digits()), nil
}

// read gives the number that is meant: its last digits, or all of them.
func (r Range) read(text string) (id.MSISDN, bool) {
	digits := strings.NewReplacer(" ", "", "-", "", "/", "", "(", "", ")", "", ".", "").Replace(text)
	if rest, whole := strings.CutPrefix(strings.TrimPrefix(digits, "+"), r.Prefix); whole && len(rest) == r.Digits {
		digits = rest
	}
	if len(digits) != r.Digits || strings.Trim(digits, "0123456789") != "" {
		return id.MSISDN{}, false
	}
	n, err := id.ParseMSISDN(r.Prefix + digits)
	return n, err == nil
}

// balance says what is left.
func (d *Desk) balance(ctx context.Context, from smsc.Sender, _ string) (string, error) {
	if d.o.Account == nil {
		return d.words.noAccount, nil
	}
	b, err := d.o.Account.Balance(ctx, from.IMSI)
	if err != nil {
		return "", err
	}
	left := func(n int64, format string, show func(int64) string) string {
		if n < 0 {
			return fmt.Sprintf(format, d.words.unlimited)
		}
		return fmt.Sprintf(format, show(n))
	}
	return strings.Join([]string{
		left(b.Octets, d.words.data, octets),
		left(b.Seconds, d.words.minutes, func(s int64) string { return fmt.Sprint(s / 60) }),
		left(b.Messages, d.words.messages, func(n int64) string { return fmt.Sprint(n) }),
	}, "\n"), nil
}

func octets(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%d.%d GB", n/1e9, n%1e9/1e8)
	case n >= 1e6:
		return fmt.Sprintf("%d MB", n/1e6)
	}
	return fmt.Sprintf("%d kB", n/1e3)
}

// status says how the network is.
func (d *Desk) status(context.Context, smsc.Sender, string) (string, error) {
	if d.o.Network == nil {
		return d.words.noStatus, nil
	}
	n := d.o.Network()
	if n.Trouble != "" {
		return fmt.Sprintf(d.words.trouble, n.Name, n.Phones, n.Trouble), nil
	}
	return fmt.Sprintf(d.words.well, n.Name, n.Phones), nil
}
