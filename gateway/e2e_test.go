package gateway_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/gateway"
	"campanile.network/gateway/datapath"
	"campanile.network/gateway/datapath/userspace"
	"campanile.network/internal/ipstack"
	"campanile.network/internal/loopback"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/proof"
)

// handset is a phone with a tower around it: an IP stack whose packets go
// through GTP-U on a real socket.
type handset struct {
	host   *ipstack.Host
	conn   *net.UDPConn
	gone   sync.WaitGroup
	lost   atomic.Uint64 // packets the tower could not pass on
	ulSent atomic.Uint64 // inner octets the tower put on the wire
	dlSeen atomic.Uint64 // inner octets that arrived at the tower
}

func newHandset(t testing.TB, tower netip.Addr, s *s11.Session, dlTEID id.TEID) *handset {
	t.Helper()
	host, err := ipstack.NewHost(s.Address, 0, netip.MustParseAddr("10.45.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(tower, gtpu.Port)))
	if err != nil {
		t.Fatal(err)
	}
	h := &handset{host: host, conn: conn}
	gw := netip.AddrPortFrom(s.SGW.Addr, gtpu.Port)
	h.gone.Go(func() {
		buf := make([]byte, 65536)
		for {
			n, err := host.ReadPacket(buf)
			if err != nil {
				return
			}
			if _, err := conn.WriteToUDPAddrPort(gtpu.AppendGPDU(nil, s.SGW.TEID, buf[:n]), gw); err != nil {
				h.lost.Add(1)
				continue
			}
			h.ulSent.Add(uint64(n))
		}
	})
	h.gone.Go(func() {
		buf := make([]byte, 65536)
		for {
			n, _, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			if m, err := gtpu.Parse(buf[:n]); err == nil && m.Type == gtpu.GPDU && m.TEID == dlTEID {
				h.dlSeen.Add(uint64(len(m.Payload)))
				host.WritePacket(m.Payload)
			}
		}
	})
	return h
}

func (h *handset) close() {
	h.host.Close()
	h.conn.Close()
	h.gone.Wait()
}

func serveReal(t testing.TB, f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
}

var router = netip.MustParseAddr("10.45.0.1")

// whole is a served gateway with a web server behind it and an MME's client,
// on real sockets.
type whole struct {
	*rig
	addr    netip.Addr
	path    *userspace.Path
	records *sink
}

func newWhole(t testing.TB, web http.Handler) *whole {
	t.Helper()
	w := &whole{rig: &rig{t: t, home: proof.NewSigningKey(), serving: proof.NewSigningKey()}, addr: loopback.Addr(t), records: &sink{changed: make(chan struct{}, 1)}}
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	fwd, err := ipstack.NewForwarder(ipstack.ForwarderOptions{Router: router, Logger: quiet,
		Names: map[string]netip.Addr{"web.campanile": router}, HTTP: map[uint16]http.Handler{80: web}})
	must(err)
	w.path, err = userspace.New(userspace.Options{Local: netip.AddrPortFrom(w.addr, 0), Port: fwd, Logger: quiet})
	must(err)
	w.gw, err = gateway.New(gateway.Options{S11: netip.AddrPortFrom(w.addr, 0), S1U: w.addr, Path: w.path, Sink: w.records, OpenTicket: w.openTicket, Logger: quiet})
	must(err)
	w.mme, err = s11.New(s11.Options{Local: netip.AddrPortFrom(loopback.Addr(t), 0), Gateway: netip.AddrPortFrom(w.addr, 0), Logger: quiet})
	must(err)
	for _, f := range []func(context.Context) error{fwd.Serve, w.path.Serve, w.gw.Serve, w.mme.Serve} {
		t.Cleanup(serveReal(t, f))
	}
	return w
}

// TestFetchThroughTheWholeGateway has a phone's stack fetch from the web
// server behind the gateway over real sockets; afterwards the phone's
// interface, the tower and the gateway's records agree to the octet.
func TestFetchThroughTheWholeGateway(t *testing.T) {
	body, sent := make([]byte, 4<<20), make([]byte, 1<<20)
	rand.Read(body)
	rand.Read(sent)
	up := sha256.New()
	w := newWhole(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		io.Copy(up, q.Body)
		w.Write(body)
	}))
	q := request(t, phone1, w.ticket(1, 1<<30))
	q.AMBR = gtpc.AMBR{} // what is over it the tower counts and the gateway does not
	s, err := w.mme.Create(t.Context(), q)
	w.must(err)
	tower := loopback.Addr(t)
	h := newHandset(t, tower, s, 0x42)
	defer h.close()
	w.must(w.mme.Modify(t.Context(), s, s11.ModifyBearer{ENB: s11.FTEID{Addr: tower, TEID: 0x42}, Segment: w.segment(1, 1)}))
	web := &http.Client{Transport: &http.Transport{DialContext: h.host.DialContext, DisableKeepAlives: true}, Timeout: 30 * time.Second}
	res, err := web.Post("http://web.campanile/", "application/octet-stream", bytes.NewReader(sent))
	w.must(err)
	got, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil || sha256.Sum256(got) != sha256.Sum256(body) || sha256.Sum256(sent) != [32]byte(up.Sum(nil)) {
		t.Fatalf("%d octets came, %v", len(got), err)
	}
	quiesce(w.gw, h)
	w.must(w.mme.Delete(t.Context(), s))
	for {
		<-w.records.changed
		all := w.records.all()
		if len(all) != 1 || !all[0].Closed {
			continue
		}
		c, r := h.host.Counters(), all[0]
		if r.UL != c.OutOctets || r.DL != c.InOctets || r.ULPackets != c.OutPackets || r.DLPackets != c.InPackets ||
			r.UL != h.ulSent.Load() || r.DL != h.dlSeen.Load() || r.UL < 1<<20 || r.DL < 4<<20 {
			t.Errorf("gateway up %d down %d\nphone %+v\ntower up %d down %d, lost %d\npath %+v", r.UL, r.DL, c, h.ulSent.Load(), h.dlSeen.Load(), h.lost.Load(), w.path.Stats())
		}
		return
	}
}

