package sms

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"campanile.network/3gpp/gsm7"
)

// TestErrors: what is wrong with a message is told with its place and the
// causes that answer it.
func TestErrors(t *testing.T) {
	const deliver = "00 0491 2143 00 00 62112260838300"
	for _, c := range []struct {
		parse  string // cp, up or down (RP), submit or deliver (TP)
		octets string
		want   string
		fcs    FailureCause
		answer string
	}{
		{"cp", "", "short message at octet 1: too short for a CP message, ignored", 0, ""},
		{"cp", "09", "short message at octet 1: too short for a CP message, ignored", 0, ""},
		{"cp", "0701", "short message at octet 1: protocol discriminator 7, want 9, ignored", 0, ""},
		{"cp", "1902", "short message at octet 2: no CP message has type 0x02, cause Message type non-existent or not implemented (#97)", 0, "991061"},
		{"cp", "9901", "CP-DATA: CP-User data at octet 3: cut off: 0 octets, want 1, cause Invalid mandatory information (#96)", 0, "191060"},
		{"cp", "190104aabb", "CP-DATA: CP-User data at octet 4: cut off: 2 octets, want 4, cause Invalid mandatory information (#96)", 0, "991060"},
		{"cp", "1910", "CP-ERROR: CP-Cause at octet 3: cut off: 0 octets, want 1, cause Invalid mandatory information (#96)", 0, ""},
		{"up", "00", "short message at octet 1: too short for an RP message, ignored", 0, ""},
		{"up", "0142", "short message at octet 1: no RP message MS to network has type 1, cause Message type non-existent or not implemented (#97)", 0, "05420161"},
		{"down", "0742", "short message at octet 1: no RP message network to MS has type 7, cause Message type non-existent or not implemented (#97)", 0, "04420161"},
		{"up", "0042000c91", "RP-DATA: RP-Destination Address at octet 4: 12 octets, want at most 11, cause Invalid mandatory information (#96)", 0, "05420160"},
		{"up", "00420000ff", "RP-DATA: RP-User Data at octet 5: 255 octets, want at most 232, cause Invalid mandatory information (#96)", 0, "05420160"},
		{"up", "044200", "RP-ERROR: RP-Cause at octet 3: no cause in it, cause Invalid mandatory information (#96)", 0, ""},
		{"submit", "", "short message at octet 1: empty TPDU, cause Protocol error, unspecified (#111)", FailureUnspecified, ""},
		{"submit", "03", "short message at octet 1: no TPDU from a phone has TP-MTI 3, cause Protocol error, unspecified (#111)", FailureTPDU, ""},
		{"submit", "0101 1591", "SMS-SUBMIT: TP-Destination-Address at octet 3: 21 semi-octets, want at most 20, cause Protocol error, unspecified (#111)", FailureInvalidAddress, ""},
		{"submit", "1901 0291f1 00 00 6211", "SMS-SUBMIT: TP-Validity-Period at octet 8: cut off: 2 octets, want 7, cause Protocol error, unspecified (#111)", FailureVP, ""},
		{"deliver", deliver + "a1", "SMS-DELIVER: TP-User-Data-Length at octet 15: 141 octets, want at most 140, cause Protocol error, unspecified (#111)", FailureUnspecified, ""},
		{"deliver", deliver + "0261", "SMS-DELIVER: TP-User-Data at octet 16: cut off: 1 octets, want 2, cause Protocol error, unspecified (#111)", FailureUnspecified, ""},
	} {
		b := unhex(t, c.octets)
		var err error
		switch c.parse {
		case "cp":
			_, err = ParseCP(b)
		case "up", "down":
			_, err = ParseRP(Direction(c.parse == "down"), b)
		default:
			_, err = Parse(Direction(c.parse == "deliver"), b)
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s %s: %v", c.parse, c.octets, err)
			continue
		}
		if e.Error() != c.want || e.FCS != c.fcs {
			t.Errorf("%s %s:\n got %v, %v\nwant %s, %v", c.parse, c.octets, e, e.FCS, c.want, c.fcs)
		}
		var answer []byte
		if m := e.Answer(); m != nil {
			answer = must(Append(nil, m))
		}
		if !bytes.Equal(answer, unhex(t, c.answer)) {
			t.Errorf("%s %s: answer %x, want %s", c.parse, c.octets, answer, c.answer)
		}
	}
}

