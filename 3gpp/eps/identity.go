package eps

import (
	"encoding/binary"
	"fmt"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/tree"
)

// IdentityKind tells what a mobile identity is.
type IdentityKind uint8

// The kinds of mobile identity. NoIdentity is the zero value.
const (
	NoIdentity IdentityKind = iota
	KindIMSI
	KindIMEI
	KindIMEISV
	KindTMSI
	KindGUTI
)

// EPSMobileIdentity is an IMSI, an IMEI or a GUTI (TS 24.301 §9.9.3.12). The
// zero value is none of them and cannot be sent.
type EPSMobileIdentity struct {
	kind IdentityKind
	imsi id.IMSI
	imei id.IMEI
	guti id.GUTI
}

// FromIMSI is the identity that is i.
func FromIMSI(i id.IMSI) EPSMobileIdentity { return EPSMobileIdentity{kind: KindIMSI, imsi: i} }

// FromGUTI is the identity that is g.
func FromGUTI(g id.GUTI) EPSMobileIdentity { return EPSMobileIdentity{kind: KindGUTI, guti: g} }

// FromIMEI is the identity that is i; only emergency attaches carry it.
func FromIMEI(i id.IMEI) EPSMobileIdentity { return EPSMobileIdentity{kind: KindIMEI, imei: i} }

// Kind is KindIMSI, KindIMEI, KindGUTI or NoIdentity.
func (m EPSMobileIdentity) Kind() IdentityKind { return m.kind }

// IMSI gives the IMSI, if it is one.
func (m EPSMobileIdentity) IMSI() (id.IMSI, bool) { return m.imsi, m.kind == KindIMSI }

// GUTI gives the GUTI, if it is one.
func (m EPSMobileIdentity) GUTI() (id.GUTI, bool) { return m.guti, m.kind == KindGUTI }

// IMEI gives the IMEI, if it is one.
func (m EPSMobileIdentity) IMEI() (id.IMEI, bool) { return m.imei, m.kind == KindIMEI }

// String shows a GUTI and masks the others.
func (m EPSMobileIdentity) String() string {
	switch m.kind {
	case KindIMSI:
		return "IMSI " + m.imsi.String()
	case KindGUTI:
		return "GUTI " + m.guti.String()
	case KindIMEI:
		return "IMEI " + m.imei.String()
	}
	return "none"
}

// Format masks like String under every verb.
func (m EPSMobileIdentity) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, fmt.FormatString(f, verb), m.String())
}

func (m *EPSMobileIdentity) decode(b []byte) error {
	switch b[0] & 7 {
	case 1:
		i, err := decodeIMSI(b)
		*m = FromIMSI(i)
		return err
	case 3:
		i, err := decodeIMEI(b)
		*m = FromIMEI(i)
		return err
	case 6:
		g, err := decodeGUTI(b)
		*m = FromGUTI(g)
		return err
	}
	return problem(fmt.Sprintf("type of identity %d is reserved", b[0]&7))
}

func (m *EPSMobileIdentity) encode(dst []byte) []byte {
	switch m.kind {
	case KindIMSI:
		return appendDigits(dst, 1, m.imsi.Digits())
	case KindIMEI:
		return appendDigits(dst, 3, m.imei.Digits())
	case KindGUTI:
		g := m.guti
		p := g.GUMMEI.PLMN.Octets()
		dst = append(dst, 0xf6, p[0], p[1], p[2], byte(g.GUMMEI.Group>>8), byte(g.GUMMEI.Group), byte(g.GUMMEI.Code))
		return binary.BigEndian.AppendUint32(dst, uint32(g.TMSI))
	}
	return dst
}

