package eps

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/id"
)

// A foreign is a message of somebody else's making, with what its maker says of
// its elements: "name = value".
type foreign struct {
	origin, name string
	dir          Direction
	octets       []byte
	said         []string
}

// foreigners reads a file of lines "message | up or down | octets | name =
// value; ...".
func foreigners(tb testing.TB, file string) []foreign {
	tb.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Fatal(err)
	}
	var all []foreign
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		w := strings.Split(line, "|")
		if strings.HasPrefix(line, "#") {
			continue
		}
		if len(w) != 4 {
			tb.Fatalf("%s:%d: %d columns", file, i+1, len(w))
		}
		f := foreign{fmt.Sprintf("%s:%d", file, i+1), strings.TrimSpace(w[0]), Direction(strings.TrimSpace(w[1]) == "down"), unhex(tb, w[2]), nil}
		for s := range strings.SplitSeq(w[3], ";") {
			if s = strings.TrimSpace(s); s != "" {
				f.said = append(f.said, s)
			}
		}
		all = append(all, f)
	}
	return all
}

var pycrateFiles = []string{"testdata/pycrate-emm.txt", "testdata/pycrate-esm.txt"}

// TestStrangerPycrate: what pycrate writes of every message, we read as pycrate
// meant it, and write the same.
func TestStrangerPycrate(t *testing.T) {
	for _, file := range pycrateFiles {
		for _, f := range foreigners(t, file) {
			m, err := Parse(f.dir, f.octets)
			if err != nil {
				t.Errorf("%s: %v: %x", f.origin, err, f.octets)
				continue
			}
			if m.table().name != f.name {
				t.Errorf("%s: %s is read as %s", f.origin, f.name, m.table().name)
			}
			roundTrip(t, f.origin, f.dir, f.octets)
			have := spots(m)
			for _, s := range f.said {
				name, want, _ := strings.Cut(s, " = ")
				if got, ok := have[name]; !ok || got[0] != want && got[1] != want {
					t.Errorf("%s: %s: pycrate means %s = %q, we read %q", f.origin, f.name, name, want, got)
				}
				delete(have, name)
			}
			if len(have) > 0 {
				t.Errorf("%s: %s: pycrate does not know of %q", f.origin, f.name, have)
			}
		}
	}
}

// spots are the elements of m by name: what they mean, in the words of the
// files, and their octets.
func spots(m Message) map[string][2]string {
	all := map[string][2]string{}
	rows := m.table().rows
	for i := range rows {
		if rows[i].get == nil {
			continue
		}
		el, has := rows[i].get(m)
		if has != nil && !*has {
			continue
		}
		octets := fmt.Sprintf("%x", el.encode(nil))
		if rows[i].format == half || rows[i].format == tv1 {
			octets = octets[1:]
		}
		all[rows[i].name] = [2]string{spot(el), octets}
	}
	return all
}

func spot(el element) string {
	switch v := el.(type) {
	case *EPSMobileIdentity:
		return spotIdentity(v.IMSI, v.IMEI, nil, v.GUTI)
	case *MobileIdentity:
		return spotIdentity(v.IMSI, v.IMEI, v.TMSI, nil)
	case *TAIList:
		return spotList("TAIs", v.All())
	case *taiElement:
		return "TAI " + id.TAI(*v).String()
	case *LAI:
		return fmt.Sprintf("LAI %v:%d", v.PLMN, v.LAC)
	case *PLMNList:
		return spotList("PLMNs", *v)
	case *GPRSTimer:
		return spotTimer(v.Duration())
	case *GPRSTimer3:
		return spotTimer(v.Duration())
	case *PCO:
		s := "PCO"
		for c, content := range v.All() {
			s += fmt.Sprintf(" %04x:%x", uint16(c), content)
		}
		return s
	case *apnElement:
		return "APN " + v.String()
	case *NetworkName:
		return "name " + v.Text()
	case *TimeZone:
		return fmt.Sprintf("zone %d", int(*v))
	case *TimeAndZone:
		t, err := v.Time()
		if err != nil {
			return err.Error()
		}
		_, offset := t.Zone()
		return fmt.Sprintf("time %s %d", t.UTC().Format(time.DateTime), offset/900)
	case *EPSQoS:
		return fmt.Sprintf("QCI %d", v.QCI)
	case *PDNAddress:
		b := v.IID[:]
		if v.Type == PDNTypeIPv4 {
			b = nil
		}
		if v.Type != PDNTypeIPv6 {
			b = append(bytes.Clone(b), v.IPv4.AsSlice()...)
		}
		return fmt.Sprintf("PDN %d %x", v.Type, b)
	case *TFT:
		s := fmt.Sprintf("TFT %d", v.Operation)
		for _, f := range v.Filters {
			s += fmt.Sprintf(" %d/%d/%d/%x", f.Direction, f.ID, f.Precedence, []byte(f.Components))
		}
		return s
	case *UENetworkCapability:
		s := "features"
		for f := range Feature(104) {
			if v.Has(f) {
				s += fmt.Sprint(" ", uint8(f))
			}
		}
		return s
	case *KSIAndSequence:
		return fmt.Sprintf("KSI %d sequence %d", v.KSI.Value(), v.Sequence)
	}
	return ""
}

func spotIdentity(imsi func() (id.IMSI, bool), imei func() (id.IMEI, bool), tmsi func() (id.MTMSI, bool), guti func() (id.GUTI, bool)) string {
	if i, ok := imsi(); ok {
		return "IMSI " + i.Digits()
	}
	if i, ok := imei(); ok {
		return map[int]string{15: "IMEI ", 16: "IMEISV "}[len(i.Digits())] + i.Digits()
	}
	if guti != nil {
		if g, ok := guti(); ok {
			return fmt.Sprintf("GUTI %v/%d/%d/%d", g.GUMMEI.PLMN, g.GUMMEI.Group, g.GUMMEI.Code, g.TMSI)
		}
		return ""
	}
	v, _ := tmsi()
	return fmt.Sprintf("TMSI %d", v)
}

func spotList[T fmt.Stringer](name string, list []T) string {
	for _, v := range list {
		name += " " + v.String()
	}
	return name
}

func spotTimer(d time.Duration, runs bool) string {
	if !runs {
		return "deactivated"
	}
	return fmt.Sprintf("%.0fs", d.Seconds())
}
