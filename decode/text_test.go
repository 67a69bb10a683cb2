package decode_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/sms"
	"campanile.network/decode"
)

const reject = "074411" // ATTACH REJECT, network failure

// A message is read however people write octets, and what it was taken for is
// said.
func TestWaysToWriteOctets(t *testing.T) {
	b, err := hex.DecodeString(reject)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ in, took string }{
		{reject, "hex"}, {"07 44 11", "hex"}, {"0x07, 0x44, 0x11,", "hex"}, {"07:44:11 # a comment", "hex"}, {`\x07\x44\x11`, "hex"},
		{`[]byte{7, 4}` + "\n" + reject, "text"}, // Go's decimal numbers are not for guessing
		{"{0x07,0x44,0x11};", "hex"}, {"\n# comment\n\n" + reject + "\n", "hex"}, {"# möglich\n" + reject, "hex"}, {reject + "\r\n", "hex"},
		{base64.StdEncoding.EncodeToString(b), "base64"}, {base64.RawURLEncoding.EncodeToString(b), "base64"},
		{"0000  07 44 11   .D.", "hex"}, {"00000000: 0744 11                                  .D.", "hex"},
		{"00000000  07 44 11                                          |.D.|\n00000003", "hex"}, {"\t0x0000:  0744 11", "hex"},
		{"000000 07 44\n000002 11\n000003", "hex"}, {"0000  07 44\n0002  11", "hex"},
		{"/* Frame (3 bytes) */\nstatic const unsigned char pkt1[3] = {\n0x07, 0x44, /* .D*/\n0x11 /* ./* */\n};\n", "hex"},
		{"var b = []byte{0x07, 0x44, 0x11} // ATTACH REJECT", "hex"}, {"uint8_t b[] =\n{0x07,\n0x44,\n0x11,\n};", "hex"},
		{"Frame (3 bytes):\n0000  07 44 11   .D.\nBitstring tvb (1 byte):\n0000  44   D\nReassembled SCTP (2 bytes):\n0000  07 44   .D\n", "hex"},
	} {
		out, _, _ := run(t, decode.Options{Format: decode.JSON}, []byte(c.in))
		all := objects(t, out)
		if len(all) == 0 || all[0]["input"] != c.took {
			t.Errorf("%q: %s", c.in, out)
		} else if c.took != "text" && (all[0]["message"] != "ATTACH REJECT" || all[0]["direction"] != "downlink" || len(all) != 1) {
			t.Errorf("%q: %s", c.in, out)
		}
	}
}

// What fits nothing, or cannot be read as it was said to be, is an error that
// says what is wrong; the others are shown.
func TestTextMistakes(t *testing.T) {
	for _, c := range []struct {
		o        decode.Options
		in, want string
	}{
		{decode.Options{}, "07441", "an odd number of hexadecimal digits"},
		{decode.Options{}, "0744111", "an odd number of hexadecimal digits"},
		{decode.Options{}, "ffff", "2 octets that are no whole message"},
		{decode.Options{}, "0742", "as NAS: ATTACH ACCEPT"},
		{decode.Options{}, "0011002d0000", "as S1AP"},
		{decode.Options{}, "7e004179000d0102f8390000000000000000102e04f0f0f0f0", "begins like NAS of 5G"},
		{decode.Options{}, "00150033000004001b00080002f839500000000052400903006672656535474300660010000000000102f839000010080102030015400140", "begins like NGAP of 5G"},
		{decode.Options{}, "hello, world", "neither hexadecimal digits nor base64"},
		{decode.Options{Input: "hex"}, "B0QR", "not hexadecimal digits"},
		{decode.Options{Input: "base64"}, "+-+-", "not base64"},
		{decode.Options{As: "s1ap"}, reject, "malformed"},
		{decode.Options{As: "nas-up"}, reject, "malformed"},
		{decode.Options{As: "ip"}, reject, "no UDP and no SCTP in it"},
		{decode.Options{As: "sctp"}, reject, "SCTP packet of 3 octets"},
		{decode.Options{As: "gtpu"}, reject, "too short"},
	} {
		out, _, err := run(t, c.o, []byte(c.in+"\n# and\n"))
		var broken *decode.Malformed
		if !errors.As(err, &broken) || broken.Broken != 1 || !strings.Contains(out, c.want) {
			t.Errorf("%q: %v\n%s", c.in, err, out)
		}
	}
	for in, want := range map[string]string{"": "nothing to read", "\x00\x01\x02": "neither a capture nor text", "abc\xff\xfe": "neither a capture nor text",
		"0000  07 44\n0004  11\n": "the dump's offset is 0x4 behind 0x2", strings.Repeat("0", 1<<21): "line 1"} {
		if _, _, err := run(t, decode.Options{}, []byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v", in, err)
		}
	}
	if out, _, err := run(t, decode.Options{Input: "raw"}, []byte{7, 0x44, 0x11}); err != nil || !strings.Contains(out, "ATTACH REJECT") {
		t.Errorf("raw: %v %s", err, out)
	}
}

