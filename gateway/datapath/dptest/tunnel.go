package dptest

import (
	"errors"
	"math/rand/v2"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath"
)

func endMarker(t *testing.T, r *Rig) {
	f := setup(t, r)
	f.update(datapath.Tunnel{Peer: TowerB, TEID: 0x2002})
	got := f.TowerGot(TowerA)
	if len(got) != 1 {
		t.Fatalf("tower A got %d datagrams, want an End Marker", len(got))
	}
	if m, err := gtpu.Parse(got[0]); err != nil || m.Type != gtpu.EndMarker || m.TEID != enbTEID {
		t.Errorf("%v %v %v", m.Type, m.TEID, err)
	}
	f.TowerSend(TowerA, gtpu.AppendEndMarker(nil, f.b.TEID)) // one that comes does no harm
	f.ul(100)
	if c := f.usage(); c.ULPackets != 1 || r.Path.Stats().EndMarkers != 1 {
		t.Errorf("%+v", c)
	}
}

func removal(t *testing.T, r *Rig) {
	f := setup(t, r)
	for range 50 {
		f.TowerSend(TowerA, gtpu.AppendGPDU(nil, f.b.TEID, Packet(ue1, server, 100)))
		f.NetSend(Packet(server, ue1, 200))
	}
	f.Settle()
	c, err := r.Path.RemoveBearer(f.b.TEID)
	if err != nil {
		t.Fatal(err)
	}
	if c.Count != (datapath.Count{ULOctets: 5000, ULPackets: 50, DLOctets: 10_000, DLPackets: 50}) {
		t.Errorf("final count %+v", c)
	}
	up := len(f.NetGot())
	f.TowerGot(TowerA)
	f.ul(100)
	f.dl(100)
	if n := len(f.NetGot()); n != 0 || up != 50 {
		t.Errorf("%d packets before, %d after removal", up, n)
	}
	f.dropped(datapath.ULUnknown, 1)
	f.dropped(datapath.DLNoBearer, 1)
	if _, err := r.Path.RemoveBearer(f.b.TEID); !errors.Is(err, datapath.ErrUnknown) {
		t.Errorf("second removal: %v", err)
	}
	if err := r.Path.RemoveSession(f.b.Session); err != nil {
		t.Error(err)
	}
	if err := r.Path.SetQuota(f.b.Session, datapath.Quota{Octets: 1}); !errors.Is(err, datapath.ErrUnknown) {
		t.Errorf("quota of a session that has ended: %v", err)
	}
}

func errorIndication(t *testing.T, r *Rig) {
	f := setup(t, r)
	f.TowerSend(TowerA, gtpu.AppendErrorIndication(nil, enbTEID, TowerA))
	f.Settle()
	f.only(datapath.ErrorIndication)
	f.dl(100)
	f.only(datapath.DownlinkData)
	if got := f.TowerGot(TowerA); len(got) != 0 {
		t.Errorf("%d datagrams into the lost tunnel", len(got))
	}
}

func strangersError(t *testing.T, r *Rig) {
	f := setup(t, r)
	f.TowerSend(TowerB, gtpu.AppendErrorIndication(nil, enbTEID, TowerA))
	f.TowerSend(TowerB, gtpu.AppendErrorIndication(nil, enbTEID, TowerB))
	f.TowerSend(TowerA, gtpu.AppendErrorIndication(nil, enbTEID+1, TowerA))
	f.Settle()
	f.only()
	f.dropped(datapath.BadError, 3)
	f.dl(100)
	if sizes, _ := f.payloads(TowerA, enbTEID); len(sizes) != 1 {
		t.Error("the bearer was made idle by a stranger")
	}
}

func echo(t *testing.T, r *Rig) {
	f := setup(t, r)
	f.TowerSend(TowerA, gtpu.AppendEchoRequest(nil, 0x4711))
	f.Settle()
	got := f.TowerGot(TowerA)
	if len(got) != 1 {
		t.Fatalf("%d datagrams", len(got))
	}
	if m, err := gtpu.Parse(got[0]); err != nil || m.Type != gtpu.EchoResponse || !m.HasSequence || m.Sequence != 0x4711 {
		t.Errorf("%+v, %v", m, err)
	}
}

func headers(t *testing.T, r *Rig) {
	f := setup(t, r)
	p := Packet(ue1, server, 100)
	send := func(m gtpu.Message) {
		m.Type, m.TEID, m.Payload = gtpu.GPDU, f.b.TEID, p
		b, err := m.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		f.TowerSend(TowerA, b)
		f.Settle()
	}
	send(gtpu.Message{HasSequence: true, Sequence: 9})
	var pdcp gtpu.Message
	pdcp.AddExtension(gtpu.PDCPNumber, []byte{0, 1})
	send(pdcp)
	var optional gtpu.Message
	optional.AddExtension(0x21, []byte{0, 1})
	send(optional)
	if c := f.usage(); c.ULPackets != 3 || c.ULOctets != 300 {
		t.Errorf("%+v", c)
	}
	var unknown gtpu.Message
	unknown.AddExtension(0xfe, []byte{0, 1})
	send(unknown)
	f.dropped(datapath.ULExtension, 1)
	got := f.TowerGot(TowerA)
	if len(got) != 1 {
		t.Fatalf("%d datagrams", len(got))
	}
	if m, err := gtpu.Parse(got[0]); err != nil || m.Type != gtpu.SupportedHeaders {
		t.Errorf("%v, %v", m.Type, err)
	}
}