// TestAppendFails: what has no place on the wire is refused with its name.
func TestAppendFails(t *testing.T) {
	a := must(NewAddress("1"))
	for want, m := range map[string]Message{
		"no message to append": nil,
		"SMS-SUBMIT: TP-Destination-Address at octet 3: no address":                                               &Submit{},
		"SMS-DELIVER: TP-User-Data at octet 14: 2 octets, the length says 1, at most 140":                         &Deliver{Originator: a, User: UserData{Length: 1, Octets: []byte{1, 2}}},
		"SMS-DELIVER: TP-User-Data at octet 14: 141 octets, the length says 141, at most 140":                     &Deliver{Originator: a, DCS: DCS8Bit, User: UserData{Length: 141, Octets: make([]byte, 141)}},
		"CP-DATA: CP-User data at octet 3: 249 octets, want at most 248":                                          &CPData{User: make([]byte, 249)},
		"CP-ACK: Transaction identifier at octet 1: 8, want at most 7":                                            &CPAck{TI: TI{Value: 8}},
		"RP-ACK: RP-User Data at octet 4: 233 octets, want at most 232":                                           &RPAck{User: make([]byte, 233)},
		"RP-ERROR: RP-Cause at octet 3: cause 128 with 0 octets of diagnostics does not fit":                      &RPError{Cause: 128},
		"SMS-DELIVER-REPORT: TP-Parameter-Indicator at octet 2: octet 1 of 1: bit 8 tells whether there are more": &DeliverReport{Optional: Optional{PI: []byte{0x80}}},
	} {
		b, err := Append([]byte{7}, m)
		if err == nil || err.Error() != want || !bytes.Equal(b, []byte{7}) {
			t.Errorf("%v %x, want %s", err, b, want)
		}
	}
}

// TestLongest: the longest RP-DATA just has place in a CP-DATA.
func TestLongest(t *testing.T) {
	rp := must(Append(nil, &RPData{Destination: must(NewAddress("+12345678901234567890")), User: make([]byte, maxRPUser)}))
	cp, err := Append(nil, &CPData{User: rp})
	if err != nil || len(rp) != maxCPUser || must(ParseCP(cp)).MessageType() != TypeCPData {
		t.Errorf("RP-DATA of %d octets: %v", len(rp), err)
	}
}

// TestReserved: reserved values and elements of later releases are kept, and
// what can be read of the message is read.
func TestReserved(t *testing.T) {
	for name, c := range map[string]struct {
		kind   string
		octets string
		check  func(Message) bool
	}{
		"TP-MTI 3 to a phone counts as SMS-DELIVER": {"SMS-DELIVER", "07 0291f1 00 00 62112260838300 00",
			func(m Message) bool { d, ok := m.(*Deliver); return ok && d.Originator.Digits() == "1" && d.Spare == 3 }},
		"two octets of TP-PI":    {"SMS-DELIVER-REPORT for RP-ACK", "00 8112 7f", func(m Message) bool { d := m.(*DeliverReport); return d.PID == Some(PIDUSIMDownload) && len(d.PI) == 2 }},
		"reserved bits of TP-PI": {"SMS-DELIVER-REPORT for RP-ACK", "00 19 7f", func(m Message) bool { return m.(*DeliverReport).PID == Some(PIDUSIMDownload) }},
		"a status report with an empty TP-PI": {"SMS-STATUS-REPORT", "02 01 0291f1 62112260838300 62112260838300 00 00",
			func(m Message) bool { return bytes.Equal(m.(*StatusReport).PI, []byte{0}) }},
		"a status report without TP-PI": {"SMS-STATUS-REPORT", "02 01 0291f1 62112260838300 62112260838300 00",
			func(m Message) bool { return m.(*StatusReport).PI == nil }},
		"a header indicated without user data": {"SMS-DELIVER-REPORT for RP-ACK", "40 00", func(m Message) bool { return m.(*DeliverReport).Spare == udhi }},
		"an extended cause": {"RP-ERROR, MS to network", "0401 03 a9 01 02", func(m Message) bool {
			e := m.(*RPError)
			return e.Cause == RPCauseTemporaryFailure && e.Extension && len(e.Diagnostic) == 2
		}},
		"an unknown element":            {"RP-ACK, MS to network", "0201 55 01 00", func(m Message) bool { return len(m.(*RPAck).Octets) == 3 && m.(*RPAck).User == nil }},
		"a report that is cut":          {"RP-ACK, MS to network", "0201 41 05 00 00", func(m Message) bool { return len(m.(*RPAck).Octets) == 4 && m.(*RPAck).User == nil }},
		"an empty report":               {"RP-ACK, MS to network", "0201 41 00", func(m Message) bool { return m.(*RPAck).User != nil && len(m.(*RPAck).User) == 0 }},
		"spare bits of an RPDU":         {"RP-SMMA", "f609", func(m Message) bool { return m.(*RPSMMA).Spare == 0xf0 }},
		"an address that is not filled": {"SMS-SUBMIT", "01 00 0391 2103 00 00 00", func(m Message) bool { return m.(*Submit).Destination.Digits() == "123" }},
		"a type without its bit 8":      {"SMS-SUBMIT", "01 00 0311 21f3 00 00 00", func(m Message) bool { return m.(*Submit).Destination.Number() == "+123" }},
	} {
		for _, k := range kinds() {
			if k.name != c.kind {
				continue
			}
			m, err := k.parse(unhex(t, c.octets))
			if err != nil || !c.check(m) {
				t.Errorf("%s: %v %+v", name, err, m)
				continue
			}
			if out, err := Append(nil, m); err != nil || !bytes.Equal(out, unhex(t, c.octets)) {
				t.Errorf("%s: %x, %v", name, out, err)
			}
		}
	}
}

