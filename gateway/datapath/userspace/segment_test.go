package userspace

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"

	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
)

// segment is a packet of TCP with right checksums that carries n octets from seq on.
func segment(src, dst netip.Addr, seq uint32, flags byte, n int) []byte {
	tcp := make([]byte, 32, 32+n)
	copy(tcp, []byte{0x9c, 0x40, 0, 80, 0, 0, 0, 0, 0, 0, 0, 9, 8 << 4, flags, 0x20, 0, 0, 0, 0, 0, 1, 1, 8, 10, 0, 0, 0, 7, 0, 0, 0, 8})
	binary.BigEndian.PutUint32(tcp[4:], seq)
	for i := range n {
		tcp = append(tcp, byte(seq)+byte(i*7))
	}
	b := dptest.IP(src, dst, datapath.ProtoTCP, tcp)
	if src.Is4() {
		b[6] = 0x40 // DF
	}
	return renewed(b)
}

// renewed makes the checksums of a packet right.
func renewed(b []byte) []byte {
	t := 20
	if b[0]>>4 == 6 {
		t = 40
	}
	resize(b, t, len(b))
	binary.BigEndian.PutUint16(b[t+tcpSum:], 0)
	binary.BigEndian.PutUint16(b[t+tcpSum:], fold(checksum(pseudo(b, t, len(b)), b[t:])))
	return b
}

var ends = [][2]netip.Addr{
	{netip.MustParseAddr("10.45.0.2"), netip.MustParseAddr("93.184.216.34")},
	{netip.MustParseAddr("2001:db8:45:2::5"), netip.MustParseAddr("2001:500:88:200::8")},
}

// whole is the packet that stands for a train, and its offload.
func whole(r *train, all [][]byte) (offload, []byte) {
	b := r.merged(nil, all[len(all)-1])
	for _, p := range all {
		b = append(b, p[r.head:]...)
	}
	return readOffload(b), b[offloadLen:]
}

// same compares packets, but for IPv4's identification, which says nothing of what
// is not fragmented (RFC 6864 §4.1).
func same(a, b []byte) bool {
	if len(a) < 40 || len(a) != len(b) || a[0]>>4 != 4 || b[0]>>4 != 4 {
		return bytes.Equal(a, b)
	}
	return bytes.Equal(a[:4], b[:4]) && bytes.Equal(a[6:10], b[6:10]) && bytes.Equal(a[12:], b[12:]) && fold(checksum(0, b[:20])) == 0
}

// What is merged is what is cut.
func TestTrainIsCutAgain(t *testing.T) {
	for _, e := range ends {
		for _, last := range []int{1400, 1399, 1} {
			var all [][]byte
			var r train
			seq := uint32(0xfffff000)
			for n := 0; n < 40; n, seq = n+1, seq+1400 {
				p := segment(e[0], e[1], seq, tcpACK, 1400)
				if n == 39 {
					p = segment(e[0], e[1], seq, tcpACK|tcpPSH, last)
				}
				all = append(all, p)
				if n == 0 {
					r.begin(p)
				} else if !r.join(p) {
					t.Fatalf("packet %d does not join", n)
				}
			}
			if r.join(segment(e[0], e[1], seq-1400+uint32(last), tcpACK, 10)) {
				t.Error("a train goes on behind its end")
			}
			o, b := whole(&r, all)
			frames, _, ok := o.cut(nil, nil, b)
			if !ok || len(frames) != len(all) {
				t.Fatalf("%d pieces, %v", len(frames), ok)
			}
			for i, f := range frames {
				if len(f) < frameRoom || !same(all[i], f[frameRoom:]) {
					t.Errorf("piece %d: % x, was % x", i, f[:80], all[i][:72])
				}
			}
			if pkt, err := datapath.ParsePacket(b); err != nil || pkt.Size != len(b) {
				t.Errorf("%v, %d of %d octets", err, pkt.Size, len(b))
			}
		}
	}
}

