package openbts

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"campanile.network/3gpp/id"
)

// Hour is what phones heard and how they were heard at a cell in an hour: sums,
// from which nobody's way can be read. Of fewer than three phones there are no
// levels and distances, for they would be somebody's.
type Hour struct {
	Cell        string    `json:"cell"`
	Start       time.Time `json:"start"`
	Reports     uint64    `json:"reports"`
	Phones      int       `json:"phones"` // different ones: 1, 2, or 3 for more
	FrameErrors float64   `json:"frame_errors"`
	Uplink      []uint64  `json:"uplink,omitempty"`   // reports by RSSI: of 5 dB each, from -100 dB below full scale
	Downlink    []uint64  `json:"downlink,omitempty"` // reports by RXLEV: of 5 dB each, from -110 dBm
	Advance     []uint64  `json:"advance,omitempty"`  // reports by timing advance, of some 550 m each (TS 45.010 §5.6)
}

const (
	uplinkBins, uplinkFrom     = 20, -100
	downlinkBins, downlinkFrom = 13, -110
	advanceBins                = 64
	binWidth                   = 5 // dB
	enough                     = 3 // phones
)

// physical is OpenBTS's PhysicalStatus event, version 0.1, as far as it is used.
type physical struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Data    *struct {
		Burst struct {
			RSSI    *float64 `json:"RSSI"`
			Advance *float64 `json:"actualMSTimingAdvance"`
		} `json:"burst"`
		Channel struct {
			IMSI   string   `json:"IMSI"`
			Errors *float64 `json:"uplinkFrameErrorRate"`
		} `json:"channel"`
		Reports struct {
			Serving struct {
				Level *float64 `json:"RXLEVEL_SUB_dBm"`
			} `json:"servingCell"`
		} `json:"reports"`
	} `json:"data"`
}

// ErrEvent says that a message is no PhysicalStatus event of version 0.1.
var ErrEvent = errors.New("openbts: not a PhysicalStatus event of version 0.1")

// Coverage sums up what one cell reports, an hour at a time. IMSIs are not kept:
// of an hour's first three phones there are hashes, under a key that is forgotten
// with the hour.
type Coverage struct {
	ended func(Hour)

	mu      sync.Mutex
	cell    string
	hour    Hour
	errors  float64
	seed    maphash.Seed
	phones  [enough]uint64
	Dropped uint64 // messages that were none
}

// NewCoverage gives each hour that has ended, and in which there was a report, to ended.
func NewCoverage(cell id.CGI, ended func(Hour)) *Coverage {
	return &Coverage{cell: cell.String(), ended: ended}
}

// Take counts one event, which came now.
func (c *Coverage) Take(message []byte, now time.Time) error {
	var p physical
	if err := json.Unmarshal(message, &p); err != nil || p.Name != "PhysicalStatus" || p.Version != "0.1" || p.Data == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.Dropped++
		return ErrEvent
	}
	d := p.Data
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn(now)
	h := &c.hour
	h.Reports++
	count(h.Uplink, d.Burst.RSSI, uplinkFrom, binWidth)
	count(h.Downlink, d.Reports.Serving.Level, downlinkFrom, binWidth)
	count(h.Advance, d.Burst.Advance, 0, 1)
	if e := d.Channel.Errors; e != nil && *e >= 0 && *e <= 1 {
		c.errors += *e
	}
	if d.Channel.IMSI != "" {
		hash := max(maphash.String(c.seed, d.Channel.IMSI), 1)
		if h.Phones < enough && !slices.Contains(c.phones[:h.Phones], hash) {
			c.phones[h.Phones] = hash
			h.Phones++
		}
	}
	return nil
}

// count puts a value into its bin; what is beyond them goes into the last there is.
func count(bins []uint64, v *float64, from, width float64) {
	if v != nil {
		bins[int(min(max((*v-from)/width, 0), float64(len(bins)-1)))]++
	}
}

// turn begins another hour, if there is one.
func (c *Coverage) turn(now time.Time) {
	start := now.UTC().Truncate(time.Hour)
	if c.hour.Start.Equal(start) {
		return
	}
	c.end()
	c.seed, c.errors, c.phones = maphash.MakeSeed(), 0, [enough]uint64{}
	c.hour = Hour{Cell: c.cell, Start: start, Uplink: make([]uint64, uplinkBins), Downlink: make([]uint64, downlinkBins), Advance: make([]uint64, advanceBins)}
}

func (c *Coverage) end() {
	if h, ok := c.told(); ok {
		c.ended(h)
	}
	c.hour = Hour{}
}

// told is the hour as it may be told.
func (c *Coverage) told() (Hour, bool) {
	h := c.hour
	if h.Reports == 0 {
		return h, false
	}
	h.FrameErrors = c.errors / float64(h.Reports)
	if h.Phones < enough {
		h.Uplink, h.Downlink, h.Advance = nil, nil, nil
	} else {
		h.Uplink, h.Downlink, h.Advance = slices.Clone(h.Uplink), slices.Clone(h.Downlink), slices.Clone(h.Advance)
	}
	return h, true
}

// Now gives the hour under way; false: nothing was reported in it.
func (c *Coverage) Now(now time.Time) (Hour, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hour.Start.Equal(now.UTC().Truncate(time.Hour)) {
		return Hour{}, false
	}
	return c.told()
}

// End gives the hour under way to who keeps them, as it is.
func (c *Coverage) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end()
}

// String is an hour in a line: where most phones were, and how they were heard.
func (h Hour) String() string {
	s := fmt.Sprintf("%d reports, %.1f %% of frames lost", h.Reports, 100*h.FrameErrors)
	if h.Phones < enough {
		return s + "; of too few phones for more"
	}
	far := float64(quantile(h.Advance, .9)+1) * .55
	return s + fmt.Sprintf("; nine in ten within %.1f km; heard at %d dB of full scale, hearing %d dBm in the middle",
		far, uplinkFrom+binWidth*quantile(h.Uplink, .5), downlinkFrom+binWidth*quantile(h.Downlink, .5))
}

// quantile is the bin below which a part of all lies.
func quantile(bins []uint64, part float64) int {
	total, sum := uint64(0), uint64(0)
	for _, n := range bins {
		total += n
	}
	for i, n := range bins {
		if sum += n; float64(sum) >= part*float64(total) {
			return i
		}
	}
	return len(bins) - 1
}
