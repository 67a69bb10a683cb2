package settlement

import (
	"context"
	"errors"
	"testing"
	"time"

	"cosmossdk.io/math"

	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"campanile.network/hss-chain/x/internal/xtest"
	"campanile.network/hss-chain/x/subscriber"
	"campanile.network/hss-chain/x/tower"
	"campanile.network/wire/proof"
)

// registry is operators and towers as the other two modules would give them.
type registry struct {
	operators map[string]subscriber.Operator
	towers    map[string]tower.Tower
}

func (r registry) Operator(_ context.Context, a sdk.AccAddress) (subscriber.Operator, error) {
	o, ok := r.operators[string(a)]
	if !ok {
		return o, subscriber.ErrUnknown
	}
	return o, nil
}

func (r registry) Tower(_ context.Context, key []byte) (tower.Tower, error) {
	t, ok := r.towers[string(key)]
	if !ok {
		return t, tower.ErrUnknown
	}
	return t, nil
}

// Accounts of every world.
const (
	payerNo byte = iota + 1
	ownerNo
	friendNo
	strangerNo
)

// world has one operator with 1000 abell, and one tower whose earnings go 2:1
// to its owner and a friend.
type world struct {
	*xtest.Chain
	keeper   Keeper
	msgs     MsgServer
	registry registry
	key      proof.SigningKey
	tower    []byte
}

type failer interface {
	Helper()
	Fatal(...any)
}

