package sms

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"campanile.network/3gpp/gsm7"
	"campanile.network/3gpp/id"
)

func TestAddress(t *testing.T) {
	for _, c := range []struct {
		in, number, masked, tp string
		typ                    TypeOfNumber
	}{
		{"+4915112345678", "+4915112345678", "+49·········78", "0d91945111325476f8", TypeInternational},
		{"101", "101", "···", "038101f1", TypeUnknown},
		{"*#abc0", "*#abc0", "*#a·c0", "0681badc0e", TypeUnknown},
		{"12345678901234567890", "12345678901234567890", "123···············90", "148121436587092143658709", TypeUnknown},
	} {
		a, err := NewAddress(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		w := walker{mode: writing}
		w.address("", &a)
		if a.Number() != c.number || a.String() != c.masked || a.Type() != c.typ || a.Plan() != PlanISDN || fmt.Sprintf("%x", w.b) != c.tp {
			t.Errorf("%s: %s, %s, %v, %x", c.in, a.Number(), a, a.Type(), w.b)
		}
	}
	for _, bad := range []string{"", "+", "123456789012345678901", "12 34", "d", "١"} {
		if a, err := NewAddress(bad); err == nil {
			t.Errorf("%q became %s", bad, a.Number())
		} else if len(bad) > 5 && strings.Contains(err.Error(), bad) {
			t.Errorf("%v shows the number", err)
		}
	}
	m, _ := id.ParseMSISDN("4915112345678")
	if back, ok := FromMSISDN(m).MSISDN(); !ok || back != m || !FromMSISDN(id.MSISDN{}).IsZero() {
		t.Errorf("MSISDN %s %v", back.Digits(), ok)
	}
	if j, err := json.Marshal(FromMSISDN(m)); err != nil || string(j) != `"+49·········78"` {
		t.Errorf("JSON %s %v", j, err)
	}
}

// TestName: an example that operators send: length in semi-octets, seven bits
// a character.
func TestName(t *testing.T) {
	a, err := NewName("Design@Home")
	w := walker{mode: writing}
	w.address("", &a)
	if got := fmt.Sprintf("%x", w.b); err != nil || got != "14d0c4f23c7d760390ef7619" || a.Name() != "Design@Home" || a.Digits() != "" {
		t.Errorf("%s %q %v", got, a.Name(), err)
	}
	for _, bad := range []string{"", "twelve chars", "你", "[[[[[["} {
		if _, err := NewName(bad); err == nil {
			t.Errorf("%q is a name", bad)
		}
	}
}

func TestTimestamp(t *testing.T) {
	for _, c := range []struct{ octets, want string }{
		{"62112260838300", "2026-11-22 06:38:38 +00:00"},
		{"62112260838340", "2026-11-22 06:38:38 +01:00"},
		{"6211226083834a", "2026-11-22 06:38:38 -06:00"},
		{"62112260838397", "2026-11-22 06:38:38 +19:45"},
		{"6211226083a397", "2026-11-22 06:38:30 +19:45"}, // a digit that is none is 0
		{"62312260838300", "no date and time (62312260838300)"},
		{"00000000000000", "no date and time (00000000000000)"},
		{"62203082838300", "no date and time (62203082838300)"}, // 30 February
	} {
		s := Timestamp(unhex(t, c.octets))
		if s.String() != c.want {
			t.Errorf("%s: %v, want %s", c.octets, s, c.want)
		}
		if at, ok := s.Time(); ok && NewTimestamp(at) != s && !strings.Contains(c.octets, "a3") {
			t.Errorf("%s: back %x", c.octets, NewTimestamp(at))
		}
	}
}

// TestRelativeValidity: the table of TS 23.040 §9.2.3.12.1, both ways.
// Two digits of a year are of 1990 to 2089.
func TestCentury(t *testing.T) {
	for year := 1990; year < 2090; year++ {
		in := time.Date(year, 2, 28, 23, 59, 59, 0, time.UTC)
		if out, ok := NewTimestamp(in).Time(); !ok || !out.Equal(in) {
			t.Errorf("%v became %v", in, out)
		}
	}
}

// A zone that is no whole quarter of an hour is cut, and the local time with it:
// the moment stays.
func TestOddZones(t *testing.T) {
	for _, seconds := range []int{3208, -3208, 20700, -12600, 899, -899} {
		in := time.Date(2026, 11, 22, 12, 30, 15, 0, time.FixedZone("", seconds))
		out, ok := NewTimestamp(in).Time()
		if _, zone := out.Zone(); !ok || !out.Equal(in) || zone != seconds/900*900 {
			t.Errorf("%v became %v", in, out)
		}
	}
}

// Causes after which the same message may be sent again are those of TS 24.011 §E.
func TestTemporaryCauses(t *testing.T) {
	temporary := map[RPCause]bool{22: true, 27: true, 38: true, 41: true, 42: true, 47: true}
	for c := range RPCause(128) {
		if c.Temporary() != temporary[c] {
			t.Errorf("%v: %t", c, c.Temporary())
		}
	}
}

// Parse tells a report of failure by its cause, ParseReport is told.
func TestReportsOfFailure(t *testing.T) {
	for _, dir := range []Direction{Uplink, Downlink} {
		var failed, done TPDU = &DeliverReport{Failure: Some(FailureUnspecified)}, &DeliverReport{}
		if dir == Downlink {
			failed, done = &SubmitReport{Failure: Some(FailureUnspecified)}, &SubmitReport{}
		}
		for _, m := range []TPDU{failed, done} {
			b := must(Append(nil, m))
			if got, err := Parse(dir, b); err != nil || got.String() != m.String() {
				t.Errorf("%x: %v, %v; want %v", b, got, err, m)
			}
			if got, err := ParseReport(dir, b, m == failed); err != nil || got.String() != m.String() {
				t.Errorf("%x: %v, %v; want %v", b, got, err, m)
			}
		}
	}
}

func TestRelativeValidity(t *testing.T) {
	const hour, week = time.Hour, 7 * day
	for v, want := range map[byte]time.Duration{0: 5 * time.Minute, 143: 12 * hour, 144: 12*hour + 30*time.Minute, 167: day, 168: 2 * day, 196: 30 * day, 197: 5 * week, 255: 63 * week} {
		if got := relativePeriod(v); got != want {
			t.Errorf("%d is %v, want %v", v, got, want)
		}
	}
	for v := range 256 {
		d := relativePeriod(byte(v))
		if got, _ := ValidFor(d).Period(); got != d {
			t.Errorf("%v became %v", d, got)
		}
		if got, _ := ValidFor(d - 1).Period(); got != d {
			t.Errorf("a little less than %v became %v", d, got)
		}
		if got, _ := ValidFor(d + 1).Period(); got < d+1 && v < 255 {
			t.Errorf("a little more than %v became %v", d, got)
		}
	}
	for _, d := range []time.Duration{-hour, 0, 1000 * week} {
		if got, _ := ValidFor(d).Period(); got != min(max(d, 5*time.Minute), 63*week) {
			t.Errorf("%v became %v", d, got)
		}
	}
}

func TestValidity(t *testing.T) {
	sent := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		v        Validity
		octets   string
		deadline time.Duration
		text     string
	}{
		{Validity{}, "", 0, "not present"},
		{ValidFor(3 * day), "a9", 3 * day, "3 days"},
		{ValidUntil(sent.Add(time.Hour)), "62112231000000", time.Hour, "2026-11-22 13:00:00 +00:00"},
		{ValidExactly(0, true), "40000000000000", 0, "enhanced format, single shot"},
		{ValidExactly(200*time.Second, false), "02c80000000000", 200 * time.Second, "3m20s"},
		{ValidExactly(90*time.Minute, true), "43100300000000", 90 * time.Minute, "1h30m0s, single shot"},
		{ValidExactly(5*day, false), "01ab0000000000", 5 * day, "5 days"},
		{Validity{ValidityEnhanced, [7]byte{0x82, 0, 7}}, "82000700000000", 7 * time.Second, "7s"}, // one more indicator
		{Validity{ValidityEnhanced, [7]byte{5, 1}}, "05010000000000", 0, "reserved (05010000000000)"},
		{Validity{ValidityEnhanced, [7]byte{2}}, "02000000000000", 0, "reserved (02000000000000)"},
		{Validity{ValidityEnhanced, [7]byte{0x83, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80}}, "83808080808080", 0, "reserved (83808080808080)"},
	} {
		w := walker{mode: writing}
		w.validity(&c.v)
		at, ok := c.v.Deadline(sent)
		if fmt.Sprintf("%x", w.b) != c.octets || c.v.String() != c.text || ok != (c.deadline != 0) || ok && !at.Equal(sent.Add(c.deadline)) {
			t.Errorf("%s: octets %x, %v, deadline %v %v", c.text, w.b, c.v, at, ok)
		}
	}
}

