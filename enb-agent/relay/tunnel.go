package relay

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"campanile.network/3gpp/id"
)

// end is one end of a GTP tunnel at a neighbour: what TS 23.401 calls an
// F-TEID.
type end struct {
	addr netip.Addr
	teid id.TEID
}

func (e end) String() string { return fmt.Sprintf("%v@%v", e.teid, e.addr) }

// counter counts one bearer, whose name is the gateway's uplink TEID, through
// all contexts in which the gateway uses that TEID.
type counter struct {
	ul, dl atomic.Uint64 // inner IP octets
	uses   int           // tunnels that count here; guarded by table.mu
}

// tunnel is one bearer, or one forwarding path of a handover, through the
// relay. Its own TEIDs never change; the ends do.
type tunnel struct {
	radio id.TEID // ours, where the eNB sends
	core  id.TEID // ours, where the core sends
	ends  atomic.Pointer[ends]
}

// ends are a tunnel's neighbours and counter, replaced as a whole. A zero
// address is one not yet known.
type ends struct {
	enb, gateway end
	source       netip.Addr // whence uplink is taken before the eNB has told its end
	count        *counter   // nil: nobody pays for it
	forward      bool       // of a handover: packets come from wherever they were sent before
	released     bool
}

// maxTunnels bounds the table.
const maxTunnels = 65536

// linger is how long a released tunnel still counts what was under way.
const linger = 2 * time.Second

var errFull = errors.New("relay: no room for another tunnel")

// table has the tunnels by the relay's own TEIDs, one number space a side.
type table struct {
	mu       sync.RWMutex
	radio    map[id.TEID]*tunnel
	core     map[id.TEID]*tunnel
	peers    map[netip.Addr]int // addresses of neighbours, with how often they are in use
	counters map[id.TEID]*counter
	ending   []ending // in order
	leaving  map[*tunnel]departure
}

// departure is a tunnel whose gateway has sent an End Marker: it ends soon, unless
// its ends change before.
type departure struct {
	was *ends
	at  time.Time
}

type ending struct {
	tunnel *tunnel
	at     time.Time
}

func newTable() *table {
	return &table{radio: map[id.TEID]*tunnel{}, core: map[id.TEID]*tunnel{}, peers: map[netip.Addr]int{}, counters: map[id.TEID]*counter{}, leaving: map[*tunnel]departure{}}
}

// freeTEID draws a number nobody can guess.
func freeTEID(m map[id.TEID]*tunnel) id.TEID {
	for {
		var b [4]byte
		rand.Read(b[:]) // does not fail since Go 1.24
		if t := id.TEID(binary.BigEndian.Uint32(b[:])); t != 0 && m[t] == nil {
			return t
		}
	}
}

// open makes a tunnel.
func (t *table) open(e ends) (*tunnel, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.radio) >= maxTunnels {
		return nil, errFull
	}
	n := &tunnel{radio: freeTEID(t.radio), core: freeTEID(t.core)}
	switch {
	case e.forward:
	case e.gateway.addr.IsValid():
		e.count = t.counter(e.gateway.teid)
	default:
		e.count = &counter{uses: 1} // until the gateway's TEID is known
	}
	t.radio[n.radio], t.core[n.core] = n, n
	t.set(n, e)
	return n, nil
}

// maxCounters bounds the bearers counted one by one. They outlive their tunnels,
// and a core may name any number of them.
const maxCounters = 4 * maxTunnels

// counter gives the counter of a gateway's TEID, one use more; when there are
// too many, that of TEID 0, which is nobody's.
func (t *table) counter(teid id.TEID) *counter {
	if t.counters[teid] == nil && len(t.counters) >= maxCounters {
		teid = 0
	}
	c := t.counters[teid]
	if c == nil {
		c = &counter{}
		t.counters[teid] = c
	}
	c.uses++
	return c
}

// set replaces a tunnel's ends.
func (t *table) set(n *tunnel, e ends) {
	old := n.ends.Load()
	t.known(e, 1)
	n.ends.Store(&e)
	if old != nil {
		t.known(*old, -1)
	}
}