func report(t *testing.T, r *Rig) {
	f := setup(t, r)
	n := int(r.ReportOctets/1000) + 1
	for range 2 * n {
		f.ul(1000)
	}
	got := f.events()
	if len(got) != 2 || got[0].Kind != datapath.ReportDue || got[1].Kind != datapath.ReportDue || got[0].Session != f.b.Session {
		t.Errorf("events %v, want two reports due", got)
	}
}

func garbage(t *testing.T, r *Rig) {
	f := setup(t, r)
	rng := rand.New(rand.NewPCG(3, 4))
	good := gtpu.AppendGPDU(nil, f.b.TEID, Packet(ue1, server, 60))
	for range 2000 {
		b := append([]byte(nil), good[:rng.IntN(len(good))]...)
		for range 1 + rng.IntN(3) {
			if len(b) > 0 {
				b[rng.IntN(len(b))] ^= byte(1 << rng.IntN(8))
			}
		}
		f.TowerSend(TowerA, b)
		f.NetSend(b)
		f.Settle()
		for _, p := range f.NetGot() {
			if len(p) < 20 {
				t.Fatalf("handed on %x", p)
			}
		}
		f.TowerGot(TowerA)
	}
	f.update(f.b.Tunnel)
	before := f.usage().ULPackets
	f.ul(60)
	if f.usage().ULPackets != before+1 {
		t.Error("the data path stopped")
	}
}

func taken(t *testing.T, r *Rig) {
	f := setup(t, r)
	if err := r.Path.PutSession(datapath.Session{ID: 8, IPv4: ue1}); !errors.Is(err, datapath.ErrTaken) {
		t.Errorf("same address: %v", err)
	}
	if err := r.Path.PutSession(datapath.Session{ID: f.b.Session, IPv4: ue2}); !errors.Is(err, datapath.ErrTaken) {
		t.Errorf("same session: %v", err)
	}
	for _, c := range []struct {
		why    string
		change func(*datapath.Bearer)
		want   error
	}{
		{"same slot", func(b *datapath.Bearer) { b.TEID += 1 << datapath.SlotBits }, datapath.ErrTaken},
		{"second default bearer", func(b *datapath.Bearer) { b.TEID++ }, datapath.ErrTaken},
		{"no session", func(b *datapath.Bearer) { b.TEID++; b.Session = 99 }, datapath.ErrUnknown},
		{"TEID 0", func(b *datapath.Bearer) { b.TEID = 0 }, datapath.ErrSlot},
		{"half an upstream tunnel", func(b *datapath.Bearer) { b.TEID++; b.Default = false; b.UpstreamTEID = b.TEID + 1 }, datapath.ErrInvalid},
	} {
		b := f.b
		c.change(&b)
		if err := r.Path.PutBearer(b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.why, err, c.want)
		}
	}
	if err := r.Path.RemoveSession(f.b.Session); !errors.Is(err, datapath.ErrBusy) {
		t.Errorf("a session with a bearer: %v", err)
	}
}

func suspended(t *testing.T, r *Rig) {
	f := setup(t, r)
	f.update(datapath.Tunnel{})
	if err := r.Path.UpdatePolicy(f.b.TEID, datapath.Policy{Suspended: true}); err != nil {
		t.Fatal(err)
	}
	f.dl(100)
	f.only()
	f.dropped(datapath.DLBuffer, 1)
	r.Path.UpdatePolicy(f.b.TEID, datapath.Policy{})
	f.dl(200)
	f.only(datapath.DownlinkData)
	f.update(f.b.Tunnel)
	if sizes, _ := f.payloads(TowerA, enbTEID); len(sizes) != 1 || sizes[0] != 200 {
		t.Errorf("flushed %v", sizes)
	}
}

func fewBuffered(t *testing.T, r *Rig) {
	f := setup(t, r)
	if err := r.Path.UpdatePolicy(f.b.TEID, datapath.Policy{Buffer: 3}); err != nil {
		t.Fatal(err)
	}
	f.update(datapath.Tunnel{})
	for n := range 5 {
		f.dl(100 + n)
	}
	f.only(datapath.DownlinkData)
	f.dropped(datapath.DLBuffer, 2)
	f.update(f.b.Tunnel)
	if sizes, _ := f.payloads(TowerA, enbTEID); len(sizes) != 3 || sizes[2] != 102 {
		t.Errorf("flushed %v, want the first three", sizes)
	}
}
