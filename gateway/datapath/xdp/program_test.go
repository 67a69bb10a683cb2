//go:build linux

package xdp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/table"
)

var (
	local4t  = netip.MustParseAddr("192.0.2.9")
	local6t  = netip.MustParseAddr("2001:db8:9::9")
	tower4   = netip.MustParseAddr("192.0.2.1")
	tower6   = netip.MustParseAddr("2001:db8:9::1")
	phone4   = netip.MustParseAddr("10.45.0.2")
	phone6   = netip.MustParseAddr("2001:db8:45:2::7")
	other4   = netip.MustParseAddr("10.45.0.3")
	server4  = netip.MustParseAddr("198.51.100.34")
	server6  = netip.MustParseAddr("2001:db8:99::34")
	ourMAC   = []byte{2, 0, 0, 0, 0, 9}
	theirMAC = []byte{2, 0, 0, 0, 0, 1}
)

const (
	slot = 5
	teid = 1<<datapath.SlotBits | slot
)

// needBPF ends the test where programs cannot be loaded. A machine that could and
// fails otherwise is a failure.
func needBPF(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, ErrUnsupported) {
		t.Skip("no packet programs here: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// bench is the programs with one session of one bearer, and no network.
type bench struct {
	*kernel
	t   *testing.T
	tab *table.Table
	rt  routing
}

func newBench(t *testing.T, set map[string]any) *bench {
	t.Helper()
	if set == nil {
		set = map[string]any{}
	}
	set[gatewayVarLocal4] = binary.NativeEndian.Uint32(local4t.AsSlice())
	var v6 [4]uint32
	for i := range v6 {
		v6[i] = binary.NativeEndian.Uint32(local6t.AsSlice()[4*i:])
	}
	set[gatewayVarLocal6] = v6
	k, err := load("", sizes{slots: 64, flows: 1024, hops: 8, classes: true}, set)
	needBPF(t, err)
	t.Cleanup(func() { k.Close() })
	tab, err := table.Over(k.sessions, k.bearers, k.classes)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{kernel: k, t: t, tab: tab}
	b.reset(t)
	return b
}

// reset makes it as new, for another test.
func (b *bench) reset(t *testing.T) {
	b.t = t
	for i := range 3 {
		b.hops[i] = hop{Device: 1, MTU: 1500, DMAC: macWord(theirMAC), SMAC: macWord(ourMAC)}
	}
	b.rt = routing{Hop4: 2, Hop6: 2, Near4s: 1, Ifindex: [maxDevices]uint32{1}, MAC: [maxDevices]uint64{macWord(ourMAC)}}
	b.rt.Near4[0] = [2][4]byte{{10, 45, 0, 0}, {255, 255, 0, 0}}
	b.must(b.setRouting(&b.rt))
	b.must(b.coll.Maps[gatewayMapDevices].Put(uint32(0), uint32(1)))
	b.zero(slot)
	b.tab.TakeSession(3, 77, false)
	b.tab.TakeBearer(slot, teid, 3, false)
	p := policy{TEID: teid, Session: 3, Hop: 0, UE4: phone4.As4(), UE6: first8(phone6), PeerTEID: [4]byte{0, 0, 0x10, 1}, TOS: 46 << 2}
	copy(p.Peer[:], tower4.AsSlice())
	b.policies[slot] = p
	b.must(b.coll.Maps[gatewayMapUe4s].Put(phone4.As4(), uint32(slot)))
	b.must(b.coll.Maps[gatewayMapUe6s].Put(first8(phone6), uint32(slot)))
	b.must(b.coll.Maps[gatewayMapUe4s].Put(other4.As4(), uint32(slot+1)))
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

const (
	xdpDrop     = 1
	xdpPass     = 2
	xdpRedirect = 4
)

// run gives a frame to a program.
func (b *bench) run(program string, frame []byte) (verdict uint32, out []byte) {
	b.t.Helper()
	if len(frame) < 60 {
		frame = append(frame, make([]byte, 60-len(frame))...)
	}
	verdict, out, err := b.coll.Programs[program].Test(frame)
	b.must(err)
	return verdict, out
}

func (b *bench) usage() (c datapath.Count) {
	sum := b.count(slot)
	c = b.tab.Usage(slot).Count
	c.ULOctets += sum.ULOctets
	c.ULPackets += sum.ULPackets
	c.DLOctets += sum.DLOctets
	c.DLPackets += sum.DLPackets
	return c
}

func (b *bench) reason(i int) uint64 {
	b.t.Helper()
	c, err := b.stats()
	b.must(err)
	return c.Reason[i]
}
