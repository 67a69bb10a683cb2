package town

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"campanile.network/internal/config"
	"campanile.network/internal/headless"
)

// The whole product as a newcomer sees it: the console shows a tower, a phone,
// both counts, a payment, and a claim by its button.
func TestConsoleShowsTheMainJob(t *testing.T) {
	page := headless.Browser(t)
	ctx := deadline(t)
	c := newHome(t, func(c *Config) {
		c.Console.Listen = "127.0.0.1:0"
		c.Billing.PostEvery = config.Duration(2 * time.Second)
	})
	w := start(t, ctx, c, append(core(), (*Town).startConsole, (*Town).startPhones))
	see := func(words ...string) chromedp.Action {
		return chromedp.ActionFunc(func(ctx context.Context) error {
			var text string
			for {
				if err := chromedp.Text("body", &text, chromedp.ByQuery).Do(ctx); err != nil {
					return err
				}
				missing := ""
				for _, word := range words {
					if !strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
						missing = word
					}
				}
				if missing == "" {
					return nil
				}
				rest(ctx, 200*time.Millisecond)
				if ctx.Err() != nil {
					t.Errorf("the page does not say %q:\n%s", missing, text)
					return ctx.Err()
				}
			}
		})
	}
	var png []byte
	err := chromedp.Run(page, emulation.SetDeviceMetricsOverride(1280, 860, 1, false), chromedp.Navigate("http://"+w.Console()+"/"),
		see("first tower", "999/70-macro-0x19b", "99970········01", "connected", "10.45.0.2", "private ledger", "128-EEA2"),
		see("channel 1 paid"), chromedp.WaitEnabled("button.claim", chromedp.ByQuery), chromedp.Click("button.claim", chromedp.ByQuery), see("claimed"),
		chromedp.ActionFunc(func(ctx context.Context) error { rest(ctx, shotDelay()); return ctx.Err() }),
		chromedp.FullScreenshot(&png, 100))
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("CAMPANILE_ARTIFACTS"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "town.png"), png, 0o644); err != nil {
			t.Error(err)
		}
	}
	if b, err := w.chain.Balance(ctx, w.owner.Address()); err != nil || b.IsZero() {
		t.Errorf("owner has %v: %v", b, err)
	}
}

// shotDelay lets a picture for people show a plot with some history.
func shotDelay() time.Duration {
	if os.Getenv("CAMPANILE_ARTIFACTS") == "" {
		return 0
	}
	return 45 * time.Second
}
