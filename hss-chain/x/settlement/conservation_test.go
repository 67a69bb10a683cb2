package settlement

import (
	"errors"
	"slices"
	"testing"
	"time"

	"cosmossdk.io/math"
	"pgregory.net/rapid"

	sdkerrors "github.com/cosmos/cosmos-sdk/types/errors"

	"campanile.network/hss-chain/x/tower"
)

// Whatever is done in whatever order: no coin appears or is lost, running sums
// equal the records, a channel never pays more than its reserve or than was
// promised, and what was paid is with the shares.
func TestConservation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		total := w.Bank.Total()
		var channels []uint64
		seq := uint64(0)
		anybody := rapid.SampledFrom([]byte{payerNo, ownerNo, friendNo, strangerNo})
		amount := rapid.Int64Range(0, 400)
		channel := func(t *rapid.T) uint64 {
			if len(channels) == 0 {
				return 1
			}
			return rapid.SampledFrom(channels).Draw(t, "channel")
		}
		// refusals are part of the game; anything else is a fault
		allow := func(t *rapid.T, err error, refusals ...error) {
			if err != nil && !slices.ContainsFunc(refusals, func(r error) bool { return errors.Is(err, r) }) {
				t.Fatalf("unexpected: %v", err)
			}
		}
		any := []error{ErrUnknown, ErrExists, ErrClosed, ErrNothingNew, ErrNotYours, ErrNothingToClaim, sdkerrors.ErrInsufficientFunds}
		rt.Repeat(map[string]func(*rapid.T){
			"open": func(t *rapid.T) {
				id, err := w.open(amount.Draw(t, "reserve"))
				if err == nil {
					channels = append(channels, id)
				}
				allow(t, err, any...)
			},
			"topUp": func(t *rapid.T) {
				allow(t, w.topUp(anybody.Draw(t, "by"), channel(t), amount.Draw(t, "amount")), any...)
			},
			"settle": func(t *rapid.T) {
				seq++
				_, err := w.settle(w.sign(channel(t), seq, amount.Draw(t, "amount")))
				allow(t, err, any...)
			},
			"claim": func(t *rapid.T) {
				_, err := w.claim(anybody.Draw(t, "by"))
				allow(t, err, any...)
			},
			"close": func(t *rapid.T) {
				var v []byte
				id := channel(t)
				if rapid.Bool().Draw(t, "with voucher") {
					v = w.sign(id, seq, amount.Draw(t, "amount"))
				}
				_, err := w.close(anybody.Draw(t, "by"), id, v)
				allow(t, err, any...)
			},
			"block": func(t *rapid.T) {
				w.block(t, time.Duration(rapid.Int64Range(1, int64(DefaultChallengeTime)).Draw(t, "time")))
			},
			"": func(t *rapid.T) {
				if err := w.keeper.Recount(w.Read()); err != nil {
					t.Fatal(err)
				}
				if got := w.Bank.Total(); !got.Equal(total) {
					t.Fatalf("%v coins, there were %v", got, total)
				}
			},
		})
	})
}

func TestSplitAddsUp(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := math.NewIntFromUint64(rapid.Uint64().Draw(t, "amount")).MulRaw(rapid.Int64Range(1, 1<<60).Draw(t, "times"))
		weights := rapid.SliceOfN(rapid.Uint32Range(1, 1_000_000), 1, 16).Draw(t, "weights")
		shares := make([]tower.Share, len(weights))
		sum := math.ZeroInt()
		for i, v := range weights {
			shares[i].Weight = v
			sum = sum.Add(math.NewInt(int64(v)))
		}
		left := amount
		for i, part := range split(amount, shares) {
			left = left.Sub(part)
			exact := amount.MulRaw(int64(weights[i]))
			if part.Mul(sum).GT(exact.Add(sum.MulRaw(int64(len(weights))))) || part.Mul(sum).LTE(exact.Sub(sum)) {
				t.Fatalf("share %d of %v by %v is %v", i, amount, weights, part)
			}
		}
		if !left.IsZero() {
			t.Fatalf("%v of %v left over by %v", left, amount, weights)
		}
	})
}
