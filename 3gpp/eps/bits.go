package eps

import (
	"fmt"

	"campanile.network/3gpp/tree"
)

// A bitField is a part of an element whose place does not depend on the rest:
// at is the number of bits before it, so that bit 8 of the first octet is 0.
type bitField struct {
	name  string
	at    int
	width int
	words []string // by value
}

// number reads bits, most significant first; false if they are not all there.
func number(o []byte, at, width int) (uint64, bool) {
	if at+width > 8*len(o) {
		return 0, false
	}
	var v uint64
	for i := at; i < at+width; i++ {
		v = v<<1 | uint64(o[i/8]>>(7-i%8)&1)
	}
	return v, true
}

// node is what the field is in o: false if o is too short.
func (f *bitField) node(o []byte) (tree.Node, bool) {
	v, ok := number(o, f.at, f.width)
	switch {
	case !ok:
		return tree.Node{}, false
	case v < uint64(len(f.words)) && f.words[v] != "":
		return tree.Leaf(f.name, fmt.Sprintf("%s (#%d)", f.words[v], v)), true
	case len(f.words) > 0:
		return tree.Leaf(f.name, fmt.Sprintf("#%d", v)), true
	case f.width == 1:
		return tree.Leaf(f.name, v == 1), true
	}
	return tree.Leaf(f.name, v), true
}

// bitNodes are the fields of o.
func bitNodes(name string, o []byte, fields []bitField) tree.Node {
	n := tree.Branch(name)
	for i := range fields {
		if part, ok := fields[i].node(o); ok {
			n.Nodes = append(n.Nodes, part)
		}
	}
	return n
}

// node of AUTN and AUTS: TS 33.102 §6.3.
func (v *AUTN) node(name string) tree.Node {
	return tree.Branch(name, tree.Leaf("SQN xor AK", v[:6]), tree.Leaf("AMF", v[6:8]), tree.Leaf("MAC", v[8:]))
}

func (v *AUTS) node(name string) tree.Node {
	return tree.Branch(name, tree.Leaf("SQN MS xor AK", v[:6]), tree.Leaf("MAC-S", v[6:]))
}

// Value is the ten bits of the identifier.
func (v NRI) Value() uint16 { return uint16(v[0])<<2 | uint16(v[1]>>6) }

func (v *NRI) node(name string) tree.Node {
	return tree.Branch(name, tree.Leaf("NRI container value", v.Value()))
}

func (v *AdditionalSecurityCapability) node(name string) tree.Node {
	return tree.Branch(name, tree.Leaf("5G-EA", names(v[:2], algorithms5G("5G-EA"))), tree.Leaf("5G-IA", names(v[2:], algorithms5G("5G-IA"))))
}

// EA and IA say whether the UE has the algorithm of 5GS, 0 to 15.
func (v AdditionalSecurityCapability) EA(n uint8) bool { return n < 16 && has(v[:2], Feature(n)) }

// IA is like EA.
func (v AdditionalSecurityCapability) IA(n uint8) bool { return n < 16 && has(v[2:], Feature(n)) }

func algorithms5G(family string) []string {
	list := make([]string, 16)
	for n := range list {
		list[n] = algorithm(family, uint8(n))
	}
	return list
}

// Features of an N1Capability. 5GS-PNB-CIoT, the preferred network behaviour,
// is a number of two bits: N1PreferControlPlane or N1PreferUserPlane.
const (
	N1EthernetHeaderCompression Feature = 1
	N1PreferUserPlane           Feature = 2
	N1PreferControlPlane        Feature = 3
	N1UPCIoT                    Feature = 4
	N1HCCPCIoT                  Feature = 5
	N1N3Data                    Feature = 6
	N1CPCIoT                    Feature = 7
)

var n1Features = []string{"", "5G-EHC-CP-CIoT", "5GS-PNB-UP-CIoT", "5GS-PNB-CP-CIoT", "5G-UP-CIoT", "5G-HC-CP-CIoT", "N3-data", "5G-CP-CIoT"}

// Has says whether the UE has f.
func (v N1Capability) Has(f Feature) bool { return has(v, f) }

func (v N1Capability) node(name string) tree.Node { return tree.Leaf(name, names(v, n1Features)) }

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
