package eps

import (
	"encoding/binary"
	"fmt"
	"iter"
	"net/netip"

	"campanile.network/3gpp/tree"
)

// TFTOperation is what a traffic flow template does to the one the UE has (TS
// 24.008 §10.5.6.12).
type TFTOperation uint8

// The operations. Create, add and replace carry filters, delete-filters their
// identifiers.
const (
	TFTIgnore         TFTOperation = 0
	TFTCreate         TFTOperation = 1
	TFTDelete         TFTOperation = 2
	TFTAddFilters     TFTOperation = 3
	TFTReplaceFilters TFTOperation = 4
	TFTDeleteFilters  TFTOperation = 5
	TFTNone           TFTOperation = 6
)

func (o TFTOperation) String() string {
	words := [...]string{"ignore this IE", "create new TFT", "delete existing TFT", "add packet filters to existing TFT",
		"replace packet filters in existing TFT", "delete packet filters from existing TFT", "no TFT operation", "reserved"}
	return fmt.Sprintf("%s (#%d)", words[o&7], uint8(o))
}

// TFT is a traffic flow template (TS 24.008 §10.5.6.12). A traffic flow
// aggregate (TS 24.301 §9.9.4.15) is written the same way.
type TFT struct {
	Operation  TFTOperation
	Filters    []PacketFilter // at most 15
	Parameters Octets         // units of identifier, length and content
}

// The directions of a packet filter.
const (
	FilterPreRelease7   uint8 = 0
	FilterDownlink      uint8 = 1
	FilterUplink        uint8 = 2
	FilterBidirectional uint8 = 3
)

// PacketFilter is one filter of a TFT. Where filters are deleted only ID
// counts.
type PacketFilter struct {
	Direction  uint8 // FilterDownlink and so on
	ID         uint8 // 0 to 15
	Precedence uint8 // lower is evaluated first
	Components FilterComponents
}

// FilterComponents are the conditions of a filter in their octets on the
// wire: a type and a value whose length follows from the type.
type FilterComponents []byte

// Types of filter component (TS 24.008 §10.5.6.12).
const (
	FilterIPv4Remote        uint8 = 0x10 // address and mask
	FilterIPv4Local         uint8 = 0x11 // address and mask
	FilterIPv6Remote        uint8 = 0x20 // address and mask
	FilterIPv6RemotePrefix  uint8 = 0x21 // address and prefix length
	FilterIPv6LocalPrefix   uint8 = 0x23 // address and prefix length
	FilterProtocol          uint8 = 0x30 // protocol or next header
	FilterLocalPort         uint8 = 0x40
	FilterLocalPortRange    uint8 = 0x41
	FilterRemotePort        uint8 = 0x50
	FilterRemotePortRange   uint8 = 0x51
	FilterSecurityParameter uint8 = 0x60 // IPsec SPI
	FilterTypeOfService     uint8 = 0x70 // value and mask
	FilterFlowLabel         uint8 = 0x80
	FilterDestinationMAC    uint8 = 0x81
	FilterSourceMAC         uint8 = 0x82
	FilterCTagVID           uint8 = 0x83 // 802.1Q
	FilterSTagVID           uint8 = 0x84 // 802.1Q
	FilterCTagPriority      uint8 = 0x85 // 802.1Q PCP and DEI
	FilterSTagPriority      uint8 = 0x86 // 802.1Q PCP and DEI
	FilterEthertype         uint8 = 0x87
)

// A componentKind has the length of a component's value and what it is.
type componentKind struct {
	kind uint8
	size int
	name string
}

