package s1ap

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"

	"campanile.network/3gpp/per"
	"campanile.network/3gpp/tree"
)

// Inside shows what an OCTET STRING holds: it is called with the ASN.1 name of
// its type, such as NAS-PDU or RRC-Container, and returns the parts to show in
// place of the octets, none to leave them as they are.
type Inside func(typ string, octets []byte) []tree.Node

// Tree gives p with the names of TS 36.413: type, procedureCode, procedure,
// criticality, message and, by name, its protocolIEs. inside may be nil.
//
// Enumerations are shown by name, a CHOICE as a branch with its one
// alternative, PLMN identities as "001/01", transport layer addresses as IP
// addresses, codes of areas and MMEs as numbers, bit strings as 0x and hexadecimal digits or, where their length is
// no multiple of four, 0b and binary ones. What is absent is not there; unknown
// IEs are, as unknownIEs.
//
// IMSIs, keys and octet strings of variable length, which may hold messages that
// name a subscriber, have a Masked text.
func Tree(p *PDU, inside Inside) tree.Node {
	n := tree.Branch("S1AP-PDU",
		tree.Leaf("type", p.Type.String()),
		tree.Leaf("procedureCode", uint8(p.ProcedureCode)),
		tree.Leaf("procedure", p.ProcedureCode.String()),
		tree.Leaf("criticality", p.Criticality.String()),
	)
	switch m := p.Message.(type) {
	case nil:
	case *UnknownMessage:
		n.Nodes = append(n.Nodes, walker{}.body(m)...)
	case *PrivateMessage:
		n.Nodes = append(append(n.Nodes, tree.Leaf("message", "PrivateMessage")), walker{inside}.body(m)...)
	default:
		n.Nodes = append(n.Nodes, tree.Leaf("message", typeName(m.Header().Name)),
			tree.Branch("protocolIEs", walker{inside}.body(m)...))
	}
	return n
}

// String gives the PDU on one line, identities and keys hidden.
func (p PDU) String() string {
	if p.Message == nil {
		return fmt.Sprintf("%s %s", p.ProcedureCode, p.Type)
	}
	return oneLine(p.Message)
}

// oneLine is the message's name and its content as JSON, for logs.
func oneLine(m Message) string {
	if reflect.ValueOf(m).IsNil() {
		return typeName(m.Header().Name) + " nil"
	}
	body := walker{}.body(m)
	return string(tree.View{Mask: true}.AppendJSON([]byte(typeName(m.Header().Name)+" "), tree.Branch("", body...)))
}

// walker makes nodes of values by reflection. Names come from struct tags.
type walker struct{ inside Inside }

func (w walker) body(m Message) []tree.Node { return w.fields(reflect.ValueOf(m).Elem()) }

// fields gives the components of a struct that are present.
func (w walker) fields(v reflect.Value) []tree.Node {
	var nodes []tree.Node
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		if name, ok := tag.Lookup("asn1"); ok && present(v.Field(i)) {
			nodes = append(nodes, w.node(name, v.Field(i), bitsOf(tag)))
		}
	}
	return nodes
}

// bitsOf is the length of a BIT STRING that is a number and has no type name.
func bitsOf(tag reflect.StructTag) int {
	n, err := strconv.Atoi(tag.Get("bits"))
	if err != nil {
		return 0
	}
	return n
}

func present(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer:
		return !v.IsNil()
	case reflect.Slice:
		return !v.IsNil() && (v.Len() > 0 || v.Type().Elem().Kind() == reflect.Uint8)
	case reflect.String:
		return v.Len() > 0
	}
	b, ok := bitString(v)
	return !ok || b.Len > 0
}

var bitStringType = reflect.TypeFor[per.BitString]()

func bitString(v reflect.Value) (per.BitString, bool) {
	if v.Kind() != reflect.Struct || !v.CanConvert(bitStringType) {
		return per.BitString{}, false
	}
	b, ok := v.Convert(bitStringType).Interface().(per.BitString)
	return b, ok
}

// node shows v under a name. bits is the length of a BIT STRING that is a
// number, 0 if v is something else or knows itself.
func (w walker) node(name string, v reflect.Value, bits int) tree.Node {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if n, ok := special(name, v.Interface()); ok {
		return n
	}
	switch v.Kind() {
	case reflect.Struct:
		if b, ok := bitString(v); ok {
			return tree.Leaf(name, bitsText(b))
		}
		if c := v.FieldByName("Choice"); c.IsValid() {
			return tree.Branch(name, w.chosen(v, c))
		}
		return tree.Branch(name, w.fields(v)...)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return w.octets(name, v)
		}
		return w.list(name, v)
	case reflect.Array:
		octets := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(octets), v)
		return tree.Leaf(name, octets)
	case reflect.String:
		return tree.Leaf(name, v.String())
	}
	switch s, named := v.Interface().(fmt.Stringer); {
	case named:
		return tree.Leaf(name, s.String())
	case bits > 0:
		return tree.Leaf(name, bitText(v.Uint(), bits))
	case v.CanInt():
		return tree.Leaf(name, v.Int())
	}
	return tree.Leaf(name, v.Uint())
}

