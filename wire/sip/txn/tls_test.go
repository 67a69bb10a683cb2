package txn

import (
	"context"
	"crypto/ed25519"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"

	"campanile.network/internal/peertls"
)

// TestPeerKey is a station that is known by the key it shows in TLS.
func TestPeerKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		public, private, _ := ed25519.GenerateKey(nil)
		ours, oursPrivate, _ := ed25519.GenerateKey(nil)
		server, err := peertls.Server(oursPrivate, func(k [32]byte) error {
			if k != [32]byte(public) {
				return errors.New("a stranger")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		server.NextProtos = nil
		client, err := peertls.Client(private, [32]byte(ours))
		if err != nil {
			t.Fatal(err)
		}
		client.NextProtos = nil
		p := newPipes()
		got := make(chan *Server, 1)
		at := make(chan *Endpoint, 2)
		var wait sync.WaitGroup
		ctx, cancel := context.WithCancel(t.Context())
		for _, o := range []Options{
			{TLSConfig: server, Streams: []net.Listener{p}},
			{ClientTLS: client, Streams: []net.Listener{newPipes()}, Dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
				return p.connect("192.0.2.7"), nil
			}},
		} {
			e, err := Listen(o)
			if err != nil {
				t.Fatal(err)
			}
			e.listeners[0].transport = TLS
			wait.Go(func() { _ = e.Serve(ctx, func(_ context.Context, s *Server) { got <- s; _ = s.Reply(200, "") }) })
			at <- e
		}
		<-at
		c := (<-at).Request(ctx, ask("OPTIONS", 0), Target{Transport: TLS, Addr: here})
		if r, err := c.Final(ctx); err != nil || r.Status != 200 {
			t.Error(r, err)
		}
		if s := <-got; s.From.PeerKey != [32]byte(public) || s.From.Transport != TLS || s.Request.Via[0].Transport != TLS {
			t.Errorf("flow %+v", s.From)
		}
		cancel()
		wait.Wait()
	})
}
