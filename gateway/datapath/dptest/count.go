package dptest

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
)

func total(packets [][]byte) (n uint64) {
	for _, p := range packets {
		n += uint64(len(p))
	}
	return n
}

func exact(t *testing.T, r *Rig) { exactly(t, setup(t, r), 20) }

// exactly sends packets of random sizes both ways.
func exactly(t *testing.T, f *fixture, least int) {
	rng := rand.New(rand.NewPCG(1, 2))
	var want datapath.Count
	for range 400 {
		if n := least + rng.IntN(1400-least); rng.IntN(2) == 0 {
			f.ul(n)
			want.ULOctets += uint64(n)
			want.ULPackets++
		} else {
			f.dl(n)
			want.DLOctets += uint64(n)
			want.DLPackets++
		}
	}
	got := f.NetGot()
	sizes, down := f.payloads(TowerA, enbTEID)
	if c := f.usage(); c != want || total(got) != want.ULOctets || down != want.DLOctets || len(sizes) != int(want.DLPackets) {
		t.Errorf("counted %+v, want %+v; delivered %d up, %d down", c, want, total(got), down)
	}
}

func padding(t *testing.T, r *Rig) {
	f := setup(t, r)
	p := Packet(ue1, server, 28)
	f.TowerSend(TowerA, gtpu.AppendGPDU(nil, f.b.TEID, append(p, make([]byte, 18)...)))
	f.NetSend(append(Packet(server, ue1, 40), 0, 0, 0))
	f.Settle()
	up := f.NetGot()
	down, _ := f.payloads(TowerA, enbTEID)
	if len(up) != 1 || !bytes.Equal(up[0], p) || !slices.Equal(down, []int{40}) {
		t.Errorf("up %x, down %v", up, down)
	}
	if c := f.usage(); c.ULOctets != 28 || c.DLOctets != 40 {
		t.Errorf("%+v", c)
	}
}

func refused(t *testing.T, r *Rig) {
	if r.NetRefuses == nil {
		t.Skip("the packet network of this rig takes everything")
	}
	f := setup(t, r)
	r.Path.SetQuota(f.b.Session, datapath.Quota{Octets: 250})
	r.NetRefuses(true)
	f.ul(100)
	f.dropped(datapath.ULPort, 1)
	if c := f.usage(); c != (datapath.Count{LostOctets: 100, LostPackets: 1}) { // the tower has brought it
		t.Errorf("charged %+v", c)
	}
	r.NetRefuses(false)
	f.ul(150)
	if c := f.usage(); c.ULOctets != 150 || c.Octets() != 250 || len(f.NetGot()) != 1 {
		t.Errorf("charged %+v", c)
	}
}

func quota(t *testing.T, r *Rig) {
	f := setup(t, r)
	if err := r.Path.SetQuota(f.b.Session, datapath.Quota{Octets: 100_000}); err != nil {
		t.Fatal(err)
	}
	for range 250 {
		f.ul(512)
	}
	if c := f.usage(); c.ULPackets != 195 || c.ULOctets != 99_840 {
		t.Errorf("%+v, want 195 packets, 99840 octets", c)
	}
	f.dropped(datapath.ULQuota, 55)
	f.ul(160) // what is left to the octet
	f.ul(20)
	if c := f.usage(); c.ULOctets != 100_000 {
		t.Errorf("%+v", c)
	}
	if ev := f.quotaEvents(); ev != 1 {
		t.Errorf("%d events, want one", ev)
	}
	r.Path.SetQuota(f.b.Session, datapath.Quota{Octets: 100_600})
	f.ul(512)
	f.ul(512)
	if c := f.usage(); c.ULOctets != 100_512 || f.quotaEvents() != 1 {
		t.Errorf("after a new quota: %+v", c)
	}
	if err := r.Path.SetQuota(99, datapath.Quota{Octets: 1}); !errors.Is(err, datapath.ErrUnknown) {
		t.Errorf("unknown session: %v", err)
	}
}

func (f *fixture) quotaEvents() (n int) {
	for _, e := range f.events() {
		if e.Kind == datapath.QuotaExhausted {
			n++
		}
	}
	return n
}

func quotaShared(t *testing.T, r *Rig) {
	f := setup(t, r)
	r.Path.SetQuota(f.b.Session, datapath.Quota{Octets: 50_000})
	for range 100 { // both at once: the data path may use two goroutines or cores
		f.TowerSend(TowerA, gtpu.AppendGPDU(nil, f.b.TEID, Packet(ue1, server, 1000)))
		f.NetSend(Packet(server, ue1, 1000))
	}
	f.Settle()
	if c := f.usage(); c.Octets() != 50_000 {
		t.Errorf("%+v, want 50000 together", c)
	}
}

// What a phone sends in vain has been carried all the same: were it not counted,
// any phone could make its tower believe that it is not paid.
func spoofed(t *testing.T, r *Rig) {
	f := setup(t, r)
	f.TowerSend(TowerA, gtpu.AppendGPDU(nil, f.b.TEID, Packet(ue2, server, 100)))
	v6 := make([]byte, 40)
	v6[0], v6[6] = 0x60, 59
	f.TowerSend(TowerA, gtpu.AppendGPDU(nil, f.b.TEID, v6))
	f.Settle()
	f.dropped(datapath.ULSpoofed, 2)
	if got := f.NetGot(); len(got) != 0 || f.usage() != (datapath.Count{LostOctets: 140, LostPackets: 2}) {
		t.Errorf("forwarded %d, counted %+v, want 140 octets", len(got), f.usage())
	}
	f.NetSend(Packet(server, ue2, 60))
	f.Settle()
	f.dropped(datapath.DLUnknown, 1)
}