// TestDCS: an octet of every group of TS 23.038 §4.
func TestDCS(t *testing.T) {
	for d, want := range map[DCS]string{
		0x00: "GSM 7 bit default alphabet (0x00)",
		0x03: "GSM 7 bit default alphabet (0x03)",
		0x04: "8 bit data (0x04)",
		0x08: "UCS2 (16 bit) (0x08)",
		0x0c: "GSM 7 bit default alphabet, reserved coding (0x0c)",
		0x10: "GSM 7 bit default alphabet, Class 0, immediate display (0x10)",
		0x1a: "UCS2 (16 bit), Class 2, (U)SIM specific (0x1a)",
		0x20: "GSM 7 bit default alphabet, compressed (0x20)",
		0x51: "GSM 7 bit default alphabet, Class 1, ME-specific, marked for automatic deletion (0x51)",
		0x80: "GSM 7 bit default alphabet, reserved coding (0x80)",
		0xb8: "GSM 7 bit default alphabet, reserved coding (0xb8)",
		0xc8: "GSM 7 bit default alphabet, Voice Message Waiting active, discard message (0xc8)",
		0xd1: "GSM 7 bit default alphabet, Fax Message Waiting inactive, store message (0xd1)",
		0xea: "UCS2 (16 bit), Electronic Mail Message Waiting active, store message (0xea)",
		0xf0: "GSM 7 bit default alphabet, Class 0, immediate display (0xf0)",
		0xf7: "8 bit data, Class 3, TE specific (0xf7)",
	} {
		if d.String() != want {
			t.Errorf("%q, want %q", d, want)
		}
	}
	if d := DCSUCS2.WithClass(Class2); d != 0x1a || d.Charset() != CharsetUCS2 {
		t.Error(d)
	}
}