// special shows the types that mean more than they are made of.
func special(name string, value any) (tree.Node, bool) {
	switch v := value.(type) {
	case PLMNidentity:
		if p, err := v.ID(); err == nil && FromPLMN(p) == v {
			return tree.Leaf(name, p.String()), true
		}
	case TransportLayerAddress:
		return tree.Leaf(name, addressText(v)), true
	case IMSI:
		return tree.Node{Name: name, Value: v.digits(), Masked: v.String()}, true
	case SecurityKey:
		return tree.Node{Name: name, Value: v[:], Masked: redacted}, true
	case ProtocolIEID:
		return tree.Leaf(name, ieText(v)), true
	case ProcedureCode:
		return tree.Leaf(name, uint8(v)), true
	case TAC:
		return tree.Leaf(name, uint16(v.ID())), true
	case MMECode:
		return tree.Leaf(name, v[0]), true
	case MMEGroupID:
		return tree.Leaf(name, binary.BigEndian.Uint16(v[:])), true
	case MTMSI:
		return tree.Leaf(name, fmt.Sprintf("0x%x", v[:])), true
	case GTPTEID:
		return tree.Leaf(name, fmt.Sprintf("0x%x", v[:])), true
	case EncryptionAlgorithms:
		return tree.Leaf(name, algorithms(uint16(v), "EEA")), true
	case IntegrityProtectionAlgorithms:
		return tree.Leaf(name, algorithms(uint16(v), "EIA")), true
	}
	return tree.Node{}, false
}

// algorithms names the first three bits of a bit string of algorithms (TS 36.413
// §9.2.1.40); EEA0 and EIA0 have none.
func algorithms(v uint16, family string) string {
	text := bitText(uint64(v), 16)
	var known []string
	for i := range 3 {
		if v>>(15-i)&1 != 0 {
			known = append(known, fmt.Sprintf("128-%s%d", family, i+1))
		}
	}
	if known == nil {
		return text
	}
	return text + " (" + strings.Join(known, ", ") + ")"
}

// chosen shows the alternative that a CHOICE selects.
func (w walker) chosen(v, selector reflect.Value) tree.Node {
	name := fmt.Sprint(selector.Interface())
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.Tag.Get("asn1") == name {
			if v.Field(i).Kind() == reflect.Pointer && v.Field(i).IsNil() {
				break
			}
			return w.node(name, v.Field(i), bitsOf(f.Tag))
		}
	}
	return tree.Leaf(name, "NULL")
}

// list shows the elements of a SEQUENCE OF by the name of their type.
func (w walker) list(name string, v reflect.Value) tree.Node {
	n := tree.Node{Name: name, List: true}
	element := typeName(v.Type().Elem().Name())
	for i := range v.Len() {
		n.Nodes = append(n.Nodes, w.node(element, v.Index(i), 0))
	}
	return n
}

// octets shows an OCTET STRING, or what is inside.
func (w walker) octets(name string, v reflect.Value) tree.Node {
	typ := typeName(v.Type().Name())
	if typ == "" {
		typ = name
	}
	if w.inside != nil {
		if parts := w.inside(typ, v.Bytes()); len(parts) > 0 {
			return tree.Branch(name, parts...)
		}
	}
	return tree.Node{Name: name, Value: v.Bytes(), Masked: fmt.Sprintf("%d octets", v.Len())}
}

// ieText is the name and number of an IE.
func ieText(v ProtocolIEID) string {
	if name := v.String(); !strings.HasPrefix(name, "ProtocolIEID(") {
		return fmt.Sprintf("id-%s (%d)", name, uint16(v))
	}
	return strconv.Itoa(int(v))
}

// bitText shows the n low bits of v.
func bitText(v uint64, n int) string {
	if n%4 == 0 {
		return fmt.Sprintf("0x%0*x", n/4, v)
	}
	return fmt.Sprintf("0b%0*b", n, v)
}

func bitsText(b per.BitString) string {
	if b.Len < 0 || b.Len > 8*len(b.Bytes) {
		return fmt.Sprintf("%d bits in %d octets", b.Len, len(b.Bytes))
	}
	if b.Len <= 64 {
		var v uint64
		for i := range b.Len {
			v = v<<1 | uint64(b.Bytes[i/8]>>(7-i%8)&1)
		}
		return bitText(v, b.Len)
	}
	text := "0x" + hex.EncodeToString(b.Bytes[:(b.Len+7)/8])
	if b.Len%8 != 0 {
		text += fmt.Sprintf(" (%d bits)", b.Len)
	}
	return text
}

// addressText is the IP address, or both (TS 36.414 §5.3).
func addressText(v TransportLayerAddress) string {
	a, err := v.Addr()
	if err != nil {
		return bitsText(per.BitString(v))
	}
	if v.Len == 160 && len(v.Bytes) >= 20 {
		return a.String() + ", " + netip.AddrFrom16([16]byte(v.Bytes[4:20])).String()
	}
	return a.String()
}
