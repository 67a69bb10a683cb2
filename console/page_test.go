package console

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"campanile.network/internal/headless"
)

// complaints collects what the page's console has to say against the page:
// exceptions, policy violations, files that did not come.
type complaints struct {
	mu   sync.Mutex
	said []string
}

func (c *complaints) listen(ctx context.Context) {
	chromedp.ListenTarget(ctx, func(ev any) {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch ev := ev.(type) {
		case *runtime.EventExceptionThrown:
			c.said = append(c.said, ev.ExceptionDetails.Error())
		case *cdplog.EventEntryAdded:
			if ev.Entry.Level == cdplog.LevelError || ev.Entry.Source == cdplog.SourceSecurity {
				c.said = append(c.said, ev.Entry.Text)
			}
		}
	})
}

func (c *complaints) none(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.said {
		t.Errorf("the page complains: %s", s)
	}
}

// reads waits until an element's visible text holds all of wants.
func reads(selector string, wants ...string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		for _, want := range wants {
			var ok bool
			js := fmt.Sprintf(`(document.querySelector(%q)?.innerText ?? '').replace(/[\u00a0\u202f\s]+/g, ' ').includes(%q)`, selector, want)
			if err := chromedp.Poll(js, &ok, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(10*time.Second)).Do(ctx); err != nil {
				var is string
				chromedp.Evaluate(fmt.Sprintf(`document.querySelector(%q)?.innerText ?? 'no such element'`, selector), &is).Do(ctx)
				return fmt.Errorf("%s does not read %q within 10 s but: %s (%w)", selector, want, is, err)
			}
		}
		return nil
	})
}

// shows waits until an element can be seen, or not.
func shows(selector string, want bool) chromedp.Action {
	js := fmt.Sprintf(`(document.querySelector(%q)?.checkVisibility() ?? false) === %v`, selector, want)
	return chromedp.Poll(js, nil, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(10*time.Second))
}

func artifacts(t *testing.T) string {
	dir := os.Getenv("CAMPANILE_ARTIFACTS")
	if dir == "" {
		return t.TempDir()
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// picture saves the whole page at a width and in a scheme.
func picture(dir, name string, width int64, scheme string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		height := int64(820)
		mobile := width < 600
		if mobile {
			height = 844
		}
		scale := chromedp.EmulateScale(2)
		if err := chromedp.EmulateViewport(width, height, scale).Do(ctx); err != nil {
			return err
		}
		if err := emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}).Do(ctx); err != nil {
			return err
		}
		var over bool
		if err := chromedp.Evaluate(`document.documentElement.scrollWidth > document.documentElement.clientWidth`, &over).Do(ctx); err != nil {
			return err
		}
		if over {
			return fmt.Errorf("%s: the page is wider than its window of %d", name, width)
		}
		var png []byte
		if err := chromedp.FullScreenshot(&png, 100).Do(ctx); err != nil {
			return err
		}
		if len(png) < 20_000 {
			return fmt.Errorf("%s: a picture of %d octets shows nothing", name, len(png))
		}
		return os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	})
}

// trouble is much at once: blocks stop, a tower withholds service, a phone is
// sent away, and a tower's name is an attack.
func trouble(st *State) {
	st.Chain.Running = false
	st.Network.Pool = []PoolMember{{Text: "MME code 2 at 192.0.2.5:7102 is away since 12:00:00: no word; copies of 40 phones"}}
	st.Towers[0].Name = `<img src=x onerror="document.title='owned'"><b>bold</b>`
	st.Towers[0].Notice = "vouchers lag 4.2 MB; window 4.0 MB"
	st.Towers[0].Tally.Lag = 4_200_000
	st.Phones[0].Notice = "its tower does not carry data: vouchers lag"
	st.Phones[1].State, st.Phones[1].Reason = "deregistered", "EMM cause #15"
	st.Accounts[0].Balance = nil
}

