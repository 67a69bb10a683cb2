package eps

import (
	"fmt"
	"iter"
	"strings"

	"campanile.network/3gpp/gsm7"
	"campanile.network/3gpp/tree"
)

// bcdDigits are the values of TS 24.008 §10.5.4.7; 15 ends a number.
const bcdDigits = "0123456789*#abc"

// bcd reads digits, the first in bits 1 to 4 of the first octet.
func bcd(b []byte) string {
	s := make([]byte, 0, 2*len(b))
	for _, o := range b {
		for _, d := range [...]byte{o & 15, o >> 4} {
			if d == 15 {
				return string(s)
			}
			s = append(s, bcdDigits[d])
		}
	}
	return string(s)
}

// appendBCD leaves out what is no digit.
func appendBCD(dst []byte, s string) []byte {
	half := false
	for i := range len(s) {
		d := strings.IndexByte(bcdDigits, s[i])
		switch {
		case d < 0:
			continue
		case half:
			dst[len(dst)-1] &= byte(d)<<4 | 15
		default:
			dst = append(dst, 0xf0|byte(d))
		}
		half = !half
	}
	return dst
}

// EmergencyCategory is what an emergency number is for (TS 24.008 §10.5.4.33).
type EmergencyCategory uint8

// The bits of an EmergencyCategory; none set is any service.
const (
	EmergencyPolice    EmergencyCategory = 1
	EmergencyAmbulance EmergencyCategory = 2
	EmergencyFire      EmergencyCategory = 4
	EmergencyMarine    EmergencyCategory = 8
	EmergencyMountain  EmergencyCategory = 16
)

// String lists the services.
func (c EmergencyCategory) String() string {
	return flagText(uint8(c), []string{"any", "police", "ambulance", "fire brigade", "marine guard", "mountain rescue"})
}

// With is v with one more number. It must have a digit and at most 40.
func (v EmergencyNumbers) With(c EmergencyCategory, digits string) EmergencyNumbers {
	d := appendBCD(nil, digits)
	if len(d) == 0 || len(d) > 20 {
		return v
	}
	return append(append(v[:len(v):len(v)], byte(1+len(d)), byte(c&31)), d...)
}

// All gives category and digits of the numbers.
func (v EmergencyNumbers) All() iter.Seq2[EmergencyCategory, string] {
	return func(yield func(EmergencyCategory, string) bool) {
		for b := v; len(b) > 1 && b[0] > 0 && int(b[0]) < len(b); b = b[1+int(b[0]):] {
			if !yield(EmergencyCategory(b[1]&31), bcd(b[2:1+int(b[0])])) {
				return
			}
		}
	}
}

func (v EmergencyNumbers) check() error {
	for b := []byte(v); len(b) > 0; b = b[1+int(b[0]):] {
		if b[0] == 0 || int(b[0]) >= len(b) {
			return problem(fmt.Sprintf("emergency number at octet %d has length %d of %d", len(v)-len(b)+1, b[0], len(b)-1))
		}
	}
	return nil
}

func (v EmergencyNumbers) node(name string) tree.Node {
	n := tree.Node{Name: name, List: true}
	for c, digits := range v.All() {
		n.Nodes = append(n.Nodes, tree.Branch("", tree.Leaf("Emergency service category", c), tree.Leaf("Number digits", digits)))
	}
	return n
}

// An ExtendedEmergencyNumber is a number and, if its kind of service is not one
// of the categories, the sub-services of its service URN (RFC 5031), as
// "police.municipal".
type ExtendedEmergencyNumber struct {
	Digits      string
	SubServices string
}

// NewExtendedEmergencyNumbers gives a list without numbers: valid in one PLMN,
// or in its country.
func NewExtendedEmergencyNumbers(onePLMN bool) ExtendedEmergencyNumbers {
	if onePLMN {
		return ExtendedEmergencyNumbers{1}
	}
	return ExtendedEmergencyNumbers{0}
}

// OnePLMN says that the list is valid only in the PLMN it came from, not in all
// its country.
func (v ExtendedEmergencyNumbers) OnePLMN() bool { return len(v) > 0 && v[0]&1 != 0 }

// With is v with one more number. It must have a digit, and sub-services the
// characters of the GSM 7 bit default alphabet; otherwise v is given back.
func (v ExtendedEmergencyNumbers) With(e ExtendedEmergencyNumber) ExtendedEmergencyNumbers {
	d := appendBCD(nil, e.Digits)
	septets, err := gsm7.Alphabet{}.Append(nil, e.SubServices)
	s := gsm7.PackUSSD(nil, septets)
	if err != nil || len(d) == 0 || len(d) > 255 || len(s) > 255 || len(v) == 0 {
		return v
	}
	v = append(append(v[:len(v):len(v)], byte(len(d))), d...)
	return append(append(v, byte(len(s))), s...)
}

