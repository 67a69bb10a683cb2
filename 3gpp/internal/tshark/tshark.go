// Package tshark shows messages to Wireshark's tshark, a stranger that knows the
// same standards, and gives back what it sees.
//
// It is for tests alone, and judges nothing: what tshark should have seen, and
// where it is wrong, each package says for itself.
package tshark

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Run runs tshark and returns what it prints. Where there is no tshark the test
// is skipped, or fails if CI=true.
func Run(t testing.TB, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark is not installed")
		}
		t.Skip("tshark is not installed")
	}
	cmd := exec.Command(path, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v\n%s", err, stderr.Bytes())
	}
	return string(out)
}

// Table returns the columns of a list that tshark prints with -G, "fields" or
// "values", for fields whose names begin with prefix.
func Table(t testing.TB, name, prefix string) (rows [][]string) {
	t.Helper()
	for line := range strings.Lines(Run(t, "-G", name)) {
		if strings.Contains(line, "\t"+prefix) {
			rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
		}
	}
	return rows
}

// Frame is a message for one of tshark's dissectors.
type Frame struct {
	Dissector string // "s1ap", "nas-eps", "gtp", "gsm_a_rp" ...
	PDU       []byte
}

// Frames are messages for the same dissector.
func Frames(dissector string, pdus [][]byte) []Frame {
	all := make([]Frame, len(pdus))
	for i, p := range pdus {
		all[i] = Frame{dissector, p}
	}
	return all
}

// Separator stands between the values of a field that a frame has more than once.
const Separator = ";"

// Fields returns a row for each frame: the values of the fields.
func Fields(t testing.TB, frames []Frame, fields []string, options ...string) [][]string {
	t.Helper()
	args := append([]string{"-r", write(t, frames), "-T", "fields", "-E", "aggregator=" + Separator}, options...)
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	var rows [][]string
	for line := range strings.Lines(Run(t, args...)) {
		row := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(row) != len(fields) {
			t.Fatalf("tshark shows %d fields of %d: %q", len(row), len(fields), line)
		}
		rows = append(rows, row)
	}
	if len(rows) != len(frames) {
		t.Fatalf("tshark shows %d frames of %d", len(rows), len(frames))
	}
	return rows
}

// Node is a part of tshark's description of a frame (PDML).
type Node struct {
	Name   string `xml:"name,attr"`
	Show   string `xml:"show,attr"`     // the value
	Text   string `xml:"showname,attr"` // the value in words
	Fields []Node `xml:"field"`
	Protos []Node `xml:"proto"`
}

// Walk visits n and all below it.
func (n *Node) Walk(visit func(*Node)) {
	visit(n)
	for i := range n.Protos {
		n.Protos[i].Walk(visit)
	}
	for i := range n.Fields {
		n.Fields[i].Walk(visit)
	}
}

// Complaints are what tshark finds wrong: malformed packets and expert
// information.
func (n *Node) Complaints() (all []string) {
	n.Walk(func(n *Node) {
		if n.Name == "_ws.malformed" || n.Name == "_ws.expert.message" || strings.Contains(n.Text, "xtraneous") {
			all = append(all, n.Name+" "+n.Text+n.Show)
		}
	})
	return all
}

// Packets returns the description of each frame.
func Packets(t testing.TB, frames []Frame, options ...string) []Node {
	t.Helper()
	out := Run(t, append([]string{"-r", write(t, frames), "-T", "pdml"}, options...)...)
	var packets []Node
	for d := xml.NewDecoder(strings.NewReader(out)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if s, ok := token.(xml.StartElement); ok && s.Name.Local == "packet" {
			var n Node
			if err := d.DecodeElement(&n, &s); err != nil {
				t.Fatal(err)
			}
			packets = append(packets, n)
		}
	}
	if len(packets) != len(frames) {
		t.Fatalf("tshark shows %d frames of %d", len(packets), len(frames))
	}
	return packets
}

// write makes a capture of link type WIRESHARK_UPPER_PDU, whose frames name
// their dissector, so that no lower layer is needed and no size is too large. A
// frame is a second after the one before.
func write(t testing.TB, frames []Frame) string {
	t.Helper()
	const linkType, tagDissector = 252, 12
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0)
	b = le.AppendUint32(b, 262144)
	b = le.AppendUint32(b, linkType)
	for i, f := range frames {
		head := append([]byte{0, tagDissector, 0, byte(len(f.Dissector))}, f.Dissector...)
		head = append(head, 0, 0, 0, 0)
		size := uint32(len(head) + len(f.PDU))
		for _, v := range []uint32{uint32(i), 0, size, size} {
			b = le.AppendUint32(b, v)
		}
		b = append(append(b, head...), f.PDU...)
	}
	name := filepath.Join(t.TempDir(), "frames.pcap")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
