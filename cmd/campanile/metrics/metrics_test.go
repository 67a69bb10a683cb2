package metrics

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"campanile.network/billing/meter"
	"campanile.network/enb-agent/agent"
	"campanile.network/enb-agent/relay"
	"campanile.network/gateway"
	"campanile.network/hss-chain/hss"
	"campanile.network/internal/sctp"
	"campanile.network/mme"
	"campanile.network/sip/calls"
	"campanile.network/sip/sipgw"
	"campanile.network/sip/smsc"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
	"campanile.network/wire/sip/txn"
)

// everything is a process with all roles, each with something to show.
func everything() Sources {
	took := mme.Durations{Buckets: make([]uint64, len(mme.DurationBounds))}
	took.Add(time.Millisecond)
	took.Add(43 * time.Millisecond)
	took.Add(2 * time.Minute)
	_, watch := WatchHome(refusing{})
	watch.done("challenge", time.Now(), &home.Error{Code: home.UnknownSubscriber})
	watch.done("prove", time.Now(), context.DeadlineExceeded)
	g := gateway.Stats{Sessions: 2, Refused: map[gtpc.Cause]uint64{gtpc.NoResources: 1}}
	g.Path.Dropped[0] = 4
	tower := proof.TowerKey{1}
	return Sources{
		Role: "up",
		MME: func() mme.Stats {
			return mme.Stats{ENBs: 1, UEs: 4, Registered: 3, Connected: 2, Begun: map[string]uint64{"attach": 7, "paging": 1},
				Outcomes: map[mme.Outcome]uint64{{Procedure: "attach"}: 4, {Procedure: "attach", Cause: "EMM cause #15"}: 2, {Procedure: "S1 setup"}: 1},
				Took:     map[string]mme.Durations{"attach": took}, Dropped: map[string]uint64{"NAS replay": 5}}
		},
		S11: func() gtpc.Stats { return gtpc.Stats{Received: 9, Dropped: map[gtpc.Drop]uint64{gtpc.DropShort: 1}} },
		SCTP: map[string]func() sctp.Stats{"MME": func() sctp.Stats {
			return sctp.Stats{Associations: 1, Dropped: map[string]uint64{"out of the blue": 2}}
		}},
		Home:    watch,
		HSS:     func() hss.Stats { return hss.Stats{Challenges: 3} },
		Gateway: func() gateway.Stats { return g },
		Meter: func() meter.View {
			return meter.View{Towers: []meter.TowerView{{Tower: tower, Gateway: meter.Counts{UL: 10, DL: 20}, Lag: proof.Carried{Bytes: 4096}, Seq: 8}}, Unsettled: []meter.Unsettled{{Reason: "no ticket"}}}
		},
		Agent: func() agent.View { return agent.View{Connected: true, Unpaid: 77} },
		Relay: func() relay.Stats { return relay.Stats{ENBs: 1, Dropped: map[relay.Drop]uint64{relay.Malformed: 1}} },
		Ledger: func() Ledger {
			return Ledger{Height: 12, At: time.Unix(1000, 0), Running: true, Own: true, Validators: 1}
		},
		Centre: func() smsc.Stats {
			return smsc.Stats{Submitted: map[string]uint64{"taken": 3}, Attempts: map[string]uint64{"delivered by LTE": 2}, Finished: map[string]uint64{"delivered": 2}, Waiting: 1, Oldest: time.Minute}
		},
		SIP: func() SIP {
			return SIP{Gateway: sipgw.Stats{Registered: map[string]int{"OpenBTS": 2}, Refusals: map[string]uint64{"404 #2": 5}, Answers: map[int]uint64{401: 6}},
				Stations: []sipgw.StationStatus{{Name: "hill", Phones: 2, Heard: time.Unix(900, 0)}},
				Calls:    calls.Stats{Calls: 1, Trunks: []calls.TrunkStatus{{Name: "provider", Up: true}}}, Wire: txn.Stats{Malformed: map[string]uint64{"Via": 4}}}
		},
		Towers: func() []Tower {
			return []Tower{{Key: tower.String(), Name: "mill", ENB: "001/01-macro-0x1", OnAir: true, State: "running", Said: time.Unix(999, 0)}}
		},
	}
}

type refusing struct{ home.Home }