func TestOpen(t *testing.T) {
	name := filepath.Join(t.TempDir(), "deadbeef")
	if err := os.WriteFile(name, []byte(reject), 0o600); err != nil {
		t.Fatal(err)
	}
	for arg, want := range map[string]string{"-": "stdin", name: reject, reject: reject, "B0QR": "B0QR"} {
		in, err := decode.Open(arg, strings.NewReader("stdin"))
		if err != nil {
			t.Errorf("%s: %v", arg, err)
			continue
		}
		if b, err := io.ReadAll(in); err != nil || string(b) != want {
			t.Errorf("%s: %q %v", arg, b, err)
		}
		in.Close()
	}
	if _, err := decode.Open(filepath.Dir(name), nil); err == nil || !strings.Contains(err.Error(), "a directory") {
		t.Error(err)
	}
	for _, arg := range []string{"attach", "attach.pcap", name + "x", strings.Repeat("z", 5000)} {
		if _, err := decode.Open(arg, nil); err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%.20s: %v", arg, err)
		}
	}
}

// text2pcap's, xxd's and od's dumps of S1AP are read as the capture is.
func TestDumps(t *testing.T) {
	pdu := "0015002d000004003b00080000f110000019b0003c400a0380737273656e62303100400007000001c000f1100089400140"
	pdu = strings.Replace(pdu, "0015", "0011", 1)
	b, err := hex.DecodeString(pdu)
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := run(t, decode.Options{}, []byte(pdu))
	if err != nil {
		t.Fatal(err)
	}
	for _, dumper := range [][]string{{"xxd"}, {"hexdump", "-C"}, {"od", "-Ax", "-tx1"}} {
		path, err := exec.LookPath(dumper[0])
		if err != nil {
			continue
		}
		c := exec.Command(path, dumper[1:]...)
		c.Stdin = bytes.NewReader(b)
		dump, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		if got, _, err := run(t, decode.Options{}, dump); err != nil || got != want {
			t.Errorf("%v: %v\n%s\n%s", dumper, err, dump, got)
		}
	}
}

