//go:build linux

package xdp

import (
	"errors"
	"os"
	"testing"
	"time"

	"github.com/cilium/ebpf/ringbuf"

	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/table"
)

func (b *bench) up(t *testing.T, want uint32, p []byte) {
	t.Helper()
	if v, _ := b.run("towers", up4(p)); v != want {
		t.Errorf("uplink: verdict %d, want %d", v, want)
	}
}

func (b *bench) down(t *testing.T, want uint32, p []byte) {
	t.Helper()
	if v, _ := b.run("network", frame(p)); v != want {
		t.Errorf("downlink: verdict %d, want %d", v, want)
	}
}

// TestQuota: not an octet more than it holds, both directions together; told
// once at the threshold and once at the end; then dropped, or passed to be
// redirected.
func TestQuota(t *testing.T) {
	b := newBench(t, nil)
	s := b.tab.Session(3)
	s.SetQuota(1000, 500)
	b.up(t, xdpRedirect, udp4(400))
	b.down(t, xdpRedirect, down4(400))
	b.up(t, xdpDrop, udp4(201))
	b.down(t, xdpDrop, down4(201))
	b.up(t, xdpRedirect, udp4(200))
	b.down(t, xdpDrop, down4(28))
	if u := b.usage(); s.Charged() != 1000 || u.Octets() != 1000 || b.reason(ulQuota) != 1 || b.reason(dlQuota) != 2 {
		t.Errorf("charged %d, counted %+v", s.Charged(), u)
	}
	b.policies[slot].Flags |= outPass
	b.up(t, xdpPass, udp4(100))
	if v, out := b.run("network", frame(down4(100))); v != xdpPass || len(out) != 114 || out[14] != 0x45 {
		t.Errorf("verdict %d, frame %x", v, out)
	}
	got := b.told(t)
	if len(got) != 2 || got[0] != (event{3, eventCrossed}) || got[1] != (event{3, eventQuota}) {
		t.Errorf("told %v", got)
	}
}

// told reads what waits in the ring.
func (b *bench) told(t *testing.T) (all []event) {
	t.Helper()
	r, err := ringbuf.NewReader(b.coll.Maps[gatewayMapEvents])
	b.must(err)
	defer r.Close()
	r.SetDeadline(time.Now().Add(-time.Second)) // only what is there
	for {
		rec, err := r.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return all
		}
		b.must(err)
		all = append(all, readEvent(rec.RawSample))
	}
}

// TestReports: every so many octets of a session somebody is told.
func TestReports(t *testing.T) {
	b := newBench(t, map[string]any{gatewayVarReport: uint64(1000)})
	for range 25 {
		b.up(t, xdpRedirect, udp4(100))
	}
	if got := b.told(t); len(got) != 2 {
		t.Errorf("told %v, want two crossings", got)
	}
}

// TestRates: a rate that has hardly begun lets its burst through and not more;
// a bearer's own rate takes the place of the session's; who is refused by the
// quota has not used the rate.
func TestRates(t *testing.T) {
	b := newBench(t, nil)
	s, r := b.tab.Session(3), b.tab.Bearer(slot)
	s.UL.SetRate(table.MinRate) // 8 ms an octet
	b.up(t, xdpRedirect, udp4(1000))
	b.up(t, xdpDrop, udp4(28))
	b.down(t, xdpRedirect, down4(1000))
	if u := b.usage(); u.ULOctets != 1000 || u.LostOctets != 28 || s.Charged() != 2028 || b.reason(ulRate) != 1 {
		t.Errorf("%+v, charged %d", u, s.Charged())
	}
	r.UL.SetRate(1 << 40)
	b.policies[slot].Flags |= metered
	b.up(t, xdpRedirect, udp4(1000))
	r.DL.SetRate(table.MinRate)
	s.SetQuota(3128, 0)
	b.down(t, xdpDrop, down4(200)) // by the quota
	b.down(t, xdpRedirect, down4(100))
	b.down(t, xdpDrop, down4(28))
	if b.reason(dlQuota) != 1 || b.reason(dlRate) != 1 {
		t.Errorf("quota refused %d, rate %d", b.reason(dlQuota), b.reason(dlRate))
	}
}

