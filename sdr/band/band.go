// Package band is the arithmetic of E-UTRA's frequency bands: which bands
// there are, what an EARFCN stands for, which channel bandwidths a band has,
// and whether a channel keeps within its band (TS 36.101 §5.5, §5.6, §5.7).
//
// It knows what the standard defines, not what anybody is allowed: who may
// transmit where, and with what power, is between the operator and his
// country. All functions are pure.
package band

import (
	"fmt"
	"slices"
	"strings"
)

// Freq is a frequency or a width in units of 100 kHz, the channel raster
// (TS 36.101 §5.7.2). Every edge of every band is a whole number of them.
type Freq uint32

// Hz is f in hertz.
func (f Freq) Hz() uint64 { return uint64(f) * 100_000 }

// MHz is f in megahertz.
func (f Freq) MHz() float64 { return float64(f) / 10 }

func (f Freq) String() string {
	if f%10 == 0 {
		return fmt.Sprintf("%d MHz", f/10)
	}
	return fmt.Sprintf("%d.%d MHz", f/10, f%10)
}

// EARFCN is an E-UTRA absolute radio frequency channel number
// (TS 36.101 §5.7.3): 18 bits, those of downlink and uplink distinct in FDD.
type EARFCN uint32

// Duplex says how a band is divided between the two directions.
type Duplex uint8

// Duplex modes (TS 36.101 §5.5).
const (
	FDD          Duplex = iota + 1 // uplink on frequencies of its own
	TDD                            // both on the same, in turns
	DownlinkOnly                   // for carrier aggregation; no phone can attach there
)

func (d Duplex) String() string {
	switch d {
	case FDD:
		return "FDD"
	case TDD:
		return "TDD"
	case DownlinkOnly:
		return "downlink only"
	}
	return fmt.Sprintf("duplex %d", uint8(d))
}

// Bandwidth is a channel bandwidth (TS 36.101 §5.6), in units of 100 kHz:
// one of the six constants.
type Bandwidth uint8

// The channel bandwidths there are.
const (
	MHz1_4 Bandwidth = 14
	MHz3   Bandwidth = 30
	MHz5   Bandwidth = 50
	MHz10  Bandwidth = 100
	MHz15  Bandwidth = 150
	MHz20  Bandwidth = 200
)

// resourceBlocks is TS 36.101 §5.6, table 5.6-1.
var resourceBlocks = map[Bandwidth]int{MHz1_4: 6, MHz3: 15, MHz5: 25, MHz10: 50, MHz15: 75, MHz20: 100}

// ParseBandwidth gives the channel bandwidth of so many MHz: 1.4, 3, 5, 10, 15
// or 20.
func ParseBandwidth(mhz float64) (Bandwidth, error) {
	for b := range resourceBlocks {
		if float64(b)/10 == mhz {
			return b, nil
		}
	}
	return 0, fmt.Errorf("%v MHz is no channel bandwidth: want 1.4, 3, 5, 10, 15 or 20", mhz)
}

// ResourceBlocks is N_RB, from 6 to 100; 0 for what is no channel bandwidth.
func (b Bandwidth) ResourceBlocks() int { return resourceBlocks[b] }

// Occupied is what the resource blocks themselves take, in Hz: 180 kHz each.
func (b Bandwidth) Occupied() uint64 { return uint64(b.ResourceBlocks()) * 180_000 }

func (b Bandwidth) String() string { return Freq(b).String() }

// Band is an operating band: a row of table 5.5-1 with its rows of tables
// 5.6.1-1 and 5.7.3-1 (TS 36.101 §5.5, §5.6.1, §5.7.3). The uplink of TDD is
// its downlink; a downlink-only band has none.
type Band struct {
	Number        uint8
	Duplex        Duplex
	DLLow, DLHigh Freq
	ULLow, ULHigh Freq
	DLOffset      EARFCN // N_Offs-DL
	ULOffset      EARFCN // N_Offs-UL
	Bandwidths    []Bandwidth
}

// ByNumber finds a band.
func ByNumber(n uint8) (*Band, bool) {
	i := slices.IndexFunc(bands, func(b Band) bool { return b.Number == n })
	if i < 0 {
		return nil, false
	}
	return &bands[i], true
}

// All lists the bands in the order of their numbers.
func All() []*Band {
	out := make([]*Band, len(bands))
	for i := range bands {
		out[i] = &bands[i]
	}
	return out
}

// OfDownlink finds the band that a downlink EARFCN belongs to: at most one,
// although bands overlap in frequency.
func OfDownlink(n EARFCN) (*Band, bool) {
	for i := range bands {
		if b := &bands[i]; n >= b.DLOffset && n <= b.LastDL() {
			return b, true
		}
	}
	return nil, false
}

// FirstDL and the like are the ends of the band's EARFCN (TS 36.101 §5.7.3,
// table 5.7.3-1). A carrier at an end would stand half outside the band.
func (b *Band) FirstDL() EARFCN { return b.DLOffset }

// LastDL is the band's highest downlink EARFCN.
func (b *Band) LastDL() EARFCN { return b.DLOffset + EARFCN(b.DLHigh-b.DLLow) - 1 }

// LastUL is the band's highest uplink EARFCN; meaningless without an uplink.
func (b *Band) LastUL() EARFCN { return b.ULOffset + EARFCN(b.ULHigh-b.ULLow) - 1 }

// Has says whether the band has a channel bandwidth.
func (b *Band) Has(w Bandwidth) bool { return slices.Contains(b.Bandwidths, w) }

