package eps

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"
	"slices"

	"campanile.network/3gpp/tree"
)

// ContainerID says what a unit of protocol configuration options is (TS
// 24.008 §10.5.6.3). The same number may mean one thing from the UE, often a
// request with no content, and another from the network.
type ContainerID uint16

// Container identifiers and PPP protocols (TS 24.008 §10.5.6.3).
const (
	ContainerLCP                 ContainerID = 0xc021
	ContainerPAP                 ContainerID = 0xc023
	ContainerCHAP                ContainerID = 0xc223
	ContainerIPCP                ContainerID = 0x8021
	ContainerPCSCFv6             ContainerID = 0x0001
	ContainerIMCNSubsystem       ContainerID = 0x0002
	ContainerDNSv6               ContainerID = 0x0003
	ContainerPolicyRejected      ContainerID = 0x0004
	ContainerBearerControl       ContainerID = 0x0005
	ContainerHomeAgent           ContainerID = 0x0007
	ContainerHomePrefix          ContainerID = 0x0008
	ContainerHomeAgentv4         ContainerID = 0x0009
	ContainerAddressViaNAS       ContainerID = 0x000a
	ContainerAddressViaDHCP      ContainerID = 0x000b
	ContainerPCSCFv4             ContainerID = 0x000c
	ContainerDNSv4               ContainerID = 0x000d
	ContainerMSISDN              ContainerID = 0x000e
	ContainerIFOMSupport         ContainerID = 0x000f
	ContainerIPv4LinkMTU         ContainerID = 0x0010
	ContainerLocalAddressTFT     ContainerID = 0x0011
	ContainerPCSCFReselect       ContainerID = 0x0012
	ContainerNBIFOMRequest       ContainerID = 0x0013
	ContainerNBIFOMMode          ContainerID = 0x0014
	ContainerNonIPLinkMTU        ContainerID = 0x0015
	ContainerRateControl         ContainerID = 0x0016
	ContainerPSDataOff           ContainerID = 0x0017
	ContainerReliableData        ContainerID = 0x0018
	ContainerExceptionRate       ContainerID = 0x0019
	ContainerPDUSessionID        ContainerID = 0x001a
	ContainerSNSSAI              ContainerID = 0x001b
	ContainerQoSRules            ContainerID = 0x001c
	ContainerSessionAMBR         ContainerID = 0x001d
	ContainerAddressLifetime     ContainerID = 0x001e
	ContainerQoSFlows            ContainerID = 0x001f
	ContainerEthernetMTU         ContainerID = 0x0020
	ContainerUnstructuredMTU     ContainerID = 0x0021
	Container5GSMCause           ContainerID = 0x0022
	ContainerLongQoSRules        ContainerID = 0x0023
	ContainerLongQoSFlows        ContainerID = 0x0024
	ContainerSmallDataRate       ContainerID = 0x0025
	ContainerSmallExceptionRate  ContainerID = 0x0026
	ContainerACS                 ContainerID = 0x0027
	ContainerInitialSmallRate    ContainerID = 0x0028
	ContainerInitialSmallExcRate ContainerID = 0x0029
	ContainerInitialRate         ContainerID = 0x002a
	ContainerInitialExcRate      ContainerID = 0x002b
	ContainerATSSS               ContainerID = 0x0030
	ContainerDNSSecurity         ContainerID = 0x0031
	ContainerECS                 ContainerID = 0x0032
	ContainerServiceLevelAA      ContainerID = 0x0041
)

