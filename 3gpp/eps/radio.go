package eps

import (
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

// VoiceDomain is how a UE wants to speak (TS 24.301 §9.9.3.44; TS 24.008
// §10.5.5.28 has the coding): a preference, and a bit for data centric UEs.
type VoiceDomain uint8

// The preferences. VoiceDataCentric, the UE's usage setting, is added to one of
// them; without it the UE is voice centric.
const (
	VoiceCSOnly      VoiceDomain = 0
	VoiceIMSOnly     VoiceDomain = 1
	VoiceCSPreferred VoiceDomain = 2
	VoiceIMSFirst    VoiceDomain = 3
	VoiceDataCentric VoiceDomain = 4
)

var voiceFields = []bitField{
	{"UE's usage setting", 5, 1, []string{"voice centric", "data centric"}},
	{"Voice domain preference for E-UTRAN", 6, 2, []string{"CS voice only", "IMS PS voice only",
		"CS voice preferred, IMS PS voice as secondary", "IMS PS voice preferred, CS voice as secondary"}},
}

// Preference is the value without the usage setting.
func (v VoiceDomain) Preference() VoiceDomain { return v & 3 }

func (v *VoiceDomain) decode(b []byte) error { return octet((*uint8)(v), b, 7) }

func (v *VoiceDomain) encode(dst []byte) []byte { return append(dst, byte(*v)) }

func (v *VoiceDomain) node(name string) tree.Node {
	return bitNodes(name, []byte{byte(*v)}, voiceFields)
}

// String gives both in the spec's words.
func (v VoiceDomain) String() string { return inline(v.node("")) }

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

func (v WUS) check() error { return nil }

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

// ROHC profiles of a HeaderCompression (RFC 3095, 4996, 5225).
const (
	ROHC0002 uint8 = 1 << iota // UDP/IP
	ROHC0003                   // ESP/IP
	ROHC0004                   // IP
	ROHC0006                   // TCP/IP
	ROHC0102                   // UDP/IP
	ROHC0103                   // ESP/IP
	ROHC0104                   // IP
)

var (
	rohcProfiles = []string{"none", "0x0002 (UDP/IP)", "0x0003 (ESP/IP)", "0x0004 (IP)", "0x0006 (TCP/IP)", "0x0102 (UDP/IP)", "0x0103 (ESP/IP)", "0x0104 (IP)"}
	rohcSetup    = []bitField{{"Additional header compression context setup parameters type", 24, 8, append(append([]string{"0x0000 (no compression)"}, rohcProfiles[1:]...), "other")}}
)

// NewHeaderCompression offers or accepts profiles, ROHC0002 and others added,
// with context identifiers up to maxCID.
func NewHeaderCompression(profiles uint8, maxCID uint16) HeaderCompression {
	return HeaderCompression{profiles, byte(maxCID >> 8), byte(maxCID)}
}

// Profiles are the ROHC profiles, a bit for each.
func (v HeaderCompression) Profiles() uint8 { return v.at(0) }

// MaxCID is the highest context identifier.
func (v HeaderCompression) MaxCID() uint16 { return uint16(v.at(1))<<8 | uint16(v.at(2)) }

func (v HeaderCompression) at(i int) uint8 {
	if i < len(v) {
		return v[i]
	}
	return 0
}

func (v HeaderCompression) check() error { return nil }

func (v HeaderCompression) node(name string) tree.Node {
	n := tree.Branch(name, tree.Leaf("RoHC profiles", flagText(v.Profiles(), append(rohcProfiles[:8:8], ""))), tree.Leaf("MAX_CID", v.MaxCID()))
	if len(v) > 3 {
		n.Nodes = append(n.Nodes, bitNodes("", v, rohcSetup).Nodes...)
	}
	if len(v) > 4 {
		n.Nodes = append(n.Nodes, hidden("Additional header compression context setup parameters container", v[4:]))
	}
	return n
}
