package tshark_test

import (
	"testing"

	"campanile.network/3gpp/internal/tshark"
)

// TestFrames: a frame goes to the dissector it names, whole or cut short.
func TestFrames(t *testing.T) {
	echo := []byte{0x32, 1, 0, 4, 0, 0, 0, 0, 0x12, 0x34, 0, 0}
	frames := append(tshark.Frames("gtp", [][]byte{echo, echo[:5]}), tshark.Frame{Dissector: "nas-eps", PDU: []byte{0x07, 0x46}})
	rows := tshark.Fields(t, frames, []string{"gtp.seq_number", "nas_eps.nas_msg_emm_type"})
	if rows[0][0] != "0x1234" || rows[1][0] != "" || rows[2][1] != "0x46" {
		t.Errorf("%q", rows)
	}
	packets := tshark.Packets(t, frames)
	for i, want := range []int{0, 1, 0} {
		if c := packets[i].Complaints(); len(c) < want || want == 0 && len(c) > 0 {
			t.Errorf("frame %d: complaints %q", i, c)
		}
	}
}
