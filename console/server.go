package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// DefaultListen is where the page is found unless Options say otherwise.
const DefaultListen = "127.0.0.1:8080"

// Bounds of what browsers may ask of the server.
const (
	maxClients   = 32
	headerBytes  = 16 << 10
	writeWithin  = 5 * time.Second
	claimWithin  = 45 * time.Second
	shutdownTime = 2 * time.Second
)

// Options are what a Server needs; only State is required.
type Options struct {
	Listen string   // "host:port"; empty: DefaultListen
	Hosts  []string // further names under which browsers may ask for the page, without port

	// State returns a fresh copy of everything there is to show. It is called
	// from one goroutine, once a second and after Changed, and must not wait
	// for the network or for consensus.
	State func() State

	// Changed asks for a new look at State before the second is over; senders
	// should not block on it. It may be nil.
	Changed <-chan struct{}

	// Claim has the owner's earnings paid out and returns a line for people.
	// It is called by at most one request at a time. Nil: no button.
	Claim func(context.Context) (text string, err error)

	// Phones and Phone answer /api/v1/phones; an error of Phones is a query that
	// cannot be followed. Called by several goroutines. Nil: there is no such path.
	Phones func(PhoneQuery) (PhoneList, error)
	Phone  func(id string) (PhoneDetail, bool)

	// SetAPNs gives a phone's subscriber other access points, in words such as
	// ims,qci=5, the default one first, and returns a line for people. Nil: they
	// are not to be set here.
	SetAPNs func(ctx context.Context, id string, words []string) (text string, err error)

	// SIP answers /api/v1/sip. Called by several goroutines. Nil: there is no such path,
	// and no link to the page of calls.
	SIP func() SIP

	Logger *slog.Logger // nil: silent
}

// Server serves the page; New makes one.
type Server struct {
	o       Options
	l       net.Listener
	handler http.Handler
	hosts   map[string]bool
	hub     *hub
	claim   chan struct{} // holds one token: a claim at a time
	log     *slog.Logger
}

// New takes the port at once: a port in use is an error of New. The port is
// given back when Serve ends.
func New(o Options) (*Server, error) {
	if o.State == nil {
		return nil, errors.New("console: Options.State is missing")
	}
	if o.Listen == "" {
		o.Listen = DefaultListen
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{o: o, hosts: map[string]bool{"localhost": true}, claim: make(chan struct{}, 1), log: o.Logger}
	for _, h := range o.Hosts {
		s.hosts[strings.ToLower(h)] = true
	}
	s.hub = newHub(o.State, o.Changed, o.Claim != nil)
	s.hub.hasCalls = o.SIP != nil
	var err error
	if s.handler, err = s.newHandler(); err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	if s.l, err = net.Listen("tcp", o.Listen); err != nil {
		return nil, fmt.Errorf("console: listen on %s: %w", o.Listen, err)
	}
	return s, nil
}

// Addr is where the server listens.
func (s *Server) Addr() netip.AddrPort {
	a := s.l.Addr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Serve answers until ctx ends, which is no error, and waits for everything it
// started. It is called once.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    headerBytes,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	if !s.Addr().Addr().IsLoopback() {
		s.log.Warn("console: others than this machine can read the page", "listen", s.Addr().String())
	}
	done := make(chan error, 2)
	go func() { done <- s.hub.run(ctx) }()
	go func() {
		err := srv.Serve(s.l)
		cancel()
		done <- err
	}()
	<-ctx.Done()
	stop, end := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer end()
	err := srv.Shutdown(stop)
	if err != nil {
		srv.Close()
	}
	for range 2 {
		if err := <-done; err != nil && !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("console: %w", err)
		}
	}
	return nil
}

func (s *Server) newHandler() (http.Handler, error) {
	mux := http.NewServeMux()
	for path, name := range files() {
		serve, err := serveFile(name)
		if err != nil {
			return nil, err
		}
		mux.HandleFunc("GET "+path, serve)
	}
	mux.HandleFunc("GET /api/state", s.serveState)
	mux.HandleFunc("GET /api/events", s.serveEvents)
	mux.HandleFunc("POST /api/claim", s.serveClaim)
	if s.o.Phones != nil && s.o.Phone != nil {
		mux.HandleFunc("GET /api/v1/phones", s.servePhones)
		mux.HandleFunc("GET /api/v1/phones/{id}", s.servePhone)
		mux.HandleFunc("POST /api/v1/phones/{id}/apns", s.serveAPNs)
	}
	if s.o.SIP != nil {
		mux.HandleFunc("GET /api/v1/sip", s.serveSIP)
	}
	return s.guard(mux), nil
}
