// Package dptest is the conformance suite of gateway/datapath: what every back
// end must do with packets, counts, quotas and events. A back end's test hands
// it a way to make rigs. It tests no speed.
package dptest

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway/datapath"
)

// Rig is a data path between towers and a packet network that a test plays.
type Rig struct {
	Path datapath.Path
	// Local is the data path's GTP-U address.
	Local netip.Addr
	// TowerSend has the tower at an address (port 2152) send a datagram.
	TowerSend func(tower netip.Addr, b []byte)
	// TowerGot gives the datagrams that arrived there since it was last asked.
	TowerGot func(tower netip.Addr) [][]byte
	// NetSend injects a packet from the packet network.
	NetSend func(b []byte)
	// NetGot gives the packets the data path handed on since it was last asked.
	NetGot func() [][]byte
	// NetRefuses makes the packet network take nothing, or take packets again.
	NetRefuses func(bool)
	// Settle waits until all that was sent has been dealt with.
	Settle func()
	// BufferPackets and ReportOctets are what the back end was configured with.
	BufferPackets int
	ReportOctets  uint64
}

// Towers that a rig must let TowerSend and TowerGot speak for.
var (
	TowerA = netip.MustParseAddr("127.77.0.1")
	TowerB = netip.MustParseAddr("127.77.0.2")
)

var (
	ue1    = netip.MustParseAddr("10.45.0.2")
	ue2    = netip.MustParseAddr("10.45.0.3")
	server = netip.MustParseAddr("93.184.216.34")
)

// Run runs the suite. with makes a fresh, served rig, calls body and ends the
// rig; it may wrap body in a synctest bubble.
func Run(t *testing.T, with func(t *testing.T, body func(*testing.T, *Rig))) {
	for _, c := range []struct {
		name string
		body func(*testing.T, *Rig)
	}{
		{"CountsAreExact", exact},
		{"PaddingIsNeitherChargedNorForwarded", padding},
		{"WhatIsNotHandedOnIsNotCharged", refused},
		{"QuotaIsNeverOvershot", quota},
		{"QuotaIsSharedByBothDirections", quotaShared},
		{"SpoofedSourceIsDropped", spoofed},
		{"UnknownTEIDGetsErrorIndication", unknownTEID},
		{"OldGenerationMeansNothing", generation},
		{"IdlePhoneIsBufferedAndToldOnce", idle},
		{"BufferIsBounded", bounded},
		{"DropBufferedForgets", dropBuffered},
		{"UpdateSplitsTheCount", split},
		{"ReplacedTunnelGetsEndMarker", endMarker},
		{"RemovalIsFinal", removal},
		{"ErrorIndicationMakesIdle", errorIndication},
		{"StrangersErrorIndicationDoesNot", strangersError},
		{"EchoIsAnswered", echo},
		{"OptionalHeadersAreUnderstood", headers},
		{"ReportIsDue", report},
		{"GarbageDoesNothing", garbage},
		{"TakenSlotAndAddressAreRefused", taken},
	} {
		t.Run(c.name, func(t *testing.T) { with(t, c.body) })
	}
}

// Packet makes an IPv4 packet of size octets, at least 20; with 28 and more it
// is a UDP datagram without checksum.
func Packet(src, dst netip.Addr, size int) []byte {
	b := make([]byte, size)
	b[0], b[8], b[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(b[2:], uint16(size))
	copy(b[12:], src.AsSlice())
	copy(b[16:], dst.AsSlice())
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum))
	if size >= 28 {
		copy(b[20:], []byte{0x30, 0x39, 0x00, 0x09})
		binary.BigEndian.PutUint16(b[24:], uint16(size-20))
	}
	return b
}

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
	if err := r.Path.PutSession(s); err != nil {
		t.Fatal(err)
	}
	if err := r.Path.PutBearer(f.b); err != nil {
		t.Fatal(err)
	}
	return f
}

// ul sends one packet of the phone and settles.
func (f *fixture) ul(size int) {
	f.TowerSend(TowerA, gtpu.AppendGPDU(nil, f.b.TEID, Packet(f.ue, server, size)))
	f.Settle()
}

// dl injects one packet for the phone and settles.
func (f *fixture) dl(size int) {
	f.NetSend(Packet(server, f.ue, size))
	f.Settle()
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
