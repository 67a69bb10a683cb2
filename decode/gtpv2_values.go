package decode

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/tree"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// elementReaders show the values of usual elements; false when the octets are
// not what the element is made of. The nodes' names are set by the caller.
var elementReaders = [256]func([]byte) (tree.Node, bool){
	ie.IMSI: digitsOf, ie.MSISDN: digitsOf, ie.MobileEquipmentIdentity: digitsOf,
	ie.Cause: causeOf, ie.Recovery: numberOf, ie.EPSBearerID: ebiOf, ie.AccessPointName: apnOf,
	ie.AggregateMaximumBitRate: ambrOf, ie.IPAddress: addressOf, ie.PDNAddressAllocation: paaOf,
	ie.BearerQoS: bearerQoSOf, ie.RATType: ratOf, ie.ServingNetwork: plmnOf, ie.UserLocationInformation: uliOf,
	ie.FullyQualifiedTEID: fteidOf, ie.ChargingID: numberOf, ie.PDNType: pdnTypeOf, ie.ProcedureTransactionID: numberOf,
	ie.GUTI: gutiOf, ie.APNRestriction: numberOf, ie.SelectionMode: selectionOf, ie.NodeType: numberOf,
	ie.UETimeZone: zoneOf, ie.HopCounter: numberOf, ie.RFSPIndex: numberOf, ie.PortNumber: numberOf,
	ie.DelayValue: delayOf, ie.AllocationRetensionPriority: arpOf, ie.EPCTimer: timerOf, ie.FullyQualifiedDomainName: fqdnOf,
	ie.ULITimestamp: timeOf, ie.ServiceIndicator: numberOf, ie.DetachType: numberOf, ie.PrivateExtension: privateOf,
	ie.PLMNID: plmnOf, ie.Metric: numberOf, ie.SequenceNumber: numberOf, ie.LocalDistinguishedName: textOf,
	ie.Indication: indicationOf, ie.BearerTFT: filtersOf, ie.TrafficAggregateDescription: filtersOf,
	ie.BearerFlags: bearerFlagsOf, ie.FlowQoS: flowQoSOf, ie.FContainer: containerOf,
	ie.SignallingPriorityIndication: numberOf, ie.NodeFeatures: numberOf,
}

// digitsOf is TBCD (TS 29.274 §8.3, §8.10, §8.11): somebody's number.
func digitsOf(v []byte) (tree.Node, bool) {
	var s strings.Builder
	for i, o := range v {
		for _, d := range [2]byte{o & 15, o >> 4} {
			switch {
			case d < 10:
				s.WriteByte('0' + d)
			case d != 15 || i < len(v)-1:
				return tree.Node{}, false
			}
		}
	}
	t := s.String()
	masked := t[:min(5, len(t)/3)] + "…"
	return tree.Node{Value: t, Masked: masked}, len(v) > 0
}

// numberOf is an unsigned number of one to four octets.
func numberOf(v []byte) (tree.Node, bool) {
	if len(v) == 0 || len(v) > 4 {
		return tree.Node{}, false
	}
	var n uint32
	for _, o := range v {
		n = n<<8 | uint32(o)
	}
	return tree.Node{Value: n}, true
}

func textOf(v []byte) (tree.Node, bool) { return tree.Node{Value: string(v)}, true }

// causeOf is TS 29.274 §8.4.
func causeOf(v []byte) (tree.Node, bool) {
	if len(v) < 2 {
		return tree.Node{}, false
	}
	name := gtpCauses[v[0]]
	if name == "" {
		name = "Cause"
	}
	n := tree.Branch("", tree.Leaf("Cause value", fmt.Sprintf("%s (%d)", name, v[0])))
	for i, flag := range []string{"CS", "BCE", "PCE"} {
		if v[1]>>i&1 != 0 {
			n.Nodes = append(n.Nodes, tree.Leaf(flag, true))
		}
	}
	if len(v) >= 6 {
		n.Nodes = append(n.Nodes, tree.Leaf("Offending IE", fmt.Sprintf("%s (instance %d)", elementName(v[2]), v[5]&15)))
	}
	return n, true
}

func elementName(t uint8) string {
	if s := elementNames[t]; s != "" {
		return s
	}
	return fmt.Sprintf("IE type %d", t)
}

func ebiOf(v []byte) (tree.Node, bool) {
	if len(v) < 1 {
		return tree.Node{}, false
	}
	return tree.Node{Value: v[0] & 15}, true
}

func apnOf(v []byte) (tree.Node, bool) {
	a, err := id.DecodeAPN(v)
	return tree.Node{Value: a.String()}, err == nil
}

