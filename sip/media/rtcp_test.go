package media

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func (b *bench) report(leg int, octets []byte) []datagram {
	b.t.Helper()
	b.sent = nil
	from := netip.AddrPortFrom(phone.Addr(), phone.Port()+1)
	if leg == 1 {
		from = netip.AddrPortFrom(cell.Addr(), cell.Port()+1)
	}
	b.s.loop.mu.Lock()
	b.s.Leg(leg).datagram(slices.Clone(octets), true, from, b.at)
	b.s.loop.mu.Unlock()
	return b.sent
}

// A report goes across in terms of the stream the other peer has: sources,
// numbers and times fit to the packets it has sent and been sent.
func TestReportsAreTranslated(t *testing.T) {
	b := newBench(t).call([]Format{PCMU}, []Format{PCMU})
	frame := make([]byte, 160)
	b.give(0, phone, rtp(0, 100, 5000, 0x11, frame))
	toCell := b.taken(1)[0]
	b.give(1, cell, rtp(0, 65530, 9000, 0x22, frame))
	b.give(1, cell, rtp(0, 5, 9000+11*160, 0x22, frame))
	toPhone := b.taken(0)

	// The phone: it has sent 1 packet (SSRC 11), and has heard the cell's stream.
	sr := senderReportOf(0x11, 5000+800)
	sr[0], sr[3] = 0x82, 6+12
	block := func(ssrc, highest uint32) []byte {
		k := make([]byte, 24)
		binary.BigEndian.PutUint32(k, ssrc)
		k[4] = 7 // lost of 256
		binary.BigEndian.PutUint32(k[8:], highest)
		return k
	}
	sr = append(sr, block(toPhone[1].ssrc, uint32(toPhone[1].seq))...)
	sr = append(sr, block(0xdead, 1)...)                                                            // of nobody
	sr = append(sr, 0x81, 202, 0, 4, 0, 0, 0, 0x11, 1, 6, 'm', 'e', '@', '1', '0', '.', 0, 0, 0, 0) // its name
	sr = append(sr, 0x81, 203, 0, 1, 0, 0, 0, 0x11)                                                 // BYE
	sent := b.report(0, sr)
	if len(sent) != 1 || !sent[0].control || sent[0].leg != 1 || sent[0].to != netip.AddrPortFrom(cell.Addr(), cell.Port()+1) {
		t.Fatalf("%+v", sent)
	}
	got := sent[0].b
	at := func(i int) uint32 { return binary.BigEndian.Uint32(got[i:]) }
	if !compound(got) || got[0] != 0x81 || got[1] != 200 || len(got) != 28+24+24 {
		t.Fatalf("% x", got)
	}
	if at(4) != toCell.ssrc || at(16) != toCell.ts+800 {
		t.Errorf("source %08x at %d, want %08x at %d", at(4), at(16), toCell.ssrc, toCell.ts+800)
	}
	if at(28) != 0x22 || got[32] != 7 || at(36) != 1<<16+5 {
		t.Errorf("of %08x, highest %#x", at(28), at(36))
	}
	if got[53] != 202 || at(56) != toCell.ssrc || string(got[62:66]) == "me@1" {
		t.Errorf("% x", got[52:])
	}
	if st := b.s.Leg(0).Stats(); st.RTCPIn != 1 || b.s.Leg(1).Stats().RTCPOut != 1 {
		t.Errorf("%+v", st)
	}
}

