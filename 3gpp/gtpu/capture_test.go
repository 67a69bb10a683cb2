package gtpu_test

import (
	"bytes"
	"strconv"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/internal/testkit"
)

// TestCaptured reads packets of srsRAN, and builds them again to the octet.
func TestCaptured(t *testing.T) {
	packets := 0
	for _, f := range testkit.Rows(t, "testdata/srsran-gtpu.txt") {
		packets++
		teid, err := strconv.ParseUint(f[0], 0, 32)
		if err != nil {
			t.Fatal(err)
		}
		want, err := strconv.Atoi(f[1])
		if err != nil {
			t.Fatal(err)
		}
		datagram := unhex(t, f[2])
		m, err := gtpu.Parse(datagram)
		if err != nil || m.Type != gtpu.GPDU || m.TEID != id.TEID(teid) {
			t.Fatalf("%s: %+v, %v", f, m, err)
		}
		if n, err := gtpu.InnerLen(m.Payload); n != want || err != nil {
			t.Errorf("inner length %d, %v; want %d", n, err, want)
		}
		if again := gtpu.AppendGPDU(nil, m.TEID, m.Payload); !bytes.Equal(again, datagram) {
			t.Errorf("built %x, want %x", again, datagram)
		}
	}
	if packets != 5 {
		t.Errorf("%d packets, want 5", packets)
	}
}
