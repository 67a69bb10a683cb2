package s1ap

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// captured is one PDU of a recorded conversation.
type captured struct {
	origin string // file and frame
	sender string // eNB or MME
	pdu    []byte
}

// captures reads the recorded conversations in testdata.
func captures(t testing.TB) []captured {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no testdata: %v", err)
	}
	var all []captured
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			w := strings.Fields(s.Text())
			if len(w) != 3 || w[0] == "#" {
				continue
			}
			b, err := hex.DecodeString(w[2])
			if err != nil {
				t.Fatalf("%s frame %s: %v", name, w[0], err)
			}
			all = append(all, captured{fmt.Sprintf("%s frame %s", filepath.Base(name), w[0]), w[1], b})
		}
		f.Close()
	}
	return all
}

// TestCapturedConversations reads what srsRAN's eNB and srsEPC said to each
// other and writes it again, octet for octet.
func TestCapturedConversations(t *testing.T) {
	seen := map[string]int{}
	for _, c := range captures(t) {
		p, err := Parse(c.pdu)
		if err != nil {
			t.Errorf("%s: %v", c.origin, err)
			continue
		}
		seen[p.Message.Header().Name]++
		b, err := p.Append(nil)
		if err != nil || !bytes.Equal(b, c.pdu) {
			t.Errorf("%s: %s written again (%v):\n% x\nwas\n% x", c.origin, p.Message.Header().Name, err, b, c.pdu)
		}
		b, err = Append([]byte("prefix"), p.Message)
		if err != nil || !bytes.Equal(b[6:], c.pdu) {
			t.Errorf("%s: Append with a prefix (%v): % x", c.origin, err, b)
		}
	}
	for name, n := range map[string]int{
		"S1SetupRequest": 2, "S1SetupResponse": 2, "InitialUEMessage": 5, "InitialContextSetupRequest": 5,
		"InitialContextSetupResponse": 5, "Paging": 1, "UEContextReleaseComplete": 5,
	} {
		if seen[name] != n {
			t.Errorf("%d captured %s, want %d", seen[name], name, n)
		}
	}
}

// TestCapturedValues checks values that tshark shows for the same frames.
func TestCapturedValues(t *testing.T) {
	find := func(name string) Message {
		for _, c := range captures(t) {
			if p, err := Parse(c.pdu); err == nil && p.Message.Header().Name == name {
				return p.Message
			}
		}
		t.Fatalf("no %s captured", name)
		return nil
	}
	setup := find("S1SetupRequest").(*S1SetupRequest)
	if setup.GlobalENBID.PLMNidentity != (PLMNidentity{0x00, 0xf1, 0x10}) || setup.GlobalENBID.ENBID.Choice != ENBIDChoiceMacroENBID ||
		setup.GlobalENBID.ENBID.MacroENBID != 0x19b || setup.ENBname != "srsenb01" || setup.SupportedTAs[0].TAC.ID() != 7 ||
		setup.DefaultPagingDRX != PagingDRXV128 {
		t.Errorf("%+v", setup)
	}
	ics := find("InitialContextSetupRequest").(*InitialContextSetupRequest)
	if len(ics.ERABToBeSetupListCtxtSUReq) != 1 {
		t.Fatalf("%+v", ics)
	}
	item := ics.ERABToBeSetupListCtxtSUReq[0]
	ip, err := item.TransportLayerAddress.Addr()
	if item.ERABID != 5 || err != nil || ip.String() != "10.77.0.1" || item.ERABLevelQoSParameters.QCI != 7 || item.NASPDU == nil {
		t.Errorf("%+v", item)
	}
	page := find("Paging").(*Paging)
	if page.UEPagingID.Choice != UEPagingIDChoiceSTMSI || page.CNDomain != CNDomainPs || page.TAIList[0].TAI.TAC.ID() != 7 {
		t.Errorf("%+v", page)
	}
}
