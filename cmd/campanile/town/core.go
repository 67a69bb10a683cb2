package town

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"campanile.network/3gpp/id"
	"campanile.network/billing/meter"
	"campanile.network/hss-chain/ledger"
	"campanile.network/internal/peertls"
	"campanile.network/mme"
	"campanile.network/mme/s11"
	"campanile.network/wire/gtpc"
	"campanile.network/wire/home"
	"campanile.network/wire/link"
	"campanile.network/wire/proof"
	"campanile.network/wire/usage"
)

func (t *Town) startMeter(context.Context) error {
	m, err := meter.New(meter.Options{Operator: t.keys.operator, ChainID: t.chainID, Ledger: payer{t.model}, Path: t.cfg.path("billing.db"),
		Step: t.cfg.Billing.VoucherOctets, Every: time.Duration(t.cfg.Billing.VoucherEvery), Logger: t.role("billing")})
	if err != nil {
		return inUse(t.cfg.HomePath, err)
	}
	t.meter, t.sink = m, m
	t.onEnd("meter store", m.Close)
	t.serve("meter", m.Serve)
	t.serve("vouchers", t.tellVouchers)
	return nil
}

// tellVouchers tells of new vouchers, and the MME of what towers say: a
// phone's session then says why its tower does not serve.
func (t *Town) tellVouchers(ctx context.Context) error {
	known := map[proof.TowerKey]meter.TowerView{}
	for _, v := range t.accounts() {
		known[v.Tower] = v
		t.tellMME(v) // said before this start
	}
	for ctx.Err() == nil {
		for _, v := range t.accounts() {
			last := known[v.Tower]
			known[v.Tower] = v
			if v.Seq > last.Seq {
				t.add("voucher", fmt.Sprintf("voucher %d to tower %s: %s for %v", v.Seq, v.Tower.Short(), bell(v.Amount), v.Billed))
			}
			if v.Trouble != last.Trouble && v.Trouble != "" {
				t.logEvent("trouble", "tower "+v.Tower.Short()+": "+v.Trouble)
			}
			for _, n := range v.Notices[len(v.Notices)-int(min(v.Said-last.Said, uint64(len(v.Notices)))):] {
				t.tellNotice(v.Tower, n)
			}
			if !v.NoticeAt.Equal(last.NoticeAt) {
				t.tellMME(v)
			}
			if v.Seq > last.Seq || v.Gateway != last.Gateway {
				t.wake()
			}
		}
		rest(ctx, 250*time.Millisecond)
	}
	return nil
}

// tellNotice shows what a tower has said; what it has kept for long with the
// time.
func (t *Town) tellNotice(tower proof.TowerKey, n link.Notice) {
	kind, text := "trouble", n.Text
	switch n.Code {
	case link.Serving:
		return
	case link.RadioChanged:
		kind = "cell"
	default:
		text = "stopped: " + text
	}
	if time.Since(n.At) > time.Minute {
		text += " (said at " + n.At.Format(time.TimeOnly) + " by its clock)"
	}
	t.logEvent(kind, "tower "+tower.Short()+" "+text)
}

// tellMME has a phone's session say why its tower does not serve.
func (t *Town) tellMME(v meter.TowerView) {
	if t.mme == nil || v.NoticeAt.IsZero() {
		return
	}
	text := v.Notice.Text
	if v.Notice.Code == link.Serving {
		text = ""
	}
	t.mme.Notice(v.Tower, text)
}

