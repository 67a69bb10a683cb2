package decode_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"campanile.network/3gpp/secret"
	"campanile.network/decode"
	"campanile.network/decode/observer"
)

const (
	idleCapture = "testdata/srsran_raw132_25prb_attach_idle_service_paging_detach_guti.pcap"
	linuxSCTP   = "testdata/srsran_linux_kernel_sctp_attach.pcap"

	// killedMME is srsRAN's eNB while a Campanile core, over raw SCTP, is killed
	// and comes back: the eNB does not notice the ABORT (31), opens an association
	// without S1 Setup by a phone's message (32-34), and sets up again after the
	// MME's SHUTDOWN (36, 43).
	killedMME = "testdata/srsran_raw132_mme_killed_setup_again.pcap"
)

// srsSIM is the SIM of the captures.
func srsSIM() observer.Options {
	return observer.Options{Subscribers: []observer.Subscriber{{
		K:   secret.Key128{0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff},
		OPc: secret.Key128{0x63, 0xbf, 0xa5, 0x0e, 0xe6, 0x52, 0x33, 0x65, 0xff, 0x14, 0xc1, 0xf4, 0x5f, 0x88, 0x73, 0x7d}}}}
}

// run decodes octets and gives what was written, what was noted and the error.
func run(t testing.TB, o decode.Options, in []byte) (out string, notes []string, err error) {
	t.Helper()
	o.Note = func(s string) { notes = append(notes, s) }
	d, err := decode.New(o)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	err = d.Run(context.Background(), bytes.NewReader(in), &b)
	return b.String(), notes, err
}

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// objects are the lines of JSON output.
func objects(t testing.TB, out string) (all []map[string]any) {
	t.Helper()
	for line := range strings.Lines(out) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		all = append(all, m)
	}
	return all
}

// securities are the values of "security" anywhere in a JSON value.
func securities(v any) (all []map[string]any) {
	switch v := v.(type) {
	case map[string]any:
		if s, ok := v["security"].(map[string]any); ok {
			all = append(all, s)
		}
		for _, x := range v {
			all = append(all, securities(x)...)
		}
	case []any:
		for _, x := range v {
			all = append(all, securities(x)...)
		}
	}
	return all
}

// With the SIM's keys, the code of every protected NAS message verifies, and
// the eNB's key is the one derived.
func TestEveryCodeVerifies(t *testing.T) {
	for name, want := range map[string]struct{ codes, keys int }{idleCapture: {17, 4}, linuxSCTP: {8, 1}} {
		out, notes, err := run(t, decode.Options{Format: decode.JSON, Keys: srsSIM()}, file(t, name))
		if err != nil || len(notes) > 0 {
			t.Errorf("%s: %v, %q", name, err, notes)
		}
		codes, keys := 0, 0
		for _, m := range objects(t, out) {
			for _, s := range securities(m) {
				codes++
				if s["MAC"] != "verified" {
					t.Errorf("%s frame %v: %v", name, m["frame"], s)
				}
			}
			ies, _ := m["ies"].(map[string]any)
			if k, ok := ies["K_eNB"].(string); ok && strings.HasPrefix(k, "SecurityKey is the one") {
				keys++
			} else if ok {
				t.Errorf("%s frame %v: %s", name, m["frame"], k)
			}
		}
		if codes != want.codes || keys != want.keys {
			t.Errorf("%s: %d codes and %d keys, want %d and %d", name, codes, keys, want.codes, want.keys)
		}
	}
}