func (t *table) known(e ends, d int) {
	for _, a := range []netip.Addr{e.enb.addr, e.gateway.addr} {
		if a.IsValid() {
			if t.peers[a] += d; t.peers[a] == 0 {
				delete(t.peers, a)
			}
		}
	}
}

// toENB tells where a tunnel's eNB is.
func (t *table) toENB(n *tunnel, enb end) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := *n.ends.Load()
	e.enb = enb
	t.set(n, e)
}

// toGateway tells where a bearer's gateway is. Another TEID is another bearer
// to count; what came before the first was known belongs to it.
func (t *table) toGateway(n *tunnel, gateway end) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := *n.ends.Load()
	before, first := e.count, !e.gateway.addr.IsValid()
	if first || e.gateway.teid != gateway.teid {
		before.uses--
		e.count = t.counter(gateway.teid)
	}
	e.gateway = gateway
	t.set(n, e)
	if first {
		e.count.ul.Add(before.ul.Load())
		e.count.dl.Add(before.dl.Load())
	}
}

// release ends a tunnel; it counts on for a moment what was under way.
func (t *table) release(n *tunnel, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end(n, now)
}

// leave ends a tunnel when what is under way from the eNB has come.
func (t *table) leave(n *tunnel, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaving[n] = departure{n.ends.Load(), now.Add(linger)}
}

// end is release; called under mu.
func (t *table) end(n *tunnel, now time.Time) {
	delete(t.leaving, n)
	e := *n.ends.Load()
	if e.released {
		return
	}
	e.released = true
	t.set(n, e)
	t.ending = append(t.ending, ending{n, now.Add(linger)})
}

// sweep ends and forgets tunnels whose time has come, and says whether one that a
// gateway has left is among them.
func (t *table) sweep(now time.Time) (left bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for n, d := range t.leaving {
		switch {
		case n.ends.Load() != d.was:
			delete(t.leaving, n)
		case !now.Before(d.at):
			t.end(n, now)
			left = true
		}
	}
	i := 0
	for ; i < len(t.ending) && !now.Before(t.ending[i].at); i++ {
		n := t.ending[i].tunnel
		e := n.ends.Load()
		t.known(*e, -1)
		if e.count != nil {
			e.count.uses--
		}
		delete(t.radio, n.radio)
		delete(t.core, n.core)
	}
	t.ending = slices.Delete(t.ending, 0, i)
	return left
}

// find gives the tunnel of one of our TEIDs, or nil.
func (t *table) find(side Side, teid id.TEID) *tunnel {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if side == Radio {
		return t.radio[teid]
	}
	return t.core[teid]
}

// behind gives the tunnel whose end on one side is e, or nil. It looks at all:
// it is for error indications, which are rare.
func (t *table) behind(side Side, e end) *tunnel {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, n := range t.radio {
		s := n.ends.Load()
		if side == Radio && s.enb == e || side == Core && s.gateway == e {
			return n
		}
	}
	return nil
}

func (t *table) isPeer(a netip.Addr) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.peers[a] > 0
}

// Count is what was relayed for one bearer since the relay was made.
type Count struct {
	TEID   id.TEID // of the gateway, uplink
	UL, DL uint64  // inner IP octets: uplink sent to the gateway, downlink arrived from it
	InUse  bool    // a tunnel counts here
}

// Counts gives all counters, in no order.
func (r *Relay) Counts() []Count {
	t := r.table
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := make([]Count, 0, len(t.counters))
	for teid, c := range t.counters {
		list = append(list, Count{teid, c.ul.Load(), c.dl.Load(), c.uses > 0})
	}
	return list
}

// Forget drops the counter of a bearer nobody uses; its next count begins at 0.
func (r *Relay) Forget(teid id.TEID) {
	r.table.mu.Lock()
	defer r.table.mu.Unlock()
	if c := r.table.counters[teid]; c != nil && c.uses <= 0 {
		delete(r.table.counters, teid)
	}
}
