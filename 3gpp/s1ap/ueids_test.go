package s1ap

import (
	"reflect"
	"testing"
)

// TestUEIDs: the ids are found in every message that has them.
func TestUEIDs(t *testing.T) {
	for _, m := range allMessages() {
		m.random(newGen(1, 100, 2))
		mme, enb := UEIDs(m)
		v := reflect.ValueOf(m).Elem()
		for name, got := range map[string]any{"MMEUES1APID": mme, "ENBUES1APID": enb} {
			f := v.FieldByName(name)
			if f.IsValid() == reflect.ValueOf(got).IsNil() && m.Header().Name != "PathSwitchRequest" && m.Header().Name != "UEContextReleaseCommand" {
				t.Errorf("%s: %s is %v", m.Header().Name, name, got)
			}
		}
	}
	path := &PathSwitchRequest{SourceMMEUES1APID: 3, ENBUES1APID: 4}
	pair := &UEContextReleaseCommand{UES1APIDs: UES1APIDs{Choice: UES1APIDsChoiceUES1APIDPair, UES1APIDPair: &UES1APIDPair{MMEUES1APID: 3, ENBUES1APID: 4}}}
	for _, m := range []Message{path, pair} {
		if mme, enb := UEIDs(m); mme == nil || *mme != 3 || enb == nil || *enb != 4 {
			t.Errorf("%s: %v %v", m.Header().Name, mme, enb)
		}
	}
	pair.UES1APIDs = UES1APIDs{Choice: UES1APIDsChoiceMMEUES1APID, MMEUES1APID: 5}
	if mme, enb := UEIDs(pair); mme == nil || *mme != 5 || enb != nil {
		t.Errorf("%v %v", mme, enb)
	}
	if mme, enb := UEIDs(&S1SetupRequest{}); mme != nil || enb != nil {
		t.Errorf("%v %v", mme, enb)
	}
}
