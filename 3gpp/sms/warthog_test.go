package sms

import (
	"fmt"
	"strings"
	"testing"

	warthog "github.com/warthog618/sms"
	"github.com/warthog618/sms/encoding/tpdu"
)

// theirs reads b with warthog618/sms.
func theirs(dir Direction, b []byte) (*tpdu.TPDU, error) {
	if dir == Uplink {
		return warthog.Unmarshal(b, warthog.AsMO)
	}
	return warthog.Unmarshal(b, warthog.AsMT)
}

// warthogExceptions is what warthog618/sms v0.3.0 does otherwise, and why.
var warthogExceptions = []exception{
	{why: "it takes no compressed user data", of: func(_ TPDU, d DCS, _ UserData) bool { return d.Compressed() }},
	{why: "it takes no reserved coding, which TS 23.038 §4 has as the default alphabet",
		of: func(_ TPDU, d DCS, _ UserData) bool { return d>>6 == 2 || d.general() && d>>2&3 == 3 }},
	{why: "it does not read the header of command data",
		of: func(m TPDU, _ DCS, u UserData) bool { return m.MessageType() == TypeCommand && u.HasHeader }},
	{why: "it prefers the element with 8 bits of reference to a later one with 16",
		of: func(_ TPDU, _ DCS, u UserData) bool { return has(u, IEIConcatenation8) && has(u, IEIConcatenation16) }},
	{why: "it leaves out the fill bits behind a header without a text",
		of: func(_ TPDU, d DCS, u UserData) bool {
			septets, err := u.septets(nil)
			return d.septets() && u.HasHeader && err == nil && len(septets) == 0
		}},
}

// TestWarthogReadsOurs: warthog618/sms reads the same values from random
// instances of every TPDU and writes the same octets. It knows reports of
// RP-ERROR alone.
func TestWarthogReadsOurs(t *testing.T) {
	needed := make([]int, len(warthogExceptions))
	for i, k := range kinds() {
		if !strings.HasPrefix(k.name, "SMS-") || strings.HasSuffix(k.name, "RP-ACK") {
			continue
		}
		g := newGen(uint64(300 + i))
	instance:
		for range instances {
			m := k.random(g)
			b := must(Append(nil, m))
			problems := compare(t, k.dir, m, b)
			if len(problems) == 0 {
				continue
			}
			tpdu, dcs, user := inside(m)
			for j, e := range warthogExceptions {
				if e.of(tpdu, dcs, user) {
					needed[j]++
					continue instance
				}
			}
			t.Errorf("%s %x: %q", k.name, b, problems)
		}
	}
	for i, e := range warthogExceptions {
		if needed[i] == 0 {
			t.Errorf("no need of the exception %q", e.why)
		}
	}
}

// compare holds their values against ours.
func compare(t *testing.T, dir Direction, m Message, b []byte) (problems []string) {
	t.Helper()
	their, err := theirs(dir, b)
	if err != nil {
		return []string{err.Error()}
	}
	same := func(what string, ours, theirs any) {
		if ours != theirs {
			problems = append(problems, fmt.Sprintf("%s %v, they have %v", what, ours, theirs))
		}
	}
	stamp := func(s Timestamp, theirs tpdu.Timestamp) {
		at, _ := s.Time()
		same("time", at.Unix(), theirs.Unix())
	}
	switch m := m.(type) {
	case *Deliver:
		same("TP-OA", m.Originator.Number(), their.OA.Number())
		same("TP-PID", byte(m.PID), their.PID)
		same("TP-DCS", byte(m.DCS), byte(their.DCS))
		stamp(m.Timestamp, their.SCTS)
	case *Submit:
		same("TP-DA", m.Destination.Number(), their.DA.Number())
		same("TP-MR", m.Reference, their.MR)
		same("TP-RD", m.RejectDuplicates, their.FirstOctet.RD())
		if m.Validity.format == ValidityRelative {
			d, _ := m.Validity.Period()
			same("TP-VP", d, their.VP.Duration)
		}
	case *SubmitReport:
		same("TP-FCS", byte(m.Failure.V), their.FCS)
		stamp(m.Timestamp, their.SCTS)
	case *StatusReport:
		same("TP-RA", m.Recipient.Number(), their.RA.Number())
		same("TP-ST", byte(m.Status), their.ST)
		stamp(m.Timestamp, their.SCTS)
		stamp(m.Discharge, their.DT)
	case *Command:
		same("TP-DA", m.Destination.Number(), their.DA.Number())
		same("TP-CT", byte(m.Type), their.CT)
		same("TP-MN", m.Number, their.MN)
	}
	_, dcs, user := inside(m)
	ours, ok := (Part{dcs, user}).concatenation()
	total, number, reference, ok2 := their.ConcatInfo()
	same("part", fmt.Sprint(ok, ours.Total, ours.Number, ours.Reference), fmt.Sprint(ok2, total, number, reference))
	out, err := their.MarshalBinary()
	same("error", nil, err)
	same("octets", fmt.Sprintf("%x", b), fmt.Sprintf("%x", out))
	return problems
}

// TestWarthogJoinsOurs: they read the texts that Split wrote. National tables
// are left out: they number the elements that name them 24 and 25, where the
// specification means 0x24 and 0x25.
func TestWarthogJoinsOurs(t *testing.T) {
	for _, text := range longTexts() {
		var segments []*tpdu.TPDU
		for _, p := range must(Split(text, SplitOptions{Reference: 77})) {
			b := must(Append(nil, &Deliver{Originator: must(NewAddress("+1")), DCS: p.DCS, User: p.User, Timestamp: NewTimestamp(t0)}))
			s, err := theirs(Downlink, b)
			if err != nil {
				t.Fatal(err)
			}
			segments = append(segments, s)
		}
		got, err := warthog.Decode(segments)
		if err != nil || string(got) != text {
			t.Errorf("%q, %v, want %q", got, err, text)
		}
	}
}

// TestWarthogParts: the texts that they split are read.
func TestWarthogParts(t *testing.T) {
	for _, text := range longTexts() {
		segments, err := warthog.Encode([]byte(text), warthog.AsDeliver, warthog.From("1"))
		if err != nil {
			t.Fatal(err)
		}
		var parts []Part
		for _, s := range segments {
			m, err := Parse(Downlink, must(s.MarshalBinary()))
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, m.(*Deliver).Part())
		}
		if got, err := Join(parts); err != nil || got != text {
			t.Errorf("%q, %v, want %q", got, err, text)
		}
	}
}

// longTexts are texts of up to some parts.
func longTexts() []string {
	texts := []string{"hello", strings.Repeat("€uro ", 60), strings.Repeat("привет 🔔 ", 40)}
	g := newGen(9)
	for range 50 {
		texts = append(texts, g.text(someText+"^{}[~]|€", g.IntN(600)), g.text("Καλημέρα 🔔 你好", g.IntN(300)))
	}
	return texts
}