func TestPageShowsTheNetwork(t *testing.T) {
	ctx := headless.Browser(t)
	w := newWorld(t)
	var still atomic.Bool
	look := func() State {
		if !still.Load() {
			w.pass(t)
		}
		return w.look()
	}
	begin := w.now
	s := serve(t, Options{State: look, Changed: w.changed, Claim: func(context.Context) (string, error) {
		w.change(func(st *State) {
			st.Accounts[0].Claimable = amount(t, "0")
			w.say("money", "claimed 0.0147 BELL in block 1325")
		})
		return "claimed 0.0147 BELL in block 1325", nil
	}}, func(s *Server) {
		for i := range points + 1 {
			s.hub.look(begin.Add(time.Duration(i)*time.Second), true)
		}
	})
	var c complaints
	c.listen(ctx)
	dir := artifacts(t)
	run := func(what string, actions ...chromedp.Action) {
		t.Helper()
		if err := chromedp.Run(ctx, actions...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	run("first look",
		chromedp.Navigate("http://"+s.Addr().String()+"/"),
		reads("header", "Monte Verde", "1 3", "campanile-5f1c03ae", "PLMN 001/01 · 1 tower on air · 2 phones connected"),
		reads("#private", "private ledger: 1 validator, proves nothing to others"),
		reads("#towers", "San Rocco", "on air", "0.5 BELL per GB", "running for", "2 phones · ↓ 18.1 Mbit/s ↑ 544 kbit/s · 2 restarts", "running since ", " · said ", "gateway counted", "tower counted", "Vouchers lag", "of 4.00 MB"),
		reads("#phones", "00101········01", "10.45.0.2", "internet", "128-EEA2 128-EIA2", "connected", "idle"),
		reads("#money", "Tower owner", "25 BELL", "claimable"),
		reads("#history", "cell up: San Rocco", "attach 43 ms", "voucher 5"),
		reads("#marks", "nothing is transmitted"),
		shows("#halted", false), shows("#silent", false), shows("#no-phones", false))
	run("pictures", picture(dir, "console", 1280, "light"), picture(dir, "console-dark", 1280, "dark"),
		picture(dir, "console-tablet", 800, "light"), picture(dir, "console-phone", 390, "light"), picture(dir, "console-phone-dark", 390, "dark"))
	still.Store(true)
	exact := fmt.Sprint(w.look().Towers[0].Tally.Gateway.UL)
	run("exact numbers in tooltips", chromedp.Poll(fmt.Sprintf(`document.querySelector('.counts .ul td').title.replace(/\u202f/g, '') === '%s octets'`, exact), nil, chromedp.WithPollingTimeout(5*time.Second)))
	run("explanations", shows("#note-counts", false), chromedp.Click(`[popovertarget="note-counts"]`, chromedp.ByQuery), shows("#note-counts", true),
		reads("#note-counts", "What arrived counts: uplink at the gateway, downlink at the tower."), chromedp.KeyEvent(kb.Escape), shows("#note-counts", false))
	run("claim", chromedp.Click(".claim", chromedp.ByQuery), reads("#claim-said", "claimed 0.0147 BELL in block 1325"), reads("#history", "claimed 0.0147 BELL"),
		chromedp.Poll(`document.querySelector('.claim').disabled`, nil, chromedp.WithPollingTimeout(5*time.Second)))

	w.change(trouble)
	run("trouble", reads("#halted", "Consensus halted at block 1 3"), reads("#pool.bad", "is away since 12:00:00"), reads("#towers h3", `<img src=x onerror=`),
		reads("#towers", "vouchers lag 4.2 MB; window 4.0 MB", "4.20 MB of 4.00 MB"), reads("#phones", "its tower does not carry data", "EMM cause #15"), reads("#money", "not known now"),
		chromedp.Poll(`document.title.startsWith('Monte Verde') && !document.querySelector('img, main b b')`, nil, chromedp.WithPollingTimeout(5*time.Second)),
		picture(dir, "console-trouble", 1280, "light"), picture(dir, "console-trouble-phone", 390, "dark"))
	c.none(t)
}

func TestPageWithNothingToShow(t *testing.T) {
	ctx := headless.Browser(t)
	s := serve(t, Options{State: func() State { return State{} }}, nil)
	var c complaints
	c.listen(ctx)
	if err := chromedp.Run(ctx,
		chromedp.Navigate("http://"+s.Addr().String()+"/"),
		reads("#no-towers", "No tower yet: register one with campanile tower register"),
		reads("#no-phones", "No phone yet: a tower has to be on air first"),
		reads("#no-events", "Nothing has happened yet"),
		reads("#no-accounts", "No account yet"),
		reads("#halted", "No block yet"),
		shows("#private", false),
		picture(artifacts(t), "console-empty", 1280, "light")); err != nil {
		t.Fatal(err)
	}
	c.none(t)
}

// Numbers as people read them: money is rounded down, never up.
func TestPageNumbers(t *testing.T) {
	ctx := headless.Browser(t)
	s := serve(t, Options{State: func() State { return State{} }}, nil)
	var c complaints
	c.listen(ctx)
	if err := chromedp.Run(ctx, chromedp.Navigate("http://"+s.Addr().String()+"/"), shows("#no-towers", true)); err != nil {
		t.Fatal(err)
	}
	for call, want := range map[string]string{
		`bell('0')`:                         "0 BELL",
		`bell('1')`:                         "0.000000000000000001 BELL",
		`bell('600000000000000')`:           "0.0006 BELL",
		`bell('614999999999999')`:           "0.000614 BELL",
		`bell('999999999999999999')`:        "0.9999 BELL",
		`bell('1000000000000000000')`:       "1 BELL",
		`bell('12345678901234567890')`:      "12.3456 BELL",
		`bell('1234567899999999999999999')`: "1 234 567.89 BELL",
		`abell('1234567')`:                  "1 234 567 abell",
		`bytes(0)`:                          "0 B",
		`bytes(999)`:                        "999 B",
		`bytes(1000)`:                       "1.00 kB",
		`bytes(9996)`:                       "10.0 kB",
		`bytes(999600)`:                     "1.00 MB",
		`bytes(4200000)`:                    "4.20 MB",
		`bytes(123456789)`:                  "123 MB",
		`octets(1240312)`:                   "1 240 312 octets",
		`share('1', '3')`:                   "0.3333",
		`share('5', '3')`:                   "1",
		`share('5', '0')`:                   "0",
		`span(0, 59000)`:                    "59 s",
		`span(0, 3599000)`:                  "59 min",
		`span(0, 7500000)`:                  "2 h 5 min",
		`span(0, 86400000 * 3)`:             "3 days",
		`span(5000, 0)`:                     "0 s",
		`known('0001-01-01T00:00:00Z')`:     "false",
		`known('2026-01-01T00:00:00Z')`:     "true",
		`many(1, 'phone', 'phones')`:        "1 phone",
		`many(1200, 'phone', 'phones')`:     "1 200 phones",
	} {
		var got string
		js := fmt.Sprintf(`import('/format.js').then((m) => { return String(m.%s).replace(/[\u00a0\u202f]/g, ' ') })`, call)
		if err := chromedp.Run(ctx, chromedp.Evaluate(js, &got, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) })); err != nil {
			t.Fatalf("%s: %v", call, err)
		}
		if got != want {
			t.Errorf("%s is %q, want %q", call, got, want)
		}
	}
	c.none(t)
}

