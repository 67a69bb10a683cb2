package eps

import (
	"fmt"
	"iter"

	"campanile.network/3gpp/tree"
)

var classmark2Fields = []bitField{
	{"Revision level", 1, 2, []string{"reserved for GSM phase 1", "used by GSM phase 2 mobile stations", "used by mobile stations supporting R99 or later versions"}},
	{"ES IND", 3, 1, nil},
	{"A5/1 not available", 4, 1, nil},
	{"RF power capability", 5, 3, nil},
	{"PS capability", 9, 1, nil},
	{"SS screening indicator", 10, 2, nil},
	{"SM capability", 12, 1, nil},
	{"VBS notification reception", 13, 1, nil},
	{"VGCS notification reception", 14, 1, nil},
	{"FC frequency capability", 15, 1, nil},
	{"Classmark 3", 16, 1, nil},
	{"LCSVA CAP", 18, 1, nil},
	{"UCS2 treatment", 19, 1, nil},
	{"SoLSA", 20, 1, nil},
	{"CMSP", 21, 1, nil},
	{"A5/3", 22, 1, nil},
	{"A5/2", 23, 1, nil},
}

func (v *Classmark2) node(name string) tree.Node { return bitNodes(name, v[:], classmark2Fields) }

// A csn is a part of a CSN.1 description: width bits with a name, spare bits
// without one, a bit that says whether the parts in then follow, or a bit that
// must be zero for the rest to be as described.
type csn struct {
	name  string
	width int
	then  []csn
}

// walk reads parts from bit at on and tells where they end; false says that o
// ends within them, where all that is missing counts as zero, or goes on in
// another way.
func walk(parts []csn, o []byte, at int, nodes []tree.Node) ([]tree.Node, int, bool) {
	for _, p := range parts {
		v, ok := number(o, at, max(p.width, 1))
		if !ok {
			return nodes, at, false
		}
		at += max(p.width, 1)
		switch {
		case p.name == zero.name:
			if v != 0 {
				return nodes, at, false
			}
		case p.then == nil && p.name == "":
		case p.then == nil && p.width == 1:
			nodes = append(nodes, tree.Leaf(p.name, v == 1))
		case p.then == nil:
			nodes = append(nodes, tree.Leaf(p.name, v))
		case v == 1:
			if nodes, at, ok = walk(p.then, o, at, nodes); !ok {
				return nodes, at, false
			}
		}
	}
	return nodes, at, true
}

var zero = csn{name: "0", width: 1}

func when(then ...csn) csn { return csn{then: then} }

func bit(name string, width int) csn { return csn{name: name, width: width} }

var a5Bits = []csn{bit("A5/7", 1), bit("A5/6", 1), bit("A5/5", 1), bit("A5/4", 1)}

// classmark3 is what follows the bands (TS 24.008 §10.5.1.7).
var classmark3 = []csn{
	when(bit("R Support", 3)),
	when(bit("HSCSD Multi Slot Capability", 5)),
	bit("UCS2 treatment", 1), bit("Extended Measurement Capability", 1),
	when(bit("SMS_VALUE", 4), bit("SM_VALUE", 4)),
	when(bit("MS Positioning Method Capability", 5)),
	when(bit("ECSD Multi Slot Capability", 5)),
	when(bit("Modulation Capability", 1), when(bit("8-PSK RF Power Capability 1", 2)), when(bit("8-PSK RF Power Capability 2", 2))),
	when(bit("GSM 400 Bands Supported", 2), bit("GSM 400 Associated Radio Capability", 4)),
	when(bit("GSM 850 Associated Radio Capability", 4)),
	when(bit("GSM 1900 Associated Radio Capability", 4)),
	bit("UMTS FDD Radio Access Technology Capability", 1), bit("UMTS 3.84 Mcps TDD Radio Access Technology Capability", 1),
	bit("CDMA 2000 Radio Access Technology Capability", 1),
	when(bit("DTM GPRS Multi Slot Class", 2), bit("Single Slot DTM", 1), when(bit("DTM EGPRS Multi Slot Class", 2))),
	when(bit("Single Band Support", 4)),
	when(bit("GSM 750 Associated Radio Capability", 4)),
	bit("UMTS 1.28 Mcps TDD Radio Access Technology Capability", 1), bit("GERAN Feature Package 1", 1),
	when(bit("Extended DTM GPRS Multi Slot Class", 2), bit("Extended DTM EGPRS Multi Slot Class", 2)),
	when(bit("High Multislot Capability", 2)),
	zero, // was GERAN Iu Mode Capabilities
	bit("GERAN Feature Package 2", 1), bit("GMSK Multislot Power Profile", 2), bit("8-PSK Multislot Power Profile", 2),
	when(bit("T-GSM 400 Bands Supported", 2), bit("T-GSM 400 Associated Radio Capability", 4)),
	zero, // was T-GSM 900 Associated Radio Capability
	bit("Downlink Advanced Receiver Performance", 2), bit("DTM Enhancements Capability", 1),
	when(bit("DTM GPRS High Multi Slot Class", 3), bit("Offset required", 1), when(bit("DTM EGPRS High Multi Slot Class", 3))),
	bit("Repeated ACCH Capability", 1),
	when(bit("GSM 710 Associated Radio Capability", 4)),
	when(bit("T-GSM 810 Associated Radio Capability", 4)),
	bit("Ciphering Mode Setting Capability", 1), bit("Additional Positioning Capabilities", 1),
	bit("E-UTRA FDD support", 1), bit("E-UTRA TDD support", 1), bit("E-UTRA Measurement and Reporting support", 1),
	bit("Priority-based reselection support", 1), bit("UTRA CSG Cells Reporting", 1), bit("VAMOS Level", 2),
	bit("TIGHTER Capability", 2), bit("Selective Ciphering of Downlink SACCH", 1),
	bit("CS to PS SRVCC from GERAN to UTRA", 2), bit("CS to PS SRVCC from GERAN to E-UTRA", 2),
	bit("GERAN Network Sharing support", 1), bit("E-UTRA Wideband RSRQ measurements support", 1), bit("ER Band support", 1),
	bit("UTRA Multiple Frequency Band Indicators support", 1), bit("E-UTRA Multiple Frequency Band Indicators support", 1),
	bit("Extended TSC Set Capability support", 1), bit("Extended EARFCN value range", 1),
}

