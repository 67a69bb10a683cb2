// Package xtest is what tests of the chain's modules run on: stores in memory,
// a block clock that only moves when told to, and a bank that holds real
// balances and can lose none. It is no app: messages run one by one, each whole
// or not at all.
package xtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	dbm "github.com/cosmos/cosmos-db"

	"cosmossdk.io/core/address"
	corestore "cosmossdk.io/core/store"
	"cosmossdk.io/log/v2"
	"cosmossdk.io/math"

	"github.com/cosmos/cosmos-sdk/codec"
	addresscodec "github.com/cosmos/cosmos-sdk/codec/address"
	codectypes "github.com/cosmos/cosmos-sdk/codec/types"
	"github.com/cosmos/cosmos-sdk/runtime"
	"github.com/cosmos/cosmos-sdk/store/v2"
	storetypes "github.com/cosmos/cosmos-sdk/store/v2/types"
	sdk "github.com/cosmos/cosmos-sdk/types"
	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"
)

// ChainID is the chain every test runs on.
const ChainID = "campanile-0badcafe"

// Chain is stores and a clock.
type Chain struct {
	Bank *Bank

	ctx  sdk.Context
	keys map[string]*storetypes.KVStoreKey
}

// New makes a chain with these stores, at block 1.
func New(stores ...string) (*Chain, error) {
	c := &Chain{Bank: NewBank(), keys: storetypes.NewKVStoreKeys(stores...)}
	cms := store.NewCommitMultiStore(dbm.NewMemDB(), log.NewNopLogger())
	for _, k := range c.keys {
		cms.MountStoreWithDB(k, storetypes.StoreTypeIAVL, nil)
	}
	if err := cms.LoadLatestVersion(); err != nil {
		return nil, err
	}
	header := cmtproto.Header{ChainID: ChainID, Height: 1, Time: time.Unix(1_800_000_000, 0).UTC()}
	c.ctx = sdk.NewContext(cms, header, false, log.NewNopLogger())
	return c, nil
}

// Store opens one of the stores.
func (c *Chain) Store(name string) corestore.KVStoreService {
	return runtime.NewKVStoreService(c.keys[name])
}

// Codec encodes state.
func (*Chain) Codec() codec.Codec {
	return codec.NewProtoCodec(codectypes.NewInterfaceRegistry())
}

// Addresses spells accounts as the chain does.
func Addresses() address.Codec { return addresscodec.NewBech32Codec("camp") }

// Account is the n-th test account and its spelling.
func Account(n byte) (sdk.AccAddress, string) {
	a := make(sdk.AccAddress, 20)
	a[19] = n
	text, err := Addresses().BytesToString(a)
	if err != nil {
		panic(err)
	}
	return a, text
}

// Do runs one message: what it writes and moves stays only if it returns nil.
func (c *Chain) Do(message func(ctx context.Context) error) error {
	cached, write := c.ctx.CacheContext()
	before := maps.Clone(c.Bank.balances)
	if err := message(cached); err != nil {
		c.Bank.balances = before
		return err
	}
	write()
	return nil
}

// Read gives a context to read with.
func (c *Chain) Read() sdk.Context { return c.ctx }

// Now is the block time.
func (c *Chain) Now() time.Time { return c.ctx.BlockTime() }

// Block ends the block with the module's end blocker and begins one later by d.
func (c *Chain) Block(d time.Duration, end func(ctx context.Context) error) error {
	if err := end(c.ctx); err != nil {
		return err
	}
	c.ctx = c.ctx.WithBlockHeight(c.ctx.BlockHeight() + 1).WithBlockTime(c.ctx.BlockTime().Add(d))
	return nil
}

// Bank holds balances of one coin; modules' accounts are by name.
type Bank struct {
	balances map[string]math.Int
	blocked  map[string]bool
}

// NewBank is empty.
func NewBank() *Bank { return &Bank{balances: map[string]math.Int{}, blocked: map[string]bool{}} }

// ModuleAccount is where a module's coins lie.
func ModuleAccount(name string) sdk.AccAddress { return sdk.AccAddress("module/" + name) }

// Mint gives an account coins out of nothing, for a test's beginning.
func (b *Bank) Mint(to sdk.AccAddress, amount math.Int) { b.add(to, amount) }

// Block makes an account one that the bank sends nothing to.
func (b *Bank) Block(a sdk.AccAddress) { b.blocked[string(a)] = true }

// Total is everything there is.
func (b *Bank) Total() math.Int {
	sum := math.ZeroInt()
	for _, v := range b.balances {
		sum = sum.Add(v)
	}
	return sum
}

func (b *Bank) add(a sdk.AccAddress, amount math.Int) {
	old, ok := b.balances[string(a)]
	if !ok {
		old = math.ZeroInt()
	}
	b.balances[string(a)] = old.Add(amount)
}

// GetBalance is what an account holds.
func (b *Bank) GetBalance(_ context.Context, a sdk.AccAddress, denom string) sdk.Coin {
	v, ok := b.balances[string(a)]
	if !ok {
		v = math.ZeroInt()
	}
	return sdk.Coin{Denom: denom, Amount: v}
}

// BlockedAddr says whether the bank sends the account nothing.
func (b *Bank) BlockedAddr(a sdk.AccAddress) bool { return b.blocked[string(a)] }

// SendCoinsFromAccountToModule moves coins, or fails when there are too few.
func (b *Bank) SendCoinsFromAccountToModule(_ context.Context, from sdk.AccAddress, module string, coins sdk.Coins) error {
	return b.move(from, ModuleAccount(module), coins)
}

// SendCoinsFromModuleToAccount moves coins, or fails when there are too few.
func (b *Bank) SendCoinsFromModuleToAccount(_ context.Context, module string, to sdk.AccAddress, coins sdk.Coins) error {
	if b.blocked[string(to)] {
		return sdkerrors.ErrUnauthorized
	}
	return b.move(ModuleAccount(module), to, coins)
}

func (b *Bank) move(from, to sdk.AccAddress, coins sdk.Coins) error {
	if len(coins) != 1 || !coins[0].Amount.IsPositive() {
		return errors.New("the bank moves one positive amount of one coin")
	}
	amount := coins[0].Amount
	if held := b.GetBalance(context.Background(), from, "").Amount; held.LT(amount) {
		return fmt.Errorf("%w: %v held, %v wanted", sdkerrors.ErrInsufficientFunds, held, amount)
	}
	b.add(from, amount.Neg())
	b.add(to, amount)
	return nil
}
