package s1ap

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"campanile.network/3gpp/internal/testkit"
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
		if strings.HasSuffix(name, "pycrate-s1ap.txt") {
			continue // values, not conversations: see pycrate_test.go
		}
		for _, w := range testkit.Rows(t, name) {
			all = append(all, captured{fmt.Sprintf("%s frame %s", filepath.Base(name), w[0]), w[1], testkit.Unhex(t, w[2])})
		}
	}
	return all
}

// deviations is captured PDUs that come out otherwise when written again, and
// why that is right.
var deviations = map[string]string{
	"iphone6-volte-pcapr.txt frame 41": "the MME gave three IEs of E-RAB RELEASE COMMAND the criticality reject; " +
		"it is ignore in TS 36.413 §9.1.3.5",
}

// TestCapturedConversations reads what others' eNBs and MMEs said to each other
// and writes it again, octet for octet.
func TestCapturedConversations(t *testing.T) {
	files := map[string]int{}
	for _, c := range captures(t) {
		files[strings.Fields(c.origin)[0]]++
		p, err := Parse(c.pdu)
		if err != nil {
			t.Errorf("%s: %v", c.origin, err)
			continue
		}
		b, err := p.Append(nil)
		if deviations[c.origin] != "" {
			q, err2 := Parse(b)
			if err != nil || err2 != nil || bytes.Equal(b, c.pdu) || sameMessage(p.Message, q.Message) != "" {
				t.Errorf("%s: %v, %v: read otherwise, or no deviation", c.origin, err, err2)
			}
			continue
		}
		if err != nil || !bytes.Equal(b, c.pdu) {
			t.Errorf("%s: %s written again (%v):\n% x\nwas\n% x", c.origin, p.Message.Header().Name, err, b, c.pdu)
		}
		b, err = Append([]byte("prefix"), p.Message)
		if err != nil || !bytes.Equal(b[6:], c.pdu) {
			t.Errorf("%s: Append with a prefix (%v): % x", c.origin, err, b)
		}
	}
	for name, n := range map[string]int{
		"srsran-attach-detach.txt": 17, "srsran-attach-idle-service-paging-detach-guti.txt": 43, "srsran-sessions.txt": 137,
		"iphone6-volte-pcapr.txt": 47, "lte-attach-pycrate.txt": 11,
	} {
		if files[name] != n {
			t.Errorf("%d PDUs in %s, want %d", files[name], name, n)
		}
	}
}

// TestCapturedValues checks values that tshark shows for the same frames.
func TestCapturedValues(t *testing.T) {
	find := func(file, name string) Message {
		for _, c := range captures(t) {
			if p, err := Parse(c.pdu); err == nil && p.Message.Header().Name == name && strings.HasPrefix(c.origin, file) {
				return p.Message
			}
		}
		t.Fatalf("no %s captured in %s", name, file)
		return nil
	}
	setup := find("srsran-attach-detach", "S1SetupRequest").(*S1SetupRequest)
	if setup.GlobalENBID.PLMNidentity != (PLMNidentity{0x00, 0xf1, 0x10}) || setup.GlobalENBID.ENBID.Choice != ENBIDChoiceMacroENBID ||
		setup.GlobalENBID.ENBID.MacroENBID != 0x19b || setup.ENBname != "srsenb01" || setup.SupportedTAs[0].TAC.ID() != 7 ||
		setup.DefaultPagingDRX != PagingDRXV128 {
		t.Errorf("%+v", setup)
	}
	ics := find("srsran-attach-detach", "InitialContextSetupRequest").(*InitialContextSetupRequest)
	if len(ics.ERABToBeSetupListCtxtSUReq) != 1 {
		t.Fatalf("%+v", ics)
	}
	item := ics.ERABToBeSetupListCtxtSUReq[0]
	ip, err := item.TransportLayerAddress.Addr()
	if item.ERABID != 5 || err != nil || ip.String() != "10.77.0.1" || item.ERABLevelQoSParameters.QCI != 7 || item.NASPDU == nil {
		t.Errorf("%+v", item)
	}
	page := find("srsran-attach-idle", "Paging").(*Paging)
	if page.UEPagingID.Choice != UEPagingIDChoiceSTMSI || page.CNDomain != CNDomainPs || page.TAIList[0].TAI.TAC.ID() != 7 {
		t.Errorf("%+v", page)
	}
	voice := find("iphone6-volte", "ERABSetupRequest").(*ERABSetupRequest)
	if len(voice.ERABToBeSetupListBearerSUReq) != 1 {
		t.Fatalf("%+v", voice)
	}
	bearer := voice.ERABToBeSetupListBearerSUReq[0]
	ip, err = bearer.TransportLayerAddress.Addr()
	if voice.MMEUES1APID != 211 || voice.ENBUES1APID != 1 || bearer.ERABID != 6 || bearer.ERABLevelQoSParameters.QCI != 5 || err != nil || ip.String() != "127.0.1.100" ||
		bearer.ERABLevelQoSParameters.AllocationRetentionPriority.PriorityLevel != 1 || bearer.GTPTEID != (GTPTEID{0x7e, 0x10, 0xb5, 0x69}) {
		t.Errorf("%+v", bearer)
	}
}
