package relay_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"campanile.network/3gpp/gtpu"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/enb-agent/relay"
	"campanile.network/internal/memnet"
	"campanile.network/internal/sctp"
)

var (
	enbAddr   = netip.MustParseAddr("127.0.0.10")
	radioAddr = netip.MustParseAddr("127.0.0.11")
	coreAddr  = netip.MustParseAddr("127.0.0.12")
	mmeAddr   = netip.MustParseAddr("127.0.0.20")
	gwAddr    = netip.MustParseAddr("127.0.0.30")
)

// desk is a listener and an endpoint in memory: eNBs call, the MME is called.
type desk struct {
	calls chan sctp.Association // eNBs, as the relay sees them
	mmes  chan sctp.Association // the MME's ends
	deaf  bool                  // the MME does not answer
	none  atomic.Int32          // so many dials are refused
	pipe  sctp.PipeOptions      // towards the MME

	silent, refusing netip.AddrPort // one of several MMEs
}

func (d *desk) Accept(ctx context.Context) (sctp.Association, error) {
	select {
	case a := <-d.calls:
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *desk) Addr() netip.AddrPort                 { return netip.AddrPortFrom(radioAddr, 36412) }
func (d *desk) Close() error                         { return nil }
func (d *desk) Shutdown(context.Context) error       { return nil }
func (d *desk) Listen(uint16) (sctp.Listener, error) { return d, nil }

func (d *desk) Dial(ctx context.Context, to netip.AddrPort, _ sctp.DialOptions) (sctp.Association, error) {
	if d.deaf || to == d.silent {
		<-ctx.Done()
		return nil, sctp.ErrNoAnswer
	}
	if d.none.Add(-1) >= 0 || to == d.refusing {
		return nil, &sctp.AbortError{Reason: "nobody listens"}
	}
	o := d.pipe
	o.A, o.B = netip.AddrPortFrom(coreAddr, 50000), to
	a, b := sctp.Pipe(o)
	select {
	case d.mmes <- b:
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// rig is a relay with one eNB, one MME and one gateway around it.
type rig struct {
	t       *testing.T
	relay   *relay.Relay
	desk    *desk
	net     *memnet.Network
	enb     sctp.Association
	mme     sctp.Association
	enbUser *memnet.Conn
	gwUser  *memnet.Conn
	stop    func()
}

func newRig(t *testing.T, rule memnet.Rule) *rig {
	t.Helper()
	r := &rig{t: t, net: memnet.New(rule), desk: &desk{calls: make(chan sctp.Association), mmes: make(chan sctp.Association, 4)}}
	listen := func(a netip.Addr) *memnet.Conn {
		c, err := r.net.Listen(netip.AddrPortFrom(a, gtpu.Port))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	radio, core := listen(radioAddr), listen(coreAddr)
	r.enbUser, r.gwUser = listen(enbAddr), listen(gwAddr)
	var err error
	r.relay, err = relay.New(relay.Options{Radio: r.desk, Core: r.desk, MME: netip.AddrPortFrom(mmeAddr, 36412), RadioUser: radio, CoreUser: core})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.relay.Serve(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		r.stop = func() {}
	}
	t.Cleanup(func() { r.stop() })
	r.enb, r.mme = r.call()
	return r
}

// call brings another eNB, and gives its end and the MME's, with S1 Setup
// Request passed on.
func (r *rig) call() (enb, mme sctp.Association) {
	r.t.Helper()
	enb = r.knock(setupRequest(r.t))
	if r.desk.deaf {
		return enb, nil
	}
	mme = <-r.desk.mmes
	m, err := mme.Recv(r.t.Context())
	if err != nil || m.Stream != 0 || m.PPID != 18 || !bytes.Equal(m.Data, setupRequest(r.t)) {
		r.t.Fatalf("S1 SETUP REQUEST came as %+v, %v", m, err)
	}
	return enb, mme
}

// knock brings an eNB that sends first as its first message; nothing if that is
// nil.
func (r *rig) knock(first []byte) sctp.Association {
	r.t.Helper()
	enb, ours := sctp.Pipe(sctp.PipeOptions{A: netip.AddrPortFrom(enbAddr, 36412), B: netip.AddrPortFrom(radioAddr, 36412)})
	r.desk.calls <- ours
	if first != nil {
		if err := enb.Send(r.t.Context(), 0, 18, first); err != nil {
			r.t.Fatal(err)
		}
	}
	return enb
}

func setupRequest(t *testing.T) []byte {
	t.Helper()
	b, err := s1ap.Append(nil, &s1ap.S1SetupRequest{
		GlobalENBID:  s1ap.GlobalENBID{PLMNidentity: s1ap.PLMNidentity{0, 0xf1, 0x10}, ENBID: s1ap.ENBID{Choice: s1ap.ENBIDChoiceMacroENBID, MacroENBID: 0x19b}},
		SupportedTAs: s1ap.SupportedTAs{{TAC: s1ap.TAC{0, 7}, BroadcastPLMNs: s1ap.BPLMNs{{0, 0xf1, 0x10}}}}, DefaultPagingDRX: s1ap.PagingDRXV128,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// tell sends a message from one end and gives what comes out at the other.
func tell[M s1ap.Message](r *rig, from, to sctp.Association, m M) M {
	r.t.Helper()
	b, err := s1ap.Append(nil, m)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := from.Send(r.t.Context(), 1, 18, b); err != nil {
		r.t.Fatal(err)
	}
	return hear[M](r, to)
}

func hear[M s1ap.Message](r *rig, at sctp.Association) M {
	r.t.Helper()
	m, err := at.Recv(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	p, err := s1ap.Parse(m.Data)
	if err != nil {
		r.t.Fatal(err)
	}
	got, ok := p.Message.(M)
	if !ok || m.Stream != 1 || m.PPID != 18 {
		r.t.Fatalf("%T on stream %d with PPID %d", p.Message, m.Stream, m.PPID)
	}
	return got
}

var quality = s1ap.ERABLevelQoSParameters{QCI: 9, AllocationRetentionPriority: s1ap.AllocationAndRetentionPriority{PriorityLevel: 15}}

func address(a netip.Addr) s1ap.TransportLayerAddress { return s1ap.FromAddr(a) }

func contextSetup(mme s1ap.MMEUES1APID, enb s1ap.ENBUES1APID, gw id.TEID) *s1ap.InitialContextSetupRequest {
	return &s1ap.InitialContextSetupRequest{
		MMEUES1APID: mme, ENBUES1APID: enb,
		UEAggregateMaximumBitrate: s1ap.UEAggregateMaximumBitrate{UEaggregateMaximumBitRateDL: 1e8, UEaggregateMaximumBitRateUL: 5e7},
		ERABToBeSetupListCtxtSUReq: s1ap.ERABToBeSetupListCtxtSUReq{{ERABID: 5, ERABLevelQoSParameters: quality,
			TransportLayerAddress: address(gwAddr), GTPTEID: s1ap.FromTEID(gw), NASPDU: []byte{0x27, 1, 2, 3, 4, 0}}},
		UESecurityCapabilities: s1ap.UESecurityCapabilities{EncryptionAlgorithms: 0xe000, IntegrityProtectionAlgorithms: 0xe000},
		SecurityKey:            s1ap.SecurityKey{1},
	}
}

// bearer is one bearer's four tunnel ends.
type bearer struct {
	radio, core id.TEID // the relay's
	enb, gw     id.TEID
}

// attach sets up a context with one bearer.
func (r *rig) attach(mme s1ap.MMEUES1APID, enb s1ap.ENBUES1APID, gw, en id.TEID) bearer {
	r.t.Helper()
	req := tell(r, r.mme, r.enb, contextSetup(mme, enb, gw))
	item := req.ERABToBeSetupListCtxtSUReq[0]
	if a, _ := item.TransportLayerAddress.Addr(); a != radioAddr {
		r.t.Fatalf("the eNB is told to send to %v", a)
	}
	want := contextSetup(mme, enb, gw)
	want.ERABToBeSetupListCtxtSUReq[0].TransportLayerAddress, want.ERABToBeSetupListCtxtSUReq[0].GTPTEID = item.TransportLayerAddress, item.GTPTEID
	if !reflect.DeepEqual(req, want) {
		r.t.Fatalf("more than the tunnel's end has changed: %+v", req)
	}
	res := tell(r, r.enb, r.mme, &s1ap.InitialContextSetupResponse{MMEUES1APID: mme, ENBUES1APID: enb,
		ERABSetupListCtxtSURes: s1ap.ERABSetupListCtxtSURes{{ERABID: 5, TransportLayerAddress: address(enbAddr), GTPTEID: s1ap.FromTEID(en)}}})
	back := res.ERABSetupListCtxtSURes[0]
	if a, _ := back.TransportLayerAddress.Addr(); a != coreAddr {
		r.t.Fatalf("the gateway is told to send to %v", a)
	}
	return bearer{item.GTPTEID.ID(), back.GTPTEID.ID(), en, gw}
}

// packet is an IPv4 packet of n octets.
func packet(n int) []byte {
	p := make([]byte, n)
	p[0], p[2], p[3] = 0x45, byte(n>>8), byte(n)
	return p
}

func (r *rig) send(c *memnet.Conn, to netip.Addr, b []byte) {
	r.t.Helper()
	if _, err := c.WriteToUDPAddrPort(b, netip.AddrPortFrom(to, gtpu.Port)); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

func (r *rig) uplink(b bearer, n int) {
	r.t.Helper()
	r.send(r.enbUser, radioAddr, gtpu.AppendGPDU(nil, b.radio, packet(n)))
}

func (r *rig) downlink(b bearer, n int) {
	r.t.Helper()
	r.send(r.gwUser, coreAddr, gtpu.AppendGPDU(nil, b.core, packet(n)))
}

// got reads one datagram; ok is false when nothing is there.
func (r *rig) got(c *memnet.Conn) (gtpu.Message, bool) {
	r.t.Helper()
	// A word from nobody ends the reading of an empty socket.
	probe, err := r.net.Listen(netip.MustParseAddrPort("127.9.9.9:1"))
	if err != nil {
		r.t.Fatal(err)
	}
	defer probe.Close()
	if _, err := probe.WriteToUDPAddrPort([]byte("end"), c.LocalAddr().(*net.UDPAddr).AddrPort()); err != nil {
		r.t.Fatal(err)
	}
	var first []byte
	for buf := make([]byte, 65536); ; {
		n, _, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			r.t.Fatal(err)
		}
		if string(buf[:n]) == "end" {
			break
		}
		if first != nil {
			r.t.Fatal("more than one datagram is there")
		}
		first = bytes.Clone(buf[:n])
	}
	if first == nil {
		return gtpu.Message{}, false
	}
	m, err := gtpu.Parse(first)
	if err != nil {
		r.t.Fatal(err)
	}
	return m, true
}

// expect reads one datagram and checks what it is.
func (r *rig) expect(c *memnet.Conn, typ gtpu.Type, teid id.TEID, inner int) {
	r.t.Helper()
	m, ok := r.got(c)
	if !ok || m.Type != typ || m.TEID != teid || typ == gtpu.GPDU && len(m.Payload) != inner {
		r.t.Fatalf("%t: %v for %v with %d octets; want %v for %v with %d", ok, m.Type, m.TEID, len(m.Payload), typ, teid, inner)
	}
}

func (r *rig) nothing(c *memnet.Conn) {
	r.t.Helper()
	if m, ok := r.got(c); ok {
		r.t.Fatalf("%v for %v came through", m.Type, m.TEID)
	}
}

func (r *rig) count(teid id.TEID) (c relay.Count) {
	for _, n := range r.relay.Counts() {
		if n.TEID == teid {
			return n
		}
	}
	return relay.Count{}
}

func (r *rig) dropped(d relay.Drop, want uint64) {
	r.t.Helper()
	if got := r.relay.Stats().Dropped[d]; got != want {
		r.t.Errorf("%d packets dropped as %v, want %d; all: %v", got, d, want, r.relay.Stats().Dropped)
	}
}

func inBubble(t *testing.T, rule memnet.Rule, f func(t *testing.T, r *rig)) {
	synctest.Test(t, func(t *testing.T) { f(t, newRig(t, rule)) })
}

func ended(t *testing.T, a sctp.Association) {
	t.Helper()
	if _, err := a.Recv(t.Context()); !errors.Is(err, sctp.ErrShutdown) {
		t.Errorf("the association ended with %v, not with a shutdown", err)
	}
}
