package sim_test

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/loopback"
	"campanile.network/sdr/sim"
)

// far is the gateway's end of S1-U, played by the test.
type far struct {
	t    *testing.T
	sock *net.UDPConn
	addr netip.Addr
	enb  netip.AddrPort
}

func newFar(t *testing.T) *far {
	f := &far{t: t, addr: loopback.Addr(t), enb: netip.AddrPortFrom(loopback.Addr(t), gtpu.Port)}
	sock, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(f.addr, gtpu.Port)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sock.Close() })
	f.sock = sock
	return f
}

func (f *far) send(b []byte) {
	f.t.Helper()
	if _, err := f.sock.WriteToUDPAddrPort(b, f.enb); err != nil {
		f.t.Fatal(err)
	}
}

// next gives the next datagram from the eNB.
func (f *far) next() gtpu.Message {
	f.t.Helper()
	buf := make([]byte, 2048)
	f.sock.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, from, err := f.sock.ReadFromUDPAddrPort(buf)
	if err != nil {
		f.t.Fatalf("waiting for the eNB: %v", err)
	}
	m, err := gtpu.Parse(buf[:n])
	if err != nil {
		f.t.Fatalf("from %v: %v", from, err)
	}
	return m
}

// uplink takes a G-PDU whose packet ends in text.
func (f *far) uplink(text string) gtpu.Message {
	f.t.Helper()
	m := f.next()
	if m.Type != gtpu.GPDU || m.TEID != 77 || !bytes.HasSuffix(m.Payload, []byte(text)) {
		f.t.Fatalf("the gateway got %+v", m)
	}
	return m
}

// manners is what S1-U itself must answer (TS 29.281 §7.2.2, §7.3.1).
func (f *far) manners(teid id.TEID, packet []byte) {
	f.t.Helper()
	f.send(gtpu.AppendEchoRequest(nil, 9))
	if m := f.next(); m.Type != gtpu.EchoResponse || m.Sequence != 9 {
		f.t.Errorf("answer to an echo: %+v", m)
	}
	f.send(gtpu.AppendEndMarker(nil, teid)) // of no interest
	f.send(gtpu.AppendGPDU(nil, teid+1, packet))
	if m := f.next(); m.Type != gtpu.ErrorIndication {
		f.t.Errorf("answer to an unknown tunnel: %+v", m)
	}
}

// turned gives an IPv4 UDP packet with its ends exchanged: an answer. Sums stay
// right.
func turned(p []byte) []byte {
	out := bytes.Clone(p)
	copy(out[12:16], p[16:20])
	copy(out[16:20], p[12:16])
	copy(out[20:22], p[22:24])
	copy(out[22:24], p[20:22])
	return out
}

// A phone with an IP stack, over sockets: octets both ways with their counts, a
// packet that wakes an idle phone, and what S1-U itself must answer.
func TestUserPlane(t *testing.T) {
	f := newFar(t)
	serve(t, sim.ENBOptions{GTPU: f.enb}, func(w *world) {
		w.gateway = f.addr
		w.setup()
		p := w.phone(sim.PhoneOptions{IP: true})
		defer p.SwitchOff()
		done := w.attach(p)
		u := w.initial()
		u.authenticate()
		u.secure()
		res := u.accepted(0x100)
		if r := <-done; r.err != nil {
			t.Fatal(r.err)
		}
		item := res.ERABSetupListCtxtSURes[0]
		if a, err := item.TransportLayerAddress.Addr(); err != nil || a != f.enb.Addr() {
			t.Errorf("the eNB's tunnel end is at %v (%v)", a, err)
		}

		c, err := p.Host().DialContext(context.Background(), "udp", "192.0.2.1:7")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Fatal(err)
		}
		m := f.uplink("hello")
		f.send(gtpu.AppendGPDU(nil, item.GTPTEID.ID(), turned(m.Payload)))
		buf := make([]byte, 100)
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := c.Read(buf); err != nil || string(buf[:n]) != "hello" {
			t.Fatalf("answer %q, %v", buf[:n], err)
		}

		f.manners(item.GTPTEID.ID(), m.Payload)

		rested := do(func() error { return p.Rest(w.within(time.Minute)) })
		next[*s1ap.UEContextReleaseRequest](w)
		u.release(s1ap.CauseRadioNetworkUserInactivity.Cause())
		if r := <-rested; r.err != nil || p.State() != sim.Idle {
			t.Fatalf("phone is %v: %v", p.State(), r.err)
		}
		if _, err := c.Write([]byte("wake")); err != nil { // waits in the phone
			t.Fatal(err)
		}
		u = u.resumed()
		if u.first.RRCEstablishmentCause != s1ap.RRCEstablishmentCauseMoData {
			t.Errorf("cause %v", u.first.RRCEstablishmentCause)
		}
		w.send(u.context(nil, must(u.sec.AcceptServiceRequest(u.first.NASPDU))))
		next[*s1ap.InitialContextSetupResponse](w)
		f.uplink("wake")
		gone := do(func() error { return p.Detach(w.within(time.Minute), false) })
		up[*eps.DetachRequest](u)
		u.down(&eps.DetachAccept{})
		if r := <-gone; r.err != nil || p.Host() != nil {
			t.Errorf("after the detach: %v, IP stack %v", r.err, p.Host())
		}
		if ul, dl := p.Counted(); ul != 2*28+9 || dl != 28+5 {
			t.Errorf("counted %d up and %d down", ul, dl)
		}
	})
}

func TestAddressInUse(t *testing.T) {
	a := netip.AddrPortFrom(loopback.Addr(t), gtpu.Port)
	sock, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(a))
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close()
	if _, err := sim.NewENB(sim.ENBOptions{ID: id.GlobalENBID{PLMN: plmn}, TAI: tai, GTPU: a}); err == nil {
		t.Error("two eNBs at one address")
	}
}
