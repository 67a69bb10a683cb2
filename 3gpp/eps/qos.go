package eps

import (
	"fmt"

	"campanile.network/3gpp/id"
	"campanile.network/3gpp/tree"
)

// EPSQoS is the quality of service of a bearer (TS 24.301 §9.9.4.3). The rates
// are of GBR bearers and zero otherwise. On the wire a rate has steps, up to
// 64 kbit/s below 8640 kbit/s and up to 100 Mbit/s above; Append writes the
// nearest one not less, at most 10 Gbit/s.
type EPSQoS struct {
	QCI                        id.QCI
	MaxUL, MaxDL               id.BitRate
	GuaranteedUL, GuaranteedDL id.BitRate
}

func (q *EPSQoS) decode(b []byte) error {
	*q = EPSQoS{QCI: id.QCI(b[0])}
	if len(b) == 1 {
		return nil
	}
	if len(b)%4 != 1 {
		return problem(fmt.Sprintf("%d octets, want 1, 5, 9 or 13", len(b)))
	}
	for i, r := range q.rates() {
		*r = baseRate(b[1+i])
		if len(b) >= 9 && b[5+i] != 0 {
			*r = extendedRate(b[5+i])
		}
		if len(b) >= 13 && b[9+i] != 0 {
			*r = qosExtended2(b[9+i])
		}
	}
	return nil
}

func (q *EPSQoS) rates() [4]*id.BitRate {
	return [4]*id.BitRate{&q.MaxUL, &q.MaxDL, &q.GuaranteedUL, &q.GuaranteedDL}
}

func (q *EPSQoS) encode(dst []byte) []byte {
	dst = append(dst, byte(q.QCI))
	top := max(q.MaxUL, q.MaxDL, q.GuaranteedUL, q.GuaranteedDL)
	if top == 0 {
		return dst
	}
	var base, ext, ext2 [4]byte
	for i, r := range q.rates() {
		base[i], ext[i] = rateOctets(*r)
		if *r > 256*id.Mbps {
			ext2[i] = qosExtended2Octet(*r)
		}
	}
	dst = append(dst, base[:]...)
	if top > maxBase {
		dst = append(dst, ext[:]...)
	}
	if top > 256*id.Mbps {
		dst = append(dst, ext2[:]...)
	}
	return dst
}

func (q *EPSQoS) node(name string) tree.Node {
	n := tree.Branch(name, tree.Leaf("QCI", uint8(q.QCI)))
	for i, part := range [...]string{"Maximum bit rate for uplink", "Maximum bit rate for downlink", "Guaranteed bit rate for uplink", "Guaranteed bit rate for downlink"} {
		if r := *q.rates()[i]; q.MaxUL|q.MaxDL|q.GuaranteedUL|q.GuaranteedDL != 0 {
			n.Nodes = append(n.Nodes, tree.Leaf(part, r))
		}
	}
	return n
}

func (q EPSQoS) String() string {
	if q.MaxUL|q.MaxDL|q.GuaranteedUL|q.GuaranteedDL == 0 {
		return fmt.Sprintf("QCI %d", q.QCI)
	}
	return fmt.Sprintf("QCI %d, maximum %v up %v down, guaranteed %v up %v down", q.QCI, q.MaxUL, q.MaxDL, q.GuaranteedUL, q.GuaranteedDL)
}

// AMBR is an APN aggregate maximum bit rate (TS 24.301 §9.9.4.2). Append
// writes the nearest step not less, at most 65280 Mbit/s.
type AMBR struct {
	DL, UL id.BitRate
}

func (a *AMBR) decode(b []byte) error {
	if len(b)%2 != 0 {
		return problem(fmt.Sprintf("%d octets, want 2, 4 or 6", len(b)))
	}
	for i, r := range []*id.BitRate{&a.DL, &a.UL} {
		*r = baseRate(b[i])
		if len(b) >= 4 && b[2+i] != 0 {
			*r = extendedRate(b[2+i])
		}
		if len(b) >= 6 && b[4+i] != 0 && b[4+i] != 255 {
			*r += id.BitRate(b[4+i]) * 256 * id.Mbps
		}
	}
	return nil
}

