package console

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"campanile.network/internal/headless"
)

// Access points are changed on the phone's page: what is written there stands until it is saved,
// what is refused is kept and says why, what is taken is what the next answer has.
func TestSubscriptionPanel(t *testing.T) {
	ctx := headless.Browser(t)
	w := newWorld(t)
	var mu sync.Mutex
	has, looks := []string{"internet"}, 0
	phone := func(id string) (PhoneDetail, bool) {
		mu.Lock()
		defer mu.Unlock()
		looks++
		p := aPhone(time.Now())
		p.APNs = slices.Clone(has)
		if id == "p4" { // of another network: no subscription is here
			p.APNs = nil
		}
		return p, id == "p3" || id == "p4"
	}
	set := func(_ context.Context, id string, words []string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if slices.Contains(words, "nowhere") {
			return "", errors.New(`no gateway of this network serves APN "nowhere"`)
		}
		has = words
		return "On the ledger since block 7.", nil
	}
	s := serve(t, Options{State: w.look, Phone: phone, SetAPNs: set, Phones: func(PhoneQuery) (PhoneList, error) { return PhoneList{}, nil }}, nil)
	var c complaints
	c.listen(ctx)
	dir, base := artifacts(t), "http://"+s.Addr().String()
	run := func(what string, actions ...chromedp.Action) {
		t.Helper()
		if err := chromedp.Run(ctx, actions...); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	is := func(js string) chromedp.Action {
		return chromedp.Poll(js, nil, chromedp.WithPollingInterval(50*time.Millisecond), chromedp.WithPollingTimeout(10*time.Second))
	}
	write := func(text string) chromedp.Action {
		return chromedp.Tasks{chromedp.Evaluate(`document.querySelector('#apns').select()`, nil), chromedp.SendKeys("#apns", text, chromedp.ByQuery)}
	}
	again := func() chromedp.Action { // until the page has asked once more
		return chromedp.ActionFunc(func(ctx context.Context) error {
			mu.Lock()
			before := looks
			mu.Unlock()
			for {
				mu.Lock()
				now := looks
				mu.Unlock()
				if now > before+1 {
					return nil
				}
				select {
				case <-time.After(50 * time.Millisecond):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		})
	}
	run("nobody's subscription", chromedp.Navigate(base+"/phone?id=p4"), reads("body", "00101········39"), shows("#subscription", false))
	run("first look", chromedp.Navigate(base+"/phone?id=p3"), reads("#subscription", "access points"), is(`document.querySelector('#apns').value === 'internet' && document.querySelector('#save').disabled`))
	run("refused", write("internet nowhere"), again(), is(`document.querySelector('#apns').value === 'internet nowhere'`), chromedp.Click("#save", chromedp.ByQuery),
		reads("#apns-said", `no gateway of this network serves APN "nowhere"`), is(`document.querySelector('#apns-said').classList.contains('bad')`),
		is(`document.querySelector('#apns').value === 'internet nowhere' && !document.querySelector('#save').disabled`),
		picture(dir, "subscription-refused", 1280, "light"), picture(dir, "subscription-refused-phone", 390, "dark"))
	run("saved", write("internet ims,qci=5 *"), chromedp.Click("#save", chromedp.ByQuery), reads("#apns-said", "On the ledger since block 7."),
		is(`!document.querySelector('#apns-said').classList.contains('bad')`), again(),
		is(`document.querySelector('#apns').value === 'internet ims,qci=5 *' && document.querySelector('#save').disabled`), picture(dir, "subscription-saved", 390, "light"))
	mu.Lock()
	defer mu.Unlock()
	if strings.Join(has, "|") != "internet|ims,qci=5|*" {
		t.Errorf("set: %q", has)
	}
	if c.mu.Lock(); len(c.said) != 1 || !strings.Contains(c.said[0], "400") { // the refusal, and nothing else
		t.Errorf("the page complains: %q", c.said)
	}
	c.mu.Unlock()
}
