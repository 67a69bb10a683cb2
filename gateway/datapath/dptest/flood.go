package dptest

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
)

const flood = 5000

// besides floods with what bad makes, with a healthy packet each way in between,
// and fails unless all of those arrive and nothing grows.
func (f *fixture) besides(bad func(rng *rand.Rand)) {
	f.t.Helper()
	rng := rand.New(rand.NewPCG(5, 6))
	healthy := uint64(0)
	before := f.Path.Stats()
	start := f.usage()
	answers := 0
	for n := range flood {
		bad(rng)
		if n%50 == 49 {
			f.Settle()
			f.ul(100)
			f.dl(200)
			healthy++
		}
		if n%200 == 199 {
			f.NetGot()
			answers += len(f.TowerGot(TowerB))
		}
	}
	f.Settle()
	if c := f.usage().Sub(start); c.ULPackets != healthy || c.DLPackets != healthy || c.ULOctets != 100*healthy {
		f.t.Errorf("%+v, want %d packets each way", c, healthy)
	}
	if s := f.Path.Stats(); s.Sessions != before.Sessions || s.Bearers != before.Bearers || s.Buffered != 0 {
		f.t.Errorf("%+v", s)
	}
	if answers > flood {
		f.t.Errorf("%d answers to a flood of %d", answers, flood)
	}
}

func malformedFlood(t *testing.T, r *Rig) {
	f := setup(t, r)
	good := gtpu.AppendGPDU(nil, f.b.TEID, nil)
	f.besides(func(rng *rand.Rand) {
		b := make([]byte, rng.IntN(64))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		if rng.IntN(2) == 0 { // a header that is right, and nonsense in it
			b = append(append([]byte(nil), good...), b...)
			b[3] = byte(len(b) - 8)
			if len(b) > 8 {
				b[8] = 0x30 // no version of IP
			}
		} else if len(b) > 0 {
			b[0] = 0x50 // no version of GTP
		}
		f.TowerSend(TowerB, b)
	})
}

func teidFlood(t *testing.T, r *Rig) {
	f := setup(t, r)
	before := r.Path.Stats()
	f.besides(func(rng *rand.Rand) {
		teid := id.TEID(rng.Uint32() | 1<<31) // generations nobody has
		f.TowerSend(TowerB, gtpu.AppendGPDU(nil, teid, Packet(ue1, server, 100)))
	})
	s := r.Path.Stats()
	if n := s.Dropped[datapath.ULUnknown] - before.Dropped[datapath.ULUnknown]; n != flood {
		t.Errorf("%d dropped of %d", n, flood)
	}
	if r.Virtual && s.ErrorIndications > 100 {
		t.Errorf("%d error indications in one moment", s.ErrorIndications)
	}
}

func echoFlood(t *testing.T, r *Rig) {
	f := setup(t, r)
	f.besides(func(rng *rand.Rand) { f.TowerSend(TowerB, gtpu.AppendEchoRequest(nil, uint16(rng.Uint32()))) })
}

// gtpInGTP: a phone speaks GTP-U to the gateway, as if it were a tower.
func gtpInGTP(t *testing.T, r *Rig) {
	f := setup(t, r)
	victim := f.second(datapath.Session{IPv4: ue2, Open: true})
	forged := gtpu.AppendGPDU(nil, victim.TEID, Packet(ue2, server, 100))
	before := f.usage()
	for _, to := range []struct {
		b []byte
	}{
		{withPayload(Datagram(at(ue1, gtpu.Port), at(r.Local, gtpu.Port), len(forged)), forged)},
		{withPayload(Datagram(at(ue1, gtpu.Port), at(TowerA, gtpu.Port), len(forged)), forged)},
		{Segment(at(ue1, 4000), at(r.Local, 2123), 2)},
	} {
		f.up(to.b)
	}
	f.dropped(datapath.ULNested, 3)
	if c := f.of(victim.TEID); c.Count != (datapath.Count{}) || len(f.NetGot()) != 0 || f.usage().Sub(before).LostPackets != 3 {
		t.Errorf("%+v, %+v", c.Count, f.usage())
	}
	f.besides(func(*rand.Rand) {
		f.TowerSend(TowerB, gtpu.AppendGPDU(nil, f.b.TEID, withPayload(Datagram(at(ue1, gtpu.Port), at(r.Local, gtpu.Port), len(forged)), forged)))
	})
}

