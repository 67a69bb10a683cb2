package mme

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/s1ap"
	"campanile.network/internal/sctp"
	"campanile.network/wire/proof"
)

// world is an MME with a home, a gateway and towers that behave like real ones,
// in virtual time.
type world struct {
	t       testing.TB
	m       *MME
	o       Options
	home    *testHome
	gw      *testGateway
	towers  map[uint32]proof.TowerKey
	l       *listener
	stop    context.CancelFunc
	served  chan error
	phones  int
	mu      sync.Mutex
	events  []Event
	ends    sync.WaitGroup // of simulated eNBs
	log     strings.Builder
	enbPort uint16
	keys    map[s1ap.SecurityKey]bool                    // K_eNB of every context setup
	record  func([]byte)                                 // of what the MME sends; may be nil
	open    func(remote netip.AddrPort) sctp.Association // an eNB's end of a new association
}

const testChain = "campanile-test"

var testPLMN, _ = id.ParsePLMN("00101")

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// play runs a conversation in a bubble and ends the MME after it.
func play(t *testing.T, change func(*Options), script func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, change)
		defer w.end()
		script(w)
	})
}

// noUpdates tells phones to send no periodic updates, so that they may be idle
// for long.
func noUpdates(o *Options) { o.T3412 = -1 }

func newWorld(t testing.TB, change func(*Options)) *world {
	l := &listener{ch: make(chan sctp.Association), closed: make(chan struct{})}
	w := serveWorld(t, change, l)
	w.l = l
	w.open = func(remote netip.AddrPort) sctp.Association {
		a, b := sctp.Pipe(sctp.PipeOptions{A: l.Addr(), B: remote})
		w.l.offer(a)
		return b
	}
	return w
}

// serveWorld makes a world whose MME takes associations from l.
func serveWorld(t testing.TB, change func(*Options), l sctp.Listener) *world {
	w := makeWorld(t, change)
	w.start(l)
	return w
}

// makeWorld makes a world whose MME is yet to be started.
func makeWorld(t testing.TB, change func(*Options)) *world {
	w := &world{t: t, keys: map[s1ap.SecurityKey]bool{}, home: newTestHome(), gw: newTestGateway(), towers: map[uint32]proof.TowerKey{0x19b: {1}, 0x19c: {2}}}
	operator := proof.SigningKeyFromSeed([32]byte{7})
	w.home.serving = operator.Public()
	w.gw.operator = operator.Public()
	o := Options{
		GUMMEI: id.GUMMEI{PLMN: testPLMN, Group: 1, Code: 0x1a}, ChainID: testChain, Operator: operator,
		Paging:   []PagingStage{{PageAreas, t3413.sends, t3413.wait}},
		KeepKeys: func(ENBInfo) bool { return false }, Home: w.home, Gateway: w.gw, Towers: w, Events: w.event, Logger: slog.New(slog.NewTextHandler(w, nil)),
	}
	if change != nil {
		change(&o)
	}
	w.o = o
	return w
}

// start runs an MME.
func (w *world) start(l sctp.Listener) {
	w.m = must(New(w.o))
	var ctx context.Context
	ctx, w.stop = context.WithCancel(context.Background())
	w.served = make(chan error, 1)
	m, served := w.m, w.served
	go func() { served <- m.Serve(ctx, l) }()
}

func (w *world) end() {
	w.stop()
	if err := <-w.served; err != nil {
		w.t.Errorf("Serve: %v", err)
	}
	if w.t.Failed() {
		w.t.Logf("log of the MME:\n%s", w.log.String())
	}
}

