package town

import (
	"testing"
	"time"

	"campanile.network/hss-chain/ledger"
	"campanile.network/wire/proof"
)

// The gateway believes a ticket only if the node that signed it is registered
// as its home's, and only if it is for this operator.
func TestWhoseTicketIsBelieved(t *testing.T) {
	m, err := ledger.Open(ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	node, stranger, self := proof.NewSigningKey(), proof.NewSigningKey(), proof.OperatorKey{1}
	if err := m.Apply(ledger.Update{ChainID: "c", Height: 1, Resync: true,
		Operators: []ledger.Operator{{Account: "a", Key: self, Nodes: []ledger.HSSNode{{Key: node.Public()}}}}}); err != nil {
		t.Fatal(err)
	}
	open := openTicket(m, "c", self)
	for name, c := range map[string]struct {
		signer        proof.SigningKey
		home, serving proof.OperatorKey
		want          bool
	}{
		"ours":             {node, self, self, true},
		"a stranger's key": {stranger, self, self, false},
		"unknown home":     {node, proof.OperatorKey{2}, self, false},
		"another's":        {node, self, proof.OperatorKey{2}, false},
	} {
		b, err := proof.Ticket{ChainID: "c", Home: c.home, Node: c.signer.Public(), Serving: c.serving, Class: proof.Proven,
			NotBefore: time.Unix(1000, 0), NotAfter: time.Unix(2000, 0), Cap: proof.Carried{Bytes: 1}}.Sign(c.signer)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := open(b); (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whose eNBs are believed that a phone came to them by X2.
func TestWhosePathSwitchIsBelieved(t *testing.T) {
	m, err := ledger.Open(ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	a, b, c, nobody := proof.TowerKey{1}, proof.TowerKey{2}, proof.TowerKey{3}, proof.TowerKey{4}
	if err := m.Apply(ledger.Update{ChainID: "c", Height: 1, Resync: true, Towers: []ledger.Tower{{Key: a, Owner: "one"}, {Key: b, Owner: "one"}, {Key: c, Owner: "other"}}}); err != nil {
		t.Fatal(err)
	}
	for x2, want := range map[string][3]bool{x2SameOwner: {true, false, false}, x2All: {true, true, true}, x2None: {}} {
		f := towers{m}.pathSwitch(x2)
		if got := [3]bool{f(a, b), f(a, c), f(a, nobody)}; got != want {
			t.Errorf("%s: %v, want %v", x2, got, want)
		}
	}
	if towers := (towers{m}).pathSwitch(x2SameOwner); towers(nobody, nobody) {
		t.Error("towers that are not registered have one owner")
	}
}
