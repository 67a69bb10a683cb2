package band_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"campanile.network/sdr/band"
)

// golden reads a table that others have published.
func golden(t *testing.T, name string) [][]string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	r := csv.NewReader(bytes.NewReader(b))
	r.Comment = '#'
	rows, err := r.ReadAll()
	if err != nil || len(rows) < 50 {
		t.Fatalf("%s: %d rows, %v", name, len(rows), err)
	}
	return rows
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func find(t *testing.T, s string) *band.Band {
	t.Helper()
	b, ok := band.ByNumber(uint8(number(t, s)))
	if !ok {
		t.Fatalf("there is no band %s", s)
	}
	return b
}

// Android's table knows 60 of our bands. Its own slips of the pen are known,
// and are not those of a second table.
func TestAgainstAndroid(t *testing.T) {
	slips := map[string]string{"1": "18800", "14": "23230", "42": "41950", "43": "43950", "88": "134231"}
	for _, row := range golden(t, "android-AccessNetworkConstants-36.101-16.4.csv") {
		b := find(t, row[0])
		ours := []string{row[0], fmt.Sprint(b.DLLow.Hz() / 1000), fmt.Sprint(b.FirstDL()), fmt.Sprint(b.LastDL()), fmt.Sprint(b.ULLow.Hz() / 1000), fmt.Sprint(b.ULOffset), fmt.Sprint(b.LastUL())}
		var differ []string
		for i := range row {
			if row[i] != ours[i] {
				differ = append(differ, row[i])
			}
		}
		slip, known := slips[row[0]]
		switch {
		case !known && len(differ) > 0:
			t.Errorf("Android has %v, we have %v", row, ours)
		case known && !slices.Contains(differ, slip):
			t.Errorf("band %s: Android has no such slip: %v", row[0], row)
		}
	}
}

// Lime's table has the upper edges, and the bands without uplink.
func TestAgainstLime(t *testing.T) {
	slips := map[string]bool{"10 separation": true, "13 DL high": true, "50 DL high": true}
	for _, row := range golden(t, "lime-LTEbands-36.104-13.5.csv") {
		b := find(t, row[0])
		separation := 0.0
		if b.Duplex == band.FDD {
			separation = math.Round((b.DLLow.MHz()-b.ULLow.MHz())*10) / 10
		}
		last := band.EARFCN(0)
		if b.Duplex != band.DownlinkOnly {
			last = b.LastUL()
		}
		for _, c := range []struct {
			what         string
			theirs, ours float64
		}{
			{"DL low", number(t, row[1]), b.DLLow.MHz()}, {"DL high", number(t, row[2]), b.DLHigh.MHz()}, {"separation", number(t, row[3]), separation},
			{"DL width", number(t, row[4]), (b.DLHigh - b.DLLow).MHz()}, {"DL first", number(t, row[5]), float64(b.FirstDL())},
			{"DL last", number(t, row[6]), float64(b.LastDL())}, {"UL first", number(t, row[7]), float64(b.ULOffset)}, {"UL last", number(t, row[8]), float64(last)},
		} {
			if (c.theirs == c.ours) == slips[row[0]+" "+c.what] {
				t.Errorf("band %s: %s: Lime has %v, we have %v", row[0], c.what, c.theirs, c.ours)
			}
		}
	}
}

// The conformance tests' lowest and highest carriers are ours, of every
// bandwidth they know and no other.
func TestAgainstTestFrequencies(t *testing.T) {
	seen := map[uint8][]band.Bandwidth{}
	for _, row := range golden(t, "3gpp-36.508-17.3-test-frequencies.csv") {
		b := find(t, row[0])
		w, err := band.ParseBandwidth(number(t, row[2]))
		if err != nil {
			t.Fatal(err)
		}
		dl, ul := band.EARFCN(number(t, row[5])), band.EARFCN(number(t, row[3]))
		c, err := band.NewChannel(dl, 0, w)
		if err != nil || c.UL != ul || c.Band != b || c.DLCentre.MHz() != number(t, row[6]) || c.ULCentre.MHz() != number(t, row[4]) {
			t.Errorf("%v: %+v %v", row, c, err)
		}
		beyond := dl - 1
		if row[1] == "high" {
			beyond = dl + 1
		}
		// Band 70's uplink ends before its downlink does.
		if _, err := band.NewChannel(beyond, 0, w); err == nil {
			t.Errorf("%v: EARFCN %d is taken, too", row, beyond)
		}
		if !slices.Contains(seen[b.Number], w) {
			seen[b.Number] = append(seen[b.Number], w)
		}
	}
	for n, list := range seen {
		if b, _ := band.ByNumber(n); !slices.Equal(b.Bandwidths, list) {
			t.Errorf("band %d has %v, the tests have %v", n, b.Bandwidths, list)
		}
	}
	if len(seen) < 14 {
		t.Errorf("%d bands only", len(seen))
	}
}