func TestPID(t *testing.T) {
	for p, want := range map[PID]string{
		0x00: "no telematic interworking (0x00)", 0x11: "SME-to-SME protocol (0x11)", 0x32: "telematic interworking: Internet electronic mail (0x32)",
		0x2e: "telematic interworking: reserved (0x2e)", 0x43: "Replace Short Message Type 3 (0x43)", 0x7f: "(U)SIM Data download (0x7f)",
		0x50: "reserved (0x50)", 0x80: "reserved (0x80)", 0xc1: "SC specific use (0xc1)",
	} {
		if p.String() != want {
			t.Errorf("%q, want %q", p, want)
		}
	}
}

func TestStatus(t *testing.T) {
	for s, want := range map[Status]Outcome{0: Completed, 2: Completed, 0x20: Trying, 0x35: Trying, 0x46: Failed, 0x63: Stopped, 0xff: Stopped} {
		if s.Outcome() != want {
			t.Errorf("%v: %v, want %v", s, s.Outcome(), want)
		}
	}
	if got := StatusExpired.String(); got != "permanent error, SC has stopped trying: SM Validity Period Expired (0x46)" {
		t.Error(got)
	}
	if !RPCauseCongestion.Temporary() || RPCauseUnassignedNumber.Temporary() {
		t.Error("temporary causes")
	}
	if CPCauseCongestion.String() != "Congestion (#22)" || RPCause(5).String() != "unknown (#5)" {
		t.Error(CPCauseCongestion, RPCause(5))
	}
}

