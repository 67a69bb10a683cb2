package s1ap_test

import (
	"reflect"
	"testing"

	"campanile.network/3gpp/s1ap"
)

// What eNBs tell each other through the MME comes out as it went in, and no
// prefix of it is taken for the whole.
func TestTransparentContainers(t *testing.T) {
	there := s1ap.SourceeNBToTargeteNBTransparentContainer{
		RRCContainer: []byte{1, 2, 3}, TargetCellID: s1ap.EUTRANCGI{PLMNidentity: s1ap.PLMNidentity{0, 0xf1, 0x10}, CellID: 0x19c01},
		UEHistoryInformation: s1ap.UEHistoryInformation{{Choice: s1ap.LastVisitedCellItemChoiceEUTRANCell, EUTRANCell: &s1ap.LastVisitedEUTRANCellInformation{
			GlobalCellID: s1ap.EUTRANCGI{PLMNidentity: s1ap.PLMNidentity{0, 0xf1, 0x10}, CellID: 0x19b01}, TimeUEStayedInCell: 17}}}}
	b, err := there.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s1ap.ParseSourceToTarget(b); err != nil || !reflect.DeepEqual(got, there) {
		t.Errorf("%+v, %v", got, err)
	}
	for n := range b {
		if _, err := s1ap.ParseSourceToTarget(b[:n]); err == nil {
			t.Errorf("%d of %d octets are enough", n, len(b))
		}
	}
	back := s1ap.TargeteNBToSourceeNBTransparentContainer{RRCContainer: []byte{4, 5}}
	if b, err = back.Append(nil); err != nil {
		t.Fatal(err)
	}
	if got, err := s1ap.ParseTargetToSource(b); err != nil || !reflect.DeepEqual(got, back) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := s1ap.ParseTargetToSource(append(b, 0)); err == nil {
		t.Error("an octet behind it is taken")
	}
	if _, err := (&s1ap.SourceeNBToTargeteNBTransparentContainer{}).Append(nil); err == nil {
		t.Error("a container without history is written")
	}
}
