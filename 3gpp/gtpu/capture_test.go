package gtpu_test

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
)

// TestCaptured reads packets of srsRAN, and builds them again to the octet.
func TestCaptured(t *testing.T) {
	text, err := os.ReadFile("testdata/srsran-gtpu.txt")
	if err != nil {
		t.Fatal(err)
	}
	packets := 0
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if f[0] == "#" {
			continue
		}
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
			t.Fatalf("%s: %+v, %v", line, m, err)
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
