package decode

import (
	"encoding/binary"
	"fmt"

	"campanile.network/3gpp/eps"
	"campanile.network/3gpp/tree"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// phoneOptions are elements with options as NAS has them (TS 29.274 §8.13,
// §8.128), whose units mean what the direction says.
var phoneOptions = [256]bool{ie.ProtocolConfigurationOptions: true, ie.AdditionalProtocolConfigurationOptions: true,
	ie.ExtendedProtocolConfigurationOptions: true}

// fromPhone are the messages whose options come from the phone.
var fromPhone = [256]bool{32: true, 34: true, 36: true, 64: true, 66: true, 68: true, 96: true, 98: true, 100: true}

// optionsOf shows options; a password in them is hidden.
func optionsOf(v []byte, up bool) (tree.Node, bool) {
	from := eps.Direction(eps.Downlink)
	if up {
		from = eps.Uplink
	}
	return eps.PCO(v).Tree("", from), len(v) > 0
}

// filtersOf shows a TFT, or a traffic aggregate description, which has its form
// (TS 29.274 §8.19, §8.20, TS 24.008 §10.5.6.12): as a NAS message carries it.
func filtersOf(v []byte) (tree.Node, bool) {
	if len(v) > 255 {
		return tree.Node{}, false
	}
	nas := []byte{0x52, 0, 0xc5, 5, 1, 9, byte(len(v))} // ACTIVATE DEDICATED EPS BEARER CONTEXT REQUEST, QCI 9
	m, err := eps.Parse(eps.Downlink, append(nas, v...))
	if err != nil {
		return tree.Node{}, false
	}
	for _, n := range eps.Tree(m).Nodes {
		if n.Name == "TFT" {
			return n, true
		}
	}
	return tree.Node{}, false
}

// indicationNames are the flags of TS 29.274 §8.12, from the first octet's
// highest bit on.
var indicationNames = [...]string{
	"DAF", "DTF", "HI", "DFI", "OI", "ISRSI", "ISRAI", "SGWCI", "SQCI", "UIMSI", "CFSI", "CRSI", "P", "PT", "SI", "MSV",
	"RetLoc", "PBIC", "SRNI", "S6AF", "S4AF", "MBMDT", "ISRAU", "CCRSI", "CPRAI", "ARRL", "PPOF", "PPON/PPEI", "PPSI", "CSFBI", "CLII", "CPSR",
	"NSI", "UASI", "DTCI", "BDWI", "PSCI", "PCRI", "AOSI", "AOPI", "ROAAI", "EPCOSI", "CPOPCI", "PMTSMI", "S11TF", "PNSI", "UNACCSI", "WPMSI",
	"5GSNN26", "REPREFI", "5GSIWKI", "EEVRSI", "LTEMUI", "LTEMPI", "ENBCRSI", "TSPCMI",
	"CSRMFI", "MTEDTN", "MTEDTA", "N5GNMI", "5GCNRS", "5GCNRI", "5SRHOI", "ETHPDN",
	"NSPUSI", "PGWRNSI", "RPPCSI", "PGWCHI", "SISSME", "NSENBI", "IDFUPF", "EMCI",
}

// indicationOf shows the flags that are set, and octets of later releases as
// they are.
func indicationOf(v []byte) (tree.Node, bool) {
	n := tree.Branch("")
	for i, name := range indicationNames[:min(len(indicationNames), 8*len(v))] {
		if v[i/8]<<(i%8)&0x80 != 0 {
			n.Nodes = append(n.Nodes, tree.Leaf(name, true))
		}
	}
	if more := v[min(len(indicationNames)/8, len(v)):]; len(more) > 0 {
		n.Nodes = append(n.Nodes, tree.Leaf("flags of later releases", more))
	}
	return flags(n), len(v) > 0
}

// flags are the flags that are set, if there are any.
func flags(n tree.Node) tree.Node {
	if len(n.Nodes) == 0 {
		return tree.Node{Value: "no flag is set"}
	}
	return n
}

// bearerFlagsOf is TS 29.274 §8.32.
func bearerFlagsOf(v []byte) (tree.Node, bool) {
	n := tree.Branch("")
	for i, name := range []string{"PPC", "VB", "Vind", "ASI"} {
		if len(v) > 0 && v[0]>>i&1 != 0 {
			n.Nodes = append(n.Nodes, tree.Leaf(name, true))
		}
	}
	return flags(n), len(v) > 0
}

// arpOf shows an allocation and retention priority; a set bit disables (TS
// 29.274 §8.86, TS 29.212 §5.3.46, §5.3.47).
func arpOf(v []byte) (tree.Node, bool) {
	if len(v) < 1 {
		return tree.Node{}, false
	}
	words := [2]string{"enabled (0)", "disabled (1)"}
	return tree.Branch("", tree.Leaf("PCI", words[v[0]>>6&1]), tree.Leaf("PL", v[0]>>2&15), tree.Leaf("PVI", words[v[0]&1])), true
}

// bearerQoSOf is TS 29.274 §8.15.
func bearerQoSOf(v []byte) (tree.Node, bool) {
	if len(v) < 22 {
		return tree.Node{}, false
	}
	arp, _ := arpOf(v)
	arp.Name = "ARP"
	n, ok := flowQoSOf(v[1:])
	n.Nodes = append([]tree.Node{arp}, n.Nodes...)
	return n, ok
}

// flowQoSOf is TS 29.274 §8.16.
func flowQoSOf(v []byte) (tree.Node, bool) {
	if len(v) < 21 {
		return tree.Node{}, false
	}
	n := tree.Branch("", tree.Leaf("QCI", v[0]))
	for i, name := range []string{"MBR for uplink", "MBR for downlink", "GBR for uplink", "GBR for downlink"} {
		r := v[1+5*i:]
		n.Nodes = append(n.Nodes, rate(name, uint64(r[0])<<32|uint64(binary.BigEndian.Uint32(r[1:]))))
	}
	return n, true
}

// containerOf is TS 29.274 §8.48.
func containerOf(v []byte) (tree.Node, bool) {
	if len(v) < 1 {
		return tree.Node{}, false
	}
	kind := map[byte]string{1: "UTRAN transparent container", 2: "BSS container", 3: "E-UTRAN transparent container", 4: "NBIFOM Container",
		5: "EN-DC Container", 6: "Inter-System SON Container"}[v[0]&15]
	if kind == "" {
		kind = "reserved"
	}
	return tree.Branch("", tree.Leaf("Container Type", fmt.Sprintf("%s (%d)", kind, v[0]&15)), octetsNode("F-Container field", v[1:])), true
}
