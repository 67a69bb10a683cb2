package gtpu_test

import (
	"strings"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/tree"
)

// TestBitsOfPDUSessionContainer shows each bit of a downlink container under its
// own name (TS 38.415 §5.5.2.1).
func TestBitsOfPDUSessionContainer(t *testing.T) {
	for bit, want := range map[byte]string{0x80: "(PPP): true", 0x40: "(RQI): true", 0x20: "(QFI): 32", 0x01: "(QFI): 1"} {
		m := gtpu.Message{Type: gtpu.GPDU}
		if err := m.AddExtension(gtpu.PDUSessionContainer, []byte{0, bit}); err != nil {
			t.Fatal(err)
		}
		s := tree.View{}.Text(gtpu.Tree(m))
		if !strings.Contains(s, want) || strings.Count(s, "true") != strings.Count(want, "true") {
			t.Errorf("%#x: %s", bit, s)
		}
	}
}
