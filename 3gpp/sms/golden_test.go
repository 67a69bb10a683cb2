package sms

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// TestPublishedDeliver: an SMS-DELIVER printed in many introductions to PDU
// mode, with its service centre.
func TestPublishedDeliver(t *testing.T) {
	const pdu = "07917283010010F5 040BC87238880900F10000993092516195800AE8329BFD4697D9EC37"
	centre, b, err := ParseCentre(unhex(t, pdu))
	if err != nil || centre.Number() != "+27381000015" {
		t.Errorf("service centre %s, %v", centre.Number(), err)
	}
	p, err := Parse(Downlink, b)
	if err != nil {
		t.Fatal(err)
	}
	m := p.(*Deliver)
	text, err := m.User.Text(m.DCS)
	if text != "hellohello" || err != nil || m.Originator.Digits() != "27838890001" || m.Timestamp.String() != "2099-03-29 15:16:59 +02:00" {
		t.Errorf("%q %v, from %s at %v", text, err, m.Originator.Digits(), m.Timestamp)
	}
	if out, err := Append(AppendCentre(nil, centre), m); err != nil || !bytes.Equal(out, unhex(t, pdu)) {
		t.Errorf("%x, %v", out, err)
	}
}
