package nassec

import "slices"

// Capability is one octet of UE network capability or UE security capability:
// bit 8 stands for algorithm 0, bit 7 for 1, ... (TS 24.301 §9.9.3.34, TS 24.301
// §9.9.3.36).
type Capability uint8

// Has reports whether the phone supports the algorithm with this number, 0..7.
func (c Capability) Has(n uint8) bool { return n < 8 && c&(0x80>>n) != 0 }

// S1AP gives the sixteen bits of the EncryptionAlgorithms or
// IntegrityProtectionAlgorithms BIT STRING (TS 36.413 §9.2.1.40), first bit
// most significant. The null algorithm has no bit there.
func (c Capability) S1AP() uint16 { return uint16(c<<1) << 8 }

// CapabilityOf makes the octet for a set of algorithm numbers 0..7.
func CapabilityOf(numbers ...uint8) (c Capability) {
	for _, n := range numbers {
		if n < 8 {
			c |= 0x80 >> n
		}
	}
	return c
}

// Policy is a network's preference, best first (TS 33.401 §7.2.4.3.1). EIA0 in
// the list counts only with AllowNullIntegrity.
type Policy struct {
	EEA                []EEA
	EIA                []EIA
	AllowNullIntegrity bool
}

// Select takes the first algorithm of each list that the phone supports.
// ErrNoCommon when there is none; the phone is then refused with EMM cause #23
// or #24 as the caller sees fit.
func (p Policy) Select(eea, eia Capability) (EEA, EIA, error) {
	e := slices.IndexFunc(p.EEA, func(a EEA) bool { return eea.Has(uint8(a)) })
	i := slices.IndexFunc(p.EIA, func(a EIA) bool { return eia.Has(uint8(a)) && (a != EIA0 || p.AllowNullIntegrity) })
	if e < 0 || i < 0 {
		return 0, 0, ErrNoCommon
	}
	return p.EEA[e], p.EIA[i], nil
}