// What is served is what Prometheus reads, and as its authors would name it.
func TestScrape(t *testing.T) {
	r, err := Registry(everything())
	if err != nil {
		t.Fatal(err)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "campanile_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	got := scrape(t, everything())
	for _, c := range []struct {
		name string
		want float64
		of   []string
	}{
		{"campanile_sip_registrations", 2, []string{"kind", "OpenBTS"}},
		{"campanile_sip_refused_registrations_total", 5, []string{"cause", "404 #2"}},
		{"campanile_sip_trunk_up", 1, []string{"trunk", "provider"}},
		{"campanile_sip_wire_malformed_total", 4, []string{"where", "Via"}},
		{"campanile_mm_eps_attach_att_total", 7, nil},
		{"campanile_mm_eps_attach_succ_total", 4, nil},
		{"campanile_mm_eps_attach_fail_total", 2, []string{"cause", "EMM cause #15"}},
		{"campanile_mm_eps_detach_ue_att_total", 0, nil},
		{"campanile_mm_registered_sub", 3, nil},
		{"campanile_mme_procedures_total", 1, []string{"procedure", "S1 setup", "outcome", "ok"}},
		{"campanile_mme_dropped_total", 5, []string{"reason", "NAS replay"}},
		{"campanile_gtpc_received_datagrams_total", 9, []string{"end", "mme"}},
		{"campanile_sctp_dropped_total", 2, []string{"end", "MME", "reason", "out of the blue"}},
		{"campanile_home_calls_total", 1, []string{"call", "prove", "outcome", "no answer"}},
		{"campanile_hss_answers_total", 3, []string{"answer", "challenge"}},
		{"campanile_gateway_sessions", 2, nil},
		{"campanile_billing_lag_octets", 4096, nil},
		{"campanile_billing_voucher_number", 8, nil},
		{"campanile_billing_octets_total", 20, []string{"by", "gateway", "direction", "downlink"}},
		{"campanile_tower_unpaid_octets", 77, nil},
		{"campanile_chain_height", 12, nil},
		{"campanile_chain_block_timestamp_seconds", 1000, nil},
		{"campanile_tower_on_air", 1, nil},
		{"campanile_tower_radio_state", 1, []string{"state", "running"}},
	} {
		if v, ok := value(got[c.name], c.of); !ok || v != c.want {
			t.Errorf("%s%v is %v (there: %t), want %v", c.name, c.of, v, ok, c.want)
		}
	}
	h := got["campanile_mme_procedure_duration_seconds"].GetMetric()[0].GetHistogram()
	if h.GetSampleCount() != 3 || h.GetSampleSum() != 120.044 {
		t.Errorf("histogram has %d samples of %v s together", h.GetSampleCount(), h.GetSampleSum())
	}
	for _, b := range h.GetBucket() {
		if want := map[float64]uint64{0.001: 1, 0.025: 1, 0.05: 2, 30: 2}[b.GetUpperBound()]; want != 0 && b.GetCumulativeCount() != want {
			t.Errorf("%d samples up to %v s, want %d", b.GetCumulativeCount(), b.GetUpperBound(), want)
		}
	}
}

// A process shows what it has and no zeros in the place of what it has not.
func TestRoleAlone(t *testing.T) {
	all := everything()
	for name := range scrape(t, Sources{Role: "gateway", Gateway: all.Gateway}) {
		if strings.HasPrefix(name, "campanile_mm") || strings.HasPrefix(name, "campanile_chain") {
			t.Errorf("%s without its role", name)
		}
	}
}

func TestPortTaken(t *testing.T) {
	s, err := New("127.0.0.1:0", Sources{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer s.l.Close()
	if _, err := New(s.Addr().String(), Sources{}, slog.New(slog.DiscardHandler)); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("the second on a port: %v", err)
	}
}

// scrape serves sources, fetches /metrics as Prometheus does and reads it with
// Prometheus' own parser.
func scrape(t *testing.T, s Sources) map[string]*dto.MetricFamily {
	t.Helper()
	srv, err := New("127.0.0.1:0", s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	resp, err := http.Get("http://" + srv.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		b, _ := io.ReadAll(resp.Body)
		t.Fatalf("%s: %s", resp.Status, b)
	}
	p := expfmt.NewTextParser(model.UTF8Validation)
	got, err := p.TextToMetricFamilies(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range got {
		if strings.HasPrefix(name, "campanile_") && f.GetHelp() == "" {
			t.Errorf("%s has no help", name)
		}
	}
	return got
}

// value finds a measurement by some of its labels.
func value(f *dto.MetricFamily, of []string) (float64, bool) {
	for _, m := range f.GetMetric() {
		fits := 0
		for _, l := range m.GetLabel() {
			for i := 0; i+1 < len(of); i += 2 {
				if l.GetName() == of[i] && l.GetValue() == of[i+1] {
					fits += 2
				}
			}
		}
		if fits == len(of) {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue(), true
		}
	}
	return 0, false
}
