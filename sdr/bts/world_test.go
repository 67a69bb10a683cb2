package bts_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/secret"
	"campanile.network/3gpp/sms"
	"campanile.network/hss-chain/hss"
	"campanile.network/hss-chain/ledger"
	"campanile.network/internal/loopback"
	"campanile.network/internal/vault"
	"campanile.network/sdr/bts"
	"campanile.network/sip/calls"
	"campanile.network/sip/media"
	"campanile.network/sip/selfcare"
	"campanile.network/sip/sipgw"
	"campanile.network/sip/smsc"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
	"campanile.network/wire/sip/txn"
)

// world is a home and a SIP gateway with all that belongs to it, on loopback
// addresses, and cells that are trusted.
type world struct {
	t        *testing.T
	ctx      context.Context
	plmn     id.PLMN
	operator proof.SigningKey
	model    *ledger.Model
	height   int64
	hss      *hss.HSS
	dir      string

	at       netip.AddrPort // the gateway's
	stations []sipgw.Station
	stop     func() // the gateway and its message centre
	store    *vault.Vault
	policy   sipgw.Policy
	records  []calls.Record
	mu       sync.Mutex
}

const domain = "town.example"

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldAt(t, t.TempDir(), netip.AddrPortFrom(loopback.Addr(t, 5060), 5060))
}

// newWorldAt is a world whose home is in a folder, and was there before.
func newWorldAt(t *testing.T, dir string, at netip.AddrPort) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, operator: proof.SigningKeyFromSeed([32]byte{1}), dir: dir, at: at}
	w.plmn, _ = id.ParsePLMN("99970")
	must := func(err error) {
		if err != nil {
			t.Helper()
			t.Fatal(err)
		}
	}
	var err error
	w.model, err = ledger.Open(ledger.Options{})
	must(err)
	node := proof.SigningKeyFromSeed([32]byte{2})
	priv, err := hss.NewNodeKey([32]byte{})
	must(err)
	w.hss, err = hss.New(hss.Options{ChainID: "campanile-test", Operator: w.operator.Public(), Node: node, HPKE: priv, Registry: w.model, Store: filepath.Join(w.dir, "hss.db"),
		Terms: hss.Terms{Validity: 6 * time.Hour, Cap: proof.Carried{Bytes: 1}}, Realm: domain})
	must(err)
	t.Cleanup(func() { w.hss.Close() })
	w.block(ledger.Update{Operators: []ledger.Operator{{Account: "camp1op", Key: w.operator.Public(), Name: "town", PLMNs: []id.PLMN{w.plmn},
		Ranges: []ledger.Range{"99970"}, Nodes: []ledger.HSSNode{{Key: node.Public(), HPKE: priv.PublicKey().Bytes()}}}}})
	return w
}

func (w *world) block(u ledger.Update) {
	w.t.Helper()
	w.height++
	u.ChainID, u.Height, u.Time, u.Resync = "campanile-test", w.height, time.Now(), w.height == 1
	if err := w.model.Apply(u); err != nil {
		w.t.Fatal(err)
	}
}

// phone is a subscriber with a number and his handset. A Ki of COMP128v3, or a USIM.
func (w *world) phone(number string, usim bool, change func(*bts.PhoneOptions)) *bts.Phone {
	w.t.Helper()
	s := subscription(number, usim)
	w.subscribe(s)
	return handset(w.t, s, change)
}

// subscribe enters a subscription, and gives the ledger's record.
func (w *world) subscribe(s hss.Subscription) []ledger.Subscriber {
	w.t.Helper()
	recs, err := w.hss.Provision([]hss.Subscription{s}, "open")
	if err != nil {
		w.t.Fatal(err)
	}
	recs[0].Operator = "camp1op"
	w.block(ledger.Update{Subscribers: recs})
	return recs
}

func subscription(number string, usim bool) hss.Subscription {
	s := hss.Subscription{Algorithm: hss.COMP128v3, K: secret.Key128{1, number[0], number[1], number[2], number[3]}, SQN: hss.Array32, DIF: aka.DIFFor(0, aka.TickAt(time.Now())),
		Profile: home.Profile{QCI: 9, ARP: 8, AMBRUL: 1, AMBRDL: 1}}
	if usim {
		s.Algorithm, s.OPc[0] = hss.Milenage, 9
	}
	s.IMSI, _ = id.ParseIMSI("99970000000" + number)
	s.Profile.APN, _ = id.ParseAPN("internet")
	s.Profile.MSISDN, _ = id.ParseMSISDN(number)
	return s
}

