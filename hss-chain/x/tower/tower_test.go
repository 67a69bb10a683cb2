package tower

import (
	"context"
	"errors"
	"testing"

	"cosmossdk.io/math"

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

func newWorld(t *testing.T) *world {
	t.Helper()
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

// register enters tower n of owner n with macro eNB id n; change may alter the message.
func (w *world) register(n byte, change ...func(*MsgRegisterTower)) error {
	public := key(n).Public()
	m := &MsgRegisterTower{
		Owner: name(n), Key: public[:], KeyProof: keyproof.Sign(key(n).Ed25519(), keyproof.Tower, xtest.ChainID, name(n)),
		Name: "roof", ENB: GlobalENB{PLMN: "00101", Type: ENBMacro, Value: uint32(n)},
		Cells: []Cell{{PLMN: "00101", ECI: uint32(n)<<8 | 1}}, Prices: Prices{PerGB: math.NewInt(9), PerMinute: math.NewInt(2), PerMessage: math.NewInt(3)},
	}
	for _, c := range change {
		c(m)
	}
	return w.Do(func(ctx context.Context) error {
		_, err := w.msgs.RegisterTower(ctx, m)
		return err
	})
}

func (w *world) update(owner, n byte, value uint32) error {
	public := key(n).Public()
	return w.Do(func(ctx context.Context) error {
		_, err := w.msgs.UpdateTower(ctx, &MsgUpdateTower{
			Owner: name(owner), Key: public[:], Name: "roof", ENB: GlobalENB{PLMN: "00101", Type: ENBMacro, Value: value},
			Cells: []Cell{{PLMN: "00101", ECI: value << 8}}, Prices: Prices{PerGB: math.NewInt(10), PerMinute: math.NewInt(2), PerMessage: math.NewInt(3)},
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

func TestENBIdentityBelongsToOne(t *testing.T) {
	w := newWorld(t)
	check(t, "first", w.register(1), nil)
	check(t, "same key", w.register(1), ErrExists)
	check(t, "second", w.register(2), nil)
	check(t, "same eNB id", w.register(3, func(m *MsgRegisterTower) { m.ENB.Value, m.Cells[0].ECI = 1, 0x101 }), ErrENB)
	check(t, "same number, home eNB", w.register(3, func(m *MsgRegisterTower) { m.ENB, m.Cells[0].ECI = GlobalENB{"00101", ENBHome, 1}, 1 }), nil)
	check(t, "another's tower", w.update(1, 2, 5), ErrNotYours)
	check(t, "another's eNB id", w.update(2, 2, 1), ErrENB)
	check(t, "move", w.update(2, 2, 5), nil)
	check(t, "the id it left", w.register(4, func(m *MsgRegisterTower) { m.ENB.Value, m.Cells[0].ECI = 2, 0x201 }), nil)
	check(t, "unknown tower", w.update(9, 9, 9), ErrUnknown)
	r, err := w.queries.Tower(w.Read(), &QueryTowerRequest{ENB: &GlobalENB{PLMN: "00101", Type: ENBMacro, Value: 5}})
	if err != nil || r.Tower.Version != 2 || r.Tower.Prices.PerGB.Int64() != 10 || len(r.Tower.Shares) != 1 || r.Tower.Shares[0].Address != name(2) {
		t.Errorf("moved tower is %v, %v", r, err)
	}
}

func TestRefusedTowers(t *testing.T) {
	w := newWorld(t)
	for what, change := range map[string]func(*MsgRegisterTower){
		"proof for another owner":  func(m *MsgRegisterTower) { m.Owner = name(7) },
		"short key":                func(m *MsgRegisterTower) { m.Key = m.Key[1:] },
		"no name":                  func(m *MsgRegisterTower) { m.Name = "" },
		"line break in the name":   func(m *MsgRegisterTower) { m.Name = "a\nb" },
		"eNB id of 21 bits":        func(m *MsgRegisterTower) { m.ENB.Value = 1 << 20 },
		"no eNB type":              func(m *MsgRegisterTower) { m.ENB.Type = 0 },
		"eNB type 5":               func(m *MsgRegisterTower) { m.ENB.Type = 5 },
		"PLMN of 4 digits":         func(m *MsgRegisterTower) { m.ENB.PLMN = "0010" },
		"no cell":                  func(m *MsgRegisterTower) { m.Cells = nil },
		"cell of another eNB":      func(m *MsgRegisterTower) { m.Cells[0].ECI = 0x201 },
		"cell of 29 bits":          func(m *MsgRegisterTower) { m.Cells[0].ECI = 1<<28 | 0x101 },
		"cell listed twice":        func(m *MsgRegisterTower) { m.Cells = append(m.Cells, m.Cells[0]) },
		"negative price":           func(m *MsgRegisterTower) { m.Prices.PerMinute = math.NewInt(-1) },
		"no price":                 func(m *MsgRegisterTower) { m.Prices.PerMessage = math.Int{} },
		"share of nothing":         func(m *MsgRegisterTower) { m.Shares = []Share{{name(1), 0}} },
		"share of an unknown":      func(m *MsgRegisterTower) { m.Shares = []Share{{"nobody", 1}} },
		"two shares of an account": func(m *MsgRegisterTower) { m.Shares = []Share{{name(1), 1}, {name(1), 2}} },
		"17 shares": func(m *MsgRegisterTower) {
			for n := range byte(17) {
				m.Shares = append(m.Shares, Share{name(n), 1})
			}
		},
	} {
		check(t, what, w.register(1, change), ErrInvalid)
	}
	check(t, "two shares", w.register(1, func(m *MsgRegisterTower) { m.Shares = []Share{{name(1), 9}, {name(2), 1}} }), nil)
}

func TestExportedStateStartsAgain(t *testing.T) {
	w := newWorld(t)
	check(t, "tower", w.register(1), nil)
	gs, err := w.keeper.ExportGenesis(w.Read())
	check(t, "export", err, nil)
	again := newWorld(t)
	check(t, "import", again.Do(func(ctx context.Context) error { return again.keeper.InitGenesis(ctx, *gs) }), nil)
	check(t, "eNB id after import", again.register(2, func(m *MsgRegisterTower) { m.ENB.Value, m.Cells[0].ECI = 1, 0x101 }), ErrENB)
}