// All gives the numbers in order.
func (v ExtendedEmergencyNumbers) All() iter.Seq[ExtendedEmergencyNumber] {
	return func(yield func(ExtendedEmergencyNumber) bool) {
		for b := v[min(1, len(v)):]; len(b) > 0; {
			digits, rest, ok := counted(b)
			sub, rest, ok2 := counted(rest)
			if !ok || !ok2 || !yield(ExtendedEmergencyNumber{bcd(digits), gsm7.Alphabet{}.Text(gsm7.UnpackUSSD(nil, sub))}) {
				return
			}
			b = rest
		}
	}
}

// counted takes a length octet and as many octets from b.
func counted(b []byte) (val, rest []byte, ok bool) {
	if len(b) == 0 || int(b[0]) >= len(b) {
		return nil, nil, false
	}
	return b[1 : 1+int(b[0])], b[1+int(b[0]):], true
}

func (v ExtendedEmergencyNumbers) check() error {
	for b := []byte(v[1:]); len(b) > 0; {
		_, rest, ok := counted(b)
		if ok {
			_, rest, ok = counted(rest)
		}
		if !ok {
			return problem(fmt.Sprintf("emergency number at octet %d is cut off", len(v)-len(b)+1))
		}
		b = rest
	}
	return nil
}

func (v ExtendedEmergencyNumbers) node(name string) tree.Node {
	n := tree.Branch(name, tree.Leaf("Valid in one PLMN only", v.OnePLMN()))
	list := tree.Node{Name: "Emergency numbers", List: true}
	for e := range v.All() {
		list.Nodes = append(list.Nodes, tree.Branch("", tree.Leaf("Number digits", e.Digits), tree.Leaf("Sub-services field", e.SubServices)))
	}
	n.Nodes = append(n.Nodes, list)
	return n
}

var (
	numberTypes = []string{"unknown", "international number", "national number", "network specific number", "dedicated access, short code"}
	numberPlans = []string{0: "unknown", 1: "ISDN/telephony numbering plan", 3: "data numbering plan", 4: "telex numbering plan", 8: "national numbering plan", 9: "private numbering plan"}
	cliFields   = []bitField{{"Type of number", 1, 3, numberTypes}, {"Numbering plan identification", 4, 4, numberPlans}}
	cliFields3a = []bitField{
		{"Presentation indicator", 9, 2, []string{"presentation allowed", "presentation restricted", "number not available due to interworking"}},
		{"Screening indicator", 14, 2, []string{"user-provided, not screened", "user-provided, verified and passed", "user-provided, verified and failed", "network provided"}},
	}
)

// NewCLI is an international number.
func NewCLI(digits string) CLI { return appendBCD(CLI{0x91}, digits) }

// Digits are those of the number, of any type.
func (v CLI) Digits() string { return bcd(v[v.head():]) }

// head is how many octets stand before the digits: bit 8 of the first says
// that there is no second.
func (v CLI) head() int {
	if len(v) > 0 && v[0]&0x80 == 0 {
		return min(2, len(v))
	}
	return min(1, len(v))
}

func (v CLI) node(name string) tree.Node {
	n := bitNodes(name, v, cliFields)
	if v.head() == 2 {
		n.Nodes = append(n.Nodes, bitNodes("", v, cliFields3a).Nodes...)
	}
	n.Nodes = append(n.Nodes, maskedDigits("Number digits", v.Digits()))
	return n
}

// maskedDigits shows the last two digits where identities are hidden.
func maskedDigits(name, digits string) tree.Node {
	keep := max(0, len(digits)-2)
	return tree.Node{Name: name, Value: digits, Masked: strings.Repeat("·", keep) + digits[keep:]}
}

// Digits is the identifier in hexadecimal: type, vendor or version, and number
// (TS 23.003 §29).
func (v RadioCapabilityID) Digits() string {
	s := make([]byte, 0, 2*len(v))
	for _, o := range v {
		s = append(s, "0123456789abcdef"[o&15], "0123456789abcdef"[o>>4])
	}
	if n := len(s); n > 0 && s[n-1] == 'f' {
		s = s[:n-1]
	}
	return string(s)
}

func (v RadioCapabilityID) node(name string) tree.Node { return tree.Leaf(name, v.Digits()) }
