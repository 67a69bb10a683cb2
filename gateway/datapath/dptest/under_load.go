package dptest

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
)

// tally is what was delivered: each way by phone, and downlink by tower.
type tally struct{ up, down, tower map[netip.Addr]datapath.Count }

func newTally() *tally {
	return &tally{map[netip.Addr]datapath.Count{}, map[netip.Addr]datapath.Count{}, map[netip.Addr]datapath.Count{}}
}

// take adds what the rig's sinks have got.
func (c *tally) take(f *fixture) {
	for _, b := range f.NetGot() {
		if p, err := datapath.ParsePacket(b); err == nil {
			c.up[p.Src] = c.up[p.Src].Add(datapath.Count{ULOctets: uint64(len(b)), ULPackets: 1})
		}
	}
	for _, tower := range []netip.Addr{TowerA, TowerB} {
		for _, got := range f.towerPackets(tower) {
			for _, b := range got {
				if p, err := datapath.ParsePacket(b); err == nil {
					one := datapath.Count{DLOctets: uint64(len(b)), DLPackets: 1}
					c.down[p.Dst], c.tower[tower] = c.down[p.Dst].Add(one), c.tower[tower].Add(one)
				}
			}
		}
	}
}

func (c *tally) of(ue netip.Addr) datapath.Count { return c.up[ue].Add(c.down[ue]) }

// rounds runs senders side by side, each so often with its number of times, and
// settles and tallies between rounds, which are small enough for any queue.
func (f *fixture) rounds(c *tally, rounds int, senders ...func(rng *rand.Rand)) {
	for n := range rounds {
		var wg sync.WaitGroup
		for i, send := range senders {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(n), uint64(i)))
				for range 40 {
					send(rng)
				}
			})
		}
		wg.Wait()
		f.Settle()
		c.take(f)
	}
}

// sender gives a phone's traffic one way.
func (f *fixture) sender(d datapath.Direction, tower netip.Addr, teid id.TEID, ue netip.Addr) func(*rand.Rand) {
	return func(rng *rand.Rand) {
		size := 48 + rng.IntN(1300)
		if d == datapath.Downlink {
			f.NetSend(Packet(server, ue, size))
		} else {
			f.TowerSend(tower, gtpu.AppendGPDU(nil, teid, Packet(ue, server, size)))
		}
	}
}

func twoSenders(t *testing.T, r *Rig) {
	f, c := setup(t, r), newTally()
	up := func(tower netip.Addr) func(*rand.Rand) { return f.sender(datapath.Uplink, tower, f.b.TEID, ue1) }
	down := f.sender(datapath.Downlink, netip.Addr{}, 0, ue1)
	f.rounds(c, 25, up(TowerA), up(TowerB), up(TowerA), up(TowerB), down, down)
	if got := f.usage(); got != c.of(ue1) || got.ULPackets == 0 || got.DLPackets == 0 {
		t.Errorf("counted %+v, delivered %+v", got, c.of(ue1))
	}
}

// phone is one of many, numbered from 0.
func phone(n int) (netip.Addr, datapath.Session, datapath.Bearer) {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 10<<24|45<<16|uint32(n+256))
	ue := netip.AddrFrom4(a)
	s := datapath.Session{ID: datapath.SessionID(100 + n), IPv4: ue, Open: true}
	return ue, s, datapath.Bearer{TEID: id.TEID(1<<datapath.SlotBits | (100 + n)), Session: s.ID, Default: true, Tunnel: datapath.Tunnel{Peer: TowerA, TEID: id.TEID(0x10000 + n)}}
}