func (a *AMBR) encode(dst []byte) []byte {
	var o [6]byte
	n := 2
	for i, r := range []id.BitRate{a.DL, a.UL} {
		r = min(r, 65280*id.Mbps)
		if r > 256*id.Mbps {
			o[4+i] = byte((r - 1) / (256 * id.Mbps))
			r -= id.BitRate(o[4+i]) * 256 * id.Mbps
			n = 6
		}
		if o[i], o[2+i] = rateOctets(r); o[2+i] != 0 {
			n = max(n, 4)
		}
	}
	return append(dst, o[:n]...)
}

func (a *AMBR) node(name string) tree.Node {
	return tree.Branch(name, tree.Leaf("APN-AMBR for downlink", a.DL), tree.Leaf("APN-AMBR for uplink", a.UL))
}

func (a AMBR) String() string { return fmt.Sprintf("%v down, %v up", a.DL, a.UL) }

// maxBase is the highest rate of the first octet.
const maxBase = 8640 * id.Kbps

// baseRate reads the first octet of a rate. Zero, "subscribed" or reserved,
// and 255, 0 kbit/s, are both no rate.
func baseRate(b byte) id.BitRate {
	v := id.BitRate(b)
	switch {
	case v < 64:
		return v * id.Kbps
	case v < 128:
		return (64 + (v-64)*8) * id.Kbps
	case v < 255:
		return (576 + (v-128)*64) * id.Kbps
	}
	return 0
}

// extendedRate reads the second octet of a rate, if it is not zero.
func extendedRate(b byte) id.BitRate {
	v := id.BitRate(b)
	switch {
	case v <= 74:
		return (8600 + v*100) * id.Kbps
	case v <= 186:
		return (16 + v - 74) * id.Mbps
	}
	return (128 + min(v-186, 64)*2) * id.Mbps
}

// qosExtended2 reads the third octet of a rate of EPS QoS, if it is not zero.
func qosExtended2(b byte) id.BitRate {
	v := id.BitRate(b)
	switch {
	case v <= 61:
		return (256 + v*4) * id.Mbps
	case v <= 161:
		return (500 + (v-61)*10) * id.Mbps
	}
	return (1500 + min(v-161, 85)*100) * id.Mbps
}

func qosExtended2Octet(r id.BitRate) byte {
	switch {
	case r <= 500*id.Mbps:
		return byte(steps(r-256*id.Mbps, 4*id.Mbps))
	case r <= 1500*id.Mbps:
		return byte(61 + steps(r-500*id.Mbps, 10*id.Mbps))
	}
	return byte(161 + min(steps(r-1500*id.Mbps, 100*id.Mbps), 85))
}

// rateOctets writes the first two octets of a rate of up to 256 Mbit/s; a
// higher one is written as that.
func rateOctets(r id.BitRate) (base, ext byte) {
	switch {
	case r == 0:
		return 255, 0
	case r <= 63*id.Kbps:
		return byte(steps(r, id.Kbps)), 0
	case r <= 568*id.Kbps:
		return byte(64 + steps(max(r, 64*id.Kbps)-64*id.Kbps, 8*id.Kbps)), 0
	case r <= maxBase:
		return byte(128 + steps(max(r, 576*id.Kbps)-576*id.Kbps, 64*id.Kbps)), 0
	case r <= 16*id.Mbps:
		return 254, byte(steps(r-8600*id.Kbps, 100*id.Kbps))
	case r <= 128*id.Mbps:
		return 254, byte(74 + steps(r-16*id.Mbps, id.Mbps))
	}
	return 254, byte(186 + min(steps(r-128*id.Mbps, 2*id.Mbps), 64))
}

// steps is how many steps reach r.
func steps(r, step id.BitRate) id.BitRate { return (r + step - 1) / step }