// TestFlows: downlink is for flows that the phone has opened; others are dropped
// before they are charged, even while the phone is idle.
func TestFlows(t *testing.T) {
	b := newBench(t, nil)
	close := func() { b.policies[slot].Flags |= closed }
	syn := packet(phone4, server4, 6, segment(5000, 80, 2), nil)
	back := packet(server4, phone4, 6, segment(80, 5000, 0x12), nil)
	echo := func(kind byte) []byte { return []byte{kind, 0, 0, 0, 0x47, 0x11, 0, 1} }
	for _, c := range []struct {
		name   string
		opened []byte
		wanted []byte
		others [][]byte
	}{
		{"UDP", udp4(60), down4(60), [][]byte{packet(server4, phone4, 17, datagram(54, 4000, nil), nil), packet(other4, phone4, 17, datagram(53, 4000, nil), nil), back}},
		{"UDP over IPv6", udp6(60), down6(60), [][]byte{packet(server6, phone6, 17, datagram(53, 4001, nil), nil), down4(60)}},
		{"TCP", syn, back, [][]byte{packet(server4, phone4, 6, segment(80, 5001, 2), nil), down4(60)}},
		{"echo", packet(phone4, server4, 1, echo(8), nil), packet(server4, phone4, 1, echo(0), nil), [][]byte{packet(other4, phone4, 1, echo(0), nil)}},
		{"other", packet(phone4, server4, 47, data(8), nil), packet(server4, phone4, 47, data(8), nil), [][]byte{packet(server4, phone4, 46, data(8), nil)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.reset(t)
			b.policies[slot].Epoch = uint32(len(c.name)) + uint32(c.name[0]) // no flows of other cases
			close()
			before := b.reason(dlUnsolicited)
			b.down(t, xdpDrop, c.wanted)
			b.up(t, xdpRedirect, c.opened)
			b.down(t, xdpRedirect, c.wanted)
			for _, o := range c.others {
				b.down(t, xdpDrop, o)
			}
			if got := b.reason(dlUnsolicited) - before; got != uint64(1+len(c.others)) || b.tab.Session(3).Charged() != uint64(len(c.opened)+len(c.wanted)) {
				t.Errorf("%d unsolicited, charged %d", got, b.tab.Session(3).Charged())
			}
			b.policies[slot].Flags |= slowDown
			b.down(t, xdpPass, c.wanted)
			b.down(t, xdpDrop, c.others[0])
			b.policies[slot].Epoch++ // another phone has the record
			b.down(t, xdpDrop, c.wanted)
		})
	}
	t.Run("fragments and errors are judged elsewhere", func(t *testing.T) {
		b.reset(t)
		close()
		b.down(t, xdpPass, packet(server4, phone4, 17, datagram(1, 2, data(40)), func(h []byte) { h[6] = 0x20 }))
		b.down(t, xdpPass, packet(server4, phone4, 1, append([]byte{3, 1}, data(38)...), nil))
		b.up(t, xdpPass, packet(phone4, server4, 17, data(40), func(h []byte) { h[7] = 3 }))
		b.down(t, xdpPass, packet(server6, phone6, 44, data(40), nil))
	})
	t.Run("opening is bounded", func(t *testing.T) {
		b.reset(t)
		close()
		for i := range 3000 {
			b.up(t, xdpRedirect, packet(phone4, server4, 17, datagram(uint16(i), 9, nil), nil))
		}
		n, unopened := 0, int(b.reason(ulFlows))
		var key flowKey
		var st flowState
		for it := b.coll.Maps[gatewayMapFlows].Iterate(); it.Next(&key, &st); n++ {
		}
		if unopened == 0 || n > 1024 {
			t.Errorf("%d were not opened, %d are", unopened, n)
		}
	})
}

