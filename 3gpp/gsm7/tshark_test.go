package gsm7_test

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"campanile.network/3gpp/gsm7"
)

// TestTsharkReadsTexts: tshark 4.0 knows the default alphabet and its extension
// table, not the national ones. It reads 200 texts in SMS-DELIVER, behind user
// data headers of all lengths that give other fill bits.
func TestTsharkReadsTexts(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("tshark is not installed")
		}
		t.Skip("tshark is not installed")
	}
	var letters []rune
	for r := rune(' '); r < 0x2200; r++ {
		if (gsm7.Alphabet{}).Septets(r) > 0 && r != '\\' { // tshark escapes it
			letters = append(letters, r)
		}
	}
	rnd := rand.New(rand.NewPCG(24, 11))
	const linkType = 147 // DLT_USER0
	pcap := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	pcap = append(pcap, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, linkType, 0, 0, 0)
	var texts []string
	for i := range 200 {
		var s strings.Builder
		for range 1 + rnd.IntN(60) {
			s.WriteRune(letters[rnd.IntN(len(letters))])
		}
		texts = append(texts, s.String())
		header := append([]byte{byte(2 + i%7), 0x70, byte(i % 7)}, make([]byte, i%7)...) // one element for the SIM toolkit
		septets, err := gsm7.Alphabet{}.Append(nil, s.String())
		if err != nil {
			t.Fatal(err)
		}
		fill := gsm7.Fill(len(header))
		tpdu := append([]byte{0x44, 0x04, 0x91, 0x21, 0x43, 0, 0}, "\x11\x11\x11\x11\x11\x11\x00"...)
		tpdu = append(tpdu, byte((len(header)*8+fill)/7+len(septets)))
		tpdu = gsm7.Pack(append(tpdu, header...), septets, fill)
		pcap = append(pcap, make([]byte, 8)...)
		pcap = binary.LittleEndian.AppendUint32(pcap, uint32(len(tpdu)))
		pcap = binary.LittleEndian.AppendUint32(pcap, uint32(len(tpdu)))
		pcap = append(pcap, tpdu...)
	}
	file := filepath.Join(t.TempDir(), "sms.pcap")
	if err := os.WriteFile(file, pcap, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tshark, "-r", file, "-T", "fields", "-e", "gsm_sms.sms_text",
		"-o", `uat:user_dlts:"User 0 (DLT=147)","gsm_sms","0","","0",""`).Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(got) != len(texts) {
		t.Fatalf("%d texts, want %d", len(got), len(texts))
	}
	for i, want := range texts {
		if got[i] != want {
			t.Errorf("tshark reads %q, want %q", got[i], want)
		}
	}
}
