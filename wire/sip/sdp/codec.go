package sdp

import (
	"strconv"
	"strings"
)

// Codec is a format of an RTP media line: a payload type and what it means.
type Codec struct {
	PT       uint8  // 0 to 127
	Name     string // encoding name, compared in any case
	Clock    int    // Hz
	Channels int    // 1 if nothing is said
	FMTP     string // parameters of the format, as written
}

// static are the payload types of RFC 3551 §6 that need no a=rtpmap.
var static = map[uint8]Codec{
	0: {0, "PCMU", 8000, 1, ""}, 3: {3, "GSM", 8000, 1, ""}, 4: {4, "G723", 8000, 1, ""}, 5: {5, "DVI4", 8000, 1, ""},
	6: {6, "DVI4", 16000, 1, ""}, 7: {7, "LPC", 8000, 1, ""}, 8: {8, "PCMA", 8000, 1, ""}, 9: {9, "G722", 8000, 1, ""},
	10: {10, "L16", 44100, 2, ""}, 11: {11, "L16", 44100, 1, ""}, 12: {12, "QCELP", 8000, 1, ""}, 13: {13, "CN", 8000, 1, ""},
	14: {14, "MPA", 90000, 1, ""}, 15: {15, "G728", 8000, 1, ""}, 16: {16, "DVI4", 11025, 1, ""}, 17: {17, "DVI4", 22050, 1, ""},
	18: {18, "G729", 8000, 1, ""}, 25: {25, "CelB", 90000, 1, ""}, 26: {26, "JPEG", 90000, 1, ""}, 28: {28, "nv", 90000, 1, ""},
	31: {31, "H261", 90000, 1, ""}, 32: {32, "MPV", 90000, 1, ""}, 33: {33, "MP2T", 90000, 1, ""}, 34: {34, "H263", 90000, 1, ""},
}

// Is reports whether both are the same codec; payload type and parameters are not compared.
func (c Codec) Is(other Codec) bool {
	return c.Clock == other.Clock && max(c.Channels, 1) == max(other.Channels, 1) && strings.EqualFold(c.Name, other.Name)
}

// Param is a parameter of FMTP, "" if it is not there; names are compared in any case.
func (c Codec) Param(name string) string {
	for p := range strings.SplitSeq(c.FMTP, ";") {
		if n, v, _ := strings.Cut(p, "="); strings.EqualFold(strings.TrimSpace(n), name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// fits is Is, and whether the parameters agree that say what the octets mean
// (RFC 4867 §8.3.1, RFC 3952 §5).
func (c Codec) fits(other Codec) bool {
	if !c.Is(other) {
		return false
	}
	agree := func(name, otherwise string) bool {
		return or(c.Param(name), otherwise) == or(other.Param(name), otherwise)
	}
	switch {
	case c.isAMR():
		return agree("octet-align", "0") && agree("crc", "0") && agree("robust-sorting", "0") && agree("interleaving", "")
	case strings.EqualFold(c.Name, "iLBC"):
		return agree("mode", "30")
	}
	return true
}

func (c Codec) isAMR() bool {
	return strings.EqualFold(c.Name, "AMR") || strings.EqualFold(c.Name, "AMR-WB")
}

// answered is c, ours, as it stands in the answer to an offer of theirs: with
// their payload type, and with their parameters where we want nothing else of a
// codec whose parameters hold both ways.
func (c Codec) answered(theirs Codec) Codec {
	if c.FMTP == "" && (c.isAMR() || c.IsEvents() || strings.EqualFold(c.Name, "iLBC") || strings.EqualFold(c.Name, "G729")) {
		c.FMTP = theirs.FMTP
	}
	c.PT = theirs.PT
	return c
}

// IsEvents reports whether c is telephone-event (RFC 4733): no codec for speech.
func (c Codec) IsEvents() bool { return strings.EqualFold(c.Name, "telephone-event") }

// String is the value of a=rtpmap without the payload type: "AMR/8000", "opus/48000/2".
func (c Codec) String() string {
	s := c.Name + "/" + strconv.Itoa(c.Clock)
	if c.Channels > 1 {
		s += "/" + strconv.Itoa(c.Channels)
	}
	return s
}

// Codecs are the formats of an RTP media line in the describer's order of
// preference. Those without a meaning (dynamic, and no a=rtpmap) are left out.
func (m *Media) Codecs() []Codec {
	list := make([]Codec, 0, len(m.Formats))
	for _, f := range m.Formats {
		pt, err := strconv.ParseUint(f, 10, 7)
		if err != nil {
			continue
		}
		c, known := static[uint8(pt)]
		if v, ok := m.about("rtpmap", f); ok {
			if mapped, ok := parseRTPMap(v); ok {
				c, known = mapped, true
			}
		}
		if !known {
			continue
		}
		c.PT = uint8(pt)
		c.FMTP, _ = m.about("fmtp", f)
		list = append(list, c)
	}
	return list
}

// about is what an attribute says of one format.
func (m *Media) about(name, format string) (string, bool) {
	for i := range m.Attributes {
		if m.Attributes[i].Name != name {
			continue
		}
		if f, v, _ := strings.Cut(strings.TrimLeft(m.Attributes[i].Value, " "), " "); f == format {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}

func parseRTPMap(v string) (c Codec, ok bool) {
	name, rest, _ := strings.Cut(v, "/")
	clock, channels, more := strings.Cut(rest, "/")
	n, err := strconv.ParseUint(clock, 10, 31)
	c = Codec{Name: name, Clock: int(n), Channels: 1}
	if more {
		ch, err := strconv.ParseUint(channels, 10, 8)
		if err != nil || ch == 0 {
			return c, false
		}
		c.Channels = int(ch)
	}
	return c, err == nil && n > 0 && name != ""
}

// SetCodecs replaces the formats of a media line and all that is said about them.
func (m *Media) SetCodecs(list []Codec) {
	kept := m.Attributes[:0:0]
	for _, a := range m.Attributes {
		if a.Name != "rtpmap" && a.Name != "fmtp" {
			kept = append(kept, a)
		}
	}
	m.Formats, m.Attributes = nil, nil
	for _, c := range list {
		pt := strconv.Itoa(int(c.PT))
		m.Formats = append(m.Formats, pt)
		m.Attributes.Add("rtpmap", pt+" "+c.String())
		if c.FMTP != "" {
			m.Attributes.Add("fmtp", pt+" "+c.FMTP)
		}
	}
	m.Attributes = append(m.Attributes, kept...)
}
