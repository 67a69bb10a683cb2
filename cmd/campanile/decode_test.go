package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const attachCapture = "../../decode/testdata/srsran_linux_kernel_sctp_attach.pcap"

func TestDecode(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "sims.toml")
	if err := os.WriteFile(keys, []byte("[[subscriber]]\nk='00112233445566778899aabbccddeeff'\nopc='63bfa50ee6523365ff14c1f45f88737d'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, code, err := call(t, "decode", attachCapture, "--keys", keys)
	if code != 0 || !strings.Contains(out, "ATTACH ACCEPT") || !strings.Contains(out, "verified (128-EIA1, NAS COUNT 0)") {
		t.Errorf("code %d, %v\n%s", code, err, out)
	}
	out, code, err = call(t, "decode", "--json", "--only", "s1ap", attachCapture)
	if code != 0 {
		t.Errorf("code %d, %v", code, err)
	}
	for line := range strings.Lines(out) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil || m["procedureCode"] == nil {
			t.Errorf("%v: %s", err, line)
		}
	}
	if out, code, err := call(t, "decode", "--mask", attachCapture); code != 0 || strings.Contains(out, "001010123456780") {
		t.Errorf("code %d, %v: an IMSI is shown with --mask", code, err)
	}
	if out, code, _ := call(t, "decode", "07 44 11", "0x07,0x55,0x01"); code != 0 || !strings.Contains(out, "ATTACH REJECT") || !strings.Contains(out, "IDENTITY REQUEST") {
		t.Errorf("code %d\n%s", code, out)
	}
	if out, code, _ := call(t, "decode", "--as", "nas-down", "0742"); code != 1 || !strings.Contains(out, "malformed") {
		t.Errorf("code %d\n%s", code, out)
	}
}

func TestDecodeMistakes(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(bad, []byte("[[subscriber]]\nki='00'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"nothing-there.pcap"}, {"--only", "x25", attachCapture}, {"--as", "x", "00"}, {"--input", "x", "00"},
		{"--kasme", "12", "00"}, {"--keys", bad, attachCapture}, {"--keys", "none", attachCapture}, {"--plmn", "1", "00"}, {"--eia", "0", "00"}, {"--frame", "-1", "00"}} {
		out, code, err := call(t, append([]string{"decode"}, args...)...)
		if code != 2 || err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: code %d, %v\n%s", args, code, err, out)
		}
	}
}
