package eps

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/tree"
)

// octet reads the bits of an octet or half octet that are not spare.
func octet(v *uint8, b []byte, mask uint8) error {
	*v = b[0] & mask
	return nil
}

// word reads two octets.
func word(v *uint16, b []byte) error {
	*v = binary.BigEndian.Uint16(b)
	return nil
}

// flagText lists the words of the bits that are set; words[0] is of none.
func flagText(v uint8, words []string) string {
	var list []string
	for i, w := range words[1:] {
		switch {
		case v>>i&1 == 0:
		case w == "":
			list = append(list, fmt.Sprintf("bit %d", i+1))
		default:
			list = append(list, w)
		}
	}
	if len(list) > 0 {
		return strings.Join(list, ", ")
	}
	return cmp.Or(words[0], "none")
}

// fixed reads as many octets as v has.
func fixed(v, b []byte) error {
	if len(b) < len(v) {
		return problem(fmt.Sprintf("%d octets, want %d", len(b), len(v)))
	}
	copy(v, b)
	return nil
}

// Octets is an element this package carries but does not look into.
type Octets []byte

func (v *Octets) decode(b []byte) error { *v = b; return nil }

func (v *Octets) encode(dst []byte) []byte { return append(dst, *v...) }

func (v *Octets) node(name string) tree.Node { return hidden(name, *v) }

// String is hexadecimal, at most 32 octets of it.
func (v Octets) String() string {
	if len(v) > 32 {
		return fmt.Sprintf("%x... (%d octets)", []byte(v[:32]), len(v))
	}
	return fmt.Sprintf("%x", []byte(v))
}

// ESMContainer is a whole plain ESM message inside an EMM message (TS 24.301
// §9.9.3.15): Append writes it, Parse in the same direction reads it.
type ESMContainer []byte

func (v *ESMContainer) decode(b []byte) error { *v = b; return nil }

func (v *ESMContainer) encode(dst []byte) []byte { return append(dst, *v...) }

// String says how long it is; the tree of the outer message has the content.
func (v ESMContainer) String() string { return fmt.Sprintf("%d octets", len(v)) }

// EMMContainer is a whole plain EMM message inside another (TS 24.301
// §9.9.3.51).
type EMMContainer []byte

func (v *EMMContainer) decode(b []byte) error { *v = b; return nil }

func (v *EMMContainer) encode(dst []byte) []byte { return append(dst, *v...) }

// String says how long it is; the tree of the outer message has the content.
func (v EMMContainer) String() string { return fmt.Sprintf("%d octets", len(v)) }

// KSI is a NAS key set identifier (TS 24.301 §9.9.3.21): three bits and a flag.
type KSI uint8

// NoKSI says that no key is available. KSIMapped is the flag of a mapped
// security context.
const (
	NoKSI     KSI = 7
	KSIMapped KSI = 8
)

// Value is the identifier without the flag, 0 to 7.
func (k KSI) Value() uint8 { return uint8(k) & 7 }

// Mapped says whether the key set came from another system.
func (k KSI) Mapped() bool { return k&KSIMapped != 0 && k.Value() != uint8(NoKSI) }

// None says that no key is available.
func (k KSI) None() bool { return k.Value() == uint8(NoKSI) }

func (k *KSI) decode(b []byte) error { return octet((*uint8)(k), b, 15) }

func (k *KSI) encode(dst []byte) []byte { return append(dst, byte(*k)) }

func (k KSI) String() string {
	switch {
	case k.None():
		return "no key is available (#7)"
	case k.Mapped():
		return fmt.Sprintf("%d, mapped security context", k.Value())
	}
	return fmt.Sprintf("%d, native security context", k.Value())
}

// KSIAndSequence is the first element of a SERVICE REQUEST (TS 24.301
// §9.9.3.19).
type KSIAndSequence struct {
	KSI      KSI   // 0 to 7, always native
	Sequence uint8 // the lowest five bits of the NAS COUNT
}

func (k *KSIAndSequence) decode(b []byte) error {
	k.KSI, k.Sequence = KSI(b[0]>>5), b[0]&31
	return nil
}

func (k *KSIAndSequence) encode(dst []byte) []byte {
	return append(dst, k.KSI.Value()<<5|k.Sequence&31)
}

func (k *KSIAndSequence) node(name string) tree.Node {
	return tree.Branch(name, tree.Leaf("NAS key set identifier", k.KSI), tree.Leaf("Sequence number (short)", k.Sequence))
}

func (k KSIAndSequence) String() string { return fmt.Sprintf("KSI %v, sequence %d", k.KSI, k.Sequence) }