// containers has what units hold that a UE or a network sends; what is the same
// in both directions stands once.
var containers = map[ContainerID]struct{ up, down string }{
	ContainerLCP:                 {"LCP", ""},
	ContainerPAP:                 {"PAP", ""},
	ContainerCHAP:                {"CHAP", ""},
	ContainerIPCP:                {"IPCP", ""},
	ContainerPCSCFv6:             {"P-CSCF IPv6 Address Request", "P-CSCF IPv6 Address"},
	ContainerIMCNSubsystem:       {"IM CN Subsystem Signaling Flag", ""},
	ContainerDNSv6:               {"DNS Server IPv6 Address Request", "DNS Server IPv6 Address"},
	ContainerPolicyRejected:      {"", "Policy Control rejection code"},
	ContainerBearerControl:       {"MS Support of Network Requested Bearer Control indicator", "Selected Bearer Control Mode"},
	ContainerHomeAgent:           {"DSMIPv6 Home Agent Address Request", "DSMIPv6 Home Agent Address"},
	ContainerHomePrefix:          {"DSMIPv6 Home Network Prefix Request", "DSMIPv6 Home Network Prefix"},
	ContainerHomeAgentv4:         {"DSMIPv6 IPv4 Home Agent Address Request", "DSMIPv6 IPv4 Home Agent Address"},
	ContainerAddressViaNAS:       {"IP address allocation via NAS signalling", ""},
	ContainerAddressViaDHCP:      {"IPv4 address allocation via DHCPv4", ""},
	ContainerPCSCFv4:             {"P-CSCF IPv4 Address Request", "P-CSCF IPv4 Address"},
	ContainerDNSv4:               {"DNS Server IPv4 Address Request", "DNS Server IPv4 Address"},
	ContainerMSISDN:              {"MSISDN Request", "MSISDN"},
	ContainerIFOMSupport:         {"IFOM-Support-Request", "IFOM-Support"},
	ContainerIPv4LinkMTU:         {"IPv4 Link MTU Request", "IPv4 Link MTU"},
	ContainerLocalAddressTFT:     {"MS support of Local address in TFT indicator", "Network support of Local address in TFT indicator"},
	ContainerPCSCFReselect:       {"P-CSCF Re-selection support", ""},
	ContainerNBIFOMRequest:       {"NBIFOM request indicator", "NBIFOM accepted indicator"},
	ContainerNBIFOMMode:          {"NBIFOM mode", ""},
	ContainerNonIPLinkMTU:        {"Non-IP Link MTU Request", "Non-IP Link MTU"},
	ContainerRateControl:         {"APN rate control support indicator", "APN rate control parameters"},
	ContainerPSDataOff:           {"3GPP PS data off UE status", "3GPP PS data off support indication"},
	ContainerReliableData:        {"Reliable Data Service request indicator", "Reliable Data Service accepted indicator"},
	ContainerExceptionRate:       {"Additional APN rate control for exception data support indicator", "Additional APN rate control for exception data parameters"},
	ContainerPDUSessionID:        {"PDU session ID", ""},
	ContainerSNSSAI:              {"", "S-NSSAI"},
	ContainerQoSRules:            {"", "QoS rules"},
	ContainerSessionAMBR:         {"", "Session-AMBR"},
	ContainerAddressLifetime:     {"", "PDU session address lifetime"},
	ContainerQoSFlows:            {"", "QoS flow descriptions"},
	ContainerEthernetMTU:         {"Ethernet Frame Payload MTU Request", "Ethernet Frame Payload MTU"},
	ContainerUnstructuredMTU:     {"Unstructured Link MTU Request", "Unstructured Link MTU"},
	Container5GSMCause:           {"5GSM cause value", ""},
	ContainerLongQoSRules:        {"QoS rules with the length of two octets support indicator", "QoS rules with the length of two octets"},
	ContainerLongQoSFlows:        {"QoS flow descriptions with the length of two octets support indicator", "QoS flow descriptions with the length of two octets"},
	ContainerSmallDataRate:       {"", "Small data rate control parameters"},
	ContainerSmallExceptionRate:  {"", "Additional small data rate control for exception data parameters"},
	ContainerACS:                 {"ACS information request", "ACS information"},
	ContainerInitialSmallRate:    {"", "Initial small data rate control parameters"},
	ContainerInitialSmallExcRate: {"", "Initial additional small data rate control for exception data parameters"},
	ContainerInitialRate:         {"", "Initial APN rate control parameters"},
	ContainerInitialExcRate:      {"", "Initial additional APN rate control for exception data parameters"},
	ContainerATSSS:               {"ATSSS request", "ATSSS response with the length of two octets"},
	ContainerDNSSecurity:         {"DNS server security information indicator", "DNS server security information with length of two octets"},
	ContainerECS:                 {"ECS configuration information provisioning support indicator", "ECS address with the length of two octets"},
	ContainerServiceLevelAA:      {"Service-level-AA container with the length of two octets", ""},
}