// startLinks serves towers, and the operator's own gateway where it runs in
// another process.
func (t *Town) startLinks(context.Context) error {
	self := t.operatorKey
	cert, err := peertls.ServerFor(t.keys.operator.Ed25519(), func(p peertls.Peer) error {
		if _, ok := t.model.Tower(p.Key); !ok && p.Key != self && p.Role(self) != "gateway" {
			return fmt.Errorf("no tower is registered under this key")
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = t.serveGRPC(service{name: "tower links", listen: t.cfg.Billing.Listen, key: "billing.listen", cert: cert, calls: 16,
		own:      func(p peertls.Peer) bool { return p.Key == self || p.Role(self) == "gateway" },
		register: func(s *grpc.Server) { link.Register(s, t.meter); usage.Register(s, t.meter) }}, grpc.UnaryInterceptor(only(self)))
	if err != nil {
		return err
	}
	t.onEnd("last vouchers", t.meter.Sign) // while towers hear them
	return nil
}

// startHomeServer answers serving networks, and lets the operator's own roles
// and registered towers follow the ledger.
func (t *Town) startHomeServer(context.Context) error {
	cert, err := peertls.ServerFor(t.keys.hss.Ed25519(), func(p peertls.Peer) error {
		_, operator := t.model.OperatorByKey(p.Key)
		if _, tower := t.model.Tower(p.Key); !operator && !tower && p.Role(t.operatorKey) != "gateway" {
			return fmt.Errorf("no operator or tower is registered under this key")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return t.serveGRPC(service{name: "home", listen: t.cfg.HSS.Listen, key: "hss.listen", cert: cert, calls: 1024,
		own: func(p peertls.Peer) bool { return p.Key == t.operatorKey || p.Role(t.operatorKey) == "gateway" },
		register: func(s *grpc.Server) {
			home.Register(s, t.home)
			home.RegisterDirectory(s, t.directory, t.operatorKey)
			ledger.Register(s, t.model, func(ctx context.Context, voucher []byte) (uint64, proof.Amount, proof.Amount, error) {
				r, err := t.cash.Settle(ctx, voucher)
				return r.Channel, r.Paid, r.Owing, err
			}, t.cash.Report)
		}})
}

// service is what is served over gRPC to peers that show their keys.
type service struct {
	name     string
	listen   string // address
	key      string // names it in the config
	cert     *tls.Config
	own      func(peertls.Peer) bool // who gets in when all others are too many
	calls    uint32                  // that one connection carries at a time
	register func(*grpc.Server)
}

// serveGRPC runs a service: connections are bounded, and a peer that went
// without a word is noticed within half a minute.
func (t *Town) serveGRPC(v service, more ...grpc.ServerOption) error {
	l, err := net.Listen("tcp", v.listen)
	if err != nil {
		return t.portTaken(err, v.key)
	}
	door := peertls.NewDoor(l, v.cert, peertls.Limits{Own: v.own}, t.log.With("service", v.name))
	t.doors = append(t.doors, namedDoor{v.name, door})
	t.bound = append(t.bound, v.name+" "+l.Addr().String())
	s := grpc.NewServer(append(more, grpc.Creds(door), grpc.MaxConcurrentStreams(v.calls), grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}))...)
	v.register(s)
	t.serve(v.name, func(ctx context.Context) error { return serveGRPC(ctx, s, door) })
	return nil
}

// serveGRPC serves until ctx ends; streams get a second to end by themselves.
func serveGRPC(ctx context.Context, s *grpc.Server, l net.Listener) error {
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	kill := time.AfterFunc(time.Second, s.Stop)
	defer kill.Stop()
	s.GracefulStop()
	return <-done
}

// restartCounter is one more than in the run before (TS 23.007 §16.1A.1); role
// is whose counter it is. One that is kept says that nothing was forgotten meanwhile.
func (t *Town) restartCounter(role string, keep bool) (uint8, error) {
	file := t.cfg.path("restarts-" + role)
	b, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return 0, err
	}
	n := uint8(1)
	switch {
	case len(b) == 1 && keep:
		return b[0], nil
	case len(b) == 1:
		n = b[0] + 1
	}
	return n, os.WriteFile(file, []byte{n}, 0o600)
}

func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		s.Close()
		<-done
		return nil
	}
}

func (t *Town) startMME(context.Context) error {
	ep, err := t.endpoint(t.set.s1ap)
	if err != nil {
		return err
	}
	l, err := ep.Listen(s1apPort)
	if err != nil {
		return t.portTaken(err, "mme.address")
	}
	kept, err := t.openStore()
	if err != nil {
		return err
	}
	restarts, err := t.restartCounter("mme", !kept.Fresh())
	if err != nil {
		return err
	}
	socket, err := t.s11Socket()
	if err != nil {
		return t.portTaken(err, "mme.address")
	}
	var m *mme.MME
	c, err := s11.New(s11.Options{Conn: socket, Gateway: netip.AddrPortFrom(t.set.gatewayAt, gtpcPort), RestartCounter: restarts, Logger: t.role("mme"),
		OnDownlinkData:   func(s *s11.Session, ebi id.EBI, why gtpc.Cause) gtpc.Cause { return m.DownlinkData(s, ebi, why) },
		Waiting:          func(s *s11.Session, ebi id.EBI) gtpc.Waiting { return m.Waiting(s, ebi) },
		OnGatewayRestart: func(lost []*s11.Session) { m.GatewayRestarted(lost) }, OnBearers: func(r *s11.BearerRequest) { m.BearerRequest(r) }})
	if err != nil {
		return t.portTaken(err, "mme.address")
	}
	if err := t.openPool(); err != nil {
		return err
	}
	o := t.set.mmeOptions
	if t.pool != nil {
		o.Pool = t.pool
	}
	o.ChainID, o.Operator, o.Home, o.Gateway, o.Towers = t.chainID, t.keys.operator, t.watchedHome(), c, towers{t.model}
	o.PathSwitch, o.Store, o.Memory, o.Dialer, o.Messages = towers{t.model}.pathSwitch(t.cfg.MME.X2), kept, kept, ep, t.messages()
	o.NetworkName, o.Trace, o.Events, o.Logger = t.cfg.Network.Name, t.tracer(), t.mmeEvent, t.role("mme")
	m, err = mme.New(o)
	if err != nil {
		return err
	}
	t.mme, t.sources.S11, t.live.conf = m, c.Stats, m.Configuration()
	t.ways.mme.Store(m)
	t.bound = append(t.bound, fmt.Sprintf("S1AP %v", l.Addr()))
	t.serve("S11", c.Serve)
	if err := t.startPool(m); err != nil {
		return err
	}
	t.serve("MME", func(ctx context.Context) error { return m.Serve(ctx, l) })
	t.serve("barring", t.detachBarred)
	return nil
}

// mmeEvent shows what the MME did.
func (t *Town) mmeEvent(e mme.Event) {
	switch e := e.(type) {
	case mme.ENBChanged:
		if e.Up {
			t.add("cell", fmt.Sprintf("eNB %v is on the air", e.ENB.ID))
		} else {
			t.add("cell", fmt.Sprintf("eNB %v is gone: %s", e.ENB.ID, e.Reason))
		}
	case mme.ProcedureDone:
		text := fmt.Sprintf("%s %v, %v", e.Procedure, e.UE.IMSI, e.Duration.Round(time.Millisecond))
		if e.Err != "" {
			text += ": " + e.Err
		}
		t.add("phone", text)
	}
	t.wake()
}
