package decode_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"campanile.network/decode"
	"campanile.network/decode/capture"
)

// tool runs a program of Wireshark's.
func tool(t testing.TB, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(name + " is not installed")
		}
		t.Skip(name + " is not installed")
	}
	out, err := exec.Command(path, args...).Output()
	if err != nil {
		t.Fatalf("%s %v: %v", name, args, err)
	}
	return string(out)
}

// seen is what tshark and we both say of a frame's S1AP: procedure codes and
// NAS messages in their order.
func seen(frame int, codes, nas []string) string {
	return fmt.Sprintf("%d %v %v", frame, codes, nas)
}

// nasTypes are the message types (TS 24.301 §9.8) in the captures.
var nasTypes = map[uint64]string{0x41: "ATTACH REQUEST", 0x42: "ATTACH ACCEPT", 0x43: "ATTACH COMPLETE", 0x45: "DETACH REQUEST",
	0x52: "AUTHENTICATION REQUEST", 0x53: "AUTHENTICATION RESPONSE", 0x5d: "SECURITY MODE COMMAND", 0x5e: "SECURITY MODE COMPLETE",
	0x61: "EMM INFORMATION", 0xc1: "ACTIVATE DEFAULT EPS BEARER CONTEXT REQUEST", 0xc2: "ACTIVATE DEFAULT EPS BEARER CONTEXT ACCEPT",
	0xd0: "PDN CONNECTIVITY REQUEST", 0xd9: "ESM INFORMATION REQUEST", 0xda: "ESM INFORMATION RESPONSE"}

func tsharkSees(t *testing.T, name string) (all []string) {
	t.Helper()
	out := tool(t, "tshark", "-r", name, "-Y", "s1ap", "-T", "fields", "-E", "separator=;",
		"-e", "frame.number", "-e", "s1ap.procedureCode", "-e", "nas_eps.nas_msg_emm_type", "-e", "nas_eps.nas_msg_esm_type", "-e", "nas_eps.security_header_type")
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSpace(line), ";")
		frame, err := strconv.Atoi(f[0])
		if err != nil {
			t.Fatal(err)
		}
		var nas []string
		for _, types := range f[2:4] {
			for v := range strings.SplitSeq(types, ",") {
				if n, err := strconv.ParseUint(v, 0, 8); err == nil {
					nas = append(nas, nasTypes[n])
				}
			}
		}
		if f[4] == "12" {
			nas = append(nas, "SERVICE REQUEST")
		}
		all = append(all, seen(frame, strings.Split(f[1], ","), nas))
	}
	return all
}

func weSee(t *testing.T, name string) (all []string) {
	t.Helper()
	out, _, err := run(t, decode.Options{Format: decode.JSON, Only: []string{"s1ap"}}, file(t, name))
	if err != nil {
		t.Error(err)
	}
	var frame float64
	var codes, emm, esm []string
	end := func() {
		if frame > 0 {
			all = append(all, seen(int(frame), codes, append(emm, esm...)))
		}
		codes, emm, esm = nil, nil, nil
	}
	for _, m := range objects(t, out) {
		if m["frame"] != frame {
			end()
			frame = m["frame"].(float64)
		}
		codes = append(codes, fmt.Sprint(m["procedureCode"]))
		for _, name := range messages(m["ies"]) {
			if strings.Contains(name, "BEARER") || strings.HasPrefix(name, "PDN") || strings.HasPrefix(name, "ESM") {
				esm = append(esm, name)
			} else {
				emm = append(emm, name)
			}
		}
	}
	end()
	return all
}

// messages are the names of NAS messages in a JSON value: under "message", or
// the key in a container.
func messages(v any) (all []string) {
	switch v := v.(type) {
	case map[string]any:
		if s, ok := v["message"].(string); ok {
			all = append(all, s)
		}
		for k, x := range v {
			if k == "ESM message container" {
				for name := range x.(map[string]any) {
					all = append(all, name)
				}
			}
			all = append(all, messages(x)...)
		}
	case []any:
		for _, x := range v {
			all = append(all, messages(x)...)
		}
	}
	return all
}

// tshark sees the same S1AP and NAS messages in the same frames, of captures as
// they are and as Wireshark's tools write them.
func TestTsharkSeesTheSame(t *testing.T) {
	dir := t.TempDir()
	merged, nano := filepath.Join(dir, "merged.pcapng"), filepath.Join(dir, "nano.pcap")
	tool(t, "mergecap", "-w", merged, idleCapture, linuxSCTP)
	tool(t, "editcap", "-F", "nsecpcap", idleCapture, nano)
	all := frames(t, file(t, idleCapture))
	for name, b := range map[string][]byte{
		"rfc6951.pcap":   pcap(binary.LittleEndian, false, capture.LinkRaw, rewrap(all, inUDP(9899, 9899))),
		"fragments.pcap": pcap(binary.BigEndian, true, capture.LinkRaw, rewrap(all, inFragments)),
		"sll2.pcap":      pcap(binary.LittleEndian, false, capture.LinkSLL2, rewrap(all, before(append([]byte{8, 0}, make([]byte, 18)...)...))),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{ownCapture, merged, nano, filepath.Join(dir, "rfc6951.pcap"),
		filepath.Join(dir, "fragments.pcap"), filepath.Join(dir, "sll2.pcap")} {
		want, got := tsharkSees(t, name), weSee(t, name)
		if len(want) < 15 || !slices.Equal(got, want) {
			t.Errorf("%s: we see\n%s\ntshark\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// Of every GTPv2-C message that tshark knows by name, our name is the same but
// for the case of letters.
func TestTsharkNamesGTPv2Alike(t *testing.T) {
	known := 0
	for line := range strings.Lines(tool(t, "tshark", "-G", "values")) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if len(f) < 4 || f[0] != "V" || f[1] != "gtpv2.message_type" {
			continue
		}
		n, err := strconv.ParseUint(f[2], 0, 8)
		if err != nil || strings.Contains(f[3], "eserved") || strings.Contains(f[3], "spare") {
			continue
		}
		out, _, _ := run(t, decode.Options{Format: decode.JSON, As: "gtpv2"}, fmt.Appendf(nil, "40%02x000400000100", n))
		var m struct{ Message string }
		if err := json.Unmarshal([]byte(out), &m); err != nil {
			t.Fatal(err)
		}
		if n >= 4 && n <= 7 { // GTP' has them, GTPv2-C has not
			continue
		}
		if !strings.EqualFold(m.Message, strings.TrimSuffix(f[3], "ment")) { // tshark's Acknowledgement
			t.Errorf("%d: %q, tshark %q", n, m.Message, f[3])
			continue
		}
		known++
	}
	if known < 60 {
		t.Errorf("%d names", known)
	}
}
