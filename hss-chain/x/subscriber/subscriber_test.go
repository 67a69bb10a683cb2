package subscriber

import (
	"context"
	"errors"
	"strings"
	"testing"

	"cosmossdk.io/math"
	"pgregory.net/rapid"

	sdk "github.com/cosmos/cosmos-sdk/types"

	"campanile.network/hss-chain/x/internal/xtest"
	"campanile.network/hss-chain/x/keyproof"
	"campanile.network/wire/proof"
)

type world struct {
	*xtest.Chain
	keeper  Keeper
	msgs    MsgServer
	queries QueryServer
}

func newWorld(t interface{ Fatal(...any) }) *world {
	chain, err := xtest.New(ModuleName)
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewKeeper(chain.Codec(), chain.Store(ModuleName), xtest.Addresses())
	if err != nil {
		t.Fatal(err)
	}
	return &world{chain, k, NewMsgServer(k), NewQueryServer(k)}
}

func key(n byte) proof.SigningKey { return proof.SigningKeyFromSeed([32]byte{n}) }

func name(n byte) string { _, text := xtest.Account(n); return text }

// operator n registers with key n and these ranges; change may alter the message.
func (w *world) register(n byte, ranges []string, change ...func(*MsgRegisterOperator)) error {
	public := key(n).Public()
	m := &MsgRegisterOperator{
		Account: name(n), Key: public[:], Name: "Ostia", PLMNs: []string{"00101"}, Ranges: ranges,
		KeyProof: keyproof.Sign(key(n).Ed25519(), keyproof.Operator, xtest.ChainID, name(n)),
		HSSNodes: []HSSNode{{Key: make([]byte, 32), HPKEPublicKey: []byte{1}, INDSlot: 3, Endpoint: "[::1]:7100"}},
		Prices:   []Price{{Class: "proven", PerGB: math.NewInt(5)}},
	}
	for _, c := range change {
		c(m)
	}
	return w.Do(func(ctx context.Context) error {
		_, err := w.msgs.RegisterOperator(ctx, m)
		return err
	})
}

func (w *world) update(n, keyNo byte, ranges []string) error {
	public := key(keyNo).Public()
	return w.Do(func(ctx context.Context) error {
		_, err := w.msgs.UpdateOperator(ctx, &MsgUpdateOperator{
			Account: name(n), Key: public[:], Name: "Ostia", PLMNs: []string{"00101"}, Ranges: ranges,
			KeyProof: keyproof.Sign(key(keyNo).Ed25519(), keyproof.Operator, xtest.ChainID, name(n)),
		})
		return err
	})
}

func check(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestRangesBelongToOne(t *testing.T) {
	w := newWorld(t)
	check(t, "first", w.register(1, []string{"0010101", "0010103"}), nil)
	check(t, "same range", w.register(2, []string{"0010101"}), ErrRange)
	check(t, "range inside", w.register(2, []string{"001010155"}), ErrRange)
	check(t, "range around", w.register(2, []string{"00101"}), ErrRange)
	check(t, "neighbour", w.register(2, []string{"0010102", "0010104"}), nil)
	check(t, "same account again", w.register(1, []string{"0010109"}), ErrExists)
	check(t, "grow into a neighbour", w.update(1, 1, []string{"0010101", "00101020"}), ErrRange)
	check(t, "give one up", w.update(1, 1, []string{"0010101"}), nil)
	check(t, "take what was given up", w.register(3, []string{"0010103"}), nil)
	for number, want := range map[string]string{"001010199999999": name(1), "001010399999999": name(3), "0010104": name(2)} {
		r, err := w.queries.Operator(w.Read(), &QueryOperatorRequest{IMSIPrefix: number})
		if err != nil || r.Operator.Account != want {
			t.Errorf("home of %s is %v, %v; want %s", number, r, err, want)
		}
	}
	if _, err := w.queries.Operator(w.Read(), &QueryOperatorRequest{IMSIPrefix: "001019999999999"}); err == nil {
		t.Error("a number in nobody's range has a home")
	}
}

// Ranges registered and updated in any order never overlap.
func TestRangesNeverOverlap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		ranges := rapid.SliceOfN(rapid.StringMatching(`00101[0-2]{0,3}`), 1, 3)
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			n := rapid.ByteRange(1, 4).Draw(rt, "operator")
			if rapid.Bool().Draw(rt, "update") {
				_ = w.update(n, n, ranges.Draw(rt, "ranges"))
			} else {
				_ = w.register(n, ranges.Draw(rt, "ranges"))
			}
		}
		gs, err := w.keeper.ExportGenesis(w.Read())
		if err != nil {
			rt.Fatal(err)
		}
		owner := map[string]string{}
		for _, o := range gs.Operators {
			for _, r := range o.Ranges {
				for other, who := range owner {
					if strings.HasPrefix(r, other) || strings.HasPrefix(other, r) {
						rt.Fatalf("%s of %s overlaps %s of %s", r, o.Account, other, who)
					}
				}
				owner[r] = o.Account
			}
		}
		entered := 0
		err = w.keeper.OperatorByRange.Walk(w.Read(), nil, func(r string, a sdk.AccAddress) (bool, error) {
			text, err := xtest.Addresses().BytesToString(a)
			entered++
			if owner[r] != text {
				rt.Fatalf("index says %s for %s, the records say %s", text, r, owner[r])
			}
			return false, err
		})
		if err != nil || entered != len(owner) {
			rt.Fatalf("%d ranges in the index, %d in the records, %v", entered, len(owner), err)
		}
	})
}

