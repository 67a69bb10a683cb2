package bts

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"campanile.network/wire/sip"
)

// at is an address with a user, as cells write one.
func at(user string, host netip.AddrPort) sip.URI {
	return sip.URI{Scheme: "sip", User: user, Host: host.Addr().String(), Port: int(host.Port())}
}

// named puts what OpenBTS of old had before addresses.
func (c *Cell) named(u sip.URI) sip.Address {
	a := sip.Address{URI: u}
	if c.o.Dialect == OpenBTSOld && strings.HasPrefix(u.User, "IMSI") {
		a.Name = u.User
	}
	return a
}

// request begins a request of a phone outside of a dialog.
func (c *Cell) request(p *Phone, method sip.Method, uri sip.URI, from, to sip.Address, callID string) *sip.Message {
	m := sip.NewRequest(method, uri)
	m.From, m.To, m.CallID, m.CSeq.Seq = from, to, callID, c.nextSeq()
	m.From.SetTag(draw(4))
	c.dress(p, m)
	return m
}

// dress puts in the header fields that a cell's program puts into requests of a
// phone.
func (c *Cell) dress(p *Phone, m *sip.Message) {
	cgi := c.o.Cell
	access := fmt.Sprintf("3GPP-GERAN; cgi-3gpp=%s%s%04x%04x", cgi.PLMN.MCC(), cgi.PLMN.MNC(), cgi.LAC, cgi.CI)
	now := time.Now()
	const measured = "TA=1 TE=0.392578 UpRSSI=-26.000000 TxPwr=33 DnRSSIdBm=-111"
	switch c.o.Dialect {
	case YateBTS:
		m.Add("P-Access-Network-Info", access+`; gstn-location="`+strings.ReplaceAll(c.o.Location, `"`, "")+`"`)
		m.Add("P-PHY-Info", "YateBTS; "+measured)
		m.Add("User-Agent", "YATE/6.2.0")
		return
	case OpenBTSOld:
		m.Add("User-Agent", "OpenBTS 2.8TRUNK Build Date Feb 13 2012")
		if m.Method == sip.MethodMessage {
			return
		}
		m.Add("P-PHY-Info", "OpenBTS; "+measured)
	default:
		m.Add("User-Agent", "OpenBTS 5.0.0 Build Date Mar 1 2019")
		if m.Method == sip.MethodMessage {
			return
		}
		m.Add("P-PHY-Info", fmt.Sprintf("OpenBTS; IMSI=%s %s time=%d.%06d", p.o.IMSI.Digits(), measured, now.Unix(), now.Nanosecond()/1000))
	}
	m.Add("P-Access-Network-Info", access)
	m.Add("P-Preferred-Identity", "<"+at(p.user(), c.at).String()+">")
	if m.Method == sip.MethodInvite {
		p.mu.Lock()
		associated, asserted := p.associated, p.asserted
		p.mu.Unlock()
		if associated != "" {
			m.Add("P-Associated-URI", associated)
		}
		if asserted != "" {
			m.Add("P-Asserted-Identity", asserted)
		}
	}
}

// number reads the number in P-Associated-URI, "" if there is none.
func number(associated string) string {
	list, err := sip.ParseAddresses(associated)
	if err != nil {
		return ""
	}
	for _, a := range list {
		if n := strings.TrimPrefix(a.URI.Number(), "+"); n != "" {
			return n
		}
	}
	return ""
}

// rejectCause is the MM cause that OpenBTS gives a phone for a status: what the
// gateway says in P-GSM-Reject-Cause, or a table's.
func rejectCause(m *sip.Message) int {
	if v := m.Get("P-GSM-Reject-Cause"); v != "" {
		if n, err := strconv.ParseInt(v, 0, 16); err == nil {
			return int(n)
		}
	}
	switch m.Status {
	case 401, 404, 603:
		return 4 // IMSI unknown in VLR
	case 403:
		return 12 // location area not allowed
	case 424:
		return 13 // roaming not allowed in this location area
	case 504:
		return 22 // congestion
	case 604:
		return 2 // IMSI unknown in HLR
	}
	return 17 // network failure
}