func newWorld(t failer) *world {
	t.Helper()
	chain, err := xtest.New(ModuleName)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Chain: chain, key: proof.SigningKeyFromSeed([32]byte{1}), tower: make([]byte, 32)}
	public := w.key.Public()
	payer, payerText := xtest.Account(payerNo)
	_, ownerText := xtest.Account(ownerNo)
	_, friendText := xtest.Account(friendNo)
	w.registry = registry{
		operators: map[string]subscriber.Operator{string(payer): {Account: payerText, Key: public[:]}},
		towers: map[string]tower.Tower{string(w.tower): {
			Key: w.tower, Owner: ownerText, Prices: tower.Prices{PerGB: math.NewInt(7), PerMinute: math.NewInt(2), PerMessage: math.NewInt(3)},
			Shares: []tower.Share{{Address: ownerText, Weight: 2}, {Address: friendText, Weight: 1}},
		}},
	}
	w.keeper, err = NewKeeper(Needs{
		Codec: chain.Codec(), Store: chain.Store(ModuleName), Addresses: xtest.Addresses(),
		Account: xtest.ModuleAccount(ModuleName), Authority: "gov", Bank: chain.Bank, Operators: w.registry, Towers: w.registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.msgs = NewMsgServer(w.keeper)
	chain.Bank.Mint(payer, math.NewInt(1000))
	if err := chain.Do(func(ctx context.Context) error { return w.keeper.InitGenesis(ctx, *DefaultGenesis()) }); err != nil {
		t.Fatal(err)
	}
	return w
}

func name(n byte) string { _, text := xtest.Account(n); return text }

func abell(n int64) sdk.Coin { return sdk.Coin{Denom: Denom, Amount: math.NewInt(n)} }

func (w *world) open(reserve int64) (id uint64, err error) {
	err = w.Do(func(ctx context.Context) error {
		r, err := w.msgs.OpenChannel(ctx, &MsgOpenChannel{Payer: name(payerNo), TowerKey: w.tower, Reserve: abell(reserve)})
		if err == nil {
			id = r.ID
		}
		return err
	})
	return id, err
}

func (w *world) topUp(by byte, id uint64, amount int64) error {
	return w.Do(func(ctx context.Context) error {
		_, err := w.msgs.TopUp(ctx, &MsgTopUp{Payer: name(by), Channel: id, Amount: abell(amount)})
		return err
	})
}

func (w *world) sign(id, seq uint64, amount int64) []byte {
	b, err := proof.Voucher{ChainID: xtest.ChainID, Channel: id, Seq: seq, Amount: proof.AmountOf(uint64(amount))}.Sign(w.key)
	if err != nil {
		panic(err)
	}
	return b
}

func (w *world) settle(vouchers ...[]byte) (list []Settled, err error) {
	err = w.Do(func(ctx context.Context) error {
		r, err := w.msgs.Settle(ctx, &MsgSettle{Submitter: name(strangerNo), Vouchers: vouchers})
		if err == nil {
			list = r.Settled
		}
		return err
	})
	return list, err
}

func (w *world) claim(by byte) (amount int64, err error) {
	err = w.Do(func(ctx context.Context) error {
		r, err := w.msgs.Claim(ctx, &MsgClaim{Claimer: name(by)})
		if err == nil {
			amount = r.Amount.Amount.Int64()
		}
		return err
	})
	return amount, err
}

func (w *world) close(by byte, id uint64, voucher []byte) (state ChannelState, err error) {
	err = w.Do(func(ctx context.Context) error {
		r, err := w.msgs.Close(ctx, &MsgClose{Sender: name(by), Channel: id, Voucher: voucher})
		if err == nil {
			state = r.State
		}
		return err
	})
	return state, err
}

func (w *world) block(t failer, d time.Duration) {
	t.Helper()
	if err := w.Block(d, w.keeper.EndBlock); err != nil {
		t.Fatal(err)
	}
}

func (w *world) holds(by byte) int64 {
	a, _ := xtest.Account(by)
	return w.Bank.GetBalance(context.Background(), a, Denom).Amount.Int64()
}

func check(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestVouchersPayTheSharesUpToTheReserve(t *testing.T) {
	w := newWorld(t)
	id, err := w.open(100)
	check(t, "open", err, nil)
	s, err := w.settle(w.sign(id, 1, 10)) // 10 = 6 + 3 + 1 left over
	check(t, "first voucher", err, nil)
	if s[0].Paid.Int64() != 10 || !s[0].Owing.IsZero() {
		t.Errorf("first voucher: %+v", s[0])
	}
	s, err = w.settle(w.sign(id, 2, 40), w.sign(id, 3, 130)) // two of one channel in one message
	check(t, "two vouchers", err, nil)
	if s[0].Paid.Int64() != 30 || s[1].Paid.Int64() != 60 || s[1].Owing.Int64() != 30 {
		t.Errorf("two vouchers: %+v", s)
	}
	check(t, "top-up", w.topUp(payerNo, id, 50), nil) // pays the 30 at once
	owner, err := w.claim(ownerNo)
	check(t, "owner's claim", err, nil)
	friend, err := w.claim(friendNo)
	check(t, "friend's claim", err, nil)
	// 10, 30, 60 and 30 split 2:1, one left over of the first: 7+20+40+20 and 3+10+20+10
	if owner != 87 || friend != 43 || w.holds(ownerNo) != 87 || w.holds(payerNo) != 850 {
		t.Errorf("owner %d, friend %d, payer holds %d; want 87, 43, 850", owner, friend, w.holds(payerNo))
	}
	_, err = w.claim(ownerNo)
	check(t, "second claim", err, ErrNothingToClaim)
	check(t, "recount", w.keeper.Recount(w.Read()), nil)
}

func TestRefusedVouchers(t *testing.T) {
	w := newWorld(t)
	id, err := w.open(100)
	check(t, "open", err, nil)
	if _, err := w.settle(w.sign(id, 5, 50)); err != nil {
		t.Fatal(err)
	}
	other := proof.NewSigningKey()
	foreign, _ := proof.Voucher{ChainID: "campanile-elsewhere", Channel: id, Seq: 9, Amount: proof.AmountOf(90)}.Sign(w.key)
	forged, _ := proof.Voucher{ChainID: xtest.ChainID, Channel: id, Seq: 9, Amount: proof.AmountOf(90)}.Sign(other)
	bent := w.sign(id, 9, 90)
	bent[len(bent)-70] ^= 1
	for what, c := range map[string]struct {
		voucher []byte
		want    error
	}{
		"same again":        {w.sign(id, 5, 50), ErrNothingNew},
		"lower, higher seq": {w.sign(id, 99, 49), ErrNothingNew},
		"other chain":       {foreign, ErrVoucher},
		"other key":         {forged, ErrVoucher},
		"changed octet":     {bent, ErrVoucher},
		"empty":             {nil, ErrVoucher},
		"no such channel":   {w.sign(id+1, 9, 90), ErrUnknown},
	} {
		_, err := w.settle(c.voucher)
		check(t, what, err, c.want)
	}
	// one bad voucher spoils its message, and only that
	_, err = w.settle(w.sign(id, 6, 60), forged)
	check(t, "good and forged", err, ErrVoucher)
	if c, _ := w.keeper.Channels.Get(w.Read(), id); c.Paid.Int64() != 50 {
		t.Errorf("paid %v after refused vouchers, want 50", c.Paid)
	}
}

// A payer who shows himself a voucher with a huge number and no new money must
// not void those that the tower still holds.
func TestSequenceNumberVoidsNothing(t *testing.T) {
	w := newWorld(t)
	id, err := w.open(100)
	check(t, "open", err, nil)
	held := w.sign(id, 2, 80)
	_, err = w.settle(w.sign(id, 1<<63, 10))
	check(t, "payer's own", err, nil)
	s, err := w.settle(held)
	check(t, "held by the tower", err, nil)
	if s[0].Paid.Int64() != 70 {
		t.Errorf("paid %v, want 70", s[0].Paid)
	}
}

func TestOwnerClosesAtOnce(t *testing.T) {
	w := newWorld(t)
	id, _ := w.open(100)
	state, err := w.close(ownerNo, id, w.sign(id, 1, 30))
	check(t, "close", err, nil)
	if state != ChannelClosed || w.holds(payerNo) != 970 {
		t.Errorf("state %v, payer holds %d; want closed, 970", state, w.holds(payerNo))
	}
	_, err = w.settle(w.sign(id, 2, 60))
	check(t, "voucher after closing", err, ErrClosed)
	check(t, "top-up after closing", w.topUp(payerNo, id, 1), ErrClosed)
	_, err = w.close(ownerNo, id, nil)
	check(t, "close twice", err, ErrClosed)
	again, err := w.open(10)
	check(t, "open again", err, nil)
	if again == id {
		t.Error("a channel id was given twice")
	}
	_, err = w.settle(w.sign(id, 2, 60)) // an old voucher is of no use in the new channel
	check(t, "voucher of the old channel", err, ErrUnknown)
	check(t, "recount", w.keeper.Recount(w.Read()), nil)
}

func TestPayerWaitsForTheChallengeTime(t *testing.T) {
	w := newWorld(t)
	id, _ := w.open(100)
	state, err := w.close(payerNo, id, nil)
	check(t, "close", err, nil)
	if state != ChannelClosing || w.holds(payerNo) != 900 {
		t.Errorf("state %v, payer holds %d; want closing, 900", state, w.holds(payerNo))
	}
	check(t, "top-up while closing", w.topUp(payerNo, id, 1), ErrClosed)
	_, err = w.close(payerNo, id, nil)
	check(t, "close while closing", err, ErrClosed)
	_, err = w.open(10)
	check(t, "second channel while closing", err, ErrExists)
	w.block(t, DefaultChallengeTime-time.Second)
	_, err = w.settle(w.sign(id, 1, 40))
	check(t, "higher voucher in the last second", err, nil)
	w.block(t, time.Second)
	_, err = w.settle(w.sign(id, 2, 60))
	check(t, "voucher when time is up", err, ErrClosed)
	w.block(t, time.Second)
	if c, _ := w.keeper.Channels.Get(w.Read(), id); c.State != ChannelClosed || c.Returned.Int64() != 60 || w.holds(payerNo) != 960 {
		t.Errorf("channel %v, payer holds %d; want closed, 60 returned, 960", c, w.holds(payerNo))
	}
	if n, _ := w.keeper.due(w.Read().WithBlockTime(w.Now().Add(DefaultChallengeTime))); len(n) != 0 {
		t.Errorf("queue still holds %v", n)
	}
}

func TestWhoMayAndOnWhatTerms(t *testing.T) {
	w := newWorld(t)
	id, _ := w.open(100)
	_, err := w.close(strangerNo, id, nil)
	check(t, "stranger closes", err, ErrNotYours)
	check(t, "stranger tops up", w.topUp(strangerNo, id, 1), ErrNotYours)
	_, err = w.open(1)
	check(t, "second channel", err, ErrExists)
	check(t, "more than he has", w.topUp(payerNo, id, 5000), sdkerrors.ErrInsufficientFunds)
	check(t, "stranger opens", w.Do(func(ctx context.Context) error {
		_, err := w.msgs.OpenChannel(ctx, &MsgOpenChannel{Payer: name(strangerNo), TowerKey: w.tower, Reserve: abell(0)})
		return err
	}), subscriber.ErrUnknown)
	check(t, "unknown tower", w.Do(func(ctx context.Context) error {
		_, err := w.msgs.OpenChannel(ctx, &MsgOpenChannel{Payer: name(payerNo), TowerKey: make([]byte, 31), Reserve: abell(0)})
		return err
	}), tower.ErrUnknown)
	check(t, "other coin", w.Do(func(ctx context.Context) error {
		_, err := w.msgs.TopUp(ctx, &MsgTopUp{Payer: name(payerNo), Channel: id, Amount: sdk.Coin{Denom: "stake", Amount: math.OneInt()}})
		return err
	}), ErrInvalid)
	check(t, "parameters by a stranger", w.Do(func(ctx context.Context) error {
		_, err := w.msgs.UpdateParams(ctx, &MsgUpdateParams{Authority: name(strangerNo), Params: Params{ChallengeTime: time.Hour}})
		return err
	}), ErrNotYours)

	// the operator's new key and the tower's new terms do not touch this channel
	payer, _ := xtest.Account(payerNo)
	w.registry.operators[string(payer)] = subscriber.Operator{Account: name(payerNo), Key: make([]byte, 32)}
	w.registry.towers[string(w.tower)] = tower.Tower{Key: w.tower, Owner: name(strangerNo), Shares: []tower.Share{{Address: name(strangerNo), Weight: 1}}}
	_, err = w.settle(w.sign(id, 1, 30))
	check(t, "voucher of the old key", err, nil)
	if n, _ := w.claim(ownerNo); n != 20 {
		t.Errorf("owner claims %d, want 20", n)
	}
}

func TestExportedStateStartsAgain(t *testing.T) {
	w := newWorld(t)
	id, _ := w.open(100)
	if _, err := w.settle(w.sign(id, 1, 30)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.close(payerNo, id, nil); err != nil {
		t.Fatal(err)
	}
	gs, err := w.keeper.ExportGenesis(w.Read())
	check(t, "export", err, nil)
	again := newWorld(t)
	module := xtest.ModuleAccount(ModuleName)
	check(t, "import uncovered", again.Do(func(ctx context.Context) error { return again.keeper.InitGenesis(ctx, *gs) }), ErrInsolvent)
	again.Bank.Mint(module, w.Bank.GetBalance(context.Background(), module, Denom).Amount)
	check(t, "import", again.Do(func(ctx context.Context) error { return again.keeper.InitGenesis(ctx, *gs) }), nil)
	again.block(t, DefaultChallengeTime)
	again.block(t, time.Second)
	if n, _ := again.claim(ownerNo); n != 20 {
		t.Errorf("owner claims %d, want 20", n)
	}
	if again.holds(payerNo) != 1070 {
		t.Errorf("payer holds %d, want 1070", again.holds(payerNo))
	}
}

func TestShortageStopsTheChain(t *testing.T) {
	w := newWorld(t)
	if _, err := w.open(100); err != nil {
		t.Fatal(err)
	}
	w.Bank.Mint(xtest.ModuleAccount(ModuleName), math.NewInt(-1))
	check(t, "end of block", w.keeper.EndBlock(w.Read()), ErrInsolvent)
}
