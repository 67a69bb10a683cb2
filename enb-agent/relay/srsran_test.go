package relay_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"campanile.network/3gpp/s1ap"
)

// The conversation of srsRAN's eNB with srsEPC, as captured, through the
// relay: nothing changes but the two ends of the bearer, and of them nothing
// but address and TEID.
func TestSrsRAN(t *testing.T) {
	for _, name := range []string{"srsran-attach-detach.txt", "srsran-attach-idle-service-paging-detach-guti.txt"} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Open("../../3gpp/s1ap/testdata/" + name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			inBubble(t, nil, func(t *testing.T, r *rig) {
				rewritten := 0
				for lines := bufio.NewScanner(f); lines.Scan(); {
					if strings.HasPrefix(lines.Text(), "#") {
						continue
					}
					part := strings.Fields(lines.Text())
					b, err := hex.DecodeString(part[2])
					if err != nil {
						t.Fatal(err)
					}
					from, to := r.enb, r.mme
					if part[1] == "MME" {
						from, to = r.mme, r.enb
					}
					if err := from.Send(t.Context(), 1, 18, b); err != nil {
						t.Fatal(err)
					}
					got, err := to.Recv(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if bytes.Equal(got.Data, b) {
						continue
					}
					rewritten++
					compare(t, part[0], b, got.Data)
				}
				s := r.relay.Stats()
				if rewritten == 0 || rewritten%2 != 0 || s.Verbatim != 0 || s.UEs != 0 {
					t.Errorf("%d messages rewritten, %+v", rewritten, s)
				}
			})
		})
	}
}

// compare checks that two messages are the same but for eight octets of
// address and TEID, which lie together.
func compare(t *testing.T, frame string, was, is []byte) {
	t.Helper()
	p, err := s1ap.Parse(is)
	if err != nil {
		t.Fatalf("frame %s: %v", frame, err)
	}
	switch p.Message.(type) {
	case *s1ap.InitialContextSetupRequest, *s1ap.InitialContextSetupResponse:
	default:
		t.Errorf("frame %s: %T was rewritten", frame, p.Message)
	}
	if len(was) != len(is) {
		t.Fatalf("frame %s: %d octets became %d", frame, len(was), len(is))
	}
	first, last := -1, 0
	for i := range was {
		if was[i] != is[i] {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	if last-first >= 8 {
		t.Errorf("frame %s: octets %d to %d differ", frame, first, last)
	}
}
