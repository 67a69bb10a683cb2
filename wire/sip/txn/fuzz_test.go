package txn

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/internal/memnet"
	"campanile.network/wire/sip"
)

// FuzzInput feeds an endpoint one input as a datagram and as a stream, in
// virtual time, with transactions of both kinds open that it may hit: it must
// not panic, and when all timers have run nothing may be left of it.
func FuzzInput(f *testing.F) {
	for _, s := range []string{
		invite("z9hG4bK1", ""), tagged(request("ACK", "z9hG4bK1", ""), "x"), request("CANCEL", "z9hG4bK1", ""), request("REGISTER", "", ""),
		"SIP/2.0 180 Ringing\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKfuzz\nFrom: <sip:a@b>;tag=1\nTo: <sip:a@b>;tag=2\nCall-ID: x\nCSeq: 7 INVITE\n\n",
		"SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKfuzz\nFrom: <sip:a@b>;tag=1\nTo: <sip:a@b>;tag=2\nContact: <sip:c@d>\nCall-ID: x\nCSeq: 7 INVITE\n\n",
		"\n\n\n\n" + request("OPTIONS", "z9hG4bK2", "") + "x", "",
	} {
		f.Add([]byte(wire(s)), byte(200))
	}
	f.Fuzz(func(t *testing.T, b []byte, answer byte) {
		synctest.Test(t, func(t *testing.T) {
			n := memnet.New(nil)
			c, _ := n.Listen(here)
			p := newPipes()
			e, err := Listen(Options{Packets: []PacketConn{c}, Streams: []net.Listener{p}, Dial: p.dial, Memory: 1 << 16})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				ended <- e.Serve(ctx, func(_ context.Context, s *Server) {
					if s.Request.Method != sip.MethodAck {
						_ = s.Reply(100+int(answer)*2, "")
					}
				})
			}()
			underWay(e)
			from, _ := n.Listen(netip.MustParseAddrPort("192.0.2.9:5060"))
			for range 2 {
				_, _ = from.WriteToUDPAddrPort(b, here)
				synctest.Wait()
			}
			stream := p.connect("192.0.2.9")
			go func() { _, _ = io.Copy(io.Discard, stream) }()
			go func() {
				_, _ = stream.Write(b)
				time.Sleep(time.Minute)
				_ = stream.Close()
			}()
			time.Sleep(12 * time.Minute)
			synctest.Wait()
			if s := e.Stats(); s.Transactions != 0 || s.Connections != 0 || s.Waiting != 0 {
				t.Errorf("left: %+v", s)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			_ = from.Close()
			for len(p.dialed) > 0 {
				_ = (<-p.dialed).Close()
			}
		})
	})
}

// underWay begins a call to the far end, whose branch the seeds know.
func underWay(e *Endpoint) {
	x := e.newClient(ask("INVITE", 0), nil, func(*Client, *sip.Message, error) {})
	e.mu.Lock()
	defer e.mu.Unlock()
	x.sent, x.way, x.branch, x.id = x.request, way{sock: e.sockets[0], to: there}, "z9hG4bKfuzz", e.keys.client("z9hG4bKfuzz", "INVITE")
	x.sent.Via = []sip.Via{{Transport: UDP, Host: "192.0.2.1"}}
	x.timer.end = 32 * time.Second
	e.clients[x.id] = x
	e.arm(&x.timer)
}
