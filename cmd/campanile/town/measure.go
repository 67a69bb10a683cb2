package town

import (
	"context"
	"net/netip"
	"slices"

	"campanile.network/cmd/campanile/metrics"
	"campanile.network/internal/logs"
	"campanile.network/internal/sctp"
	"campanile.network/mme"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

// startMetrics serves what is counted. A port that is taken is told, and nothing
// waits for it: phones need no metrics.
func (t *Town) startMetrics(context.Context) error {
	listen := t.cfg.Metrics.Listen
	if listen == "" {
		return nil
	}
	s, err := metrics.New(t.ownPort(listen), t.measured(), t.role("metrics"))
	if err != nil {
		err = t.portTaken(err, "metrics.listen")
		t.role("metrics").Warn("metrics are not served, all else is", logs.Error, err)
		t.metrics = "not served: " + err.Error()
		return nil
	}
	t.metrics = "http://" + s.Addr().String() + "/metrics"
	t.serve("metrics", s.Serve)
	return nil
}

// ownPort is listen, or for a role that runs apart in a home of all of them its
// port behind it.
func (t *Town) ownPort(listen string) string {
	if t.cfg.Role == t.name {
		return listen
	}
	return portOf(listen, t.name)
}

// portOf is where a role serves metrics when all of them listen from the same port
// on, so that several have room on one host: that port for all in one process, the
// next for the first role, and so on.
func portOf(listen, role string) string {
	a, err := netip.ParseAddrPort(listen)
	if err != nil || a.Port() == 0 {
		return listen
	}
	return netip.AddrPortFrom(a.Addr(), a.Port()+uint16(max(slices.Index(RoleNames(), role), 0))).String()
}

// measureSCTP adds an end of S1AP to what is measured.
func (t *Town) measureSCTP(end string, ep sctp.Endpoint) {
	if c, ok := ep.(interface{ Stats() sctp.Stats }); ok {
		if t.sources.SCTP == nil {
			t.sources.SCTP = map[string]func() sctp.Stats{}
		}
		t.sources.SCTP[end] = c.Stats
	}
}

// watchedHome is the subscribers' home, and what the MME asks of it is counted.
func (t *Town) watchedHome() home.Home {
	h, w := metrics.WatchHome(t.home)
	t.sources.Home = w
	return h
}

// measured are the roles here.
func (t *Town) measured() metrics.Sources {
	s := t.sources
	s.Role = t.name
	if t.mme != nil {
		s.MME = t.mme.Stats
	}
	if t.hss != nil {
		s.HSS = t.hss.Stats
	}
	if t.gateway != nil {
		s.Gateway, s.Path = t.gateway.Stats, t.path.measure
	}
	if t.meter != nil {
		s.Meter = t.meter.Snapshot
	}
	if t.agent != nil {
		s.Agent, s.Relay = t.agent.Snapshot, t.relay.Stats
	}
	if t.centre != nil {
		s.Centre = t.centre.Stats
	}
	if t.sip != nil {
		s.SIP = t.measureSIP
	}
	if t.model != nil {
		s.Ledger = t.measureLedger
		if t.mme != nil {
			s.Towers = t.measureTowers
		}
	}
	return s
}

func (t *Town) measureLedger() metrics.Ledger {
	if t.chain != nil {
		c := t.chain.Status()
		return metrics.Ledger{Height: c.Height, At: c.Time, Running: c.Running, Own: true, Validators: c.Validators}
	}
	_, height, at := t.model.Head()
	return metrics.Ledger{Height: height, At: at}
}

func (t *Town) measureTowers() (out []metrics.Tower) {
	air := map[proof.TowerKey]mme.ENBInfo{}
	for _, e := range t.enbs() {
		air[e.Tower] = e
	}
	for _, w := range t.model.Towers() {
		e, on := air[w.Key]
		v := metrics.Tower{Key: w.Key.String(), Name: w.Name, ENB: w.ENB.String(), OnAir: on, Phones: e.UEs}
		if w.Health.State != 0 {
			v.State, v.Said, v.Restarts = w.Health.State.String(), w.Health.Said, w.Health.Restarts
		}
		out = append(out, v)
	}
	return out
}

// measure is what the data path has to say to the metrics.
func (k pathKind) measure() metrics.Path {
	p := metrics.Path{Kind: k.name}
	if k.fast != nil {
		if f, err := k.fast(); err == nil {
			p.Fast = &f
		}
	}
	return p
}