// Write takes the MME's log.
func (w *world) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *world) event(e Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

// Admit knows the towers of the world only.
func (w *world) Admit(_ context.Context, g id.GlobalENBID, _ []id.TAI) (proof.TowerKey, error) {
	k, ok := w.towers[g.ID]
	if !ok {
		return k, errors.New("no such tower is registered")
	}
	return k, nil
}

// logged checks that one log line has all the words.
func (w *world) logged(words ...string) {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
next:
	for line := range strings.Lines(w.log.String()) {
		for _, word := range words {
			if !strings.Contains(line, word) {
				continue next
			}
		}
		return
	}
	w.t.Errorf("no log line has %q; the log:\n%s", words, w.log.String())
}

// counted checks a counter of Stats.
func (w *world) counted(name string, want uint64) {
	w.t.Helper()
	synctest.Wait()
	s := w.m.Stats()
	if got := s.Procedures[name] + s.Dropped[name]; got != want {
		w.t.Errorf("counter %q is %d, want %d; all: %v %v", name, got, want, s.Procedures, s.Dropped)
	}
}

// info gives what others see of a phone.
func (w *world) info(imsi id.IMSI) UEInfo {
	w.t.Helper()
	synctest.Wait()
	for _, i := range w.m.UEs() {
		if i.IMSI == imsi {
			return i
		}
	}
	w.t.Fatalf("the MME knows no phone %v", imsi.Digits())
	return UEInfo{}
}

type listener struct {
	ch     chan sctp.Association
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Accept(ctx context.Context) (sctp.Association, error) {
	select {
	case a := <-l.ch:
		return a, nil
	case <-l.closed:
		return nil, sctp.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
func (l *listener) Addr() netip.AddrPort { return netip.MustParseAddrPort("127.0.0.20:36412") }

// offer gives an association to who listens; nobody may, any more.
func (l *listener) offer(a sctp.Association) {
	select {
	case l.ch <- a:
	case <-l.closed:
		a.Abort("nobody is there")
	}
}

// dial makes the association whose other end Accept returns.
func (l *listener) dial(ctx context.Context, o sctp.PipeOptions) (sctp.Association, error) {
	a, b := sctp.Pipe(o)
	select {
	case l.ch <- b:
		return a, nil
	case <-l.closed:
		return nil, sctp.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
func (l *listener) Close() error { l.once.Do(func() { close(l.closed) }); return nil }

// enbPeer is the eNB's end of an association.
type enbPeer struct {
	w      *world
	a      sctp.Association
	lastID s1ap.ENBUES1APID
	addr   netip.Addr
	plmn   id.PLMN
	tac    id.TAC
	eci    id.ECI
	lossy  bool // what is sent may be lost with the association
}

// dial opens an association without S1 Setup.
func (w *world) dial() *enbPeer {
	w.enbPort++
	remote := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.10"), 40000+w.enbPort)
	return &enbPeer{w: w, a: w.open(remote), addr: remote.Addr(), plmn: testPLMN, tac: 7, eci: id.ECI(0x19b01)}
}

// tower is an eNB with S1 Setup done.
func (w *world) tower(enbID uint32) *enbPeer { w.t.Helper(); return w.towerIn(enbID, 7) }

// towerIn is one in a tracking area of its own.
func (w *world) towerIn(enbID uint32, tac id.TAC) *enbPeer {
	w.t.Helper()
	e := w.dial()
	e.eci, e.tac = id.ECI(enbID<<8|1), tac
	e.send(e.setupRequest(enbID))
	expect[*s1ap.S1SetupResponse](e)
	return e
}

func (e *enbPeer) setupRequest(enbID uint32) *s1ap.S1SetupRequest {
	return &s1ap.S1SetupRequest{
		GlobalENBID: s1ap.FromGlobalENBID(id.GlobalENBID{PLMN: e.plmn, Type: id.MacroENB, ID: enbID}), ENBname: "srsenb01",
		SupportedTAs:     s1ap.SupportedTAs{{TAC: s1ap.FromTAC(e.tac), BroadcastPLMNs: s1ap.BPLMNs{s1ap.FromPLMN(e.plmn)}}},
		DefaultPagingDRX: s1ap.PagingDRXV128,
	}
}

func (e *enbPeer) tai() s1ap.TAI        { return s1ap.FromTAI(id.TAI{PLMN: e.plmn, TAC: e.tac}) }
func (e *enbPeer) cell() s1ap.EUTRANCGI { return s1ap.FromECGI(id.ECGI{PLMN: e.plmn, ECI: e.eci}) }

func (e *enbPeer) send(m s1ap.Message) {
	e.w.t.Helper()
	e.raw(must(s1ap.Append(nil, m)))
}

func (e *enbPeer) raw(b []byte) {
	e.w.t.Helper()
	if err := e.a.Send(context.Background(), 1, ppid, b); err != nil && !e.lossy {
		e.w.t.Fatalf("eNB: sending: %v", err)
	}
}

// next gives the MME's next message; it waits at most a minute of virtual time.
func (e *enbPeer) next() s1ap.Message {
	e.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	in, err := e.a.Recv(ctx)
	if err != nil {
		e.w.t.Fatalf("eNB: waiting for the MME: %v", err)
	}
	if e.w.record != nil {
		e.w.record(in.Data)
	}
	if in.PPID != 18 {
		e.w.t.Errorf("MME sent PPID %d", in.PPID)
	}
	pdu, err := s1ap.Parse(in.Data)
	if err != nil {
		e.w.t.Fatalf("MME sent what does not parse: %v", err)
	}
	e.w.newKey(pdu.Message)
	out, _ := e.a.Streams()
	if p := pdu.ProcedureCode; out > 1 && p != s1ap.ProcedureErrorIndication && (in.Stream == 0) != common(p) {
		e.w.t.Errorf("MME sent %v on stream %d", p, in.Stream)
	}
	return pdu.Message
}

// newKey checks that no two context setups have one K_eNB, under which radio
// bearers would have one key stream twice (TS 33.401 §7.2.6.2), nor two handovers
// one NH.
func (w *world) newKey(m s1ap.Message) {
	w.t.Helper()
	var key s1ap.SecurityKey
	switch m := m.(type) {
	case *s1ap.InitialContextSetupRequest:
		key = m.SecurityKey
	case *s1ap.UEContextModificationRequest:
		if m.SecurityKey == nil {
			return
		}
		key = *m.SecurityKey
	case *s1ap.HandoverRequest:
		key = m.SecurityContext.NextHopParameter
	case *s1ap.PathSwitchRequestAcknowledge:
		key = m.SecurityContext.NextHopParameter
	default:
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.keys[key] {
		w.t.Errorf("a K_eNB or NH is used twice")
	}
	w.keys[key] = true
}

// common says that a procedure is not UE-associated, for the stream rule of
// TS 36.412 §7.
func common(p s1ap.ProcedureCode) bool {
	return p == s1ap.ProcedureS1Setup || p == s1ap.ProcedurePaging || p == s1ap.ProcedureReset || p == s1ap.ProcedureENBConfigurationUpdate ||
		p == s1ap.ProcedureMMEConfigurationUpdate || p == s1ap.ProcedureMMEConfigurationTransfer || p == s1ap.ProcedureOverloadStart || p == s1ap.ProcedureOverloadStop
}

// silent checks that the MME says nothing for d.
func (e *enbPeer) silent(d time.Duration) {
	e.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if in, err := e.a.Recv(ctx); err == nil {
		pdu, _ := s1ap.Parse(in.Data)
		e.w.t.Fatalf("MME sent %s", describe(pdu.Message))
	}
}

func expect[T s1ap.Message](e *enbPeer) T {
	e.w.t.Helper()
	m := e.next()
	v, ok := m.(T)
	if !ok {
		e.w.t.Fatalf("MME sent %s, want %T", describe(m), v)
	}
	return v
}

func describe(m s1ap.Message) string {
	if m == nil {
		return "something undecodable"
	}
	return fmt.Sprintf("%s %+v", m.Header().Name, m)
}
