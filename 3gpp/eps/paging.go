package eps

import (
	"encoding/binary"
	"fmt"
	"time"

	"campanile.network/3gpp/tree"
)

var drxFields = []bitField{
	{"SPLIT PG CYCLE CODE", 0, 8, nil},
	{"DRX value for S1 mode", 8, 4, []string{0: "not specified by the MS", 6: "T = 32", 7: "T = 64", 8: "T = 128", 9: "T = 256"}},
	{"SPLIT on CCCH", 12, 1, nil},
	{"Non-DRX timer", 13, 3, []string{"no non-DRX mode after transfer state", "max 1 s", "max 2 s", "max 4 s", "max 8 s", "max 16 s", "max 32 s", "max 64 s"}},
}

// Cycle is the UE specific DRX cycle in S1 mode in radio frames of 10 ms: 32,
// 64, 128 or 256, or 0 if the UE gave none.
func (v DRX) Cycle() int {
	if n := v[1] >> 4; n >= 6 && n <= 9 {
		return 32 << (n - 6)
	}
	return 0
}

func (v *DRX) node(name string) tree.Node { return bitNodes(name, v[:], drxFields) }

// ExtendedDRX is a paging time window and an eDRX cycle (TS 24.301 §9.9.3.46;
// TS 24.008 §10.5.5.32 has the coding).
type ExtendedDRX uint8

// NewExtendedDRX gives the element for the longest cycle that is not longer
// than cycle, and at least 5.12 s, and the shortest window that is not shorter
// than window. narrowband says that the UE is in NB-S1 mode, where windows are
// twice as long.
func NewExtendedDRX(cycle, window time.Duration, narrowband bool) ExtendedDRX {
	var v ExtendedDRX
	for n := range ExtendedDRX(16) {
		if n.Cycle() <= cycle {
			v = n
		}
	}
	for ; v < 0xf0 && v.Window(narrowband) < window; v += 0x10 {
	}
	return v
}

// Cycle is the length of the eDRX cycle.
func (v ExtendedDRX) Cycle() time.Duration {
	units := [...]time.Duration{1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 64, 128, 256, 512, 1024, 2048}
	return units[v&15] * 5120 * time.Millisecond
}

// Window is the length of the paging time window.
func (v ExtendedDRX) Window(narrowband bool) time.Duration {
	n := time.Duration(v>>4+1) * 1280 * time.Millisecond
	if narrowband {
		return 2 * n
	}
	return n
}

func (v *ExtendedDRX) decode(b []byte) error { return octet((*uint8)(v), b, 0xff) }

func (v *ExtendedDRX) encode(dst []byte) []byte { return append(dst, byte(*v)) }

func (v *ExtendedDRX) node(name string) tree.Node {
	return tree.Branch(name, tree.Leaf("Paging Time Window", fmt.Sprintf("%v, in NB-S1 mode %v (#%d)", v.Window(false), v.Window(true), *v>>4)),
		tree.Leaf("eDRX value", fmt.Sprintf("%v (#%d)", v.Cycle(), *v&15)))
}

// String gives the times.
func (v ExtendedDRX) String() string { return inline(v.node("")) }

// NewWUS asks for wake-up signals with a paging probability, in steps of 5 %.
func NewWUS(percent int) WUS { return WUS{byte(min(max(percent, 0), 100) / 5)} }

// PagingProbability is how probable it is, in per cent, that the UE is paged;
// false says that it is not told.
func (v WUS) PagingProbability() (int, bool) {
	for _, o := range v {
		if o>>5 == 0 {
			return min(int(o&31)*5, 100), true
		}
	}
	return 0, false
}

func (v WUS) node(name string) tree.Node {
	n := tree.Branch(name)
	for _, o := range v {
		if o>>5 == 0 {
			n.Nodes = append(n.Nodes, tree.Leaf("UE paging probability information", fmt.Sprintf("%d %% (#%d)", min(int(o&31)*5, 100), o&31)))
		} else {
			n.Nodes = append(n.Nodes, tree.Leaf(fmt.Sprintf("Type %d", o>>5), o&31))
		}
	}
	return n
}

// PagingRestrictionType says what a UE with more than one SIM is not paged for.
type PagingRestrictionType uint8

// The types of paging restriction (TS 24.301 §9.9.3.66).
const (
	PagingRestrictAll                   PagingRestrictionType = 1
	PagingRestrictAllButVoice           PagingRestrictionType = 2
	PagingRestrictAllButBearers         PagingRestrictionType = 3
	PagingRestrictAllButVoiceAndBearers PagingRestrictionType = 4
)

// String is the meaning in the spec's words and the number.
func (t PagingRestrictionType) String() string {
	words := [...]string{"reserved", "all paging is restricted", "all paging is restricted except voice service",
		"all paging is restricted except for specified PDN connections", "all paging is restricted except voice service and for specified PDN connections"}
	if int(t) < len(words) {
		return fmt.Sprintf("%s (#%d)", words[t], uint8(t))
	}
	return fmt.Sprintf("#%d", uint8(t))
}

// NewPagingRestriction gives the type and, where it names bearers, those.
func NewPagingRestriction(t PagingRestrictionType, bearers BearerStatus) PagingRestriction {
	v := PagingRestriction{byte(t)}
	if t == PagingRestrictAllButBearers || t == PagingRestrictAllButVoiceAndBearers {
		v = bearers.encode(v)
	}
	return v
}

// Type is the type of restriction.
func (v PagingRestriction) Type() PagingRestrictionType {
	if len(v) == 0 {
		return 0
	}
	return PagingRestrictionType(v[0] & 15)
}

// Bearers are those that are not restricted.
func (v PagingRestriction) Bearers() BearerStatus {
	if len(v) < 3 {
		return 0
	}
	return BearerStatus(binary.LittleEndian.Uint16(v[1:]))
}

func (v PagingRestriction) node(name string) tree.Node {
	n := tree.Branch(name, tree.Leaf("Paging restriction type", v.Type()))
	if len(v) >= 3 {
		n.Nodes = append(n.Nodes, tree.Leaf("Not restricted", ebiList(uint16(v.Bearers()))))
	}
	return n
}
