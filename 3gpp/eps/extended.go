package eps

import (
	"encoding/binary"
	"math/bits"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/tree"
)

// maxUnit is 256 Pbit/s; greater units mean the same.
const maxUnit = 21

// A unit of an extended rate (TS 24.301 §9.9.4.29, §9.9.4.30): 1 is 200 kbit/s,
// 2 to 6 are 1, 4, 16, 64 and 256 Mbit/s, 7 to 11 as many Gbit/s, and so on.
func unit(n uint8) id.BitRate {
	if n == 1 {
		return 200 * id.Kbps
	}
	n = min(n, maxUnit) - 2
	u := [...]id.BitRate{1, 4, 16, 64, 256}[n%5] * id.Mbps
	for range n / 5 {
		u *= 1000
	}
	return u
}

// extended reads a number of units. least is the first unit that is used: those
// below it mean no rate. A rate too high for a BitRate becomes the highest.
func extended(n uint8, number []byte, least uint8) id.BitRate {
	if n < least {
		return 0
	}
	high, low := bits.Mul64(uint64(unit(n)), uint64(binary.BigEndian.Uint16(number)))
	if high > 0 {
		return ^id.BitRate(0)
	}
	return id.BitRate(low)
}

// appendExtended appends the smallest unit in which all rates can be written
// and the rates, rounded up.
func appendExtended(dst []byte, least uint8, rates ...id.BitRate) []byte {
	n := least
	for _, r := range rates {
		for n < maxUnit && (r-1)/unit(n) >= 0xffff && r > 0 {
			n++
		}
	}
	dst = append(dst, n)
	for _, r := range rates {
		v := r / unit(n)
		if r%unit(n) != 0 {
			v++
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(min(v, 0xffff)))
	}
	return dst
}

// NewExtendedQoS is for rates above 10 Gbit/s, which EPSQoS cannot write. Each
// is rounded up to a step that depends on the higher one of its kind.
func NewExtendedQoS(maxUL, maxDL, guaranteedUL, guaranteedDL id.BitRate) ExtendedQoS {
	return ExtendedQoS(appendExtended(appendExtended(nil, 1, maxUL, maxDL), 1, guaranteedUL, guaranteedDL))
}

// MaxUL is the maximum bit rate for uplink; zero is none.
func (v ExtendedQoS) MaxUL() id.BitRate { return extended(v[0], v[1:], 1) }

// MaxDL is the maximum bit rate for downlink.
func (v ExtendedQoS) MaxDL() id.BitRate { return extended(v[0], v[3:], 1) }

// GuaranteedUL is the guaranteed bit rate for uplink.
func (v ExtendedQoS) GuaranteedUL() id.BitRate { return extended(v[5], v[6:], 1) }

// GuaranteedDL is the guaranteed bit rate for downlink.
func (v ExtendedQoS) GuaranteedDL() id.BitRate { return extended(v[5], v[8:], 1) }

func (v *ExtendedQoS) node(name string) tree.Node {
	return tree.Branch(name, tree.Leaf("Maximum bit rate for uplink", v.MaxUL()), tree.Leaf("Maximum bit rate for downlink", v.MaxDL()),
		tree.Leaf("Guaranteed bit rate for uplink", v.GuaranteedUL()), tree.Leaf("Guaranteed bit rate for downlink", v.GuaranteedDL()))
}

// ambrUnit is the first unit of an ExtendedAMBR, 4 Mbit/s.
const ambrUnit = 3

// NewExtendedAMBR is for rates above 65280 Mbit/s, which AMBR cannot write. Each
// is rounded up to a step of 4 Mbit/s or more.
func NewExtendedAMBR(dl, ul id.BitRate) ExtendedAMBR {
	return ExtendedAMBR(appendExtended(appendExtended(nil, ambrUnit, dl), ambrUnit, ul))
}

// DL is the rate for downlink; zero is none.
func (v ExtendedAMBR) DL() id.BitRate { return extended(v[0], v[1:], ambrUnit) }

// UL is the rate for uplink.
func (v ExtendedAMBR) UL() id.BitRate { return extended(v[3], v[4:], ambrUnit) }

func (v *ExtendedAMBR) node(name string) tree.Node {
	return tree.Branch(name, tree.Leaf("Extended APN-AMBR for downlink", v.DL()), tree.Leaf("Extended APN-AMBR for uplink", v.UL()))
}
