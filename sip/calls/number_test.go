package calls

import (
	"testing"

	"campanile.network/3gpp/id"
)

func TestDialled(t *testing.T) {
	n := Numbers{Country: "49", National: "0", International: "00", Emergency: []string{"112", "110"}, Short: map[string]string{"*77": "2101", "100": "112"}}
	if err := n.Check(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dialled string
		kind    Kind
		want    []string
		global  bool
	}{
		{"+4930123456", KindNumber, []string{"4930123456"}, true},
		{"+49 (30) 12-34.56", KindNumber, []string{"4930123456"}, true},
		{"004930123456", KindNumber, []string{"4930123456"}, true},
		{"030123456", KindNumber, []string{"4930123456"}, true},
		{"2101", KindNumber, []string{"2101", "492101"}, false},
		{"2101;phone-context=+49", KindNumber, []string{"2101", "492101"}, false},
		{"*77", KindNumber, []string{"2101", "492101"}, false},
		{"112", KindEmergency, nil, false},
		{"100", KindEmergency, nil, false},
		{"IMSI001010000000001", KindIMSI, nil, false},
		{"imsi001010000000001", KindIMSI, nil, false},
	} {
		d, err := n.Read(c.dialled)
		if err != nil || d.Kind != c.kind || d.Global != c.global || len(d.Numbers) != len(c.want) {
			t.Errorf("%q: %+v, %v", c.dialled, d, err)
			continue
		}
		for i, w := range c.want {
			if d.Numbers[i].Digits() != w {
				t.Errorf("%q: reading %d is %s, want %s", c.dialled, i, d.Numbers[i].Digits(), w)
			}
		}
	}
	for _, bad := range []string{"", "+", "00", "alice", "IMSI12", "IMSI00101000000000x", "+49x", "12#", "+1234567890123456"} {
		if d, err := n.Read(bad); err == nil {
			t.Errorf("%q is read as %+v", bad, d)
		}
	}
	if d, _ := n.Read("2101"); d.World() != number(t, "492101") {
		t.Errorf("outside, 2101 is %v", d.World().Digits())
	}
}

func TestNumbersCheck(t *testing.T) {
	for _, bad := range []Numbers{{Country: "+49"}, {National: "x"}, {Emergency: []string{"1"}}, {Emergency: []string{"11x"}}, {Short: map[string]string{"1": "x"}}, {Short: map[string]string{"": "1"}}} {
		if bad.Check() == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func number(t *testing.T, s string) id.MSISDN {
	t.Helper()
	m, err := id.ParseMSISDN(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func FuzzDialled(f *testing.F) {
	for _, s := range []string{"+49301", "IMSI001010000000001", "112", "*77;x=y", "00", "0-"} {
		f.Add(s)
	}
	n := Numbers{Country: "49", National: "0", International: "00", Emergency: []string{"112"}, Short: map[string]string{"*77": "2101"}}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := n.Read(s)
		if err == nil && d.Kind == KindNumber && (len(d.Numbers) == 0 || d.World().IsZero()) {
			t.Fatalf("%q is a number and has none", s)
		}
	})
}