func TestHeader(t *testing.T) {
	h := UDH{}.WithConcatenation(Concatenation{Reference: 7, Total: 2, Number: 1}).WithPorts(Ports{2948, 9200, true}).
		WithCount(Count{WaitingVideo, true, 2, 9}).With(IEISMSCControl, 0x81).With(IEISource, 3).
		With(IEIReplyAddress, unhex(t, "038101f1")...).WithAlphabet(gsm7.Alphabet{Single: gsm7.Turkish, Locking: gsm7.Spanish})
	if got := fmt.Sprintf("%x", []byte(h)); got != "0003070201"+"05040b8423f0"+"0102c709"+"060181"+"070103"+"2204038101f1"+"240101"+"250102" {
		t.Error(got)
	}
	c, ok1 := h.Concatenation()
	p, ok2 := h.Ports()
	a, ok3 := h.ReplyAddress()
	s, ok4 := h.SMSCControl()
	if !ok1 || !ok2 || !ok3 || !ok4 || c != (Concatenation{7, false, 2, 1}) || p != (Ports{2948, 9200, true}) || a.Digits() != "101" ||
		!s.Wants(Completed) || s.Wants(Failed) || h.Alphabet() != (gsm7.Alphabet{Single: 1, Locking: 2}) || h.Counts()[0] != (Count{WaitingVideo, true, 2, 9}) {
		t.Error(c, p, a, s, h.Alphabet(), h.Counts())
	}
}

// TestHeaderRules: what TS 23.040 §9.2.3.24 has done with repeated,
// contradicting, reserved and malformed elements.
func TestHeaderRules(t *testing.T) {
	first := UDH{}.WithConcatenation(Concatenation{1, false, 3, 2})
	for _, c := range []struct {
		name string
		h    UDH
		want Concatenation
	}{
		{"the last of repeated elements counts", first.WithConcatenation(Concatenation{2, false, 4, 4}), Concatenation{2, false, 4, 4}},
		{"and of those that exclude each other", first.WithConcatenation(Concatenation{2, true, 4, 4}), Concatenation{2, true, 4, 4}},
		{"part 0 is ignored", first.With(0, 9, 3, 0), Concatenation{1, false, 3, 2}},
		{"a part beyond the total is ignored", first.With(0, 9, 3, 4), Concatenation{1, false, 3, 2}},
		{"no parts are ignored", first.With(8, 0, 9, 0, 0), Concatenation{1, false, 3, 2}},
		{"a wrong length is ignored", first.With(0, 9, 3, 2, 1), Concatenation{1, false, 3, 2}},
		{"unknown elements are passed over", UDH{}.With(0x55, 1, 2, 3).WithConcatenation(Concatenation{1, false, 3, 2}), Concatenation{1, false, 3, 2}},
		{"too many octets in the last element: no header", append(first.With(4, 1), 0), Concatenation{}},
		{"too few octets in the last element: no header", append(first, 4, 2, 1), Concatenation{}},
	} {
		if got, _ := c.h.Concatenation(); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	for _, c := range []struct {
		octets, text string
		ok, fails    bool
	}{
		{"0004616263", "", true, false},
		{"050003070201 6162", "", true, false},
		{"03000307 0061", "a", false, false}, // an element that is cut: passed over whole
		{"ff61", "", false, true},            // a header without an end
	} {
		b := unhex(t, c.octets)
		u := UserData{true, uint8(len(b)), b}
		text, err := u.Text(DCSUCS2)
		if _, ok := u.Header(); ok != c.ok || (err != nil) != c.fails || c.text != "" && text != c.text {
			t.Errorf("%s: header %v, text %q, %v", c.octets, ok, text, err)
		}
	}
}

func TestUserDataText(t *testing.T) {
	for _, c := range []struct {
		dcs    DCS
		length uint8
		octets string
		want   string
		fails  bool
	}{
		{DCS7Bit, 5, "e8329bfd06", "hello", false},
		{DCSUCS2, 6, "d83ddd140041", "\U0001F514A", false},
		{DCSUCS2, 5, "dd14004100", "\uFFFDA", false},
		{DCSUCS2, 4, "0041d83d", "A\uFFFD", false},
		{DCS8Bit, 1, "41", "", true},
		{0x20, 1, "41", "", true},
		{DCS7Bit, 0, "", "", false},
	} {
		u := UserData{false, c.length, unhex(t, c.octets)}
		if got, err := u.Text(c.dcs); got != c.want || (err != nil) != c.fails {
			t.Errorf("%v %s: %q %v", c.dcs, c.octets, got, err)
		}
	}
}