// Each of these says something that the packet before it does not.
func TestOnlyWhatFollowsJoins(t *testing.T) {
	for v, e := range ends {
		at := 20 + 20*v
		first := func() []byte { return segment(e[0], e[1], 1000, tcpACK, 100) }
		next := func() []byte { return segment(e[0], e[1], 1100, tcpACK, 100) }
		joins := func(a, b []byte) bool {
			var r train
			r.begin(a)
			return r.join(b)
		}
		if !joins(first(), next()) {
			t.Fatal("nothing joins")
		}
		change := func(name string, i int, x byte, right bool) {
			t.Helper()
			for _, other := range []bool{false, true} { // the second, and the first
				a, b := first(), next()
				p := b
				if other {
					p = a
				}
				p[i] ^= x
				if right {
					renewed(p)
				}
				if joins(a, b) {
					t.Errorf("IPv%c: %s", "46"[v], name)
				}
			}
		}
		change("another port", at+1, 1, true)
		change("a gap", at+7, 1, true)
		change("another acknowledgement", at+11, 1, true)
		change("another window", at+15, 1, true)
		change("an urgent pointer", at+19, 1, true)
		change("another time stamp", at+27, 1, true)
		for _, flag := range []byte{1, 2, 4, 16, 32, 64, 128} {
			change("another flag", at+13, flag, true)
		}
		change("a wrong checksum of TCP", at+16, 1, false)
		change("data that changed on the way", at+40, 1, false)
		if v == 0 {
			change("another type of service", 1, 4, true)
			change("fewer hops", 8, 1, true)
			change("another server", 19, 1, true)
			change("may be fragmented", 6, 0x40, true)
			change("a fragment", 6, 0x20, true)
			change("a wrong checksum of IP", 10, 1, false)
		} else {
			change("another traffic class", 1, 0x10, true)
			change("fewer hops", 7, 1, true)
			change("another server", 39, 1, true)
		}
		if joins(first(), segment(e[0], e[1], 1100, tcpACK, 101)) || joins(segment(e[0], e[1], 1000, tcpACK|tcpPSH, 100), next()) || joins(first(), segment(e[0], e[1], 1100, tcpACK, 0)) {
			t.Error("longer, behind a push, or empty")
		}
	}
}

// FuzzTrain: two packets that join are the two that are cut again.
func FuzzTrain(f *testing.F) {
	for _, e := range ends {
		f.Add(segment(e[0], e[1], 1000, tcpACK, 100), segment(e[0], e[1], 1100, tcpACK|tcpPSH, 50))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		for _, p := range [][]byte{a, b} {
			if pkt, err := datapath.ParsePacket(p); err != nil || pkt.Size != len(p) {
				return
			}
			if _, _, ok := mergeable(p); ok {
				renewed(p)
			}
		}
		var r train
		if r.begin(a); !r.join(b) {
			return
		}
		o, w := whole(&r, [][]byte{a, b})
		frames, _, ok := o.cut(nil, nil, w)
		if !ok || len(frames) != 2 || !same(a, frames[0][frameRoom:]) || !same(b, frames[1][frameRoom:]) {
			t.Fatalf("% x\n% x\n%v, % x", a, b, ok, frames)
		}
	})
}

// FuzzCut gives the cutter anything.
func FuzzCut(f *testing.F) {
	var r train
	a, b := segment(ends[0][0], ends[0][1], 1000, tcpACK, 100), segment(ends[0][0], ends[0][1], 1100, tcpACK, 50)
	r.begin(a)
	r.join(b)
	f.Add(append(r.merged(nil, b), append(bytes.Clone(a[r.head:]), b[r.head:]...)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) <= offloadLen || len(b) > maxDatagram {
			return
		}
		o, pkt := readOffload(b), b[offloadLen:]
		frames, _, ok := o.cut(nil, nil, bytes.Clone(pkt))
		octets := 0
		for _, f := range frames {
			octets += len(f) - frameRoom
		}
		if ok != (len(frames) > 0) || ok && octets < len(pkt) {
			t.Fatalf("%+v: %d frames with %d octets of %d", o, len(frames), octets, len(pkt))
		}
		o.finish(pkt)
	})
}

// The fast sum is the plain one.
func TestChecksum(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32() | rng.Uint32()) // many carries
		}
		start := rng.Uint32() >> 8
		plain := start
		for i, x := range b {
			plain += uint32(x) << (8 * (1 - i%2))
		}
		if got, want := fold(checksum(start, b)), fold(plain); got != want {
			t.Fatalf("%d octets: %#x, want %#x", n, got, want)
		}
	}
	o := offload{flags: needsChecksum, start: 20, place: tcpSum}
	p := segment(ends[0][0], ends[0][1], 5, tcpACK, 33)
	want := bytes.Clone(p)
	binary.BigEndian.PutUint16(p[36:], ^fold(pseudo(p, 20, len(p))))
	if !o.finish(p) || !bytes.Equal(p, want) {
		t.Errorf("finished % x, want % x", p, want)
	}
	if o.place = 100; o.finish(p) {
		t.Error("a checksum behind the end")
	}
}
