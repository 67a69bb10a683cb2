package sms

import (
	"bytes"
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A field is a node of tshark's description of a packet.
type field struct {
	Name   string  `xml:"name,attr"`
	Show   string  `xml:"show,attr"`
	Text   string  `xml:"showname,attr"`
	Fields []field `xml:"field"`
	Protos []field `xml:"proto"`
}

func (f *field) walk(visit func(*field)) {
	visit(f)
	for i := range f.Protos {
		f.Protos[i].walk(visit)
	}
	for i := range f.Fields {
		f.Fields[i].walk(visit)
	}
}

// findTshark skips the test where there is no tshark, except in CI.
func findTshark(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark is not installed")
		}
		t.Skip("tshark is not installed")
	}
	return path
}

// A frame is octets for one of tshark's dissectors.
type frame struct {
	dissector string // gsm_a_dtap for CP, gsm_a_rp for RP
	pdu       []byte
}

// dissect gives tshark's view of frames of link type WIRESHARK_UPPER_PDU, which
// name their dissector. The parts of a text are joined if it is told so.
func dissect(t *testing.T, frames []frame, join bool) []field {
	t.Helper()
	tshark := findTshark(t)
	le, be := binary.LittleEndian, binary.BigEndian
	pcap := le.AppendUint32(nil, 0xa1b2c3d4)
	pcap = append(pcap, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 252, 0, 0, 0)
	for i, f := range frames {
		b := be.AppendUint16([]byte{0, 12}, uint16(len(f.dissector)))
		b = append(b, f.dissector...)
		b = append(b, 0, 0, 0, 0)
		b = append(b, f.pdu...)
		pcap = le.AppendUint32(pcap, uint32(i))
		pcap = le.AppendUint32(pcap, 0)
		pcap = le.AppendUint32(pcap, uint32(len(b)))
		pcap = le.AppendUint32(pcap, uint32(len(b)))
		pcap = append(pcap, b...)
	}
	file := filepath.Join(t.TempDir(), "sms.pcap")
	if err := os.WriteFile(file, pcap, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tshark, "-r", file, "-T", "pdml", "-o", fmt.Sprintf("gsm_sms.reassemble:%t", join)).Output()
	if err != nil {
		t.Fatal(err)
	}
	var packets []field
	for d := xml.NewDecoder(bytes.NewReader(out)); ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if s, ok := tok.(xml.StartElement); ok && s.Name.Local == "packet" {
			var p field
			if err := d.DecodeElement(&p, &s); err != nil {
				t.Fatal(err)
			}
			packets = append(packets, p)
		}
	}
	if len(packets) != len(frames) {
		t.Fatalf("tshark shows %d packets of %d", len(packets), len(frames))
	}
	return packets
}

// complaints are what tshark finds wrong: malformed packets and expert
// information.
func complaints(p *field) []string {
	var all []string
	p.walk(func(f *field) {
		if f.Name == "_ws.malformed" || f.Name == "_ws.expert.message" || strings.Contains(f.Text, "xtraneous") {
			all = append(all, f.Name+" "+f.Text+f.Show)
		}
	})
	return all
}

// TestTsharkJoins: tshark joins the parts that Split made to the same text.
func TestTsharkJoins(t *testing.T) {
	for i, text := range []string{strings.Repeat("The quick brown fox [€]. ", 20), strings.Repeat("Съешь ещё этих булок 🔔 ", 15)} {
		for _, wide := range []bool{false, true} {
			var frames []frame
			for _, p := range must(Split(text, SplitOptions{Reference: uint16(40 + i), Wide: wide})) {
				tpdu := must(Append(nil, &Deliver{Originator: must(NewAddress("+4915112345678")), DCS: p.DCS, User: p.User, Timestamp: NewTimestamp(t0)}))
				frames = append(frames, frame{"gsm_a_rp", must(Append(nil, &RPData{Direction: Downlink, User: tpdu}))})
			}
			packets := dissect(t, frames, true)
			var joined []string
			packets[len(packets)-1].walk(func(f *field) {
				if f.Name == "gsm_sms.sms_text" {
					joined = append(joined, f.Show)
				}
			})
			if strings.Join(joined, "") != text {
				t.Errorf("%d parts, wide %v: tshark joins %q", len(frames), wide, joined)
			}
		}
	}
}

// TestTsharkKnowsTheWords: causes, statuses and commands have the words that
// tshark has.
func TestTsharkKnowsTheWords(t *testing.T) {
	out, err := exec.Command(findTshark(t), "-G", "values").Output()
	if err != nil {
		t.Fatal(err)
	}
	known, group := 0, -1
	for line := range strings.Lines(string(out)) {
		w := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(w) < 4 || w[0] != "V" && w[0] != "R" {
			continue
		}
		low, err := strconv.ParseUint(w[2], 0, 8)
		high, err2 := strconv.ParseUint(w[3], 0, 8)
		if w[0] == "V" {
			high, err2 = low, nil
		}
		if err != nil || err2 != nil {
			continue
		}
		if w[1] == "gsm_sms.dis.field_st_reason" && low == 0 {
			group++ // four tables follow each other
		}
		for n := low; n <= high; n++ {
			ours, ok := words(w[1], uint8(n), group)
			if !ok {
				break
			}
			known++
			theirs, _, _ := strings.Cut(w[len(w)-1], " (The")
			theirs = strings.TrimSuffix(theirs, " Reserved values")
			for _, other := range []string{"Reserved unspecified", "Undefined"} {
				theirs = strings.Replace(theirs, other, "Reserved", 1)
			}
			for _, other := range []string{"Values specific to each SC", "Values specific for each SC"} {
				theirs = strings.Replace(theirs, other, "Specific to the SC", 1)
			}
			if !strings.Contains(strings.ToLower(ours), strings.ToLower(theirs)) {
				t.Errorf("%s %d: %q, tshark has %q", w[1], n, ours, theirs)
			}
		}
	}
	if known < 24+256+4*32+256+15 {
		t.Errorf("tshark has words for %d values", known)
	}
}

// words are ours for a value of tshark's field.
func words(field string, n uint8, group int) (string, bool) {
	switch field {
	case "gsm_a.rp.cause":
		return RPCause(n).String(), true
	case "gsm_sms.tp-fcs":
		return FailureCause(n).String(), true
	case "gsm_sms.tp.command_type":
		return CommandType(n).String(), true
	case "gsm_sms.dis.field_st_reason":
		return Status(group<<5 | int(n)).String(), true
	case "gsm_sms.tp.pid.message_type":
		return PID(0x40 | n).String(), true
	}
	return "", false
}