// ambrOf is TS 29.274 §8.7, in kbit/s.
func ambrOf(v []byte) (tree.Node, bool) {
	if len(v) < 8 {
		return tree.Node{}, false
	}
	return tree.Branch("", rate("APN-AMBR for uplink", uint64(binary.BigEndian.Uint32(v))),
		rate("APN-AMBR for downlink", uint64(binary.BigEndian.Uint32(v[4:])))), true
}

func rate(name string, kbps uint64) tree.Node {
	return tree.Leaf(name, fmt.Sprintf("%d kbit/s", kbps))
}

func addressOf(v []byte) (tree.Node, bool) {
	a, ok := netip.AddrFromSlice(v)
	return tree.Node{Value: a.String()}, ok
}

var pdnTypes = [8]string{1: "IPv4", 2: "IPv6", 3: "IPv4v6", 4: "Non-IP", 5: "Ethernet"}

func pdnTypeOf(v []byte) (tree.Node, bool) {
	if len(v) < 1 || pdnTypes[v[0]&7] == "" {
		return tree.Node{}, false
	}
	return tree.Node{Value: pdnTypes[v[0]&7]}, true
}

// paaOf is TS 29.274 §8.14: the address a subscriber has.
func paaOf(v []byte) (tree.Node, bool) {
	t, ok := pdnTypeOf(v)
	if !ok {
		return t, false
	}
	n := tree.Branch("", tree.Leaf("PDN Type", t.Value))
	kind := v[0] & 7
	v = v[1:]
	if kind == 2 || kind == 3 {
		if len(v) < 17 {
			return n, false
		}
		p := netip.PrefixFrom(netip.AddrFrom16([16]byte(v[1:17])), int(v[0]))
		n.Nodes = append(n.Nodes, tree.Leaf("IPv6 Prefix", p.String()))
		v = v[17:]
	}
	if kind == 1 || kind == 3 {
		if len(v) < 4 {
			return n, false
		}
		n.Nodes = append(n.Nodes, tree.Leaf("IPv4 address", netip.AddrFrom4([4]byte(v)).String()))
	}
	return n, true
}

func ratOf(v []byte) (tree.Node, bool) {
	if len(v) < 1 {
		return tree.Node{}, false
	}
	if s := ratTypes[v[0]]; s != "" {
		return tree.Node{Value: fmt.Sprintf("%s (%d)", s, v[0])}, true
	}
	return tree.Node{Value: v[0]}, true
}

func plmnOf(v []byte) (tree.Node, bool) {
	if len(v) < 3 {
		return tree.Node{}, false
	}
	p, err := id.DecodePLMN([3]byte(v))
	return tree.Node{Value: p.String()}, err == nil
}

// uliOf is TS 29.274 §8.21: identities in the order of the flags' bits.
func uliOf(v []byte) (tree.Node, bool) {
	if len(v) < 1 {
		return tree.Node{}, false
	}
	flags, n := v[0], tree.Branch("")
	v = v[1:]
	for i, part := range []struct {
		name  string
		size  int
		parts []field
	}{
		{"CGI", 7, []field{{"LAC", 3, 2}, {"CI", 5, 2}}}, {"SAI", 7, []field{{"LAC", 3, 2}, {"SAC", 5, 2}}},
		{"RAI", 7, []field{{"LAC", 3, 2}, {"RAC", 5, 2}}}, {"TAI", 5, []field{{"TAC", 3, 2}}},
		{"ECGI", 7, []field{{"ECI", 3, 4}}}, {"LAI", 5, []field{{"LAC", 3, 2}}}, {"Macro eNodeB ID", 6, []field{{"eNodeB ID", 3, 3}}},
		{"Extended Macro eNodeB ID", 6, []field{{"eNodeB ID", 3, 3}}},
	} {
		if flags>>i&1 == 0 {
			continue
		}
		if len(v) < part.size {
			return n, false
		}
		p, err := id.DecodePLMN([3]byte(v))
		if err != nil {
			return n, false
		}
		b := tree.Branch(part.name, tree.Leaf("PLMN", p.String()))
		for _, f := range part.parts {
			x, _ := numberOf(v[f.at : f.at+f.size])
			b.Nodes = append(b.Nodes, tree.Leaf(f.name, x.Value))
		}
		n.Nodes = append(n.Nodes, b)
		v = v[part.size:]
	}
	return n, true
}

// field is a number in an element.
type field struct {
	name     string
	at, size int
}

