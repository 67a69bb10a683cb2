package calls

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"campanile.network/3gpp/id"
)

// Numbers is how this operator's subscribers dial. The zero value completes
// nothing: digits are what they are.
type Numbers struct {
	// Country is the operator's own country code ("49"); empty: national
	// numbers are not completed.
	Country string
	// National comes before a national number ("0"); empty where there is none.
	National string
	// International comes before a country code ("00"); + always does.
	International string
	// Emergency are the numbers that ask for help ("112", "911").
	Emergency []string
	// Short are short codes of this network and the number each stands for.
	Short map[string]string
}

// Check says what of n cannot be.
func (n Numbers) Check() error {
	for what, s := range map[string]string{"country code": n.Country, "national prefix": n.National, "international prefix": n.International} {
		if len(s) > 4 || !digits(s) {
			return fmt.Errorf("%s %q: up to four digits", what, s)
		}
	}
	for _, e := range n.Emergency {
		if len(e) < 2 || len(e) > 6 || !digits(e) {
			return fmt.Errorf("emergency number %q: two to six digits", e)
		}
	}
	for code, to := range n.Short {
		if _, err := n.Read(to); code == "" || err != nil {
			return fmt.Errorf("short code %q stands for %q: %w", code, to, errNumber)
		}
	}
	return nil
}

// Kind is what somebody dialled.
type Kind uint8

// What was dialled.
const (
	// KindNumber is a telephone number.
	KindNumber Kind = iota
	// KindIMSI names a subscriber by IMSI.
	KindIMSI
	// KindEmergency asks for help.
	KindEmergency
)

// Dialled is what somebody dialled, read.
type Dialled struct {
	Kind Kind
	IMSI id.IMSI // of KindIMSI
	// Numbers are what a telephone number may be in international format, best
	// first: digits without any prefix are a number of this network as they
	// are, or a national one.
	Numbers []id.MSISDN
	// Global says that the number was dialled in international format or with
	// the national prefix, so that it is meant for the world.
	Global bool
}

var errNumber = errors.New("no telephone number, IMSI or short code")

// Read reads the user part of a URI that was dialled: digits with visual
// separators (RFC 3966 §5.1.1), parameters after a semicolon ignored,
// "IMSI" and digits, a short code. Emergency numbers are known first, in any
// form; an empty one is what OpenBTS sends when a phone makes an emergency call.
func (n Numbers) Read(user string) (Dialled, error) {
	user, _, _ = strings.Cut(user, ";")
	if rest, ok := cutFold(user, "IMSI"); ok {
		imsi, err := id.ParseIMSI(rest)
		if err != nil {
			return Dialled{}, errNumber
		}
		return Dialled{Kind: KindIMSI, IMSI: imsi}, nil
	}
	user = bare(user)
	if slices.Contains(n.Emergency, user) {
		return Dialled{Kind: KindEmergency}, nil
	}
	if to, ok := n.Short[user]; ok {
		m := n
		m.Short = nil // a short code stands for a number, never for another
		return m.Read(to)
	}
	return n.complete(user)
}

// bare is what was dialled, without parameters and visual separators.
func bare(user string) string {
	user, _, _ = strings.Cut(user, ";")
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-.() ", r) {
			return -1
		}
		return r
	}, user)
}

// complete makes international format of what was dialled.
func (n Numbers) complete(user string) (Dialled, error) {
	plus := strings.HasPrefix(user, "+")
	rest := strings.TrimPrefix(user, "+")
	if !digits(rest) || rest == "" {
		return Dialled{}, errNumber
	}
	var forms []string
	global := true
	switch {
	case plus:
		forms = []string{rest}
	case n.International != "" && strings.HasPrefix(rest, n.International):
		forms = []string{rest[len(n.International):]}
	case n.National != "" && n.Country != "" && len(rest) > len(n.National) && strings.HasPrefix(rest, n.National):
		forms = []string{n.Country + rest[len(n.National):]}
	default:
		global = false
		if forms = []string{rest}; n.Country != "" {
			forms = append(forms, n.Country+rest)
		}
	}
	d := Dialled{Global: global}
	for _, f := range forms {
		if m, err := id.ParseMSISDN(f); err == nil {
			d.Numbers = append(d.Numbers, m)
		}
	}
	if len(d.Numbers) == 0 {
		return Dialled{}, errNumber
	}
	return d, nil
}

// World is the number as the world outside would know it: the last reading,
// which is the national one of bare digits.
func (d Dialled) World() id.MSISDN {
	if len(d.Numbers) == 0 {
		return id.MSISDN{}
	}
	return d.Numbers[len(d.Numbers)-1]
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

func cutFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}
