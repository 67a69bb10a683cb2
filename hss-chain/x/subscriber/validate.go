package subscriber

import (
	"crypto/ed25519"
	"crypto/sha256"
	"net"
	"strings"

	errorsmod "cosmossdk.io/errors"

	"campanile.network/3gpp/id"
)

// Bounds on what a message may hold.
const (
	// MaxBatch is the most subscribers one message adds or changes.
	MaxBatch      = 2000
	maxName       = 64
	maxPLMNs      = 16
	maxRanges     = 256
	maxNodes      = 4 // IND slots 0..3
	maxHPKE       = 2048
	maxEndpoint   = 255
	maxPlan       = 32
	minRange      = 5
	maxRange      = 15
	maxAmountBits = 127
	subscriberIDs = 16 // octets
)

func invalid(format string, args ...any) error { return errorsmod.Wrapf(ErrInvalid, format, args...) }

// validate checks everything of an operator that needs no look at the store.
func (o *Operator) validate() error {
	if len(o.Key) != ed25519.PublicKeySize {
		return invalid("key: %d octets, want %d", len(o.Key), ed25519.PublicKeySize)
	}
	if err := checkText("name", o.Name, 1, maxName); err != nil {
		return err
	}
	if err := checkNumbers(o.PLMNs, o.Ranges); err != nil {
		return err
	}
	if err := checkNodes(o.HSSNodes); err != nil {
		return err
	}
	return checkPrices(o.Prices)
}

func checkText(what, s string, least, most int) error {
	if len(s) < least || len(s) > most {
		return invalid("%s: %d octets, want %d to %d", what, len(s), least, most)
	}
	for _, r := range s {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			return invalid("%s %q: control character or broken UTF-8", what, s)
		}
	}
	return nil
}

func checkNumbers(plmns, ranges []string) error {
	if len(plmns) == 0 || len(plmns) > maxPLMNs {
		return invalid("%d PLMNs, want 1 to %d", len(plmns), maxPLMNs)
	}
	if len(ranges) == 0 || len(ranges) > maxRanges {
		return invalid("%d ranges, want 1 to %d", len(ranges), maxRanges)
	}
	for i, p := range plmns {
		plmn, err := id.ParsePLMN(p)
		if err != nil || plmn.MCC()+plmn.MNC() != p {
			return invalid("PLMN %d: %q, want 5 or 6 digits", i, p)
		}
	}
	for i, r := range ranges {
		if err := checkPrefix(r); err != nil {
			return err
		}
		if !hasPrefix(plmns, r) {
			return invalid("range %q is in none of the home PLMNs", r)
		}
		for _, s := range ranges[:i] {
			if strings.HasPrefix(r, s) || strings.HasPrefix(s, r) {
				return invalid("ranges %q and %q overlap", s, r)
			}
		}
	}
	return nil
}

func checkPrefix(r string) error {
	if len(r) < minRange || len(r) > maxRange || strings.Trim(r, "0123456789") != "" {
		return invalid("range %q: want %d to %d digits", r, minRange, maxRange)
	}
	return nil
}

func hasPrefix(plmns []string, r string) bool {
	for _, p := range plmns {
		if strings.HasPrefix(r, p) {
			return true
		}
	}
	return false
}

func checkNodes(nodes []HSSNode) error {
	if len(nodes) > maxNodes {
		return invalid("%d HSS nodes, want at most %d", len(nodes), maxNodes)
	}
	for i, n := range nodes {
		switch {
		case len(n.Key) != ed25519.PublicKeySize:
			return invalid("HSS node %d: key of %d octets, want %d", i, len(n.Key), ed25519.PublicKeySize)
		case len(n.HPKEPublicKey) == 0 || len(n.HPKEPublicKey) > maxHPKE:
			return invalid("HSS node %d: HPKE key of %d octets, want 1 to %d", i, len(n.HPKEPublicKey), maxHPKE)
		case n.INDSlot >= maxNodes:
			return invalid("HSS node %d: IND slot %d, want 0 to %d", i, n.INDSlot, maxNodes-1)
		}
		if n.Endpoint != "" {
			if _, _, err := net.SplitHostPort(n.Endpoint); err != nil || len(n.Endpoint) > maxEndpoint {
				return invalid("HSS node %d: endpoint %q is no host:port", i, n.Endpoint)
			}
		}
		for j, m := range nodes[:i] {
			if m.INDSlot == n.INDSlot || string(m.Key) == string(n.Key) {
				return invalid("HSS nodes %d and %d share a key or an IND slot", j, i)
			}
		}
	}
	return nil
}

// classes are the ticket classes of wire/proof, by their names.
var classes = [...]string{"proven", "backup", "asserted", "grace"}

func checkPrices(prices []Price) error {
	seen := map[string]bool{}
	for _, p := range prices {
		known := false
		for _, c := range classes {
			known = known || c == p.Class
		}
		if !known || seen[p.Class] {
			return invalid("price for class %q: unknown class or a second price", p.Class)
		}
		seen[p.Class] = true
		if p.PerGB.IsNil() || p.PerGB.IsNegative() || p.PerGB.BigInt().BitLen() > maxAmountBits {
			return invalid("price for class %q: want 0 or more, below 2^%d", p.Class, maxAmountBits)
		}
	}
	return nil
}

// validate checks everything of a subscriber that needs no look at the store.
func (s *Subscriber) validate() error {
	if len(s.ID) != subscriberIDs {
		return invalid("subscriber id of %d octets, want %d", len(s.ID), subscriberIDs)
	}
	if s.State == StateErased {
		if len(s.BlobHash) != 0 || s.Plan != "" {
			return invalid("subscriber %x: an erased one has neither plan nor blob", s.ID)
		}
		return nil
	}
	if s.State != StateActive && s.State != StateBarred {
		return invalid("subscriber %x: state %d", s.ID, s.State)
	}
	if len(s.BlobHash) != sha256.Size {
		return invalid("subscriber %x: blob hash of %d octets, want %d", s.ID, len(s.BlobHash), sha256.Size)
	}
	return checkText("plan", s.Plan, 0, maxPlan)
}
