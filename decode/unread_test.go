package decode

import (
	"errors"
	"testing"

	"campanile.network/3gpp/s1ap"
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
