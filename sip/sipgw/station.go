package sipgw

import (
	"strconv"
	"strings"

	"campanile.network/3gpp/id"
	"campanile.network/wire/sip"
	"campanile.network/wire/sip/txn"
)

// StationOf is the station that a request comes from, or nil.
func (g *Gateway) StationOf(f txn.Flow) *Station {
	if f.PeerKey != [32]byte{} {
		for i := range g.o.Stations {
			if s := &g.o.Stations[i]; s.TLS && s.Tower == f.PeerKey {
				return s
			}
		}
	}
	at := f.Remote.Addr().Unmap()
	for i := range g.o.Stations {
		for _, p := range g.o.Stations[i].From {
			if p.Contains(at) {
				return &g.o.Stations[i]
			}
		}
	}
	return nil
}

// private are the header fields that mean something only between parties that
// trust each other (RFC 3325 §8, RFC 7315 §6): from everybody else they are
// taken away before anybody looks at the request.
var private = []string{
	"P-Asserted-Identity", "P-Preferred-Identity", "P-Associated-URI", "P-Access-Network-Info",
	"P-PHY-Info", "P-Called-Party-ID", "P-Charging-Vector", "P-Charging-Function-Addresses",
	"P-Visited-Network-ID", "P-GSM-Kc", "P-GSM-SRes", "P-GSM-Reject-Cause", "X-Global-Call-Ref",
}

// distrust takes a stranger's private header fields away and says whether there
// were any.
func distrust(m *sip.Message) (had bool) {
	for _, name := range private {
		if m.Get(name) != "" {
			m.Del(name)
			had = true
		}
	}
	return had
}

// cell is where a request of a station comes from: what P-Access-Network-Info
// says, if it is a cell of that station, else its first. ok is false for a cell
// that is not the station's.
func (s *Station) cell(m *sip.Message) (c id.CGI, ok bool) {
	said := m.Get("P-Access-Network-Info")
	if said == "" {
		return s.Cells[0], true
	}
	for _, c := range s.Cells {
		if c == accessNetwork(said, c.PLMN) {
			return c, true
		}
	}
	return s.Cells[0], false
}

// accessNetwork reads the cell of a P-Access-Network-Info of GERAN (TS 24.229
// §7.2A.4): MCC, MNC, four digits of LAC and four of CI. How many digits the MNC
// has follows from the network it is expected to be of.
func accessNetwork(v string, p id.PLMN) (c id.CGI) {
	kind, rest, _ := strings.Cut(v, ";")
	if !strings.HasPrefix(strings.ToUpper(strings.TrimSpace(kind)), "3GPP-GERAN") {
		return c
	}
	for param := range strings.SplitSeq(rest, ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		if !strings.EqualFold(strings.TrimSpace(name), "cgi-3gpp") {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"`)
		digits, ok := strings.CutPrefix(value, p.MCC()+p.MNC())
		if !ok || len(digits) != 8 {
			return c
		}
		lac, err1 := strconv.ParseUint(digits[:4], 16, 16)
		ci, err2 := strconv.ParseUint(digits[4:], 16, 16)
		if err1 != nil || err2 != nil {
			return c
		}
		return id.CGI{PLMN: p, LAC: uint16(lac), CI: uint16(ci)}
	}
	return c
}

// physical reads a P-PHY-Info: names and values behind the program's name.
func physical(v string) (p PhysicalInfo) {
	for _, word := range strings.FieldsFunc(v, func(r rune) bool { return r == ' ' || r == ';' || r == ',' }) {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			continue
		}
		x, err := strconv.ParseFloat(value, 64)
		if err != nil || x != x || x > 1e6 || x < -1e6 {
			continue
		}
		switch strings.ToLower(name) {
		case "ta":
			p.TA = int(x)
		case "uprssi":
			p.RSSI = x
		}
	}
	return p
}