// Whatever the EARFCN: it is in one band at most, and number and frequency
// lead back to each other.
func TestEveryEARFCN(t *testing.T) {
	all, channels := band.All(), 0
	for n := range band.EARFCN(1 << 18) {
		var in []*band.Band
		for _, b := range all {
			if n >= b.FirstDL() && n <= b.LastDL() {
				in = append(in, b)
			}
		}
		b, ok := band.OfDownlink(n)
		if ok != (len(in) == 1) || len(in) > 1 || ok && in[0] != b {
			t.Fatalf("EARFCN %d is in %v; OfDownlink says %v", n, in, b)
		}
		if !ok {
			continue
		}
		f, err := b.Downlink(n)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := b.DownlinkEARFCN(f); err != nil || back != n {
			t.Fatalf("EARFCN %d is %v is EARFCN %d, %v", n, f, back, err)
		}
		for _, w := range b.Bandwidths {
			c, err := band.NewChannel(n, 0, w)
			if err != nil {
				continue
			}
			channels++
			low, high := c.DLEdges()
			uLow, uHigh := c.ULEdges()
			if low < b.DLLow || high > b.DLHigh || uLow < b.ULLow || uHigh > b.ULHigh || c.DLCentre+b.ULLow != c.ULCentre+b.DLLow {
				t.Fatalf("%+v is no channel of %v", c, b)
			}
		}
	}
	if channels < 50_000 {
		t.Errorf("%d channels", channels)
	}
}

// A carrier needs half its width to the band's edges: the first 7 and the last
// 6 EARFCN are of no use at 1.4 MHz, and so on (TS 36.101 §5.7.3, note 1).
func TestEdges(t *testing.T) {
	first := map[band.Bandwidth]int{band.MHz1_4: 7, band.MHz3: 15, band.MHz5: 25, band.MHz10: 50, band.MHz15: 75, band.MHz20: 100}
	for _, b := range band.All() {
		if b.Duplex == band.DownlinkOnly || b.ULHigh-b.ULLow != b.DLHigh-b.DLLow {
			continue
		}
		for _, w := range b.Bandwidths {
			var usable []band.EARFCN
			for n := b.FirstDL(); n <= b.LastDL(); n++ {
				if _, err := band.NewChannel(n, 0, w); err == nil {
					usable = append(usable, n)
				}
			}
			low, high := b.FirstDL()+band.EARFCN(first[w]), b.LastDL()-band.EARFCN(first[w]-1)
			if len(usable) == 0 || usable[0] != low || usable[len(usable)-1] != high || len(usable) != int(high-low)+1 {
				t.Errorf("band %d, %v: %d EARFCN, want %d to %d", b.Number, w, len(usable), low, high)
			}
		}
	}
}

// Errors say what is wrong and what would be right.
func TestWhatIsRefused(t *testing.T) {
	for _, c := range []struct {
		dl, ul band.EARFCN
		w      band.Bandwidth
		want   string
	}{
		{10360, 0, band.MHz5, "EARFCN 10360 is in the downlink of no band"},
		{2800, 0, band.MHz1_4, "band 7 has no channels of 1.4 MHz, only of 5 MHz, 10 MHz, 15 MHz, 20 MHz"},
		{2760, 0, band.MHz5, "reaches over the band's edge (2620 MHz to 2690 MHz): choose an EARFCN from 2775 to 3425"},
		{2800, 20700, band.MHz5, "EARFCN 20700 is not in band 7, whose uplink has 20750 to 21449"},
		{2800, 20760, band.MHz5, "uplink EARFCN 20760: a channel of 5 MHz around 2501 MHz reaches over"},
		{9700, 0, band.MHz5, "band 29 has no uplink"},
		{67300, 0, band.MHz5, "it is for carrier aggregation"},
		{38000, 38001, band.MHz5, "band 38 is TDD"},
	} {
		if _, err := band.NewChannel(c.dl, c.ul, c.w); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d/%d %v: %v, want %s", c.dl, c.ul, c.w, err, c.want)
		}
	}
	if c, err := band.NewChannel(3350, 20850, band.MHz10); err != nil || c.ULCentre.String() != "2510 MHz" || c.DLCentre.String() != "2680 MHz" {
		t.Errorf("an uplink of one's choice: %+v %v", c, err)
	}
	if _, err := band.ParseBandwidth(7); err == nil {
		t.Error("7 MHz taken for a bandwidth")
	}
	if band.MHz5.ResourceBlocks() != 25 || band.MHz5.Occupied() != 4_500_000 || band.Freq(26805).String() != "2680.5 MHz" {
		t.Error("arithmetic")
	}
}

func FuzzNewChannel(f *testing.F) {
	f.Add(uint32(3350), uint32(0), uint8(50))
	f.Add(uint32(67300), uint32(132600), uint8(14))
	f.Fuzz(func(t *testing.T, dl, ul uint32, w uint8) {
		c, err := band.NewChannel(band.EARFCN(dl), band.EARFCN(ul), band.Bandwidth(w))
		if err != nil {
			return
		}
		low, high := c.DLEdges()
		uLow, uHigh := c.ULEdges()
		if low < c.Band.DLLow || high > c.Band.DLHigh || uLow < c.Band.ULLow || uHigh > c.Band.ULHigh || c.Width.ResourceBlocks() == 0 || c.UL == 0 {
			t.Errorf("%+v", c)
		}
	})
}
