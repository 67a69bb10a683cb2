package gateway_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
	"campanile.network/gateway/datapath/userspace"
	"campanile.network/internal/loopback"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/proof"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// besieged is a gateway on real sockets with two phones: a healthy one, and one
// that is hostile. A stranger has an address of his own; what is spoofed comes from
// a socket at the address of tower or MME.
type besieged struct {
	*rig
	path            *userspace.Path
	addr, mmeAddr   netip.Addr
	healthy, bad    *s11.Session
	tower, stranger *net.UDPConn
	asMME           *net.UDPConn
	no              uint32
	rng             *rand.Rand
}

func open(t *testing.T, a netip.Addr, port uint16) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func besiege(t *testing.T) *besieged {
	b := &besieged{rig: &rig{t: t, sink: &sink{}, home: proof.NewSigningKey(), serving: proof.NewSigningKey()}, addr: loopback.Addr(t), mmeAddr: loopback.Addr(t), rng: rand.New(rand.NewPCG(7, 8))}
	tower := loopback.Addr(t)
	b.tower, b.stranger, b.asMME = open(t, tower, gtpu.Port), open(t, loopback.Addr(t), 0), open(t, b.mmeAddr, 0)
	b.port = &port{in: make(chan []byte), out: make(chan []byte, 1), closed: make(chan struct{})}
	only := func(a netip.Addr) []netip.Prefix { return []netip.Prefix{netip.PrefixFrom(a, 32)} }
	var err error
	b.path, err = userspace.New(userspace.Options{Local: netip.AddrPortFrom(b.addr, 0), Port: b.port, Towers: only(tower), Logger: quiet})
	b.must(err)
	b.gw, err = gateway.New(gateway.Options{S11: netip.AddrPortFrom(b.addr, 0), S1U: b.addr, Path: b.path, Sink: b.sink, OpenTicket: b.openTicket, MMEs: only(b.mmeAddr), Logger: quiet})
	b.must(err)
	b.mme, err = s11.New(s11.Options{Local: netip.AddrPortFrom(b.mmeAddr, 0), Gateway: netip.AddrPortFrom(b.addr, 0), Logger: quiet})
	b.must(err)
	for _, f := range []func(context.Context) error{b.path.Serve, b.gw.Serve, b.mme.Serve} {
		t.Cleanup(serveReal(t, f))
	}
	connect := func(who string, n byte, enb id.TEID) *s11.Session {
		q := request(t, who, b.ticket(n, 1<<40))
		q.AMBR = gtpc.AMBR{}
		s, err := b.mme.Create(t.Context(), q)
		b.must(err)
		b.must(b.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: s11.FTEID{Addr: tower, TEID: enb}, Segment: b.segment(n, 1)}))
		return s
	}
	b.healthy, b.bad = connect(phone1, 1, 0x41), connect(phone2, 2, 0x42)
	return b
}

// to sends a datagram to a port of the gateway's.
func (b *besieged) to(c *net.UDPConn, port uint16, d []byte) {
	_, err := c.WriteToUDPAddrPort(d, netip.AddrPortFrom(b.addr, port))
	b.must(err)
}

// until waits for something that has to come.
func (b *besieged) until(what string, ok func() bool) {
	b.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(2 * time.Minute); !ok(); <-tick.C {
		if time.Now().After(end) {
			b.t.Fatalf("%s: %+v", what, b.gw.Stats())
		}
	}
}

// numbered has the healthy phone send a packet and get the answer to it; nothing
// else has come in between.
func (b *besieged) numbered() {
	b.t.Helper()
	b.no++
	up := dptest.Datagram(netip.AddrPortFrom(b.healthy.Address, 4000), netip.AddrPortFrom(webIP, 53), 60)
	down := dptest.Datagram(netip.AddrPortFrom(webIP, 53), netip.AddrPortFrom(b.healthy.Address, 4000), 60)
	binary.BigEndian.PutUint32(up[28:], b.no)
	binary.BigEndian.PutUint32(down[28:], b.no)
	b.to(b.tower, gtpu.Port, gtpu.AppendGPDU(nil, b.healthy.SGW.TEID, up))
	select {
	case got := <-b.port.out:
		if binary.BigEndian.Uint32(got[28:]) != b.no || len(got) != len(up) {
			b.t.Fatalf("packet %d: %x went on", b.no, got)
		}
	case <-time.After(2 * time.Minute):
		b.t.Fatalf("packet %d was lost: %+v", b.no, b.path.Stats())
	}
	b.port.in <- down
	buf := make([]byte, 2000)
	b.must(b.tower.SetReadDeadline(time.Now().Add(2 * time.Minute)))
	for {
		n, err := b.tower.Read(buf)
		b.must(err)
		m, err := gtpu.Parse(buf[:n])
		if err == nil && m.Type != gtpu.GPDU {
			continue // answers to what came from the tower's address
		}
		if err != nil || m.TEID != 0x41 || binary.BigEndian.Uint32(m.Payload[28:]) != b.no {
			b.t.Fatalf("packet %d: %x arrived, %v", b.no, buf[:n], err)
		}
		return
	}
}