var componentKinds = []componentKind{
	{FilterIPv4Remote, 8, "IPv4 remote address"},
	{FilterIPv4Local, 8, "IPv4 local address"},
	{FilterIPv6Remote, 32, "IPv6 remote address"},
	{FilterIPv6RemotePrefix, 17, "IPv6 remote address/prefix length"},
	{FilterIPv6LocalPrefix, 17, "IPv6 local address/prefix length"},
	{FilterProtocol, 1, "Protocol identifier/Next header"},
	{FilterLocalPort, 2, "Single local port"},
	{FilterLocalPortRange, 4, "Local port range"},
	{FilterRemotePort, 2, "Single remote port"},
	{FilterRemotePortRange, 4, "Remote port range"},
	{FilterSecurityParameter, 4, "Security parameter index"},
	{FilterTypeOfService, 2, "Type of service/Traffic class"},
	{FilterFlowLabel, 3, "Flow label"},
	{FilterDestinationMAC, 6, "Destination MAC address"},
	{FilterSourceMAC, 6, "Source MAC address"},
	{FilterCTagVID, 2, "802.1Q C-TAG VID"},
	{FilterSTagVID, 2, "802.1Q S-TAG VID"},
	{FilterCTagPriority, 1, "802.1Q C-TAG PCP/DEI"},
	{FilterSTagPriority, 1, "802.1Q S-TAG PCP/DEI"},
	{FilterEthertype, 2, "Ethertype"},
}

// component finds a kind; false says that it is unknown.
func component(kind uint8) (componentKind, bool) {
	for _, c := range componentKinds {
		if c.kind == kind {
			return c, true
		}
	}
	return componentKind{}, false
}

// With appends a component; the value must have the length of its type.
func (f FilterComponents) With(kind uint8, value ...byte) FilterComponents {
	return append(append(f[:len(f):len(f)], kind), value...)
}

// All gives types and values in order, up to one of unknown type or cut off.
func (f FilterComponents) All() iter.Seq2[uint8, []byte] {
	return func(yield func(uint8, []byte) bool) {
		for b := f; len(b) > 0; {
			c, ok := component(b[0])
			if !ok || len(b) < 1+c.size || !yield(b[0], b[1:1+c.size]) {
				return
			}
			b = b[1+c.size:]
		}
	}
}

// Valid says that all components are of known types and whole; a UE answers
// others with #45.
func (f FilterComponents) Valid() bool {
	n := 0
	for _, v := range f.All() {
		n += 1 + len(v)
	}
	return n == len(f)
}

// ParseTFT reads a traffic flow template or aggregate without identifier and
// length, as GTP carries it (TS 29.274 §8.19, §8.20). b is kept.
func ParseTFT(b []byte) (t TFT, err error) {
	if len(b) == 0 {
		return t, problem("TFT is empty")
	}
	return t, t.decode(b)
}

// AppendTo appends the template without identifier and length.
func (t TFT) AppendTo(dst []byte) []byte { return t.encode(dst) }

func (t *TFT) decode(b []byte) error {
	*t = TFT{Operation: TFTOperation(b[0] >> 5)}
	count, more := int(b[0]&15), b[0]&0x10 != 0
	b = b[1:]
	switch t.Operation {
	case TFTCreate, TFTAddFilters, TFTReplaceFilters, TFTDeleteFilters:
	default:
		count = 0
	}
	if count > 0 {
		t.Filters = make([]PacketFilter, count)
	}
	for i := range t.Filters {
		n, ok := t.Filters[i].decode(b, t.Operation == TFTDeleteFilters)
		if !ok {
			return problem(fmt.Sprintf("packet filter %d of %d is cut off", i+1, count))
		}
		b = b[n:]
	}
	if !more {
		return nil
	}
	for i := 0; i < len(b); i += 2 + int(b[i+1]) {
		if len(b) < i+2 || len(b) < i+2+int(b[i+1]) {
			return problem("TFT parameter is cut off")
		}
	}
	t.Parameters = b
	return nil
}

// decode tells how many octets the filter takes.
func (f *PacketFilter) decode(b []byte, idOnly bool) (int, bool) {
	if len(b) == 0 {
		return 0, false
	}
	f.Direction, f.ID = b[0]>>4&3, b[0]&15
	if idOnly {
		f.Direction = 0
		return 1, true
	}
	if len(b) < 3 || len(b) < 3+int(b[2]) {
		return 0, false
	}
	n := 3 + int(b[2])
	f.Precedence, f.Components = b[1], FilterComponents(b[3:n:n])
	return n, true
}