// TestServices: classes are counted apart, and free ones not charged.
func TestServices(t *testing.T) {
	b := newBench(t, map[string]any{gatewayVarHasServices: uint32(1)})
	key := remote{Bits: 96 + 24, Address: mapped(server4)}
	b.must(b.coll.Maps[gatewayMapServices].Put(key, serviceSet{{Low: 53, High: 53, Protocol: 17, Class: 2, Free: 1}, {Class: 5}}))
	b.up(t, xdpRedirect, udp4(100))                                                   // free
	b.down(t, xdpRedirect, down4(200))                                                // free
	b.up(t, xdpRedirect, packet(phone4, server4, 6, segment(1, 80, 2), nil))          // class 5
	b.up(t, xdpRedirect, packet(phone4, netipMust("203.0.113.1"), 17, data(20), nil)) // none
	u := b.tab.Usage(slot)
	if u.Class[2] != (datapath.Count{ULOctets: 100, ULPackets: 1, DLOctets: 200, DLPackets: 1}) || u.Class[5] != (datapath.Count{ULOctets: 40, ULPackets: 1}) {
		t.Errorf("classes %+v", u.Class)
	}
	if c := b.usage(); c.Octets() != 380 || b.tab.Session(3).Charged() != 80 {
		t.Errorf("%+v, charged %d", c, b.tab.Session(3).Charged())
	}
}

// TestFilters: downlink goes to the bearer whose filter takes it first.
func TestFilters(t *testing.T) {
	b := newBench(t, nil)
	const voice = slot + 2
	b.policies[voice] = b.policies[slot]
	b.policies[voice].TEID, b.policies[voice].PeerTEID = teid+2, [4]byte{0, 0, 0x20, 2}
	b.policies[slot].Flags |= filtered
	f := filters{N: 2, Otherwise: slot}
	f.Filter[0] = filter{Slot: noBearer, Has: hasProtocol, Protocol: 6, TOS: 0x20, TOSMask: 0xe0}
	f.Filter[1] = filter{Slot: voice, Family: 4, Has: hasProtocol | hasPorts, Protocol: 17, RemoteLow: 50, RemoteHigh: 60, LocalLow: 4000, LocalHigh: 4000}
	f.Filter[1].Remote = mapped(netipMust("198.51.100.0"))
	f.Filter[1].Mask = mapped(netipMust("255.255.255.0"))
	for i := range 12 {
		f.Filter[1].Mask[i] = 0xff
	}
	b.must(b.coll.Maps[gatewayMapFilters].Put(uint32(slot), f))
	at := func(p []byte) byte {
		_, out := b.run("network", frame(p))
		return out[14+20+8+6]
	}
	for name, c := range map[string]struct {
		p    []byte
		want byte
	}{
		"voice":          {down4(60), 0x20},
		"another remote": {packet(netipMust("198.51.101.1"), phone4, 17, datagram(53, 4000, nil), nil), 0x10},
		"another port":   {packet(server4, phone4, 17, datagram(61, 4000, nil), nil), 0x10},
		"another local":  {packet(server4, phone4, 17, datagram(53, 4001, nil), nil), 0x10},
		"IPv6":           {down6(60), 0x10},
	} {
		if got := at(c.p); got != c.want {
			t.Errorf("%s: to %#x.., want %#x..", name, got, c.want)
		}
	}
	b.down(t, xdpDrop, packet(server4, phone4, 6, segment(1, 2, 2), func(h []byte) { h[1] = 0x2c }))
	if b.reason(dlFilter) != 1 || b.count(voice).DLPackets != 1 || b.count(slot).DLPackets != 4 {
		t.Errorf("voice %+v, default %+v", b.count(voice), b.count(slot))
	}
}

// TestTranslatedIsSlow: where IPv4 inside is translated, none of it goes past
// the kernel.
func TestTranslatedIsSlow(t *testing.T) {
	b := newBench(t, map[string]any{gatewayVarSlow4: uint32(1)})
	b.up(t, xdpPass, udp4(60))
	b.down(t, xdpPass, down4(60))
	b.up(t, xdpRedirect, udp6(60))
	b.down(t, xdpRedirect, down6(60))
}