// inner is a G-PDU of the hostile phone's.
func (b *besieged) inner(p []byte) []byte { return gtpu.AppendGPDU(nil, b.bad.SGW.TEID, p) }

// s11Message is a request with a sequence number of its own.
func (b *besieged) s11Message(t gtpc.Type, teid id.TEID, ies ...*ie.IE) []byte {
	m := gtpc.New(t, teid, ies...)
	m.Seq = b.rng.Uint32N(1 << 23)
	d, err := m.Marshal()
	b.must(err)
	return d
}

// nonsense is a GTPv2 message that is none.
func (b *besieged) nonsense() []byte {
	good := b.s11Message(gtpc.EchoRequest, 0, ie.NewRecovery(1))
	switch b.rng.IntN(5) {
	case 0:
		return good[:b.rng.IntN(8)]
	case 1:
		good[0] = byte(b.rng.Uint32N(8))<<5 | 0x1f
		if good[0]>>5 == 2 {
			good[0] = 0
		}
	case 2:
		good[2], good[3] = 0xff, byte(b.rng.Uint32())
	case 3:
		good[len(good)-4] = byte(200 + b.rng.Uint32N(50)) // the element's length
	default:
		good[1] = 255 // no type of GTPv2
	}
	return good
}

// TestFloods: whatever is sent to a gateway that serves, from whatever address,
// is counted under its reason, each datagram of it; the healthy phone's packets all
// arrive in between, nobody's count but the sender's changes, and nothing grows.
func TestFloods(t *testing.T) {
	const flood, burst = 1024, 32 // what a socket's buffer surely holds
	b := besiege(t)
	dropped := func(d datapath.Drop) func() uint64 { return func() uint64 { return b.path.Stats().Dropped[d] } }
	s11Dropped := func(all ...gtpc.Drop) func() uint64 {
		return func() (n uint64) {
			s := b.gw.Stats().S11
			for _, d := range all {
				n += s.Dropped[d]
			}
			return n
		}
	}
	refused := func() (n uint64) {
		for _, x := range b.gw.Stats().Refused {
			n += x
		}
		return n
	}
	own := b.bad.Address
	create := func() []byte {
		q := request(t, phone2, []byte("no ticket"))
		return b.s11Message(gtpc.CreateSessionRequest, 0, gtpc.IMSIIE(imsi(t, "00101"+string(rune('0'+b.rng.IntN(10)))+"987654321")), gtpc.APNIE(q.APN), ie.NewRATType(gtpc.RATEUTRAN),
			gtpc.FTEID{Interface: gtpc.IfS11MME, TEID: 1, Addr: b.mmeAddr}.IE(0), gtpc.BearerContext(0, gtpc.EBI(5), gtpc.QoS{QCI: 9}.IE()))
	}
	floods := []struct {
		name  string
		from  *net.UDPConn
		port  uint16
		make  func() []byte
		count func() uint64
	}{
		{"malformed GTP-U", b.tower, gtpu.Port, func() []byte { return append([]byte{0x50}, make([]byte, b.rng.IntN(60))...) }, dropped(datapath.ULMalformed)},
		{"nonsense on a bearer", b.tower, gtpu.Port, func() []byte { return b.inner(append([]byte{0x30}, make([]byte, b.rng.IntN(60))...)) }, dropped(datapath.ULMalformed)},
		{"guessed TEIDs", b.tower, gtpu.Port, func() []byte {
			return gtpu.AppendGPDU(nil, b.healthy.SGW.TEID^id.TEID(1+b.rng.Uint32N(1<<11))<<datapath.SlotBits, dptest.Packet(b.healthy.Address, webIP, 60))
		}, dropped(datapath.ULUnknown)},
		{"the healthy TEID from a stranger", b.stranger, gtpu.Port, func() []byte {
			return gtpu.AppendGPDU(nil, b.healthy.SGW.TEID, dptest.Packet(b.healthy.Address, webIP, 60))
		}, dropped(datapath.ULPeer)},
		{"the healthy phone's address from another phone", b.tower, gtpu.Port, func() []byte { return b.inner(dptest.Packet(b.healthy.Address, webIP, 60)) }, dropped(datapath.ULSpoofed)},
		{"echo requests", b.stranger, gtpu.Port, func() []byte { return gtpu.AppendEchoRequest(nil, uint16(b.rng.Uint32())) }, func() uint64 { return b.path.Stats().Echoes }},
		{"error indications", b.stranger, gtpu.Port, func() []byte {
			return gtpu.AppendErrorIndication(nil, 0x41, b.tower.LocalAddr().(*net.UDPAddr).AddrPort().Addr())
		}, dropped(datapath.BadError)},
		{"GTP-U in GTP-U", b.tower, gtpu.Port, func() []byte {
			p := dptest.Datagram(netip.AddrPortFrom(own, gtpu.Port), netip.AddrPortFrom(b.addr, gtpu.Port), 100)
			copy(p[28:], gtpu.AppendGPDU(nil, b.healthy.SGW.TEID, dptest.Packet(b.healthy.Address, webIP, 60)))
			return b.inner(p)
		}, dropped(datapath.ULNested)},
		{"GTP-C in GTP-U", b.tower, gtpu.Port, func() []byte {
			return b.inner(dptest.Datagram(netip.AddrPortFrom(own, 2123), netip.AddrPortFrom(b.addr, 2123), 100))
		}, dropped(datapath.ULNested)},
		{"to another phone", b.tower, gtpu.Port, func() []byte { return b.inner(dptest.Packet(own, b.healthy.Address, 60)) }, dropped(datapath.ULNeighbour)},
		{"unasked from the internet", nil, 0, func() []byte {
			return dptest.Datagram(netip.AddrPortFrom(webIP, uint16(b.rng.Uint32())|1024), netip.AddrPortFrom(b.healthy.Address, 4000), 60)
		}, dropped(datapath.DLUnsolicited)},
		{"for nobody from the internet", nil, 0, func() []byte {
			return dptest.Packet(webIP, netip.AddrFrom4([4]byte{10, 45, 200, byte(b.rng.Uint32())}), 60)
		}, dropped(datapath.DLUnknown)},
		{"malformed GTPv2", b.asMME, 2123, b.nonsense, s11Dropped(gtpc.DropShort, gtpc.DropVersion, gtpc.DropLength, gtpc.DropMalformed, gtpc.DropUnknownType)},
		{"sessions by a stranger", b.stranger, 2123, create, s11Dropped(gtpc.DropStranger)},
		{"sessions without a ticket", b.asMME, 2123, create, refused},
		{"guessed control TEIDs", b.asMME, 2123, func() []byte {
			return b.s11Message(gtpc.DeleteSessionRequest, id.TEID(b.rng.Uint32()|1<<31), gtpc.EBI(5))
		}, refused},
		{"answers to nothing", b.asMME, 2123, func() []byte { return b.s11Message(gtpc.CreateBearerResponse, 1, gtpc.CauseIE(nil)) }, s11Dropped(gtpc.DropUnasked)},
		{"GTPv2 echo requests", b.asMME, 2123, func() []byte { return b.s11Message(gtpc.EchoRequest, 0, ie.NewRecovery(0)) }, func() uint64 { return b.gw.Stats().S11.Sent }},
	}
	b.numbered()
	var first, last runtime.MemStats
	for i, f := range floods {
		base, before := f.count(), b.gw.Stats()
		if i == 1 { // what the first has warmed up stays
			runtime.GC()
			runtime.ReadMemStats(&first)
		}
		for n := 0; n < flood; n += burst {
			for range burst {
				if d := f.make(); f.from != nil {
					b.to(f.from, f.port, d)
				} else {
					b.port.in <- d
				}
			}
			b.until(f.name, func() bool { return f.count() >= base+uint64(n+burst) })
			b.numbered()
		}
		now := b.gw.Stats()
		if got := f.count() - base; got != flood {
			t.Errorf("%s: %d are counted, of %d", f.name, got, flood)
		}
		if now.Sessions != 2 || now.UEs != 2 || now.Leases != 2 || now.Path.Bearers != 2 || now.Path.Flows != before.Path.Flows || now.Path.Buffered != 0 {
			t.Errorf("%s: %+v", f.name, now)
		}
		if e := now.Path.ErrorIndications - before.Path.ErrorIndications; e > flood/2 {
			t.Errorf("%s: %d error indications", f.name, e)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&last)
	if grown := int64(last.HeapAlloc) - int64(first.HeapAlloc); grown > 8<<20 {
		t.Errorf("the heap has grown by %d octets", grown)
	}
	for _, s := range b.gw.Sessions() {
		if s.Address == b.healthy.Address && (s.Count.ULPackets != uint64(b.no) || s.Count.DLPackets != uint64(b.no) || s.Count.LostPackets != 0) || s.Address == own && s.Count.ULPackets+s.Count.DLPackets != 0 {
			t.Errorf("%v: %+v, want %d packets each way of the healthy", s.Address, s.Count, b.no)
		}
	}
	b.must(b.mme.Delete(t.Context(), b.healthy))
}
