package town

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"campanile.network/enb-agent/agent"
	"campanile.network/enb-agent/relay"
	"campanile.network/internal/logs"
	"campanile.network/internal/sctp"
	"campanile.network/wire/link"
)

// way is the tower's end of the way to the core: SCTP and GTP-U at the address
// that this host has towards it. With agent.core "auto" that address is found
// out, and when it changes, all is opened again at the new one: the relay then
// has its eNBs set up S1 anew, and phones come back.
type way struct {
	t     *Town
	relay *relay.Relay

	mu     sync.Mutex
	at     netip.Addr
	ep     sctp.Endpoint
	user   *net.UDPConn
	hangUp context.CancelFunc // of the link to billing
}

// lookEvery is how often the address towards the core is looked at.
const lookEvery = 2 * time.Second

// towards is this host's address on the way to another.
func towards(core netip.Addr) (netip.Addr, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(core, s1apPort)))
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// auto says that the address is to be found out.
func (w *way) auto() bool { return w.t.set.agentCore.IsUnspecified() }

// openWay opens it, when there is an address.
func (t *Town) openWay(ctx context.Context) (*way, error) {
	w := &way{t: t}
	at := t.set.agentCore
	for waiting := false; w.auto(); waiting = true {
		var err error
		if at, err = towards(t.set.toMMEAt); err == nil {
			break
		}
		if !waiting {
			t.role("tower").Warn("this host has no way to the core: waiting for one", logs.Peer, t.set.toMMEAt, logs.Error, err)
		}
		if rest(ctx, lookEvery); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	end := t.set.toMME
	end.local = append([]netip.Addr{at}, end.local[1:]...)
	ep, err := t.endpoint(end)
	if err != nil {
		return nil, err
	}
	user, err := listenUser(at)
	if err != nil {
		return nil, t.portTaken(err, "agent.core")
	}
	w.at, w.ep, w.user = at, ep, user
	t.onEnd("way to the core", func() error { return w.current().Close() })
	return w, nil
}

func listenUser(at netip.Addr) (*net.UDPConn, error) {
	return net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(at, gtpuPort)))
}

// follow looks whether the address has changed.
func (w *way) follow(ctx context.Context) error {
	said := ""
	for rest(ctx, lookEvery); ctx.Err() == nil; rest(ctx, lookEvery) {
		at, err := towards(w.t.set.toMMEAt)
		if err != nil || at == w.address() {
			continue // without any the old one is as good
		}
		if err := w.move(at); err == nil {
			said = ""
		} else if err.Error() != said {
			said = err.Error()
			w.t.role("tower").Warn("this host's new address towards the core is of no use", logs.Address, at, logs.Error, err)
		}
	}
	return nil
}

// move opens all at another address, and gives up what was at the old one.
func (w *way) move(at netip.Addr) error {
	end := w.t.set.toMME
	end.local = append([]netip.Addr{at}, end.local[1:]...)
	ep, _, err := end.open(w.t.sctpOptions(end))
	if err != nil {
		return err
	}
	user, err := listenUser(at)
	if err != nil {
		ep.Close()
		return err
	}
	w.t.logEvent("cell", "this tower's address towards the core is now "+at.String()+": S1 is set up anew")
	w.mu.Lock()
	oldEP, oldUser := w.ep, w.user
	w.at, w.ep, w.user = at, ep, user
	if w.hangUp != nil {
		w.hangUp()
	}
	w.mu.Unlock()
	if !w.t.set.public.IsValid() {
		w.relay.Announce(at) // where there is a NAT, until billing says what it has made of it
	}
	oldUser.Close()
	now, cancel := context.WithCancel(context.Background())
	cancel() // nobody is reached from an address that is gone
	oldEP.Shutdown(now)
	return nil
}

func (w *way) address() netip.Addr {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *way) current() sctp.Endpoint {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ep
}

// link is how the agent joins billing: anew when the address has changed.
func (w *way) link(dial agent.Dial) agent.Dial {
	return func(ctx context.Context) (link.TowerConn, func(), error) {
		ctx, cancel := context.WithCancel(ctx)
		w.mu.Lock()
		w.hangUp = cancel
		w.mu.Unlock()
		c, hangUp, err := dial(ctx)
		if err != nil {
			cancel()
			return nil, nil, err
		}
		return c, func() { cancel(); hangUp() }, nil
	}
}

// wayEndpoint is a way as its SCTP.
type wayEndpoint struct{ *way }

func (w wayEndpoint) Dial(ctx context.Context, to netip.AddrPort, o sctp.DialOptions) (sctp.Association, error) {
	return w.current().Dial(ctx, to, o)
}
func (w wayEndpoint) Listen(port uint16) (sctp.Listener, error) { return w.current().Listen(port) }
func (w wayEndpoint) Shutdown(ctx context.Context) error        { return w.current().Shutdown(ctx) }
func (w wayEndpoint) Close() error                              { return w.current().Close() }

// wayUser is a way as its GTP-U socket.
type wayUser struct{ *way }

func (w wayUser) socket() *net.UDPConn {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.user
}

func (w wayUser) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	for {
		c := w.socket()
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err == nil || c == w.socket() {
			return n, from, err
		}
	}
}

func (w wayUser) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	return w.socket().WriteToUDPAddrPort(b, to)
}

func (w wayUser) SetReadBuffer(n int) error { return w.socket().SetReadBuffer(n) }
func (w wayUser) LocalAddr() net.Addr       { return w.socket().LocalAddr() }
func (w wayUser) Close() error              { return w.socket().Close() }