func (t *TFT) encode(dst []byte) []byte {
	head := byte(t.Operation)<<5 | byte(min(len(t.Filters), 15))
	if len(t.Parameters) > 0 {
		head |= 0x10
	}
	dst = append(dst, head)
	for _, f := range t.Filters[:min(len(t.Filters), 15)] {
		if t.Operation == TFTDeleteFilters {
			dst = append(dst, f.ID&15)
			continue
		}
		dst = append(dst, f.Direction&3<<4|f.ID&15, f.Precedence, byte(len(f.Components)))
		dst = append(dst, f.Components...)
	}
	return append(dst, t.Parameters...)
}

// String names the operation and the filters.
func (t TFT) String() string { return inline(t.node("")) }

func (t *TFT) node(name string) tree.Node {
	n := tree.Branch(name, tree.Leaf("TFT operation code", t.Operation))
	if len(t.Filters) > 0 {
		list := tree.Node{Name: "Packet filter list", List: true}
		for i := range t.Filters {
			list.Nodes = append(list.Nodes, t.Filters[i].node(t.Operation == TFTDeleteFilters))
		}
		n.Nodes = append(n.Nodes, list)
	}
	for id, b := range units(t.Parameters) {
		words := [...]string{1: "Authorization Token", 2: "Flow Identifier", 3: "Packet Filter Identifier"}
		if int(id) < len(words) && words[id] != "" {
			n.Nodes = append(n.Nodes, tree.Leaf(words[id], b))
		} else {
			n.Nodes = append(n.Nodes, tree.Leaf(fmt.Sprintf("Parameter %d", id), b))
		}
	}
	return n
}

func (f *PacketFilter) node(idOnly bool) tree.Node {
	n := tree.Branch("", tree.Leaf("Packet filter identifier", f.ID))
	if idOnly {
		return n
	}
	direction := [...]string{"pre Rel-7 TFT filter", "downlink only", "uplink only", "bidirectional"}[f.Direction&3]
	n.Nodes = append(n.Nodes, tree.Leaf("Packet filter direction", fmt.Sprintf("%s (#%d)", direction, f.Direction)),
		tree.Leaf("Packet filter evaluation precedence", f.Precedence))
	read := 0
	for kind, b := range f.Components.All() {
		c, _ := component(kind) // All gives known ones alone
		n.Nodes = append(n.Nodes, c.node(b))
		read += 1 + len(b)
	}
	if read < len(f.Components) {
		n.Nodes = append(n.Nodes, tree.Leaf("Components that are not understood", []byte(f.Components[read:])))
	}
	return n
}

// node shows b, whose length is the kind's.
func (c *componentKind) node(b []byte) tree.Node {
	u16 := binary.BigEndian.Uint16
	switch c.kind {
	case FilterIPv4Remote, FilterIPv4Local:
		return tree.Leaf(c.name, fmt.Sprintf("%v mask %v", netip.AddrFrom4([4]byte(b)), netip.AddrFrom4([4]byte(b[4:]))))
	case FilterIPv6Remote:
		return tree.Leaf(c.name, fmt.Sprintf("%v mask %v", netip.AddrFrom16([16]byte(b)), netip.AddrFrom16([16]byte(b[16:]))))
	case FilterIPv6RemotePrefix, FilterIPv6LocalPrefix:
		return tree.Leaf(c.name, fmt.Sprintf("%v/%d", netip.AddrFrom16([16]byte(b)), b[16]))
	case FilterProtocol:
		return tree.Leaf(c.name, b[0])
	case FilterLocalPort, FilterRemotePort, FilterCTagVID, FilterSTagVID:
		return tree.Leaf(c.name, u16(b))
	case FilterLocalPortRange, FilterRemotePortRange:
		return tree.Leaf(c.name, fmt.Sprintf("%d to %d", u16(b), u16(b[2:])))
	}
	return tree.Leaf(c.name, b)
}