// DetachType is what a UE detaches from (TS 24.301 §9.9.3.7). Bit 4 is
// switch-off.
type DetachType uint8

// The detach types of a UE. DetachSwitchOff is added to one of the others.
const (
	DetachEPS       DetachType = 1
	DetachIMSI      DetachType = 2
	DetachCombined  DetachType = 3
	DetachSwitchOff DetachType = 8
)

// SwitchOff says that the UE does not wait for an answer.
func (d DetachType) SwitchOff() bool { return d&DetachSwitchOff != 0 }

// Kind is the type without the switch-off bit.
func (d DetachType) Kind() DetachType { return d & 7 }

func (d *DetachType) decode(b []byte) error { return octet((*uint8)(d), b, 15) }

func (d *DetachType) encode(dst []byte) []byte { return append(dst, byte(*d)) }

// String is the meaning in the spec's words and the number.
func (d DetachType) String() string {
	s := "combined EPS/IMSI detach" // so are all other values
	switch d.Kind() {
	case DetachEPS:
		s = "EPS detach"
	case DetachIMSI:
		s = "IMSI detach"
	}
	s = fmt.Sprintf("%s (#%d)", s, uint8(d.Kind()))
	if d.SwitchOff() {
		s += ", switch off"
	}
	return s
}

// UpdateType is the EPS update type (TS 24.301 §9.9.3.14): a value and the
// "active" flag, bit 4.
type UpdateType uint8

// The EPS update types. UpdateActive asks for bearers and is added to a type.
const (
	UpdateTA                 UpdateType = 0
	UpdateCombined           UpdateType = 1
	UpdateCombinedIMSIAttach UpdateType = 2
	UpdatePeriodic           UpdateType = 3
	UpdateActive             UpdateType = 8
)

// Active says that bearer establishment is requested.
func (u UpdateType) Active() bool { return u&UpdateActive != 0 }

// Kind is the type without the flag.
func (u UpdateType) Kind() UpdateType { return u & 7 }

func (u *UpdateType) decode(b []byte) error { return octet((*uint8)(u), b, 15) }

func (u *UpdateType) encode(dst []byte) []byte { return append(dst, byte(*u)) }

func (u UpdateType) String() string {
	s := "reserved"
	switch u.Kind() {
	case UpdateTA, 4, 5:
		s = "TA updating"
	case UpdateCombined:
		s = "combined TA/LA updating"
	case UpdateCombinedIMSIAttach:
		s = "combined TA/LA updating with IMSI attach"
	case UpdatePeriodic:
		s = "periodic updating"
	}
	s = fmt.Sprintf("%s (#%d)", s, uint8(u.Kind()))
	if u.Active() {
		s += ", bearer establishment requested"
	}
	return s
}

// BearerStatus is the EPS bearer context status (TS 24.301 §9.9.2.1): bit n
// says that bearer n is active.
type BearerStatus uint16

// Active says whether the bearer context of e is not inactive.
func (s BearerStatus) Active(e id.EBI) bool { return s>>(e&15)&1 != 0 }

// With is s with e active.
func (s BearerStatus) With(e id.EBI) BearerStatus { return s | 1<<(e&15) }

func (s *BearerStatus) decode(b []byte) error {
	*s = BearerStatus(binary.LittleEndian.Uint16(b))
	return nil
}

func (s *BearerStatus) encode(dst []byte) []byte {
	return binary.LittleEndian.AppendUint16(dst, uint16(*s))
}

// String lists the active bearers.
func (s BearerStatus) String() string { return "active: " + ebiList(uint16(s)) }

// ebiList lists the bits that are set.
func ebiList(bits uint16) string {
	var list []string
	for e := range 16 {
		if bits>>e&1 != 0 {
			list = append(list, strconv.Itoa(e))
		}
	}
	return strings.Join(list, " ")
}

type ebiElement id.EBI

func (e *ebiElement) decode(b []byte) error { return octet((*uint8)(e), b, 15) }

func (e *ebiElement) encode(dst []byte) []byte { return append(dst, byte(*e)&15) }

func (e *ebiElement) String() string { return fmt.Sprint(uint8(*e)) }

type apnElement id.APN

func (a *apnElement) decode(b []byte) error {
	for i := 0; i < len(b); i += 1 + int(b[i]) {
		if b[i] == 0 {
			return problem(fmt.Sprintf("APN has an empty label at octet %d", i+1))
		}
	}
	v, err := id.DecodeAPN(b)
	*a = apnElement(v)
	return err
}

func (a *apnElement) encode(dst []byte) []byte { return id.APN(*a).AppendTo(dst) }

func (a *apnElement) String() string { return id.APN(*a).String() }
