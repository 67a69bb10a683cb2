package id

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// TAC is a tracking area code (TS 23.003 §19.4.2.3).
type TAC uint16

// TAI is a tracking area identity (TS 23.003 §19.4.2.3).
type TAI struct {
	PLMN PLMN
	TAC  TAC
}

func (t TAI) String() string { return fmt.Sprintf("%v:%d", t.PLMN, uint16(t.TAC)) }

// ECI is an E-UTRAN cell identity, 28 bits (TS 23.003 §19.6).
type ECI uint32

// MakeECI checks the 28 bits.
func MakeECI(v uint32) (ECI, error) {
	if v >= 1<<28 {
		return 0, fmt.Errorf("ECI %#x: more than 28 bits", v)
	}
	return ECI(v), nil
}

// ECGI is an E-UTRAN cell global identity (TS 23.003 §19.6).
type ECGI struct {
	PLMN PLMN
	ECI  ECI
}

func (e ECGI) String() string { return fmt.Sprintf("%v:%07x", e.PLMN, uint32(e.ECI)) }

// Octets gives the seven octets of TS 29.274 §8.21.5 (spare bits zero).
func (e ECGI) Octets() [7]byte {
	var b [7]byte
	p := e.PLMN.Octets()
	copy(b[:], p[:])
	binary.BigEndian.PutUint32(b[3:], uint32(e.ECI))
	return b
}

// DecodeECGI reads what Octets gives.
func DecodeECGI(b [7]byte) (ECGI, error) {
	p, err := DecodePLMN([3]byte(b[:3]))
	if err != nil {
		return ECGI{}, fmt.Errorf("ECGI: %w", err)
	}
	e, err := MakeECI(binary.BigEndian.Uint32(b[3:]))
	return ECGI{p, e}, err
}

// CGI is a GERAN cell global identification: location area and cell identity (TS
// 23.003 §4.3.1).
type CGI struct {
	PLMN PLMN
	LAC  uint16
	CI   uint16
}

func (c CGI) String() string { return fmt.Sprintf("%v:%04x-%04x", c.PLMN, c.LAC, c.CI) }

// Octets gives the seven octets of TS 29.274 §8.21.1.
func (c CGI) Octets() [7]byte {
	var b [7]byte
	p := c.PLMN.Octets()
	copy(b[:], p[:])
	binary.BigEndian.PutUint16(b[3:], c.LAC)
	binary.BigEndian.PutUint16(b[5:], c.CI)
	return b
}

// DecodeCGI reads what Octets gives.
func DecodeCGI(b [7]byte) (CGI, error) {
	p, err := DecodePLMN([3]byte(b[:3]))
	if err != nil {
		return CGI{}, fmt.Errorf("CGI: %w", err)
	}
	return CGI{p, binary.BigEndian.Uint16(b[3:]), binary.BigEndian.Uint16(b[5:])}, nil
}

// ENBType tells how many bits an eNB identity has (TS 36.413 §9.2.1.37).
type ENBType uint8

// The four kinds of eNB identity.
const (
	MacroENB      ENBType = iota // 20 bits
	HomeENB                      // 28 bits
	ShortMacroENB                // 18 bits
	LongMacroENB                 // 21 bits
)

// Bits gives the length of the identity: 18, 20, 21 or 28.
func (t ENBType) Bits() int { return [...]int{20, 28, 18, 21}[t&3] }

func (t ENBType) String() string {
	return [...]string{"macro", "home", "short-macro", "long-macro"}[t&3]
}

// GlobalENBID names an eNB in the world (TS 36.413 §9.2.1.37).
type GlobalENBID struct {
	PLMN PLMN
	Type ENBType
	ID   uint32
}

// MakeGlobalENBID checks that v fits the type's bits.
func MakeGlobalENBID(p PLMN, t ENBType, v uint32) (GlobalENBID, error) {
	if t > LongMacroENB {
		return GlobalENBID{}, fmt.Errorf("eNB id: unknown type %d", t)
	}
	if v >= 1<<t.Bits() {
		return GlobalENBID{}, fmt.Errorf("eNB id %#x: more than %d bits for a %v eNB", v, t.Bits(), t)
	}
	return GlobalENBID{p, t, v}, nil
}

// String is "001/01-macro-0x19b"; ParseGlobalENBID reads it.
func (g GlobalENBID) String() string { return fmt.Sprintf("%v-%v-%#x", g.PLMN, g.Type, g.ID) }

// ParseGlobalENBID reads what String gives; the type may be left out (macro).
func ParseGlobalENBID(s string) (GlobalENBID, error) {
	plmn, rest, ok := strings.Cut(s, "-")
	if len(s) > 40 {
		return GlobalENBID{}, fmt.Errorf("eNB id of %d characters, want PLMN-type-number", len(s))
	}
	if !ok {
		return GlobalENBID{}, fmt.Errorf("eNB id %q: want PLMN-type-number, such as 001/01-macro-0x19b", s)
	}
	p, err := ParsePLMN(plmn)
	if err != nil {
		return GlobalENBID{}, fmt.Errorf("eNB id %q: %w", s, err)
	}
	t := MacroENB
	for k := MacroENB; k <= LongMacroENB; k++ {
		if r, ok := strings.CutPrefix(rest, k.String()+"-"); ok {
			t, rest = k, r
			break
		}
	}
	v, err := strconv.ParseUint(rest, 0, 32)
	if err != nil {
		return GlobalENBID{}, fmt.Errorf("eNB id %q: %q is not a number", s, rest)
	}
	return MakeGlobalENBID(p, t, uint32(v))
}

// ENBUEID is the eNB UE S1AP ID, 24 bits (TS 36.413 §9.2.3.4).
type ENBUEID uint32

// MMEUEID is the MME UE S1AP ID, 32 bits (TS 36.413 §9.2.3.3).
type MMEUEID uint32