// TestNotMade: user data that no message can carry.
func TestNotMade(t *testing.T) {
	long := strings.Repeat("a", 256)
	for name, make := range map[string]func() (UserData, error){
		"septets without a length": func() (UserData, error) { return New7Bit(nil, gsm7.Alphabet{}, long) },
		"no septets":               func() (UserData, error) { return New7Bit(nil, gsm7.Alphabet{}, "я") },
		"octets without a length":  func() (UserData, error) { return New8Bit(nil, []byte(long)) },
		"UCS-2 without a length":   func() (UserData, error) { return NewUCS2(nil, long) },
		"a header too long":        func() (UserData, error) { return New8Bit(UDH{}.With(1, []byte(long)...), nil) },
		"a broken header":          func() (UserData, error) { return New7Bit(UDH{1, 2, 3}, gsm7.Alphabet{}, "") },
	} {
		if u, err := make(); err == nil {
			t.Errorf("%s: %+v", name, u)
		}
	}
	for _, bad := range []func() (Address, error){
		func() (Address, error) { return NewAddressOf(TypeAlphanumeric, PlanISDN, "1") },
		func() (Address, error) { return NewAddressOf(8, PlanISDN, "1") },
		func() (Address, error) { return NewAddressOf(TypeNational, 16, "1") },
	} {
		if a, err := bad(); err == nil {
			t.Errorf("an address %+v", a)
		}
	}
}

// TestBrokenInside: what a message carries is broken: the message is shown all
// the same, its content as octets with the reason.
func TestBrokenInside(t *testing.T) {
	m, err := ParseCP(unhex(t, "0901 0a 0701 00 00 05 0403 91aa bb"))
	if err != nil {
		t.Fatal(err)
	}
	if rp, err := m.(*CPData).RP(); err == nil {
		t.Errorf("an RPDU %v", rp)
	}
	const want = `CP-DATA
  Protocol discriminator: 9
  Transaction identifier: 0, from its originator
  Message type: 1
  CP-User data: 10 octets
  CP-User data: problem: short message at octet 1: no RP message MS to network has type 7, cause Message type non-existent or not implemented (#97)`
	if got := m.String(); got != want {
		t.Errorf("got\n%s", got)
	}
	if r, ok := (&Optional{DCS: Some(DCSUCS2), User: Some(UserData{Length: 2, Octets: []byte{0, 65}})}).Part(); !ok || r.DCS != DCSUCS2 {
		t.Errorf("%+v %v", r, ok)
	}
	if r, ok := (&Optional{DCS: Opt[DCS]{V: DCSUCS2}}).Part(); ok || r.DCS != DCS7Bit {
		t.Errorf("%+v %v", r, ok)
	}
}
