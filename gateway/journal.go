package gateway

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"net/netip"
	"slices"
	"sync"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
	"campanile.network/internal/logs"
	"campanile.network/internal/vault"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/proof"
)

// Kinds of records in the store.
const (
	kindRun     = 'r' // one: how many runs there were
	kindSession = 's'
	kindLease   = 't' // a ticket, and what was booked on it
	kindClosed  = 'c' // a segment that has ended and that the sink has not
	kindAddress = 'a' // who had an address last
	kindPeer    = 'p' // a peer's restart counter
)

// journal is what has changed since it was last written. Gateway.mu guards what is
// touched; mu guards the queue.
type journal struct {
	sessions map[*session]struct{}
	leases   map[*lease]struct{}
	writes   []vault.Write // of all else
	freed    []id.TEID     // free once what says so is on disk
	peers    map[netip.Addr]uint8
	lastSeg  uint64
	restored int

	mu      sync.Mutex
	queue   []commit
	wake    chan struct{}
	ended   bool
	failing string
}

// commit is writes that belong together, and what is done when they are on disk.
type commit struct {
	writes []vault.Write
	freed  []id.TEID
	then   func()
}

// commitTime is how long an answer waits for a disk that does not write: less than a
// peer's T3.
const commitTime = 2 * time.Second

// stored is a session in the store. Counts are the data path's when the record was
// written, for the case that it has forgotten them.
type stored struct {
	Number    uint64       `json:"n"`
	IMSI      string       `json:"imsi,omitempty"`
	EBI       id.EBI       `json:"ebi"`
	APN       string       `json:"apn"`
	Addr      gtpc.Address `json:"addr"`
	AMBR      gtpc.AMBR    `json:"ambr"`
	Started   time.Time    `json:"started"`
	Ctrl      id.TEID      `json:"ctrl"`
	Peer      gtpc.FTEID   `json:"peer"`
	Former    []netip.Addr `json:"former,omitempty"`
	UpCtrl    id.TEID      `json:"upctrl,omitempty"`
	UpPeer    gtpc.FTEID   `json:"uppeer,omitzero"`
	Ticket    []byte       `json:"ticket,omitempty"` // id
	Holder    bool         `json:"holder,omitempty"`
	LeaseBase uint64       `json:"leasebase"`
	Quota     uint64       `json:"quota"`
	Charged   uint64       `json:"charged"`
	Reached   bool         `json:"reached,omitempty"`
	Ended     bool         `json:"ended,omitempty"`
	Out       bool         `json:"out,omitempty"`
	Suspended bool         `json:"suspended,omitempty"`
	Bearers   []storedOne  `json:"bearers"`
}

type storedOne struct {
	EBI    id.EBI             `json:"ebi"`
	Number uint64             `json:"n"`
	TEID   id.TEID            `json:"teid"`
	Tunnel datapath.Tunnel    `json:"tunnel,omitzero"`
	QoS    gtpc.QoS           `json:"qos"`
	TFT    []eps.PacketFilter `json:"tft,omitempty"`
	Charge uint32             `json:"charge"`
	PGW    gtpc.FTEID         `json:"pgw,omitzero"`
	Up     id.TEID            `json:"up,omitempty"`
	Base   datapath.Usage     `json:"base"`
	Count  datapath.Usage     `json:"count"`
	Ending bool               `json:"ending,omitempty"`

	Open   bool           `json:"open,omitempty"`
	Ticket []byte         `json:"ticket,omitempty"`
	Bytes  []byte         `json:"bytes,omitempty"`
	From   datapath.Usage `json:"from,omitzero"`
}

// storedSegment is a closed segment in the store.
type storedSegment struct {
	No      uint64         `json:"no"`
	Session uint64         `json:"session"`
	TEID    id.TEID        `json:"teid"`
	Ticket  []byte         `json:"ticket,omitempty"`
	Bytes   []byte         `json:"bytes,omitempty"`
	Count   datapath.Usage `json:"count"`
}