// String is the name of the unit a network sends, or a UE if only that does.
func (c ContainerID) String() string { return c.name(Downlink) }

func (c ContainerID) name(from Direction) string {
	s := containers[c]
	switch {
	case s.down != "" && (from == Downlink || s.up == ""):
		return s.down
	case s.up != "":
		return s.up
	}
	return fmt.Sprintf("container 0x%04x", uint16(c))
}

// long says whether the length of a unit takes two octets.
func (c ContainerID) long(from Direction) bool {
	switch c {
	case ContainerLongQoSRules, ContainerLongQoSFlows, ContainerATSSS, ContainerDNSSecurity, ContainerECS:
		return from == Downlink
	}
	return c == ContainerServiceLevelAA
}

// PCO is protocol configuration options (TS 24.008 §10.5.6.3) in its octets
// on the wire: the configuration protocol, then units of identifier, length
// and content. The zero value has no units. Who sends them decides what units
// mean, and whether the length of some takes two octets instead of one.
type PCO []byte

// With appends a unit with a length of one octet; content longer than 255
// octets is refused by returning p as it is.
func (p PCO) With(id ContainerID, content []byte) PCO {
	if len(content) > 255 {
		return p
	}
	return append(append(p.unit(id), byte(len(content))), content...)
}

// WithLong appends a unit with a length of two octets, as a network does where
// the name of the unit says so.
func (p PCO) WithLong(id ContainerID, content []byte) PCO {
	if len(content) > 65535 {
		return p
	}
	return append(append(p.unit(id), byte(len(content)>>8), byte(len(content))), content...)
}

// unit appends an identifier to a copy of p.
func (p PCO) unit(id ContainerID) PCO {
	if len(p) == 0 {
		p = PCO{0x80} // extension bit, PPP for IP
	}
	return binary.BigEndian.AppendUint16(p[:len(p):len(p)], uint16(id))
}

// Units gives the units in order, as sent in direction from. Contents are parts
// of p.
func (p PCO) Units(from Direction) iter.Seq2[ContainerID, []byte] {
	return func(yield func(ContainerID, []byte) bool) {
		for b := p[min(1, len(p)):]; ; {
			id, content, rest, ok := b.take(from)
			if !ok || !yield(id, content) {
				return
			}
			b = rest
		}
	}
}

// All gives the units in order where it is not known who sent them: as a UE
// does.
func (p PCO) All() iter.Seq2[ContainerID, []byte] { return p.Units(Uplink) }

// take takes a unit from units.
func (p PCO) take(from Direction) (id ContainerID, content []byte, rest PCO, ok bool) {
	if len(p) < 3 {
		return 0, nil, p, false
	}
	id = ContainerID(binary.BigEndian.Uint16(p))
	at, n := 3, int(p[2])
	if id.long(from) {
		if len(p) < 4 {
			return 0, nil, p, false
		}
		at, n = 4, int(binary.BigEndian.Uint16(p[2:]))
	}
	if len(p) < at+n {
		return 0, nil, p, false
	}
	return id, p[at : at+n : at+n], p[at+n:], true
}

// Get gives the content of the first unit with that identifier.
func (p PCO) Get(from Direction, id ContainerID) ([]byte, bool) {
	for c, content := range p.Units(from) {
		if c == id {
			return content, true
		}
	}
	return nil, false
}

// WithDNS appends a unit for each IPv4 or IPv6 server.
func (p PCO) WithDNS(servers ...netip.Addr) PCO {
	for _, s := range servers {
		kind := ContainerDNSv6
		if s = s.Unmap(); s.Is4() {
			kind = ContainerDNSv4
		}
		p = p.With(kind, s.AsSlice())
	}
	return p
}