func unknownTEID(t *testing.T, r *Rig) {
	f := setup(t, r)
	const stranger = id.TEID(0xdeadbeef)
	f.TowerSend(TowerB, gtpu.AppendGPDU(nil, stranger, Packet(ue1, server, 100)))
	f.Settle()
	f.dropped(datapath.ULUnknown, 1)
	got := f.TowerGot(TowerB)
	if len(got) != 1 {
		t.Fatalf("tower got %d datagrams", len(got))
	}
	m, err := gtpu.Parse(got[0])
	if err != nil || m.Type != gtpu.ErrorIndication {
		t.Fatalf("%v, %v", m.Type, err)
	}
	if teid, peer, err := gtpu.ErrorIndicationOf(m); err != nil || teid != stranger || peer != r.Local {
		t.Errorf("%v %v %v", teid, peer, err)
	}
	begun := time.Now()
	for range 1000 {
		f.TowerSend(TowerB, gtpu.AppendGPDU(nil, stranger, nil))
		f.Settle()
	}
	if n := len(f.TowerGot(TowerB)); n > 100*(2+int(time.Since(begun)/time.Second)) {
		t.Errorf("%d error indications for 1000 packets: a reflector", n)
	}
}

func generation(t *testing.T, r *Rig) {
	f := setup(t, r)
	old := f.b.TEID
	if _, err := r.Path.RemoveBearer(old); err != nil {
		t.Fatal(err)
	}
	f.b.TEID, f.b.Session, f.ue = old+1<<datapath.SlotBits, 8, ue2
	if err := errors.Join(r.Path.PutSession(datapath.Session{ID: 8, IPv4: ue2}), r.Path.PutBearer(f.b)); err != nil {
		t.Fatal(err)
	}
	f.TowerSend(TowerA, gtpu.AppendGPDU(nil, old, Packet(ue1, server, 100)))
	f.TowerSend(TowerA, gtpu.AppendGPDU(nil, old, Packet(ue2, server, 100)))
	f.Settle()
	f.dropped(datapath.ULUnknown, 2)
	if _, err := r.Path.Usage(old); !errors.Is(err, datapath.ErrUnknown) {
		t.Errorf("usage of the old TEID: %v", err)
	}
	f.ul(100)
	if c := f.usage(); c.ULPackets != 1 {
		t.Errorf("%+v", c)
	}
}

func idle(t *testing.T, r *Rig) {
	f := setup(t, r)
	f.update(datapath.Tunnel{})
	for n := range 5 {
		f.dl(100 + n)
	}
	f.only(datapath.DownlinkData)
	if got := f.TowerGot(TowerA); len(got) != 0 || f.usage() != (datapath.Count{}) {
		t.Fatalf("%d datagrams to a released tunnel", len(got))
	}
	if s := r.Path.Stats(); s.Buffered != 5 {
		t.Errorf("%d buffered", s.Buffered)
	}
	at := f.update(datapath.Tunnel{Peer: TowerB, TEID: 0x2002})
	sizes, _ := f.payloads(TowerB, 0x2002)
	if !slices.Equal(sizes, []int{100, 101, 102, 103, 104}) || at != (datapath.Count{}) {
		t.Errorf("flushed %v at %+v", sizes, at)
	}
	if c := f.usage(); c.DLOctets != 510 || c.DLPackets != 5 || r.Path.Stats().Buffered != 0 {
		t.Errorf("%+v", c)
	}
	f.update(datapath.Tunnel{}) // idle once more: told once more
	f.dl(60)
	f.only(datapath.DownlinkData)
}

func bounded(t *testing.T, r *Rig) {
	f := setup(t, r)
	f.update(datapath.Tunnel{})
	for range r.BufferPackets + 10 {
		f.dl(100)
	}
	f.dropped(datapath.DLBuffer, 10)
	f.update(f.b.Tunnel)
	if sizes, _ := f.payloads(TowerA, enbTEID); len(sizes) != r.BufferPackets {
		t.Errorf("%d flushed, want %d", len(sizes), r.BufferPackets)
	}
}

func dropBuffered(t *testing.T, r *Rig) {
	f := setup(t, r)
	f.update(datapath.Tunnel{})
	f.dl(100)
	f.dl(100)
	if err := r.Path.DropBuffered(f.b.TEID); err != nil {
		t.Fatal(err)
	}
	f.dropped(datapath.DLBuffer, 2)
	f.dl(70)
	f.update(f.b.Tunnel)
	if sizes, _ := f.payloads(TowerA, enbTEID); !slices.Equal(sizes, []int{70}) {
		t.Errorf("flushed %v", sizes)
	}
	f.only(datapath.DownlinkData)
}

func split(t *testing.T, r *Rig) {
	f := setup(t, r)
	f.ul(300)
	f.dl(500)
	at := f.update(datapath.Tunnel{Peer: TowerB, TEID: 0x2002})
	if at != (datapath.Count{ULOctets: 300, ULPackets: 1, DLOctets: 500, DLPackets: 1}) {
		t.Errorf("count at the switch %+v", at)
	}
	f.dl(40)
	if c := f.usage().Sub(at); c != (datapath.Count{DLOctets: 40, DLPackets: 1}) {
		t.Errorf("count since %+v", c)
	}
	if sizes, _ := f.payloads(TowerB, 0x2002); !slices.Equal(sizes, []int{40}) {
		t.Errorf("tower B got %v", sizes)
	}
}