// storedTicket is a ticket in the store.
type storedTicket struct {
	Raw   []byte `json:"raw"`
	Spent uint64 `json:"spent"`
	Out   bool   `json:"out,omitempty"`
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// The touch methods note that something has to be written. The caller holds mu.
func (g *Gateway) touch(s *session) {
	if g.o.Store == nil {
		return
	}
	g.journal.sessions[s] = struct{}{}
	if s.lease != nil {
		g.journal.leases[s.lease] = struct{}{}
	}
}

func (g *Gateway) touchLease(l *lease) {
	if g.o.Store != nil {
		g.journal.leases[l] = struct{}{}
	}
}

func (g *Gateway) put(kind byte, name []byte, value any) {
	if g.o.Store == nil {
		return
	}
	w := vault.Write{Kind: kind, Name: name}
	if value != nil {
		b, err := json.Marshal(value)
		if err != nil {
			g.log.Error("gateway: record cannot be written", "kind", string(kind), logs.Error, err)
			return
		}
		w.Value = b
	}
	g.journal.writes = append(g.journal.writes, w)
}

func (g *Gateway) forgetLease(k proof.TicketID) { g.put(kindLease, k[:], nil) }

func (g *Gateway) storeClosed(seg *segment) {
	g.journal.lastSeg++
	seg.no = g.journal.lastSeg
	g.put(kindClosed, number(seg.no), storedSegment{seg.no, seg.bearer.number, seg.bearer.teid, seg.ticket, seg.bytes, seg.count})
}

func (g *Gateway) forgetClosed(seg *segment) { g.put(kindClosed, number(seg.no), nil) }

// restLease stores who had a session's addresses last.
func (g *Gateway) restLease(s *session) {
	if s.ue.imsi.IsZero() {
		return
	}
	digits, apn := s.ue.imsi.Digits(), s.net.APN.String()
	g.put(kindAddress, []byte(digits+"/"+apn), leaseRecord{digits, apn, s.addr.IPv4, prefixOf(s.addr.IPv6), time.Now()})
}

// freeLater gives TEIDs back when it is on disk that nobody has them.
func (g *Gateway) freeLater(list ...id.TEID) {
	for _, t := range list {
		switch {
		case t == 0:
		case g.o.Store == nil:
			g.teids.Free(t)
		default:
			g.journal.freed = append(g.journal.freed, t)
		}
	}
}

// record is the session as it is stored.
func (g *Gateway) record(s *session) stored {
	r := stored{Number: uint64(s.id), IMSI: s.ue.imsi.Digits(), EBI: s.ebi, APN: s.apn.String(), Addr: s.addr, AMBR: s.ambr, Started: s.started,
		Ctrl: s.ue.ctrl, Peer: s.ue.peer, Former: s.ue.former, LeaseBase: s.leaseBase, Quota: s.quota, Charged: g.charged(s), Reached: s.reached, Ended: s.ended, Out: s.out,
		Suspended: s.ue.suspended}
	if s.up != nil {
		r.UpCtrl, r.UpPeer = s.up.ctrl, s.up.pgw
	}
	if s.lease != nil {
		r.Ticket, r.Holder = s.lease.ticket.ID[:], s.lease.holder == s.ue
	}
	for _, b := range s.all() {
		_, ending := s.making[b]
		o := storedOne{EBI: b.ebi, Number: b.number, TEID: b.teid, Tunnel: b.tunnel, QoS: b.qos, TFT: b.tft, Charge: b.charge, PGW: b.pgw, Up: b.up,
			Base: b.base, Count: g.usage(b), Ending: ending}
		if b.open != nil {
			o.Open, o.Ticket, o.Bytes, o.From = true, b.open.ticket, b.open.bytes, b.open.base
		}
		r.Bearers = append(r.Bearers, o)
	}
	return r
}

// flush queues what has changed to be written; then is done when it is on disk, or
// not for too long. The caller holds mu. It gives false when there is nothing, and
// then is not done.
func (g *Gateway) flush(then func()) bool {
	j := &g.journal
	if g.o.Store == nil || len(j.sessions)+len(j.leases)+len(j.writes)+len(j.freed) == 0 {
		return false
	}
	for s := range j.sessions {
		if g.sessions[s.id] != s {
			g.put(kindSession, number(uint64(s.id)), nil)
			continue
		}
		g.put(kindSession, number(uint64(s.id)), g.record(s))
		g.storePeer(s.ue.peer.Addr)
		if s.up != nil {
			g.storePeer(s.up.pgw.Addr)
		}
	}
	for l := range j.leases {
		if g.spent[l.ticket.ID] == l {
			g.put(kindLease, l.ticket.ID[:], storedTicket{l.raw, l.spent, l.out})
		}
	}
	c := commit{j.writes, j.freed, then}
	clear(j.sessions)
	clear(j.leases)
	j.writes, j.freed = nil, nil
	j.mu.Lock()
	defer j.mu.Unlock()
	j.queue = append(j.queue, c)
	select {
	case j.wake <- struct{}{}:
	default:
	}
	return true
}

// storePeer stores a peer's restart counter if it is news.
func (g *Gateway) storePeer(a netip.Addr) {
	n, ok := g.ep.Counter(a)
	if old, known := g.journal.peers[a]; ok && (!known || old != n) {
		g.journal.peers[a] = n
		g.put(kindPeer, []byte(a.String()), storedPeer{a, n})
	}
}

type storedPeer struct {
	Addr    netip.Addr `json:"addr"`
	Counter uint8      `json:"counter"`
}

// commits writes what is queued, all that waits in one go, until the queue has
// ended.
func (g *Gateway) commits() {
	if g.o.Store == nil {
		return
	}
	j := &g.journal
	var behind []vault.Write // that the disk has not taken
	for range j.wake {
		for {
			j.mu.Lock()
			list := j.queue
			j.queue = nil
			ended := j.ended
			j.mu.Unlock()
			if len(list) == 0 {
				if ended {
					return
				}
				break
			}
			behind = g.write(behind, list)
		}
	}
}

// write writes commits behind what was not written before.
func (g *Gateway) write(behind []vault.Write, list []commit) []vault.Write {
	all := behind
	for _, c := range list {
		all = append(all, c.writes...)
	}
	all = newest(all)
	ctx, cancel := context.WithTimeout(context.Background(), commitTime)
	err := g.o.Store.Apply(ctx, all)
	cancel()
	j := &g.journal
	j.mu.Lock()
	was := j.failing
	j.failing = ""
	if err != nil {
		j.failing = err.Error()
	}
	j.mu.Unlock()
	if err != nil && was == "" {
		g.log.Error("gateway: the store does not write: what happens from now on is lost if this process ends", logs.Error, err)
	} else if err == nil {
		all = nil
	}
	for _, c := range list {
		if c.then != nil {
			c.then()
		}
		for _, t := range c.freed {
			g.teids.Free(t)
		}
	}
	return all
}

// newest leaves of writes to one record the last.
func newest(all []vault.Write) []vault.Write {
	type name struct {
		kind byte
		name string
	}
	seen := make(map[name]struct{}, len(all))
	out := make([]vault.Write, 0, len(all))
	for _, w := range slices.Backward(all) {
		k := name{w.Kind, string(w.Name)}
		if _, later := seen[k]; !later {
			seen[k] = struct{}{}
			out = append(out, w)
		}
	}
	return out
}

// end ends commits when all that is queued is written.
func (j *journal) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = true
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// lastCommit writes what has changed since the queue ended.
func (g *Gateway) lastCommit() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for s := range g.sessions {
		g.touch(g.sessions[s])
	}
	g.flush(nil)
	g.journal.mu.Lock()
	list := g.journal.queue
	g.journal.queue = nil
	g.journal.mu.Unlock()
	if len(list) > 0 {
		g.write(nil, list)
	}
}