// node shows the parts that are there; what a sender leaves out at the end is
// zero.
func (v Classmark3) node(name string) tree.Node {
	n := tree.Branch(name)
	bands, ok := number(v, 1, 3)
	if !ok {
		return n
	}
	n.Nodes = append(n.Nodes, tree.Leaf("Multiband supported", fmt.Sprintf("%03b", bands)))
	at := 4
	if n.Nodes, at, ok = walk(a5Bits, v, at, n.Nodes); !ok {
		return n
	}
	second := bit("Associated Radio Capability 2", 4)
	switch bands {
	case 0:
		n.Nodes, _, _ = walk(classmark3, v, at, n.Nodes)
		return n
	case 1, 2, 4: // one band
		second.name = ""
	}
	if n.Nodes, at, ok = walk([]csn{second, bit("Associated Radio Capability 1", 4)}, v, at, n.Nodes); !ok {
		return n
	}
	n.Nodes, _, _ = walk(classmark3, v, at, n.Nodes)
	return n
}

// CodecSystem says whose codecs a bitmap lists (TS 26.103).
type CodecSystem uint8

// The systems.
const (
	CodecsGSM  CodecSystem = 0
	CodecsUMTS CodecSystem = 4
)

// String names the system.
func (s CodecSystem) String() string {
	switch s {
	case CodecsGSM:
		return "GSM (#0)"
	case CodecsUMTS:
		return "UMTS (#4)"
	}
	return fmt.Sprintf("#%d", uint8(s))
}

// codecNames are in the order of the bits, from bit 8 of the first octet on.
var codecNames = []string{"TDMA-EFR", "UMTS-AMR-2", "UMTS-AMR", "HR-AMR", "FR-AMR", "GSM-EFR", "GSM-HR", "GSM-FR",
	"", "", "OHR-AMR-WB", "OFR-AMR-WB", "OHR-AMR", "UMTS-AMR-WB", "FR-AMR-WB", "PDC-EFR"}

// With is v with one more system and its bitmap; bit 8 of the first octet is
// TDMA EFR (TS 26.103 §6.2).
func (v Codecs) With(s CodecSystem, bitmap ...byte) Codecs {
	if len(bitmap) > 255 {
		return v
	}
	return append(append(v[:len(v):len(v)], byte(s), byte(len(bitmap))), bitmap...)
}

// All gives the bitmap of each system.
func (v Codecs) All() iter.Seq2[CodecSystem, []byte] {
	return func(yield func(CodecSystem, []byte) bool) {
		for id, b := range units(v) {
			if !yield(CodecSystem(id), b) {
				return
			}
		}
	}
}

func (v Codecs) check() error { return checkUnits(v) }

func (v Codecs) node(name string) tree.Node {
	n := tree.Node{Name: name, List: true}
	for s, b := range v.All() {
		n.Nodes = append(n.Nodes, tree.Branch("", tree.Leaf("System identification", s), tree.Leaf("Codec bitmap", names(b, codecNames))))
	}
	return n
}

// units gives the units of one octet each of identifier and length and so many
// of content.
func units(b []byte) iter.Seq2[uint8, []byte] {
	return func(yield func(uint8, []byte) bool) {
		for len(b) >= 2 && len(b) >= 2+int(b[1]) && yield(b[0], b[2:2+int(b[1])]) {
			b = b[2+int(b[1]):]
		}
	}
}

// checkUnits wants whole units.
func checkUnits(b []byte) error {
	n := 0
	for _, content := range units(b) {
		n += 2 + len(content)
	}
	if n < len(b) {
		return problem(fmt.Sprintf("unit at octet %d is cut off", n+1))
	}
	return nil
}
