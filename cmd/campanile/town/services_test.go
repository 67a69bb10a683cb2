package town

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"os"

	"campanile.network/gateway/datapath"
	"campanile.network/internal/config"
	"campanile.network/sdr/sim"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

// What [[gateway.services]] and gateway.portal say arrives; what is wrong is told with its
// key.
func TestServicesConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), ConfigFile)
	load := func(text string) (settings, error) {
		c := DefaultConfig()
		c.file = file
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := config.Load(file, &c); err != nil {
			return settings{}, err
		}
		return c.resolve()
	}
	s, err := load(`
[gateway]
redirect = "10m"
portal = "https://account.example/me"
portal_hosts = ["203.0.113.9"]
dns = ["10.45.0.1", "192.0.2.53"]
[[gateway.services]]
name = "town hall"
hosts = ["198.51.100.7", "2001:db8:5::/48"]
free = true
[[gateway.services]]
name = "films"
hosts = ["198.51.100.0/24"]
protocol = "tcp"
ports = ["443", "8000-8010"]
group = 10
`)
	if err != nil {
		t.Fatal(err)
	}
	if v := s.services; len(v) != 3 || !v[0].Free || v[0].Remotes[0] != netip.MustParsePrefix("198.51.100.7/32") || v[0].Class != 1 || v[1].Class != 2 || v[2].Class != 2 || v[2].Protocol != 6 ||
		v[2].Ports != (datapath.PortRange{Lo: 8000, Hi: 8010}) {
		t.Errorf("%+v", v)
	}
	if v := s.gatewayOptions.Classes; v[1] != (usage.Terms{Name: "town hall", Free: true}) || v[2] != (usage.Terms{Name: "films", Group: 10}) || !v[portalClass].Free || v[3].Name != "" {
		t.Errorf("%+v", v)
	}
	if v := s.portal; v.page != "https://account.example/me" || len(v.open) != 3 || v.open[0] != netip.MustParseAddrPort("203.0.113.9:443") || v.open[2] != netip.MustParseAddrPort("192.0.2.53:53") {
		t.Errorf("%+v", v)
	}
	if s, err := load("[gateway]\nredirect = '1m'"); err != nil || s.portal.page != "http://10.45.0.1/" || s.portal.open[0] != netip.MustParseAddrPort("10.45.0.1:80") {
		t.Errorf("%+v, %v", s.portal, err)
	}
	const ok = "name = 'a', hosts = ['192.0.2.1']"
	for text, want := range map[string]string{
		"portal = 'http://10.45.0.1/'":                                       "gateway.portal",
		"redirect = '1m'\nportal = 'ftp://10.45.0.1/'":                       "gateway.portal",
		"redirect = '1m'\nportal = 'http://account.example/'":                "gateway.portal_hosts",
		"redirect = '1m'\nportal_hosts = ['account.example']":                "gateway.portal_hosts",
		"services = [{ hosts = ['192.0.2.1'] }]":                             "gateway.services.name",
		"services = [{ " + ok + " }, { " + ok + " }]":                        "gateway.services.name",
		"services = [{ name = 'self-care', hosts = ['192.0.2.1'] }]":         "gateway.services.name",
		"services = [{ name = 'a' }]":                                        "no hosts",
		"services = [{ name = 'a', hosts = ['www.example'] }]":               "neither an address nor a range",
		"services = [{ " + ok + ", ports = ['80-79'] }]":                     "ports",
		"services = [{ " + ok + ", protocol = 'gre' }]":                      "protocol",
		"services = [{ " + ok + ", free = true, group = 3 }]":                "gateway.services.group",
		"services = [" + strings.Repeat("{ "+ok+" }, ", maxServices+1) + "]": "at most",
	} {
		if _, err := load("[gateway]\n" + text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want it to say %s", text, err, want)
		}
	}
}

// The internet of a test: addresses of documentation lead to a web server here.
var (
	freeHost = netip.MustParseAddr("198.51.100.7")
	paidHost = netip.MustParseAddr("203.0.113.7")
)

