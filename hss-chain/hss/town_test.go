package hss_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"campanile.network/3gpp/aka"
	"campanile.network/3gpp/id"
	"campanile.network/3gpp/milenage"
	"campanile.network/3gpp/secret"
	"campanile.network/hss-chain/hss"
	"campanile.network/hss-chain/ledger"
	"campanile.network/wire/home"
	"campanile.network/wire/proof"
)

const chainID = "campanile-test"

// town is one operator's registration, its HSS node and one phone's card.
type town struct {
	t        testing.TB
	model    *ledger.Model
	operator proof.SigningKey
	node     proof.SigningKey
	seed     [32]byte
	store    string
	height   int64
	k, opc   secret.Key128
	imsi     id.IMSI
	plmn     id.PLMN
	hss      *hss.HSS
	record   ledger.Subscriber
	allow1   bool // COMP128v1
}

func newTown(t testing.TB) *town {
	w := &town{t: t, operator: proof.NewSigningKey(), node: proof.NewSigningKey(), store: filepath.Join(t.TempDir(), "hss.db"),
		k: secret.Key128{1, 2, 3}, opc: secret.Key128{4, 5, 6}}
	w.imsi, _ = id.ParseIMSI("999700000000001")
	w.plmn, _ = id.ParsePLMN("99970")
	var err error
	if w.model, err = ledger.Open(ledger.Options{}); err != nil {
		t.Fatal(err)
	}
	w.open()
	pub, _ := hss.NewNodeKey(w.seed)
	w.block(ledger.Update{Operators: []ledger.Operator{{Account: "camp1op", Key: w.operator.Public(), Name: "town", PLMNs: []id.PLMN{w.plmn},
		Ranges: []ledger.Range{"99970"}, Nodes: []ledger.HSSNode{{Key: w.node.Public(), HPKE: pub.PublicKey().Bytes()}}}}})
	p := home.Profile{QCI: 9, ARP: 8, AMBRUL: 50 * id.Mbps, AMBRDL: 100 * id.Mbps}
	p.APN, _ = id.ParseAPN("internet")
	recs, err := w.hss.Provision([]hss.Subscription{{IMSI: w.imsi, K: w.k, OPc: w.opc, SQN: hss.Array32, DIF: aka.DIFFor(0, aka.TickAt(time.Now())), Profile: p}}, "open")
	if err != nil {
		t.Fatal(err)
	}
	w.record = recs[0]
	w.record.Operator = "camp1op"
	w.block(ledger.Update{Subscribers: []ledger.Subscriber{w.record}})
	return w
}

func (w *town) open() {
	w.t.Helper()
	priv, err := hss.NewNodeKey(w.seed)
	if err != nil {
		w.t.Fatal(err)
	}
	w.hss, err = hss.New(hss.Options{ChainID: chainID, Operator: w.operator.Public(), Node: w.node, HPKE: priv, Registry: w.model,
		Store: w.store, Terms: hss.Terms{Validity: 6 * time.Hour, Cap: proof.Carried{Bytes: 1 << 30}},
		Realm: "town.example", AllowCOMP128v1: w.allow1})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) close() {
	w.t.Helper()
	if err := w.hss.Close(); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) block(u ledger.Update) {
	w.t.Helper()
	w.height++
	u.ChainID, u.Height, u.Time, u.Resync = chainID, w.height, time.Now(), w.height == 1
	if err := w.model.Apply(u); err != nil {
		w.t.Fatal(err)
	}
}

func (w *town) card() *aka.USIM {
	u, err := aka.NewUSIM(aka.USIMOptions{Algorithm: milenage.New(w.k, w.opc)})
	if err != nil {
		w.t.Fatal(err)
	}
	return u
}

func (w *town) ask() (home.Challenge, error) {
	return w.hss.Challenge(context.Background(), home.ChallengeRequest{IMSI: w.imsi, PLMN: w.plmn, Serving: w.operator.Public()})
}

func (w *town) mustAsk() home.Challenge {
	w.t.Helper()
	c, err := w.ask()
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *town) prove(c home.Challenge, res []byte) (home.Lease, error) {
	return w.hss.Prove(context.Background(), home.ProveRequest{ID: c.ID, Serving: w.operator.Public(), RES: res})
}

func wantCode(t testing.TB, err error, want home.Code) {
	t.Helper()
	if home.CodeOf(err) != want {
		t.Errorf("got %v, want %v", err, want)
	}
}
