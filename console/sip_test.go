package console

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"campanile.network/internal/headless"
)

// calling has something of everything.
func calling(now time.Time) SIP {
	return SIP{
		Stations: []SIPStation{
			{Name: "hill", Kind: "OpenBTS P5.0", Tower: "San Rocco", Cells: []string{"001/01:03ef-000a"}, Phones: 11, Calls: 1, Heard: now.Add(-4 * time.Second)},
			{Name: "valley", Cells: []string{"001/01:03ef-000b", "001/01:03ef-000c"}},
		},
		Trunks: []SIPTrunk{{Name: "provider", Up: true, Text: "registered until 12:00:00", Calls: 1}, {Name: "backup", Text: "no answer since 11:59:02"}},
		Phones: []SIPPhone{
			{IMSI: "00101········02", Number: "39········21", Kind: "GSM", Station: "hill", Cell: "001/01:03ef-000a", Since: now.Add(-4 * time.Minute), Expires: now.Add(86 * time.Minute)},
			{IMSI: "00101········07", Number: "39········22", Kind: "app", Since: now.Add(-time.Hour), Expires: now.Add(time.Minute)},
		},
		Known: 1204,
		Calls: []SIPCall{
			{From: "39········21", To: "39········22", Cells: "001/01:03ef-000a → app", State: "up", Began: now.Add(-95 * time.Second), Seconds: 83.2, Codec: "GSM ↔ PCMU"},
			{From: "39········23", To: "06······11", Cells: "001/01:03ef-000b → provider", State: "ringing", Began: now.Add(-3 * time.Second)},
		},
		Ended: []SIPCall{
			{From: "39········21", To: "39········24", Cells: "001/01:03ef-000a", State: "ended", Began: now.Add(-10 * time.Minute), Cause: "busy (486, GSM cause 17)"},
			{From: "39········25", To: "39········21", Cells: "001/01:03ef-000b, 000a", State: "ended", Began: now.Add(-12 * time.Minute), Seconds: 61, Codec: "GSM", OK: true, Cause: "the caller hung up"},
		},
		Outcomes: []Count{{"answered", 120}, {"busy", 7}, {"no answer", 31}},
		Messages: SIPMessages{Waiting: 2, Oldest: now.Add(-26 * time.Hour), Counts: []Count{{"taken", 4100}, {"delivered", 4090}, {"expired", 8}}},
		Refused:  []Count{{"IMSI is unknown", 3}, {`<img src=x onerror="document.title='owned'">`, 1}},
	}
}

// The page of calls and messages, linked from the network's page where there is one.
func TestCallsPage(t *testing.T) {
	ctx := headless.Browser(t)
	w := newWorld(t)
	s := serve(t, Options{State: w.look, Changed: w.changed, SIP: func() SIP { return calling(time.Now()) }}, nil)
	empty := serve(t, Options{State: w.look, SIP: func() SIP { return SIP{} }}, nil)
	without := serve(t, Options{State: w.look}, nil)
	var c complaints
	c.listen(ctx)
	dir, base := artifacts(t), "http://"+s.Addr().String()
	if err := chromedp.Run(ctx, chromedp.Navigate(base+"/"), shows(`a[href="/calls"]`, true), reads("#towers", "calls", "12 min 34 s", "messages", "0.01 BELL a minute"),
		chromedp.Navigate(base+"/calls"),
		reads("#summary", "1 call on · 1 204 phones and apps registered · 2 base stations"),
		reads("#calls", "39········21 → 39········22", "up 1:23", "GSM ↔ PCMU", "ringing"), reads("#ended", "busy (486, GSM cause 17)", "the caller hung up", "1:01"), reads("#outcomes", "no answer", "31"),
		reads("#messages", "taken", "4 100"), reads("#waiting", "2 wait for their phones, the oldest for 26 h"), reads("#stations", "hill", "San Rocco", "11 phones, 1 call", "none: nobody is paid", "never"),
		reads("#trunks", "registered until 12:00:00", "no answer since"), reads("#known", "1 204, the newest 2 shown"), reads("#phones", "00101········02 · GSM", "hill · 001/01:03ef-000a"), reads("#refused", "IMSI is unknown", "<img src=x"),
		chromedp.Poll(`document.title === 'Calls and messages · Campanile' && !document.querySelector('img')`, nil, chromedp.WithPollingTimeout(5*time.Second)),
		picture(dir, "calls", 1280, "light"), picture(dir, "calls-dark", 1280, "dark"), picture(dir, "calls-phone", 390, "light"),
		chromedp.Navigate("http://"+empty.Addr().String()+"/calls"), reads("#no-calls", "Nobody is calling"), reads("#no-stations", "[[sip.stations]]"), reads("#no-phones", "No phone and no app"), reads("#waiting", "none waits"), picture(dir, "calls-empty", 1280, "light"),
	); err != nil {
		t.Fatal(err)
	}
	c.none(t)
	if err := chromedp.Run(ctx, chromedp.Navigate("http://"+without.Addr().String()+"/"), reads("#phones", "00101········01"), shows("#calls", false),
		chromedp.Navigate("http://"+without.Addr().String()+"/calls"), reads("#silent", "does not answer /api/v1/sip: 404")); err != nil {
		t.Fatal(err)
	}
}
