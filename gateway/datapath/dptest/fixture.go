package dptest

import (
	"net/netip"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
)

// fixture is a rig with an open session and its default bearer, active at TowerA.
type fixture struct {
	*Rig
	t  *testing.T
	b  datapath.Bearer
	ue netip.Addr
}

const enbTEID = id.TEID(0x1001)

func setup(t *testing.T, r *Rig) *fixture {
	t.Helper()
	return setupSession(t, r, datapath.Session{IPv4: ue1, Open: true})
}

// setupSession is setup with another session.
func setupSession(t *testing.T, r *Rig, s datapath.Session) *fixture {
	t.Helper()
	s.ID = 7
	f := &fixture{r, t, datapath.Bearer{TEID: 1<<datapath.SlotBits | 5, Session: s.ID, Default: true, Tunnel: datapath.Tunnel{Peer: TowerA, TEID: enbTEID}}, s.IPv4}
	if !f.ue.IsValid() {
		f.ue = ue6
	}
	if err := r.Path.PutSession(s); err != nil {
		t.Fatal(err)
	}
	if err := r.Path.PutBearer(f.b); err != nil {
		t.Fatal(err)
	}
	return f
}

// server is one of the phone's IP version.
func (f *fixture) server() netip.Addr {
	if f.ue.Is6() {
		return server6
	}
	return server
}

// up has the phone send a packet, and settles.
func (f *fixture) up(b []byte) {
	f.TowerSend(TowerA, gtpu.AppendGPDU(nil, f.b.TEID, b))
	f.Settle()
}

// down injects a packet, and settles.
func (f *fixture) down(b []byte) {
	f.NetSend(b)
	f.Settle()
}

// dedicated puts another bearer of the session.
func (f *fixture) dedicated(slot uint32, enb id.TEID, p datapath.Policy) datapath.Bearer {
	f.t.Helper()
	b := datapath.Bearer{TEID: id.TEID(1<<datapath.SlotBits | slot), Session: f.b.Session, Tunnel: datapath.Tunnel{Peer: TowerA, TEID: enb}, Policy: p}
	if err := f.Path.PutBearer(b); err != nil {
		f.t.Fatal(err)
	}
	return b
}

// of reads the count of another bearer.
func (f *fixture) of(teid id.TEID) datapath.Usage {
	f.t.Helper()
	u, err := f.Path.Usage(teid)
	if err != nil {
		f.t.Fatal(err)
	}
	return u
}

// towerPackets parses the G-PDUs at a tower, by TEID.
func (f *fixture) towerPackets(tower netip.Addr) map[id.TEID][][]byte {
	f.t.Helper()
	got := map[id.TEID][][]byte{}
	for _, d := range f.TowerGot(tower) {
		if m, err := gtpu.Parse(d); err == nil && m.Type == gtpu.GPDU {
			got[m.TEID] = append(got[m.TEID], m.Payload)
		}
	}
	return got
}

// ul sends one packet of the phone and settles.
func (f *fixture) ul(size int) {
	f.up(Packet(f.ue, f.server(), size))
}

// dl injects one packet for the phone and settles.
func (f *fixture) dl(size int) {
	f.down(Packet(f.server(), f.ue, size))
}

func (f *fixture) usage() datapath.Count {
	f.t.Helper()
	u, err := f.Path.Usage(f.b.TEID)
	if err != nil {
		f.t.Fatal(err)
	}
	return u.Count
}

func (f *fixture) update(tun datapath.Tunnel) datapath.Count {
	f.t.Helper()
	u, err := f.Path.UpdateBearer(f.b.TEID, tun)
	if err != nil {
		f.t.Fatal(err)
	}
	f.Settle()
	return u.Count
}

func (f *fixture) dropped(d datapath.Drop, want uint64) {
	f.t.Helper()
	if got := f.Path.Stats().Dropped[d]; got != want {
		f.t.Errorf("dropped %v: %d, want %d", d, got, want)
	}
}

// events takes what waits.
func (f *fixture) events() []datapath.Event {
	var all []datapath.Event
	for {
		select {
		case e := <-f.Path.Events():
			all = append(all, e)
		default:
			return all
		}
	}
}

// only fails unless events are exactly those kinds, all of the fixture.
func (f *fixture) only(kinds ...datapath.Kind) {
	f.t.Helper()
	got := f.events()
	ok := len(got) == len(kinds)
	for i := 0; ok && i < len(got); i++ {
		want := datapath.Event{Kind: kinds[i], TEID: f.b.TEID, Session: f.b.Session}
		if want.Kind == datapath.ErrorIndication {
			want.Tunnel = f.b.Tunnel
		}
		ok = got[i] == want
	}
	if !ok {
		f.t.Errorf("events %v, want %v", got, kinds)
	}
}

// payloads parses datagrams at a tower: all must be G-PDUs to teid.
func (f *fixture) payloads(tower netip.Addr, teid id.TEID) (sizes []int, octets uint64) {
	f.t.Helper()
	for _, d := range f.TowerGot(tower) {
		m, err := gtpu.Parse(d)
		if err != nil || m.Type != gtpu.GPDU || m.TEID != teid {
			f.t.Errorf("tower got %v for %v (%v), want a G-PDU for %v", m.Type, m.TEID, err, teid)
			continue
		}
		sizes = append(sizes, len(m.Payload))
		octets += uint64(len(m.Payload))
	}
	return sizes, octets
}