// withInternet are the steps with an internet at which those two hosts have a web server.
func withInternet(t *testing.T) []step {
	t.Helper()
	web := httptest.NewServer(webPage("the internet"))
	t.Cleanup(web.Close)
	at := web.Listener.Addr().String()
	return replace(core(), atGateway, func(w *Town, ctx context.Context) error {
		w.outside = outside{
			dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", at)
			},
			allow: func(to netip.AddrPort) bool {
				return to.Port() == 80 && (to.Addr() == freeHost || to.Addr() == paidHost)
			},
		}
		return w.startGateway(ctx)
	})
}

// atGateway is startGateway's place in core.
const atGateway = 7

// browser is a phone's, which follows no redirect.
func browser(p *sim.Phone) *http.Client {
	return &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: p.Host().DialContext},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// fetch gets a page and gives what it says and the octets that crossed the phone's
// interface for it.
func fetch(t *testing.T, ctx context.Context, p *sim.Phone, url string) (r *http.Response, ul, dl uint64) {
	t.Helper()
	if err := quiet(ctx, p); err != nil {
		t.Fatal(err)
	}
	u, d := p.Counted()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = browser(p).Do(q); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if err := quiet(ctx, p); err != nil {
		t.Fatal(err)
	}
	ul, dl = p.Counted()
	return r, ul - u, dl - d
}

// A phone fetches from a free host and from another: its ticket is used up by the second's
// octets alone, the tower is paid for both, and billing has both to the octet.
func TestFreeService(t *testing.T) {
	ctx := deadline(t)
	w := start(t, ctx, newHome(t, func(c *Config) {
		c.Gateway.Services = []ServiceConfig{{Name: "town hall", Hosts: []string{freeHost.String()}, Free: true}, {Name: "films", Hosts: []string{paidHost.String()}, Protocol: "tcp", Ports: []string{"80"}, Group: 10}}
	}), withInternet(t))
	p := attached(t, ctx, w)
	used := func() uint64 { return w.gateway.Sessions()[0].Charged }
	_, ul, dl := fetch(t, ctx, p, "http://198.51.100.7/bytes?n=300000")
	free := ul + dl
	if n := used(); free < 300_000 || n != 0 {
		t.Errorf("%d octets of the free host, %d charged", free, n)
	}
	_, pul, pdl := fetch(t, ctx, p, "http://203.0.113.7/bytes?n=200000")
	paid := pul + pdl
	if n := used(); paid < 200_000 || n != paid {
		t.Errorf("%d octets of the other host, %d charged", paid, n)
	}
	_, rul, rdl := fetch(t, ctx, p, "http://10.45.0.1/")
	rest := rul + rdl
	if n := used(); n != paid+rest {
		t.Errorf("%d octets charged, want %d", n, paid+rest)
	}
	if err := p.Detach(ctx, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, ctx, "everything in a voucher", func() bool {
		for _, v := range w.accounts() {
			return v.Open == 0 && v.Lag == (proof.Carried{}) && v.Counted.Bytes == free+paid+rest && v.Billed.Bytes == v.Counted.Bytes && v.Measured.Sum() == v.Counted.Bytes
		}
		return false
	})
	got := map[string][2]uint64{}
	for _, s := range w.meter.Snapshot().Services {
		got[s.Name] = [2]uint64{s.Counts.UL, s.Counts.DL}
	}
	if want := map[string][2]uint64{"town hall": {ul, dl}, "films": {pul, pdl}, "": {rul, rdl}}; len(got) != 3 || got["films"] != want["films"] || got["town hall"] != want["town hall"] || got[""] != want[""] {
		t.Errorf("billing has %v, want %v", got, want)
	}
	if v := w.showServices(); len(v) != 3 || v[0] != (ServiceView{"town hall", "free", ul, dl}) || v[1] != (ServiceView{"films", "rating group 10", pul, pdl}) {
		t.Errorf("the gateway shows %+v", v)
	}
}

