// Package id has the identifiers of 3GPP TS 23.003 and its neighbours, each a
// type of its own and valid by construction: a value that came out of a
// Parse, Make or Decode function needs no second check. The package knows how
// identifiers are written (text and octets), not what is stored under them.
package id

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// digits is a short string of decimal digits, comparable, without pointers.
// n is the number of digits; unused places are zero.
type digits struct {
	n uint8
	d [15]byte
}

func parseDigits(what, s string, least, most int) (digits, error) {
	var v digits
	if len(s) < least || len(s) > most {
		return v, fmt.Errorf("%s %q: %d digits, want %d to %d", what, shown(s), len(s), least, most)
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return v, fmt.Errorf("%s %q: character %d is not a digit", what, shown(s), i+1)
		}
		v.d[i] = s[i]
	}
	v.n = uint8(len(s))
	return v, nil
}

// shown is what an error says of digits; with one too many they are an identity all
// the same.
func shown(s string) string {
	if len(s) > 7 {
		return mask(s[:min(len(s), 20)], 5, 2)
	}
	return s
}

func (v digits) text() string { return string(v.d[:v.n]) }

// PLMN is a public land mobile network: three digits MCC, two or three MNC
// (TS 23.003 §2.2). The zero value is no PLMN.
type PLMN struct {
	mcc uint16
	mnc uint16
	len uint8 // digits of the MNC, 2 or 3
}

// ParsePLMN reads "00101", "001/01" or "001-01".
func ParsePLMN(s string) (PLMN, error) {
	if len(s) > 3 && (s[3] == '/' || s[3] == '-') {
		s = s[:3] + s[4:]
	}
	v, err := parseDigits("PLMN", s, 5, 6)
	if err != nil {
		return PLMN{}, err
	}
	mcc, _ := strconv.Atoi(string(v.d[:3]))
	mnc, _ := strconv.Atoi(string(v.d[3:v.n]))
	return PLMN{uint16(mcc), uint16(mnc), v.n - 3}, nil
}

// DecodePLMN reads the three octets of TS 24.301 §9.9.3.33 and TS 36.413
// §9.2.3.8: BCD, third MNC digit 0xF when there are two.
func DecodePLMN(b [3]byte) (PLMN, error) {
	d := [6]byte{b[0] & 15, b[0] >> 4, b[1] & 15, b[2] & 15, b[2] >> 4, b[1] >> 4}
	p := PLMN{len: 3}
	if d[5] == 15 {
		p.len = 2
	}
	for i, v := range d[:3+p.len] {
		if v > 9 {
			return PLMN{}, fmt.Errorf("PLMN %x: digit %d is not decimal", b, i+1)
		}
		if i < 3 {
			p.mcc = p.mcc*10 + uint16(v)
		} else {
			p.mnc = p.mnc*10 + uint16(v)
		}
	}
	return p, nil
}

// Octets gives the three octets DecodePLMN reads.
func (p PLMN) Octets() [3]byte {
	m1, m2, m3 := byte(p.mcc/100), byte(p.mcc/10%10), byte(p.mcc%10)
	if p.len == 3 {
		n1, n2, n3 := byte(p.mnc/100), byte(p.mnc/10%10), byte(p.mnc%10)
		return [3]byte{m2<<4 | m1, n3<<4 | m3, n2<<4 | n1}
	}
	n1, n2 := byte(p.mnc/10), byte(p.mnc%10)
	return [3]byte{m2<<4 | m1, 0xf0 | m3, n2<<4 | n1}
}

// IsZero says that p is no PLMN.
func (p PLMN) IsZero() bool { return p.len == 0 }

// MCC gives the mobile country code as three digits.
func (p PLMN) MCC() string { return fmt.Sprintf("%03d", p.mcc) }

// MNC gives the mobile network code as two or three digits.
func (p PLMN) MNC() string { return fmt.Sprintf("%0*d", int(p.len), p.mnc) }

// String is "001/01".
func (p PLMN) String() string {
	if p.IsZero() {
		return "no PLMN"
	}
	return p.MCC() + "/" + p.MNC()
}

// Test says whether p may be used by anybody without an assignment: 001/01
// (ITU-T E.212 test) and 999/xx (internal use).
func (p PLMN) Test() bool { return p.mcc == 1 && p.mnc == 1 || p.mcc == 999 }

// IMSI is an international mobile subscriber identity of 6 to 15 digits
// (TS 23.003 §2.2). It prints masked; Digits gives it whole.
type IMSI struct{ v digits }

// ParseIMSI reads 6 to 15 decimal digits.
func ParseIMSI(s string) (IMSI, error) {
	v, err := parseDigits("IMSI", s, 6, 15)
	return IMSI{v}, err
}

// Digits gives the IMSI whole, for the wire and for storage under seal.
func (i IMSI) Digits() string { return i.v.text() }

// IsZero says that i is no IMSI.
func (i IMSI) IsZero() bool { return i.v.n == 0 }

// String is masked: the first five digits, then dots, then the last two.
func (i IMSI) String() string { return mask(i.v.text(), 5, 2) }

// Format masks like String under every verb.
func (i IMSI) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, fmt.FormatString(f, verb), i.String())
}

// MarshalText masks like String: an IMSI does not reach JSON by accident.
func (i IMSI) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// HasPLMN says whether the IMSI begins with p's MCC and MNC.
func (i IMSI) HasPLMN(p PLMN) bool { return strings.HasPrefix(i.v.text(), p.MCC()+p.MNC()) }

