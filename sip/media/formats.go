package media

import (
	"slices"
	"strings"
)

// Format is one format of a description: a payload type and what it means.
type Format struct {
	Number   uint8  // payload type, 0 to 127
	Name     string // of rtpmap, compared without regard to case: PCMU, GSM, AMR
	Rate     int    // of the clock, Hz
	Channels int    // 0 is 1
	Params   string // of fmtp
}

// The static formats this package can turn into each other (RFC 3551 §6).
var (
	PCMU = Format{Number: 0, Name: "PCMU", Rate: 8000}
	GSM  = Format{Number: 3, Name: "GSM", Rate: 8000}
	PCMA = Format{Number: 8, Name: "PCMA", Rate: 8000}
)

// TelephoneEvent is the format of digits under the number most peers give it
// (RFC 4733).
var TelephoneEvent = Format{Number: 101, Name: "telephone-event", Rate: 8000, Params: "0-15"}

// Same says whether two formats are one, whatever their numbers and parameters.
func (f Format) Same(o Format) bool {
	return f.Rate == o.Rate && max(f.Channels, 1) == max(o.Channels, 1) && strings.EqualFold(f.Name, o.Name)
}

// law is a codec this package speaks itself.
type law uint8

const (
	none law = iota
	ulaw
	alaw
	gsm
)

func (f Format) law() law {
	switch {
	case f.Same(PCMU):
		return ulaw
	case f.Same(PCMA):
		return alaw
	case f.Same(GSM):
		return gsm
	}
	return none
}

// coded says that a format can be turned into others here.
func (f Format) coded() bool { return f.law() != none }

func (f Format) event() bool { return strings.EqualFold(f.Name, TelephoneEvent.Name) }

// noise says that a format carries comfort noise (RFC 3389).
func (f Format) noise() bool { return strings.EqualFold(f.Name, "CN") }

// Offer gives what to offer the second leg when the first has offered from: the
// same, of which allow (nil: everybody) may refuse some, then what this package
// can make of them. Numbers are kept, so that both legs speak of one thing.
func Offer(from []Format, allow func(Format) bool) []Format {
	var out []Format
	for _, f := range from {
		if allow == nil || allow(f) {
			out = append(out, f)
		}
	}
	if !slices.ContainsFunc(from, Format.coded) {
		return out
	}
	for _, f := range []Format{PCMA, PCMU, GSM} {
		if !slices.ContainsFunc(out, f.Same) && (allow == nil || allow(f)) {
			out = append(out, f)
		}
	}
	return out
}

// Answer gives what to answer the first leg, which has offered, when the second
// has chosen: what both have, then what can be turned into the second's. It is
// ErrFormats when there is no speech among them.
func Answer(offered, chosen []Format) ([]Format, error) {
	var out []Format
	speech := false
	for _, c := range chosen {
		if i := slices.IndexFunc(offered, c.Same); i >= 0 {
			out = append(out, offered[i])
			speech = speech || !c.event() && !c.noise()
		}
	}
	if slices.ContainsFunc(chosen, Format.coded) {
		for _, f := range offered {
			if f.coded() && !slices.ContainsFunc(out, f.Same) {
				out = append(out, f)
				speech = true
			}
		}
	}
	for _, f := range offered { // digits go by INFO towards a leg without events
		if f.event() && f.Rate == 8000 && !slices.ContainsFunc(out, f.Same) {
			out = append(out, f)
		}
	}
	if !speech {
		return nil, ErrFormats
	}
	return out, nil
}
