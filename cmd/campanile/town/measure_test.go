package town

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// A network with a phone, as Prometheus sees it.
func TestMetricsOfTheMainJob(t *testing.T) {
	ctx := deadline(t)
	c := newHome(t, func(c *Config) { c.Metrics.Listen = "127.0.0.1:0" })
	w := start(t, ctx, c, append(core(), (*Town).startMetrics, (*Town).startPhones))
	want := map[string]float64{
		"campanile_mm_eps_attach_att_total": 1, "campanile_mm_eps_attach_succ_total": 1, "campanile_mm_registered_sub": 1, "campanile_mme_enbs": 1,
		"campanile_home_calls_total": 2, "campanile_gateway_sessions": 1, "campanile_sctp_associations": 4, "campanile_chain_running": 1, "campanile_tower_on_air": 1,
		"campanile_hss_answers_total": 2, "campanile_gtpc_sent_datagrams_total": 2, "campanile_billing_tower_linked": 1,
	}
	for {
		resp, err := http.Get(w.metrics)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		p := expfmt.NewTextParser(model.UTF8Validation)
		got, err := p.TextToMetricFamilies(strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(body), w.cards[0].IMSI.Digits()[5:]) {
			t.Fatal("an IMSI in the metrics")
		}
		missing := ""
		for name, v := range want {
			sum := 0.0
			for _, m := range got[name].GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
			if sum < v {
				missing = name
			}
		}
		if missing == "" {
			return
		}
		if rest(ctx, 200*time.Millisecond); ctx.Err() != nil {
			t.Fatalf("%s is below %v:\n%s", missing, want[missing], body)
		}
	}
}

// Metrics whose port is another's are told with a remedy; the network runs.
func TestMetricsPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := newHome(t, func(c *Config) { c.Metrics.Listen = l.Addr().String() })
	c, err = LoadConfig(c.HomePath)
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	w, err := open(deadline(t), c, "up", slog.New(slog.NewTextHandler(&said, nil)), []step{(*Town).startMetrics})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if s := said.String(); !strings.Contains(s, "level=WARN") || strings.Contains(s, "level=ERROR") || !strings.Contains(s, "change metrics.listen") {
		t.Errorf("logged %q, want a warning with the remedy", s)
	}
	for _, word := range []string{"not served", ConfigFile + ":", l.Addr().String(), "change metrics.listen"} {
		if !strings.Contains(w.metrics, word) {
			t.Errorf("%q does not say %q", w.metrics, word)
		}
	}
}

// Roles that run apart in one home have a port each.
func TestMetricsPortsApart(t *testing.T) {
	for role, want := range map[string]string{"up": "127.0.0.1:9100", "hss-chain": "127.0.0.1:9101", "mme": "127.0.0.1:9104", "enb-agent": "127.0.0.1:9105"} {
		w := Town{cfg: &Config{Role: "up"}, name: role}
		if got := w.ownPort("127.0.0.1:9100"); got != want {
			t.Errorf("%s: %s, want %s", role, got, want)
		}
		w.cfg.Role = role
		if got := w.ownPort("127.0.0.1:9100"); got != "127.0.0.1:9100" {
			t.Errorf("%s in its own home: %s", role, got)
		}
	}
}

// Homes of roles that are on one host have a port each.
func TestMetricsPortsOfHomes(t *testing.T) {
	seen := map[string]string{DefaultConfig().Metrics.Listen: "up"}
	for _, role := range []string{"hss-chain", "billing", "gateway", "mme", "enb-agent"} {
		home := filepath.Join(t.TempDir(), role)
		invite := ""
		if role != "hss-chain" {
			i := Invite{Role: role, Network: "Town", PLMN: "999/70", APN: "internet", Urgent: "sos", SCTP: "udp"}
			i.Peers.HSS, i.Peers.Billing, i.Peers.MME, i.Peers.Gateway, i.Peers.Pass = "192.0.2.1:7100", "192.0.2.1:7101", "192.0.2.1", "192.0.2.1", "00"
			var err error
			if invite, err = i.Text(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := InitRole(home, role, DefaultConfig(), invite, "127.0.0.1"); err != nil {
			t.Fatal(err)
		}
		c, err := LoadConfig(home)
		if err != nil {
			t.Fatal(err)
		}
		if other := seen[c.Metrics.Listen]; other != "" {
			t.Errorf("%s and %s both serve metrics at %s", role, other, c.Metrics.Listen)
		}
		seen[c.Metrics.Listen] = role
		if role == "mme" && c.Metrics.Listen != "127.0.0.1:9104" {
			t.Errorf("the MME's are at %s", c.Metrics.Listen)
		}
		if (role == "mme" || role == "gateway") && c.Network.EmergencyAPN != "sos" {
			t.Errorf("%s: the emergency APN of the invite is %q", role, c.Network.EmergencyAPN)
		}
	}
}