// MSISDN is a telephone number in international format without the plus
// (ITU-T E.164), 1 to 15 digits. The zero value is no number.
type MSISDN struct{ v digits }

// ParseMSISDN reads 1 to 15 digits, an optional plus before them.
func ParseMSISDN(s string) (MSISDN, error) {
	v, err := parseDigits("MSISDN", strings.TrimPrefix(s, "+"), 1, 15)
	return MSISDN{v}, err
}

// Digits gives the number without the plus.
func (m MSISDN) Digits() string { return m.v.text() }

// IsZero says that m is no number.
func (m MSISDN) IsZero() bool { return m.v.n == 0 }

// String is masked: the first three digits, then dots, then the last two.
func (m MSISDN) String() string { return mask(m.v.text(), 3, 2) }

// Format masks like String under every verb.
func (m MSISDN) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, fmt.FormatString(f, verb), m.String())
}

// MarshalText masks like String: a number does not reach JSON by accident.
func (m MSISDN) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

func mask(s string, head, tail int) string {
	if len(s) <= head+tail {
		return strings.Repeat("·", len(s))
	}
	return s[:head] + strings.Repeat("·", len(s)-head-tail) + s[len(s)-tail:]
}

// MMEGroupID and MMECode together name an MME in its PLMN (TS 23.003 §2.8.1).
type (
	MMEGroupID uint16
	MMECode    uint8
)

// GUMMEI names an MME in the world (TS 23.003 §2.8.1).
type GUMMEI struct {
	PLMN  PLMN
	Group MMEGroupID
	Code  MMECode
}

func (g GUMMEI) String() string {
	return fmt.Sprintf("%v:%04x:%02x", g.PLMN, uint16(g.Group), uint8(g.Code))
}

// MTMSI is what an MME calls a phone (TS 23.003 §2.8.1).
type MTMSI uint32

// STMSI is an M-TMSI with the code of the MME that gave it (TS 23.003 §2.9).
type STMSI struct {
	Code MMECode
	TMSI MTMSI
}

func (s STMSI) String() string { return fmt.Sprintf("%02x:%08x", uint8(s.Code), uint32(s.TMSI)) }

// GUTI is a globally unique temporary identity (TS 23.003 §2.8).
type GUTI struct {
	GUMMEI GUMMEI
	TMSI   MTMSI
}

// STMSI is the short form that radio messages and paging carry.
func (g GUTI) STMSI() STMSI { return STMSI{g.GUMMEI.Code, g.TMSI} }

func (g GUTI) String() string { return fmt.Sprintf("%v:%08x", g.GUMMEI, uint32(g.TMSI)) }

// IMEI is an equipment identity: 15 digits, or 16 with software version
// (IMEISV), TS 23.003 §6.2. It prints masked.
type IMEI struct {
	n uint8
	d [16]byte
}

// ParseIMEI reads 14 to 16 digits.
func ParseIMEI(s string) (IMEI, error) {
	var v IMEI
	if len(s) < 14 || len(s) > 16 || strings.Trim(s, "0123456789") != "" {
		return v, fmt.Errorf("IMEI %q: want 14 to 16 digits", mask(s[:min(len(s), 20)], 8, 0))
	}
	v.n = uint8(copy(v.d[:], s))
	return v, nil
}

// Digits gives the identity whole.
func (i IMEI) Digits() string { return string(i.d[:i.n]) }

// String shows the type allocation code (8 digits) and masks the rest.
func (i IMEI) String() string { return mask(i.Digits(), 8, 0) }

// Format masks like String under every verb.
func (i IMEI) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, fmt.FormatString(f, verb), i.String())
}

// MarshalText masks like String.
func (i IMEI) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// TEID is a tunnel endpoint identifier (TS 29.281 §3.1); 0 is no tunnel.
type TEID uint32

func (t TEID) String() string { return fmt.Sprintf("0x%08x", uint32(t)) }

// EBI is an EPS bearer identity, 5 to 15 (TS 24.007 §11.2.3.1.5).
type EBI uint8

// MakeEBI checks the range.
func MakeEBI(v uint8) (EBI, error) {
	if v < 5 || v > 15 {
		return 0, fmt.Errorf("EBI %d: want 5 to 15", v)
	}
	return EBI(v), nil
}

// QCI is a QoS class identifier (TS 23.203 §6.1.7).
type QCI uint8

// BitRate is in bits a second.
type BitRate uint64

// The decimal multiples in which 3GPP counts.
const (
	Kbps BitRate = 1000
	Mbps         = 1000 * Kbps
	Gbps         = 1000 * Mbps
)

func (b BitRate) String() string {
	switch {
	case b >= Gbps && b%Gbps == 0:
		return fmt.Sprintf("%d Gbit/s", b/Gbps)
	case b >= Mbps && b%Mbps == 0:
		return fmt.Sprintf("%d Mbit/s", b/Mbps)
	case b >= Kbps && b%Kbps == 0:
		return fmt.Sprintf("%d kbit/s", b/Kbps)
	}
	return fmt.Sprintf("%d bit/s", uint64(b))
}

// SubscriberID is the random 128-bit name of a subscriber on the ledger; it
// is derived from nothing.
type SubscriberID [16]byte

// String is 32 hexadecimal digits.
func (s SubscriberID) String() string { return hex.EncodeToString(s[:]) }

// MarshalText is String.
func (s SubscriberID) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
