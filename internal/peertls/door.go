package peertls

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
)

// Limits are how many connections a Door lets in at a time. Zero fields take
// the defaults.
type Limits struct {
	Waiting   int // that have shown no key yet: 256. A quarter is for addresses that have shown one before
	WaitingAt int // of them from one address, or one IPv6 network of 64 bits: 32
	Proven    int // that have shown their keys: 4096. A sixteenth is for Own
	ProvenBy  int // of them with one key: 16
	// Own says who else may use what is left at last, as the operator's own
	// roles; nil is for nobody.
	Own func(Peer) bool
	// Patience is how long a connection may be without a key when another one
	// wants its place: 2 s.
	Patience time.Duration
}

// Turned is why a connection was turned away.
type Turned string

// What connections are turned away for.
const (
	Crowded   Turned = "too many without a key"
	CrowdedAt Turned = "too many without a key from one address"
	Outlasted Turned = "no key while others waited"
	Full      Turned = "too many connections"
	FullBy    Turned = "too many connections of one key"
)

var turneds = []Turned{Crowded, CrowdedAt, Outlasted, Full, FullBy}

const (
	reserveShare = 4    // of Waiting
	ownShare     = 16   // of Proven
	rememberMost = 4096 // addresses that have shown a key
	sayEvery     = time.Minute
)

// Door is a server's listener and its gRPC credentials in one: it bounds the
// connections on both sides of the handshake. Who has shown no key has a place
// for a while, each address some, and those who have been here before are not
// kept out by newcomers; who has shown one counts by it. gRPC ends a handshake
// that takes too long; see grpc.ConnectionTimeout.
type Door struct {
	net.Listener
	credentials.TransportCredentials
	limits Limits
	log    *slog.Logger

	mu      sync.Mutex
	closed  bool
	waiting []*guest // oldest first
	proven  int
	by      map[[32]byte]int
	known   map[netip.Prefix]bool
	turned  map[Turned]uint64
	unsaid  map[Turned]uint64
	said    time.Time
}

// guest is a connection without a key.
type guest struct {
	conn  net.Conn
	from  netip.Prefix
	since time.Time
}

// NewDoor guards l for a server with a configuration of Server or ServerFor. It
// is served as both: grpc.Creds(d) and Serve(d).
func NewDoor(l net.Listener, config *tls.Config, limits Limits, log *slog.Logger) *Door {
	for _, f := range []struct {
		at     *int
		normal int
	}{{&limits.Waiting, 256}, {&limits.WaitingAt, 32}, {&limits.Proven, 4096}, {&limits.ProvenBy, 16}} {
		if *f.at == 0 {
			*f.at = f.normal
		}
	}
	if limits.Own == nil {
		limits.Own = func(Peer) bool { return false }
	}
	if limits.Patience == 0 {
		limits.Patience = 2 * time.Second
	}
	return &Door{Listener: l, TransportCredentials: credentials.NewTLS(config), limits: limits, log: log,
		by: map[[32]byte]int{}, known: map[netip.Prefix]bool{}, turned: map[Turned]uint64{}, unsaid: map[Turned]uint64{}}
}

// DoorView is what a door shows.
type DoorView struct {
	Waiting, Proven int // connections
	Turned          map[Turned]uint64
}

// String says them in a line.
func (v DoorView) String() string {
	s := fmt.Sprintf("%d open, %d without a key yet", v.Proven, v.Waiting)
	for _, why := range turneds {
		if n := v.Turned[why]; n > 0 {
			s += fmt.Sprintf("; turned away %d: %s", n, why)
		}
	}
	return s
}

// Snapshot copies the figures.
func (d *Door) Snapshot() DoorView {
	d.mu.Lock()
	defer d.mu.Unlock()
	return DoorView{Waiting: len(d.waiting), Proven: d.proven, Turned: maps.Clone(d.turned)}
}

// Clone is the door itself: there is one count.
func (d *Door) Clone() credentials.TransportCredentials { return d }

// Accept gives the next connection that has a place.
func (d *Door) Accept() (net.Conn, error) {
	for {
		c, err := d.Listener.Accept()
		if err != nil || d.admit(c) {
			return c, err
		}
		hangUp(c)
	}
}

// hangUp ends a connection and leaves nothing of it in the kernel.
func hangUp(c net.Conn) {
	if c, ok := c.(*net.TCPConn); ok {
		c.SetLinger(0)
	}
	c.Close()
}