// quiesce waits until the last acknowledgements have gone by: the phone's and
// the gateway's counts are equal and stand still. Counts that never agree are
// the caller's to report.
func quiesce(gw *gateway.Gateway, h *handset) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	still, last := 0, datapath.Count{}
	for range 500 {
		<-tick.C
		c, p := gw.Sessions()[0].Count, h.host.Counters()
		if c != last || c.ULOctets != p.OutOctets || c.DLOctets != p.InOctets {
			still, last = 0, c
		} else if still++; still == 10 {
			return
		}
	}
}

// BenchmarkFetchThroughTheGateway is a phone's download of 1 MiB over real
// loopback sockets: netstack at both ends, GTP-U between.
func BenchmarkFetchThroughTheGateway(b *testing.B) {
	chunk := make([]byte, 1<<20)
	w := newWhole(b, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(chunk) }))
	tower, ue := loopback.Addr(b), netip.MustParseAddr("10.45.200.2")
	const teid = 1<<datapath.SlotBits | 999
	if err := errors.Join(w.path.PutSession(datapath.Session{ID: 1, IPv4: ue}), w.path.PutBearer(datapath.Bearer{TEID: teid, Session: 1, Default: true, Tunnel: datapath.Tunnel{Peer: tower, TEID: 0x42}})); err != nil {
		b.Fatal(err)
	}
	h := newHandset(b, tower, &s11.Session{Address: ue, SGW: s11.FTEID{Addr: w.addr, TEID: teid}}, 0x42)
	defer h.close()
	web := &http.Client{Transport: &http.Transport{DialContext: h.host.DialContext}}
	b.SetBytes(1 << 20)
	for b.Loop() {
		res, err := web.Get("http://10.45.0.1/")
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, res.Body); err != nil || n != 1<<20 {
			b.Fatal(n, err)
		}
		res.Body.Close()
	}
	c, _ := w.path.Usage(teid)
	b.ReportMetric(float64(c.ULPackets+c.DLPackets)/b.Elapsed().Seconds(), "packets/s")
}

// BenchmarkCreateModifyDelete is a session's life on S11 over real loopback
// sockets: three transactions.
func BenchmarkCreateModifyDelete(b *testing.B) {
	w := newWhole(b, http.NotFoundHandler())
	ticket := w.ticket(1, 1<<40)
	segment := w.segment(1, 1)
	q := request(b, phone1, ticket)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		s, err := w.mme.Create(ctx, q)
		if err == nil {
			err = w.mme.Modify(ctx, s, s11.ModifyBearer{ENB: enb, Segment: segment})
		}
		if err == nil {
			err = w.mme.Delete(ctx, s)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
