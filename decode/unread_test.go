package decode

import (
	"errors"
	"testing"

	"campanile.network/3gpp/s1ap"
	"campanile.network/decode/observer"
)

// An id that was not in a message is 0 in it, and may be another phone's.
func TestUnreadID(t *testing.T) {
	zero, one := new(s1ap.ENBUES1APID(0)), new(s1ap.ENBUES1APID(1))
	missing := &s1ap.SyntaxError{IEs: []s1ap.IEDiagnostic{{ID: s1ap.IDENBUES1APID, Error: s1ap.Missing}}}
	other := &s1ap.SyntaxError{IEs: []s1ap.IEDiagnostic{{ID: s1ap.IDMMEUES1APID, Error: s1ap.Missing}}}
	for _, c := range []struct {
		name  string
		fault *s1ap.SyntaxError
		id    *s1ap.ENBUES1APID
		want  bool
	}{
		{"a sound message", nil, zero, false},
		{"no id of that kind", missing, nil, false},
		{"its own missing", missing, zero, true},
		{"another missing", other, zero, false},
		{"cut off", &s1ap.SyntaxError{Transfer: errors.New("input ends")}, zero, true},
		{"cut off behind it", &s1ap.SyntaxError{Transfer: errors.New("input ends")}, one, false},
	} {
		if got := unread(c.fault, c.id, s1ap.IDENBUES1APID); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

// A message without ids is not taken for one of the phone whose ids are 0.
func TestMessageWithoutIDsIsNobodys(t *testing.T) {
	x := newTracker(observer.New(observer.Options{}))
	m := &s1ap.UplinkNASTransport{}
	first := x.leg(m, nil)
	if first == nil || x.leg(m, nil) != first {
		t.Fatal("ids of 0 are ids")
	}
	for _, ies := range [][]s1ap.ProtocolIEID{{s1ap.IDMMEUES1APID}, {s1ap.IDENBUES1APID}, {s1ap.IDMMEUES1APID, s1ap.IDENBUES1APID}} {
		fault := &s1ap.SyntaxError{}
		for _, ie := range ies {
			fault.IEs = append(fault.IEs, s1ap.IEDiagnostic{ID: ie, Error: s1ap.Missing})
		}
		want := first // known by the other id
		if len(ies) == 2 {
			want = nil
		}
		if got := x.leg(m, fault); got != want {
			t.Errorf("without %v: %p, want %p", ies, got, want)
		}
	}
	other := &s1ap.UplinkNASTransport{MMEUES1APID: 5}
	if x.leg(other, &s1ap.SyntaxError{IEs: []s1ap.IEDiagnostic{{ID: s1ap.IDENBUES1APID, Error: s1ap.Missing}}}) == first {
		t.Error("another phone's message, without the eNB's id, was taken for the first's")
	}
}
