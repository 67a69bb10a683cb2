package tower

import (
	"crypto/ed25519"
	"unicode"
	"unicode/utf8"

	"cosmossdk.io/core/address"
	errorsmod "cosmossdk.io/errors"
	"cosmossdk.io/math"

	"campanile.network/3gpp/id"
)

// Bounds on what a message may hold.
const (
	maxName   = 64
	maxCells  = 256
	maxShares = 16
	// maxWeight keeps the sum of all weights far below 2^32.
	maxWeight     = 1_000_000
	maxAmountBits = 127
)

func invalid(format string, args ...any) error { return errorsmod.Wrapf(ErrInvalid, format, args...) }

// validate checks everything of a tower that needs no look at the store, and
// puts the addresses of its shares into their one canonical spelling.
func (t *Tower) validate(addresses address.Codec) error {
	if len(t.Key) != ed25519.PublicKeySize {
		return invalid("key: %d octets, want %d", len(t.Key), ed25519.PublicKeySize)
	}
	if err := checkName(t.Name); err != nil {
		return err
	}
	if err := t.checkRadio(); err != nil {
		return err
	}
	if err := t.Health.check(); err != nil {
		return err
	}
	for _, p := range []struct {
		per   string
		price math.Int
	}{{"GB", t.Prices.PerGB}, {"minute", t.Prices.PerMinute}, {"message", t.Prices.PerMessage}} {
		if p.price.IsNil() || p.price.IsNegative() || p.price.BigInt().BitLen() > maxAmountBits {
			return invalid("price per %s: want 0 or more, below 2^%d", p.per, maxAmountBits)
		}
	}
	if len(t.Shares) == 0 {
		t.Shares = []Share{{Address: t.Owner, Weight: 1}}
	}
	return checkShares(addresses, t.Shares)
}

func checkName(s string) error {
	if len(s) == 0 || len(s) > maxName || !utf8.ValidString(s) {
		return invalid("name: want 1 to %d octets of UTF-8", maxName)
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return invalid("name %q: control character", s)
		}
	}
	return nil
}

// checkRadio checks the eNB identity and that each cell's leading bits are it
// (TS 36.413 §9.2.1.38).
func (t *Tower) checkRadio() error {
	enb, err := t.ENB.identity()
	if err != nil {
		return err
	}
	if len(t.Cells) == 0 || len(t.Cells) > maxCells {
		return invalid("%d cells, want 1 to %d", len(t.Cells), maxCells)
	}
	seen := map[Cell]bool{}
	for i, c := range t.Cells {
		if _, err := checkPLMN(c.PLMN); err != nil {
			return invalid("cell %d: %v", i, err)
		}
		if _, err := id.MakeECI(c.ECI); err != nil {
			return invalid("cell %d: %v", i, err)
		}
		if c.ECI>>(28-enb.Type.Bits()) != enb.ID {
			return invalid("cell %d: ECI %#x does not begin with %v eNB id %#x", i, c.ECI, enb.Type, enb.ID)
		}
		if seen[c] {
			return invalid("cell %d: listed twice", i)
		}
		seen[c] = true
	}
	return nil
}

func checkPLMN(s string) (id.PLMN, error) {
	p, err := id.ParsePLMN(s)
	if err != nil || p.MCC()+p.MNC() != s {
		return p, invalid("PLMN %q: want 5 or 6 digits", s)
	}
	return p, nil
}

// identity is the eNB identity in the words of the standards' package.
func (g GlobalENB) identity() (id.GlobalENBID, error) {
	p, err := checkPLMN(g.PLMN)
	if err != nil {
		return id.GlobalENBID{}, err
	}
	if g.Type < ENBMacro || g.Type > ENBLongMacro {
		return id.GlobalENBID{}, invalid("eNB type %d", g.Type)
	}
	enb, err := id.MakeGlobalENBID(p, id.ENBType(g.Type-ENBMacro), g.Value)
	if err != nil {
		return enb, invalid("%v", err)
	}
	return enb, nil
}

func checkShares(addresses address.Codec, shares []Share) error {
	if len(shares) > maxShares {
		return invalid("%d shares, want at most %d", len(shares), maxShares)
	}
	seen := map[string]bool{}
	for i := range shares {
		a, err := addresses.StringToBytes(shares[i].Address)
		if err != nil {
			return invalid("share %d: account %q: %v", i, shares[i].Address, err)
		}
		if shares[i].Address, err = addresses.BytesToString(a); err != nil {
			return err
		}
		if w := shares[i].Weight; w == 0 || w > maxWeight {
			return invalid("share %d: weight %d, want 1 to %d", i, w, maxWeight)
		}
		if seen[shares[i].Address] {
			return invalid("share %d: account %s has one already", i, shares[i].Address)
		}
		seen[shares[i].Address] = true
	}
	return nil
}
