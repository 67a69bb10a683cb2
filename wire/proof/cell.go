package proof

import (
	"fmt"

	"campanile.network/3gpp/id"
)

// Cell is a cell of E-UTRAN or of GERAN. The zero Cell is none.
type Cell struct {
	kind   uint8
	octets [7]byte
}

const (
	eutran = 1
	geran  = 2
)

// EUTRAN is a cell that phones of LTE are at.
func EUTRAN(c id.ECGI) Cell { return Cell{eutran, c.Octets()} }

// GERAN is a cell that phones of GSM are at.
func GERAN(c id.CGI) Cell { return Cell{geran, c.Octets()} }

// decodeCell reads kind and seven octets.
func decodeCell(kind uint8, b [7]byte) (Cell, error) {
	var err error
	switch kind {
	case eutran:
		_, err = id.DecodeECGI(b)
	case geran:
		_, err = id.DecodeCGI(b)
	default:
		err = fmt.Errorf("cell of kind %d", kind)
	}
	return Cell{kind, b}, err
}

func (c Cell) String() string {
	switch c.kind {
	case eutran:
		e, _ := id.DecodeECGI(c.octets) // it was one
		return e.String()
	case geran:
		g, _ := id.DecodeCGI(c.octets)
		return g.String()
	}
	return "none"
}
