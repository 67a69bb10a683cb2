package town

import (
	"io"
	"net"
	"net/http"
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
	w := startNamed(t, deadline(t), c, "up", []step{(*Town).startMetrics})
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