func TestRefusedOperators(t *testing.T) {
	w := newWorld(t)
	for what, change := range map[string]func(*MsgRegisterOperator){
		"proof for another account": func(m *MsgRegisterOperator) { m.Account = name(9) },
		"no proof":                  func(m *MsgRegisterOperator) { m.KeyProof = nil },
		"short key":                 func(m *MsgRegisterOperator) { m.Key = m.Key[:31] },
		"no name":                   func(m *MsgRegisterOperator) { m.Name = "" },
		"control character":         func(m *MsgRegisterOperator) { m.Name = "a\x1b[2J" },
		"broken UTF-8":              func(m *MsgRegisterOperator) { m.Name = "a\xff" },
		"PLMN with a slash":         func(m *MsgRegisterOperator) { m.PLMNs = []string{"001/01"} },
		"no range":                  func(m *MsgRegisterOperator) { m.Ranges = nil },
		"foreign range":             func(m *MsgRegisterOperator) { m.Ranges = []string{"26201"} },
		"letters":                   func(m *MsgRegisterOperator) { m.Ranges = []string{"00101a"} },
		"overlap in itself":         func(m *MsgRegisterOperator) { m.Ranges = []string{"001011", "0010112"} },
		"16 digits":                 func(m *MsgRegisterOperator) { m.Ranges = []string{"0010112345678901"} },
		"IND slot 4":                func(m *MsgRegisterOperator) { m.HSSNodes[0].INDSlot = 4 },
		"one IND slot twice": func(m *MsgRegisterOperator) {
			m.HSSNodes = append(m.HSSNodes, HSSNode{Key: make([]byte, 32), HPKEPublicKey: []byte{2}, INDSlot: 3})
			m.HSSNodes[1].Key[0] = 1
		},
		"endpoint without port": func(m *MsgRegisterOperator) { m.HSSNodes[0].Endpoint = "hss.example" },
		"unknown class":         func(m *MsgRegisterOperator) { m.Prices[0].Class = "gold" },
		"negative price":        func(m *MsgRegisterOperator) { m.Prices[0].PerGB = math.NewInt(-1) },
		"no price":              func(m *MsgRegisterOperator) { m.Prices[0].PerGB = math.Int{} },
		"huge price":            func(m *MsgRegisterOperator) { m.Prices[0].PerGB = math.NewInt(1 << 62).MulRaw(1 << 62).MulRaw(1 << 10) },
		"no account":            func(m *MsgRegisterOperator) { m.Account = "camp1nonsense" },
	} {
		check(t, what, w.register(1, []string{"00101"}, change), ErrInvalid)
	}
	check(t, "account in capitals", w.register(1, []string{"00101"}, func(m *MsgRegisterOperator) { m.Account = strings.ToUpper(m.Account) }), nil)
	check(t, "the same account in small letters", w.register(1, []string{"00101"}), ErrExists)
}

