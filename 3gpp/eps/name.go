package eps

import (
	"encoding/binary"
	"fmt"
	"unicode/utf16"

	"campanile.network/3gpp/gsm7"
	"campanile.network/3gpp/tree"
)

// NetworkName is the name of a network as phones show it (TS 24.008
// §10.5.3.5a), in its octets on the wire.
type NetworkName string

// NewNetworkName writes s in the GSM 7 bit default alphabet, or in UCS2 where it
// has a character that is not in it. Names longer than 60 characters are cut.
func NewNetworkName(s string) NetworkName {
	r := []rune(s)
	if len(r) > 60 {
		r = r[:60]
	}
	septets, err := gsm7.Alphabet{}.Append(nil, string(r))
	if err != nil {
		b := []byte{0x90} // extension bit, UCS2
		for _, u := range utf16.Encode(r) {
			b = binary.BigEndian.AppendUint16(b, u)
		}
		return NetworkName(b)
	}
	b := gsm7.Pack([]byte{0x80}, septets, 0)
	b[0] |= byte((len(b)-1)*8 - len(septets)*7) // spare bits
	return NetworkName(b)
}

// Text is the name.
func (n NetworkName) Text() string {
	if n == "" {
		return ""
	}
	b := []byte(n[1:])
	switch n[0] >> 4 & 7 {
	case 0:
		septets, err := gsm7.Unpack(nil, b, 0, max(0, len(b)*8-int(n[0]&7))/7)
		if err != nil {
			return ""
		}
		return gsm7.Alphabet{}.Text(septets)
	case 1:
		u := make([]uint16, len(b)/2)
		for i := range u {
			u[i] = binary.BigEndian.Uint16(b[2*i:])
		}
		return string(utf16.Decode(u))
	}
	return ""
}

func (n *NetworkName) decode(b []byte) error { *n = NetworkName(b); return nil }

func (n *NetworkName) encode(dst []byte) []byte { return append(dst, *n...) }

func (n *NetworkName) node(name string) tree.Node {
	return tree.Branch(name, tree.Leaf("Text string", n.Text()), tree.Leaf("Add CI", len(*n) > 0 && (*n)[0]&8 != 0))
}

// String is the name in quotes.
func (n NetworkName) String() string { return fmt.Sprintf("%q", n.Text()) }
