package txn

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"campanile.network/wire/sip"
)

// TestTshark shows a stranger what an endpoint says by itself: 100, CANCEL, both
// kinds of ACK, 482, 503, 481, what ends a fork, answers to what is malformed.
// It must read each as what it is, and have nothing to warn of.
func TestTshark(t *testing.T) {
	path := stranger(t, "tshark")
	var frames [][]byte
	record := func(from, _ netip.AddrPort, b []byte) int {
		if from == here {
			frames = append(frames, bytes.Clone(b))
		}
		return 1
	}
	within(t, record, func(o *Options) { o.Admission.Transactions = 4 }, func(w *town) {
		speakOfAll(w)
	})
	seen := make(map[string]bool)
	for i, row := range dissect(t, path, frames) {
		m, err := sip.Parse(frames[i], false)
		if err != nil {
			t.Fatal(err)
		}
		status := ""
		if !m.IsRequest() {
			status = strconv.Itoa(m.Status)
		}
		if len(row) != 6 || row[0] != string(m.Method) || row[1] != status || row[2] != m.CallID || row[3] != m.Via[0].Branch() || row[4] != "" {
			t.Errorf("tshark reads %q in\n%s", row, frames[i])
			continue
		}
		const warning = 0x00600000
		for s := range strings.SplitSeq(row[5], ",") {
			if n, _ := strconv.Atoi(s); n >= warning {
				t.Errorf("tshark warns of\n%s", frames[i])
			}
		}
		seen[row[0]+row[1]] = true
	}
	for _, want := range []string{"100", "482", "200", "487", "481", "400", "503", "INVITE", "ACK", "BYE", "CANCEL"} {
		if !seen[want] {
			t.Errorf("no %s", want)
		}
	}
}

// speakOfAll has an endpoint say each thing.
func speakOfAll(w *town) {
	w.far.says(invite("z9hG4bK1", ""))
	s := w.next()
	time.Sleep(time.Second)
	w.far.says(invite("z9hG4bK2", "")) // merged
	w.far.says(request("CANCEL", "z9hG4bK1", ""))
	_ = s.Reply(487, "")
	w.far.says(request("CANCEL", "z9hG4bK9", ""))
	w.far.says(strings.Replace(request("OPTIONS", "z9hG4bK3", ""), "Call-ID: call-1\n", "", 1))
	w.e.Know(Flow{Transport: UDP, Remote: there}, time.Now().Add(time.Hour))
	x := w.errand("INVITE", Target{Addr: there})
	for sent := false; !sent; {
		x.sent = w.far.hears()
		sent = x.sent.Method == sip.MethodInvite
	}
	x.do("200")
	x.do("ack")
	x.do("200 fork")
	y := w.errand("INVITE", Target{Addr: there})
	for sent := false; !sent; {
		y.sent = w.far.hears()
		sent = y.sent.Method == sip.MethodInvite
	}
	y.do("180")
	y.do("cancel")
	y.do("486")
	for i := range 4 {
		w.far.says(strings.ReplaceAll(invite("z9hG4bKmany"+strconv.Itoa(i), ""), "call-1", "many-"+strconv.Itoa(i)))
	}
}

// dissect gives frames to tshark in a capture of link type WIRESHARK_UPPER_PDU:
// method, status, Call-ID, branch, whether malformed, how bad.
func dissect(t *testing.T, path string, frames [][]byte) (rows [][]string) {
	t.Helper()
	var w bytes.Buffer
	w.Write([]byte{0xa1, 0xb2, 0xc3, 0xd4, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 252})
	for i, b := range frames {
		pdu := append([]byte{0, 12, 0, 4, 's', 'i', 'p', 0, 0, 0, 0, 0}, b...)
		for _, n := range []int{i, 0, len(pdu), len(pdu)} {
			w.Write(binary.BigEndian.AppendUint32(nil, uint32(n)))
		}
		w.Write(pdu)
	}
	name := filepath.Join(t.TempDir(), "sip.pcap")
	if err := os.WriteFile(name, w.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-n", "-r", name, "-T", "fields", "-E", "separator=|"}
	for _, f := range []string{"sip.Method", "sip.Status-Code", "sip.Call-ID", "sip.Via.branch", "_ws.malformed", "_ws.expert.severity"} {
		args = append(args, "-e", f)
	}
	out, err := exec.Command(path, args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "|"))
	}
	if len(rows) != len(frames) {
		t.Fatalf("%d rows for %d frames", len(rows), len(frames))
	}
	return rows
}