func thousand(t *testing.T, r *Rig) {
	f, c := setup(t, r), newTally()
	const n = 1000
	before := r.Path.Stats()
	for i := range n {
		_, s, b := phone(i)
		if err := r.Path.PutSession(s); err != nil {
			t.Fatal(err)
		}
		if err := r.Path.PutBearer(b); err != nil {
			t.Fatal(err)
		}
	}
	anyone := func(d datapath.Direction) func(*rand.Rand) {
		return func(rng *rand.Rand) {
			ue, _, b := phone(rng.IntN(n))
			f.sender(d, TowerA, b.TEID, ue)(rng)
		}
	}
	f.rounds(c, 100, anyone(datapath.Uplink), anyone(datapath.Downlink), anyone(datapath.Uplink), anyone(datapath.Downlink))
	var sum datapath.Count
	for i := range n {
		ue, _, b := phone(i)
		u, err := r.Path.RemoveBearer(b.TEID)
		if err != nil || u.Count != c.of(ue) {
			t.Errorf("%v: counted %+v, delivered %+v, %v", ue, u.Count, c.of(ue), err)
		}
		sum = sum.Add(u.Count)
	}
	if s := r.Path.Stats(); s.Bearers != before.Bearers || sum.ULPackets != s.ULPackets-before.ULPackets || sum.DLPackets != s.DLPackets-before.DLPackets || sum.ULPackets < n {
		t.Errorf("%+v, sum %+v", s, sum)
	}
}

func deletionUnderLoad(t *testing.T, r *Rig) {
	f, c := setup(t, r), newTally()
	for i := range 40 {
		ue, s, b := phone(i)
		if err := r.Path.PutSession(s); err != nil {
			t.Fatal(err)
		}
		if err := r.Path.PutBearer(b); err != nil {
			t.Fatal(err)
		}
		var final datapath.Usage
		n := 0
		f.rounds(c, 1, f.sender(datapath.Uplink, TowerA, b.TEID, ue), f.sender(datapath.Downlink, TowerA, b.TEID, ue), func(*rand.Rand) {
			if n++; n == 5+i%30 {
				u, err := r.Path.RemoveBearer(b.TEID)
				if err != nil {
					t.Error(err)
				}
				final = u
			}
		})
		if final.Count != c.of(ue) {
			t.Errorf("phone %d: final count %+v, delivered %+v", i, final.Count, c.of(ue))
		}
		if err := r.Path.RemoveSession(s.ID); err != nil {
			t.Error(err)
		}
	}
}

func handoverUnderLoad(t *testing.T, r *Rig) {
	f, c := setup(t, r), newTally()
	tunnels := [2]datapath.Tunnel{f.b.Tunnel, {Peer: TowerB, TEID: 0x2002}}
	var carried [2]datapath.Count // by tower, as the switches split it
	var last datapath.Count
	now, n := 0, 0
	down := f.sender(datapath.Downlink, TowerA, f.b.TEID, ue1)
	f.rounds(c, 40, f.sender(datapath.Uplink, TowerA, f.b.TEID, ue1), down, func(rng *rand.Rand) {
		down(rng)
		if n++; n%13 == 0 {
			u, err := r.Path.UpdateBearer(f.b.TEID, tunnels[1-now])
			if err != nil {
				t.Error(err)
			}
			carried[now] = carried[now].Add(u.Sub(last))
			last, now = u.Count, 1-now
		}
	})
	carried[now] = carried[now].Add(f.usage().Sub(last))
	if got := f.usage(); got != c.of(ue1) || carried[0].Add(carried[1]) != got {
		t.Errorf("counted %+v, delivered %+v; split %+v", got, c.of(ue1), carried)
	}
	for i, tunnel := range tunnels {
		if d := c.tower[tunnel.Peer]; d.DLPackets == 0 || d.DLOctets != carried[i].DLOctets || d.DLPackets != carried[i].DLPackets {
			t.Errorf("tower %v got %+v, the count says %+v", tunnel.Peer, d, carried[i])
		}
	}
}

func quotaUnderLoad(t *testing.T, r *Rig) {
	f, c := setup(t, r), newTally()
	const bound = 1_000_000
	r.Path.SetQuota(f.b.Session, datapath.Quota{Octets: bound})
	up, down := f.sender(datapath.Uplink, TowerA, f.b.TEID, ue1), f.sender(datapath.Downlink, TowerA, f.b.TEID, ue1)
	f.rounds(c, 20, up, down, up, down)
	got := f.usage()
	if got != c.of(ue1) || got.Octets() > bound || got.Octets() < bound-1400 {
		t.Errorf("counted %+v, delivered %+v, quota %d", got, c.of(ue1), bound)
	}
	if n, _ := r.Path.Charged(f.b.Session); n != got.Octets() {
		t.Errorf("charged %d, counted %d", n, got.Octets())
	}
}

