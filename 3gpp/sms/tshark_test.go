package sms

import (
	"strconv"
	"strings"
	"testing"

	"campanile.network/3gpp/internal/tshark"
)

// TestTsharkJoins: tshark joins the parts that Split made to the same text.
func TestTsharkJoins(t *testing.T) {
	var frames []tshark.Frame
	whole := map[int]string{} // by the frame of the last part
	for _, text := range []string{strings.Repeat("The quick brown fox [€]. ", 20), strings.Repeat("Съешь ещё этих булок 🔔 ", 15)} {
		for _, wide := range []bool{false, true} {
			for _, p := range must(Split(text, SplitOptions{Reference: uint16(40 + len(whole)), Wide: wide})) {
				tpdu := must(Append(nil, &Deliver{Originator: must(NewAddress("+4915112345678")), DCS: p.DCS, User: p.User, Timestamp: NewTimestamp(t0)}))
				frames = append(frames, tshark.Frame{Dissector: "gsm_a_rp", PDU: must(Append(nil, &RPData{Direction: Downlink, User: tpdu}))})
			}
			whole[len(frames)-1] = text
		}
	}
	for i, p := range tshark.Packets(t, frames, "-o", "gsm_sms.reassemble:TRUE") {
		joined := ""
		p.Walk(func(f *tshark.Node) {
			if f.Name == "gsm_sms.sms_text" {
				joined += f.Show
			}
		})
		if text, ok := whole[i]; ok && joined != text {
			t.Errorf("frame %d: tshark joins %q, want %q", i+1, joined, text)
		}
	}
}

// TestTsharkKnowsTheWords: causes, statuses and commands have the words that
// tshark has.
func TestTsharkKnowsTheWords(t *testing.T) {
	known, group := 0, -1
	for _, w := range tshark.Table(t, "values", "gsm_") {
		if len(w) < 4 || w[0] != "V" && w[0] != "R" {
			continue
		}
		low, err := strconv.ParseUint(w[2], 0, 8)
		high, err2 := strconv.ParseUint(w[3], 0, 8)
		if w[0] == "V" {
			high, err2 = low, nil
		}
		if err != nil || err2 != nil {
			continue
		}
		if w[1] == "gsm_sms.dis.field_st_reason" && low == 0 {
			group++ // four tables follow each other
		}
		for n := low; n <= high; n++ {
			ours, ok := words(w[1], uint8(n), group)
			if !ok {
				break
			}
			known++
			theirs, _, _ := strings.Cut(w[len(w)-1], " (The")
			theirs = strings.TrimSuffix(theirs, " Reserved values")
			for _, other := range []string{"Reserved unspecified", "Undefined"} {
				theirs = strings.Replace(theirs, other, "Reserved", 1)
			}
			for _, other := range []string{"Values specific to each SC", "Values specific for each SC"} {
				theirs = strings.Replace(theirs, other, "Specific to the SC", 1)
			}
			if !strings.Contains(strings.ToLower(ours), strings.ToLower(theirs)) {
				t.Errorf("%s %d: %q, tshark has %q", w[1], n, ours, theirs)
			}
		}
	}
	if known < 24+256+4*32+256+15 {
		t.Errorf("tshark has words for %d values", known)
	}
}

// words are ours for a value of tshark's field.
func words(field string, n uint8, group int) (string, bool) {
	switch field {
	case "gsm_a.rp.cause":
		return RPCause(n).String(), true
	case "gsm_sms.tp-fcs":
		return FailureCause(n).String(), true
	case "gsm_sms.tp.command_type":
		return CommandType(n).String(), true
	case "gsm_sms.dis.field_st_reason":
		return Status(group<<5 | int(n)).String(), true
	case "gsm_sms.tp.pid.message_type":
		return PID(0x40 | n).String(), true
	}
	return "", false
}