// fteidOf is TS 29.274 §8.22.
func fteidOf(v []byte) (tree.Node, bool) {
	if len(v) < 5 {
		return tree.Node{}, false
	}
	kind := interfaceTypes[v[0]&63]
	if kind == "" {
		kind = fmt.Sprint(v[0] & 63)
	}
	n := tree.Branch("", tree.Leaf("Interface type", kind), tree.Leaf("TEID/GRE Key", id.TEID(binary.BigEndian.Uint32(v[1:])).String()))
	flags := v[0]
	v = v[5:]
	for _, a := range []struct {
		flag byte
		name string
		size int
	}{{0x80, "IPv4 address", 4}, {0x40, "IPv6 address", 16}} {
		if flags&a.flag == 0 {
			continue
		}
		if len(v) < a.size {
			return n, false
		}
		addr, _ := netip.AddrFromSlice(v[:a.size])
		n.Nodes = append(n.Nodes, tree.Leaf(a.name, addr.String()))
		v = v[a.size:]
	}
	return n, true
}

// gutiOf is TS 29.274 §8.47.
func gutiOf(v []byte) (tree.Node, bool) {
	if len(v) < 10 {
		return tree.Node{}, false
	}
	p, err := id.DecodePLMN([3]byte(v))
	tmsi := fmt.Sprintf("0x%x", v[6:10])
	return tree.Branch("", tree.Leaf("PLMN", p.String()), tree.Leaf("MME Group ID", binary.BigEndian.Uint16(v[3:])),
		tree.Leaf("MME Code", v[5]), tree.Leaf("M-TMSI", tmsi)), err == nil
}

func selectionOf(v []byte) (tree.Node, bool) {
	if len(v) < 1 {
		return tree.Node{}, false
	}
	names := [4]string{"MS or network provided APN, subscription verified", "MS provided APN, subscription not verified",
		"Network provided APN, subscription not verified", "Network provided APN, subscription not verified"}
	return tree.Node{Value: names[v[0]&3]}, true
}

// zoneOf is TS 29.274 §8.44: quarters of an hour, swapped decimal digits.
func zoneOf(v []byte) (tree.Node, bool) {
	if len(v) < 2 || v[0]>>4 > 9 {
		return tree.Node{}, false
	}
	minutes := (int(v[0]&7)*10 + int(v[0]>>4)) * 15
	sign := '+'
	if v[0]&8 != 0 {
		sign = '-'
	}
	return tree.Branch("", tree.Leaf("Time Zone", fmt.Sprintf("%c%02d:%02d", sign, minutes/60, minutes%60)),
		tree.Leaf("Daylight Saving Time", v[1]&3)), true
}

func delayOf(v []byte) (tree.Node, bool) {
	if len(v) < 1 {
		return tree.Node{}, false
	}
	return tree.Node{Value: fmt.Sprintf("%d ms", int(v[0])*50)}, true
}

// timerOf is TS 29.274 §8.87.
func timerOf(v []byte) (tree.Node, bool) {
	if len(v) < 1 {
		return tree.Node{}, false
	}
	units := [8]time.Duration{2 * time.Second, time.Minute, 10 * time.Minute, time.Hour, 10 * time.Hour}
	switch u := units[v[0]>>5]; {
	case v[0]>>5 == 7:
		return tree.Node{Value: "infinite"}, true
	case u > 0:
		return tree.Node{Value: (time.Duration(v[0]&31) * u).String()}, true
	}
	return tree.Node{Value: v[0]}, true
}

// fqdnOf is TS 29.274 §8.66: labels as in the DNS.
func fqdnOf(v []byte) (tree.Node, bool) {
	var labels []string
	for len(v) > 0 {
		n := int(v[0])
		if n > len(v)-1 {
			return tree.Node{}, false
		}
		labels = append(labels, string(v[1:1+n]))
		v = v[1+n:]
	}
	return tree.Node{Value: strings.Join(labels, ".")}, true
}

// timeOf is seconds since 1900 (TS 29.274 §8.101).
func timeOf(v []byte) (tree.Node, bool) {
	if len(v) < 4 {
		return tree.Node{}, false
	}
	const since1900 = 2208988800
	return tree.Node{Value: time.Unix(int64(binary.BigEndian.Uint32(v))-since1900, 0).UTC().Format(time.RFC3339)}, true
}

func privateOf(v []byte) (tree.Node, bool) {
	if len(v) < 2 {
		return tree.Node{}, false
	}
	return tree.Branch("", tree.Leaf("Enterprise ID", binary.BigEndian.Uint16(v)), octetsNode("Proprietary value", v[2:])), true
}