// Short messages are known as modems have them in PDU mode, with what modems
// say around them, and as RPDU and TPDU alone.
func TestShortMessagesAlone(t *testing.T) {
	const sent, got = "0011000B916407281553F80000AA0AE8329BFD4697D9EC37", "07914151551512f2040B916105551511f100006060605130308A04D4F29C0E"
	for in, want := range map[string][]string{
		"AT+CMGL=4\r\n+CMGL: 2,0,,23\r\n" + got + "\r\n\r\nOK\r\nAT+CMGS=23\r\n> " + sent + "\r\n": {"SMS-DELIVER", "SMS-SUBMIT", "+14155551212", "Test", "hellohello"},
		got[16:]:                            {"SMS-DELIVER", "+16505551111"},
		sent[2:]:                            {"SMS-SUBMIT", "hellohello"},
		"001100069121436587f917" + sent[2:]: {"RP-DATA", "SMS-SUBMIT", "hellohello"},
	} {
		out, _, err := run(t, decode.Options{}, []byte(in))
		for _, w := range want {
			if err != nil || !strings.Contains(out, w) {
				t.Errorf("%s: no %s: %v\n%s", in, w, err, out)
			}
		}
		if out, _, _ := run(t, decode.Options{Mask: true}, []byte(in)); strings.Contains(out, "5555") || strings.Contains(out, "hello") {
			t.Errorf("masked:\n%s", out)
		}
	}
	if out, _, err := run(t, decode.Options{As: "sms-up"}, []byte(sent)); err != nil || !strings.Contains(out, "SMS-SUBMIT") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, in := range []string{sent + "00", got[:len(got)-2], "49", "0904" + "00"} {
		if out, _, err := run(t, decode.Options{}, []byte(in)); err == nil || !strings.Contains(out, "unknown") {
			t.Errorf("%s: %v\n%s", in, err, out)
		}
	}
}

// What a capture has between messages is not malformed when it comes as dumps.
func TestDumpsOfOtherFrames(t *testing.T) {
	const arp = "0000  ff ff ff ff ff ff 02 00 00 00 00 01 08 06 00 01\n0010  08 00 06 04 00 01 02 00 00 00 00 01 0a 00 00 01\n0020  00 00 00 00 00 00 0a 00 00 02\n"
	out, notes, err := run(t, decode.Options{Format: decode.Summary}, []byte(arp+"\n"+reject))
	if err != nil || strings.Count(out, "\n") != 1 || !slices.Contains(notes, "Ethernet frames of neither UDP nor SCTP are not shown: 1") {
		t.Errorf("%v %q\n%s", err, notes, out)
	}
}

// A short message in NAS is shown down to its text, which --mask hides.
func TestShortMessageInNAS(t *testing.T) {
	parts, err := sms.Split("meet at the tower", sms.SplitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	to, err := sms.NewAddress("+491701234567")
	if err != nil {
		t.Fatal(err)
	}
	tp, err := sms.Append(nil, &sms.Submit{Destination: to, DCS: parts[0].DCS, User: parts[0].User})
	if err != nil {
		t.Fatal(err)
	}
	rp, err := sms.Append(nil, &sms.RPData{Direction: sms.Uplink, Reference: 1, Destination: to, User: tp})
	if err != nil {
		t.Fatal(err)
	}
	cp, err := sms.Append(nil, &sms.CPData{User: rp})
	if err != nil {
		t.Fatal(err)
	}
	nas, err := eps.Append(nil, &eps.UplinkNASTransport{Container: cp})
	if err != nil {
		t.Fatal(err)
	}
	in := []byte(hex.EncodeToString(nas) + "\n" + hex.EncodeToString(cp) + "\n")
	out, _, err := run(t, decode.Options{}, in)
	if err != nil || strings.Count(out, "meet at the tower") != 2 || !strings.Contains(out, "SMS-SUBMIT") || !strings.Contains(out, "SMS CP-DATA") {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _, _ := run(t, decode.Options{Format: decode.Summary}, in); !strings.Contains(out, "| CP-DATA, RP-DATA, SMS-SUBMIT\n") || !strings.Contains(out, "CP-DATA | RP-DATA | SMS-SUBMIT\n") {
		t.Errorf("summary:\n%s", out)
	}
	if out, _, _ := run(t, decode.Options{Mask: true}, in); strings.Contains(out, "meet") || strings.Contains(out, "1701234567") {
		t.Errorf("masked:\n%s", out)
	}
	for as, b := range map[string][]byte{"sms-up": rp, "sms": cp} {
		if out, _, err := run(t, decode.Options{As: as}, []byte(hex.EncodeToString(b))); err != nil || !strings.Contains(out, "meet at the tower") {
			t.Errorf("%s: %v\n%s", as, err, out)
		}
	}
	if !slices.Equal(nas[:2], []byte{7, 0x63}) {
		t.Errorf("%x", nas)
	}
}