func withPayload(b, payload []byte) []byte {
	copy(b[len(b)-len(payload):], payload)
	return b
}

// flowFlood: one phone opens flows without end; another's stays.
func flowFlood(t *testing.T, r *Rig) {
	f := closed4(t, r)
	other := f.second(datapath.Session{IPv4: ue2})
	f.TowerSend(TowerB, gtpu.AppendGPDU(nil, other.TEID, Datagram(at(ue2, 4000), at(server, 53), 30)))
	f.Settle()
	for n := range 20_000 {
		f.TowerSend(TowerA, gtpu.AppendGPDU(nil, f.b.TEID, Datagram(at(ue1, uint16(n)), at(server, uint16(n>>4|1)), 1)))
		if n%100 == 99 {
			f.Settle()
			f.NetGot()
		}
	}
	f.down(Datagram(at(server, 53), at(ue2, 4000), 100))
	if n := len(f.TowerGot(TowerB)); n != 1 {
		t.Error("another phone's flow is gone")
	}
	if n := r.Path.Stats().Flows; n > 5000 {
		t.Errorf("%d flows", n)
	}
}

// all fails unless every packet of a flood was dropped for that reason.
func (f *fixture) all(before datapath.Stats, d datapath.Drop) {
	f.t.Helper()
	if n := f.Path.Stats().Dropped[d] - before.Dropped[d]; n != flood {
		f.t.Errorf("%v: %d of %d", d, n, flood)
	}
}

// strangersFlood: who is no tower of ours has the healthy bearer's TEID.
func strangersFlood(t *testing.T, r *Rig) {
	f := setup(t, r)
	before := r.Path.Stats()
	f.besides(func(*rand.Rand) { f.TowerSend(TowerB, gtpu.AppendGPDU(nil, f.b.TEID, Packet(ue1, server, 100))) })
	f.all(before, datapath.ULPeer)
}

// spoofedFlood: one phone sends with the address of another; it is lost, and its
// own.
func spoofedFlood(t *testing.T, r *Rig) {
	f := setup(t, r)
	bad := f.second(datapath.Session{IPv4: ue2, Open: true})
	before := r.Path.Stats()
	f.besides(func(rng *rand.Rand) {
		f.TowerSend(TowerB, gtpu.AppendGPDU(nil, bad.TEID, Packet([]netip.Addr{ue1, server}[rng.IntN(2)], server, 100)))
	})
	f.all(before, datapath.ULSpoofed)
	if c := f.of(bad.TEID); c.LostPackets != flood || c.ULPackets != 0 {
		t.Errorf("%+v", c.Count)
	}
}

// errorFlood: another than the bearer's tower says that it does not know the
// bearer.
func errorFlood(t *testing.T, r *Rig) {
	f := setup(t, r)
	before := r.Path.Stats()
	f.besides(func(rng *rand.Rand) {
		f.TowerSend(TowerB, gtpu.AppendErrorIndication(nil, enbTEID, []netip.Addr{TowerA, TowerB}[rng.IntN(2)]))
	})
	f.all(before, datapath.BadError)
	for _, e := range f.events() {
		if e.Kind != datapath.ReportDue {
			t.Errorf("%v", e)
		}
	}
}

// unsolicitedFlood: the internet sends to a phone that has asked for nothing.
func unsolicitedFlood(t *testing.T, r *Rig) {
	f := setup(t, r)
	bad := f.second(datapath.Session{IPv4: ue2})
	before := r.Path.Stats()
	f.besides(func(rng *rand.Rand) {
		f.NetSend(Datagram(at(server, uint16(rng.Uint32())), at(ue2, uint16(rng.Uint32())), 40))
	})
	f.all(before, datapath.DLUnsolicited)
	if c := f.of(bad.TEID); c.Count != (datapath.Count{}) {
		t.Errorf("%+v", c.Count)
	}
}