// A page that was open when the node ended says so, and goes on when it is back.
func TestPageSaysThatTheNodeIsSilent(t *testing.T) {
	ctx := headless.Browser(t)
	w := newWorld(t)
	first, end := launch(t, Options{State: w.look}, nil)
	at := first.Addr().String()
	if err := chromedp.Run(ctx, chromedp.Navigate("http://"+at+"/"), reads("header", "Monte Verde"), shows("#silent", false)); err != nil {
		t.Fatal(err)
	}
	end()
	if err := chromedp.Run(ctx, reads("#silent", "No word from the node since"), reads("header", "Monte Verde")); err != nil {
		t.Fatal(err)
	}
	_, end = launch(t, Options{State: w.look, Listen: at}, nil)
	defer end()
	if err := chromedp.Run(ctx, shows("#silent", false), chromedp.Poll(`!document.body.classList.contains('stale')`, nil)); err != nil {
		t.Fatal(err)
	}
}

// The page asks nobody but its own server.
func TestPageNamesNoOtherHost(t *testing.T) {
	for _, name := range files() {
		b, err := page.ReadFile("page/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"https://", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("} {
			if strings.Contains(string(b), bad) {
				t.Errorf("%s contains %q", name, bad)
			}
		}
		if n := strings.Count(strings.ReplaceAll(string(b), "http://www.w3.org/2000/svg", ""), "http://"); n > 0 {
			t.Errorf("%s names another host", name)
		}
	}
}
