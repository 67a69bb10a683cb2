package eps

import (
	"errors"
	"strings"
	"testing"
)

func TestCauses(t *testing.T) {
	for _, c := range []struct {
		dir   Direction
		b     string
		cause EMMCause
		text  string
	}{
		{Uplink, "", 0, "empty message"},
		{Uplink, "07", 0, "too short"},
		{Uplink, "0201", 0, "too short"},
		{Uplink, "0341", 0, "protocol discriminator 3"},
		{Uplink, "2741", 0, "not a plain message"},
		{Downlink, "c703d7c9", 0, "not a plain message"},
		{Uplink, "0740", 97, "EMM message type 0x40"},
		{Uplink, "0742", 97, "no such message in this direction"}, // ATTACH ACCEPT from a UE
		{Downlink, "0741", 97, "no such message in this direction"},
		{Uplink, "5203c1", 97, "no such message in this direction"},
		{Downlink, "074e27", 100, "SERVICE REJECT: T3442 value at octet 4: missing"},
		{Uplink, "074171", 96, "ATTACH REQUEST: EPS mobile identity at octet 4: cut off"},
		{Uplink, "0741710008", 96, "EPS mobile identity at octet 4: 0 octets, want at least 4"},
		{Uplink, "07417105020000000002f070", 96, "type of identity 2 is reserved"},
		{Uplink, "074171080a101010325476f802f070", 96, "type of identity 2 is reserved"},
		{Uplink, "0741710bf600f11b00011a82333c1b02f070", 96, "PLMN"},
		{Uplink, "07417108091010103254760802f070", 96, "ESM message container"},
		{Uplink, "0741710809101010f254760802f070", 96, "identity digit 9 is not decimal"},
	} {
		_, err := Parse(c.dir, unhex(t, c.b))
		var e *Error
		if !errors.As(err, &e) || e.Cause != c.cause || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%q: %v, want cause %d and %q", c.b, err, c.cause, c.text)
			continue
		}
		status := e.Status()
		switch s := status.(type) {
		case nil:
			if c.cause != 0 {
				t.Errorf("%q: no status", c.b)
			}
		case *EMMStatus:
			if s.Cause != c.cause || strings.HasPrefix(c.b, "52") {
				t.Errorf("%q: %v", c.b, s)
			}
		case *ESMStatus:
			if uint8(s.Cause) != uint8(c.cause) || s.EBI != 5 || s.PTI != 3 {
				t.Errorf("%q: %v", c.b, s)
			}
		}
	}
}