// DNS gives the servers a network sent in DNS units and in the options 129
// and 131 of an IPCP unit (RFC 1877), each once.
func (p PCO) DNS() []netip.Addr {
	var list []netip.Addr
	add := func(b []byte) {
		if a, ok := netip.AddrFromSlice(b); ok && !a.IsUnspecified() && !slices.Contains(list, a) {
			list = append(list, a)
		}
	}
	for c, b := range p.Units(Downlink) {
		switch {
		case c == ContainerDNSv4 && len(b) == 4, c == ContainerDNSv6 && len(b) == 16:
			add(b)
		case c == ContainerIPCP:
			for kind, o := range pppOptions(b) {
				if (kind == ipcpDNS1 || kind == ipcpDNS2) && len(o) == 4 {
					add(o)
				}
			}
		}
	}
	return list
}

func (p *PCO) decode(b []byte) error { return p.decodeFrom(Uplink, b) }

// decodeFrom wants whole units.
func (p *PCO) decodeFrom(from Direction, b []byte) error {
	rest, ok := PCO(b[min(1, len(b)):]), true
	for ok {
		_, _, rest, ok = rest.take(from)
	}
	if len(rest) > 0 {
		return problem(fmt.Sprintf("unit at octet %d is cut off", len(b)-len(rest)+1))
	}
	*p = b
	return nil
}

func (p *PCO) encode(dst []byte) []byte {
	if len(*p) == 0 {
		return append(dst, 0x80)
	}
	return append(dst, *p...)
}

// String names the units, as a network sends them, with what may be shown of
// their content: passwords may not.
func (p PCO) String() string { return inline(p.Tree("", Downlink)) }

// Tree shows the units as sent in direction from, under a name: S11 carries
// them too (TS 29.274 §8.13).
func (p PCO) Tree(name string, from Direction) tree.Node {
	n := tree.Branch(name)
	if len(p) > 0 {
		n.Nodes = append(n.Nodes, bitNodes("", p, []bitField{{"Configuration protocol", 5, 3, []string{"PPP for use with IP PDP type or IP PDN type"}}}).Nodes...)
	}
	for c, b := range p.Units(from) {
		n.Nodes = append(n.Nodes, c.node(from, b))
	}
	return n
}

// node shows the content of a unit; what is not known may hold anything.
func (c ContainerID) node(from Direction, b []byte) tree.Node {
	name := c.name(from)
	address, isAddress := netip.AddrFromSlice(b)
	switch c {
	case ContainerLCP, ContainerPAP, ContainerCHAP, ContainerIPCP:
		return pppNode(c, b)
	case ContainerPCSCFv6, ContainerDNSv6, ContainerHomeAgent, ContainerHomeAgentv4, ContainerPCSCFv4, ContainerDNSv4:
		if isAddress {
			return tree.Leaf(name, address)
		}
	case ContainerIPv4LinkMTU, ContainerNonIPLinkMTU, ContainerEthernetMTU, ContainerUnstructuredMTU:
		if len(b) == 2 {
			return tree.Leaf(name, binary.BigEndian.Uint16(b))
		}
	case ContainerPolicyRejected, ContainerPDUSessionID, Container5GSMCause:
		if len(b) == 1 {
			return tree.Leaf(name, b[0])
		}
	case ContainerBearerControl, ContainerNBIFOMMode, ContainerPSDataOff:
		if len(b) == 1 {
			words := map[ContainerID][]string{ContainerBearerControl: {1: "MS only", 2: "MS/NW"},
				ContainerNBIFOMMode: {"UE-initiated", "network-initiated"}, ContainerPSDataOff: {1: "deactivated", 2: "activated"}}
			n, _ := (&bitField{name, 0, 8, words[c]}).node(b)
			return n
		}
	case ContainerRateControl, ContainerInitialRate:
		if len(b) >= 4 {
			return bitNodes(name, b, rateControlFields)
		}
	}
	if len(b) == 0 {
		return tree.Leaf(name, "no content")
	}
	return hidden(name, b)
}

var rateControlFields = []bitField{
	{"Additional exception reports at maximum rate reached allowed", 4, 1, nil},
	{"Uplink time unit", 5, 3, []string{"unrestricted", "minute", "hour", "day", "week"}},
	{"Maximum uplink rate", 8, 24, nil},
}
