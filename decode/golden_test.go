package decode_test

import (
	"os"
	"testing"

	"campanile.network/decode"
)

// The output is what testdata holds: UPDATE=golden go test ./decode writes it
// anew, for somebody to read.
func TestGolden(t *testing.T) {
	for name, c := range map[string]struct {
		capture string
		decode.Options
	}{
		"srsran_linux_kernel_sctp_attach.txt":              {linuxSCTP, decode.Options{Keys: srsSIM()}},
		"srsran_linux_kernel_sctp_attach.masked.txt":       {linuxSCTP, decode.Options{Keys: srsSIM(), Mask: true}},
		"srsran_linux_kernel_sctp_attach.json":             {linuxSCTP, decode.Options{Keys: srsSIM(), Format: decode.JSON}},
		"srsran_linux_kernel_sctp_attach.summary.txt":      {linuxSCTP, decode.Options{Keys: srsSIM(), Format: decode.Summary}},
		"srsran_raw132_mme_killed_setup_again.summary.txt": {killedMME, decode.Options{Keys: srsSIM(), Format: decode.Summary}},
	} {
		got, _, err := run(t, c.Options, file(t, c.capture))
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