// admit gives a connection a place among those without a key, perhaps that of
// one who has had it for long enough.
func (d *Door) admit(c net.Conn) bool {
	g := &guest{conn: c, from: origin(c.RemoteAddr()), since: time.Now()}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	most := d.limits.Waiting
	if !d.known[g.from] {
		most -= most / reserveShare
	}
	from := 0
	for _, w := range d.waiting {
		if w.from == g.from {
			from++
		}
	}
	if from >= d.limits.WaitingAt && !d.outlast(g, func(w *guest) bool { return w.from == g.from }) {
		d.turn(CrowdedAt)
		return false
	}
	if len(d.waiting) >= most && !d.outlast(g, func(*guest) bool { return true }) {
		d.turn(Crowded)
		return false
	}
	d.waiting = append(d.waiting, g)
	return true
}

// outlast ends the oldest of some connections, if it has had its time.
func (d *Door) outlast(g *guest, of func(*guest) bool) bool {
	for i, w := range d.waiting {
		if of(w) {
			if g.since.Sub(w.since) < d.limits.Patience {
				return false
			}
			d.waiting = slices.Delete(d.waiting, i, i+1)
			hangUp(w.conn)
			d.turn(Outlasted)
			return true
		}
	}
	return false
}

// Close ends the listener and who has no key: nobody waits for them.
func (d *Door) Close() error {
	err := d.Listener.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	for _, w := range d.waiting {
		hangUp(w.conn)
	}
	return err
}

// ServerHandshake is TLS's; then the key counts.
func (d *Door) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	defer d.unwait(raw)
	c, info, err := d.TransportCredentials.ServerHandshake(held{raw})
	var p Peer
	if err == nil {
		p, err = peerOf(info.(credentials.TLSInfo).State)
	}
	if err == nil {
		if err = d.prove(raw, p); err != nil {
			c.Close()
		}
	}
	if err != nil {
		part(raw)
		return nil, nil, err
	}
	return &proven{Conn: c, raw: raw, leave: sync.OnceFunc(func() { d.leave(p.Key) })}, info, nil
}

// held is a connection that TLS does not close.
type held struct{ net.Conn }

// Close does nothing.
func (held) Close() error { return nil }

// part ends a connection so that the peer hears why: with what it has sent and
// nobody has read, TLS's alert would be lost (RFC 1122 §4.2.2.13).
func part(raw net.Conn) {
	if c, ok := raw.(*net.TCPConn); ok && c.CloseWrite() == nil && c.SetReadDeadline(time.Now().Add(time.Second)) == nil {
		io.CopyN(io.Discard, c, 1<<14)
	}
	raw.Close()
}

// unwait takes a connection from those without a key.
func (d *Door) unwait(raw net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.waiting = slices.DeleteFunc(d.waiting, func(w *guest) bool { return w.conn == raw })
}

// prove counts a connection that has shown a key.
func (d *Door) prove(raw net.Conn, p Peer) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.remember(origin(raw.RemoteAddr()))
	most := d.limits.Proven
	if !d.limits.Own(p) {
		most -= most / ownShare
	}
	why := FullBy
	switch {
	case d.proven >= most:
		why = Full
	case d.by[p.Key] < d.limits.ProvenBy:
		d.proven++
		d.by[p.Key]++
		return nil
	}
	d.turn(why)
	return fmt.Errorf("peertls: %s", why)
}

func (d *Door) leave(key [32]byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.proven--
	if d.by[key]--; d.by[key] == 0 {
		delete(d.by, key)
	}
}

// remember keeps an address; of too many any other one is forgotten.
func (d *Door) remember(from netip.Prefix) {
	for old := range d.known {
		if len(d.known) < rememberMost {
			break
		}
		delete(d.known, old)
	}
	d.known[from] = true
}

// turn counts, and says once a minute what was counted since.
func (d *Door) turn(why Turned) {
	d.turned[why]++
	d.unsaid[why]++
	if now := time.Now(); now.Sub(d.said) >= sayEvery {
		args := []any{"open", d.proven, "without_key", len(d.waiting)}
		for _, w := range turneds {
			if n := d.unsaid[w]; n > 0 {
				args = append(args, slog.Uint64(string(w), n))
			}
		}
		d.log.Warn("connections turned away", args...)
		d.said = now
		clear(d.unsaid)
	}
}

// origin is where a connection comes from: all who share it share their
// places.
func origin(a net.Addr) netip.Prefix {
	at, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Prefix{}
	}
	ip, bits := at.Addr().Unmap().WithZone(""), 64
	if ip.Is4() {
		bits = 32
	}
	p, _ := ip.Prefix(bits)
	return p
}

// proven is a connection that counts for its key until it is closed.
type proven struct {
	net.Conn
	raw   net.Conn
	leave func()
}

// Close implements net.Conn.
func (c *proven) Close() error {
	c.leave()
	return errors.Join(c.Conn.Close(), c.raw.Close())
}
