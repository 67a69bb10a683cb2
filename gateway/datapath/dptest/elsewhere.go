package dptest

import (
	"bytes"
	"net/netip"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
)

// upstream: the session's PGW is at TowerB.
func upstream(t *testing.T, r *Rig) {
	const pgw, own = id.TEID(0x9009), id.TEID(1<<datapath.SlotBits | 20)
	f := &fixture{r, t, datapath.Bearer{TEID: 1<<datapath.SlotBits | 5, Session: 7, Default: true, Tunnel: datapath.Tunnel{Peer: TowerA, TEID: enbTEID},
		Upstream: datapath.Tunnel{Peer: TowerB, TEID: pgw}, UpstreamTEID: own}, ue1}
	if err := r.Path.PutSession(datapath.Session{ID: 7}); err != nil {
		t.Fatal(err)
	}
	if err := r.Path.PutBearer(f.b); err != nil {
		t.Fatal(err)
	}
	f.ul(100)
	if sizes, _ := f.payloads(TowerB, pgw); len(sizes) != 1 || sizes[0] != 100 {
		t.Errorf("PGW got %v", sizes)
	}
	fromPGW := func(size int) {
		f.TowerSend(TowerB, gtpu.AppendGPDU(nil, own, Packet(server, ue1, size)))
		f.Settle()
	}
	fromPGW(200)
	if sizes, _ := f.payloads(TowerA, enbTEID); len(sizes) != 1 || sizes[0] != 200 || len(f.NetGot()) != 0 {
		t.Errorf("eNB got %v", sizes)
	}
	f.TowerSend(TowerB, gtpu.AppendEndMarker(nil, own))
	f.Settle()
	if got := f.TowerGot(TowerA); len(got) != 1 {
		t.Errorf("%d datagrams: want the end marker", len(got))
	} else if m, err := gtpu.Parse(got[0]); err != nil || m.Type != gtpu.EndMarker || m.TEID != enbTEID {
		t.Errorf("%v %v, %v", m.Type, m.TEID, err)
	}
	f.update(datapath.Tunnel{})
	fromPGW(300)
	f.only(datapath.DownlinkData)
	f.update(f.b.Tunnel)
	if c := f.usage(); c != (datapath.Count{ULOctets: 100, ULPackets: 1, DLOctets: 500, DLPackets: 2}) {
		t.Errorf("%+v", c)
	}
	f.TowerSend(TowerB, gtpu.AppendErrorIndication(nil, pgw, TowerB))
	f.Settle()
	if got := f.events(); len(got) != 1 || got[0] != (datapath.Event{Kind: datapath.ErrorIndication, TEID: f.b.TEID, Session: f.b.Session, Tunnel: f.b.Upstream}) {
		t.Errorf("%v", got)
	}
	if _, err := r.Path.RemoveBearer(f.b.TEID); err != nil {
		t.Fatal(err)
	}
	fromPGW(100)
	f.dropped(datapath.ULUnknown, 1)
}

func forwarded(t *testing.T, r *Rig) {
	f := setup(t, r)
	const own, target = id.TEID(3<<datapath.SlotBits | 30), id.TEID(0x7007)
	for why, bad := range map[string]error{
		"a bearer's TEID": r.Path.PutForward(f.b.TEID, f.b.Tunnel),
		"no tunnel":       r.Path.PutForward(own, datapath.Tunnel{}),
		"TEID 0":          r.Path.PutForward(0, f.b.Tunnel),
	} {
		if bad == nil {
			t.Errorf("%s is taken", why)
		}
	}
	if err := r.Path.PutForward(own, datapath.Tunnel{Peer: TowerB, TEID: target}); err != nil {
		t.Fatal(err)
	}
	before := r.Path.Stats().Forwarded
	pkt := Packet(server, ue1, 100)
	var pdcp gtpu.Message
	pdcp.Type, pdcp.TEID, pdcp.Payload = gtpu.GPDU, own, pkt
	pdcp.AddExtension(gtpu.PDCPNumber, []byte{0, 9})
	b, err := pdcp.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	f.TowerSend(TowerA, gtpu.AppendGPDU(nil, own, pkt))
	f.TowerSend(TowerA, b)
	f.TowerSend(TowerA, gtpu.AppendEndMarker(nil, own))
	f.Settle()
	got := f.TowerGot(TowerB)
	if len(got) != 3 {
		t.Fatalf("%d datagrams, want 3", len(got))
	}
	for i, d := range got {
		m, err := gtpu.Parse(d)
		if err != nil || m.TEID != target || i < 2 && !bytes.Equal(m.Payload, pkt) || (m.Type == gtpu.EndMarker) != (i == 2) {
			t.Errorf("datagram %d: %v to %v, %v", i, m.Type, m.TEID, err)
		}
	}
	if m, _ := gtpu.Parse(got[1]); !bytes.Equal(got[1][12:16], b[12:16]) {
		t.Errorf("the PDCP number is lost: %+v", m)
	}
	if c := f.usage(); c != (datapath.Count{}) || r.Path.Stats().Forwarded-before != 2 {
		t.Errorf("%+v, %d forwarded", c, r.Path.Stats().Forwarded-before)
	}
	if err := r.Path.RemoveForward(own); err != nil {
		t.Fatal(err)
	}
	f.TowerSend(TowerA, gtpu.AppendGPDU(nil, own, pkt))
	f.Settle()
	f.dropped(datapath.ULUnknown, 1)
	if err := r.Path.RemoveForward(own); err == nil {
		t.Error("removed twice")
	}
}

func capture(t *testing.T, r *Rig) {
	f := setup(t, r)
	type shown struct {
		d datapath.Direction
		n int
	}
	got := make(chan shown, 16)
	if err := r.Path.Capture(f.b.TEID, func(d datapath.Direction, b []byte) { got <- shown{d, len(b)} }); err != nil {
		t.Fatal(err)
	}
	f.ul(100)
	f.dl(200)
	f.NetSend(Packet(server, ue2, 300))
	f.Settle()
	r.Path.Capture(f.b.TEID, nil)
	f.ul(100)
	close(got)
	var all []shown
	for s := range got {
		all = append(all, s)
	}
	if len(all) != 2 || all[0] != (shown{datapath.Uplink, 100}) || all[1] != (shown{datapath.Downlink, 200}) {
		t.Errorf("%v", all)
	}
}

var ours = Config{Towers: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}}

func strangers(t *testing.T, r *Rig) {
	f := setup(t, r)
	f.ul(100)
	f.TowerSend(TowerB, gtpu.AppendGPDU(nil, f.b.TEID, Packet(ue1, server, 100)))
	f.TowerSend(TowerB, gtpu.AppendGPDU(nil, 0xdead, Packet(ue1, server, 100)))
	f.Settle()
	f.dropped(datapath.ULPeer, 2)
	if c := f.usage(); c.ULPackets != 1 || len(f.NetGot()) != 1 || len(f.TowerGot(TowerB)) != 0 {
		t.Errorf("%+v", c)
	}
}