// A phone whose ticket is used up: its web requests are answered with the way to the page,
// which it gets, as names and free services; all else is dropped, and none of that charged.
// With a new ticket it goes on in the same session.
func TestRedirectedUntilToppedUp(t *testing.T) {
	ctx := deadline(t)
	const ticket = 300_000
	w := start(t, ctx, newHome(t, func(c *Config) {
		c.Gateway.Redirect, c.HSS.TicketOctets = config.Duration(time.Hour), ticket
		c.Gateway.Services = []ServiceConfig{{Name: "town hall", Hosts: []string{freeHost.String()}, Free: true}}
	}), withInternet(t))
	p := attached(t, ctx, w)
	before := w.gateway.Sessions()[0]
	fetchAll := func(url string) error {
		r, err := browser(p).Get(url)
		if err == nil {
			_, err = io.Copy(io.Discard, r.Body)
			r.Body.Close()
		}
		return err
	}
	short, cancel := context.WithTimeout(ctx, 5*time.Second)
	q, err := http.NewRequestWithContext(short, http.MethodGet, "http://203.0.113.7/bytes?n=1000000", nil)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := browser(p).Do(q); err == nil {
		n, err := io.Copy(io.Discard, r.Body)
		r.Body.Close()
		if err == nil || n > ticket {
			t.Errorf("%d octets came with a ticket for %d: %v", n, ticket, err)
		}
	}
	cancel()
	eventually(t, ctx, "the ticket is used up", func() bool { return w.gateway.Sessions()[0].Charged > ticket-2*1500 })
	eventually(t, ctx, "the way to the page", func() bool {
		r, err := browser(p).Get("http://203.0.113.7/bytes?n=10")
		if err != nil {
			return false // what is left of the ticket is less than a request
		}
		r.Body.Close()
		return r.StatusCode == http.StatusFound && r.Header.Get("Location") == "http://10.45.0.1/"
	})
	spent := w.gateway.Sessions()[0].Charged
	r, ul, dl := fetch(t, ctx, p, "http://10.45.0.1/")
	if r.StatusCode != http.StatusOK || ul == 0 || dl == 0 {
		t.Errorf("the page: %s", r.Status)
	}
	if addrs, err := p.Host().DialContext(ctx, "tcp", "web.campanile:80"); err != nil {
		t.Errorf("names: %v", err)
	} else {
		addrs.Close()
	}
	if err := fetchAll("http://198.51.100.7/bytes?n=400000"); err != nil {
		t.Errorf("a free service: %v", err)
	}
	if n := w.gateway.Sessions()[0].Charged; n != spent || n > ticket {
		t.Errorf("%d octets charged, and %d when the ticket was used up", n, spent)
	}
	imsi := w.gateway.Sessions()[0].IMSI
	if err := w.mme.Renew(imsi); err != nil {
		t.Fatal(err)
	}
	eventually(t, ctx, "a new ticket at the gateway", func() bool { s := w.gateway.Sessions()[0]; return s.Quota >= s.Charged+ticket-1500 })
	if r, _, dl := fetch(t, ctx, p, "http://203.0.113.7/bytes?n=100000"); r.StatusCode != http.StatusOK || dl < 100_000 {
		t.Errorf("after the top-up: %s, %d octets", r.Status, dl)
	}
	if s := w.gateway.Sessions(); len(s) != 1 || s[0].Number != before.Number || s[0].Charged < spent+100_000 {
		t.Errorf("%+v, and it was %+v", s, before)
	}
	if n := w.mme.Stats().Procedures["attach ok"]; n != 1 {
		t.Errorf("the phone attached %d times", n)
	}
	if err := p.Detach(ctx, false); err != nil {
		t.Fatal(err)
	}
	eventually(t, ctx, "everything in a voucher, the page and the way to it as well", func() bool {
		for _, v := range w.accounts() {
			return v.Open == 0 && v.Lag == (proof.Carried{}) && v.Counted.Bytes == v.Measured.Sum() && v.Gateway == v.Measured
		}
		return false
	})
	for _, u := range w.meter.Snapshot().Unsettled {
		if u.Counts.Sum() != 0 {
			t.Errorf("nobody pays for %+v", u)
		}
	}
	care := uint64(0)
	for _, s := range w.meter.Snapshot().Services {
		if s.Name == "self-care" && s.Free {
			care = s.Counts.Sum()
		}
	}
	if care < ul+dl {
		t.Errorf("%d octets of the page and the way to it, want %d at least", care, ul+dl)
	}
}