func TestReportsOfStrangersAndGarbage(t *testing.T) {
	b := newBench(t).call([]Format{PCMU}, []Format{PCMU})
	b.give(0, phone, rtp(0, 1, 1, 0x11, make([]byte, 160)))
	for _, bad := range [][]byte{nil, {0x80}, {0x80, 200, 0, 9, 0, 0, 0, 1}, {0x40, 200, 0, 1, 0, 0, 0, 1}, {0x80, 203, 0, 1, 0, 0, 0, 1}, append(senderReportOf(1, 1), 1, 2, 3)} {
		if got := b.report(0, bad); len(got) != 0 {
			t.Errorf("% x became %+v", bad, got)
		}
	}
	if d := b.s.Leg(0).Stats().Dropped[Garbage]; d != 6 {
		t.Errorf("%d", d)
	}
	b.s.Leg(0).datagram(senderReportOf(0x11, 1), true, netip.MustParseAddrPort("198.51.100.3:5"), b.at)
	if d := b.s.Leg(0).Stats().Dropped[Stranger]; d != 1 || len(b.sent) != 0 {
		t.Errorf("%d, %+v", d, b.sent)
	}
}

// Where both have agreed on one port, RTCP comes and goes on it.
func TestMultiplexed(t *testing.T) {
	b := newBench(t)
	b.peer(0, Peer{Addr: phone, Mux: true, Receives: []Format{PCMU}})
	b.peer(1, Peer{Addr: cell, Receives: []Format{PCMU}})
	b.give(0, phone, rtp(0, 1, 1, 0x11, make([]byte, 160)))
	b.give(1, cell, rtp(0, 1, 1, 0x22, make([]byte, 160)))
	b.sent = nil
	b.give(0, phone, senderReportOf(0x11, 1))
	if len(b.sent) != 1 || b.sent[0].leg != 1 || !b.sent[0].control {
		t.Fatalf("%+v", b.sent)
	}
	sent := b.report(1, senderReportOf(0x22, 1))
	if len(sent) != 1 || sent[0].leg != 0 || sent[0].control || sent[0].to != phone || !compound(sent[0].b) {
		t.Fatalf("%+v", sent)
	}
}

// Where speech is made anew, each leg gets reports of what it has sent and is
// sent here.
func TestOwnReports(t *testing.T) {
	b := newBench(t).call([]Format{PCMU}, []Format{GSM})
	b.report(0, senderReportOf(0x11, 1))
	var reports []datagram
	packets := uint32(0)
	src := &tone{hz: 400}
	for i := range 1000 {
		if i%4 != 3 {
			b.give(0, phone, rtp(0, uint16(i), uint32(i)*160, 0x11, src.frame(ulaw, 160)))
		}
		b.wait(20 * time.Millisecond)
		for _, d := range b.sent {
			if d.control {
				reports = append(reports, d)
			} else {
				packets++
			}
		}
		b.sent = nil
	}
	sent := b.report(0, senderReportOf(0x11, 160000))
	if len(sent) != 0 || len(reports) < 4 || len(reports) > 20 {
		t.Fatalf("%d reports in 20 s; %+v", len(reports), sent)
	}
	sawSR, sawRR := false, false
	for _, d := range reports {
		if !compound(d.b) {
			t.Fatalf("% x", d.b)
		}
		at := func(i int) uint32 { return binary.BigEndian.Uint32(d.b[i:]) }
		switch {
		case d.leg == 1 && d.b[1] == senderReport:
			sawSR = true
			if at(4) != b.s.Leg(1).out.ssrc || at(20) == 0 || at(20) > packets || at(24) != at(20)*33 {
				t.Errorf("% x", d.b)
			}
		case d.leg == 0 && d.b[1] == receiverReport:
			sawRR = true
			if d.b[0] != 0x81 || at(8) != 0x11 || d.b[12] < 55 || d.b[12] > 70 || at(24) != 0x0 && at(28) == 0 {
				t.Errorf("% x", d.b)
			}
		default:
			t.Errorf("leg %d: % x", d.leg, d.b)
		}
	}
	if !sawSR || !sawRR {
		t.Errorf("sender's %t, receiver's %t", sawSR, sawRR)
	}
}

func TestNTP(t *testing.T) {
	if got := ntp(time.Unix(0, 5e8)); got != 2208988800<<32|1<<31 {
		t.Errorf("%#x", got)
	}
}