func (m *EPSMobileIdentity) node(name string) tree.Node {
	switch m.kind {
	case KindIMSI:
		return tree.Branch(name, imsiNode(m.imsi))
	case KindIMEI:
		return tree.Branch(name, imeiNode("IMEI", m.imei))
	case KindGUTI:
		g := m.guti.GUMMEI
		return tree.Branch(name, tree.Branch("GUTI", plmnNode(g.PLMN), tree.Leaf("MME group ID", uint16(g.Group)),
			tree.Leaf("MME code", uint8(g.Code)), tree.Leaf("M-TMSI", fmt.Sprintf("0x%08x", uint32(m.guti.TMSI)))))
	}
	return tree.Leaf(name, "none")
}

func decodeGUTI(b []byte) (id.GUTI, error) {
	if len(b) != 11 {
		return id.GUTI{}, problem(fmt.Sprintf("GUTI of %d octets, want 11", len(b)))
	}
	p, err := id.DecodePLMN([3]byte(b[1:4]))
	return id.GUTI{
		GUMMEI: id.GUMMEI{PLMN: p, Group: id.MMEGroupID(binary.BigEndian.Uint16(b[4:])), Code: id.MMECode(b[6])},
		TMSI:   id.MTMSI(binary.BigEndian.Uint32(b[7:])),
	}, err
}

// MobileIdentity is an identity as TS 24.008 §10.5.1.4 writes it (TS 24.301
// §9.9.2.3): IMSI, IMEI, IMEISV, TMSI or, from a UE that has not the one asked
// for, none. The zero value cannot be sent.
type MobileIdentity struct {
	none uint8 // how many octets say that there is none
	kind IdentityKind
	imsi id.IMSI
	imei id.IMEI
	tmsi id.MTMSI
}

// NoMobileIdentity says that there is none.
func NoMobileIdentity() MobileIdentity { return MobileIdentity{none: 3} }

// MobileIMSI is the identity that is i.
func MobileIMSI(i id.IMSI) MobileIdentity { return MobileIdentity{kind: KindIMSI, imsi: i} }

// MobileIMEI is the identity that is i: an IMEISV if it has 16 digits.
func MobileIMEI(i id.IMEI) MobileIdentity {
	if len(i.Digits()) == 16 {
		return MobileIdentity{kind: KindIMEISV, imei: i}
	}
	return MobileIdentity{kind: KindIMEI, imei: i}
}

// MobileTMSI is the identity that is t: a TMSI of the CS domain or an M-TMSI.
func MobileTMSI(t id.MTMSI) MobileIdentity { return MobileIdentity{kind: KindTMSI, tmsi: t} }

// Kind tells which identity it is.
func (m MobileIdentity) Kind() IdentityKind { return m.kind }

// IMSI gives the IMSI, if it is one.
func (m MobileIdentity) IMSI() (id.IMSI, bool) { return m.imsi, m.kind == KindIMSI }

// IMEI gives the IMEI or IMEISV, if it is one.
func (m MobileIdentity) IMEI() (id.IMEI, bool) {
	return m.imei, m.kind == KindIMEI || m.kind == KindIMEISV
}

// TMSI gives the TMSI, if it is one.
func (m MobileIdentity) TMSI() (id.MTMSI, bool) { return m.tmsi, m.kind == KindTMSI }

// String masks IMSI and IMEI.
func (m MobileIdentity) String() string {
	switch m.kind {
	case KindIMSI:
		return "IMSI " + m.imsi.String()
	case KindIMEI:
		return "IMEI " + m.imei.String()
	case KindIMEISV:
		return "IMEISV " + m.imei.String()
	case KindTMSI:
		return fmt.Sprintf("TMSI %08x", uint32(m.tmsi))
	}
	return "no identity"
}

// Format masks like String under every verb.
func (m MobileIdentity) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, fmt.FormatString(f, verb), m.String())
}

