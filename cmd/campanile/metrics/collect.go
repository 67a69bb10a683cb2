package metrics

import (
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"campanile.network/gateway/datapath"
	"campanile.network/mme"
)

// collector asks the sources at each scrape; what a process does not have gives
// no measurement, so it describes nothing beforehand.
type collector struct{ s Sources }

func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends every measurement there is.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	o := out{ch}
	o.gauge("info", "What runs here; always 1.", 1, "role", c.s.Role)
	if c.s.MME != nil {
		o.mme(c.s.MME())
	}
	if c.s.S11 != nil {
		o.gtpc("mme", c.s.S11())
	}
	if c.s.Pool != nil {
		o.pool(c.s.Pool())
	}
	for _, end := range slices.Sorted(maps.Keys(c.s.SCTP)) {
		o.sctp(end, c.s.SCTP[end]())
	}
	if c.s.Home != nil {
		o.home(c.s.Home)
	}
	if c.s.HSS != nil {
		o.hss(c.s.HSS())
	}
	if c.s.Gateway != nil {
		o.gateway(c.s.Gateway())
	}
	if c.s.Path != nil {
		o.path(c.s.Path())
	}
	if c.s.Meter != nil {
		o.meter(c.s.Meter())
	}
	if c.s.Agent != nil {
		o.agent(c.s.Agent())
	}
	if c.s.Relay != nil {
		o.relay(c.s.Relay())
	}
	if c.s.Ledger != nil {
		o.ledger(c.s.Ledger())
	}
	if c.s.Towers != nil {
		o.towers(c.s.Towers())
	}
	if c.s.Centre != nil {
		o.messages(c.s.Centre())
	}
	if c.s.SIP != nil {
		o.sip(c.s.SIP())
	}
}

// out writes measurements. Labels are names and values in turn.
type out struct{ ch chan<- prometheus.Metric }

func desc(name, help string, labels []string) (*prometheus.Desc, []string) {
	var names, values []string
	for i := 0; i+1 < len(labels); i += 2 {
		names, values = append(names, labels[i]), append(values, labels[i+1])
	}
	return prometheus.NewDesc("campanile_"+name, help, names, nil), values
}

func (o out) gauge(name, help string, v float64, labels ...string) {
	d, values := desc(name, help, labels)
	o.ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, values...)
}

func (o out) counter(name, help string, v uint64, labels ...string) {
	d, values := desc(name+"_total", help, labels)
	o.ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), values...)
}

func (o out) histogram(name, help string, h mme.Durations, labels ...string) {
	d, values := desc(name+"_seconds", help, labels)
	buckets, sum := map[float64]uint64{}, uint64(0)
	for i, n := range h.Buckets {
		sum += n
		buckets[mme.DurationBounds[i].Seconds()] = sum
	}
	o.ch <- prometheus.MustNewConstHistogram(d, h.Count, h.Sum.Seconds(), buckets, values...)
}

// each writes a counter for each key of a map, in order.
func each[K ~string | ~uint8](o out, name, help string, all map[K]uint64, say func(K) string, label string, more ...string) {
	for _, k := range slices.Sorted(maps.Keys(all)) {
		o.counter(name, help, all[k], append([]string{label, say(k)}, more...)...)
	}
}

func bit(v bool) float64 {
	if v {
		return 1
	}
	return 0
}

// unix is a time as Prometheus has it; 0: not known.
func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}

func same(s string) string { return s }

// drops are datapath's counters with their names.
func drops(list [datapath.Drops]uint64) map[string]uint64 {
	out := map[string]uint64{}
	for i, n := range list {
		if n > 0 {
			out[datapath.Drop(i).String()] = n
		}
	}
	return out
}
