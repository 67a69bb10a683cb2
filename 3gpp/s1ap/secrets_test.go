package s1ap

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestKeysDoNotPrint: neither K_eNB nor NH comes out of fmt, slog or JSON.
func TestKeysDoNotPrint(t *testing.T) {
	m := &InitialContextSetupRequest{SecurityKey: SecurityKey{0xde, 0xad}}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("", "key", m.SecurityKey, "message", m)
	j, _ := json.Marshal(m)
	text := log.String() + string(j)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d", "%s", "%q"} {
		text += fmt.Sprintf(verb+verb+verb, m, m.SecurityKey, &m.SecurityKey)
	}
	for _, leak := range []string{"dead", "DEAD", "222 173", "222,173", "0xde", "3q0A"} {
		if strings.Contains(text, leak) {
			t.Errorf("the key shows as %s", leak)
		}
	}
	if !strings.Contains(text, "[redacted]") {
		t.Error("nothing was redacted")
	}
}

// TestIMSIsAreMasked under every verb, in logs and in JSON.
func TestIMSIsAreMasked(t *testing.T) {
	m := &Paging{UEPagingID: UEPagingID{Choice: UEPagingIDChoiceIMSI, IMSI: IMSI{0x00, 0x01, 0x01, 0x21, 0x43, 0x65, 0x87, 0xf9}}}
	j, _ := json.Marshal(m)
	text := string(j)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d", "%s", "%q"} {
		text += fmt.Sprintf(verb+verb, m, m.UEPagingID.IMSI)
	}
	for _, leak := range []string{"2143", "33 67", "33, 67", "0x21", "AAEBIU"} {
		if strings.Contains(text, leak) {
			t.Errorf("the IMSI shows as %s in %s", leak, text)
		}
	}
	if got := m.UEPagingID.IMSI.String(); got != "00101..." {
		t.Errorf("%s", got)
	}
	if got := (IMSI{}).String(); got != "..." {
		t.Errorf("%s", got)
	}
}