func restart(t *testing.T, with With) {
	config := Config{File: filepath.Join(t.TempDir(), "table"), Services: priced.Services}
	sponsor := netip.MustParseAddr("198.51.100.9")
	var last datapath.Usage
	with(t, config, func(t *testing.T, r *Rig) {
		f := setup(t, r)
		r.Path.SetQuota(f.b.Session, datapath.Quota{Octets: 1000})
		f.ul(300)
		f.dl(200)
		f.up(Packet(ue1, sponsor, 100))
		last = f.of(f.b.TEID)
		other := f.second(datapath.Session{IPv4: ue2, Open: true})
		f.down(Packet(server, ue2, 150))
		if u, err := r.Path.RemoveBearer(other.TEID); err != nil || u.DLOctets != 150 {
			t.Errorf("%+v, %v", u, err)
		}
	})
	with(t, config, func(t *testing.T, r *Rig) {
		f := &fixture{r, t, datapath.Bearer{TEID: 1<<datapath.SlotBits | 5, Session: 7, Default: true, Resume: true, Tunnel: datapath.Tunnel{Peer: TowerA, TEID: enbTEID}}, ue1}
		s := datapath.Session{ID: 7, IPv4: ue1, Open: true, Resume: true}
		other := datapath.Bearer{TEID: 1<<datapath.SlotBits | 9, Session: 8, Default: true, Resume: true}
		for _, err := range []error{r.Path.PutSession(s), r.Path.PutBearer(f.b), r.Path.PutSession(datapath.Session{ID: 8, IPv4: ue2, Resume: true}), r.Path.PutBearer(other)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if u := f.of(f.b.TEID); u != last {
			t.Errorf("resumed %+v, was %+v", u, last)
		}
		if u := f.of(other.TEID); u.DLOctets != 150 {
			t.Errorf("the last count of a bearer that was removed: %+v", u)
		}
		r.Path.SetQuota(f.b.Session, datapath.Quota{Octets: 1000})
		f.ul(500) // to the octet: 300+200 were charged before
		f.ul(20)
		f.dropped(datapath.ULQuota, 1)
		if u := f.of(f.b.TEID); u.ULOctets != 900 || u.Class[1].ULOctets != 100 {
			t.Errorf("%+v", u)
		}
	})
	with(t, config, func(t *testing.T, r *Rig) { // the same slot, but not the same bearer
		f := setup(t, r)
		if n, _ := r.Path.Charged(f.b.Session); n != 0 || f.of(f.b.TEID) != (datapath.Usage{}) {
			t.Errorf("%d charged, %+v", n, f.of(f.b.TEID))
		}
	})
}

func restartUnderLoad(t *testing.T, with With) {
	config := Config{File: filepath.Join(t.TempDir(), "table")}
	c := newTally()
	for life := range 4 {
		with(t, config, func(t *testing.T, r *Rig) {
			f := &fixture{r, t, datapath.Bearer{TEID: 1<<datapath.SlotBits | 5, Session: 7, Default: true, Resume: true, Tunnel: datapath.Tunnel{Peer: TowerA, TEID: enbTEID}}, ue1}
			s := datapath.Session{ID: 7, IPv4: ue1, Open: true, Resume: true}
			if err := r.Path.PutSession(s); err != nil {
				t.Fatal(err)
			}
			if err := r.Path.PutBearer(f.b); err != nil {
				t.Fatal(err)
			}
			if got := f.usage(); got != c.of(ue1) {
				t.Errorf("life %d: resumed %+v, delivered %+v", life, got, c.of(ue1))
			}
			f.rounds(c, 5, f.sender(datapath.Uplink, TowerA, f.b.TEID, ue1), f.sender(datapath.Downlink, TowerA, f.b.TEID, ue1))
			if got := f.usage(); got != c.of(ue1) || got.ULPackets == 0 {
				t.Errorf("life %d: counted %+v, delivered %+v", life, got, c.of(ue1))
			}
		})
	}
}
