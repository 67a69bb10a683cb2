package openbts

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/secret"
)

// Subscriber is one that can be taken over.
type Subscriber struct {
	IMSI      id.IMSI
	MSISDN    id.MSISDN // zero: it had none
	Ki        secret.Key128
	Algorithm string // comp128v1, comp128v2 or comp128v3
	Notes     []string
}

// Refused is one that cannot, and why.
type Refused struct{ Who, Why string }

// Registry is what a SubscriberRegistry holds.
type Registry struct {
	Subscribers []Subscriber
	Refused     []Refused
}

// Algorithms a card without Milenage may have.
var Algorithms = []string{"comp128v1", "comp128v2", "comp128v3"}

// ReadRegistry reads OpenBTS's subscriber registry: the tables SIP_BUDDIES, whose
// names are "IMSI" and digits, and DIALDATA_TABLE, numbers to names. Who has no
// algorithm of his own there has the one given. The file is not changed.
func ReadRegistry(path, algorithm string) (*Registry, error) {
	if !slices.Contains(Algorithms, algorithm) {
		return nil, fmt.Errorf("openbts: algorithm %q: want one of %s", algorithm, strings.Join(Algorithms, ", "))
	}
	d, err := openDatabase(path)
	if err != nil {
		return nil, err
	}
	r, err := d.registry(algorithm)
	if err != nil {
		return nil, fmt.Errorf("openbts: %s: %w", path, err)
	}
	return r, nil
}

func (d *database) registry(algorithm string) (*Registry, error) {
	numbers := map[string]string{} // the first of each name
	if err := d.rows("dialdata_table", func(r row) error {
		if _, has := numbers[r["dial"]]; !has && r["exten"] != "" {
			numbers[r["dial"]] = r["exten"]
		}
		return nil
	}); err != nil {
		return nil, err
	}
	out := &Registry{}
	imsis, msisdns := map[id.IMSI]bool{}, map[id.MSISDN]id.IMSI{}
	err := d.rows("sip_buddies", func(r row) error {
		name := r["username"]
		if name == "" {
			name = r["name"]
		}
		s, why := subscriber(r, name, algorithm)
		if why == "" && imsis[s.IMSI] {
			why = "is in the table twice: the first is taken"
		}
		if why != "" {
			out.Refused = append(out.Refused, Refused{Who: printable(name), Why: why})
			return nil
		}
		imsis[s.IMSI] = true
		s.number(numbers[name], msisdns)
		out.Subscribers = append(out.Subscribers, s)
		return nil
	})
	return out, err
}

// subscriber reads one row, or says why it is none.
func subscriber(r row, name, algorithm string) (s Subscriber, why string) {
	digits, ok := strings.CutPrefix(name, "IMSI")
	if !ok {
		return s, "is no SIM: its name does not begin with IMSI"
	}
	var err error
	if s.IMSI, err = id.ParseIMSI(digits); err != nil {
		return s, "has no IMSI of 6 to 15 digits"
	}
	ki := strings.TrimPrefix(strings.ToLower(strings.TrimSpace(r["ki"])), "0x")
	if ki == "" {
		return s, "has no Ki: it was let in by what its phone had answered before, which proves nothing; give it a SIM whose Ki you know"
	}
	key, err := hex.DecodeString(ki)
	if err != nil || len(key) != len(s.Ki) {
		return s, "has a Ki that is not 32 hexadecimal digits"
	}
	copy(s.Ki[:], key)
	s.Algorithm, why = algorithmOf(r["a3_a8"], algorithm)
	return s, why
}

// algorithmOf reads the column a3_a8: the program that computed it, or a name.
func algorithmOf(column, otherwise string) (algorithm, why string) {
	c := strings.ToLower(strings.TrimSpace(column))
	switch {
	case c == "":
		return otherwise, ""
	case strings.Contains(c, "milenage"):
		return "", "computes Milenage, for which its OPc is missing here: add it by hand with campanile subscriber add"
	case !strings.Contains(c, "comp128"):
		return "", fmt.Sprintf("computes %s, which is not known here", printable(column))
	}
	for _, v := range []string{"3", "2"} {
		if strings.Contains(c, "comp128v"+v) || strings.Contains(c, "comp128-"+v) || strings.Contains(c, "comp128_"+v) {
			return "comp128v" + v, ""
		}
	}
	return "comp128v1", "" // what OpenBTS's own program computes
}

// number gives a subscriber his number, unless it is none or somebody's.
func (s *Subscriber) number(text string, taken map[id.MSISDN]id.IMSI) {
	if text == "" {
		return
	}
	n, err := id.ParseMSISDN(text)
	if err != nil {
		s.drop(printable(text) + " is no telephone number")
	} else if other, is := taken[n]; is {
		s.drop(fmt.Sprintf("it is that of %v, too", other))
	} else {
		taken[n], s.MSISDN = s.IMSI, n
	}
}

// drop leaves a subscriber without his number, and notes why.
func (s *Subscriber) drop(why string) {
	s.Notes = append(s.Notes, "its number is left out: "+why)
}

// printable bounds what others have written for a person to read.
func printable(s string) string {
	if len(s) > 40 {
		s = s[:40]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}