func handset(t *testing.T, s hss.Subscription, change func(*bts.PhoneOptions)) *bts.Phone {
	t.Helper()
	o := bts.PhoneOptions{IMSI: s.IMSI, Card: bts.COMP128(3, s.K)}
	if s.Algorithm == hss.Milenage {
		u, err := aka.NewUSIM(aka.USIMOptions{Algorithm: milenage.New(s.K, s.OPc)})
		if err != nil {
			t.Fatal(err)
		}
		o.Card = u
	}
	o.IMEI, _ = id.ParseIMEI("490154203237518")
	if change != nil {
		change(&o)
	}
	p, err := bts.NewPhone(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// cell is a station that the gateway trusts once it runs.
func (w *world) cell(change func(*bts.Options)) *bts.Cell {
	w.t.Helper()
	at := loopback.Addr(w.t, 5062)
	o := bts.Options{Listen: netip.AddrPortFrom(at, 5062), Gateway: w.at, Cell: id.CGI{PLMN: w.plmn, LAC: 0x3ef, CI: uint16(len(w.stations) + 1)}, Log: w.log()}
	if change != nil {
		change(&o)
	}
	c, err := bts.New(o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.trust(at)
	w.serve(c.Serve)
	return c
}

// trust makes the next cell one of the gateway's.
func (w *world) trust(at netip.Addr) {
	ci := uint16(len(w.stations) + 1)
	w.stations = append(w.stations, sipgw.Station{Name: fmt.Sprintf("cell %d", ci), From: []netip.Prefix{netip.PrefixFrom(at, 32)}, Tower: proof.TowerKey{byte(ci)},
		Cells: []id.CGI{{PLMN: w.plmn, LAC: 0x3ef, CI: ci}}})
}

// serve runs something until the test's end.
func (w *world) serve(f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			w.t.Error(err)
		}
	})
}

func (w *world) log() *slog.Logger {
	if !testing.Verbose() {
		return nil
	}
	return slog.New(slog.NewTextHandler(testWriter{w.t}, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// directory is the home's, without the ledger's part.
type directory struct{ *hss.HSS }

func (directory) Assign(context.Context, id.IMSI, id.MSISDN) error { return home.ErrNumberTaken }

// numbers is the same as the message centre asks.
type numbers struct{ *hss.HSS }

func (n numbers) ByNumber(ctx context.Context, m id.MSISDN) (id.IMSI, error) {
	i, err := n.HSS.ByNumber(ctx, m)
	if errors.Is(err, home.ErrNobody) {
		err = smsc.ErrUnknown
	}
	return i, err
}

// path is the gateway for a message centre that is made before it.
type path struct {
	mu sync.Mutex
	g  *sipgw.Gateway
}

func (p *path) is(g *sipgw.Gateway) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.g = g
}

func (p *path) now() *sipgw.Gateway {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.g
}

func (p *path) Registered(i id.IMSI) (time.Time, bool) {
	if g := p.now(); g != nil {
		return g.Registered(i)
	}
	return time.Time{}, false
}

func (p *path) Deliver(ctx context.Context, d smsc.Delivery) (sms.RP, error) {
	return p.now().Deliver(ctx, d)
}
func (p *path) Delivered(d smsc.Delivery) { p.now().Delivered(d) }

// gateway starts the gateway and its message centre; w.stop ends both.
func (w *world) gateway() {
	w.t.Helper()
	fatal := func(err error) {
		if err != nil {
			w.t.Helper()
			w.t.Fatal(err)
		}
	}
	trusted := txn.Admission{}
	for _, s := range w.stations {
		trusted.Trusted = append(trusted.Trusted, s.From...)
	}
	e, err := txn.Listen(txn.Options{UDP: []netip.AddrPort{w.at}, Admission: trusted, Log: w.log()})
	fatal(err)
	sc, err := sms.NewAddress("+19995550000")
	fatal(err)
	way := &path{}
	centre, err := smsc.New(smsc.Options{Dir: filepath.Join(w.dir, "sms"), Key: [32]byte{1}, Address: sc, Directory: numbers{w.hss}, Paths: []smsc.NamedPath{{Name: "GSM", Path: way}}, Logger: w.log(),
		Limits: smsc.Limits{PerSender: 1e6, Burst: 1e6, PerPhone: 1e6}})
	fatal(err)
	relay, err := media.New(media.Options{Address: w.at.Addr()})
	fatal(err)
	desk, err := selfcare.New(selfcare.Options{Directory: directory{w.hss}})
	fatal(err)
	g, err := sipgw.New(sipgw.Options{Endpoint: e, Home: w.hss, Directory: directory{w.hss}, PLMN: w.plmn, Serving: w.operator.Public(), Realm: domain, Stations: w.stations, Policy: w.policy,
		Messages: centre, USSD: desk, Store: w.store, Logger: w.log(), Calls: sipgw.CallsBy(calls.Options{Media: calls.Relay(relay), Record: w.record})})
	fatal(err)
	way.is(g)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, f := range []func(context.Context) error{centre.Serve, relay.Serve, g.Serve} {
		wg.Go(func() {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				w.t.Error(err)
			}
		})
	}
	var once sync.Once
	w.stop = func() {
		once.Do(func() {
			cancel()
			wg.Wait()
			if err := centre.Close(); err != nil {
				w.t.Error(err)
			}
		})
	}
	w.t.Cleanup(w.stop)
}

func (w *world) record(r calls.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records = append(w.records, r)
}

// camp registers phones.
func (w *world) camp(c *bts.Cell, phones ...*bts.Phone) {
	w.t.Helper()
	for _, p := range phones {
		if err := p.Camp(w.ctx, c); err != nil {
			w.t.Fatalf("%s: %v", p.IMSI().Digits(), err)
		}
	}
}

// until waits for something to become true.
func (w *world) until(what string, f func() bool) {
	w.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-w.ctx.Done():
			w.t.Fatalf("in vain: %s", what)
		case <-tick.C:
		}
	}
}

// journal is a cell's.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}
