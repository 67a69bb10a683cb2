package decode_test

import (
	"os"
	"testing"

	"campanile.network/decode"
)

// The output is what testdata holds: UPDATE=golden go test ./decode writes it
// anew, for somebody to read.
func TestGolden(t *testing.T) {
	for name, o := range map[string]decode.Options{
		"srsran_linux_kernel_sctp_attach.txt":         {Keys: srsSIM()},
		"srsran_linux_kernel_sctp_attach.masked.txt":  {Keys: srsSIM(), Mask: true},
		"srsran_linux_kernel_sctp_attach.json":        {Keys: srsSIM(), Format: decode.JSON},
		"srsran_linux_kernel_sctp_attach.summary.txt": {Keys: srsSIM(), Format: decode.Summary},
	} {
		got, _, err := run(t, o, file(t, linuxSCTP))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		name = "testdata/" + name
		if os.Getenv("UPDATE") == "golden" {
			if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want := string(file(t, name)); got != want {
			t.Errorf("%s: %s", name, diff(got, want))
		}
	}
}