func (m *MobileIdentity) decode(b []byte) error {
	switch b[0] & 7 {
	case 0:
		*m = MobileIdentity{none: uint8(len(b))}
		return nil
	case 1:
		i, err := decodeIMSI(b)
		*m = MobileIMSI(i)
		return err
	case 2, 3:
		i, err := decodeIMEI(b)
		*m = MobileIMEI(i)
		if err == nil && (m.kind == KindIMEISV) != (b[0]&7 == 3) {
			return problem("IMEISV has 16 digits, IMEI 14 or 15")
		}
		return err
	case 4:
		if len(b) != 5 {
			return problem(fmt.Sprintf("TMSI of %d octets, want 5", len(b)))
		}
		*m = MobileTMSI(id.MTMSI(binary.BigEndian.Uint32(b[1:])))
		return nil
	}
	return problem(fmt.Sprintf("type of identity %d is not one of this interface", b[0]&7))
}

func (m *MobileIdentity) encode(dst []byte) []byte {
	switch m.kind {
	case KindIMSI:
		return appendDigits(dst, 1, m.imsi.Digits())
	case KindIMEI:
		return appendDigits(dst, 2, m.imei.Digits())
	case KindIMEISV:
		return appendDigits(dst, 3, m.imei.Digits())
	case KindTMSI:
		return binary.BigEndian.AppendUint32(append(dst, 0xf4), uint32(m.tmsi))
	}
	return append(dst, make([]byte, m.none)...)
}

func (m *MobileIdentity) node(name string) tree.Node {
	switch m.kind {
	case KindIMSI:
		return tree.Branch(name, imsiNode(m.imsi))
	case KindIMEI:
		return tree.Branch(name, imeiNode("IMEI", m.imei))
	case KindIMEISV:
		return tree.Branch(name, imeiNode("IMEISV", m.imei))
	case KindTMSI:
		return tree.Branch(name, tree.Leaf("TMSI", fmt.Sprintf("0x%08x", uint32(m.tmsi))))
	}
	return tree.Leaf(name, "no identity")
}

func decodeIMSI(b []byte) (id.IMSI, error) {
	s, err := digits(b)
	if err != nil {
		return id.IMSI{}, err
	}
	i, err := id.ParseIMSI(s)
	if err != nil {
		return i, problem(fmt.Sprintf("IMSI of %d digits, want 6 to 15 from 0 to 9", len(s)))
	}
	return i, nil
}

func decodeIMEI(b []byte) (id.IMEI, error) {
	s, err := digits(b)
	if err != nil {
		return id.IMEI{}, err
	}
	i, err := id.ParseIMEI(s)
	if err != nil {
		return i, problem(fmt.Sprintf("IMEI of %d digits, want 14 to 16 from 0 to 9", len(s)))
	}
	return i, nil
}

// digits reads BCD: the first digit in bits 5 to 8 of the first octet, whose
// bit 4 says that their number is odd; if even, the last half octet is 1111.
// The error does not show them.
func digits(b []byte) (string, error) {
	n := 2*len(b) - 1
	if b[0]&8 == 0 {
		n--
		if len(b) == 1 || b[len(b)-1]>>4 != 15 {
			return "", problem("even number of identity digits without end mark")
		}
	}
	var d [2 * 16]byte
	if n > len(d) {
		return "", problem(fmt.Sprintf("%d identity digits", n))
	}
	for i := range n {
		v := b[(i+1)/2]
		if i%2 == 0 {
			v >>= 4
		}
		if d[i] = '0' + v&15; d[i] > '9' {
			return "", problem(fmt.Sprintf("identity digit %d is not decimal", i+1))
		}
	}
	return string(d[:n]), nil
}

func appendDigits(dst []byte, kind byte, s string) []byte {
	if s == "" {
		return dst
	}
	dst = append(dst, (s[0]-'0')<<4|byte(len(s)&1)<<3|kind)
	for i := 1; i < len(s); i += 2 {
		high := byte(15)
		if i+1 < len(s) {
			high = s[i+1] - '0'
		}
		dst = append(dst, high<<4|(s[i]-'0'))
	}
	return dst
}

func imsiNode(i id.IMSI) tree.Node {
	return tree.Node{Name: "IMSI", Value: i.Digits(), Masked: i.String()}
}

func imeiNode(name string, i id.IMEI) tree.Node {
	return tree.Node{Name: name, Value: i.Digits(), Masked: i.String()}
}
