package console

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"campanile.network/internal/headless"
)

// aPhone has something of everything.
func aPhone(now time.Time) PhoneDetail {
	p := PhoneDetail{PhoneLine: PhoneLine{ID: "p3", IMSI: "00101········39", State: "idle", Since: now.Add(-8 * time.Minute), Reason: "released by the eNB, cause user-inactivity",
		Address: netip.MustParseAddr("10.45.0.4"), APN: "internet", Tower: "San Rocco", ENB: "001/01-macro-0x19b", Cell: "001/01:0019b01", TAI: "001/01:7"},
		MSISDN: "39········21", IMEI: "35000000········", TMSI: "b4a08343", Security: "128-EEA2 128-EIA2", Ticket: "1817db7f5ceef4c8dbf6cc0476f97ba3", TicketUntil: now.Add(5 * time.Hour), Segment: 3,
		Heard: now.Add(-8 * time.Minute), UpdateDue: now.Add(46 * time.Minute), DetachAt: now.Add(54 * time.Minute), DRX: 128, EDRX: "listens for 2.56s every 20.48s",
		Bearers: []PhoneBearer{{Bearer: Bearer{EBI: 5, QCI: 9, Settled: true, Octets: Octets{48_211, 391_640}}, Linked: 5, APN: "internet", Address: netip.MustParseAddr("10.45.0.4"), Gateway: "127.0.0.30/0x01100001"}},
		History: []Procedure{
			{At: now.Add(-8 * time.Minute), Procedure: "service request", OK: true, TookMs: 6.4, Cell: "001/01:0019b01"},
			{At: now.Add(-9 * time.Minute), Procedure: "paging", Cause: "no answer", TookMs: 15_003, Why: "no answer from the phone", Cell: "001/01:0019b01"},
			{At: now.Add(-31 * time.Minute), Procedure: "tracking area update", OK: true, TookMs: 9.1, Cell: "001/01:0019b01"},
			{At: now.Add(-52 * time.Minute), Procedure: "attach", OK: true, TookMs: 43.2, Cell: "001/01:0019b01"},
		}}
	p.Last = &p.History[0]
	return p
}

// The page of a phone, linked from the list of phones; what is asked for by an id
// that nobody has is said to be gone.
func TestPhonePage(t *testing.T) {
	ctx := headless.Browser(t)
	w := newWorld(t)
	s := serve(t, Options{State: w.look, Changed: w.changed, Phones: func(PhoneQuery) (PhoneList, error) { return PhoneList{}, nil },
		Phone: func(id string) (PhoneDetail, bool) { return aPhone(time.Now()), id == "p3" }}, nil)
	dir, base := artifacts(t), "http://"+s.Addr().String()
	if err := chromedp.Run(ctx, chromedp.Navigate(base+"/"), reads("#s1ap", "S1AP: MME, agent towards the MME: SCTP over udp"), reads("#pool", "Pool: MME code 2 at 192.0.2.5:7102 is there", "copies of 40 phones"), reads("#phone-list", "update due"), picture(dir, "network-leftovers", 1400, "light"),
		shows(`a[href="/phone?id=p3"]`, true), chromedp.Navigate(base+"/phone?id=p3"),
		reads("body", "00101········39", "idle for 8", "next update due", "no radio bearer"), reads("#done", "paging", "no answer from the phone", "15.0 s", "43.2 ms"),
		picture(dir, "phone-wide", 1400, "light"), picture(dir, "phone-narrow", 400, "dark"),
		chromedp.Navigate(base+"/phone?id=p9"), reads("#silent", `no phone has the id "p9"`)); err != nil {
		t.Fatal(err)
	}
}

// docs/api.md shows what is answered.
func TestPhoneShape(t *testing.T) {
	now := time.Unix(1_800_000_000, 0).UTC()
	s := serve(t, Options{State: newWorld(t).look, Phone: func(string) (PhoneDetail, bool) { return aPhone(now), true },
		Phones: func(PhoneQuery) (PhoneList, error) {
			return PhoneList{Phones: []PhoneLine{aPhone(now).PhoneLine}, Matched: 1, Known: 3}, nil
		}, SIP: func() SIP { return calling(now) }}, nil)
	doc, err := os.ReadFile("../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/v1/phones?state=idle", "/api/v1/phones/p3", "/api/v1/sip"} {
		_, b := get(t, "http://"+s.Addr().String()+path)
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Fatal(err)
		}
		var pretty strings.Builder
		e := json.NewEncoder(&pretty)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		want := fmt.Sprintf("`GET %s`\n\n```json\n%s```\n", path, pretty.String())
		if !strings.Contains(string(doc), want) {
			t.Errorf("docs/api.md lacks, or differs from:\n%s", want)
		}
	}
}