func TestKeyBelongsToOne(t *testing.T) {
	w := newWorld(t)
	check(t, "first", w.register(1, []string{"001011"}), nil)
	check(t, "second", w.register(2, []string{"001012"}), nil)
	check(t, "take another's key", w.update(2, 1, []string{"001012"}), ErrExists)
	check(t, "new key", w.update(1, 7, []string{"001011"}), nil)
	check(t, "key that was given up", w.update(2, 1, []string{"001012"}), nil)
	o, _ := w.keeper.Operators.Get(w.Read(), must(xtest.Addresses().StringToBytes(name(1))))
	if public := key(7).Public(); string(o.Key) != string(public[:]) || o.Version != 2 {
		t.Errorf("operator is %+v, want key 7 and version 2", o)
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func fresh(n byte) NewSubscriber {
	return NewSubscriber{ID: append(make([]byte, 15), n), State: StateActive, Plan: "day", BlobHash: append(make([]byte, 31), n)}
}

func (w *world) add(by byte, subs ...NewSubscriber) error {
	return w.Do(func(ctx context.Context) error {
		_, err := w.msgs.AddSubscribers(ctx, &MsgAddSubscribers{Operator: name(by), Epoch: 1, Subscribers: subs})
		return err
	})
}

func (w *world) change(by byte, c ...SubscriberChange) error {
	return w.Do(func(ctx context.Context) error {
		_, err := w.msgs.UpdateSubscribers(ctx, &MsgUpdateSubscribers{Operator: name(by), Changes: c})
		return err
	})
}

func TestSubscribers(t *testing.T) {
	w := newWorld(t)
	check(t, "nobody's subscriber", w.add(1, fresh(1)), ErrUnknown)
	check(t, "operator", w.register(1, []string{"001011"}), nil)
	check(t, "other operator", w.register(2, []string{"001012"}), nil)
	check(t, "two", w.add(1, fresh(1), fresh(2)), nil)
	check(t, "one new, one known", w.add(1, fresh(3), fresh(2)), ErrExists)
	if _, err := w.queries.Subscriber(w.Read(), &QuerySubscriberRequest{ID: fresh(3).ID}); err == nil {
		t.Error("half of a refused batch is in")
	}
	bad := fresh(4)
	bad.State = StateErased
	check(t, "born erased", w.add(1, bad), ErrInvalid)
	bad = fresh(4)
	bad.BlobHash = nil
	check(t, "no blob", w.add(1, bad), ErrInvalid)
	check(t, "empty batch", w.add(1), ErrInvalid)
	check(t, "too many", w.add(1, make([]NewSubscriber, MaxBatch+1)...), ErrInvalid)

	bar := SubscriberChange{ID: fresh(1).ID, State: StateBarred, Plan: "day", Version: 2, BlobHash: fresh(1).BlobHash, Epoch: 2}
	check(t, "another's", w.change(2, bar), ErrNotYours)
	check(t, "bar", w.change(1, bar), nil)
	check(t, "same version again", w.change(1, bar), ErrVersion)
	erase := SubscriberChange{ID: fresh(1).ID, State: StateErased, Version: 3}
	kept := erase
	kept.BlobHash = fresh(1).BlobHash
	check(t, "erase but keep the blob", w.change(1, kept), ErrInvalid)
	check(t, "erase", w.change(1, erase), nil)
	back := bar
	back.Version = 4
	check(t, "bring back", w.change(1, back), ErrErased)
	check(t, "unknown", w.change(1, SubscriberChange{ID: fresh(9).ID, Version: 2}), ErrUnknown)
}

func TestExportedStateStartsAgain(t *testing.T) {
	w := newWorld(t)
	check(t, "operator", w.register(1, []string{"001011"}), nil)
	check(t, "subscriber", w.add(1, fresh(1)), nil)
	gs, err := w.keeper.ExportGenesis(w.Read())
	check(t, "export", err, nil)
	again := newWorld(t)
	check(t, "import", again.Do(func(ctx context.Context) error { return again.keeper.InitGenesis(ctx, *gs) }), nil)
	back, err := again.keeper.ExportGenesis(again.Read())
	if err != nil || back.String() != gs.String() {
		t.Errorf("exported again: %v, %v; want %v", back, err, gs)
	}
	check(t, "overlap after import", again.register(2, []string{"0010115"}), ErrRange)
}
