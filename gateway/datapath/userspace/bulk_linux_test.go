package userspace

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/dptest"
	"campanile.network/internal/ipstack"
	"golang.org/x/sys/unix"
)

// TestFullSizedPackets: phones with an MTU of 1500 behind an S1-U of 1500, so that
// full packets travel in two fragments: a megabyte each way to the kernel's own
// TCP, over IPv4 and IPv6, and a ping of 1472 octets. The device has two queues and
// the address two sockets.
func TestFullSizedPackets(t *testing.T) {
	inNetNS(t, func() {
		up(t, "lo")
		mtu(t, "lo", 1500)
		router, router6 := netip.MustParsePrefix("10.45.0.1/16"), netip.MustParsePrefix("2001:db8:45::1/48")
		tun, err := OpenTUNWith(TUNOptions{Name: "camptest0", Addrs: []netip.Prefix{router, router6}, MTU: 1500, Queues: 2})
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission) {
			t.Skipf("no TUN device: %v", err)
		}
		if err != nil {
			t.Error(err)
			return
		}
		file := bytes.Repeat([]byte("campanile"), 1<<20/9)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if b, err := io.ReadAll(r.Body); err != nil || !bytes.Equal(b, file) {
				t.Errorf("server got %d octets, %v", len(b), err)
			}
			w.Write(file)
		})}
		defer srv.Close()
		for _, a := range []netip.Prefix{router, router6} {
			ln, err := net.Listen("tcp", netip.AddrPortFrom(a.Addr(), 80).String())
			if err != nil {
				t.Error(err)
				return
			}
			go srv.Serve(ln)
		}
		gw, tower := netip.MustParseAddr("127.0.0.30"), netip.MustParseAddr("127.0.0.11")
		p, err := New(Options{Local: netip.AddrPortFrom(gw, 0), Workers: 2, Port: tun, Router: router.Addr(), Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Error(err)
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		done := make(chan error)
		go func() { done <- p.Serve(ctx) }()
		for i, c := range []struct {
			ue   netip.Addr
			net6 netip.Prefix
			at   netip.Addr
		}{{ue: netip.MustParseAddr("10.45.0.2"), at: router.Addr()}, {netip.Addr{}, netip.MustParsePrefix("2001:db8:45:2::/64"), router6.Addr()}} {
			b := datapath.Bearer{TEID: 1<<datapath.SlotBits | 5, Session: datapath.SessionID(i + 1), Default: true, Tunnel: datapath.Tunnel{Peer: tower, TEID: 0x77}}
			if err := errors.Join(p.PutSession(datapath.Session{ID: b.Session, IPv4: c.ue, IPv6: c.net6}), p.PutBearer(b)); err != nil {
				t.Error(err)
				break
			}
			if c.ue.IsValid() {
				ping(t, p, b, c.ue, c.at, tower, gw)
			} else {
				c.ue = c.net6.Addr().Next().Next()
			}
			bulk(ctx, t, p, b, c.ue, netip.AddrPortFrom(c.at, 80), tower, gw, file)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

// bulk uploads and downloads the file, and compares the counts with the phone's.
func bulk(ctx context.Context, t *testing.T, p *Path, b datapath.Bearer, ue netip.Addr, web netip.AddrPort, tower, gw netip.Addr, file []byte) {
	before, err := p.Usage(b.TEID)
	if err != nil {
		t.Error(err)
		return
	}
	host, err := ipstack.NewHost(ue, 1500)
	if err != nil {
		t.Error(err)
		return
	}
	defer radio(t, host, tower, netip.AddrPortFrom(gw, gtpu.Port), b)()
	defer host.Close()
	req, _ := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+web.String()+"/", bytes.NewReader(file))
	res, err := (&http.Client{Transport: &http.Transport{DialContext: host.DialContext, DisableKeepAlives: true}}).Do(req)
	if err != nil {
		t.Errorf("%v: %v; %+v", ue, err, p.Stats())
		return
	}
	got, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || !bytes.Equal(got, file) {
		t.Errorf("%v: phone got %d octets, %v", ue, len(got), err)
	}
	agree(p, host, b, before.Count)
	u, err := p.RemoveBearer(b.TEID)
	if c, h := u.Sub(before.Count), host.Counters(); err != nil || c != (datapath.Count{ULOctets: h.OutOctets, ULPackets: h.OutPackets, DLOctets: h.InOctets, DLPackets: h.InPackets}) {
		t.Errorf("%v: counted %+v, the phone has %+v; %+v", ue, c, h, p.Stats())
	}
	if full := u.ULOctets / u.ULPackets; full < 700 {
		t.Errorf("%v: %d octets a packet: no full ones", ue, full)
	}
}

// ping sends an echo of 1472 octets, and takes the answer.
func ping(t *testing.T, p *Path, b datapath.Bearer, ue, at, tower, gw netip.Addr) {
	c, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(tower, gtpu.Port)))
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	tune(c, 1<<20)
	echo := append([]byte{8, 0, 0, 0, 0x12, 0x34, 0, 1}, bytes.Repeat([]byte{0xca}, 1472)...)
	sum := fold(checksum(0, echo))
	echo[2], echo[3] = byte(sum>>8), byte(sum)
	if _, err := c.WriteToUDPAddrPort(gtpu.AppendGPDU(nil, b.TEID, dptest.IP(ue, at, 1, echo)), netip.AddrPortFrom(gw, gtpu.Port)); err != nil {
		t.Error(err)
		return
	}
	buf := make([]byte, 2000)
	c.SetReadDeadline(time.Now().Add(20 * time.Second))
	n, err := c.Read(buf)
	m, perr := gtpu.Parse(buf[:n])
	if err != nil || perr != nil || len(m.Payload) != 1500 || m.Payload[20] != 0 || !bytes.Equal(m.Payload[28:], echo[8:]) {
		t.Errorf("answer of %d octets, %v, %v; %+v", len(m.Payload), err, perr, p.Stats())
	}
}

func mtu(t *testing.T, name string, n uint32) {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Error(err)
		return
	}
	defer unix.Close(s)
	r, err := unix.NewIfreq(name)
	if err == nil {
		r.SetUint32(n)
		err = unix.IoctlIfreq(s, unix.SIOCSIFMTU, r)
	}
	if err != nil {
		t.Error(err)
	}
}
