package trace

import (
	"encoding/binary"
	"net/netip"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// maxTunnels bounds what is known of S11: it is found out again.
const maxTunnels = 4096

// s11Table says whose a datagram of S11 is.
type s11Table struct {
	byTEID map[s11End]id.IMSI
}

// s11End is a TEID of one of the two ends.
type s11End struct {
	mme  bool // whose TEID it is
	teid id.TEID
}

func (s *s11Table) learn(e s11End, imsi id.IMSI) {
	if s.byTEID == nil || len(s.byTEID) >= maxTunnels {
		s.byTEID = map[s11End]id.IMSI{}
	}
	s.byTEID[e] = imsi
}

// KnowS11 says which TEIDs a phone's sessions have: the MME's and the gateway's.
func (t *Tracer) KnowS11(imsi id.IMSI, mme, gateway id.TEID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.s11.learn(s11End{true, mme}, imsi)
	t.s11.learn(s11End{false, gateway}, imsi)
}

// TapS11 gives the MME's socket of S11 as before; what passes and is of a phone
// that is traced is recorded. local is the MME's own address.
func TapS11(c gtpc.PacketConn, t *Tracer, local netip.AddrPort) gtpc.PacketConn {
	return tapped{c, t, local}
}

type tapped struct {
	gtpc.PacketConn
	t     *Tracer
	local netip.AddrPort
}

// ReadFromUDPAddrPort reads and tells.
func (c tapped) ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error) {
	n, from, err := c.PacketConn.ReadFromUDPAddrPort(b)
	if err == nil && c.t.Active() {
		c.t.datagram(true, from, c.local, b[:n])
	}
	return n, from, err
}

// WriteToUDPAddrPort tells and writes.
func (c tapped) WriteToUDPAddrPort(b []byte, to netip.AddrPort) (int, error) {
	if c.t.Active() {
		c.t.datagram(false, c.local, to, b)
	}
	return c.PacketConn.WriteToUDPAddrPort(b, to)
}

// datagram records a datagram if it is of a phone that is traced, by its TEID, or
// by the IMSI in a request without one; TEIDs it announces are learned.
func (t *Tracer) datagram(toMME bool, from, to netip.AddrPort, b []byte) {
	if len(b) < 12 || b[0]>>5 != 2 || b[0]&8 == 0 { // without a TEID it is about the path
		return
	}
	teid := id.TEID(binary.BigEndian.Uint32(b[4:]))
	m, err := gtpc.Parse(b)
	if err != nil {
		return
	}
	t.mu.Lock()
	imsi, known := t.s11.byTEID[s11End{toMME, teid}]
	if said, err := gtpc.ParseIMSI(m.IE(ie.IMSI, 0)); err == nil && t.byIMSI[said] != nil {
		imsi, known = said, true
	}
	if known {
		if f, err := gtpc.ParseFTEID(m.IE(ie.FullyQualifiedTEID, 0)); err == nil && f.TEID != 0 {
			t.s11.learn(s11End{!toMME, f.TEID}, imsi)
		}
	}
	t.mu.Unlock()
	if known {
		t.add(imsi, Event{At: time.Now(), Kind: S11, Up: toMME, From: from, To: to, Data: append([]byte(nil), b...)})
	}
}
