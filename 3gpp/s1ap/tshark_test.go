package s1ap

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// tshark returns the path of the program; without it the test is skipped, or
// fails where CI=true.
func tshark(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark is missing")
		}
		t.Skip("tshark is missing")
	}
	return path
}

// writePcap writes PDUs as frames of link type WIRESHARK_UPPER_PDU that name
// the dissector, so no lower layer is needed and no size is too large.
func writePcap(t *testing.T, pdus [][]byte) string {
	t.Helper()
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4)
	b = le.AppendUint16(b, 2)
	b = le.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint32(b, 262144)
	b = le.AppendUint32(b, 252)
	for i, p := range pdus {
		frame := append([]byte{0, 12, 0, 4, 's', '1', 'a', 'p', 0, 0, 0, 0}, p...)
		b = le.AppendUint32(b, uint32(i))
		b = le.AppendUint32(b, 0)
		b = le.AppendUint32(b, uint32(len(frame)))
		b = le.AppendUint32(b, uint32(len(frame)))
		b = append(b, frame...)
	}
	name := filepath.Join(t.TempDir(), "s1ap.pcap")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// dissect runs tshark over the PDUs and returns, per frame, the values of the
// fields. Contents of other protocols (NAS, RRC, ...) are left undissected.
func dissect(t *testing.T, pdus [][]byte, fields ...string) [][]string {
	t.Helper()
	args := []string{"-r", writePcap(t, pdus), "-o", "s1ap.dissect_container:FALSE", "-T", "fields", "-E", "separator=|", "-E", "aggregator=;"}
	for _, p := range []string{"nas-eps", "lte_rrc", "nr-rrc", "lppa", "gsm_a.dtap", "ranap", "bssgp", "ngap", "x2ap", "gcsna", "lcsap"} {
		args = append(args, "--disable-protocol", p)
	}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	cmd := exec.Command(tshark(t), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, stderr.Bytes())
	}
	var rows [][]string
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Split(strings.TrimRight(line, "\n"), "|"))
	}
	if len(rows) != len(pdus) {
		t.Fatalf("tshark shows %d frames of %d\n%s", len(rows), len(pdus), stderr.Bytes())
	}
	return rows
}

// TestTsharkReadsRandomMessages: tshark finds nothing malformed in random
// valid values of every message.
func TestTsharkReadsRandomMessages(t *testing.T) {
	var pdus [][]byte
	var names []string
	for i, m := range allMessages() {
		for seed := range uint64(16) {
			g := newGen(seed*1000+uint64(i)+7, []int{0, 100, 50, 20}[seed%4], 2+int(seed%4))
			g.foreign = true
			fresh := reflect.New(reflect.TypeOf(m).Elem()).Interface().(randomMessage)
			fresh.random(g)
			b, err := Append(nil, fresh)
			if err != nil {
				t.Fatal(err)
			}
			pdus = append(pdus, b)
			names = append(names, fmt.Sprintf("%s seed %d", m.Header().Name, seed))
		}
	}
	bad := 0
	for i, row := range dissect(t, pdus, "s1ap.procedureCode", "_ws.malformed", "_ws.expert.message") {
		h, _, _ := strings.Cut(row[0], ";")
		p, _ := Parse(pdus[i])
		if h != strconv.Itoa(int(p.ProcedureCode)) {
			t.Errorf("%s: tshark reads procedure %q", names[i], row[0])
		}
		if complaint(row[2]) != "" {
			if bad++; bad <= 20 {
				t.Errorf("%s: tshark: %s\n%x", names[i], row[2], pdus[i])
			}
		}
	}
	if bad > 20 {
		t.Errorf("and %d more", bad-20)
	}
}

// content lists what tshark says of the random contents of IEs (digits that
// are none, class marks, cdma2000 and warning texts); no fault of the encoding.
var content = []string{"MCC contains", "MNC contains", "Malformed IMSI", "Trailing stray characters",
	"Extraneous Data", "not dissected yet", "Unhandled encoding", "Dissector for OID", "Unknown Open Type"}

// complaint returns the first of tshark's expert messages that is a fault.
func complaint(messages string) string {
next:
	for m := range strings.SplitSeq(messages, ";") {
		for _, c := range content {
			if strings.Contains(m, c) {
				continue next
			}
		}
		if m != "" {
			return m
		}
	}
	return ""
}