func (b *Band) String() string {
	s := fmt.Sprintf("band %d (%v, downlink %v to %v", b.Number, b.Duplex, b.DLLow, b.DLHigh)
	if b.Duplex == FDD {
		s += fmt.Sprintf(", uplink %v to %v", b.ULLow, b.ULHigh)
	}
	return s + ")"
}

// Downlink is the carrier frequency of a downlink EARFCN:
// F_DL = F_DL_low + 0.1 (N_DL - N_Offs-DL) MHz (TS 36.101 §5.7.3).
func (b *Band) Downlink(n EARFCN) (Freq, error) {
	if n < b.DLOffset || n > b.LastDL() {
		return 0, fmt.Errorf("EARFCN %d is not in band %d, whose downlink has %d to %d", n, b.Number, b.DLOffset, b.LastDL())
	}
	return b.DLLow + Freq(n-b.DLOffset), nil
}

// Uplink is the carrier frequency of an uplink EARFCN (TS 36.101 §5.7.3).
func (b *Band) Uplink(n EARFCN) (Freq, error) {
	if b.Duplex == DownlinkOnly {
		return 0, fmt.Errorf("band %d has no uplink", b.Number)
	}
	if n < b.ULOffset || n > b.LastUL() {
		return 0, fmt.Errorf("EARFCN %d is not in band %d, whose uplink has %d to %d", n, b.Number, b.ULOffset, b.LastUL())
	}
	return b.ULLow + Freq(n-b.ULOffset), nil
}

// DownlinkEARFCN is the number of a downlink carrier frequency.
func (b *Band) DownlinkEARFCN(f Freq) (EARFCN, error) {
	if f < b.DLLow || f >= b.DLHigh {
		return 0, fmt.Errorf("%v is not in the downlink of %v", f, b)
	}
	return b.DLOffset + EARFCN(f-b.DLLow), nil
}

// DefaultUplink is the uplink EARFCN that goes with a downlink's at the band's
// default separation (TS 36.101 §5.7.4). The upper part of the downlink of
// bands 66 and 70 has none.
func (b *Band) DefaultUplink(dl EARFCN) (EARFCN, error) {
	if _, err := b.Downlink(dl); err != nil {
		return 0, err
	}
	ul := dl - b.DLOffset + b.ULOffset
	if b.Duplex == DownlinkOnly {
		return 0, fmt.Errorf("band %d has no uplink", b.Number)
	}
	if ul > b.LastUL() {
		return 0, fmt.Errorf("EARFCN %d of band %d has no uplink: it is for carrier aggregation", dl, b.Number)
	}
	return ul, nil
}

// Channel is a cell's place on the air: a checked carrier of each direction.
type Channel struct {
	Band     *Band
	Width    Bandwidth
	DL, UL   EARFCN
	DLCentre Freq
	ULCentre Freq
}

// NewChannel checks a carrier: ul 0 takes the default. The band must have the
// bandwidth, and the channel must not reach over an edge of the band in either
// direction (TS 36.101 §5.7.3, note 1).
func NewChannel(dl, ul EARFCN, w Bandwidth) (c Channel, err error) {
	b, ok := OfDownlink(dl)
	if !ok {
		return c, fmt.Errorf("EARFCN %d is in the downlink of no band", dl)
	}
	if !b.Has(w) {
		return c, fmt.Errorf("band %d has no channels of %v, only of %s", b.Number, w, widths(b.Bandwidths))
	}
	c = Channel{Band: b, Width: w, DL: dl, UL: ul}
	if c.DLCentre, err = b.Downlink(dl); err != nil {
		return c, err
	}
	if ul == 0 {
		if c.UL, err = b.DefaultUplink(dl); err != nil {
			return c, err
		}
	}
	if c.ULCentre, err = b.Uplink(c.UL); err != nil {
		return c, err
	}
	if b.Duplex == TDD && c.UL != c.DL {
		return c, fmt.Errorf("uplink EARFCN %d: band %d is TDD, both directions have one", ul, b.Number)
	}
	if err := within(b.DLLow, b.DLHigh, c.DLCentre, b.DLOffset, w); err != nil {
		return c, fmt.Errorf("downlink EARFCN %d: %w", dl, err)
	}
	if err := within(b.ULLow, b.ULHigh, c.ULCentre, b.ULOffset, w); err != nil {
		return c, fmt.Errorf("uplink EARFCN %d: %w", c.UL, err)
	}
	return c, nil
}

func within(low, high, centre Freq, offset EARFCN, w Bandwidth) error {
	half := Freq(w) / 2
	if centre >= low+half && centre+half <= high {
		return nil
	}
	return fmt.Errorf("a channel of %v around %v reaches over the band's edge (%v to %v): choose an EARFCN from %d to %d",
		w, centre, low, high, offset+EARFCN(half), offset+EARFCN(high-low-half))
}

// DLEdges are the channel's lower and upper edge in the downlink.
func (c Channel) DLEdges() (low, high Freq) {
	return c.DLCentre - Freq(c.Width)/2, c.DLCentre + Freq(c.Width)/2
}

// ULEdges are the channel's lower and upper edge in the uplink.
func (c Channel) ULEdges() (low, high Freq) {
	return c.ULCentre - Freq(c.Width)/2, c.ULCentre + Freq(c.Width)/2
}

func widths(list []Bandwidth) string {
	var out []string
	for _, w := range list {
		out = append(out, w.String())
	}
	return strings.Join(out, ", ")
}
