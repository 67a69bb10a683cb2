package media

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestCounts(t *testing.T) {
	b := newBench(t).call([]Format{PCMU}, []Format{PCMU})
	for i := range 51 {
		if i != 20 {
			b.give(0, phone, rtp(0, uint16(i), uint32(i)*160, 1, make([]byte, 160)))
		}
		b.at = b.at.Add(20 * time.Millisecond)
		if i%2 == 0 {
			b.at = b.at.Add(2 * time.Millisecond)
		} else {
			b.at = b.at.Add(-2 * time.Millisecond)
		}
	}
	st := b.s.Leg(0).Stats()
	if st.In.Packets != 50 || st.In.Octets != 50*172 || st.Lost != 1 || st.Carried < 999*time.Millisecond || st.Carried > 1003*time.Millisecond {
		t.Errorf("%+v", st)
	}
	if st.Jitter < 1500*time.Microsecond || st.Jitter > 2500*time.Microsecond {
		t.Errorf("jitter of 2 ms is %s", st.Jitter)
	}
	if out := b.s.Leg(1).Stats().Out; out != st.In {
		t.Errorf("out %+v, in %+v", out, st.In)
	}
	b.at = b.at.Add(time.Hour)
	b.give(0, phone, rtp(0, 51, 51*160, 1, make([]byte, 160)))
	if more := b.s.Leg(0).Stats().Carried; more != st.Carried {
		t.Errorf("an hour of nothing was carried: %s", more)
	}
}

// Nothing that comes makes it panic, grow or send what is not RTP.
func FuzzDatagram(f *testing.F) {
	f.Add(rtp(0, 1, 1, 1, make([]byte, 160)), false)
	f.Add(rtp(101, 1, 1, 1, []byte{5, 0x8a, 3, 0x20}), false)
	f.Add([]byte{0xbf, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 255}, false)
	f.Add(append(senderReportOf(1, 2), 0x81, 202, 0, 1, 1, 2, 3, 4), true)
	f.Fuzz(func(t *testing.T, b []byte, control bool) {
		if len(b) > maxDatagram {
			return
		}
		h := newBench(t).call([]Format{PCMU, GSM, TelephoneEvent}, []Format{PCMA, TelephoneEvent})
		h.give(1, cell, rtp(8, 1, 1, 1, make([]byte, 160)))
		h.sent = nil
		h.s.loop.mu.Lock()
		defer h.s.loop.mu.Unlock()
		from := phone
		if control {
			from = netip.AddrPortFrom(phone.Addr(), phone.Port()+1)
		}
		for range 3 {
			h.s.Leg(0).datagram(slices.Clone(b), control, from, h.at)
		}
		for _, d := range h.sent {
			var p packet
			if !d.control && !p.parse(d.b, false) || d.control && !compound(d.b) {
				t.Fatalf("% x became % x", b, d.b)
			}
		}
	})
}

func senderReportOf(ssrc, ts uint32) []byte {
	b := make([]byte, 28)
	b[0], b[1], b[3] = 0x80, senderReport, 6
	binary.BigEndian.PutUint32(b[4:], ssrc)
	binary.BigEndian.PutUint32(b[16:], ts)
	return b
}
