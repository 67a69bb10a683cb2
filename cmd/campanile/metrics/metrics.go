// Package metrics shows what the roles count to Prometheus: it turns their Stats
// into measurements, after TS 32.426 where that names one, and serves them.
//
// It counts nothing itself but what passes WatchHome, and no label names a
// subscriber: labels are procedures, causes, reasons and towers. The roles know
// nothing of it.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"campanile.network/billing/meter"
	"campanile.network/enb-agent/agent"
	"campanile.network/enb-agent/relay"
	"campanile.network/gateway"
	"campanile.network/gateway/datapath/xdp"
	"campanile.network/hss-chain/hss"
	"campanile.network/internal/sctp"
	"campanile.network/mme"
	"campanile.network/mme/pool"
	"campanile.network/sip/smsc"
	"campanile.network/wire/gtpc"
)

// Sources are where the figures come from; what is nil is not in this process.
// They are called at each scrape, by one goroutine at a time.
type Sources struct {
	Role string // of this process; "up" is all

	MME     func() mme.Stats
	S11     func() gtpc.Stats // of the MME
	Pool    func() pool.Stats // of the MME, if it is in one
	SCTP    map[string]func() sctp.Stats
	Home    *HomeWatch
	HSS     func() hss.Stats
	Gateway func() gateway.Stats
	Path    func() Path // of the gateway
	Meter   func() meter.View
	Agent   func() agent.View
	Relay   func() relay.Stats
	Ledger  func() Ledger
	Towers  func() []Tower
	Centre  func() smsc.Stats // of short messages
	SIP     func() SIP
}

// Path is the data path that the gateway uses.
type Path struct {
	Kind string    // "xdp", "tun" or "netstack"
	Fast *xdp.Fast // nil: the packet programs do not run
}

// Ledger is the chain as this process knows it.
type Ledger struct {
	Height     int64
	At         time.Time // of the newest block; zero: not known
	Running    bool      // consensus runs here
	Own        bool      // the chain's node is here
	Validators int
}

// Tower is one of the ledger's towers.
type Tower struct {
	Key, Name, ENB string
	OnAir          bool
	Phones         int
	State          string    // of its radio, as it said on the ledger; empty: nothing
	Said           time.Time // when
	Restarts       uint32
}

// Server serves /metrics; New makes one.
type Server struct {
	l   net.Listener
	h   http.Handler
	log *slog.Logger
}

// Registry collects the sources, the Go runtime and the process.
func Registry(s Sources) (*prometheus.Registry, error) {
	r := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{collector{s}, collectors.NewGoCollector(), collectors.NewBuildInfoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	return r, nil
}

// New takes the port at once: one in use is an error of New.
func New(listen string, s Sources, log *slog.Logger) (*Server, error) {
	r, err := Registry(s)
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return nil, fmt.Errorf("metrics: listen on %s: %w", listen, err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), MaxRequestsInFlight: 4, Timeout: 10 * time.Second,
	}))
	return &Server{l: l, h: mux, log: log}, nil
}

// Addr is where the server listens.
func (s *Server) Addr() netip.AddrPort {
	a := s.l.Addr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Serve answers until ctx ends, which is no error. It is called once.
func (s *Server) Serve(ctx context.Context) error {
	if !s.Addr().Addr().IsLoopback() {
		s.log.Warn("others than this machine can read the metrics", "listen", s.Addr().String())
	}
	srv := &http.Server{Handler: s.h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(s.l) }()
	select {
	case err := <-done:
		return fmt.Errorf("metrics: %w", err)
	case <-ctx.Done():
	}
	stop, end := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer end()
	if srv.Shutdown(stop) != nil {
		srv.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}
