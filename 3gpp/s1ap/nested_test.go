package s1ap

import (
	"bytes"
	"encoding/hex"
	"reflect"

	"campanile.network/3gpp/per"
)

// nested draws what is inside octets that another protocol defines and a reader
// of S1AP looks into, so that it is valid there too: by Go type, or by the field
// where octets have no type of their own.
var nested = map[string]func(*gen) []byte{
	"IMSI": (*gen).imsi,
	"EUTRANTraceID": func(g *gen) []byte {
		return append(g.plmn(), byte(g.Uint32()), byte(g.Uint32()), byte(g.Uint32()), 0, 1)
	},
	// TS 24.008 §10.5.1.6, §10.5.1.7
	"MSClassmark2": one("3319a2"),
	"MSClassmark3": one("6014046f65000000"),
	// TS 24.301 §9.9.2.6, §9.9.2.7
	"NASSecurityParametersfromEUTRAN": one("01"),
	"NASSecurityParameterstoEUTRAN":   one("000000001200"),
	// TS 23.041 §9.4.2.2.5: one page of 82 octets, in a coding of TS 23.038 §5
	"DataCodingScheme":       func(g *gen) []byte { return []byte{[...]byte{0x00, 0x01, 0x0f, 0x48}[g.IntN(4)]} },
	"WarningMessageContents": func(*gen) []byte { return append(append([]byte{1}, bytes.Repeat([]byte{0x20}, 82)...), 82) },
	// A.S0008-C, as TS 36.413 §9.2.1.25 asks for one kind of network
	"Cdma2000SectorID": one("0203000000"),
	// Names that are text
	"LHNID":         (*gen).label,
	"BluetoothName": (*gen).label,
	"WLANName":      (*gen).label,
	// TS 38.413 §9.4.5, as pycrate encodes them
	"MDTConfigurationNR":                  one("05200c40"),
	"IntersystemSONConfigurationTransfer": one("000000f11000019b0000f11000070000f1100000001400f110000007020000f110000000001000f11000000010020000078032093d"),
	// A message of this protocol in another
	"RerouteNASRequest.S1Message": one("000b4014000003000000020001000800020001001a000100"),
}

func one(digits string) func(*gen) []byte {
	b, err := hex.DecodeString(digits)
	if err != nil {
		panic(err)
	}
	return func(*gen) []byte { return b }
}

func (g *gen) plmn() []byte {
	b := make([]byte, 3)
	g.fill(b)
	return b
}

// imsi draws 6 to 15 digits, low nibble first, 1111 filling the last octet
// (TS 36.413 §9.2.3.11).
func (g *gen) imsi() []byte {
	b := make([]byte, 3+g.IntN(6))
	for i := range b {
		b[i] = byte(g.IntN(10))<<4 | byte(g.IntN(10))
	}
	if len(b) == 8 || g.IntN(2) == 0 {
		b[len(b)-1] |= 0xf0
	}
	return b
}

func (g *gen) label() []byte { return []byte(g.text(per.Size{Min: 32, Max: 32})) }

// makeReadable puts valid contents where v holds something for another protocol.
func (g *gen) makeReadable(v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			g.makeReadable(v.Elem(), name)
		}
		return
	case reflect.Struct:
		if id, ok := v.Addr().Interface().(*PrivateIEID); ok {
			*id = PrivateIEID{Choice: PrivateIEIDChoiceLocal, Local: uint16(g.IntN(65536))}
			return // tshark loses its place behind an object identifier
		}
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name := f.Type.Name()
			if name == "" {
				name = v.Type().Name() + "." + f.Name
			}
			g.makeReadable(v.Field(i), name)
		}
		return
	}
	draw := nested[v.Type().Name()]
	if draw == nil {
		draw = nested[name]
	}
	switch {
	case draw == nil && v.Kind() == reflect.Slice:
		for i := range v.Len() {
			g.makeReadable(v.Index(i), "")
		}
	case draw == nil || v.IsZero():
	case v.Kind() == reflect.Slice:
		v.SetBytes(draw(g))
	case v.Kind() == reflect.Array:
		reflect.Copy(v, reflect.ValueOf(draw(g)))
	default:
		v.SetUint(uint64(draw(g)[0]))
	}
}
