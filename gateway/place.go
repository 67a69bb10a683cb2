package gateway

import (
	"campanile.network/wire/gtpc"
	"github.com/wmnsk/go-gtp/gtpv2/ie"
)

// place is what an MME has said of where a phone is and how it is connected: the payload of
// elements by their type. Only an SGW that others are the PGWs of keeps it.
type place map[uint8]string

// placed are the elements of a message that say it.
func placed(m *gtpc.Message) (list []*ie.IE) {
	for _, e := range m.IEs {
		switch e.Type {
		case ie.UserLocationInformation, ie.RATType, ie.ServingNetwork, ie.UETimeZone, ie.UserCSGInformation:
			list = append(list, e)
		}
	}
	return list
}

// news notes elements, and says whether one of them is news.
func (p place) news(list []*ie.IE) bool {
	changed := false
	for _, e := range list {
		if p[e.Type] != string(e.Payload) {
			p[e.Type], changed = string(e.Payload), true
		}
	}
	return changed
}

// tellPlace has the PGWs elsewhere of a phone's sessions told by a message of that type
// where the phone is, if it is news to them (TS 23.401 §5.3.4.1).
func (g *Gateway) tellPlace(u *ue, t gtpc.Type, m *gtpc.Message) {
	list := placed(m)
	if u.place == nil || !u.place.news(list) {
		return
	}
	for _, s := range u.sessions {
		g.passOn(s, gtpc.New(t, 0, list...))
	}
}

// changed answers a Change Notification Request: the phone is elsewhere
// (TS 29.274 §7.3.14).
func (g *Gateway) changed(u *ue, m *gtpc.Message) *gtpc.Message {
	g.tellPlace(u, m.Type, m)
	return gtpc.New(m.Type.Answer(), u.peer.TEID, gtpc.IMSIIE(u.imsi), gtpc.CauseIE(nil))
}
